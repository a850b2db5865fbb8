//! `nexus-mint ledger verify`: replays the journal from its first entry and compares what comes out with what stands there.
//!
//! PostgreSQL streams the postings in order and sorts them on its side where it must; here is one running balance at a
//! time, so memory is constant however long the journal. Everything is read in one snapshot.

use std::{fmt, pin::pin};

use futures_util::StreamExt as _;
use tokio_postgres::{Client, RowStream};

use crate::db::sql;

/// How many faults are told one by one. All are counted.
pub const FAULTS_TOLD_MAX: usize = 100;

/// Something that is not as the journal says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// L1: the postings of an entry do not add up to zero in an asset, or there are none.
    Unbalanced {
        /// The entry.
        entry_id: i64,
        /// The asset, where there are postings.
        asset: Option<String>,
        /// What they add up to.
        off: String,
    },
    /// L9: an entry moves cash between two properties.
    TwoProperties {
        /// The entry.
        entry_id: i64,
    },
    /// A posting is missing, or stands there twice.
    Gap {
        /// The account.
        account_id: i64,
        /// The place that was expected next.
        expected: i64,
        /// The place that was found.
        found: i64,
    },
    /// A posting's balance is not what the postings up to it add up to.
    RunningBalance {
        /// The account.
        account_id: i64,
        /// The place of the posting.
        account_seq: i64,
        /// What the replay gives.
        replayed: i128,
        /// What stands there.
        stored: i64,
    },
    /// L14: an account's balance is not what its postings add up to.
    Balance {
        /// The account.
        account_id: i64,
        /// What the replay gives.
        replayed: i128,
        /// What stands there; none where the account has no balance.
        stored: Option<i64>,
    },
    /// An account that does not stand for the outside world is below zero.
    BelowZero {
        /// The account.
        account_id: i64,
        /// The place of the posting after which it was.
        account_seq: i64,
    },
    /// L3: a copy of the ledger's figure differs from it.
    Copy {
        /// The copy: table, row and column.
        what: String,
        /// What the ledger says.
        ledger: String,
        /// What the copy says.
        copy: String,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Unbalanced {
                entry_id,
                asset: Some(asset),
                off,
            } => {
                write!(
                    out,
                    "entry {entry_id} does not balance: its postings in {asset} add up to {off}"
                )
            }
            Fault::Unbalanced {
                entry_id, asset: None, ..
            } => write!(out, "entry {entry_id} has no postings"),
            Fault::TwoProperties { entry_id } => write!(out, "entry {entry_id} moves cash between two properties"),
            Fault::Gap {
                account_id,
                expected,
                found,
            } => {
                write!(
                    out,
                    "account {account_id}: posting {expected} was expected and {found} found"
                )
            }
            Fault::RunningBalance {
                account_id,
                account_seq,
                replayed,
                stored,
            } => write!(
                out,
                "account {account_id}: after posting {account_seq} the balance is {replayed}, and {stored} stands there"
            ),
            Fault::Balance {
                account_id,
                replayed,
                stored: Some(stored),
            } => {
                write!(
                    out,
                    "account {account_id}: the balance is {replayed}, and {stored} stands there"
                )
            }
            Fault::Balance {
                account_id,
                replayed,
                stored: None,
            } => {
                write!(
                    out,
                    "account {account_id}: the balance is {replayed}, and none stands there"
                )
            }
            Fault::BelowZero {
                account_id,
                account_seq,
            } => {
                write!(out, "account {account_id} is below zero after posting {account_seq}")
            }
            Fault::Copy { what, ledger, copy } => write!(out, "{what}: the ledger says {ledger}, the copy {copy}"),
        }
    }
}

/// What was replayed, and what was wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Entries in the journal.
    pub entries: u64,
    /// Postings replayed.
    pub postings: u64,
    /// Accounts compared.
    pub accounts: u64,
    /// The first faults.
    pub faults: Vec<Fault>,
    /// All faults.
    pub faults_count: u64,
}

impl Verdict {
    fn found(&mut self, fault: Fault) {
        self.faults_count += 1;
        if self.faults.len() < FAULTS_TOLD_MAX {
            self.faults.push(fault);
        }
    }
}

/// Replays everything as the engine, in one read-only snapshot of its own.
///
/// # Errors
/// What the database answered.
pub async fn verify(client: &Client) -> Result<Verdict, tokio_postgres::Error> {
    // No limit: a long journal takes its time, and a snapshot holds nobody up.
    let begin = "begin transaction isolation level repeatable read read only;
         set local role nexus_engine; set local statement_timeout = 0; set local work_mem = '64MB'";
    client.batch_execute(begin).await?;
    let verdict = replay(client).await;
    let ended = client.batch_execute("rollback").await;
    let verdict = verdict?;
    ended?;
    Ok(verdict)
}

async fn replay(client: &Client) -> Result<Verdict, tokio_postgres::Error> {
    let mut verdict = Verdict::default();
    let counted = client
        .query_one(sql!("select count(*) from ledger.entries"), &[])
        .await?;
    verdict.entries = u64::try_from(counted.try_get::<_, i64>(0)?).unwrap_or(0);
    replay_accounts(client, &mut verdict).await?;
    check_entries(client, &mut verdict).await?;
    compare_copies(client, &mut verdict).await?;
    Ok(verdict)
}

async fn stream(client: &Client, text: &'static str) -> Result<RowStream, tokio_postgres::Error> {
    client
        .query_raw(text, std::iter::empty::<&(dyn tokio_postgres::types::ToSql + Sync)>())
        .await
}

/// One account's replay.
struct Running {
    account_id: i64,
    is_outside: bool,
    stored: Option<(i64, i64)>,
    balance: i128,
    seq: i64,
}

