//! Recomputes the chain and names what differs. Reads page by page, so memory does not grow with the database.
//!
//! Three passes: [`links`] follows the chain itself (links, seals, signatures), [`content`] holds rows against their
//! links and details against their rows, [`anchors`] holds the chain against heads that were kept elsewhere. Only what is
//! sealed when it begins is looked at; what is written meanwhile is not missed, because it was not there.

mod anchors;
mod content;
mod finding;
mod links;

pub use finding::Finding;
use serde_json::{Value, json};
use tokio_postgres::Error;

use super::{
    chain::{Hash, Source, hex},
    head::Head,
    seals::{self, StoredSeal},
};
use crate::db::{Actor, Db, DbError, Tx, sql};

/// What is believed without the database's saying so.
#[derive(Debug, Clone, Default)]
pub struct Trusted {
    /// Public keys that may sign.
    pub keys: Vec<Hash>,
    /// Heads that were kept outside. Their keys may sign as well.
    pub heads: Vec<Head>,
}

/// What there was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Sealed audit rows.
    pub audit_rows: u64,
    /// Sealed ledger entries.
    pub entries: u64,
    /// Seals.
    pub seals: u64,
    /// The head of the newest seal; none where nothing is sealed.
    pub head: Option<Hash>,
    /// Rows that are not sealed yet.
    pub unsealed: i64,
    /// Age in seconds of the oldest of them.
    pub oldest_unsealed_s: Option<i64>,
    /// Up to which seal heads that were kept outside agree with the database; none without such a head.
    pub anchored_to: Option<i64>,
    /// How many findings are problems.
    pub problems: u64,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The database cannot be reached.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The database refused. What was not meant to be there may make it so: treat it as a problem.
    #[error("the audit chain could not be read to its end")]
    Query(#[from] Error),
}

/// Takes findings as they come, and counts the problems among them.
struct Report<'a> {
    tell: &'a mut (dyn FnMut(&Finding) + Send),
    problems: u64,
}

impl Report<'_> {
    fn found(&mut self, finding: &Finding) {
        if finding.is_problem() {
            self.problems = self.problems.saturating_add(1);
        }
        (self.tell)(finding);
    }
}

/// What is to be looked at: everything up to the newest seal.
struct Scope {
    seals_up_to: i64,
    audit_up_to: i64,
    entries_up_to: i64,
    links_up_to: i64,
}

impl Scope {
    fn up_to(&self, source: Source) -> i64 {
        match source {
            Source::Audit => self.audit_up_to,
            Source::Entry => self.entries_up_to,
        }
    }
}

/// Recomputes everything that is sealed, and tells each finding as it comes.
///
/// # Errors
/// See [`VerifyError`].
pub async fn verify(
    db: &Db,
    trusted: &Trusted,
    tell: &mut (dyn FnMut(&Finding) + Send),
) -> Result<Summary, VerifyError> {
    let mut report = Report { tell, problems: 0 };
    let tx = begin(db).await?;
    let newest = scope(&tx, &mut report).await?;
    drop(tx);
    let scope = newest.as_ref().map_or(
        Scope {
            seals_up_to: 0,
            audit_up_to: 0,
            entries_up_to: 0,
            links_up_to: 0,
        },
        |seal| Scope {
            seals_up_to: seal.batch.number,
            audit_up_to: seal.batch.audit_up_to,
            entries_up_to: seal.batch.entries_up_to,
            links_up_to: seal.batch.links_up_to,
        },
    );
    let keys = trusted
        .keys
        .iter()
        .copied()
        .chain(trusted.heads.iter().map(|head| head.batch.public_key))
        .collect();
    let counted = links::follow(db, &scope, keys, &mut report).await?;
    for source in Source::ALL {
        content::compare(db, source, &scope, &mut report).await?;
    }
    let anchored_to = anchors::compare(db, &trusted.heads, scope.seals_up_to, &mut report).await?;
    let (unsealed, oldest_unsealed_s) = unsealed(&begin(db).await?, &scope).await?;
    Ok(Summary {
        audit_rows: counted.audit_rows,
        entries: counted.entries,
        seals: counted.seals,
        head: newest.map(|seal| seal.head),
        unsealed,
        oldest_unsealed_s,
        anchored_to,
        problems: report.problems,
    })
}

/// A transaction a page, because whoever reads the findings may take his time.
async fn begin(db: &Db) -> Result<Tx, DbError> {
    db.as_engine(Actor::Program("audit verify")).await
}

/// The newest seal. Links behind it, seen in the same instant, belong to a seal that was taken away.
async fn scope(tx: &Tx, report: &mut Report<'_>) -> Result<Option<StoredSeal>, Error> {
    let text = sql!(
        "select coalesce(max(s.number), 0),
                (select min(l.place) from nexus.chain_links as l
                  where l.place > coalesce((select n.links_up_to from nexus.seals as n order by n.number desc limit 1), 0))
           from nexus.seals as s"
    );
    let row = tx.query_one(text, &[]).await?;
    let number: i64 = row.try_get(0)?;
    if let Some(place) = row.try_get(1)? {
        report.found(&Finding::LinksWithoutSeal { place });
    }
    Ok(seals::page(tx, number.saturating_sub(1), number, 1).await?.pop())
}

async fn unsealed(tx: &Tx, scope: &Scope) -> Result<(i64, Option<i64>), Error> {
    let text = sql!(
        "select count(*), extract(epoch from clock_timestamp() - min(t.recorded_at))::bigint
           from (select recorded_at from public.audit_log where id > $1
                 union all select recorded_at from ledger.entries where id > $2) as t"
    );
    let row = tx.query_one(text, &[&scope.audit_up_to, &scope.entries_up_to]).await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

impl Summary {
    /// For people.
    #[must_use]
    pub fn to_text(&self) -> String {
        let head = self.head.map_or_else(|| "none".to_owned(), |head| hex(&head));
        let oldest = self
            .oldest_unsealed_s
            .map(|age| format!(", the oldest {age} s old"))
            .unwrap_or_default();
        let anchored = self.anchored_to.map_or_else(
            || {
                "not externally anchored: whoever has the database and the key could have written all of it anew"
                    .to_owned()
            },
            |seal| format!("externally anchored up to seal {seal}"),
        );
        let problems = match self.problems {
            0 => "no problems".to_owned(),
            1 => "1 problem".to_owned(),
            count => format!("{count} problems"),
        };
        format!(
            "sealed: {} audit rows and {} ledger entries by {} seals; head {head}\nunsealed: {} rows{oldest}\n{anchored}\n{problems}",
            self.audit_rows, self.entries, self.seals, self.unsealed
        )
    }

    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "summary": {
                "audit_rows": self.audit_rows, "entries": self.entries, "seals": self.seals,
                "head": self.head.map(|head| hex(&head)), "unsealed": self.unsealed,
                "oldest_unsealed_s": self.oldest_unsealed_s, "anchored_to": self.anchored_to, "problems": self.problems,
            }
        })
    }
}
