//! The laws of the domain, asked of a whole database after every test, whatever it did; and every change of status looked up in
//! the table of `mint_core::states`.

use mint_core::states::WORKFLOWS;
use nexus_mint::ledger::{
    laws::{Breach, breaches},
    verify::verify,
};
use tokio_postgres::Client;

use crate::world::{World, connect};

/// Every change of status that the trail has.
const CHANGES: &str = "
    select distinct l.table_name, d.before ->> 'status', d.after ->> 'status', l.row_key
    from public.audit_log as l join nexus.audit_details as d on d.audit_id = l.id
    where l.operation = 'UPDATE' and 'status' = any (l.changed_columns)";

/// What of the laws does not hold in a database, in words; changes of status are looked up in [`hold`] alone, since other tests
/// of a shared database write rows as they please.
pub(crate) async fn broken(client: &Client) -> Vec<String> {
    let found = breaches(client).await.unwrap();
    found.iter().map(Breach::to_string).collect()
}

/// Changes of status that the table of states does not know.
async fn unknown_ways(client: &Client) -> Vec<String> {
    let mut broken = Vec::new();
    for row in client.query(CHANGES, &[]).await.unwrap() {
        let (table, from, to): (String, Option<String>, Option<String>) = (row.get(0), row.get(1), row.get(2));
        let column = format!("{}.status", table.trim_start_matches("public."));
        let Some(workflow) = WORKFLOWS.iter().find(|workflow| workflow.column == column) else {
            continue;
        };
        let (from, to) = (from.unwrap_or_default(), to.unwrap_or_default());
        if !workflow.allows(&from, &to) {
            broken.push(format!(
                "{column} went from {from} to {to}: {}",
                row.get::<_, String>(3)
            ));
        }
    }
    broken
}

/// All laws hold, and the ledger's replay agrees.
pub(crate) async fn hold(world: &World) {
    let admin = world.admin().await;
    let found = [broken(&admin).await, unknown_ways(&admin).await].concat();
    assert!(found.is_empty(), "{}", found.join("\n"));
    let verdict = verify(&connect(&world.runtime_config()).await).await.unwrap();
    assert_eq!(verdict.faults, [], "L14: every balance is the replay of the journal");
}
