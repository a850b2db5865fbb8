//! Fees by a dated schedule: a part of the amount, plus a fixed part, at least a minimum and at most a maximum.
//!
//! PostgreSQL computes fees by the same formula (`nexus.fee_minor`), where commands and clients ask for them; this is the
//! reference that a test compares it with.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    money::{Amount, AmountRefused, Decimals},
    refusal::Refusal,
};

/// How long a fee is known before it holds: longer than any command lasts, so that none that is under way at that instant has
/// missed it.
pub const NOTICE: TimeDelta = TimeDelta::minutes(15);

/// Why a schedule is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleRefused {
    /// A part above the whole.
    #[error("ratePpm is 0 to 1000000 millionths")]
    MoreThanAll,
    /// No fee would be within its bounds.
    #[error("maximum is not below minimum")]
    MaximumBelowMinimum,
}

/// What is charged from an instant on, in the smallest unit of one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeeSchedule {
    /// Part of the amount, in millionths: 20,000 is 2 %.
    pub rate_ppm: u32,
    /// Added to the part.
    pub fixed: Amount,
    /// The fee is at least this.
    pub minimum: Amount,
    /// The fee is at most this, if anything.
    pub maximum: Option<Amount>,
}

impl FeeSchedule {
    /// Whether it can be charged by.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self) -> Result<(), ScheduleRefused> {
        if self.rate_ppm > 1_000_000 {
            return Err(ScheduleRefused::MoreThanAll);
        }
        if self.maximum.is_some_and(|maximum| maximum < self.minimum) {
            return Err(ScheduleRefused::MaximumBelowMinimum);
        }
        Ok(())
    }

    /// The fee on `amount`: round half up of rate x amount, plus the fixed part, then within minimum and maximum.
    pub fn fee_on(&self, amount: Amount) -> Result<Amount, AmountRefused> {
        let fee = amount.part_half_up(self.rate_ppm)?.plus(self.fixed)?.max(self.minimum);
        Ok(self.maximum.map_or(fee, |maximum| fee.min(maximum)))
    }
}

/// What a purchase costs its buyer (L8): the total for the tokens, and the fee on top of it, computed once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    total: Amount,
    fee: Amount,
    sum: Amount,
}

impl Charge {
    /// The charge for `tokens` at `price` for one whole token, with the fee by `schedule`. Exact, or refused.
    pub fn for_tokens(
        tokens: Amount,
        token_decimals: Decimals,
        price: Amount,
        schedule: &FeeSchedule,
    ) -> Result<Charge, AmountRefused> {
        let total = tokens.at_price(price, token_decimals)?;
        let fee = schedule.fee_on(total)?;
        let sum = total.plus(fee)?;
        Ok(Charge { total, fee, sum })
    }

    /// Tokens x price: what goes into the property, and counts to limits.
    pub fn total(&self) -> Amount {
        self.total
    }

    /// The fee.
    pub fn fee(&self) -> Amount {
        self.fee
    }

    /// What the buyer pays: total and fee.
    pub fn sum(&self) -> Amount {
        self.sum
    }
}

