use proptest::prelude::*;

use super::*;
use crate::compliance::{Identity, Level, Screening};
use crate::offering::Kind;

fn at(hour: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_900_000_000, 0).unwrap() + TimeDelta::hours(hour)
}

fn amount(units: i64) -> Amount {
    Amount::try_from(units).unwrap()
}

fn party(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn buyer(number: u128) -> Buyer {
    Buyer {
        standing: Standing {
            party: party(number),
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
        },
        units: Amount::ZERO,
        open_reservations: 0,
        bought_in_year: Amount::ZERO,
        own_yearly_limit: None,
        is_holder: false,
    }
}

fn sale(rules: Vec<Rule>) -> Sale {
    let rules = rules.into_iter().map(|rule| PackRule {
        rule,
        source: "a law".to_owned(),
        checked: false,
    });
    Sale {
        status: OfferingStatus::Open,
        terms: Terms {
            kind: Kind::IssuerOwns,
            price: amount(5_000),
            soft_cap: amount(10),
            hard_cap: amount(100),
            minimum: amount(2),
            maximum: Some(amount(60)),
            opens_at: at(0),
            closes_at: at(100),
            long_stop_at: at(200),
        },
        pack: RulePack {
            code: "p".to_owned(),
            version: 1,
            rules: rules.collect(),
        },
        currency: Currency::new("USD", Decimals::CENTS).unwrap(),
        token_decimals: Decimals::WHOLE,
        property_id: party(99),
        is_public: true,
        reservation: TimeDelta::minutes(30),
        fee: FeeSchedule {
            rate_ppm: 20_000,
            fixed: Amount::ZERO,
            minimum: Amount::ZERO,
            maximum: None,
        },
        left: amount(100),
        holders: Holders::default(),
        buyers: (1..=5).map(|number| (party(number), buyer(number))).collect(),
    }
}

fn order(number: u128, units: i64) -> Order {
    Order {
        party_id: party(number),
        units: amount(units),
        accepts_warning: false,
        is_guest: false,
    }
}

/// The rule that refuses an order of 10 tokens, after a change of the sale and of the buyer.
fn refused(rules: Vec<Rule>, change: impl Fn(&mut Sale, &mut Buyer), now: i64) -> Option<String> {
    let mut sale = sale(rules);
    let mut me = buyer(1);
    change(&mut sale, &mut me);
    sale.buyers.insert(party(1), me);
    sale.decide(&order(1, 10), at(now)).err().map(|refusal| {
        assert!(!refusal.reason.is_empty() && !refusal.remedy.is_empty() && !refusal.source.is_empty());
        refusal.rule
    })
}

#[test]
fn every_rule_refuses_at_its_boundary_and_not_before() {
    let none = |_: &mut Sale, _: &mut Buyer| {};
    let usd = || "USD".to_owned();
    assert_eq!(refused(vec![], none, 1), None);
    assert_eq!(refused(vec![], none, -1).as_deref(), Some("offering.window"));
    assert_eq!(refused(vec![], none, 100).as_deref(), Some("offering.window"));
    assert_eq!(
        refused(vec![], |sale, _| sale.status = OfferingStatus::Funded, 1).as_deref(),
        Some("offering.open")
    );
    assert_eq!(
        refused(vec![], |sale, _| sale.is_public = false, 1).as_deref(),
        Some("no_general_solicitation")
    );
    assert_eq!(
        refused(vec![], |sale, _| sale.terms.minimum = amount(11), 1).as_deref(),
        Some("offering.minimum")
    );
    assert_eq!(refused(vec![], |_, me| me.units = amount(50), 1), None);
    assert_eq!(
        refused(vec![], |_, me| me.units = amount(51), 1).as_deref(),
        Some("offering.maximum")
    );
    assert_eq!(
        refused(vec![], |_, me| me.open_reservations = 5, 1).as_deref(),
        Some("reservations.open")
    );
    assert_eq!(refused(vec![], |sale, _| sale.left = amount(10), 1), None);
    assert_eq!(
        refused(vec![], |sale, _| sale.left = amount(9), 1).as_deref(),
        Some("offering.left")
    );
    let identity = || vec![Rule::IdentityVerified {}];
    assert_eq!(refused(identity(), none, 49), None);
    assert_eq!(refused(identity(), none, 50).as_deref(), Some("identity_verified"));
    let screening = || vec![Rule::ScreeningClear {}];
    assert_eq!(refused(screening(), none, 49), None);
    assert_eq!(refused(screening(), none, 50).as_deref(), Some("screening_clear"));
    assert_eq!(
        refused(screening(), |_, me| me.standing.screening = Screening::Match, 1).as_deref(),
        Some("screening_clear")
    );
    let only = |country: &str| {
        vec![Rule::ResidencyIn {
            countries: vec![country.to_owned()],
        }]
    };
    assert_eq!(refused(only("DE"), none, 1), None);
    assert_eq!(refused(only("FR"), none, 1).as_deref(), Some("residency_in"));
    assert_eq!(
        refused(only("DE"), |_, me| me.standing.residency = None, 1).as_deref(),
        Some("residency_in")
    );
    let without = |country: &str| {
        vec![Rule::ResidencyNotIn {
            countries: vec![country.to_owned()],
        }]
    };
    assert_eq!(refused(without("US"), none, 1), None);
    assert_eq!(refused(without("DE"), none, 1).as_deref(), Some("residency_not_in"));
    assert_eq!(
        refused(vec![Rule::Accredited {}], none, 1).as_deref(),
        Some("accredited")
    );
    assert_eq!(
        refused(
            vec![Rule::Accredited {}],
            |_, me| me.standing.accredited_until = Some(at(2)),
            1
        ),
        None
    );
    assert_eq!(
        refused(vec![Rule::EntryTestPassed {}], none, 1).as_deref(),
        Some("entry_test_passed")
    );
    assert_eq!(
        refused(
            vec![Rule::EntryTestPassed {}],
            |_, me| me.standing.sophisticated_until = Some(at(2)),
            1
        ),
        None
    );
    let minimum = |minor| {
        vec![Rule::MinimumInvestment {
            amount_minor: amount(minor),
            currency: usd(),
        }]
    };
    assert_eq!(refused(minimum(50_000), none, 1), None);
    assert_eq!(refused(minimum(50_001), none, 1).as_deref(), Some("minimum_investment"));
    let yearly = |too| {
        vec![Rule::YearlyLimit {
            amount_minor: amount(60_000),
            currency: usd(),
            accredited_too: too,
        }]
    };
    assert_eq!(
        refused(yearly(false), |_, me| me.bought_in_year = amount(10_000), 1),
        None
    );
    assert_eq!(
        refused(yearly(false), |_, me| me.bought_in_year = amount(10_001), 1).as_deref(),
        Some("yearly_limit")
    );
    let rich = |_: &mut Sale, me: &mut Buyer| {
        me.bought_in_year = amount(10_001);
        me.standing.accredited_until = Some(at(2));
    };
    assert_eq!(refused(yearly(false), rich, 1), None);
    assert_eq!(refused(yearly(true), rich, 1).as_deref(), Some("yearly_limit"));
    assert_eq!(
        refused(vec![], |_, me| me.own_yearly_limit = Some(amount(49_999)), 1).as_deref(),
        Some("yearly_limit")
    );
    let warning = || {
        vec![Rule::WarningAbove {
            amount_minor: amount(40_000),
            currency: usd(),
            net_worth_ppm: 50_000,
        }]
    };
    assert_eq!(refused(warning(), none, 1).as_deref(), Some("warning_above"));
    assert_eq!(
        refused(
            warning(),
            |_, me| me.standing.net_worth_minor = Some((1_000_000, usd())),
            1
        ),
        None
    );
    assert_eq!(
        refused(
            warning(),
            |_, me| me.standing.net_worth_minor = Some((999_000, usd())),
            1
        )
        .as_deref(),
        Some("warning_above")
    );
    assert_eq!(
        refused(vec![Rule::HolderCap { parties: 3 }], |sale, _| sale.holders.all = 2, 1),
        None
    );
    assert_eq!(
        refused(vec![Rule::HolderCap { parties: 3 }], |sale, _| sale.holders.all = 3, 1).as_deref(),
        Some("holder_cap")
    );
    let holder = |sale: &mut Sale, me: &mut Buyer| {
        sale.holders.all = 3;
        me.is_holder = true;
    };
    assert_eq!(
        refused(vec![Rule::HolderCap { parties: 3 }], holder, 1),
        None,
        "who counts already takes no new place"
    );
}

#[test]
fn an_accepted_order_changes_what_is_left_for_the_next() {
    let mut sale = sale(vec![Rule::HolderCap { parties: 2 }]);
    sale.terms.maximum = Some(amount(60));
    let first = sale.decide(&order(1, 60), at(1)).unwrap();
    assert_eq!(
        (first.charge.total(), first.charge.fee(), first.charge.sum()),
        (amount(300_000), amount(6_000), amount(306_000))
    );
    assert_eq!(first.due_at, at(1) + TimeDelta::minutes(30));
    assert_eq!(sale.decide(&order(1, 2), at(1)).unwrap_err().rule, "offering.maximum");
    assert_eq!(sale.decide(&order(2, 41), at(1)).unwrap_err().rule, "offering.left");
    assert!(sale.decide(&order(2, 20), at(1)).is_ok());
    assert_eq!(sale.decide(&order(3, 2), at(1)).unwrap_err().rule, "holder_cap");
    let last = sale.decide(&order(2, 20), at(99) + TimeDelta::minutes(45)).unwrap();
    assert_eq!(last.due_at, at(100), "no reservation outlives the sale");
    assert_eq!(sale.left, Amount::ZERO);
}

proptest! {
    #[test]
    fn a_sale_is_never_oversold_and_refusals_take_nothing(orders in proptest::collection::vec((1..=5_u128, 1..70_i64), 0..60)) {
        let mut sale = sale(vec![]);
        let mut sold = 0;
        for (number, units) in orders {
            let before = sale.clone();
            match sale.decide(&order(number, units), at(1)) {
                Ok(reservation) => {
                    sold += reservation.units.get();
                    prop_assert_eq!(reservation.charge.sum().get(), reservation.charge.total().get() + reservation.charge.fee().get());
                }
                Err(_) => prop_assert_eq!(&sale, &before),
            }
            prop_assert!(sold <= 100);
            prop_assert_eq!(sale.left.get(), 100 - sold);
            let of_buyers: i64 = sale.buyers.values().map(|buyer| buyer.units.get()).sum();
            prop_assert_eq!(of_buyers, sold);
        }
    }
}
