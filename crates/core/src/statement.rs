//! Statements: what an investor had, got and gave in a calendar year, so that every figure re-adds to the ledger.
//!
//! A year is a calendar year in UTC. Whatever changed is a signed number of smallest units; a list of changes is a statement's
//! only where opening and changes give the closing that the ledger has by itself. Lots are kept as they are now, and what
//! left them is kept with its instant: what a lot was at an instant in the past is what it is now and what left it since.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike as _, Days, Months, NaiveDate, Utc};

use crate::money::{Amount, AmountRefused};

/// A calendar year in UTC, 1970 to 9000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Year {
    first_day: NaiveDate,
    day_after: NaiveDate,
}

impl Year {
    /// A year by its number.
    pub fn of(number: i32) -> Option<Year> {
        if !(1970..=9000).contains(&number) {
            return None;
        }
        let first_day = NaiveDate::from_ymd_opt(number, 1, 1)?;
        let day_after = first_day.checked_add_months(Months::new(12))?;
        Some(Year { first_day, day_after })
    }

    /// Its number.
    pub fn number(self) -> i32 {
        self.first_day.year()
    }

    /// January 1.
    pub fn first_day(self) -> NaiveDate {
        self.first_day
    }

    /// December 31.
    pub fn last_day(self) -> NaiveDate {
        self.day_after.checked_sub_days(Days::new(1)).unwrap_or(self.first_day)
    }

    /// January 1 of the year after: what happens from here on is not in it.
    pub fn day_after(self) -> NaiveDate {
        self.day_after
    }

    /// Its first instant.
    pub fn begins_at(self) -> DateTime<Utc> {
        midnight(self.first_day)
    }

    /// The first instant after it.
    pub fn ends_at(self) -> DateTime<Utc> {
        midnight(self.day_after)
    }

    /// Whether a day is in it.
    pub fn has(self, day: NaiveDate) -> bool {
        (self.first_day..self.day_after).contains(&day)
    }
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(chrono::NaiveTime::MIN).and_utc()
}

/// An account over a year: what lay in it before, how it changed, what lay in it after, in smallest units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roll {
    /// Before the year's first instant.
    pub opening: i64,
    /// The sum of its changes within the year.
    pub change: i64,
    /// At the year's last instant, as the ledger has it by itself.
    pub closing: i64,
}

impl Roll {
    /// An account's year from its single changes.
    ///
    /// # Errors
    /// When a sum is past what an amount can be.
    pub fn of(opening: i64, changes: impl IntoIterator<Item = i64>, closing: i64) -> Result<Roll, AmountRefused> {
        let mut change = 0_i64;
        for one in changes {
            change = change.checked_add(one).ok_or(AmountRefused::OutOfRange)?;
        }
        Ok(Roll {
            opening,
            change,
            closing,
        })
    }

    /// Whether opening and changes are the closing.
    pub fn adds_up(&self) -> bool {
        self.opening.checked_add(self.change) == Some(self.closing)
    }
}

/// What is or was in a lot: tokens, and what they cost, fee included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LotContent {
    /// Tokens in smallest units.
    pub units: Amount,
    /// Their cost in smallest units of its currency.
    pub cost: Amount,
}

/// What left a lot, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// What left.
    pub content: LotContent,
    /// From this instant on it was gone.
    pub at: DateTime<Utc>,
}

/// What was in a lot just before an instant: what is in it now, and what left it from that instant on.
///
/// # Errors
/// When the sum is past what an amount can be.
pub fn content_before(now: LotContent, left: &[Left], instant: DateTime<Utc>) -> Result<LotContent, AmountRefused> {
    left.iter().filter(|one| one.at >= instant).try_fold(now, |sum, one| {
        Ok(LotContent {
            units: sum.units.plus(one.content.units)?,
            cost: sum.cost.plus(one.content.cost)?,
        })
    })
}

/// What a disposal brought beyond its cost, in smallest units; a loss is below zero.
pub fn gain(proceeds: Amount, cost: Amount) -> i64 {
    // Both are within 2^53.
    proceeds.get() - cost.get()
}

/// Income before and after tax.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Income {
    /// Before tax.
    pub gross: Amount,
    /// Tax withheld of it.
    pub withheld: Amount,
    /// What the holder was credited.
    pub net: Amount,
}

impl Income {
    /// The income of a line.
    ///
    /// # Errors
    /// When more is withheld than there is.
    pub fn of(gross: Amount, withheld: Amount) -> Result<Income, AmountRefused> {
        Ok(Income {
            gross,
            withheld,
            net: gross.minus(withheld)?,
        })
    }

