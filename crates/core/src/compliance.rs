//! Who a party is in the eyes of the law, at an instant: identity, screening, residency, accreditation.
//!
//! What always holds: an approval counts while `now < until` and no longer at `until`; what is missing, open or expired
//! never counts; and the refusal for a party that screening does not clear is the same whatever screening found, because
//! telling somebody that he is on a list is an offence in many places.

pub mod case;
pub mod names;
pub mod owners;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::refusal::Refusal;

/// How far an identity is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Name, date of birth and residency, by one document.
    Basic,
    /// The source of the money and a second document as well.
    Enhanced,
}

impl Level {
    /// All of them, the lowest first.
    pub const ALL: [Level; 2] = [Level::Basic, Level::Enhanced];

    /// The name in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Level::Basic => "basic",
            Level::Enhanced => "enhanced",
        }
    }

    /// The level with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Level> {
        Level::ALL.into_iter().find(|level| level.name() == name)
    }
}

/// Where the verification of a party's identity stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// Nothing was submitted, or it was withdrawn.
    None,
    /// Something is submitted, and not decided.
    Pending,
    /// Verified, and counts before `until`.
    Approved {
        /// How far.
        level: Level,
        /// The first instant at which it no longer counts.
        until: DateTime<Utc>,
    },
    /// Turned down, or an approval was taken back.
    Rejected,
    /// It was verified, and that has ended.
    Expired,
}

/// What the cases of a party say of its identity, before an instant is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IdentityRecord {
    /// The approval that was not replaced or taken back.
    pub approved: Option<(Level, DateTime<Utc>)>,
    /// Whether a case is submitted or in review.
    pub is_open: bool,
    /// How the case that ended last did, where that says something: withdrawn and superseded ones do not.
    pub ended: Option<Ended>,
}

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Turned down, or an approval taken back.
    Rejected,
    /// Found to have expired.
    Expired,
}

impl Identity {
    /// What a record means at `now`: an approval in force first, then a case that is open, then how the last one ended.
    #[must_use]
    pub fn of(record: &IdentityRecord, now: DateTime<Utc>) -> Identity {
        match (record.approved, record.is_open, record.ended) {
            (Some((level, until)), _, _) if now < until => Identity::Approved { level, until },
            (_, true, _) => Identity::Pending,
            (Some(_), false, _) | (None, false, Some(Ended::Expired)) => Identity::Expired,
            (None, false, Some(Ended::Rejected)) => Identity::Rejected,
            (None, false, None) => Identity::None,
        }
    }

    /// The same at a later instant, at which an approval may have ended.
    #[must_use]
    pub fn at(self, now: DateTime<Utc>) -> Identity {
        match self {
            Identity::Approved { until, .. } if now >= until => Identity::Expired,
            Identity::None | Identity::Pending | Identity::Approved { .. } | Identity::Rejected | Identity::Expired => {
                self
            }
        }
    }

    /// The name in `user_profiles.kyc_status`.
    #[must_use]
    pub fn status(self) -> &'static str {
        match self {
            Identity::None => "not_started",
            Identity::Pending => "pending",
            Identity::Approved { .. } => "approved",
            Identity::Rejected => "rejected",
            Identity::Expired => "expired",
        }
    }
}

/// What screening says of a party and, of an entity, of its owners: the worst of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Screening {
    /// Somebody of them was never screened.
    Never,
    /// All are clear, and are before `due_at`.
    Clear {
        /// The first instant at which it must have been made again.
        due_at: DateTime<Utc>,
    },
    /// A person must look.
    PossibleMatch,
    /// Somebody of them is on a list.
    Match,
}

/// What decides whether a party may buy, loaded at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The party.
    pub party: Uuid,
    /// Where its identity stands.
    pub identity: Identity,
    /// What screening says. Never shown to the party.
    pub screening: Screening,
    /// Country of residence or incorporation as verified, ISO 3166-1 alpha-2.
    pub residency: Option<String>,
    /// Until when it counts as accredited.
    pub accredited_until: Option<DateTime<Utc>>,
    /// Until when it counts as sophisticated.
    pub sophisticated_until: Option<DateTime<Utc>>,
    /// Until when its entry test counts.
    pub entry_test_until: Option<DateTime<Utc>>,
    /// Net worth as stated and not too old: smallest units, currency.
    pub net_worth_minor: Option<(i64, String)>,
    /// Properties for which the party, an owner of it or an entity that it owns a part of acts as owner or manager.
    pub insider_of: Vec<Uuid>,
}

impl Standing {
    /// How far the identity is verified at `now`.
    ///
    /// # Errors
    /// `party.identity`: it is not.
    pub fn identified(&self, now: DateTime<Utc>) -> Result<Level, Refusal> {
        let identity = self.identity.at(now);
        let (reason, remedy) = match identity {
            Identity::Approved { level, .. } => return Ok(level),
            Identity::None => (
                "your identity is not verified",
                "submit your documents for verification",
            ),
            Identity::Pending => (
                "your identity is being verified",
                "wait for the decision; you will be told",
            ),
            Identity::Rejected => (
                "your identity could not be verified",
                "read the reason and submit again",
            ),
            Identity::Expired => (
                "the verification of your identity has expired",
                "submit your documents again",
            ),
        };
        Err(Refusal::new("party.identity", reason, remedy)
            .looking_at("identity", identity.status())
            .looking_at("now", now.to_rfc3339()))
    }

