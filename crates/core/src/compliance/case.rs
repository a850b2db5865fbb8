//! The life of a case: a verification of identity or an accreditation, with the step that makes each transition. Both
//! workflows of [`crate::states`] are this one; a test compares them.

use crate::refusal::Refusal;

/// Where a case is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseStatus {
    /// Submitted, and nobody looks yet.
    Submitted,
    /// An officer looks.
    InReview,
    /// It was found to be so, and counts until it expires.
    Approved,
    /// It was not.
    Rejected,
    /// It was approved, and that has ended.
    Expired,
    /// The person took it back before it was decided.
    Withdrawn,
    /// A newer approval took its place.
    Superseded,
    /// An officer took the approval back.
    Revoked,
}

/// What can happen to a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseStep {
    /// An officer takes it, from another officer as well.
    Take,
    /// The officer who took it approves.
    Approve,
    /// The officer who took it rejects.
    Reject,
    /// The person takes it back.
    Withdraw,
    /// Its time is over.
    Expire,
    /// A newer one is approved.
    Supersede,
    /// An officer takes an approval back.
    Revoke,
}

impl CaseStatus {
    /// All of them.
    pub const ALL: [CaseStatus; 8] = [
        CaseStatus::Submitted,
        CaseStatus::InReview,
        CaseStatus::Approved,
        CaseStatus::Rejected,
        CaseStatus::Expired,
        CaseStatus::Withdrawn,
        CaseStatus::Superseded,
        CaseStatus::Revoked,
    ];

    /// Every transition there is.
    pub const TRANSITIONS: &[(CaseStatus, CaseStep, CaseStatus)] = &[
        (CaseStatus::Submitted, CaseStep::Take, CaseStatus::InReview),
        (CaseStatus::InReview, CaseStep::Take, CaseStatus::InReview),
        (CaseStatus::InReview, CaseStep::Approve, CaseStatus::Approved),
        (CaseStatus::InReview, CaseStep::Reject, CaseStatus::Rejected),
        (CaseStatus::Submitted, CaseStep::Withdraw, CaseStatus::Withdrawn),
        (CaseStatus::InReview, CaseStep::Withdraw, CaseStatus::Withdrawn),
        (CaseStatus::Approved, CaseStep::Expire, CaseStatus::Expired),
        (CaseStatus::Approved, CaseStep::Supersede, CaseStatus::Superseded),
        (CaseStatus::Approved, CaseStep::Revoke, CaseStatus::Revoked),
    ];

    /// The name in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            CaseStatus::Submitted => "submitted",
            CaseStatus::InReview => "in_review",
            CaseStatus::Approved => "approved",
            CaseStatus::Rejected => "rejected",
            CaseStatus::Expired => "expired",
            CaseStatus::Withdrawn => "withdrawn",
            CaseStatus::Superseded => "superseded",
            CaseStatus::Revoked => "revoked",
        }
    }

    /// The status with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<CaseStatus> {
        CaseStatus::ALL.into_iter().find(|status| status.name() == name)
    }

    /// Where a step leads.
    ///
    /// # Errors
    /// `case.step`: it is not possible from here.
    pub fn after(self, step: CaseStep) -> Result<CaseStatus, Refusal> {
        let found = CaseStatus::TRANSITIONS
            .iter()
            .find(|(from, by, _)| *from == self && *by == step);
        found.map(|(_, _, to)| *to).ok_or_else(|| {
            let from: Vec<&str> = CaseStatus::TRANSITIONS
                .iter()
                .filter(|(_, by, _)| *by == step)
                .map(|(from, _, _)| from.name())
                .collect();
            Refusal::new(
                "case.step",
                format!("a case that is {} cannot go this way", self.name()),
                format!("do this while the case is {}", from.join(" or ")),
            )
            .looking_at("status", self.name())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_stays_ended() {
        let ended = [
            CaseStatus::Rejected,
            CaseStatus::Expired,
            CaseStatus::Withdrawn,
            CaseStatus::Superseded,
            CaseStatus::Revoked,
        ];
        assert!(CaseStatus::TRANSITIONS.iter().all(|(from, _, _)| !ended.contains(from)));
        for status in CaseStatus::ALL {
            assert_eq!(CaseStatus::named(status.name()), Some(status));
        }
    }

    #[test]
    fn the_page_of_states_has_the_same_ways() {
        use crate::states::{ACCREDITATION_CASE, KYC_CASE};
        for workflow in [&KYC_CASE, &ACCREDITATION_CASE] {
            assert_eq!(workflow.states.len(), CaseStatus::ALL.len());
            for from in CaseStatus::ALL {
                for to in CaseStatus::ALL {
                    // Staying is no change there: an officer takes a case over.
                    let here = CaseStatus::TRANSITIONS
                        .iter()
                        .any(|(one, _, other)| (*one, *other) == (from, to) && from != to);
                    assert_eq!(workflow.allows(from.name(), to.name()), here, "{from:?} {to:?}");
                }
            }
        }
    }

    #[test]
    fn nothing_is_approved_that_nobody_took() {
        let refusal = CaseStatus::Submitted
            .after(CaseStep::Approve)
            .expect_err("nobody looked");
        assert_eq!(refusal.remedy, "do this while the case is in_review");
        assert_eq!(CaseStatus::InReview.after(CaseStep::Approve), Ok(CaseStatus::Approved));
    }
}
