//! How a rule says no: which rule, what it looked at, where it comes from, and what would make it pass.
//!
//! Every decision here that turns somebody down answers with a [`Refusal`], so that whoever is refused can act on it.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

/// A rule's no, complete enough to be shown to whom it is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The rule's stable name, such as `offering.open` or `identity_verified`. API: never reworded.
    pub rule: String,
    /// What is wrong, in one sentence.
    pub reason: String,
    /// What the rule looked at, by name. Amounts are decimal figures with their currency.
    pub inputs: BTreeMap<String, String>,
    /// Where the rule comes from: a law, a rule pack with its version, the offering, the platform.
    pub source: String,
    /// What would make it pass.
    pub remedy: String,
}

impl Refusal {
    /// The platform's own rule `rule` says no.
    pub fn new(rule: &str, reason: impl Into<String>, remedy: impl Into<String>) -> Refusal {
        Refusal {
            rule: rule.to_owned(),
            reason: reason.into(),
            inputs: BTreeMap::new(),
            source: "Nexus Mint".to_owned(),
            remedy: remedy.into(),
        }
    }

    /// The same with one more thing that the rule looked at.
    #[must_use]
    pub fn looking_at(mut self, name: &str, value: impl fmt::Display) -> Refusal {
        self.inputs.insert(name.to_owned(), value.to_string());
        self
    }

    /// The same with where the rule comes from.
    #[must_use]
    pub fn by(mut self, source: impl Into<String>) -> Refusal {
        self.source = source.into();
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_everything() {
        let refusal = Refusal::new("offering.open", "the offering is closed", "wait for the next offering")
            .looking_at("status", "closed")
            .by("offering 7");
        assert_eq!(refusal.to_string(), "the offering is closed");
        assert_eq!(refusal.inputs["status"], "closed");
        assert_eq!(
            (refusal.source.as_str(), refusal.rule.as_str()),
            ("offering 7", "offering.open")
        );
    }
}
