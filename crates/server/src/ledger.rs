//! The ledger's only way in: entries that balance already go to the kernel in the database, many at once.
//!
//! A command builds [`Postings`] (which cannot be built unbalanced), names the entry by a key that a retry repeats, and
//! posts it in its own transaction as the engine. Absent on purpose: any statement that changes a balance.

pub mod laws;
pub mod verify;

use std::collections::HashMap;

use chrono::NaiveDate;
use mint_core::{account::Account, posting::Postings};
use serde_json::Value;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use crate::db::{Tx, sql};

/// An entry to post.
#[derive(Debug, Clone)]
pub struct NewEntry {
    /// What makes a retry the same entry, such as `investment:<id>:reserve`: at most 200 characters.
    pub key: String,
    /// Which business event it is, such as `investment.reserved`.
    pub kind: &'static str,
    /// The day it counts for.
    pub business_date: NaiveDate,
    /// The login whose command it is; none for a job.
    pub actor_id: Option<Uuid>,
    /// What it is about: a JSON object of ids.
    pub cause: Value,
    /// The lines.
    pub postings: Postings,
}

/// An entry as it was posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posted {
    /// Its sequence number.
    pub entry_id: i64,
    /// False when the same entry had been posted before.
    pub is_new: bool,
}

/// Why nothing was posted.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The key belongs to an entry with other content.
    #[error("an entry's key was used for another entry: {0}")]
    KeyReused(String),
    /// An account that does not stand for the outside world would go below zero.
    #[error("{0}")]
    BelowZero(String),
    /// The database refused for another reason.
    #[error("the ledger could not be written")]
    Database(#[source] tokio_postgres::Error),
}

impl From<tokio_postgres::Error> for LedgerError {
    fn from(error: tokio_postgres::Error) -> LedgerError {
        let said = error
            .as_db_error()
            .map(|refusal| (refusal.constraint(), refusal.message().to_owned()));
        match (error.code(), said) {
            (Some(&SqlState::UNIQUE_VIOLATION), Some((Some("entries_key_key"), message))) => {
                LedgerError::KeyReused(message)
            }
            (_, Some((Some("balances_not_below_zero"), message))) => LedgerError::BelowZero(message),
            (_, _) => LedgerError::Database(error),
        }
    }
}

/// Opens the accounts that are new, and posts.
pub(crate) const POST: &str = sql!(
    "with opened as materialized (select ledger.open_accounts($1, $2, $3, $4) as ids)
     select p.entry_id, p.is_new from opened as o
     cross join lateral ledger.post_batch($5, $6, $7, $8, $9, $10,
       array(select o.ids[w.account] from unnest($11::integer[]) with ordinality as w (account, place) order by w.place), $12) as p"
);

/// Posts all of these entries or none, and answers for each in order. `tx` is the engine's. One round trip, however many
/// entries there are; balances are locked in the order of the accounts' numbers.
///
/// # Errors
/// See [`LedgerError`]; the transaction can then only be rolled back.
pub async fn post_batch(tx: &Tx, entries: &[NewEntry]) -> Result<Vec<Posted>, LedgerError> {
    let mut accounts: Vec<&Account> = Vec::new();
    let mut known: HashMap<&Account, i32> = HashMap::new();
    let (mut places, mut which, mut units) = (Vec::new(), Vec::new(), Vec::new());
    for (entry, place) in entries.iter().zip(1_i32..) {
        for line in entry.postings.lines() {
            let next = i32::try_from(accounts.len() + 1).unwrap_or(i32::MAX);
            which.push(*known.entry(line.account()).or_insert_with(|| {
                accounts.push(line.account());
                next
            }));
            places.push(place);
            units.push(line.units());
        }
    }
    let purposes: Vec<&str> = accounts.iter().map(|account| account.purpose().name()).collect();
    let assets: Vec<String> = accounts.iter().map(|account| account.asset().code()).collect();
    let properties: Vec<Option<Uuid>> = accounts.iter().map(|account| account.property_id()).collect();
    let parties: Vec<Option<Uuid>> = accounts.iter().map(|account| account.party_id()).collect();
    let keys: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
    let kinds: Vec<&str> = entries.iter().map(|entry| entry.kind).collect();
    let dates: Vec<NaiveDate> = entries.iter().map(|entry| entry.business_date).collect();
    let actors: Vec<Option<Uuid>> = entries.iter().map(|entry| entry.actor_id).collect();
    let causes: Vec<&Value> = entries.iter().map(|entry| &entry.cause).collect();
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &purposes,
        &assets,
        &properties,
        &parties,
        &keys,
        &kinds,
        &dates,
        &actors,
        &causes,
        &places,
        &which,
        &units,
    ];
    let rows = tx.query(POST, params).await?;
    let posted = rows.iter().map(|row| {
        Ok(Posted {
            entry_id: row.try_get(0)?,
            is_new: row.try_get(1)?,
        })
    });
    posted.collect()
}

/// Posts one entry. See [`post_batch`].
///
/// # Errors
/// See [`LedgerError`].
pub async fn post(tx: &Tx, entry: NewEntry) -> Result<Posted, LedgerError> {
    let posted = post_batch(tx, &[entry]).await?;
    // The kernel answers once for each key.
    posted
        .first()
        .copied()
        .ok_or_else(|| LedgerError::KeyReused("the kernel gave no answer".to_owned()))
}
