//! The sealer: gives every decided row its link and signs each batch.
//!
//! One transaction seals one batch. It reads how far row numbers were given, and then takes its own transaction number:
//! whoever has one of those row numbers has a smaller transaction number. Once all smaller ones have ended, which it waits
//! for, every row up to there is either visible or will never be. It holds nothing that a writer waits for, and while it
//! waits it holds back nothing that the transaction it waits for does not hold back as well. Whenever it is interrupted,
//! the batch is undone as a whole and the next one begins where the last seal ends.
//!
//! One transaction, and not limits remembered between two: after a crash of the server, row numbers that had not reached
//! the disk are given once more, and remembered limits would pass rows by that are written later.

use std::time::{Duration, Instant};

use chrono::DateTime;
use tokio_postgres::Error;

use super::{
    chain::{Batch, Hash, START, Source, hex, link},
    head::Head,
    key::SealKey,
    rows::{self, ChainedRow},
    seals,
};
use crate::db::{Actor, CommitError, Db, DbError, Tx, sql};

/// Rows of each source in one seal: some megabytes of memory, and about a second of work that an interruption may cost.
const ROWS_MAX: i64 = 10_000;

/// How often to look whether older transactions have ended. They tell nobody.
const WAIT_TICK: Duration = Duration::from_millis(50);

/// Any number, as long as nobody else uses it: who seals.
const SEALER_LOCK: i64 = 0x6e78_6d69_6e74_0003;

/// Seals what was written.
#[derive(Clone)]
pub struct Sealer {
    /// Signs.
    pub key: SealKey,
    /// Rows of each source in one seal, at most.
    pub rows_max: i64,
    /// How long to wait for older transactions before giving up for this time.
    pub patience: Duration,
    /// What to do where the newest seal was signed by another key.
    pub other_key: OtherKey,
}

/// What to do where the newest seal was signed by another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherKey {
    /// Nothing: two servers would sign with two keys, or somebody put seals of his own there.
    Refuse,
    /// Go on with ours, because the operator said so.
    Replace,
}

/// What one step came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Everything is sealed.
    Nothing,
    /// A batch was sealed; there may be more.
    Sealed(Box<Head>),
    /// Older transactions still run.
    Waiting,
    /// Somebody else is sealing.
    Busy,
}

/// Why nothing was sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The database cannot be reached.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The database refused.
    #[error("the audit chain could not be sealed")]
    Query(#[from] Error),
    /// The batch did not become permanent.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// Somebody else's key is in use.
    #[error(
        "the newest seal was signed by the key {found}, and ours is {ours}: give all servers of this database the same \
         NEXUS_MINT_SEAL_KEY, or, if the key was lost, say `nexus-mint audit seal --new-key` once"
    )]
    OtherKey {
        /// The public key of the newest seal.
        found: String,
        /// Our own.
        ours: String,
    },
    /// The newest seal or its links are not what was written.
    #[error("the newest seal is not true; `nexus-mint audit verify` says what was changed")]
    NotTrue,
    /// The database's clock shows an instant that cannot be written.
    #[error("the database's clock shows {0} microseconds since 1970")]
    Clock(i64),
}

/// Where the chain ends.
struct End {
    number: i64,
    audit_up_to: i64,
    entries_up_to: i64,
    links_up_to: i64,
    head: Hash,
}

/// How far row numbers were given.
struct Limits {
    audit_up_to: i64,
    entries_up_to: i64,
    decided_from: String,
}

impl Sealer {
    /// A sealer that waits so long for older transactions.
    #[must_use]
    pub fn new(key: SealKey, patience: Duration) -> Sealer {
        Sealer {
            key,
            rows_max: ROWS_MAX,
            patience,
            other_key: OtherKey::Refuse,
        }
    }

