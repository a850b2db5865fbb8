//! Settlement: the rail pays what it took to the custodian. What of the payment lay with the provider moves to the
//! accounts that the custodian's statement shows.

use chrono::NaiveDate;
use mint_core::{book::Move, money::Amount};
use serde_json::json;
use uuid::Uuid;

use super::{
    incidents::{self, Kind},
    messages::Outcome,
    record::{Payment, cash_book, places, post},
};
use crate::{command::Command, db::sql, offerings::record::amount as amount_of, problem::Problem};

/// Records that the rail paid `amount` of a payment to the custodian.
///
/// # Errors
/// What the database answered.
pub async fn settle(
    command: &Command,
    (rail, provider_ref): (&str, &str),
    settlement: &str,
    amount: Amount,
    booked_on: NaiveDate,
) -> Result<Outcome, Problem> {
    let Some(payment) = Payment::lock(command, rail, provider_ref).await? else {
        return Ok(Outcome::TooEarly);
    };
    if payment.is_settled {
        return Ok(Outcome::Done("settled before".to_owned()));
    }
    let text = sql!("update public.payments set settled_at = $2, settlement_ref = $3 where id = $1");
    command
        .tx
        .execute(text, &[&payment.id, &command.now, &settlement])
        .await?;
    let Some(property_id) = payment.property_id else {
        return Ok(Outcome::Done("settled; nobody knows yet what it is for".to_owned()));
    };
    let text = sql!(
        "select id, amount_minor from public.refunds where payment_id = $1 and status <> 'confirmed' and not is_settled
         order by created_at, id for no key update"
    );
    let rows = command.tx.query(text, &[&payment.id]).await?;
    let kept = payment.matched.plus(payment.unmatched).map_err(Problem::internal)?;
    let (psp, bank) = (places(false), places(true));
    let mut moves = vec![
        Move::of(payment.matched, psp.escrow, bank.escrow),
        Move::of(payment.unmatched, psp.unmatched, bank.unmatched),
    ];
    let Ok(mut left) = amount.minus(kept) else {
        return differs(command, property_id, &payment, settlement, amount, kept).await;
    };
    let mut moved: Vec<Uuid> = Vec::new();
    for row in &rows {
        let owed = amount_of(row.try_get(1)?)?;
        // What the rail does not pay out, it gives back from its own balance.
        if let Ok(rest) = left.minus(owed) {
            left = rest;
            moved.push(row.try_get(0)?);
            moves.push(Move::of(owed, psp.refunding, bank.refunding));
        }
    }
    if left > Amount::ZERO {
        let expected = amount.minus(left).map_err(Problem::internal)?;
        return differs(command, property_id, &payment, settlement, amount, expected).await;
    }
    let text = sql!("update public.refunds set is_settled = true where id = any ($1)");
    command.tx.execute(text, &[&moved]).await?;
    let why = json!({ "payment_id": payment.id, "investment_id": payment.investment_id, "reference": settlement });
    let book = cash_book(property_id, &payment.currency);
    let key = format!("payment:{}:settled", payment.id);
    post(command, &book, key, "payment.settled", (why, booked_on), &moves).await?;
    Ok(Outcome::Done("settled".to_owned()))
}

/// The money is somewhere between the rail and the custodian: nothing is posted, and the property stops.
async fn differs(
    command: &Command,
    property_id: Uuid,
    payment: &Payment,
    settlement: &str,
    told: Amount,
    expected: Amount,
) -> Result<Outcome, Problem> {
    let text = sql!("update public.payments set settled_at = null, settlement_ref = null where id = $1");
    command.tx.execute(text, &[&payment.id]).await?;
    let details = json!({ "payment_id": payment.id, "settlement": settlement, "settled_minor": told, "expected_minor": expected });
    let subject = format!("payment:{}", payment.id);
    incidents::open(command, property_id, Kind::SettlementDifference, &subject, &details).await?;
    Ok(Outcome::Done(format!(
        "the settlement of {told} differs from {expected}: an incident is open"
    )))
}
