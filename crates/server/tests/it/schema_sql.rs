//! `supabase/schema.sql` is the schema as it is now. Run with `UPDATE_SNAPSHOTS=1` to write it anew.

use std::fs;
use std::path::Path;

use crate::world::{World, skip};

const HEADER: &str = "\
-- The schema as it is now, for reading: one object after the other, with its comments, policies and grants.
-- Generated from a migrated PostgreSQL 15 database; a test keeps it true. The migrations are what is applied.
";

#[tokio::test]
async fn the_generated_schema_is_true() {
    let world = World::own_database().await;
    let client = world.admin().await;
    let version: String = client.query_one("show server_version_num", &[]).await.unwrap().get(0);
    if !version.starts_with("15") {
        return skip("supabase/schema.sql: printed by PostgreSQL 15, since others word expressions differently");
    }
    client.batch_execute("set search_path = ''").await.unwrap();
    let rows = client
        .query(
            include_str!("schema_sql.sql"),
            &[&["public", "nexus", "nexus_storage", "ledger"].as_slice()],
        )
        .await
        .unwrap();
    let mut text = HEADER.to_owned();
    for row in rows {
        if row.get("is_first") {
            text.push('\n');
        }
        text.push_str(row.get("text"));
        text.push('\n');
    }
    compare(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../../supabase/schema.sql"),
        &text,
    );
}

/// Compares a text with a committed file, or writes the file when `UPDATE_SNAPSHOTS` is set.
pub(crate) fn compare(path: &Path, text: &str) {
    #[allow(
        clippy::disallowed_methods,
        reason = "a switch of the tests, not a setting of the program"
    )]
    let update = std::env::var_os("UPDATE_SNAPSHOTS").is_some();
    if update {
        fs::write(path, text).unwrap();
        return;
    }
    let committed = fs::read_to_string(path).unwrap_or_default();
    let differing = committed.lines().zip(text.lines()).position(|(a, b)| a != b);
    let line = differing.unwrap_or_else(|| committed.lines().count().min(text.lines().count()));
    assert!(
        committed == text,
        "{} is no longer true from line {} on:\n  committed: {}\n  now:       {}\nIf that is meant, write it anew with \
         UPDATE_SNAPSHOTS=1 and read the difference like code.",
        path.display(),
        line + 1,
        committed.lines().nth(line).unwrap_or("(end)"),
        text.lines().nth(line).unwrap_or("(end)"),
    );
}