    /// Seals one batch, if there is something to seal and it is decided.
    ///
    /// # Errors
    /// See [`SealError`]. Nothing is half sealed.
    pub async fn step(&self, db: &Db) -> Result<Progress, SealError> {
        let tx = db.as_engine(Actor::Program("sealer")).await?;
        let text = sql!("select pg_try_advisory_xact_lock($1)");
        if !tx.query_one(text, &[&SEALER_LOCK]).await?.try_get::<_, bool>(0)? {
            return Ok(Progress::Busy);
        }
        let end = self.end(&tx).await?;
        let text = sql!(
            "select exists (select from public.audit_log where id > $1) or exists (select from ledger.entries where id > $2)"
        );
        let row = tx.query_one(text, &[&end.audit_up_to, &end.entries_up_to]).await?;
        if !row.try_get::<_, bool>(0)? {
            return Ok(Progress::Nothing);
        }
        let limits = limits(&tx).await?;
        if !self.is_decided(&tx, &limits).await? {
            return Ok(Progress::Waiting);
        }
        match self.seal(&tx, &end, &limits).await? {
            Some(head) => {
                tx.commit().await?;
                Ok(Progress::Sealed(Box::new(head)))
            }
            None => Ok(Progress::Nothing),
        }
    }

    /// The end of the chain, checked as far as that costs nothing.
    async fn end(&self, tx: &Tx) -> Result<End, SealError> {
        let Some(newest) = seals::newest(tx).await? else {
            return Ok(End {
                number: 0,
                audit_up_to: 0,
                entries_up_to: 0,
                links_up_to: 0,
                head: START,
            });
        };
        if newest.batch.head() != newest.head || !newest.to_head().is_signed() {
            return Err(SealError::NotTrue);
        }
        if newest.batch.public_key != self.key.public() && self.other_key == OtherKey::Refuse {
            return Err(SealError::OtherKey {
                found: hex(&newest.batch.public_key),
                ours: hex(&self.key.public()),
            });
        }
        Ok(End {
            number: newest.batch.number,
            audit_up_to: newest.batch.audit_up_to,
            entries_up_to: newest.batch.entries_up_to,
            links_up_to: newest.batch.links_up_to,
            head: newest.head,
        })
    }

    /// Waits until every transaction that could still write a row below the limits has ended.
    async fn is_decided(&self, tx: &Tx, limits: &Limits) -> Result<bool, Error> {
        let begin = Instant::now();
        let text = sql!("select pg_snapshot_xmin(pg_current_snapshot()) >= $1::text::xid8");
        loop {
            if tx.query_one(text, &[&limits.decided_from]).await?.try_get(0)? {
                return Ok(true);
            }
            if begin.elapsed() >= self.patience {
                return Ok(false);
            }
            tokio::time::sleep(WAIT_TICK).await;
        }
    }

    /// Writes links and seal of the next batch, if it has rows.
    async fn seal(&self, tx: &Tx, end: &End, limits: &Limits) -> Result<Option<Head>, SealError> {
        let (audit, audit_up_to) = self
            .rows(tx, Source::Audit, end.audit_up_to, limits.audit_up_to)
            .await?;
        let (entries, entries_up_to) = self
            .rows(tx, Source::Entry, end.entries_up_to, limits.entries_up_to)
            .await?;
        let links = Links::behind(end.head, &audit, &entries);
        let Some(last_link) = links.links.last().copied() else {
            return Ok(None);
        };
        let (count, sealed_at_us) = links.write(tx, end.links_up_to).await?;
        let batch = Batch {
            number: end.number.saturating_add(1),
            sealed_at_us,
            audit_up_to,
            entries_up_to,
            links_up_to: end.links_up_to.saturating_add(count),
            last_link,
            public_key: self.key.public(),
        };
        let signature = self.key.sign(&batch.head());
        write_seal(tx, &batch, &signature).await?;
        Ok(Some(Head { batch, signature }))
    }

    /// The rows of a source that come next, and how far they reach.
    async fn rows(&self, tx: &Tx, source: Source, after: i64, up_to: i64) -> Result<(Vec<ChainedRow>, i64), Error> {
        let mut found = Vec::new();
        let mut reached = after;
        while reached < up_to {
            let left = self
                .rows_max
                .saturating_sub(i64::try_from(found.len()).unwrap_or(i64::MAX));
            if left <= 0 {
                break;
            }
            let page = rows::page(tx, source, reached, up_to, left.min(rows::PAGE_ROWS)).await?;
            found.extend(page.rows);
            reached = page.up_to;
        }
        Ok((found, reached))
    }
}

