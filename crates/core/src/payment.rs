//! Payments: what money that arrived pays for, and what goes back.
//!
//! A rail's messages come in any order and any number of times; each is decided once, from what is known then. What fits no
//! purchase is kept apart (`unmatched`) and goes back, or is matched when the rest of the charge arrives.

use chrono::{DateTime, Utc};

use crate::{money::Amount, states::InvestmentStatus};

/// The purchase that a payment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purchase {
    /// Its status.
    pub status: InvestmentStatus,
    /// What it costs in all.
    pub charge: Amount,
    /// Until when the reservation holds.
    pub due_at: DateTime<Utc>,
    /// What arrived for it before and is still unmatched.
    pub waiting: Amount,
}

/// What becomes of money that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It pays the purchase, together with what was waiting. `excess` goes back.
    Pays {
        /// What of this payment belongs to the purchase.
        matched: Amount,
        /// What of it was too much.
        excess: Amount,
    },
    /// It is less than what is missing: it waits for the rest until the reservation ends.
    Waits,
    /// It goes back.
    GoesBack(Reason),
    /// Nobody knows what it is for: a person decides.
    NeedsAPerson,
}

/// Why money goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// More than the charge.
    Overpaid,
    /// Less than the charge, and the reservation ended.
    Underpaid,
    /// After the reservation ended.
    Late,
    /// Paid before.
    Duplicate,
    /// In another currency than the offering's.
    WrongCurrency,
    /// A person found nothing that it is for.
    Unmatched,
    /// The buyer withdrew in time.
    Withdrawn,
    /// The offering failed.
    OfferingFailed,
}

impl Reason {
    /// All of them.
    pub const ALL: [Reason; 8] = [
        Reason::Overpaid,
        Reason::Underpaid,
        Reason::Late,
        Reason::Duplicate,
        Reason::WrongCurrency,
        Reason::Unmatched,
        Reason::Withdrawn,
        Reason::OfferingFailed,
    ];

    /// The name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Overpaid => "overpaid",
            Reason::Underpaid => "underpaid",
            Reason::Late => "late",
            Reason::Duplicate => "duplicate",
            Reason::WrongCurrency => "wrong_currency",
            Reason::Unmatched => "unmatched",
            Reason::Withdrawn => "withdrawn",
            Reason::OfferingFailed => "offering_failed",
        }
    }
}

/// Decides what becomes of `amount` that arrived at `now` for a purchase, if it is known for which.
pub fn receive(purchase: Option<&Purchase>, amount: Amount, fits_currency: bool, now: DateTime<Utc>) -> Decision {
    let Some(purchase) = purchase else {
        return Decision::NeedsAPerson;
    };
    if !fits_currency {
        return Decision::GoesBack(Reason::WrongCurrency);
    }
    match purchase.status {
        InvestmentStatus::Pending if now < purchase.due_at => {}
        InvestmentStatus::Pending | InvestmentStatus::Expired | InvestmentStatus::Cancelled => {
            return Decision::GoesBack(Reason::Late);
        }
        InvestmentStatus::Paid
        | InvestmentStatus::Confirmed
        | InvestmentStatus::RefundDue
        | InvestmentStatus::Refunded => return Decision::GoesBack(Reason::Duplicate),
    }
    let missing = purchase.charge.minus(purchase.waiting).unwrap_or(Amount::ZERO);
    match amount.minus(missing) {
        Ok(excess) => Decision::Pays {
            matched: missing,
            excess,
        },
        Err(_) => Decision::Waits,
    }
}

/// Where a payment's money is when it is charged back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// What arrived.
    pub amount: Amount,
    /// What pays a purchase that has not closed.
    pub in_escrow: Amount,
    /// What fits nothing.
    pub unmatched: Amount,
    /// What is owed back and not yet confirmed.
    pub refunding: Amount,
}

/// What a chargeback takes, in this order, and what is then owed by the buyer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Of what is owed back anyway: those refunds are confirmed by it.
    pub from_refunding: Amount,
    /// Of what fits nothing.
    pub from_unmatched: Amount,
    /// Of the escrow: the purchase ends.
    pub from_escrow: Amount,
    /// Of nothing that is here: the buyer owes it.
    pub owed: Amount,
}

