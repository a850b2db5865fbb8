//! Money that fits nothing: a person says what it is for, or sends it back.

use mint_core::{book::Move, payment::Reason, refusal::Refusal};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    record::{cash_book, places, post},
    refunds,
};
use crate::{
    command::Command,
    db::sql,
    offerings::{preparing::four_eyes, record::amount},
    outbox,
    permission::Overseer,
    problem::Problem,
};

/// Sends back what of a payment fits nothing.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReturnPayment {
    payment_id: Uuid,
    /// The property whose account it came to, where nobody knew.
    property_id: Option<Uuid>,
}

/// A payment as it is.
#[derive(Debug, Serialize)]
pub struct PaymentAnswer {
    payment: Value,
}

/// Owes back what of a payment fits nothing. Of a payment that nobody knew a property of, the property must be named: its
/// custodian account holds the money.
///
/// # Errors
/// `payment.unmatched` when nothing of it is unmatched.
pub async fn return_payment(
    command: &Command,
    _overseer: &Overseer,
    body: ReturnPayment,
) -> Result<PaymentAnswer, Problem> {
    let text = sql!(
        "select property_id, unmatched_minor, currency, settled_at is not null from public.payments where id = $1 for no key update"
    );
    let row = command
        .tx
        .query_opt(text, &[&body.payment_id])
        .await?
        .ok_or(Problem::NotFound)?;
    let known: Option<Uuid> = row.try_get(0)?;
    let unmatched = amount(row.try_get(1)?)?;
    if known.is_none() {
        let property_id = body
            .property_id
            .ok_or_else(|| Problem::Invalid("propertyId: name the property whose account it came to".to_owned()))?;
        let text = sql!(
            "update public.payments set property_id = $2 where id = $1 and exists (select from public.properties where id = $2)"
        );
        if command.tx.execute(text, &[&body.payment_id, &property_id]).await? == 0 {
            return Err(Problem::NotFound);
        }
        let at = places(row.try_get(3)?);
        let moves = [Move::of(unmatched, at.outside, at.unmatched)];
        let why = (json!({ "payment_id": body.payment_id }), command.now.date_naive());
        let book = cash_book(property_id, &row.try_get::<_, String>(2)?);
        post(
            command,
            &book,
            format!("payment:{}:received", body.payment_id),
            "payment.unmatched",
            why,
            &moves,
        )
        .await?;
    }
    if !refunds::return_payment(command, body.payment_id, Reason::Unmatched).await? {
        return Err(Refusal::new(
            "payment.unmatched",
            "nothing of this payment is unmatched",
            "choose a payment with an unmatched amount",
        )
        .looking_at("payment", body.payment_id)
        .into());
    }
    shown(command, body.payment_id).await
}

async fn shown(command: &Command, id: Uuid) -> Result<PaymentAnswer, Problem> {
    let text = sql!("select to_jsonb(p) from public.payments as p where p.id = $1");
    Ok(PaymentAnswer {
        payment: command.tx.query_one(text, &[&id]).await?.try_get(0)?,
    })
}

/// Another try for a refund that the rail could not make.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryRefund {
    refund_id: Uuid,
}

/// A refund as it is.
#[derive(Debug, Serialize)]
pub struct RefundAnswer {
    refund: Value,
}

/// The first call asks that a failed refund is tried again; another person's call makes it due.
///
/// # Errors
/// `four_eyes` when the same person calls twice, `refund.failed` when it has not failed.
pub async fn retry_refund(command: &Command, overseer: &Overseer, body: RetryRefund) -> Result<RefundAnswer, Problem> {
    let text = sql!("select status, retry_asked_by from public.refunds where id = $1 for no key update");
    let row = command
        .tx
        .query_opt(text, &[&body.refund_id])
        .await?
        .ok_or(Problem::NotFound)?;
    let (status, asked_by): (String, Option<Uuid>) = (row.try_get(0)?, row.try_get(1)?);
    if status != "failed" {
        return Err(
            Refusal::new("refund.failed", "this refund has not failed", "wait for the rail")
                .looking_at("status", status)
                .into(),
        );
    }
    match asked_by {
        None => {
            let text = sql!("update public.refunds set retry_asked_by = $2 where id = $1");
            command
                .tx
                .execute(text, &[&body.refund_id, &overseer.user_id()])
                .await?;
        }
        Some(first) if overseer.is_same_party(command, first).await? => {
            return Err(four_eyes("another try is approved by another person than who asked for it").into());
        }
        Some(_) => {
            let text = sql!(
                "update public.refunds set status = 'due', due_at = $2, retry_approved_by = $3, attempts = 0 where id = $1"
            );
            command
                .tx
                .execute(text, &[&body.refund_id, &command.now, &overseer.user_id()])
                .await?;
            let key = format!("{}:{}", body.refund_id, command.now.timestamp_micros());
            outbox::emit(command, "refund.retried", &key, &json!({ "refundId": body.refund_id })).await?;
        }
    }
    let text = sql!("select to_jsonb(r) from public.refunds as r where r.id = $1");
    Ok(RefundAnswer {
        refund: command.tx.query_one(text, &[&body.refund_id]).await?.try_get(0)?,
    })
}
