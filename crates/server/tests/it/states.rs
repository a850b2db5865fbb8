//! The table of states: docs/STATES.md prints it, and the database's constraints have the same names.

use std::collections::BTreeSet;
use std::path::Path;

use mint_core::states::{WORKFLOWS, page};

use crate::schema_sql::compare;
use crate::world::World;

#[test]
fn the_page_is_the_table() {
    compare(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/STATES.md"),
        &page(WORKFLOWS),
    );
}

#[tokio::test]
async fn the_database_knows_the_same_statuses() {
    let world = World::shared().await;
    let client = world.admin().await;
    for workflow in WORKFLOWS {
        let (table, column) = workflow.column.split_once('.').unwrap();
        let sql = "select pg_get_constraintdef(oid) from pg_constraint
                   where conrelid = ('public.' || $1)::regclass and conname = $1 || '_' || $2 || '_is_known'";
        let definition: String = client.query_one(sql, &[&table, &column]).await.unwrap().get(0);
        let known: BTreeSet<&str> = definition.split('\'').skip(1).step_by(2).collect();
        let ours: BTreeSet<&str> = workflow.states.iter().map(|state| state.name).collect();
        assert_eq!(known, ours, "{}", workflow.column);
    }
}

#[tokio::test]
async fn every_rule_pack_that_comes_with_the_program_can_be_read() {
    let world = World::shared().await;
    let client = world.admin().await;
    let rows = client
        .query(
            "select code, version, rules from public.rule_packs where created_by is null",
            &[],
        )
        .await
        .unwrap();
    assert!(rows.len() >= 6);
    for row in rows {
        let pack = nexus_mint::offerings::packs::parse(row.get(0), row.get(1), row.get(2)).unwrap();
        assert!(
            pack.rules.iter().all(|rule| !rule.checked && !rule.source.is_empty()),
            "{}: nobody competent has checked these yet, and each names its source",
            pack.code
        );
    }
}
