//! What verifying can find. Each has a word that stays, and says which row it is about.

use std::fmt;

use serde_json::{Value, json};

use crate::audit::chain::{Hash, Source, hex};

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// A sealed row says something else than when it was sealed. Of an entry, its postings count as well.
    Altered(Source, i64),
    /// A sealed row is gone.
    Removed(Source, i64),
    /// A row stands among sealed ones and was never sealed.
    Inserted(Source, i64),
    /// What another sealed row said stands under this number.
    Reordered {
        /// Which kind of row.
        source: Source,
        /// Where it stands.
        id: i64,
        /// Where it stood when it was sealed.
        sealed_as: i64,
    },
    /// Postings of an entry that does not exist.
    PostingsWithoutEntry(i64),
    /// The details are not those that the audit row's digest binds.
    AlteredDetails(i64),
    /// The details are those of another audit row.
    ReorderedDetails {
        /// Where they stand.
        audit_id: i64,
        /// Where they belong.
        belong_to: i64,
    },
    /// The details are gone, and no recorded case says why.
    RemovedDetails(i64),
    /// Details stand where there is no audit row, or where they were erased.
    InsertedDetails(i64),
    /// The details were erased. Not a problem.
    Erased {
        /// The audit row.
        audit_id: i64,
        /// The case.
        case_id: i64,
    },
    /// A link does not follow from the one before it.
    AlteredLink {
        /// Its place.
        place: i64,
        /// What it is of.
        of: Option<(Source, i64)>,
    },
    /// Links are gone.
    RemovedLinks {
        /// The first.
        from: i64,
        /// The last.
        to: i64,
    },
    /// A link is of a row that its seal does not cover, or out of order.
    MisplacedLink {
        /// Its place.
        place: i64,
        /// What it is of.
        of: (Source, i64),
    },
    /// Links from here on belong to no seal.
    LinksWithoutSeal {
        /// The first place.
        place: i64,
    },
    /// A seal does not say what its links say.
    AlteredSeal(i64),
    /// Seals are gone.
    RemovedSeals {
        /// The first.
        from: i64,
        /// The last.
        to: i64,
    },
    /// A seal's signature is not one over it.
    WrongSignature(i64),
    /// Seals are signed by a key that is not known here.
    UnknownKey {
        /// The first seal.
        from: i64,
        /// The last.
        to: i64,
        /// The public key.
        key: Hash,
    },
    /// The database's chain ends before a head that was kept outside.
    Cut {
        /// Number of the head's seal.
        seal: i64,
        /// The newest seal there is.
        newest: i64,
    },
    /// The database's chain has another seal where a head was kept outside.
    Rewritten {
        /// Number of the head's seal.
        seal: i64,
    },
}

impl Finding {
    /// The word for it: what programs match.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Finding::Altered(..) => "altered",
            Finding::Removed(..) => "removed",
            Finding::Inserted(..) | Finding::PostingsWithoutEntry(_) => "inserted",
            Finding::Reordered { .. } => "reordered",
            Finding::AlteredDetails(_) => "altered details",
            Finding::ReorderedDetails { .. } => "reordered details",
            Finding::RemovedDetails(_) => "removed details",
            Finding::InsertedDetails(_) => "inserted details",
            Finding::Erased { .. } => "erased",
            Finding::AlteredLink { .. }
            | Finding::RemovedLinks { .. }
            | Finding::MisplacedLink { .. }
            | Finding::LinksWithoutSeal { .. }
            | Finding::AlteredSeal(_)
            | Finding::RemovedSeals { .. }
            | Finding::WrongSignature(_) => "chain broken",
            Finding::UnknownKey { .. } => "unknown key",
            Finding::Cut { .. } => "cut",
            Finding::Rewritten { .. } => "rewritten",
        }
    }

    /// Whether it means that something is not as it was.
    #[must_use]
    pub fn is_problem(&self) -> bool {
        !matches!(self, Finding::Erased { .. })
    }

    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({ "kind": self.kind(), "problem": self.is_problem(), "what": self.what(), "text": self.to_string() })
    }

    /// What it is about, without saying what is wrong with it.
    fn what(&self) -> String {
        match self {
            Finding::Altered(source, id)
            | Finding::Removed(source, id)
            | Finding::Inserted(source, id)
            | Finding::Reordered { source, id, .. } => row(*source, *id),
            Finding::PostingsWithoutEntry(id) => row(Source::Entry, *id),
            Finding::AlteredDetails(id)
            | Finding::RemovedDetails(id)
            | Finding::InsertedDetails(id)
            | Finding::ReorderedDetails { audit_id: id, .. }
            | Finding::Erased { audit_id: id, .. } => row(Source::Audit, *id),
            Finding::AlteredLink { place, of: None } | Finding::LinksWithoutSeal { place } => format!("link {place}"),
            Finding::AlteredLink {
                place,
                of: Some((source, id)),
            }
            | Finding::MisplacedLink {
                place,
                of: (source, id),
            } => format!("link {place} ({})", row(*source, *id)),
            Finding::RemovedLinks { from, to } => range("link", *from, *to),
            Finding::AlteredSeal(number) | Finding::WrongSignature(number) => range("seal", *number, *number),
            Finding::RemovedSeals { from, to } | Finding::UnknownKey { from, to, .. } => range("seal", *from, *to),
            Finding::Cut { seal, .. } | Finding::Rewritten { seal } => range("seal", *seal, *seal),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.kind(), self.what())?;
        match self {
            Finding::Altered(..) | Finding::Removed(..) => Ok(()),
            Finding::Inserted(..) => out.write_str(" was never sealed"),
            Finding::Reordered { source, sealed_as, .. } => {
                write!(out, " says what {} said when it was sealed", row(*source, *sealed_as))
            }
            Finding::PostingsWithoutEntry(_) => out.write_str(" does not exist and has postings"),
            Finding::AlteredDetails(_) => out.write_str(": its details are not those that its digest binds"),
            Finding::ReorderedDetails { belong_to, .. } => {
                write!(out, " has the details of {}", row(Source::Audit, *belong_to))
            }
            Finding::RemovedDetails(_) => out.write_str(" has no details, and no recorded case says why"),
            Finding::InsertedDetails(_) => out.write_str(" has details that it should not have"),
            Finding::Erased { case_id, .. } => write!(out, ": details erased by case {case_id}"),
            Finding::AlteredLink { .. } => out.write_str(" does not follow from the one before it"),
            Finding::RemovedLinks { .. } | Finding::RemovedSeals { .. } => out.write_str(" missing"),
            Finding::MisplacedLink { .. } => out.write_str(" is not where its seal has it"),
            Finding::LinksWithoutSeal { .. } => out.write_str(" and what follows it belongs to no seal"),
            Finding::AlteredSeal(_) => out.write_str(" does not say what its links say"),
            Finding::WrongSignature(_) => out.write_str(" has a wrong signature"),
            Finding::UnknownKey { key, .. } => write!(out, " signed by {}, which is not known here", hex(key)),
            Finding::Cut { newest, .. } => {
                write!(
                    out,
                    " was exported, and the chain in the database ends at seal {newest}"
                )
            }
            Finding::Rewritten { .. } => out.write_str(" is another than the one that was exported"),
        }
    }
}

fn row(source: Source, id: i64) -> String {
    match source {
        Source::Audit => format!("audit row {id}"),
        Source::Entry => format!("ledger entry {id}"),
    }
}

fn range(what: &str, from: i64, to: i64) -> String {
    if from == to {
        format!("{what} {from}")
    } else {
        format!("{what}s {from} to {to}")
    }
}
