use proptest::prelude::*;

use super::*;

fn amount(units: i64) -> Amount {
    Amount::try_from(units).unwrap()
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(second, 0).unwrap()
}

fn lot(id: u128, units: i64, cost: i64, tax: i64, until: Option<i64>) -> Lot {
    Lot {
        id: Uuid::from_u128(id),
        units: amount(units),
        cost: amount(cost),
        tax_acquired_at: at(tax),
        restricted: until.map(|until| (at(0), at(until))),
    }
}

fn wish(kind: DisposalKind, units: i64, proceeds: i64) -> Wish {
    Wish {
        kind,
        units: amount(units),
        proceeds: amount(proceeds),
        token_decimals: Decimals::WHOLE,
    }
}

fn back(frozen: i64, promised: i64) -> HeldBack {
    HeldBack {
        frozen: amount(frozen),
        promised: amount(promised),
    }
}

fn told(disposals: &[Disposal]) -> Vec<(u128, i64, i64, i64)> {
    let of = |one: &Disposal| {
        (
            one.lot.id.as_u128(),
            one.units.get(),
            one.cost.get(),
            one.proceeds.get(),
        )
    };
    disposals.iter().map(of).collect()
}

#[test]
fn the_first_in_goes_first_by_the_date_for_tax() {
    let lots = [
        lot(1, 5, 50, 30, None),
        lot(2, 3, 100, 10, None),
        lot(3, 4, 7, 20, None),
    ];
    let got = dispose(&lots, &wish(DisposalKind::Sale, 5, 101), back(0, 0), at(100)).unwrap();
    assert_eq!(told(&got), [(2, 3, 100, 61), (3, 2, 3, 40)], "60.6 and 40.4");
    let all = dispose(&lots, &wish(DisposalKind::Gift, 12, 0), back(0, 0), at(100)).unwrap();
    assert_eq!(told(&all), [(2, 3, 100, 0), (3, 4, 7, 0), (1, 5, 50, 0)]);
}

#[test]
fn what_is_restricted_stays_unless_an_order_takes_it() {
    let lots = [lot(1, 5, 50, 10, Some(200)), lot(2, 3, 30, 20, None)];
    let refused = dispose(&lots, &wish(DisposalKind::Sale, 4, 1), back(0, 0), at(199)).unwrap_err();
    assert_eq!(refused.rule, "lots.free");
    assert_eq!(
        (refused.inputs["free"].as_str(), refused.inputs["restricted"].as_str()),
        ("3", "5")
    );
    assert!(refused.remedy.contains("1970-01-01T00:03:20"), "{}", refused.remedy);
    let later = dispose(&lots, &wish(DisposalKind::Sale, 4, 1), back(0, 0), at(200)).unwrap();
    assert_eq!(told(&later), [(1, 4, 40, 1)], "from that instant on it is free");
    for kind in [DisposalKind::Recovery, DisposalKind::Forced, DisposalKind::Redemption] {
        let got = dispose(&lots, &wish(kind, 8, 0), back(0, 3), at(199)).unwrap();
        assert_eq!(told(&got), [(1, 5, 50, 0), (2, 3, 30, 0)], "{kind:?}");
    }
}

#[test]
fn what_is_frozen_or_promised_stays() {
    let lots = [lot(1, 5, 50, 10, Some(200)), lot(2, 6, 60, 20, None)];
    let free = |kind, frozen, promised| free(&lots, kind, back(frozen, promised), at(100)).unwrap().get();
    assert_eq!(free(DisposalKind::Gift, 5, 0), 6, "five others stay");
    assert_eq!(free(DisposalKind::Gift, 7, 0), 4);
    assert_eq!(free(DisposalKind::Gift, 7, 3), 1);
    assert_eq!(free(DisposalKind::Gift, 99, 3), 0);
    assert_eq!(free(DisposalKind::Recovery, 7, 3), 4);
    assert_eq!(free(DisposalKind::Redemption, 7, 3), 4);
    assert_eq!(free(DisposalKind::Forced, 7, 3), 11);
    let refused = dispose(&lots, &wish(DisposalKind::Gift, 5, 0), back(7, 3), at(100)).unwrap_err();
    assert!(
        refused.remedy.contains("frozen") && refused.remedy.contains("cancel"),
        "{}",
        refused.remedy
    );
    assert!(dispose(&[], &wish(DisposalKind::Gift, 1, 0), back(0, 0), at(0)).is_err());
    assert!(dispose(&lots, &wish(DisposalKind::Gift, 0, 0), back(0, 0), at(0)).is_err());
}

