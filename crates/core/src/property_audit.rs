//! An audit of a property: what is checked, what was found, and the score that follows from it. Never a constant.
//!
//! The rule: a property begins with 100 points. Each finding takes points by its severity ([`Severity::weight`]); points do
//! not go below 0. The risk is that of the worst finding, and never lower than the points say. An audit that left a check
//! out has no score.

use std::{collections::BTreeSet, fmt, str::FromStr};

use crate::{refusal::Refusal, states::AuditStatus};

/// What an audit looks at; each must be answered.
pub const CHECKS: &[Check] = &[
    Check {
        name: "title",
        about: "who owns it is shown by a deed or title search",
        documents: &["deed", "title_search"],
        missing: Severity::Critical,
    },
    Check {
        name: "liens",
        about: "what is owed on it is known",
        documents: &["lien_status"],
        missing: Severity::Moderate,
    },
    Check {
        name: "taxes",
        about: "its taxes are paid",
        documents: &["tax_status"],
        missing: Severity::Moderate,
    },
    Check {
        name: "insurance",
        about: "it is insured",
        documents: &["insurance"],
        missing: Severity::Major,
    },
    Check {
        name: "valuation",
        about: "somebody else said what it is worth",
        documents: &["appraisal"],
        missing: Severity::Major,
    },
    Check {
        name: "entity",
        about: "the entity that holds it exists and may",
        documents: &["entity_papers"],
        missing: Severity::Major,
    },
    Check {
        name: "permits",
        about: "it may be used as it is used",
        documents: &["permit"],
        missing: Severity::Minor,
    },
    Check {
        name: "condition",
        about: "somebody has looked at the building",
        documents: &["inspection"],
        missing: Severity::Minor,
    },
];

/// One thing that an audit looks at.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// Its name.
    pub name: &'static str,
    /// What it asks.
    pub about: &'static str,
    /// The documents that can answer it.
    pub documents: &'static [&'static str],
    /// How severe it is that none does.
    pub missing: Severity,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// In order.
    None,
    /// To be mended some time.
    Minor,
    /// To be mended.
    Moderate,
    /// To be mended soon.
    Major,
    /// Nothing may go on.
    Critical,
}

impl Severity {
    /// All, the lightest first.
    pub const ALL: [Severity; 5] = [
        Severity::None,
        Severity::Minor,
        Severity::Moderate,
        Severity::Major,
        Severity::Critical,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Severity::None => "none",
            Severity::Minor => "minor",
            Severity::Moderate => "moderate",
            Severity::Major => "major",
            Severity::Critical => "critical",
        }
    }

    /// Points that such a finding takes.
    pub fn weight(self) -> u16 {
        match self {
            Severity::None => 0,
            Severity::Minor => 3,
            Severity::Moderate => 8,
            Severity::Major => 20,
            Severity::Critical => 60,
        }
    }
}

impl FromStr for Severity {
    type Err = UnknownSeverity;
    fn from_str(name: &str) -> Result<Severity, UnknownSeverity> {
        Severity::ALL
            .into_iter()
            .find(|known| known.name() == name)
            .ok_or_else(|| UnknownSeverity(name.to_owned()))
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name of no severity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no severity: none, minor, moderate, major or critical")]
pub struct UnknownSeverity(String);

/// Risk of a property, as an audit sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Risk {
    /// Little can go wrong.
    Low,
    /// Something can.
    Medium,
    /// Much can.
    High,
    /// It does.
    Critical,
}

impl Risk {
    /// The name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Risk::Low => "low",
            Risk::Medium => "medium",
            Risk::High => "high",
            Risk::Critical => "critical",
        }
    }

    /// Days until the property is audited again.
    pub fn review_days(self) -> u16 {
        match self {
            Risk::Low => 365,
            Risk::Medium => 180,
            Risk::High => 90,
            Risk::Critical => 30,
        }
    }
}

/// What was found in one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding<'a> {
    /// The check.
    pub check: &'a str,
    /// How bad.
    pub severity: Severity,
    /// Whether it rests on a document.
    pub has_document: bool,
}

/// What an audit comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// 0 to 100.
    pub score: i16,
    /// How risky.
    pub risk: Risk,
    /// Whether anything stands in the way.
    pub status: AuditStatus,
}

