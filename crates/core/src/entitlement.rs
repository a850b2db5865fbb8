//! Who is entitled to how much of a distribution where it is not the register of one instant that decides: integer
//! token-seconds over a period (L10).
//!
//! A change counts from the whole second in which it happened, so that whoever holds for a second is entitled to as many
//! token-seconds as he holds tokens, and all entitlements of a second add up to what is held.

use crate::{
    money::{Amount, AmountRefused},
    refusal::Refusal,
};

/// A change of what somebody holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The second since 1970 in which it happened.
    pub second: i64,
    /// How many smallest units came; below zero: went.
    pub units: i64,
}

/// Tokens times seconds in a period, from its first second on and before its end, by the changes of one holder in any order.
///
/// # Errors
/// When there are more than an amount can count.
pub fn token_seconds(changes: &[Change], from: i64, to: i64) -> Result<Amount, AmountRefused> {
    let mut changes = changes.to_vec();
    changes.sort_by_key(|change| change.second);
    let (mut held, mut since, mut sum) = (0_i128, from, 0_i128);
    for change in changes.iter().filter(|change| change.second < to) {
        let until = change.second.max(from);
        sum += held * i128::from(until - since);
        held += i128::from(change.units);
        since = until;
    }
    if since < to {
        sum += held * i128::from(to - since);
    }
    Amount::try_from(i64::try_from(sum).unwrap_or(i64::MAX))
}

/// Whether token-seconds of a period can be asked for at an instant: all of it is over.
///
/// # Errors
/// `distribution.period`.
pub fn can_count(from: i64, to: i64, now: i64) -> Result<(), Refusal> {
    let refusal = |reason: &str, remedy: &str| {
        Refusal::new("distribution.period", reason, remedy)
            .looking_at("from", from)
            .looking_at("to", to)
            .looking_at("now", now)
    };
    if from >= to {
        return Err(refusal("the period ends before it begins", "name a later end"));
    }
    if to > now {
        return Err(refusal(
            "nobody knows yet who will hold tokens until then",
            "name an end that is not in the future",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn change(second: i64, units: i64) -> Change {
        Change { second, units }
    }

    #[test]
    fn what_came_counts_from_its_second_on() {
        let changes = [change(10, 5), change(20, -2), change(30, -3)];
        let of = |from, to| token_seconds(&changes, from, to).unwrap().get();
        assert_eq!(of(0, 10), 0);
        assert_eq!(of(0, 11), 5);
        assert_eq!(of(0, 100), 50 + 30);
        assert_eq!(of(15, 25), 25 + 15);
        assert_eq!(of(30, 40), 0);
        assert_eq!(token_seconds(&[], 0, 10), Ok(Amount::ZERO));
    }

    #[test]
    fn a_period_is_over_and_not_empty() {
        assert_eq!(can_count(5, 5, 9).unwrap_err().rule, "distribution.period");
        assert_eq!(can_count(5, 10, 9).unwrap_err().rule, "distribution.period");
        assert_eq!(can_count(5, 9, 9), Ok(()));
    }

    prop_compose! {
        /// Somebody never holds less than nothing.
        fn history()(steps in proptest::collection::vec((0..50_i64, -20..20_i64), 0..20)) -> Vec<Change> {
            let mut second = 0;
            let mut held = 0;
            steps.into_iter().map(|(later, units)| {
                second += later;
                let units = units.max(-held);
                held += units;
                change(second, units)
            }).collect()
        }
    }

    proptest! {
        #[test]
        fn it_is_what_is_held_in_each_second(history in history(), from in 0..500_i64, length in 1..500_i64) {
            let to = from + length;
            let held = |second: i64| history.iter().filter(|change| change.second <= second).map(|change| change.units).sum::<i64>();
            let expected: i64 = (from..to).map(held).sum();
            prop_assert_eq!(token_seconds(&history, from, to).unwrap().get(), expected);
            let mut backwards = history.clone();
            backwards.reverse();
            prop_assert_eq!(token_seconds(&backwards, from, to).unwrap().get(), expected, "the order never matters (L15)");
            let half = from + length / 2;
            let parts = token_seconds(&history, from, half).unwrap().get() + token_seconds(&history, half, to).unwrap().get();
            prop_assert_eq!(parts, expected, "two periods are one");
        }
    }
}