#[test]
fn a_sale_starts_anew_and_nothing_else_does() {
    let lots = [lot(1, 5, 50, 10, Some(200))];
    for &kind in DisposalKind::ALL {
        let got = dispose(&lots, &wish(kind, 2, 90), back(0, 0), at(300)).unwrap();
        let next = new_lot(kind, &got[0], at(300));
        assert_eq!(next.restricted, lots[0].restricted, "it goes on with the tokens");
        let expected = if kind == DisposalKind::Sale || kind == DisposalKind::Redemption {
            (90, at(300))
        } else {
            (20, at(10))
        };
        assert_eq!((next.cost.get(), next.tax_acquired_at), expected, "{kind:?}");
        assert_eq!(kind.name().parse(), Ok(kind));
    }
}

proptest! {
    #[test]
    fn nothing_is_lost_however_often_tokens_go(
        units in proptest::collection::vec((0..1_000_i64, 0..1_000_000_i64, 0..50_i64, proptest::option::of(0..100_i64)), 1..8),
        asked in proptest::collection::vec((1..400_i64, 0..10_000_i64, 0..6_usize), 1..12),
        now in 0..120_i64,
    ) {
        let mut lots: Vec<Lot> = units.iter().zip(1..).map(|(one, id)| lot(id, one.0, one.1, one.2, one.3)).collect();
        let sum = |lots: &[Lot]| lots.iter().fold((0, 0), |sum, lot| (sum.0 + lot.units.get(), sum.1 + lot.cost.get()));
        let began = sum(&lots);
        let mut gone = (0, 0);
        for (units, proceeds, kind) in asked {
            let wish = wish(DisposalKind::ALL[kind], units, proceeds);
            let free = free(&lots, wish.kind, HeldBack::default(), at(now)).unwrap();
            let outcome = dispose(&lots, &wish, HeldBack::default(), at(now));
            prop_assert_eq!(outcome.is_ok(), units <= free.get());
            let Ok(disposals) = outcome else { continue };
            prop_assert_eq!(disposals.iter().map(|one| one.units.get()).sum::<i64>(), units);
            prop_assert_eq!(disposals.iter().map(|one| one.proceeds.get()).sum::<i64>(), proceeds);
            for (place, one) in disposals.iter().enumerate() {
                prop_assert!(one.units > Amount::ZERO && !(wish.kind.is_voluntary() && one.lot.is_restricted(at(now))));
                prop_assert!(place + 1 == disposals.len() || one.units == one.lot.units, "only the last lot keeps something");
                let left = lots.iter_mut().find(|lot| lot.id == one.lot.id).unwrap();
                left.units = left.units.minus(one.units).unwrap();
                left.cost = left.cost.minus(one.cost).unwrap();
                prop_assert!(left.units > Amount::ZERO || left.cost == Amount::ZERO, "no cost without tokens");
                gone = (gone.0 + one.units.get(), gone.1 + one.cost.get());
            }
            let earlier = disposals.iter().map(|one| one.lot.tax_acquired_at).max();
            let stays = lots.iter().filter(|lot| lot.units > Amount::ZERO && !(wish.kind.is_voluntary() && lot.is_restricted(at(now))));
            prop_assert!(stays.map(|lot| lot.tax_acquired_at).min() >= earlier || free.get() == units, "first in, first out");
        }
        let left = sum(&lots);
        prop_assert_eq!((left.0 + gone.0, left.1 + gone.1), began);
    }
}
