//! Rent: what of a period's money is left for the holders, and what of a holder's part is tax.
//!
//! Money goes in one order: taxes, insurance, maintenance, manager, platform, reserve; what is left can be distributed. What
//! the bank has paid already is a fact and comes before what is only to be set aside. What cannot be covered is a shortfall
//! of its own kind and is claimed again in the next period. How a declared amount is split is [`crate::allocation`]'s.

use crate::{
    money::{Amount, AmountRefused},
    refusal::Refusal,
};

/// What a period's money is for, in the order in which it gets any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Use {
    /// Property taxes.
    Taxes,
    /// Insurance.
    Insurance,
    /// Upkeep and repairs.
    Maintenance,
    /// The property manager's fee.
    Manager,
    /// The platform's fee.
    Platform,
    /// Kept for what comes.
    Reserve,
}

/// How many uses there are.
pub const USES: usize = 6;

impl Use {
    /// All of them, in their order.
    pub const ALL: [Use; USES] = [
        Use::Taxes,
        Use::Insurance,
        Use::Maintenance,
        Use::Manager,
        Use::Platform,
        Use::Reserve,
    ];

    /// The name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Use::Taxes => "taxes",
            Use::Insurance => "insurance",
            Use::Maintenance => "maintenance",
            Use::Manager => "manager",
            Use::Platform => "platform",
            Use::Reserve => "reserve",
        }
    }
}

/// What one use claims of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Claim {
    /// What the bank paid in the period.
    pub paid: Amount,
    /// What was set aside for it in earlier periods and is not paid out yet.
    pub set_aside_before: Amount,
    /// What the period carries for it, paid in the period or not: a bill that will come, a fee, what fell short before.
    pub accrued: Amount,
}

/// The money of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sources {
    /// Rent received in the period.
    pub rent: Amount,
    /// Left of earlier periods, and not declared.
    pub undistributed: Amount,
    /// Drawn from the reserve.
    pub draw: Amount,
}

/// Where the money of a period goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waterfall {
    /// What each use gets, in the order of [`Use::ALL`].
    pub given: [Amount; USES],
    /// What each use lacks and claims again in the next period.
    pub short: [Amount; USES],
    /// What can be distributed afterwards, what was left of earlier periods included.
    pub distributable: Amount,
}

/// Why there is no waterfall.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoWaterfall {
    /// The bank paid more than the property had.
    #[error("the bank paid {missing} smallest units more than the property has")]
    CashShort {
        /// What is missing.
        missing: Amount,
    },
    /// Too large for an amount.
    #[error(transparent)]
    Amount(#[from] AmountRefused),
}

/// Divides a period's money: first what was paid, then what is to be set aside, each in the order of uses.
pub fn waterfall(sources: &Sources, claims: &[Claim; USES]) -> Result<Waterfall, NoWaterfall> {
    let mut left = Amount::sum([sources.rent, sources.undistributed, sources.draw])?;
    let mut given = [Amount::ZERO; USES];
    let mut short = [Amount::ZERO; USES];
    for (claim, given) in claims.iter().zip(given.iter_mut()) {
        let facts = claim.paid.minus(claim.set_aside_before).unwrap_or(Amount::ZERO);
        left = left.minus(facts).map_err(|_| NoWaterfall::CashShort {
            missing: facts.minus(left).unwrap_or(Amount::ZERO),
        })?;
        *given = facts;
    }
    for ((claim, given), short) in claims.iter().zip(given.iter_mut()).zip(short.iter_mut()) {
        let rest = claim.accrued.minus(*given).unwrap_or(Amount::ZERO);
        let gets = rest.min(left);
        left = left.minus(gets)?;
        *given = given.plus(gets)?;
        *short = rest.minus(gets)?;
    }
    Ok(Waterfall {
        given,
        short,
        distributable: left,
    })
}

