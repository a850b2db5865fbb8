//! Each check complains about a bad sample, and only about that.

use super::*;

/// The check complains so often about the bad text and not at all about the good one.
fn proves(check: Check, path: &str, bad: &str, complaints: usize, good: &str) {
    assert_eq!(check(path, bad).len(), complaints, "{path}: {bad}");
    assert_eq!(check(path, good), Vec::<String>::new(), "{path}: {good}");
}

#[test]
fn migration_names() {
    let bad = ["1.sql", "a_1.sql", "12-x.sql", "12_x.txt"];
    for name in bad {
        assert_eq!(
            migration_is_named_for_the_cli(&format!("supabase/migrations/{name}"), "").len(),
            1,
            "{name}"
        );
    }
    assert!(migration_is_named_for_the_cli("supabase/migrations/0010_foundation.sql", "").is_empty());
    assert!(migration_is_named_for_the_cli("supabase/schema.sql", "").is_empty());
}

#[test]
fn platform_statements() {
    assert!(touches_the_platform(
        "select 1; do $$ begin insert into storage.buckets (id) values ('x'); end $$;"
    ));
    assert!(!touches_the_platform(
        "create table public.a (b uuid references auth.users (id));"
    ));
}

#[test]
fn long_sources() {
    proves(
        source_is_short,
        "crates/core/src/a.rs",
        &"\n".repeat(601),
        1,
        &"\n".repeat(600),
    );
    assert!(source_is_short("crates/server/tests/it/a.rs", &"\n".repeat(601)).is_empty());
}

#[test]
fn empty_names() {
    proves(
        module_name_explains,
        "crates/core/src/a.rs",
        "mod utils;\nmod b { mod helpers {} }",
        2,
        "// mod utils\nmod b;",
    );
    assert_eq!(module_name_explains("crates/core/src/models/a.rs", "").len(), 1);
    assert_eq!(module_name_explains("crates/server/tests/it/common.rs", "").len(), 1);
}

#[test]
fn environment() {
    let bad = "fn f() { std::env::var(\"A\"); env::\n  var_os(\"B\"); }";
    proves(
        environment_is_read_in_config_only,
        "crates/server/src/a.rs",
        bad,
        2,
        "env!(\"A\"); \"env::var(\"; env::var_os(\"PATH\");",
    );
    assert!(environment_is_read_in_config_only("crates/server/src/config.rs", bad).is_empty());
}

#[test]
fn clocks_in_core() {
    proves(
        core_knows_no_clock,
        "crates/core/src/a.rs",
        "Utc::now(); Instant::now()",
        2,
        "f(now) // not Utc::now()",
    );
    assert!(core_knows_no_clock("crates/server/src/a.rs", "Utc::now()").is_empty());
}

#[test]
fn dependencies_of_core() {
    let bad = "[dependencies]\nserde = \"1\"\ntokio = \"1\"\nproptest = \"1\"\n[dev-dependencies]\nproptest = \"1\"\n[build-dependencies]\ncc = \"1\"";
    let good = "[dependencies]\nserde.workspace = true\n[dev-dependencies]\nproptest.workspace = true";
    proves(core_manifest_lists_no_io, "crates/core/Cargo.toml", bad, 3, good);
    assert_eq!(
        core_manifest_lists_no_io(
            "crates/core/Cargo.toml",
            "[target.'cfg(unix)'.dependencies]\nlibc = \"1\""
        )
        .len(),
        1
    );
}

#[test]
fn floats_in_core() {
    proves(
        core_has_no_floats,
        "crates/core/src/a.rs",
        "let a: f64 = 1f32;",
        2,
        "let a = \"f64\"; // f64",
    );
}

#[test]
fn strangers() {
    let bad = "use crate::{db::{auth, x}, properties::Property};\nfn f() { crate::payments::pay() }";
    proves(
        protocols_and_domain_are_strangers,
        "crates/server/src/rest/a.rs",
        bad,
        2,
        "use crate::{db, problem};",
    );
    let bad = "use crate::storage::put;\nuse crate::console;";
    proves(
        protocols_and_domain_are_strangers,
        "crates/server/src/documents.rs",
        bad,
        2,
        "use crate::properties::Id;",
    );
    assert!(protocols_and_domain_are_strangers("crates/server/src/router.rs", bad).is_empty());
}

#[test]
fn unregistered_sql() {
    let bad = "f(\"select 1\"); f(\" INSERT into a values (1)\"); f(r#\"with a as (select 1) delete from b\"#); f(\"update a set b = 1\")";
    let good = "sql!(\"select 1\"); sql!(\n                        r\"update a set b = 1\"\n); f(\"with an open sale\"); f(\"Update the app\"); f(\"selected\");\n#[cfg(test)]\nmod tests { f(\"select 1\"); }";
    proves(sql_is_registered, "crates/server/src/a.rs", bad, 4, good);
}

#[test]
fn undone() {
    let bad = "#[ignore]\nfn a() { todo!() } // TODO later\n/* FIXME */ fn b() { unimplemented!(\"x\") }";
    proves(
        nothing_is_left_undone,
        "crates/server/tests/it/a.rs",
        bad,
        5,
        "let a = \"TODO #[ignore] todo!()\"; // todo list",
    );
    proves(
        nothing_is_left_undone,
        "supabase/migrations/1_a.sql",
        "select 1; -- TODO",
        1,
        "select 'TODO';",
    );
}

#[test]
fn links() {
    let bad = "[a](gone.md) ![b](docs/gone.png#x) `[c](code.md)`\n```\n[d](block.md)\n```";
    proves(
        links_lead_somewhere,
        "README.md",
        bad,
        2,
        "[a](Cargo.toml#top) [b](https://x.y/z) [c](#here) [d](crates/core)",
    );
}
