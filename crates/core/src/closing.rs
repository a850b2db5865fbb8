//! The close of an offering: whether a funded one can close now, and who gets what when it does.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    money::Amount,
    offering::{Kind, soft_cap_missed},
    refusal::Refusal,
};

/// A paid investment, as closing looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paid {
    /// The investment.
    pub id: Uuid,
    /// Who gets the tokens.
    pub party_id: Uuid,
    /// Tokens.
    pub units: Amount,
    /// Tokens x price.
    pub total: Amount,
    /// The fee on top.
    pub fee: Amount,
    /// From this instant on the buyer cannot withdraw.
    pub withdraw_until: DateTime<Utc>,
    /// Whether its money is with the custodian, and no longer with a payment provider.
    pub is_settled: bool,
    /// Whether it counts to the soft cap.
    pub counts: bool,
}

/// What closing looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Funded {
    /// The offering's kind.
    pub kind: Kind,
    /// Below this it fails.
    pub soft_cap: Amount,
    /// Not closed by this instant: it fails.
    pub long_stop_at: DateTime<Utc>,
    /// Whether the principal lies with the closing agent.
    pub is_with_agent: bool,
    /// Open incidents of the property.
    pub incidents: u64,
    /// All paid investments of the offering.
    pub paid: Vec<Paid>,
}

/// Who gets what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosePlan {
    /// The investments, all of them.
    pub accepted: Vec<Paid>,
    /// Tokens by party.
    pub holders: BTreeMap<Uuid, Amount>,
    /// Tokens in all.
    pub units: Amount,
    /// What the issuer gets.
    pub proceeds: Amount,
    /// What the platform gets.
    pub fees: Amount,
}

/// How a funded offering goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// It can close, if the gate passes.
    Close(ClosePlan),
    /// Not yet, and why.
    Wait(Refusal),
    /// It fails.
    Fail(Refusal),
}

/// Decides how a funded offering goes on at `now`.
pub fn next(funded: &Funded, now: DateTime<Utc>) -> Next {
    let counting = funded.paid.iter().filter(|paid| paid.counts).map(|paid| paid.units);
    let Ok(counting) = Amount::sum(counting) else {
        return Next::Wait(too_much());
    };
    if counting < funded.soft_cap {
        return Next::Fail(soft_cap_missed(funded.soft_cap, counting));
    }
    if now >= funded.long_stop_at {
        return Next::Fail(
            Refusal::new(
                "offering.long_stop",
                "it was not closed by its long stop",
                "nothing: everybody gets back what he paid, fees included",
            )
            .looking_at("long_stop_at", funded.long_stop_at)
            .looking_at("now", now),
        );
    }
    match waits_for(funded, now) {
        Some(refusal) => Next::Wait(refusal),
        None => plan(&funded.paid).map_or_else(|| Next::Wait(too_much()), Next::Close),
    }
}

fn waits_for(funded: &Funded, now: DateTime<Utc>) -> Option<Refusal> {
    if funded.incidents > 0 {
        return Some(
            Refusal::new(
                "property.incident",
                "an open incident of the property stops its closing and payouts",
                "clear the incident: one person asks, another approves",
            )
            .looking_at("open_incidents", funded.incidents),
        );
    }
    if let Some(last) = funded
        .paid
        .iter()
        .map(|paid| paid.withdraw_until)
        .max()
        .filter(|last| now < *last)
    {
        return Some(
            Refusal::new(
                "cooling_off",
                "buyers can still withdraw",
                format!("close from {last} on"),
            )
            .looking_at("last_right_ends_at", last)
            .looking_at("now", now),
        );
    }
    let unsettled = funded.paid.iter().filter(|paid| !paid.is_settled).count();
    if unsettled > 0 {
        return Some(
            Refusal::new(
                "payment.settled",
                "payments have not reached the custodian yet",
                "wait for the payment provider's settlement",
            )
            .looking_at("unsettled_investments", unsettled),
        );
    }
    if funded.kind == Kind::Acquisition && !funded.is_with_agent {
        return Some(Refusal::new(
            "offering.with_agent",
            "the principal has not gone to the closing agent",
            "run move-escrow-to-agent first",
        ));
    }
    None
}