/// Scores an audit. Every check is answered at least once, what is in order rests on a document, and nothing else is asked.
pub fn score(findings: &[Finding<'_>]) -> Result<Outcome, Refusal> {
    let known: BTreeSet<&str> = CHECKS.iter().map(|check| check.name).collect();
    if let Some(strange) = findings.iter().find(|finding| !known.contains(finding.check)) {
        let names: Vec<&str> = known.into_iter().collect();
        return Err(Refusal::new(
            "audit.check_is_known",
            "there is no such check",
            format!("one of {}", names.join(", ")),
        )
        .looking_at("check", strange.check));
    }
    let answered: BTreeSet<&str> = findings.iter().map(|finding| finding.check).collect();
    let left_out: Vec<&str> = known.difference(&answered).copied().collect();
    if !left_out.is_empty() {
        return Err(
            Refusal::new("audit.is_complete", "checks were left out", "answer every check")
                .looking_at("left_out", left_out.join(", ")),
        );
    }
    if let Some(bare) = findings
        .iter()
        .find(|finding| finding.severity == Severity::None && !finding.has_document)
    {
        return Err(Refusal::new(
            "audit.rests_on_evidence",
            "a check is in order by a document alone",
            "name the document",
        )
        .looking_at("check", bare.check));
    }
    let lost: u64 = findings
        .iter()
        .map(|finding| u64::from(finding.severity.weight()))
        .sum();
    let score = i16::try_from(100_u64.saturating_sub(lost)).unwrap_or(0);
    let worst = findings
        .iter()
        .map(|finding| finding.severity)
        .max()
        .unwrap_or(Severity::Critical);
    let by_worst = match worst {
        Severity::None | Severity::Minor => Risk::Low,
        Severity::Moderate => Risk::Medium,
        Severity::Major => Risk::High,
        Severity::Critical => Risk::Critical,
    };
    let by_score = match score {
        85.. => Risk::Low,
        70.. => Risk::Medium,
        40.. => Risk::High,
        _ => Risk::Critical,
    };
    let risk = by_worst.max(by_score);
    let status = match risk {
        Risk::Low => AuditStatus::Compliant,
        Risk::Medium | Risk::High if worst < Severity::Critical && score >= 60 => AuditStatus::Conditional,
        Risk::Medium | Risk::High | Risk::Critical => AuditStatus::NonCompliant,
    };
    Ok(Outcome { score, risk, status })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn finding(at: usize, severity: Severity) -> Finding<'static> {
        Finding {
            check: CHECKS[at].name,
            severity,
            has_document: true,
        }
    }

    fn all(severities: &[Severity]) -> Vec<Finding<'static>> {
        severities
            .iter()
            .enumerate()
            .map(|(at, severity)| finding(at, *severity))
            .collect()
    }

    #[test]
    fn the_rule_by_example() {
        use Severity::{Critical, Major, Minor, Moderate, None};
        for (severities, score_is, risk, status) in [
            ([None; 8], 100, Risk::Low, AuditStatus::Compliant),
            (
                [None, None, None, None, None, None, Minor, Minor],
                94,
                Risk::Low,
                AuditStatus::Compliant,
            ),
            (
                [None, Moderate, None, None, None, None, None, None],
                92,
                Risk::Medium,
                AuditStatus::Conditional,
            ),
            (
                [None, None, None, Major, None, None, None, None],
                80,
                Risk::High,
                AuditStatus::Conditional,
            ),
            (
                [None, None, None, Major, Major, Major, None, None],
                40,
                Risk::High,
                AuditStatus::NonCompliant,
            ),
            (
                [Critical, None, None, None, None, None, None, None],
                40,
                Risk::Critical,
                AuditStatus::NonCompliant,
            ),
            ([Minor; 8], 76, Risk::Medium, AuditStatus::Conditional),
            ([Critical; 8], 0, Risk::Critical, AuditStatus::NonCompliant),
        ] {
            let outcome = score(&all(&severities)).unwrap();
            assert_eq!(
                (outcome.score, outcome.risk, outcome.status),
                (score_is, risk, status),
                "{severities:?}"
            );
        }
    }

    #[test]
    fn an_audit_is_whole_and_rests_on_documents() {
        let rule = |findings: &[Finding<'_>]| score(findings).unwrap_err().rule;
        assert_eq!(rule(&[]), "audit.is_complete");
        let mut findings = all(&[Severity::None; 8]);
        findings[3].has_document = false;
        assert_eq!(rule(&findings), "audit.rests_on_evidence");
        findings[3].severity = Severity::Major;
        assert!(score(&findings).is_ok(), "that something is missing needs no document");
        findings[3].check = "weather";
        assert_eq!(rule(&findings), "audit.check_is_known");
    }

    fn severity() -> impl Strategy<Value = Severity> {
        prop::sample::select(Severity::ALL.to_vec())
    }

    proptest! {
        #[test]
        fn a_worse_finding_never_helps(
            severities in proptest::collection::vec(severity(), 8), at in 0..8_usize, worse in severity(), extra in severity(),
        ) {
            let before = score(&all(&severities)).unwrap();
            prop_assert!((0..=100).contains(&before.score));
            let mut findings = all(&severities);
            findings[at].severity = findings[at].severity.max(worse);
            findings.push(finding(at, extra));
            let after = score(&findings).unwrap();
            prop_assert!(after.score <= before.score && after.risk >= before.risk);
            prop_assert!(before.status != AuditStatus::NonCompliant || after.status == AuditStatus::NonCompliant);
            findings.reverse();
            prop_assert_eq!(score(&findings).unwrap(), after, "their order does not matter");
        }

        #[test]
        fn every_finding_shows(severities in proptest::collection::vec(severity(), 8)) {
            let outcome = score(&all(&severities)).unwrap();
            let in_order = severities.iter().all(|severity| *severity == Severity::None);
            prop_assert_eq!(outcome.score == 100, in_order);
        }
    }
}
