//! What a property's recorded periods and valuations say about it: occupancy, net operating income, yields.
//!
//! What is not known is `None`, never a guess: nothing is annualised, interpolated or carried on from another year. Where each
//! formula is from stands in docs/ANALYTICS.md.

use std::fmt;

use chrono::{Days, Months, NaiveDate};

use crate::{
    distribution::{USES, Use},
    money::Amount,
};

/// Smallest unit of a percentage: 10^-12 of a percent.
const PER_PERCENT: i128 = 1_000_000_000_000;

/// A percentage with twelve digits after the point, below a million in size; below zero where something was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(i128);

impl Percent {
    /// The first size that is none any more: of such a figure the whole was next to nothing, and it says nothing.
    const TOO_LARGE: i128 = 1_000_000 * PER_PERCENT;

    /// What `part` is of `whole`, rounded to the nearest, halves away from zero. None of a whole of 0, or from 1,000,000 % on.
    pub fn of(part: i64, whole: i64) -> Option<Percent> {
        if whole <= 0 {
            return None;
        }
        let (scaled, whole) = (i128::from(part) * 100 * PER_PERCENT, i128::from(whole));
        let size = (2 * scaled.abs() + whole) / (2 * whole);
        (size < Self::TOO_LARGE).then_some(Percent(size * scaled.signum()))
    }
}

/// A decimal figure with all its digits, as `numeric` reads it: `12.824094854324`.
impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let size = self.0.abs();
        write!(f, "{sign}{}.{:012}", size / PER_PERCENT, size % PER_PERCENT)
    }
}

/// A period's rent less everything that running the property cost it, in smallest units: taxes, insurance, maintenance, manager
/// and platform, but not what is kept in reserve. A cost counts in the period that carries it, whether there was money for it or
/// not: `given` and `short` are what the period's waterfall gave each use and what it lacked, `carried` what it lacked before.
pub fn net_operating_income(rent: Amount, given: &[Amount; USES], short: &[Amount; USES], carried: &[Amount]) -> i64 {
    let mut net = rent.get();
    for (place, (one, (given, short))) in Use::ALL.into_iter().zip(given.iter().zip(short)).enumerate() {
        match one {
            Use::Taxes | Use::Insurance | Use::Maintenance | Use::Manager | Use::Platform => {
                let before = carried.get(place).map_or(0, |amount| amount.get());
                // Amounts are below 2^53: a dozen of them fit.
                net = net - given.get() - short.get() + before;
            }
            Use::Reserve => {}
        }
    }
    net
}

/// What is recorded of a period that was approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// Its first day.
    pub first: NaiveDate,
    /// Its last day.
    pub last: NaiveDate,
    /// Rent received.
    pub rent: Amount,
    /// Net operating income in smallest units.
    pub net: i64,
    /// On how many of its days it was let; none where nobody said.
    pub let_days: Option<u32>,
}

impl Period {
    fn days(&self) -> i64 {
        (self.last - self.first).num_days() + 1
    }
}

/// What a property was worth on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Valuation {
    /// The day.
    pub on: NaiveDate,
    /// What the whole property was worth.
    pub amount: Amount,
}

/// What twelve months say; each figure none where it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Earned {
    /// Rent received in the twelve months, in smallest units.
    pub rent: Option<Amount>,
    /// Net operating income of the twelve months, in smallest units.
    pub net: Option<i64>,
    /// Part of the twelve months in which it was let.
    pub occupancy: Option<Percent>,
    /// The newest valuation of the day or before.
    pub market_value: Option<Valuation>,
    /// Rent over market value.
    pub rental_yield: Option<Percent>,
    /// Net operating income over market value.
    pub cap_rate: Option<Percent>,
    /// Change of market value over the twelve months.
    pub appreciation: Option<Percent>,
}

/// The figures of the twelve months that end with `day`. Periods and valuations are all of one currency, in any order; of two
/// valuations of one day the later in the list counts.
pub fn earned(day: NaiveDate, periods: &[Period], valuations: &[Valuation]) -> Earned {
    let Some(first) = first_day(day) else {
        return Earned::default();
    };
    let year: Vec<&Period> = periods
        .iter()
        .filter(|period| period.last >= first && period.first <= day)
        .collect();
    let days = (day - first).num_days() + 1;
    // Periods of a property do not overlap: those within the twelve months that have as many days cover them.
    let is_whole = year.iter().all(|period| period.first >= first && period.last <= day)
        && year.iter().map(|period| period.days()).sum::<i64>() == days;
    let (rent, net, let_days) = if is_whole {
        let let_days: Option<u32> = year.iter().map(|period| period.let_days).sum();
        (
            Amount::sum(year.iter().map(|period| period.rent)).ok(),
            year.iter().try_fold(0_i64, |sum, period| sum.checked_add(period.net)),
            let_days,
        )
    } else {
        (None, None, None)
    };
    let market_value = newest(valuations, day);
    let over = |part: Option<i64>| Percent::of(part?, market_value?.amount.get());
    Earned {
        rent,
        net,
        occupancy: let_days.and_then(|let_days| Percent::of(i64::from(let_days), days)),
        market_value,
        rental_yield: over(rent.map(Amount::get)),
        cap_rate: over(net),
        appreciation: appreciation(valuations, first, market_value),
    }
}

/// The first of the twelve months' days: the day after `day`, a year before. The last of a month begins with the first of one.
fn first_day(day: NaiveDate) -> Option<NaiveDate> {
    day.checked_add_days(Days::new(1))?.checked_sub_months(Months::new(12))
}

fn newest(valuations: &[Valuation], day: NaiveDate) -> Option<Valuation> {
    valuations
        .iter()
        .filter(|valuation| valuation.on <= day)
        .max_by_key(|valuation| valuation.on)
        .copied()
}

/// None without a valuation within the twelve months: that nobody looked does not mean that nothing changed.
fn appreciation(valuations: &[Valuation], first: NaiveDate, now: Option<Valuation>) -> Option<Percent> {
    let now = now.filter(|now| now.on >= first)?;
    let before = newest(valuations, first.pred_opt()?)?;
    Percent::of(now.amount.get() - before.amount.get(), before.amount.get())
}

/// The average of so many, round half up to the smallest unit; none of fewer than three, since of two each knows the other's.
pub fn average_of_three_or_more(total: Amount, count: u32) -> Option<Amount> {
    if count < 3 {
        return None;
    }
    let count = i64::from(count);
    Amount::try_from((total.get() + count / 2) / count).ok()
}

#[cfg(test)]
mod tests;