    /// Both together.
    ///
    /// # Errors
    /// When a sum is past what an amount can be.
    pub fn plus(self, other: Income) -> Result<Income, AmountRefused> {
        Ok(Income {
            gross: self.gross.plus(other.gross)?,
            withheld: self.withheld.plus(other.withheld)?,
            net: self.net.plus(other.net)?,
        })
    }
}

/// Income by the month in which it was credited: the first day of each month that had any.
///
/// # Errors
/// When a sum is past what an amount can be.
pub fn by_month(
    lines: impl IntoIterator<Item = (NaiveDate, Income)>,
) -> Result<BTreeMap<NaiveDate, Income>, AmountRefused> {
    let mut months = BTreeMap::new();
    for (day, income) in lines {
        let month: &mut Income = months.entry(day.with_day(1).unwrap_or(day)).or_default();
        *month = month.plus(income)?;
    }
    Ok(months)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn amount(units: i64) -> Amount {
        Amount::try_from(units).unwrap()
    }

    fn content(units: i64, cost: i64) -> LotContent {
        LotContent {
            units: amount(units),
            cost: amount(cost),
        }
    }

    #[test]
    fn a_year_has_its_first_and_its_last_instant() {
        let year = Year::of(2028).unwrap();
        assert_eq!(
            (year.first_day().to_string(), year.last_day().to_string()),
            ("2028-01-01".to_owned(), "2028-12-31".to_owned())
        );
        assert_eq!(
            year.ends_at(),
            Year::of(2029).unwrap().begins_at(),
            "no instant is in two years, or in none"
        );
        assert!(year.has(year.last_day()) && !year.has(year.day_after()));
        assert_eq!((Year::of(1969), Year::of(9001)), (None, None));
    }

    #[test]
    fn a_roll_that_misses_a_unit_does_not_add_up() {
        assert!(Roll::of(5, [3, -2], 6).unwrap().adds_up());
        assert!(!Roll::of(5, [3, -2], 7).unwrap().adds_up());
        assert_eq!(Roll::of(0, [i64::MAX, 1], 0), Err(AmountRefused::OutOfRange));
        assert!(
            !Roll {
                opening: i64::MAX,
                change: 1,
                closing: i64::MIN
            }
            .adds_up()
        );
    }

    #[test]
    fn what_left_at_the_instant_was_there_before_it() {
        let at = Year::of(2030).unwrap().ends_at();
        let left = [Left {
            content: content(4, 40),
            at,
        }];
        assert_eq!(content_before(content(6, 60), &left, at), Ok(content(10, 100)));
        let later = Year::of(2031).unwrap().ends_at();
        assert_eq!(content_before(content(6, 60), &left, later), Ok(content(6, 60)));
    }

    #[test]
    fn a_loss_is_below_zero() {
        assert_eq!((gain(amount(7), amount(5)), gain(amount(5), amount(7))), (2, -2));
    }

    proptest! {
        #[test]
        fn a_lot_is_what_it_began_as_less_what_left(
            parts in proptest::collection::vec((0..1_000_i64, 0..1_000_i64, 0..100_i64), 0..20), asked in 0..101_i64,
        ) {
            let at = |second| DateTime::from_timestamp(second, 0).unwrap();
            let all: (i64, i64) = parts.iter().fold((7, 9), |sum, part| (sum.0 + part.0, sum.1 + part.1));
            let left: Vec<Left> = parts.iter().map(|part| Left { content: content(part.0, part.1), at: at(part.2) }).collect();
            let gone = parts.iter().filter(|part| part.2 < asked).fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
            prop_assert_eq!(content_before(content(7, 9), &left, at(asked)), Ok(content(all.0 - gone.0, all.1 - gone.1)));
        }

        #[test]
        fn months_add_up_to_their_lines(lines in proptest::collection::vec((0..730_u64, 0..1_000_000_i64, 0..=1_000_000_u32), 0..50)) {
            let first = NaiveDate::from_ymd_opt(2030, 1, 1).unwrap();
            let lines: Vec<(NaiveDate, Income)> = lines
                .into_iter()
                .map(|(day, gross, rate)| {
                    let gross = amount(gross);
                    (first + Days::new(day), Income::of(gross, gross.part_half_up(rate).unwrap()).unwrap())
                })
                .collect();
            let sum = |all: Vec<Income>| all.into_iter().try_fold(Income::default(), Income::plus).unwrap();
            let months = by_month(lines.iter().copied()).unwrap();
            prop_assert_eq!(sum(months.values().copied().collect()), sum(lines.iter().map(|line| line.1).collect()));
            for (month, income) in &months {
                prop_assert_eq!(income.net.plus(income.withheld).unwrap(), income.gross);
                prop_assert_eq!(month.day(), 1);
            }
        }
    }
}
