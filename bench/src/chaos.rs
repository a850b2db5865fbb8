//! `chaos`: the real program over a real cluster under mixed load, and what harms it after so many acknowledged answers; then
//! everything that must be true is asked. docs/RELIABILITY.md says what came of it.

mod checks;
mod client;
mod dice;
mod history;
mod load;
pub(crate) mod place;
mod run;
mod world;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use nexus_mint::problem::AnyError;

use crate::measure::number;
use run::{Fault, Plan, Report};

/// Room for the cluster and a minute's log (bytes, as `mount` takes them).
const DISK: &str = "size=768m";

/// Runs and prints.
pub(crate) fn run(arguments: &[String]) -> Result<(), AnyError> {
    let seed = number(arguments, "--seed", 1)?;
    let runs = number(arguments, "--runs", 1)?;
    let rounds = usize::try_from(number(arguments, "--rounds", 12)?)?;
    let program = std::env::current_exe()?.with_file_name("nexus-mint");
    let mut sums = Report::default();
    for seed in seed..seed + runs {
        let folder = std::env::temp_dir().join(format!("nexus-mint-chaos-{}-{seed}", std::process::id()));
        let disk = Disk::mount(&folder)?;
        if disk.is_none() {
            println!("skipped: a full disk: no file system of its own can be mounted here");
        }
        let faults = Fault::ALL
            .into_iter()
            .filter(|fault| disk.is_some() || !fault.needs_a_disk());
        let faults: Vec<Fault> = faults.collect();
        let plan = Plan {
            program: program.clone(),
            folder: folder.join("run"),
            seed,
            faults: faults.iter().copied().cycle().take(rounds).collect(),
        };
        let report = run::run(&plan)?;
        println!("seed {seed}: {rounds} rounds, nothing wrong");
        for (fault, (rounds, found)) in report.0 {
            let all = sums.0.entry(fault).or_default();
            all.0 += rounds;
            all.1 += found;
        }
    }
    println!("fault        rounds    done  refused  messages  there  not there   500\n{sums}");
    Ok(())
}

/// A small file system in memory, gone afterwards.
struct Disk(PathBuf);

impl Disk {
    /// Nothing where we may not mount.
    fn mount(folder: &Path) -> Result<Option<Disk>, AnyError> {
        std::fs::create_dir_all(folder)?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", DISK, "tmpfs"])
            .arg(folder)
            .status();
        Ok(mounted
            .is_ok_and(|status| status.success())
            .then(|| Disk(folder.to_owned())))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What cannot be unmounted now is gone with the machine.
        let _ = Command::new("umount").arg(&self.0).status();
        let _ = std::fs::remove_dir(&self.0);
    }
}
