use proptest::prelude::*;

use super::*;
use crate::money::Decimals;

fn usd(text: &str) -> Amount {
    Amount::parse(text, Decimals::CENTS).unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn shown(percent: Option<Percent>) -> String {
    percent.map_or_else(|| "none".to_owned(), |percent| percent.to_string())
}

/// The golden month: 1,555.00 of rent, 1,059.50 net.
fn golden_month(year: i32, month: u32) -> Period {
    let first = NaiveDate::from_ymd_opt(year, month, 1).unwrap();
    let last = first.checked_add_months(Months::new(1)).unwrap().pred_opt().unwrap();
    Period {
        first,
        last,
        rent: usd("1555.00"),
        net: usd("1059.50").get(),
        let_days: Some(u32::try_from((last - first).num_days() + 1).unwrap()),
    }
}

fn golden_year(year: i32) -> Vec<Period> {
    (1..=12).map(|month| golden_month(year, month)).collect()
}

#[test]
fn a_percentage_is_exact_to_twelve_digits() {
    let check = |part: i64, whole: i64, expect: &str| {
        assert_eq!(shown(Percent::of(part, whole)), expect, "{part} of {whole}");
    };
    check(1_271_400, 9_914_150, "12.824094854324");
    check(1_866_000, 9_914_150, "18.821583292567");
    check(1, 3, "33.333333333333");
    check(2, 3, "66.666666666667");
    check(-2, 3, "-66.666666666667");
    check(0, 5, "0.000000000000");
    check(5, 5, "100.000000000000");
    check(-13_000, 9_914_150, "-0.131125714257");
    // Halves go away from zero: one unit of the last digit is a half of 2 x 10^14.
    check(1, 200_000_000_000_000, "0.000000000001");
    check(-1, 200_000_000_000_000, "-0.000000000001");
    check(1, 200_000_000_000_001, "0.000000000000");
    check(9_999, 1, "999900.000000000000");
    check(10_000, 1, "none");
    check(1, 0, "none");
}

#[test]
fn the_golden_month_nets_what_holders_get() {
    let given = ["130", "55", "155", "124.40", "31.10", "0"].map(usd);
    let net = net_operating_income(usd("1555.00"), &given, &[Amount::ZERO; USES], &[]);
    assert_eq!(net, usd("1059.50").get());
}

#[test]
fn what_is_kept_in_reserve_is_no_cost_and_a_shortfall_counts_once() {
    let units = |amounts: [i64; USES]| amounts.map(|amount| Amount::try_from(amount).unwrap());
    // No rent, taxes of 60 and a wish for 50 in reserve: nothing to give.
    let empty = net_operating_income(Amount::ZERO, &units([0; 6]), &units([60, 0, 0, 0, 0, 50]), &[]);
    assert_eq!(empty, -60);
    // The month after has 100, taxes of 10, and pays the 60 as well.
    let carried = units([60, 0, 0, 0, 0, 50]);
    let after = net_operating_income(
        usd("1"),
        &units([70, 0, 0, 0, 0, 30]),
        &units([0, 0, 0, 0, 0, 20]),
        &carried,
    );
    assert_eq!(after, 90);
}

#[test]
fn the_golden_year() {
    let worth = Valuation {
        on: day("2024-06-30"),
        amount: usd("99141.50"),
    };
    let year = earned(day("2024-12-31"), &golden_year(2024), &[worth]);
    assert_eq!(year.rent, Some(usd("18660.00")));
    assert_eq!(year.net, Some(usd("12714.00").get()));
    assert_eq!(shown(year.cap_rate), "12.824094854324");
    assert_eq!(shown(year.rental_yield), "18.821583292567");
    assert_eq!(shown(year.occupancy), "100.000000000000");
    assert_eq!(year.market_value, Some(worth));
    assert_eq!(year.appreciation, None, "nobody said what it was worth a year ago");
}

#[test]
fn what_is_not_known_is_none() {
    let months = golden_year(2023);
    let end = day("2023-12-31");
    let unvalued = earned(end, &months, &[]);
    assert_eq!(unvalued.rent, Some(usd("18660.00")));
    assert_eq!(
        (unvalued.market_value, unvalued.rental_yield, unvalued.cap_rate),
        (None, None, None)
    );

    let worth = [Valuation {
        on: end,
        amount: usd("99141.50"),
    }];
    for (missing, why) in [
        (0, "the first month"),
        (5, "a month in between"),
        (11, "the last month"),
    ] {
        let mut gap = months.clone();
        gap.remove(missing);
        let year = earned(end, &gap, &worth);
        assert_eq!(
            (year.rent, year.net, year.cap_rate, year.occupancy),
            (None, None, None, None),
            "{why} is missing"
        );
        assert_eq!(
            year.market_value,
            Some(worth[0]),
            "what it is worth is known all the same"
        );
    }
    let mut across = months.clone();
    across[0].first = day("2022-12-15");
    assert_eq!(
        earned(end, &across, &worth).rent,
        None,
        "a period of two years is not divided by guess"
    );
    let mut unsaid = months.clone();
    unsaid[3].let_days = None;
    let year = earned(end, &unsaid, &worth);
    assert_eq!(
        (year.occupancy, shown(year.cap_rate)),
        (None, "12.824094854324".to_owned())
    );
}

#[test]
fn twelve_months_begin_where_the_last_ones_ended() {
    for (last, first) in [
        ("2024-12-31", "2024-01-01"),
        ("2024-02-29", "2023-03-01"),
        ("2025-02-28", "2024-03-01"),
        ("2024-01-30", "2023-01-31"),
        ("2024-11-14", "2023-11-15"),
    ] {
        assert_eq!(first_day(day(last)), Some(day(first)), "{last}");
    }
}

#[test]
fn appreciation_needs_two_looks_a_year_apart() {
    let worth = |on: &str, amount: &str| Valuation {
        on: day(on),
        amount: usd(amount),
    };
    let check = |valuations: &[Valuation], expect: &str, why: &str| {
        assert_eq!(
            shown(earned(day("2024-12-31"), &[], valuations).appreciation),
            expect,
            "{why}"
        );
    };
    let (old, new) = (worth("2023-12-31", "200000"), worth("2024-03-01", "210000"));
    check(&[old, new], "5.000000000000", "a year ago and within the year");
    check(&[new, old], "5.000000000000", "in any order");
    check(
        &[old, worth("2024-12-31", "190000"), new],
        "-5.000000000000",
        "the newest counts",
    );
    check(&[old], "none", "an old valuation does not say that nothing changed");
    check(
        &[worth("2024-01-01", "200000"), new],
        "none",
        "nothing is known of a year ago",
    );
    check(
        &[old, new, worth("2025-01-01", "1")],
        "5.000000000000",
        "nobody knew that on the day",
    );
    check(
        &[old, worth("2024-03-01", "1"), new],
        "5.000000000000",
        "of one day the later in the list",
    );
}

#[test]
fn no_average_of_fewer_than_three() {
    assert_eq!(average_of_three_or_more(usd("100"), 2), None);
    assert_eq!(average_of_three_or_more(usd("100"), 3), Some(usd("33.33")));
    assert_eq!(average_of_three_or_more(usd("200"), 3), Some(usd("66.67")));
    assert_eq!(
        average_of_three_or_more(Amount::MAX, 3).map(Amount::get),
        Some(3_002_399_751_580_330)
    );
}

proptest! {
    #[test]
    fn a_percentage_is_the_nearest(part in -9_007_199_254_740_991_i64..=9_007_199_254_740_991, whole in 1..=9_007_199_254_740_991_i64) {
        let Some(percent) = Percent::of(part, whole) else {
            prop_assert!(i128::from(part).abs() * 100 * 2 + 1 >= i128::from(whole) * 2 * 1_000_000 - 1);
            return Ok(());
        };
        let off = (percent.0 * i128::from(whole) - i128::from(part) * 100 * PER_PERCENT).abs();
        prop_assert!(2 * off <= i128::from(whole));
        let text = percent.to_string();
        let digits: i128 = text.replace('.', "").parse().unwrap();
        prop_assert_eq!(digits, percent.0, "and reads back");
    }

    #[test]
    fn the_order_of_periods_and_how_a_year_is_cut_change_nothing(cuts in proptest::collection::btree_set(1..365_u64, 0..12), turn in 0..12_usize) {
        let first = day("2023-01-01");
        let ends: Vec<u64> = cuts.iter().copied().chain([365]).collect();
        let mut begin = 0;
        let mut periods = Vec::new();
        for end in ends {
            let days = end - begin;
            periods.push(Period {
                first: first.checked_add_days(Days::new(begin)).unwrap(),
                last: first.checked_add_days(Days::new(end - 1)).unwrap(),
                rent: Amount::try_from(i64::try_from(days).unwrap() * 100).unwrap(),
                net: i64::try_from(days).unwrap() * 60,
                let_days: Some(u32::try_from(days).unwrap()),
            });
            begin = end;
        }
        let length = periods.len();
        periods.rotate_left(turn % length);
        let worth = Valuation { on: first, amount: Amount::try_from(365_000).unwrap() };
        let year = earned(day("2023-12-31"), &periods, &[worth]);
        prop_assert_eq!(shown(year.rental_yield), "10.000000000000");
        prop_assert_eq!(shown(year.cap_rate), "6.000000000000");
        prop_assert_eq!(shown(year.occupancy), "100.000000000000");
    }
}