/// Takes a whole payment back.
pub fn charge_back(parts: Parts) -> Taken {
    let here = [parts.refunding, parts.unmatched, parts.in_escrow].map(Amount::get);
    Taken {
        from_refunding: parts.refunding,
        from_unmatched: parts.unmatched,
        from_escrow: parts.in_escrow,
        owed: Amount::try_from(parts.amount.get() - here.iter().sum::<i64>()).unwrap_or(Amount::ZERO),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_900_000_000 + seconds, 0).unwrap()
    }

    fn amount(units: i64) -> Amount {
        Amount::try_from(units).unwrap()
    }

    fn pending(waiting: i64) -> Purchase {
        Purchase {
            status: InvestmentStatus::Pending,
            charge: amount(510),
            due_at: at(60),
            waiting: amount(waiting),
        }
    }

    #[test]
    fn every_kind_of_payment_has_its_end() {
        let check = |purchase: Option<Purchase>, units: i64, now: i64, expect: Decision| {
            assert_eq!(
                receive(purchase.as_ref(), amount(units), true, at(now)),
                expect,
                "{purchase:?} {units}"
            );
        };
        let pays = |matched, excess| Decision::Pays {
            matched: amount(matched),
            excess: amount(excess),
        };
        check(Some(pending(0)), 510, 59, pays(510, 0));
        check(Some(pending(0)), 515, 59, pays(510, 5));
        check(Some(pending(0)), 509, 59, Decision::Waits);
        check(Some(pending(500)), 10, 59, pays(10, 0));
        check(Some(pending(500)), 12, 59, pays(10, 2));
        check(Some(pending(0)), 510, 60, Decision::GoesBack(Reason::Late));
        check(None, 510, 0, Decision::NeedsAPerson);
        for (status, reason) in [
            (InvestmentStatus::Expired, Reason::Late),
            (InvestmentStatus::Cancelled, Reason::Late),
            (InvestmentStatus::Paid, Reason::Duplicate),
            (InvestmentStatus::Confirmed, Reason::Duplicate),
            (InvestmentStatus::RefundDue, Reason::Duplicate),
            (InvestmentStatus::Refunded, Reason::Duplicate),
        ] {
            check(
                Some(Purchase { status, ..pending(0) }),
                510,
                0,
                Decision::GoesBack(reason),
            );
        }
        let foreign = receive(Some(&pending(0)), amount(510), false, at(0));
        assert_eq!(foreign, Decision::GoesBack(Reason::WrongCurrency));
    }

    proptest! {
        #[test]
        fn no_unit_is_lost_and_none_is_made(waiting in 0..600_i64, units in 1..2000_i64) {
            let purchase = pending(waiting.min(509));
            match receive(Some(&purchase), amount(units), true, at(0)) {
                Decision::Pays { matched, excess } => {
                    prop_assert_eq!(matched.get() + excess.get(), units);
                    prop_assert_eq!(matched.get() + purchase.waiting.get(), purchase.charge.get());
                }
                Decision::Waits => prop_assert!(units + purchase.waiting.get() < purchase.charge.get()),
                other @ (Decision::GoesBack(_) | Decision::NeedsAPerson) => prop_assert!(false, "{other:?}"),
            }
        }

        #[test]
        fn a_chargeback_takes_all_of_it(refunding in 0..100_i64, unmatched in 0..100_i64, in_escrow in 0..100_i64, gone in 0..100_i64) {
            let whole = refunding + unmatched + in_escrow + gone;
            let taken = charge_back(Parts {
                amount: amount(whole), in_escrow: amount(in_escrow), unmatched: amount(unmatched), refunding: amount(refunding),
            });
            let sum = [taken.from_refunding, taken.from_unmatched, taken.from_escrow, taken.owed].map(Amount::get);
            prop_assert_eq!(sum.iter().sum::<i64>(), whole);
        }
    }
}