impl From<NoWaterfall> for Refusal {
    fn from(no: NoWaterfall) -> Refusal {
        let reason = no.to_string();
        match no {
            NoWaterfall::CashShort { missing } => Refusal::new(
                "rent.cash",
                reason,
                "record the rent that is missing, or draw on the reserve",
            )
            .looking_at("missing_minor", missing),
            NoWaterfall::Amount(_) => Refusal::new("rent.cash", reason, "record smaller amounts"),
        }
    }
}

/// Whether an amount can be declared of what a property has.
///
/// # Errors
/// `distribution.nothing` and `distribution.cash`.
pub fn can_declare(amount: Amount, distributable: Amount) -> Result<(), Refusal> {
    if amount == Amount::ZERO || distributable == Amount::ZERO {
        return Err(Refusal::new(
            "distribution.nothing",
            "there is nothing to distribute",
            "record and approve a period with rent first",
        )
        .looking_at("distributable_minor", distributable));
    }
    if amount > distributable {
        return Err(Refusal::new(
            "distribution.cash",
            "the property does not have that much to distribute",
            format!("declare {distributable} smallest units or less"),
        )
        .looking_at("amount_minor", amount)
        .looking_at("distributable_minor", distributable));
    }
    Ok(())
}

/// A holder's part, and what of it is withheld for the tax office.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taxed {
    /// What he is sent.
    pub net: Amount,
    /// What is withheld.
    pub withheld: Amount,
}

