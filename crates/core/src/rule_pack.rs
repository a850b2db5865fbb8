//! Rule packs: the conditions of a sale as dated data. A pack is a list of rules with their parameters and sources; what a
//! rule of a kind does is in [`crate::eligibility`] (who may buy) and [`crate::offering`] (when a sale ends).
//!
//! Parameters are starting points until somebody competent has checked them: each rule says whether that was done.

use serde::{Deserialize, Serialize};

use crate::money::Amount;

/// One version of a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulePack {
    /// Its name, such as `reg_d_506c`.
    pub code: String,
    /// Its version, from 1.
    pub version: i32,
    /// Its rules.
    pub rules: Vec<PackRule>,
}

/// A rule with where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackRule {
    /// What it asks.
    #[serde(flatten)]
    pub rule: Rule,
    /// The law or regulation.
    pub source: String,
    /// Whether somebody competent has checked the parameters.
    #[serde(default)]
    pub checked: bool,
}

/// What a rule asks. Amounts are smallest units of `currency`; a rule about another currency than the offering's is refused
/// when the offering is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case", deny_unknown_fields)]
pub enum Rule {
    /// The buyer's identity is verified and has not expired.
    IdentityVerified {},
    /// The newest screening is clear and not overdue.
    ScreeningClear {},
    /// The residency is known and one of these countries (ISO 3166-1 alpha-2).
    ResidencyIn {
        /// The countries.
        countries: Vec<String>,
    },
    /// The residency is known and none of these.
    ResidencyNotIn {
        /// The countries.
        countries: Vec<String>,
    },
    /// The buyer is an accredited investor now.
    Accredited {},
    /// A non-sophisticated buyer has passed the entry test.
    EntryTestPassed {},
    /// One purchase is worth this at least.
    MinimumInvestment {
        /// Smallest units.
        amount_minor: Amount,
        /// Its currency.
        currency: String,
    },
    /// What a party buys in twelve months, over all offerings in this currency, is worth this at most.
    YearlyLimit {
        /// Smallest units.
        amount_minor: Amount,
        /// Its currency.
        currency: String,
        /// Whether it holds for accredited buyers too.
        #[serde(default)]
        accredited_too: bool,
    },
    /// Above this, or above a part of the net worth, whichever is more, a non-sophisticated buyer must say that the
    /// warning was understood.
    WarningAbove {
        /// Smallest units.
        amount_minor: Amount,
        /// Its currency.
        currency: String,
        /// Part of the net worth, in millionths.
        net_worth_ppm: u32,
    },
    /// So many parties at most hold or have bought the token.
    HolderCap {
        /// Parties.
        parties: u32,
    },
    /// So many parties at most that are not accredited.
    NonAccreditedHolderCap {
        /// Parties.
        parties: u32,
    },
    /// What the issuer raises in twelve months is worth this at most.
    IssuerYearlyLimit {
        /// Smallest units.
        amount_minor: Amount,
        /// Its currency.
        currency: String,
    },
    /// A buyer may withdraw for so many days after paying.
    CoolingOff {
        /// Days of 24 hours.
        days: u32,
    },
    /// Tokens cannot be transferred for so many days after the close.
    ResaleRestricted {
        /// Days of 24 hours.
        days: u32,
    },
    /// The offering is not public: only those who can access the property see it.
    NoGeneralSolicitation {},
    /// What insiders buy does not count to the soft cap.
    InsidersDoNotCount {},
    /// The sale may end before its deadline when that was announced so many hours before.
    EarlyClose {
        /// Hours.
        notice_hours: u32,
    },
}

