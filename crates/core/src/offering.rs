//! An offering: its terms, and when its sale ends.

use chrono::{DateTime, Utc};

use crate::{
    money::{Amount, Currency},
    refusal::Refusal,
    rule_pack::{Rule, RulePack},
};

/// Who owns the building while it is sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The issuer's deed is recorded before the launch.
    IssuerOwns,
    /// The money buys the building: escrow goes to a closing agent, and comes back unless the deed is recorded.
    Acquisition,
}

impl Kind {
    /// Both.
    pub const ALL: [Kind; 2] = [Kind::IssuerOwns, Kind::Acquisition];

    /// The name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Kind::IssuerOwns => "issuer_owns",
            Kind::Acquisition => "acquisition",
        }
    }

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What an offering promises. Tokens are smallest units of the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Who owns the building meanwhile.
    pub kind: Kind,
    /// Price of one whole token, in smallest units of the currency.
    pub price: Amount,
    /// Below this, everybody gets his money back.
    pub soft_cap: Amount,
    /// More than this is not sold.
    pub hard_cap: Amount,
    /// A party buys this at least at a time.
    pub minimum: Amount,
    /// A party buys this at most in all.
    pub maximum: Option<Amount>,
    /// From this instant on tokens can be bought.
    pub opens_at: DateTime<Utc>,
    /// From this instant on they cannot.
    pub closes_at: DateTime<Utc>,
    /// Not closed by this instant: everybody gets his money back.
    pub long_stop_at: DateTime<Utc>,
}

impl Terms {
    /// Whether the terms are possible, and possible under the pack, with `available` tokens that nobody has.
    ///
    /// # Errors
    /// The rule that they break.
    pub fn check(
        &self,
        pack: &RulePack,
        currency: &Currency,
        available: Amount,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        let caps = || {
            Refusal::new(
                "offering.caps",
                "the caps do not fit",
                "choose 1 <= soft cap <= hard cap <= available tokens",
            )
            .looking_at("soft_cap", self.soft_cap)
            .looking_at("hard_cap", self.hard_cap)
            .looking_at("available", available)
        };
        if self.soft_cap == Amount::ZERO || self.soft_cap > self.hard_cap || self.hard_cap > available {
            return Err(caps());
        }
        let maximum = self.maximum.unwrap_or(self.hard_cap);
        if self.minimum == Amount::ZERO || self.minimum > maximum || maximum > self.hard_cap {
            return Err(Refusal::new(
                "offering.limits",
                "the limits for a person do not fit",
                "choose 1 <= minimum <= maximum <= hard cap",
            )
            .looking_at("minimum", self.minimum)
            .looking_at("maximum", maximum));
        }
        let has_window = self.opens_at < self.closes_at && self.closes_at < self.long_stop_at && now < self.closes_at;
        if !has_window {
            return Err(Refusal::new(
                "offering.window",
                "the window does not fit",
                "choose opensAt < closesAt < longStopAt, with closesAt in the future",
            )
            .looking_at("opens_at", self.opens_at)
            .looking_at("closes_at", self.closes_at)
            .looking_at("long_stop_at", self.long_stop_at)
            .looking_at("now", now));
        }
        for rule in &pack.rules {
            if rule.rule.currency().is_some_and(|code| code != currency.code()) {
                return Err(Refusal::new(
                    "offering.currency",
                    format!("the pack's rule {} is about another currency", rule.rule.name()),
                    "choose a pack with limits in the offering's currency",
                )
                .looking_at("currency", currency.code())
                .by(pack.source_of(rule)));
            }
        }
        Ok(())
    }

    /// Whether the issuer may raise the hard cap now, having raised `raised` in the twelve months before.
    ///
    /// # Errors
    /// `issuer_yearly_limit`.
    pub fn check_issuer(
        &self,
        pack: &RulePack,
        currency: &Currency,
        hard_cap_total: Amount,
        raised: Amount,
    ) -> Result<(), Refusal> {
        for rule in &pack.rules {
            if let Rule::IssuerYearlyLimit { amount_minor, .. } = &rule.rule {
                let within = raised.plus(hard_cap_total).is_ok_and(|sum| sum <= *amount_minor);
                if !within {
                    return Err(Refusal::new(
                        "issuer_yearly_limit",
                        "the issuer would raise more in twelve months than the rules allow",
                        "lower the hard cap, or wait until earlier offerings are twelve months old",
                    )
                    .looking_at("hard_cap_total", currency.show(hard_cap_total))
                    .looking_at("raised_in_twelve_months", currency.show(raised))
                    .looking_at("limit", currency.show(*amount_minor))
                    .by(pack.source_of(rule)));
                }
            }
        }
        Ok(())
    }
}

