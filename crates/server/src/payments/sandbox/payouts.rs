//! Payouts of the sandbox's bank: each under the key of whoever asks, the same key being the same payout.

use mint_core::money::Amount;
use uuid::Uuid;

use super::{PROVIDER, queue};
use crate::{
    app::App,
    command::Command,
    db::sql,
    offerings::record::amount as amount_of,
    payments::rail::{Message, RefundState, Said},
    problem::Problem,
};

/// The name under which messages speak of a payout.
fn name_of(key: Uuid) -> String {
    format!("payout_{}", key.simple())
}

/// Sends money to a party. What its bank does with it is `nexus.sandbox_receivers`' to say.
///
/// # Errors
/// What the database answered.
pub async fn pay_out(app: &App, key: Uuid, party_id: Uuid, amount: Amount, currency: &str) -> Result<(), Problem> {
    let command = Command::begin(app, PROVIDER).await?;
    let text = sql!("select payout_outcome from nexus.sandbox_receivers where party_id = $1");
    let outcome: String = match command.tx.query_opt(text, &[&party_id]).await? {
        Some(row) => row.try_get(0)?,
        None => "succeed".to_owned(),
    };
    if outcome == "lost" {
        return Ok(());
    }
    let reason = (outcome == "fail").then_some("the account was closed");
    let status = if reason.is_some() { "failed" } else { "succeeded" };
    let text = sql!(
        "insert into nexus.sandbox_payouts (id, party_id, amount_minor, currency, status, reason, booked_on, created_at)
         values ($1, $2, $3, $4, $5, $6, ($7::timestamptz at time zone 'UTC')::date, $7)
         on conflict on constraint sandbox_payouts_pkey do nothing"
    );
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &key,
        &party_id,
        &amount.get(),
        &currency,
        &status,
        &reason,
        &command.now,
    ];
    let is_new = command.tx.execute(text, params).await? == 1;
    if is_new
        && outcome != "silent"
        && let RefundState::Ended(message) = find(&command, key).await?
    {
        queue(&command, &name_of(key), message.said).await?;
    }
    command.commit().await
}

/// What the bank knows of a payout.
///
/// # Errors
/// What the database answered.
pub async fn find_payout(app: &App, key: Uuid) -> Result<RefundState, Problem> {
    let command = Command::begin(app, PROVIDER).await?;
    let found = find(&command, key).await?;
    command.commit().await?;
    Ok(found)
}

async fn find(command: &Command, key: Uuid) -> Result<RefundState, Problem> {
    let text =
        sql!("select amount_minor, status, coalesce(reason, ''), booked_on from nexus.sandbox_payouts where id = $1");
    let Some(row) = command.tx.query_opt(text, &[&key]).await? else {
        return Ok(RefundState::Unknown);
    };
    let status: String = row.try_get(1)?;
    let said = if status == "succeeded" {
        Said::PaidOut {
            payout: key,
            amount: amount_of(row.try_get(0)?)?,
            booked_on: row.try_get(3)?,
        }
    } else {
        Said::PayoutFailed {
            payout: key,
            reason: row.try_get(2)?,
        }
    };
    Ok(RefundState::Ended(Message {
        id: format!("ev_{}", Uuid::now_v7().simple()),
        payment: name_of(key),
        at: command.now,
        said,
    }))
}