impl Rule {
    /// Its stable name, as refusals and the data have it.
    pub fn name(&self) -> &'static str {
        match self {
            Rule::IdentityVerified {} => "identity_verified",
            Rule::ScreeningClear {} => "screening_clear",
            Rule::ResidencyIn { .. } => "residency_in",
            Rule::ResidencyNotIn { .. } => "residency_not_in",
            Rule::Accredited {} => "accredited",
            Rule::EntryTestPassed {} => "entry_test_passed",
            Rule::MinimumInvestment { .. } => "minimum_investment",
            Rule::YearlyLimit { .. } => "yearly_limit",
            Rule::WarningAbove { .. } => "warning_above",
            Rule::HolderCap { .. } => "holder_cap",
            Rule::NonAccreditedHolderCap { .. } => "non_accredited_holder_cap",
            Rule::IssuerYearlyLimit { .. } => "issuer_yearly_limit",
            Rule::CoolingOff { .. } => "cooling_off",
            Rule::ResaleRestricted { .. } => "resale_restricted",
            Rule::NoGeneralSolicitation {} => "no_general_solicitation",
            Rule::InsidersDoNotCount {} => "insiders_do_not_count",
            Rule::EarlyClose { .. } => "early_close",
        }
    }

    /// The currency of its amounts, if it has any.
    pub fn currency(&self) -> Option<&str> {
        match self {
            Rule::MinimumInvestment { currency, .. }
            | Rule::YearlyLimit { currency, .. }
            | Rule::WarningAbove { currency, .. }
            | Rule::IssuerYearlyLimit { currency, .. } => Some(currency),
            Rule::IdentityVerified {}
            | Rule::ScreeningClear {}
            | Rule::ResidencyIn { .. }
            | Rule::ResidencyNotIn { .. }
            | Rule::Accredited {}
            | Rule::EntryTestPassed {}
            | Rule::HolderCap { .. }
            | Rule::NonAccreditedHolderCap { .. }
            | Rule::CoolingOff { .. }
            | Rule::ResaleRestricted { .. }
            | Rule::NoGeneralSolicitation {}
            | Rule::InsidersDoNotCount {}
            | Rule::EarlyClose { .. } => None,
        }
    }
}

impl RulePack {
    /// Days for which a buyer may withdraw after paying; 0 where the pack has no such rule.
    pub fn cooling_off_days(&self) -> u32 {
        self.longest(|rule| {
            if let Rule::CoolingOff { days } = rule {
                Some(*days)
            } else {
                None
            }
        })
    }

    /// Days for which tokens cannot be transferred after the close; 0 where the pack has no such rule.
    pub fn resale_restricted_days(&self) -> u32 {
        self.longest(|rule| {
            if let Rule::ResaleRestricted { days } = rule {
                Some(*days)
            } else {
                None
            }
        })
    }

    /// Hours of notice before an early close, where the pack allows one.
    pub fn early_close_notice_hours(&self) -> Option<u32> {
        self.parameters(|rule| {
            if let Rule::EarlyClose { notice_hours } = rule {
                Some(*notice_hours)
            } else {
                None
            }
        })
        .max()
    }

    /// Whether what insiders buy counts to the soft cap.
    pub fn insiders_count(&self) -> bool {
        !self.has("insiders_do_not_count")
    }

    /// Whether the offering may be shown to everybody.
    pub fn may_be_public(&self) -> bool {
        !self.has("no_general_solicitation")
    }

    /// Where a rule comes from, as a refusal says it.
    pub fn source_of(&self, rule: &PackRule) -> String {
        let checked = if rule.checked {
            ""
        } else {
            ", not yet checked by counsel"
        };
        format!("{} version {}: {}{checked}", self.code, self.version, rule.source)
    }

    fn has(&self, name: &str) -> bool {
        self.rules.iter().any(|rule| rule.rule.name() == name)
    }

    fn parameters<'a, T>(&'a self, read: impl Fn(&'a Rule) -> Option<T> + 'a) -> impl Iterator<Item = T> + 'a {
        self.rules.iter().filter_map(move |rule| read(&rule.rule))
    }

    // The strictest of several rules of a kind holds.
    fn longest(&self, read: impl Fn(&Rule) -> Option<u32>) -> u32 {
        self.parameters(read).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_data() {
        // Read as the database gives it; core has no JSON of its own, so serde's own values stand for it.
        use serde::de::value::{Error, MapDeserializer};
        let fields = [("rule", "identity_verified"), ("source", "a law")];
        let read: Result<PackRule, Error> = PackRule::deserialize(MapDeserializer::new(fields.into_iter()));
        let rule = read.unwrap();
        assert_eq!((rule.rule.name(), rule.checked), ("identity_verified", false));
        let pack = RulePack {
            code: "x".to_owned(),
            version: 2,
            rules: vec![rule.clone()],
        };
        assert_eq!(pack.source_of(&rule), "x version 2: a law, not yet checked by counsel");
        assert_eq!((pack.cooling_off_days(), pack.early_close_notice_hours()), (0, None));
    }
}
