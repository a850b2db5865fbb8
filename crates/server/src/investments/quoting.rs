//! `quote-investment`: what a purchase would cost, or why it would be refused. Decided by the same rules over the same figures
//! as a purchase, on a read-only snapshot: nothing is locked, and nothing is promised.

use mint_core::money::{Amount, Decimals};
use serde::Serialize;
use serde_json::Number;
use uuid::Uuid;

use super::{
    ordering::CreateInvestment,
    reserving::{self, NewOrder, Ordered, Verdict},
};
use crate::{command::Command, permission::Person, problem::Problem};

/// What it would cost now.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Quote {
    token_amount: Number,
    price_per_token: Number,
    total_amount: Number,
    fee_amount: Number,
    charge_amount: Number,
    currency: String,
    reservation_minutes: i64,
    cooling_off_days: i64,
}

/// Answers what an order would be answered, as far as that can be known without a lock.
///
/// # Errors
/// The rule that would say no; [`Problem::NotFound`] for a property without an offering.
pub async fn quote(command: &Command, person: &Person, body: CreateInvestment) -> Result<Quote, Problem> {
    let mut loaded = reserving::look(command, person.user_id(), body.property_id).await?;
    let orders = [NewOrder {
        id: Uuid::now_v7(),
        user_id: person.user_id(),
        wish: Ok(body),
        key: None,
        reuses_identical: false,
    }];
    let (verdicts, accepted) = reserving::decide(&mut loaded, Ordered::Investment, &orders);
    if let Some(Verdict::Refused(problem)) = verdicts.into_iter().next() {
        return Err(problem);
    }
    let reservation = accepted.first().map(|order| order.reservation);
    let (Some(reservation), Some(offering)) = (reservation, &loaded.offering) else {
        return Err(Problem::internal("an order without an outcome"));
    };
    let money = |amount: Amount| number(amount, offering.currency.decimals());
    let charge = reservation.charge;
    Ok(Quote {
        token_amount: number(reservation.units, offering.token_decimals)?,
        price_per_token: money(reservation.price)?,
        total_amount: money(charge.total())?,
        fee_amount: money(charge.fee())?,
        charge_amount: money(charge.sum())?,
        currency: offering.currency.code().to_owned(),
        reservation_minutes: offering.reservation.num_minutes(),
        cooling_off_days: offering.cooling_off.num_days(),
    })
}

fn number(amount: Amount, decimals: Decimals) -> Result<Number, Problem> {
    amount.to_decimal(decimals).parse().map_err(Problem::internal)
}