async fn replay_accounts(client: &Client, verdict: &mut Verdict) -> Result<(), tokio_postgres::Error> {
    // Each account's own line comes first (place 0), then its postings in order.
    let rows = stream(
        client,
        sql!(
            "select a.id as account_id, 0::bigint as place, a.is_outside, b.balance, b.postings
               from ledger.accounts as a left join ledger.balances as b on b.account_id = a.id
             union all
             select p.account_id, p.account_seq, null, p.amount, p.balance_after from ledger.postings as p
             order by account_id, place"
        ),
    )
    .await?;
    let mut rows = pin!(rows);
    let mut running: Option<Running> = None;
    while let Some(row) = rows.next().await {
        let row = row?;
        let (account_id, place): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        if place == 0 {
            close(running.take(), verdict);
            let balance: Option<i64> = row.try_get(3)?;
            let postings: Option<i64> = row.try_get(4)?;
            running = Some(Running {
                account_id,
                is_outside: row.try_get(2)?,
                stored: balance.zip(postings),
                balance: 0,
                seq: 0,
            });
        } else if let Some(account) = running.as_mut() {
            step(account, place, row.try_get(3)?, row.try_get(4)?, verdict);
        }
    }
    close(running, verdict);
    Ok(())
}

fn step(account: &mut Running, place: i64, amount: i64, stored: i64, verdict: &mut Verdict) {
    verdict.postings += 1;
    let account_id = account.account_id;
    if place != account.seq + 1 {
        verdict.found(Fault::Gap {
            account_id,
            expected: account.seq + 1,
            found: place,
        });
    }
    account.seq = place;
    account.balance += i128::from(amount);
    if account.balance != i128::from(stored) {
        verdict.found(Fault::RunningBalance {
            account_id,
            account_seq: place,
            replayed: account.balance,
            stored,
        });
    }
    if account.balance < 0 && !account.is_outside {
        verdict.found(Fault::BelowZero {
            account_id,
            account_seq: place,
        });
    }
}

fn close(account: Option<Running>, verdict: &mut Verdict) {
    let Some(Running {
        account_id,
        stored,
        balance,
        seq,
        ..
    }) = account
    else {
        return;
    };
    verdict.accounts += 1;
    if stored.map(|(stored, _)| i128::from(stored)) != Some(balance) {
        verdict.found(Fault::Balance {
            account_id,
            replayed: balance,
            stored: stored.map(|(stored, _)| stored),
        });
    }
    if let Some((_, postings)) = stored
        && postings != seq
    {
        verdict.found(Fault::Gap {
            account_id,
            expected: postings,
            found: seq,
        });
    }
}

async fn check_entries(client: &Client, verdict: &mut Verdict) -> Result<(), tokio_postgres::Error> {
    let rows = client
        .query(
            sql!(
                "select e.id, s.asset, s.off::text, false as two_properties
                   from ledger.entries as e
                   left join (
                     select p.entry_id, a.asset, sum(p.amount) as off
                       from ledger.postings as p join ledger.accounts as a on a.id = p.account_id
                      group by p.entry_id, a.asset
                   ) as s on s.entry_id = e.id
                  where s.off is distinct from 0
                 union all
                 select p.entry_id, null, '', true
                   from ledger.postings as p join ledger.accounts as a on a.id = p.account_id
                  where a.asset_kind = 'currency' and a.property_id is not null
                  group by p.entry_id having count(distinct a.property_id) > 1
                 order by 1"
            ),
            &[],
        )
        .await?;
    for row in rows {
        let entry_id = row.try_get(0)?;
        verdict.found(if row.try_get(3)? {
            Fault::TwoProperties { entry_id }
        } else {
            let off: Option<String> = row.try_get(2)?;
            Fault::Unbalanced {
                entry_id,
                asset: row.try_get(1)?,
                off: off.unwrap_or_default(),
            }
        });
    }
    Ok(())
}

/// Tokens that the ledger knows: what other tables copy from it must be the same (L3).
async fn compare_copies(client: &Client, verdict: &mut Verdict) -> Result<(), tokio_postgres::Error> {
    let rows = client
        .query(
            sql!(
                "with token as (
                   select t.id, t.property_id, t.total_supply_units, t.available_supply_units, t.token_decimals,
                          coalesce(sum(b.balance) filter (where a.purpose = 'authorised'), 0) as authorised,
                          coalesce(sum(b.balance) filter (where a.purpose = 'available'), 0) as available,
                          coalesce(sum(b.balance) filter (where a.purpose = 'held'), 0) as held
                     from public.property_tokens as t
                     join ledger.assets as s on s.property_token_id = t.id
                     join ledger.accounts as a on a.asset = s.code
                     join ledger.balances as b on b.account_id = a.id
                    group by t.id
                 )
                 select format('property_tokens %s total_supply_units', id), (-authorised)::text, total_supply_units::text
                   from token where -authorised <> total_supply_units
                 union all
                 select format('property_tokens %s available_supply_units', id), available::text, available_supply_units::text
                   from token where available <> available_supply_units
                 union all
                 select format('properties %s tokens_issued', p.id), h.held::text, p.tokens_issued::text
                   from (select property_id, sum(nexus.from_minor(held::bigint, token_decimals)) as held from token group by property_id) as h
                   join public.properties as p on p.id = h.property_id
                  where h.held <> p.tokens_issued
                 order by 1"
            ),
            &[],
        )
        .await?;
    for row in rows {
        verdict.found(Fault::Copy {
            what: row.try_get(0)?,
            ledger: row.try_get(1)?,
            copy: row.try_get(2)?,
        });
    }
    Ok(())
}