fn plan(paid: &[Paid]) -> Option<ClosePlan> {
    let mut holders: BTreeMap<Uuid, Amount> = BTreeMap::new();
    for one in paid {
        let held = holders.entry(one.party_id).or_default();
        *held = held.plus(one.units).ok()?;
    }
    Some(ClosePlan {
        units: Amount::sum(paid.iter().map(|one| one.units)).ok()?,
        proceeds: Amount::sum(paid.iter().map(|one| one.total)).ok()?,
        fees: Amount::sum(paid.iter().map(|one| one.fee)).ok()?,
        holders,
        accepted: paid.to_vec(),
    })
}

fn too_much() -> Refusal {
    Refusal::new(
        "offering.amounts",
        "the amounts add up to more than can be exact",
        "ask the operator",
    )
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;

    fn at(hour: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_900_000_000, 0).unwrap() + TimeDelta::hours(hour)
    }

    fn amount(units: i64) -> Amount {
        Amount::try_from(units).unwrap()
    }

    fn paid(party: u128, units: i64) -> Paid {
        Paid {
            id: Uuid::from_u128(units.unsigned_abs().into()),
            party_id: Uuid::from_u128(party),
            units: amount(units),
            total: amount(units * 5_000),
            fee: amount(units * 100),
            withdraw_until: at(10),
            is_settled: true,
            counts: true,
        }
    }

    fn funded(paid: Vec<Paid>) -> Funded {
        Funded {
            kind: Kind::IssuerOwns,
            soft_cap: amount(100),
            long_stop_at: at(100),
            is_with_agent: false,
            incidents: 0,
            paid,
        }
    }

    fn rule_of(next: Next) -> String {
        match next {
            Next::Close(_) => "close".to_owned(),
            Next::Wait(refusal) => format!("wait {}", refusal.rule),
            Next::Fail(refusal) => format!("fail {}", refusal.rule),
        }
    }

    #[test]
    fn it_waits_for_everything_and_fails_at_the_long_stop() {
        let ready = funded(vec![paid(1, 60), paid(2, 40)]);
        assert_eq!(
            rule_of(next(&ready, at(10) - TimeDelta::microseconds(1))),
            "wait cooling_off"
        );
        assert_eq!(rule_of(next(&ready, at(10))), "close");
        assert_eq!(rule_of(next(&ready, at(100))), "fail offering.long_stop");
        let mut few = ready.clone();
        few.paid[1].counts = false;
        assert_eq!(rule_of(next(&few, at(10))), "fail offering.soft_cap");
        let mut unsettled = ready.clone();
        unsettled.paid[0].is_settled = false;
        assert_eq!(rule_of(next(&unsettled, at(10))), "wait payment.settled");
        let mut stopped = ready.clone();
        stopped.incidents = 1;
        assert_eq!(rule_of(next(&stopped, at(10))), "wait property.incident");
        let mut acquisition = ready;
        acquisition.kind = Kind::Acquisition;
        assert_eq!(rule_of(next(&acquisition, at(10))), "wait offering.with_agent");
        acquisition.is_with_agent = true;
        assert_eq!(rule_of(next(&acquisition, at(10))), "close");
    }

    proptest! {
        #[test]
        fn a_close_gives_everybody_what_he_paid_for(parts in proptest::collection::vec((0..5_u128, 1..1000_i64), 1..50)) {
            let all: Vec<Paid> = parts.iter().map(|(party, units)| paid(*party, *units)).collect();
            let mut offer = funded(all.clone());
            offer.soft_cap = amount(1);
            let Next::Close(plan) = next(&offer, at(10)) else { panic!("it can close") };
            let sum = |value: &dyn Fn(&Paid) -> Amount| all.iter().map(|one| value(one).get()).sum::<i64>();
            prop_assert_eq!(plan.units.get(), sum(&|one| one.units));
            prop_assert_eq!(plan.units, Amount::sum(plan.holders.values().copied()).unwrap());
            prop_assert_eq!(plan.proceeds.get() + plan.fees.get(), sum(&|one| one.total) + sum(&|one| one.fee), "L8");
        }
    }
}