/// From when on a schedule holds that is published at `now`: from the instant that was wished for, or else as soon as may be.
///
/// # Errors
/// `fee.notice`: sooner than [`NOTICE`] from now, or in the past.
pub fn holds_from(wished: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<DateTime<Utc>, Refusal> {
    let earliest = now + NOTICE;
    match wished {
        None => Ok(earliest),
        Some(wished) if wished >= earliest => Ok(wished),
        Some(wished) => Err(Refusal::new(
            "fee.notice",
            format!("a fee is known {} minutes before it holds", NOTICE.num_minutes()),
            "publish it for a later instant",
        )
        .looking_at("valid_from", wished.to_rfc3339())
        .looking_at("earliest", earliest.to_rfc3339())),
    }
}

/// The entry of a dated list that holds at `at`: the latest that does not begin after it. The list need not be sorted.
pub fn in_force<At: Ord + Copy, T>(dated: &[(At, T)], at: At) -> Option<&T> {
    dated
        .iter()
        .filter(|(from, _)| *from <= at)
        .max_by_key(|(from, _)| *from)
        .map(|(_, entry)| entry)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::money::AMOUNT_MAX;

    fn usd(text: &str) -> Amount {
        Amount::parse(text, Decimals::CENTS).unwrap()
    }

    fn of_rate(rate_ppm: u32) -> FeeSchedule {
        FeeSchedule {
            rate_ppm,
            fixed: Amount::ZERO,
            minimum: Amount::ZERO,
            maximum: None,
        }
    }

    #[test]
    fn the_golden_month_adds_up() {
        let gross = usd("1555.00");
        let manager = of_rate(80_000).fee_on(gross).unwrap();
        let platform = of_rate(20_000).fee_on(gross).unwrap();
        assert_eq!((manager, platform), (usd("124.40"), usd("31.10")));
        let costs = Amount::sum([manager, platform, usd("55"), usd("130"), usd("155")]).unwrap();
        let net = gross.minus(costs).unwrap();
        assert_eq!(net, usd("1059.50"));
        assert_eq!(Amount::sum([net; 12]).unwrap(), usd("12714.00"));
    }

    #[test]
    fn every_part_of_a_schedule_counts() {
        let schedule = FeeSchedule {
            rate_ppm: 15_000,
            fixed: usd("0.30"),
            minimum: usd("1.00"),
            maximum: Some(usd("50.00")),
        };
        let check = |amount: &str, fee: &str| assert_eq!(schedule.fee_on(usd(amount)), Ok(usd(fee)), "fee on {amount}");
        check("0", "1.00");
        check("46.66", "1.00");
        check("47.00", "1.01"); // 0.705 rounds up to 0.71, plus 0.30
        check("1000", "15.30");
        check("3313.33", "50.00");
        check("1000000", "50.00");
    }

    #[test]
    fn a_schedule_is_within_its_own_bounds() {
        let check = |rate_ppm, minimum, maximum: Option<&str>| {
            let schedule = FeeSchedule {
                rate_ppm,
                fixed: Amount::ZERO,
                minimum: usd(minimum),
                maximum: maximum.map(usd),
            };
            schedule.check()
        };
        assert_eq!(check(1_000_000, "1", Some("1")), Ok(()));
        assert_eq!(check(0, "0", None), Ok(()));
        assert_eq!(check(1_000_001, "0", None), Err(ScheduleRefused::MoreThanAll));
        assert_eq!(check(1, "1", Some("0.99")), Err(ScheduleRefused::MaximumBelowMinimum));
    }

    #[test]
    fn a_fee_is_known_before_it_holds() {
        let now = DateTime::from_timestamp(1_900_000_000, 0).unwrap();
        let earliest = now + NOTICE;
        assert_eq!(holds_from(None, now), Ok(earliest));
        assert_eq!(holds_from(Some(earliest), now), Ok(earliest));
        for wished in [earliest - TimeDelta::microseconds(1), now, now - TimeDelta::days(1)] {
            let refused = holds_from(Some(wished), now).unwrap_err();
            assert_eq!(refused.rule, "fee.notice");
            assert_eq!(refused.inputs["earliest"], earliest.to_rfc3339());
        }
    }

    #[test]
    fn the_latest_entry_not_in_the_future_holds() {
        let dated = [(20, "second"), (10, "first"), (30, "third")];
        for (at, expect) in [
            (9, None),
            (10, Some(&"first")),
            (19, Some(&"first")),
            (20, Some(&"second")),
            (99, Some(&"third")),
        ] {
            assert_eq!(in_force(&dated, at), expect, "at {at}");
        }
    }

    #[test]
    fn the_golden_purchase_is_charged_to_the_cent() {
        let tokens = Amount::try_from(1_850).unwrap();
        let charge = Charge::for_tokens(tokens, Decimals::WHOLE, usd("53.59"), &of_rate(20_000)).unwrap();
        let expected = (usd("99141.50"), usd("1982.83"), usd("101124.33"));
        assert_eq!((charge.total(), charge.fee(), charge.sum()), expected);
    }

    proptest! {
        #[test]
        fn a_charge_is_total_and_fee_exactly(
            units in 1..=1_000_000_000_i64, price in 1..=9_000_000_i64, decimals in 0..=Decimals::MAX, rate_ppm in 0..=1_000_000_u32,
        ) {
            let (tokens, price) = (Amount::try_from(units).unwrap(), Amount::try_from(price).unwrap());
            let decimals = Decimals::try_from(decimals).unwrap();
            let exact = i128::from(units) * i128::from(price.get());
            match Charge::for_tokens(tokens, decimals, price, &of_rate(rate_ppm)) {
                Ok(charge) => {
                    prop_assert_eq!(i128::from(charge.total().get()) * i128::from(decimals.units_per_one()), exact);
                    prop_assert_eq!(charge.fee(), charge.total().part_half_up(rate_ppm).unwrap());
                    prop_assert_eq!(charge.sum().get(), charge.total().get() + charge.fee().get());
                }
                Err(refused) => prop_assert!(
                    refused == AmountRefused::NotWhole && exact % i128::from(decimals.units_per_one()) != 0
                        || refused == AmountRefused::OutOfRange && exact * 2 > i128::from(AMOUNT_MAX),
                    "{refused}"
                ),
            }
        }

        #[test]
        fn a_larger_amount_never_costs_less(
            a in 0..=AMOUNT_MAX / 2, b in 0..=AMOUNT_MAX / 2, rate_ppm in 0..=1_000_000_u32,
            fixed in 0..1_000_000_i64, minimum in 0..1_000_000_i64, above in proptest::option::of(0..1_000_000_i64),
        ) {
            let amount = |units: i64| Amount::try_from(units).unwrap();
            let schedule = FeeSchedule {
                rate_ppm, fixed: amount(fixed), minimum: amount(minimum), maximum: above.map(|more| amount(minimum + more)),
            };
            let (low, high) = (amount(a.min(b)), amount(a.max(b)));
            let fees = (schedule.fee_on(low).unwrap(), schedule.fee_on(high).unwrap());
            prop_assert!(fees.0 <= fees.1);
            prop_assert!(fees.0 >= schedule.minimum);
            prop_assert!(schedule.maximum.is_none_or(|maximum| fees.1 <= maximum));
        }
    }
}