/// What is sold of an offering that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sold {
    /// Paid, the right to withdraw has ended, and it counts to the soft cap.
    pub counting: Amount,
    /// Paid and the right to withdraw has ended, whether it counts or not.
    pub settled_in_mind: Amount,
}

/// Why a sale ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// Everything is sold for good.
    HardCap,
    /// The deadline came.
    Deadline,
    /// An announced early close came.
    EarlyClose,
}

impl EndReason {
    /// The name in the database.
    pub fn name(self) -> &'static str {
        match self {
            EndReason::HardCap => "hard_cap",
            EndReason::Deadline => "deadline",
            EndReason::EarlyClose => "early_close",
        }
    }
}

/// How an open offering goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// It stays open.
    Stay,
    /// The sale has ended and the soft cap is reached.
    Funded(EndReason),
    /// Everybody gets back what he paid.
    Failed(Refusal),
}

/// Ends an open offering at the earliest of hard cap, deadline and announced early close. Only what is paid and can no
/// longer be withdrawn counts.
pub fn next(terms: &Terms, early_close_at: Option<DateTime<Utc>>, sold: Sold, now: DateTime<Utc>) -> Next {
    if sold.settled_in_mind >= terms.hard_cap && sold.counting >= terms.soft_cap {
        return Next::Funded(EndReason::HardCap);
    }
    let has_enough = sold.counting >= terms.soft_cap;
    if now >= terms.closes_at {
        return if has_enough {
            Next::Funded(EndReason::Deadline)
        } else {
            Next::Failed(soft_cap_missed(terms.soft_cap, sold.counting))
        };
    }
    if early_close_at.is_some_and(|at| now >= at) && has_enough {
        return Next::Funded(EndReason::EarlyClose);
    }
    Next::Stay
}

pub(crate) fn soft_cap_missed(soft_cap: Amount, counting: Amount) -> Refusal {
    Refusal::new(
        "offering.soft_cap",
        "the soft cap was missed",
        "nothing: everybody gets back what he paid, fees included",
    )
    .looking_at("soft_cap", soft_cap)
    .looking_at("counting", counting)
}

