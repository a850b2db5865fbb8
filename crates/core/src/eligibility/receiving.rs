//! Who may get tokens from another holder: the same rules as for buying, as far as they are about who holds and not about
//! what is bought.

use chrono::{DateTime, Utc};

use super::{Holders, of_a_holder};
use crate::{compliance::Standing, refusal::Refusal, rule_pack::RulePack};

/// Whether a party may hold tokens that were sold under these packs, beside those who would hold them then without it.
///
/// # Errors
/// The first rule that says no.
pub fn may_hold(
    packs: &[RulePack],
    standing: &Standing,
    is_holder: bool,
    holders: Holders,
    now: DateTime<Utc>,
) -> Result<(), Refusal> {
    for pack in packs {
        for rule in &pack.rules {
            of_a_holder(rule, standing, is_holder, holders, now).map_err(|no| no.by(pack.source_of(rule)))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        compliance::{Identity, Level, Screening},
        rule_pack::{PackRule, Rule},
    };

    fn at(hour: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(hour * 3_600, 0).unwrap()
    }

    fn standing() -> Standing {
        Standing {
            party: Uuid::from_u128(1),
            identity: Identity::Approved {
                level: Level::Basic,
                until: at(50),
            },
            screening: Screening::Clear { due_at: at(50) },
            residency: Some("DE".to_owned()),
            accredited_until: None,
            sophisticated_until: None,
            entry_test_until: None,
            net_worth_minor: None,
            insider_of: vec![],
        }
    }

    #[track_caller]
    fn check(rule: Rule, change: impl Fn(&mut Standing), is_holder: bool, holders: (u32, u32), refused: Option<&str>) {
        let rule = PackRule {
            rule,
            source: "a law".to_owned(),
            checked: false,
        };
        let pack = RulePack {
            code: "p".to_owned(),
            version: 1,
            rules: vec![rule],
        };
        let mut standing = standing();
        change(&mut standing);
        let holders = Holders {
            all: holders.0,
            non_accredited: holders.1,
        };
        let said = may_hold(&[pack], &standing, is_holder, holders, at(1));
        assert_eq!(said.err().map(|refusal| refusal.rule).as_deref(), refused);
    }

    #[test]
    fn what_is_about_the_holder_holds_for_a_receiver_too() {
        let none = |_: &mut Standing| {};
        let us = || vec!["US".to_owned()];
        check(Rule::IdentityVerified {}, none, false, (0, 0), None);
        check(
            Rule::IdentityVerified {},
            |one| one.identity = Identity::Pending,
            false,
            (0, 0),
            Some("identity_verified"),
        );
        check(
            Rule::ScreeningClear {},
            |one| one.screening = Screening::Match,
            false,
            (0, 0),
            Some("screening_clear"),
        );
        check(
            Rule::ResidencyIn { countries: us() },
            none,
            false,
            (0, 0),
            Some("residency_in"),
        );
        check(Rule::ResidencyNotIn { countries: us() }, none, false, (0, 0), None);
        check(Rule::Accredited {}, none, true, (0, 0), Some("accredited"));
        check(
            Rule::Accredited {},
            |one| one.accredited_until = Some(at(9)),
            false,
            (0, 0),
            None,
        );
        check(Rule::EntryTestPassed {}, none, false, (0, 0), Some("entry_test_passed"));
        check(Rule::HolderCap { parties: 3 }, none, false, (2, 2), None);
        check(Rule::HolderCap { parties: 3 }, none, false, (3, 0), Some("holder_cap"));
        check(Rule::HolderCap { parties: 3 }, none, true, (3, 0), None);
        let cap = || Rule::NonAccreditedHolderCap { parties: 2 };
        check(cap(), none, false, (9, 2), Some("non_accredited_holder_cap"));
        check(cap(), |one| one.accredited_until = Some(at(9)), false, (9, 2), None);
    }

    #[test]
    fn what_is_about_a_purchase_does_not() {
        use crate::money::Amount;
        let usd = || "USD".to_owned();
        for rule in [
            Rule::MinimumInvestment {
                amount_minor: Amount::MAX,
                currency: usd(),
            },
            Rule::YearlyLimit {
                amount_minor: Amount::ZERO,
                currency: usd(),
                accredited_too: true,
            },
            Rule::WarningAbove {
                amount_minor: Amount::ZERO,
                currency: usd(),
                net_worth_ppm: 0,
            },
            Rule::ResaleRestricted { days: 300 },
            Rule::NoGeneralSolicitation {},
        ] {
            check(rule, |_| {}, false, (0, 0), None);
        }
    }
}