async fn limits(tx: &Tx) -> Result<Limits, Error> {
    let text = sql!("select audit_up_to, entries_up_to, decided_from::text from nexus.seal_limits()");
    let row = tx.query_one(text, &[]).await?;
    Ok(Limits {
        audit_up_to: row.try_get(0)?,
        entries_up_to: row.try_get(1)?,
        decided_from: row.try_get(2)?,
    })
}

/// The links of a batch, in the columns of one statement.
struct Links {
    sources: Vec<&'static str>,
    ids: Vec<i64>,
    digests: Vec<Vec<u8>>,
    links: Vec<Hash>,
}

impl Links {
    /// Audit rows first, then entries, each by number.
    fn behind(head: Hash, audit: &[ChainedRow], entries: &[ChainedRow]) -> Links {
        let rows = audit
            .iter()
            .map(|row| (Source::Audit, row))
            .chain(entries.iter().map(|row| (Source::Entry, row)));
        let mut previous = head;
        let mut links = Links {
            sources: Vec::new(),
            ids: Vec::new(),
            digests: Vec::new(),
            links: Vec::new(),
        };
        for (source, row) in rows {
            previous = link(source, &previous, row.id, &row.digest);
            links.sources.push(source.name());
            links.ids.push(row.id);
            links.digests.push(row.digest.to_vec());
            links.links.push(previous);
        }
        links
    }

    /// Writes them behind a place. Returns how many they are, and the instant.
    async fn write(&self, tx: &Tx, behind: i64) -> Result<(i64, i64), Error> {
        let text = sql!(
            "with written as (
               insert into nexus.chain_links (place, source, source_id, row_digest, link)
               select $1 + l.place, l.source, l.source_id, l.row_digest, l.link
                 from unnest($2::text[], $3::bigint[], $4::bytea[], $5::bytea[]) with ordinality
                   as l (source, source_id, row_digest, link, place)
               returning 1)
             select count(*), trunc(extract(epoch from clock_timestamp()) * 1000000)::bigint from written"
        );
        let links: Vec<Vec<u8>> = self.links.iter().map(|link| link.to_vec()).collect();
        let row = tx
            .query_one(text, &[&behind, &self.sources, &self.ids, &self.digests, &links])
            .await?;
        Ok((row.try_get(0)?, row.try_get(1)?))
    }
}

async fn write_seal(tx: &Tx, batch: &Batch, signature: &[u8; 64]) -> Result<(), SealError> {
    let text = sql!(
        "insert into nexus.seals (number, sealed_at, audit_up_to, entries_up_to, links_up_to, head, public_key, signature)
         values ($1, $2, $3, $4, $5, $6, $7, $8)"
    );
    let us = batch.sealed_at_us;
    let sealed_at = DateTime::from_timestamp_micros(us).ok_or(SealError::Clock(us))?;
    tx.execute(
        text,
        &[
            &batch.number,
            &sealed_at,
            &batch.audit_up_to,
            &batch.entries_up_to,
            &batch.links_up_to,
            &batch.head().as_slice(),
            &batch.public_key.as_slice(),
            &signature.as_slice(),
        ],
    )
    .await?;
    Ok(())
}

/// The newest head, as the database has it.
///
/// # Errors
/// See [`SealError`]: a head that is not true is none.
pub async fn newest_head(db: &Db) -> Result<Option<Head>, SealError> {
    let tx = db.as_engine(Actor::Program("sealer")).await?;
    let newest = seals::newest(&tx).await?;
    tx.commit().await?;
    match newest {
        Some(seal) if seal.batch.head() != seal.head || !seal.to_head().is_signed() => Err(SealError::NotTrue),
        other => Ok(other.map(|seal| seal.to_head())),
    }
}
