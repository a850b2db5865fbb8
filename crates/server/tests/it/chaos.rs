//! A short form of `nexus-mint-bench chaos`, by the same code: each fault once, under mixed load.

#[path = "../../../../bench/src/chaos/checks.rs"]
mod checks;
#[path = "../../../../bench/src/chaos/client.rs"]
mod client;
#[path = "../../../../bench/src/chaos/dice.rs"]
mod dice;
#[path = "../../../../bench/src/chaos/history.rs"]
mod history;
#[path = "../../../../bench/src/chaos/load.rs"]
mod load;
#[path = "../../../../bench/src/chaos/place.rs"]
mod place;
#[path = "../../../../bench/src/chaos/run.rs"]
mod run;
#[path = "../../../../bench/src/chaos/world.rs"]
mod world;

use std::path::Path;

use run::{Fault, Plan};

#[test]
fn whatever_is_killed_what_was_acknowledged_is_there_and_the_rest_wholly_or_not() {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    };
    let faults = Fault::ALL.into_iter().filter(|fault| !fault.needs_a_disk());
    let plan = Plan {
        program: env!("CARGO_BIN_EXE_nexus-mint").into(),
        folder: parent.join(format!("nexus-mint-chaos-{}", std::process::id())),
        seed: 7,
        faults: faults.collect(),
    };
    let report = run::run(&plan).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        report.0.len(),
        6,
        "a full disk needs a file system of its own: the bench's"
    );
    for fault in plan.faults {
        let (rounds, found) = report.0[&fault];
        assert!(rounds == 1 && found.done > 0, "{fault:?}: {report}");
    }
}