/// Withholds tax of a part: round half up, never more than the part.
///
/// # Errors
/// When the rate is above one.
pub fn withhold(part: Amount, rate_ppm: u32) -> Result<Taxed, AmountRefused> {
    let withheld = part.part_half_up(rate_ppm)?;
    Ok(Taxed {
        net: part.minus(withheld)?,
        withheld,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::allocation::split;
    use crate::money::Decimals;

    fn usd(text: &str) -> Amount {
        Amount::parse(text, Decimals::CENTS).unwrap()
    }

    fn amount(units: i64) -> Amount {
        Amount::try_from(units).unwrap()
    }

    fn aside(amounts: [Amount; USES]) -> [Claim; USES] {
        amounts.map(|accrued| Claim {
            accrued,
            ..Claim::default()
        })
    }

    fn of_rent(rent: Amount) -> Sources {
        Sources {
            rent,
            ..Sources::default()
        }
    }

    #[test]
    fn the_golden_month() {
        let gross = usd("1555.00");
        let claims = aside([
            usd("130"),
            usd("55"),
            usd("155"),
            gross.part_half_up(80_000).unwrap(),
            gross.part_half_up(20_000).unwrap(),
            Amount::ZERO,
        ]);
        let month = waterfall(&of_rent(gross), &claims).unwrap();
        assert_eq!(month.distributable, usd("1059.50"));
        assert_eq!((month.given[3], month.given[4]), (usd("124.40"), usd("31.10")));
        assert_eq!(month.short, [Amount::ZERO; USES]);
    }

    #[test]
    fn the_first_are_served_first_and_the_rest_is_carried() {
        let month = waterfall(&of_rent(amount(100)), &aside([60, 30, 20, 8, 2, 50].map(amount))).unwrap();
        assert_eq!(month.given, [60, 30, 10, 0, 0, 0].map(amount));
        assert_eq!(month.short, [0, 0, 10, 8, 2, 50].map(amount));
        assert_eq!(month.distributable, Amount::ZERO);
    }

    #[test]
    fn what_was_paid_comes_first_and_uses_what_was_set_aside_for_it() {
        let mut claims = aside([90, 0, 0, 0, 0, 0].map(amount));
        claims[2] = Claim {
            paid: amount(70),
            set_aside_before: amount(40),
            accrued: Amount::ZERO,
        };
        let month = waterfall(&of_rent(amount(100)), &claims).unwrap();
        assert_eq!(month.given, [70, 0, 30, 0, 0, 0].map(amount));
        assert_eq!(month.short, [20, 0, 0, 0, 0, 0].map(amount));
        claims[2].paid = amount(200);
        let refused = waterfall(&of_rent(amount(100)), &claims);
        assert_eq!(refused, Err(NoWaterfall::CashShort { missing: amount(60) }));
    }

    #[test]
    fn nothing_and_too_much_are_refused() {
        assert_eq!(
            can_declare(amount(1), Amount::ZERO).unwrap_err().rule,
            "distribution.nothing"
        );
        assert_eq!(
            can_declare(Amount::ZERO, amount(5)).unwrap_err().rule,
            "distribution.nothing"
        );
        assert_eq!(can_declare(amount(6), amount(5)).unwrap_err().rule, "distribution.cash");
        assert_eq!(can_declare(amount(5), amount(5)), Ok(()));
    }

    prop_compose! {
        fn claim()(paid in 0..1_000_000_i64, before in 0..1_000_000_i64, aside in 0..1_000_000_i64) -> Claim {
            Claim { paid: amount(paid), set_aside_before: amount(before), accrued: amount(aside) }
        }
    }

    proptest! {
        #[test]
        fn no_cent_is_made_or_lost(
            rent in 0..10_000_000_i64, kept in 0..10_000_000_i64, draw in 0..1_000_000_i64, claims in proptest::array::uniform6(claim()),
        ) {
            let sources = Sources { rent: amount(rent), undistributed: amount(kept), draw: amount(draw) };
            let Ok(month) = waterfall(&sources, &claims) else { return Ok(()) };
            let given = Amount::sum(month.given).unwrap().get();
            prop_assert_eq!(given + month.distributable.get(), rent + kept + draw, "L9");
            for (place, claim) in claims.iter().enumerate() {
                let asked = (claim.paid.get() - claim.set_aside_before.get()).max(claim.accrued.get());
                prop_assert_eq!(month.given[place].get() + month.short[place].get(), asked, "a shortfall is carried");
                if month.short[place] > Amount::ZERO {
                    prop_assert_eq!(month.distributable, Amount::ZERO, "holders come last");
                }
            }
        }

        #[test]
        fn a_declared_amount_is_holders_and_tax_office(
            total in 1..=1_000_000_000_i64,
            holders in proptest::collection::btree_map(any::<u32>(), (1..=1_000_000_i64, 0..=1_000_000_u32), 1..40),
            first: u32,
        ) {
            let entitled: Vec<_> = holders.iter().map(|(key, (units, _))| (*key, amount(*units))).collect();
            let parts = split(amount(total), &entitled, &first).unwrap();
            let mut sum = 0;
            for (key, part) in &parts {
                let taxed = withhold(*part, holders[key].1).unwrap();
                prop_assert!(taxed.withheld <= *part);
                sum += taxed.net.get() + taxed.withheld.get();
            }
            prop_assert_eq!(sum, total, "L9: holders + withheld = declared, nothing is left over");
        }

        #[test]
        fn lots_add_up_to_their_line(line in 0..=1_000_000_000_i64, lots in proptest::collection::btree_map(any::<u32>(), 1..=1_000_000_i64, 1..20)) {
            let entitled: Vec<_> = lots.iter().map(|(key, units)| (*key, amount(*units))).collect();
            let parts = split(amount(line), &entitled, &0).unwrap();
            prop_assert_eq!(parts.iter().map(|(_, part)| part.get()).sum::<i64>(), line, "L11");
        }

        #[test]
        fn more_before_tax_is_never_less_at_the_same_rate(a in 0..=1_000_000_000_i64, b in 0..=1_000_000_000_i64, rate in 0..=1_000_000_u32) {
            let (less, more) = (a.min(b), a.max(b));
            prop_assert!(withhold(amount(less), rate).unwrap().net <= withhold(amount(more), rate).unwrap().net);
        }
    }
}