/// When an early close may take effect that is announced now.
///
/// # Errors
/// The pack allows none, or the deadline comes first.
pub fn early_close(
    pack: &RulePack,
    terms: &Terms,
    wanted: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>, Refusal> {
    let Some(hours) = pack.early_close_notice_hours() else {
        return Err(Refusal::new(
            "early_close",
            "the rule pack does not allow an early close",
            "wait for the hard cap or the deadline",
        )
        .by(format!("{} version {}", pack.code, pack.version)));
    };
    let earliest = now + chrono::TimeDelta::hours(i64::from(hours));
    let at = wanted.unwrap_or(earliest);
    if at < earliest || at >= terms.closes_at {
        return Err(Refusal::new(
            "early_close",
            "an early close is announced before it takes effect, and takes effect before the deadline",
            format!("choose an instant from {earliest} on, before {}", terms.closes_at),
        )
        .looking_at("wanted", at)
        .looking_at("notice_hours", hours)
        .by(format!("{} version {}", pack.code, pack.version)));
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;
    use crate::money::Decimals;
    use crate::rule_pack::PackRule;

    fn at(hour: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_900_000_000, 0).unwrap() + TimeDelta::hours(hour)
    }

    fn amount(units: i64) -> Amount {
        Amount::try_from(units).unwrap()
    }

    fn terms() -> Terms {
        Terms {
            kind: Kind::IssuerOwns,
            price: amount(5_000),
            soft_cap: amount(100),
            hard_cap: amount(300),
            minimum: amount(1),
            maximum: None,
            opens_at: at(0),
            closes_at: at(100),
            long_stop_at: at(200),
        }
    }

    fn pack(rules: Vec<Rule>) -> RulePack {
        let rules = rules.into_iter().map(|rule| PackRule {
            rule,
            source: "a law".to_owned(),
            checked: false,
        });
        RulePack {
            code: "p".to_owned(),
            version: 1,
            rules: rules.collect(),
        }
    }

    fn sold(units: i64) -> Sold {
        Sold {
            counting: amount(units),
            settled_in_mind: amount(units),
        }
    }

    #[test]
    fn it_ends_at_the_boundary_and_not_before() {
        let (terms, early) = (terms(), Some(at(50)));
        let failed = |next: Next| matches!(next, Next::Failed(_));
        assert_eq!(
            next(&terms, None, sold(100), at(100) - TimeDelta::microseconds(1)),
            Next::Stay
        );
        assert_eq!(
            next(&terms, None, sold(100), at(100)),
            Next::Funded(EndReason::Deadline)
        );
        assert!(failed(next(&terms, None, sold(99), at(100))));
        assert_eq!(next(&terms, None, sold(300), at(1)), Next::Funded(EndReason::HardCap));
        assert_eq!(next(&terms, early, sold(100), at(49)), Next::Stay);
        assert_eq!(
            next(&terms, early, sold(100), at(50)),
            Next::Funded(EndReason::EarlyClose)
        );
        assert_eq!(
            next(&terms, early, sold(99), at(50)),
            Next::Stay,
            "an early close ends no sale that would fail"
        );
        let insiders = Sold {
            counting: amount(99),
            settled_in_mind: amount(300),
        };
        assert!(
            failed(next(&terms, None, insiders, at(100))),
            "insiders do not fake a soft cap"
        );
    }

    #[test]
    fn impossible_terms_are_named() {
        let usd = Currency::new("USD", Decimals::CENTS).unwrap();
        let check = |change: &dyn Fn(&mut Terms), rule: &str| {
            let mut terms = terms();
            change(&mut terms);
            let refused = terms.check(&pack(vec![]), &usd, amount(300), at(1)).unwrap_err();
            assert_eq!(refused.rule, rule);
        };
        check(&|terms| terms.soft_cap = amount(0), "offering.caps");
        check(&|terms| terms.soft_cap = amount(301), "offering.caps");
        check(&|terms| terms.hard_cap = amount(301), "offering.caps");
        check(&|terms| terms.minimum = amount(0), "offering.limits");
        check(&|terms| terms.maximum = Some(amount(301)), "offering.limits");
        check(&|terms| terms.closes_at = at(0), "offering.window");
        check(&|terms| terms.closes_at = at(1), "offering.window");
        check(&|terms| terms.long_stop_at = at(100), "offering.window");
        assert_eq!(terms().check(&pack(vec![]), &usd, amount(300), at(1)), Ok(()));
        let dirhams = pack(vec![Rule::MinimumInvestment {
            amount_minor: amount(1),
            currency: "AED".to_owned(),
        }]);
        assert_eq!(
            terms().check(&dirhams, &usd, amount(300), at(1)).unwrap_err().rule,
            "offering.currency"
        );
    }

    #[test]
    fn an_early_close_is_allowed_announced_and_early() {
        let allowed = pack(vec![Rule::EarlyClose { notice_hours: 24 }]);
        assert_eq!(early_close(&allowed, &terms(), None, at(10)), Ok(at(34)));
        assert_eq!(early_close(&allowed, &terms(), Some(at(99)), at(10)), Ok(at(99)));
        assert!(early_close(&allowed, &terms(), Some(at(33)), at(10)).is_err());
        assert!(early_close(&allowed, &terms(), Some(at(100)), at(10)).is_err());
        assert!(early_close(&pack(vec![]), &terms(), None, at(10)).is_err());
    }

    #[test]
    fn what_an_issuer_raises_in_a_year_is_bounded_to_the_unit() {
        let usd = Currency::new("USD", Decimals::CENTS).unwrap();
        let limited = pack(vec![Rule::IssuerYearlyLimit {
            amount_minor: amount(1_000),
            currency: "USD".to_owned(),
        }]);
        assert_eq!(terms().check_issuer(&limited, &usd, amount(600), amount(400)), Ok(()));
        let refused = terms()
            .check_issuer(&limited, &usd, amount(600), amount(401))
            .unwrap_err();
        assert_eq!(refused.inputs["limit"], "10.00 USD");
    }

    proptest! {
        #[test]
        fn more_sold_never_makes_it_fail(counting in 0..400_i64, more in 0..100_i64, hour in 0..120_i64) {
            let before = next(&terms(), None, sold(counting), at(hour));
            let after = next(&terms(), None, sold(counting + more), at(hour));
            let funded = |next: &Next| matches!(next, Next::Funded(_));
            prop_assert!(!funded(&before) || funded(&after));
            prop_assert!(matches!(after, Next::Failed(_)) <= matches!(before, Next::Failed(_)));
        }
    }
}
