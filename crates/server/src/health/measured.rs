//! What the database measures of itself, for an admin: its size and connections, who follows its log, what is not sealed yet.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{command::Command, db::sql, permission::Admin, problem::Problem};

/// Rows that are not sealed are counted up to this; more is said to be more.
const COUNTED_MAX: i64 = 10_000;

/// Asks for it.
#[derive(Debug, Deserialize)]
pub struct Ask {}

/// What was measured at one instant.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Measured {
    /// The server's version, such as 17.5.
    version: String,
    /// Bytes of this database.
    size_bytes: i64,
    /// Connections to it now, of whatever program.
    connections: i64,
    /// Connections that the server takes in all.
    connections_max: i64,
    /// Followers of the log: name, whether somebody follows now, bytes of log kept for it.
    slots: Value,
    /// Rows of trail and ledger that are not sealed, at most one more than `counted_max`.
    unsealed: i64,
    /// When the newest seal was made.
    sealed_at: Option<DateTime<Utc>>,
    /// See `unsealed`.
    counted_max: i64,
}

/// Measures now.
///
/// # Errors
/// What the database answered.
pub async fn measure(command: &Command, _admin: &Admin, _body: Ask) -> Result<Measured, Problem> {
    let text = sql!(
        "select current_setting('server_version'), pg_database_size(current_database()),
                (select count(*) from pg_catalog.pg_stat_activity as a where a.datname = current_database()),
                current_setting('max_connections')::bigint,
                (select coalesce(jsonb_agg(jsonb_build_object('name', s.slot_name, 'isActive', s.active,
                          'keptBytes', pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)::bigint) order by s.slot_name), '[]')
                 from pg_catalog.pg_replication_slots as s where s.database = current_database())"
    );
    let database = command.tx.query_one(text, &[]).await?;
    let text = sql!(
        "with newest as (select s.audit_up_to, s.entries_up_to, s.sealed_at from nexus.seals as s order by s.number desc limit 1),
              place as (select coalesce((select n.audit_up_to from newest as n), 0) as audit, coalesce((select n.entries_up_to from newest as n), 0) as entry)
         select (select count(*) from (
                   (select from public.audit_log as a where a.id > (select p.audit from place as p) limit $1::bigint + 1)
                   union all (select from ledger.entries as e where e.id > (select p.entry from place as p) limit $1::bigint + 1)) as rows),
                (select n.sealed_at from newest as n)"
    );
    let seals = command.tx.query_one(text, &[&COUNTED_MAX]).await?;
    Ok(Measured {
        version: database.try_get(0)?,
        size_bytes: database.try_get(1)?,
        connections: database.try_get(2)?,
        connections_max: database.try_get(3)?,
        slots: database.try_get(4)?,
        unsealed: seals.try_get(0)?,
        sealed_at: seals.try_get(1)?,
        counted_max: COUNTED_MAX,
    })
}
