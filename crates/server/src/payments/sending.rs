//! Asking the rail for refunds that are owed, and asking about those whose outcome is not known.
//!
//! The rail is asked outside of any transaction, under the refund's own id. What it does not answer is never sent again
//! before it was asked what it knows: only where it knows nothing of the refund is asking again the first time.

use chrono::{DateTime, TimeDelta, Utc};
use mint_core::money::Amount;
use uuid::Uuid;

use super::{
    messages,
    rail::{RefundState, SANDBOX},
    sandbox,
};
use crate::{
    app::App,
    command::Command,
    db::{Actor, sql},
    offerings::record::amount,
    problem::Problem,
};

/// How long after asking the rail its silence is asked about.
const ASK_AGAIN_AFTER: TimeDelta = TimeDelta::minutes(2);

/// Refunds handled in one go, so that a failing server loses little.
const BATCH: i64 = 50;

const SENDER: Actor = Actor::Program("refunds");

struct Order {
    id: Uuid,
    provider_ref: String,
    amount: Amount,
    was_sent: bool,
}

/// Asks the rail for every refund that is due, or about it; answers how many it asked. Properties with an open incident wait.
///
/// # Errors
/// What the database answered.
pub async fn send_due(app: &App) -> Result<usize, Problem> {
    let orders = take_due(app).await?;
    for order in &orders {
        ask(app, order).await?;
    }
    Ok(orders.len())
}

/// Marks what is due as sent before the rail is asked: a crash in between leaves it to be asked about.
async fn take_due(app: &App) -> Result<Vec<Order>, Problem> {
    let command = Command::begin(app, SENDER).await?;
    let text = sql!(
        "with due as (
           select r.id, r.status from public.refunds as r
           where r.status in ('due', 'sent') and r.due_at <= $1
             and not exists (select from public.incidents as i where i.property_id = r.property_id and i.status = 'open')
           order by r.due_at, r.id limit $3 for no key update skip locked)
         update public.refunds as r
         set status = 'sent', sent_at = coalesce(r.sent_at, $1), attempts = r.attempts + 1, due_at = $2
         from due, public.payments as p where r.id = due.id and p.id = r.payment_id
         returning r.id, p.provider_ref, r.amount_minor, due.status = 'sent'"
    );
    let again: DateTime<Utc> = command.now + ASK_AGAIN_AFTER;
    let rows = command.tx.query(text, &[&command.now, &again, &BATCH]).await?;
    let orders = rows
        .iter()
        .map(|row| {
            Ok(Order {
                id: row.try_get(0)?,
                provider_ref: row.try_get(1)?,
                amount: amount(row.try_get(2)?)?,
                was_sent: row.try_get(3)?,
            })
        })
        .collect::<Result<Vec<Order>, Problem>>()?;
    command.commit().await?;
    Ok(orders)
}

async fn ask(app: &App, order: &Order) -> Result<(), Problem> {
    if order.was_sent {
        match sandbox::find_refund(app, order.id).await? {
            RefundState::Pending => return Ok(()),
            RefundState::Ended(message) => {
                sandbox::say(app, &message).await?;
                return messages::work_off(app, SANDBOX, &message.payment).await;
            }
            RefundState::Unknown => {}
        }
    }
    sandbox::refund(app, order.id, &order.provider_ref, order.amount).await
}