    /// That screening lets the party pass at `now`. The refusal says nothing of what was found.
    ///
    /// # Errors
    /// `party.cleared`: it does not.
    pub fn screened(&self, now: DateTime<Utc>) -> Result<(), Refusal> {
        match self.screening {
            Screening::Clear { due_at } if now < due_at => Ok(()),
            Screening::Clear { .. } | Screening::Never | Screening::PossibleMatch | Screening::Match => {
                Err(Refusal::new(
                    "party.cleared",
                    "our checks of your account are not finished",
                    "wait until they are; there is nothing that you need to do",
                ))
            }
        }
    }

    /// Whether the party counts as accredited at `now`.
    #[must_use]
    pub fn is_accredited(&self, now: DateTime<Utc>) -> bool {
        counts(self.accredited_until, now)
    }

    /// Whether the party counts as sophisticated at `now`.
    #[must_use]
    pub fn is_sophisticated(&self, now: DateTime<Utc>) -> bool {
        counts(self.sophisticated_until, now)
    }

    /// Whether the party's entry test counts at `now`.
    #[must_use]
    pub fn has_passed_entry_test(&self, now: DateTime<Utc>) -> bool {
        counts(self.entry_test_until, now)
    }
}

fn counts(until: Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
    until.is_some_and(|until| now < until)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).expect("in range")
    }

    fn approved(until: i64) -> Identity {
        Identity::Approved {
            level: Level::Basic,
            until: at(until),
        }
    }

    #[test]
    fn an_approval_counts_before_its_end_and_not_at_it() {
        let record = |is_open, ended| IdentityRecord {
            approved: Some((Level::Basic, at(100))),
            is_open,
            ended,
        };
        assert_eq!(Identity::of(&record(false, None), at(99)), approved(100));
        assert_eq!(Identity::of(&record(false, None), at(100)), Identity::Expired);
        assert_eq!(
            Identity::of(&record(true, Some(Ended::Rejected)), at(99)),
            approved(100),
            "asking again takes nothing away"
        );
        assert_eq!(Identity::of(&record(true, None), at(100)), Identity::Pending);
        assert_eq!(approved(100).at(at(99)), approved(100));
        assert_eq!(approved(100).at(at(100)), Identity::Expired);
    }

    #[test]
    fn without_an_approval_the_last_case_says_where_it_stands() {
        let of = |is_open, ended| {
            Identity::of(
                &IdentityRecord {
                    approved: None,
                    is_open,
                    ended,
                },
                at(0),
            )
        };
        assert_eq!(of(false, None), Identity::None);
        assert_eq!(of(true, Some(Ended::Expired)), Identity::Pending);
        assert_eq!(of(false, Some(Ended::Rejected)), Identity::Rejected);
        assert_eq!(of(false, Some(Ended::Expired)), Identity::Expired);
    }

    fn standing(identity: Identity, screening: Screening) -> Standing {
        Standing {
            party: Uuid::nil(),
            identity,
            screening,
            residency: None,
            accredited_until: Some(at(100)),
            sophisticated_until: None,
            entry_test_until: Some(at(100)),
            net_worth_minor: None,
            insider_of: Vec::new(),
        }
    }

    #[test]
    fn a_refusal_of_screening_never_says_what_was_found() {
        let refusals: Vec<Refusal> = [
            Screening::Never,
            Screening::Clear { due_at: at(100) },
            Screening::PossibleMatch,
            Screening::Match,
        ]
        .into_iter()
        .filter_map(|screening| standing(Identity::None, screening).screened(at(100)).err())
        .collect();
        assert_eq!(refusals.len(), 4);
        assert!(
            refusals.windows(2).all(|two| two.first() == two.last()),
            "nobody can tell one from another"
        );
        assert!(refusals.iter().all(|refusal| refusal.inputs.is_empty()));
        let clear = Screening::Clear { due_at: at(100) };
        assert_eq!(standing(Identity::None, clear).screened(at(99)), Ok(()));
    }

    #[test]
    fn accreditation_ends_at_its_instant() {
        let standing = standing(approved(100), Screening::Never);
        assert!(standing.is_accredited(at(99)) && standing.has_passed_entry_test(at(99)));
        assert!(!standing.is_accredited(at(100)) && !standing.has_passed_entry_test(at(100)));
        assert!(!standing.is_sophisticated(at(0)), "what was never shown does not count");
        assert_eq!(standing.identified(at(99)), Ok(Level::Basic));
        let refusal = standing.identified(at(100)).expect_err("it has ended");
        assert_eq!((refusal.rule.as_str(), refusal.inputs.len()), ("party.identity", 2));
    }
}
