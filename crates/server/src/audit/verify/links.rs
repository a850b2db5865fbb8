//! The chain itself: every link follows from the one before it, every seal is what its links say, and is signed.
//!
//! After a break it goes on from what stands there, so that one break is told once.

use tokio_postgres::Row;

use super::{Finding, Report, Scope, VerifyError, begin};
use crate::{
    audit::{
        chain::{Hash, START, Source, link},
        seals::{self, StoredSeal},
    },
    db::{Db, Tx, sql},
};

/// Seals and links read at once.
const PAGE_SEALS: i64 = 500;
const PAGE_LINKS: i64 = 5_000;

/// How much there was.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) audit_rows: u64,
    pub(super) entries: u64,
    pub(super) seals: u64,
}

/// Follows the chain from its beginning.
pub(super) async fn follow(
    db: &Db,
    scope: &Scope,
    keys: Vec<Hash>,
    report: &mut Report<'_>,
) -> Result<Counted, VerifyError> {
    let mut walk = Walk::from_the_start(keys);
    loop {
        let tx = begin(db).await?;
        let page = seals::page(&tx, walk.seal, scope.seals_up_to, PAGE_SEALS).await?;
        drop(tx);
        let Some(last) = page.last() else { break };
        let last = last.batch.number;
        for seal in page {
            while walk.place < seal.batch.links_up_to {
                let tx = begin(db).await?;
                if !walk.links(&tx, &seal, report).await? {
                    break;
                }
            }
            walk.close(&seal, report);
        }
        walk.seal = last;
    }
    walk.tell_unknown_key(report);
    Ok(walk.counted)
}

struct Walk {
    keys: Vec<Hash>,
    /// What the next link goes on from.
    previous: Hash,
    place: i64,
    seal: i64,
    /// The last rows that the seal before covers.
    covered: [i64; 2],
    /// The last row in the batch so far.
    last: Option<(Source, i64)>,
    /// Seals in a row that an unknown key signed.
    unknown: Option<(i64, i64, Hash)>,
    counted: Counted,
}

/// A link as it stands there.
struct Stored {
    place: i64,
    of: Option<(Source, i64)>,
    row_digest: Hash,
    link: Hash,
}

impl Walk {
    fn from_the_start(keys: Vec<Hash>) -> Walk {
        Walk {
            keys,
            previous: START,
            place: 0,
            seal: 0,
            covered: [0, 0],
            last: None,
            unknown: None,
            counted: Counted::default(),
        }
    }

    /// A page of a seal's links. False when there were none.
    async fn links(&mut self, tx: &Tx, seal: &StoredSeal, report: &mut Report<'_>) -> Result<bool, VerifyError> {
        let text = sql!(
            "select place, source, source_id, row_digest, link from nexus.chain_links
              where place > $1 and place <= $2 order by place limit $3"
        );
        let rows = tx
            .query(text, &[&self.place, &seal.batch.links_up_to, &PAGE_LINKS])
            .await?;
        for row in &rows {
            self.link(&stored(row)?, seal, report);
        }
        Ok(!rows.is_empty())
    }

    fn link(&mut self, found: &Stored, seal: &StoredSeal, report: &mut Report<'_>) {
        let expected = self.place.saturating_add(1);
        if found.place > expected {
            report.found(&Finding::RemovedLinks {
                from: expected,
                to: found.place.saturating_sub(1),
            });
        }
        let computed = found
            .of
            .map(|(source, id)| link(source, &self.previous, id, &found.row_digest));
        // Behind a gap there is nothing that it could follow from.
        if found.place == expected && computed != Some(found.link) {
            report.found(&Finding::AlteredLink {
                place: found.place,
                of: found.of,
            });
        }
        if let Some(of) = found.of {
            if !self.is_in_order(of, seal) {
                report.found(&Finding::MisplacedLink { place: found.place, of });
            }
            self.last = Some(of);
            match of.0 {
                Source::Audit => self.counted.audit_rows = self.counted.audit_rows.saturating_add(1),
                Source::Entry => self.counted.entries = self.counted.entries.saturating_add(1),
            }
        }
        self.previous = found.link;
        self.place = found.place;
    }

    /// Audit rows before entries, each by number, and all of them what this seal covers and the one before does not.
    /// Where seals are missing, nobody knows which of the links were theirs.
    fn is_in_order(&self, of: (Source, i64), seal: &StoredSeal) -> bool {
        if seal.batch.number > self.seal.saturating_add(1) {
            return true;
        }
        let [audit, entries] = self.covered;
        let covered = match of.0 {
            Source::Audit => audit < of.1 && of.1 <= seal.batch.audit_up_to,
            Source::Entry => entries < of.1 && of.1 <= seal.batch.entries_up_to,
        };
        covered && self.last.is_none_or(|last| last < of)
    }

    fn close(&mut self, seal: &StoredSeal, report: &mut Report<'_>) {
        let expected = self.seal.saturating_add(1);
        if seal.batch.number > expected {
            report.found(&Finding::RemovedSeals {
                from: expected,
                to: seal.batch.number.saturating_sub(1),
            });
        }
        if self.place < seal.batch.links_up_to {
            report.found(&Finding::RemovedLinks {
                from: self.place.saturating_add(1),
                to: seal.batch.links_up_to,
            });
        } else if seal.batch.head() != seal.head {
            report.found(&Finding::AlteredSeal(seal.batch.number));
        }
        let head = seal.to_head();
        // The signature is over what it says and not over the head that stands beside it.
        if self.place >= seal.batch.links_up_to && seal.batch.head() == seal.head && !head.is_signed() {
            report.found(&Finding::WrongSignature(seal.batch.number));
        }
        self.note_key(seal, report);
        self.previous = seal.head;
        self.place = seal.batch.links_up_to;
        self.seal = seal.batch.number;
        self.covered = [seal.batch.audit_up_to, seal.batch.entries_up_to];
        self.last = None;
        self.counted.seals = self.counted.seals.saturating_add(1);
    }

    fn note_key(&mut self, seal: &StoredSeal, report: &mut Report<'_>) {
        let (number, key) = (seal.batch.number, seal.batch.public_key);
        match &mut self.unknown {
            Some((_, to, unknown)) if *unknown == key => *to = number,
            Some(_) | None => {
                self.tell_unknown_key(report);
                if !self.keys.contains(&key) {
                    self.unknown = Some((number, number, key));
                }
            }
        }
    }

    fn tell_unknown_key(&mut self, report: &mut Report<'_>) {
        if let Some((from, to, key)) = self.unknown.take() {
            report.found(&Finding::UnknownKey { from, to, key });
        }
    }
}

fn stored(row: &Row) -> Result<Stored, tokio_postgres::Error> {
    let source = Source::named(row.try_get(1)?);
    let id: i64 = row.try_get(2)?;
    Ok(Stored {
        place: row.try_get(0)?,
        of: source.map(|source| (source, id)),
        row_digest: seals::bytes(row, 3)?,
        link: seals::bytes(row, 4)?,
    })
}
