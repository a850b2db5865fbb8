//! The sandbox rail: a payment provider, and the custodian's bank behind it, that are not real and behave as real ones do.
//!
//! It has books of its own, a checkout page, and sends signed messages that may come late, twice, and in any order. Our side
//! talks to it as to a stranger: by the functions here that take an [`App`] or an id, and by what its messages say.

pub mod checkout;
pub mod payouts;
mod signing;
pub mod statement;

use chrono::{DateTime, Utc};
use mint_core::{book::Book, money::Amount};
use uuid::Uuid;

use super::{
    rail::{Message, RefundState, Said},
    sessions::NewSession,
};
use crate::{
    app::App,
    command::Command,
    db::{Actor, sql},
    offerings::record::amount,
    problem::Problem,
};
pub use signing::{sign, verify};

const PROVIDER: Actor = Actor::Program("sandbox");

/// The provider opens checkout sessions.
pub const OPEN: &str = sql!(
    "insert into nexus.sandbox_sessions (ref, amount_minor, currency, description, return_url, property_id, created_at)
     select n.ref, n.amount, $5, n.description, n.return_url, $6, $7
     from unnest($1::text[], $2::bigint[], $3::text[], $4::text[]) with ordinality as n (ref, amount, description, return_url, place) order by n.place"
);

/// The provider's name of a checkout session.
#[must_use]
pub fn session_ref(session_id: Uuid) -> String {
    format!("cs_{}", session_id.simple())
}

/// Where the buyer pays: a path of this server.
#[must_use]
pub fn checkout_path(session_id: Uuid) -> String {
    format!("/sandbox/checkout/{}", session_ref(session_id))
}

/// Opens checkout sessions for charges of one offering.
///
/// # Errors
/// What the database answered.
pub async fn open_sessions(command: &Command, book: &Book, sessions: &[NewSession]) -> Result<(), Problem> {
    let return_url = |session: &NewSession| {
        let home = command.site_url.as_ref();
        let home = home.map_or("/".to_owned(), |site| format!("{site}/"));
        format!("{home}?session_id={}", session.id)
    };
    let refs: Vec<String> = sessions.iter().map(|session| session_ref(session.id)).collect();
    let amounts: Vec<i64> = sessions.iter().map(|session| session.charge.get()).collect();
    let descriptions: Vec<&str> = sessions.iter().map(|session| session.description.as_str()).collect();
    let return_urls: Vec<String> = sessions.iter().map(return_url).collect();
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &refs,
        &amounts,
        &descriptions,
        &return_urls,
        &book.currency,
        &book.property_id,
        &command.now,
    ];
    command.tx.execute(OPEN, params).await?;
    Ok(())
}

/// How somebody pays at the sandbox.
#[derive(Debug, Clone)]
pub struct Payment {
    /// The session, if by one.
    pub session: Option<String>,
    /// The property whose account is named, where there is no session.
    pub property_id: Uuid,
    /// How much.
    pub amount: Amount,
    /// In which currency.
    pub currency: String,
    /// What a later refund does: `succeed`, `fail` or `silent`.
    pub refund_outcome: &'static str,
    /// Whether it is paid out to the custodian at once.
    pub settles_now: bool,
}

/// Pays, as a buyer does at the provider; answers with the provider's name of the payment. The messages wait to be sent.
///
/// # Errors
/// What the database answered.
pub async fn pay(app: &App, payment: &Payment) -> Result<String, Problem> {
    let command = Command::begin(app, PROVIDER).await?;
    let id = format!("pi_{}", Uuid::now_v7().simple());
    let text = sql!(
        "insert into nexus.sandbox_payments (ref, session_ref, property_id, amount_minor, currency, refund_outcome, created_at)
         values ($1, $2, $3, $4, $5, $6, $7)"
    );
    command
        .tx
        .execute(
            text,
            &[
                &id,
                &payment.session,
                &payment.property_id,
                &payment.amount.get(),
                &payment.currency,
                &payment.refund_outcome,
                &command.now,
            ],
        )
        .await?;
    let said = Said::Paid {
        session: payment.session.clone(),
        amount: payment.amount,
        currency: payment.currency.clone(),
        property_id: payment.session.is_none().then_some(payment.property_id),
    };
    queue(&command, &id, said).await?;
    if payment.settles_now {
        settle_in(&command, &id).await?;
    }
    command.commit().await?;
    Ok(id)
}

/// Pays a payment out to the custodian, less what had gone back from the provider's own balance.
///
/// # Errors
/// What the database answered.
pub async fn settle(app: &App, payment: &str) -> Result<(), Problem> {
    let command = Command::begin(app, PROVIDER).await?;
    settle_in(&command, payment).await?;
    command.commit().await
}

async fn settle_in(command: &Command, payment: &str) -> Result<(), Problem> {
    let text = sql!(
        "update nexus.sandbox_payments as p
         set settlement_ref = 'po_' || replace(gen_random_uuid()::text, '-', ''), settled_on = ($2::timestamptz at time zone 'UTC')::date,
             settled_minor = p.amount_minor - coalesce((select sum(r.amount_minor) from nexus.sandbox_refunds as r
                                                        where r.payment_ref = p.ref and r.status = 'succeeded'), 0)
         where p.ref = $1 and p.settlement_ref is null and p.charged_back_at is null
         returning settlement_ref, settled_on, settled_minor"
    );
    let Some(row) = command.tx.query_opt(text, &[&payment, &command.now]).await? else {
        return Ok(());
    };
    let paid_out = amount(row.try_get(2)?)?;
    let said = Said::Settled {
        settlement: row.try_get(0)?,
        amount: paid_out,
        booked_on: row.try_get(1)?,
    };
    queue(command, payment, said).await
}

/// Gives a payment back, in part or whole, under a key: the same key again is the same refund. A refund that failed is
/// tried anew.
///
/// # Errors
/// What the database answered.
pub async fn refund(app: &App, key: Uuid, payment: &str, amount: Amount) -> Result<(), Problem> {
    let command = Command::begin(app, PROVIDER).await?;
    let text = sql!(
        "select refund_outcome, settlement_ref is not null, charged_back_at is not null from nexus.sandbox_payments where ref = $1 for update"
    );
    let Some(row) = command.tx.query_opt(text, &[&payment]).await? else {
        return Err(Problem::internal(format!("the sandbox knows no payment {payment}")));
    };
    let (outcome, from_bank, is_charged_back): (String, bool, bool) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let reason = match (outcome.as_str(), is_charged_back) {
        (_, true) => Some("the payment was charged back"),
        ("fail", false) => Some("the card was closed"),
        (_, false) => None,
    };
    let status = if reason.is_some() { "failed" } else { "succeeded" };
    let text = sql!(
        "insert into nexus.sandbox_refunds as r (id, payment_ref, amount_minor, status, from_bank, reason, booked_on, created_at)
         values ($1, $2, $3, $4, $5, $6, ($7::timestamptz at time zone 'UTC')::date, $7)
         on conflict on constraint sandbox_refunds_pkey do update
           set status = excluded.status, from_bank = excluded.from_bank, reason = excluded.reason, booked_on = excluded.booked_on
           where r.status = 'failed'
         returning id"
    );
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &key,
        &payment,
        &amount.get(),
        &status,
        &from_bank,
        &reason,
        &command.now,
    ];
    let is_new = command.tx.query_opt(text, params).await?.is_some();
    if is_new
        && outcome != "silent"
        && let RefundState::Ended(message) = find(&command, key).await?
    {
        queue(&command, payment, message.said).await?;
    }
    command.commit().await
}

/// What the provider knows of a refund.
///
/// # Errors
/// What the database answered.
pub async fn find_refund(app: &App, key: Uuid) -> Result<RefundState, Problem> {
    let command = Command::begin(app, PROVIDER).await?;
    let found = find(&command, key).await?;
    command.commit().await?;
    Ok(found)
}

async fn find(command: &Command, key: Uuid) -> Result<RefundState, Problem> {
    let text = sql!(
        "select payment_ref, amount_minor, status, from_bank, coalesce(reason, ''), booked_on from nexus.sandbox_refunds where id = $1"
    );
    let Some(row) = command.tx.query_opt(text, &[&key]).await? else {
        return Ok(RefundState::Unknown);
    };
    let status: String = row.try_get(2)?;
    let said = if status == "succeeded" {
        Said::Refunded {
            refund: key,
            amount: amount(row.try_get(1)?)?,
            from_bank: row.try_get(3)?,
            booked_on: row.try_get(5)?,
        }
    } else {
        Said::RefundFailed {
            refund: key,
            reason: row.try_get(4)?,
        }
    };
    Ok(RefundState::Ended(Message {
        id: format!("ev_{}", Uuid::now_v7().simple()),
        payment: row.try_get(0)?,
        at: command.now,
        said,
    }))
}

/// A payer takes a payment back at his bank.
///
/// # Errors
/// What the database answered.
pub async fn charge_back(app: &App, payment: &str) -> Result<(), Problem> {
    let command = Command::begin(app, PROVIDER).await?;
    let text = sql!(
        "update nexus.sandbox_payments set charged_back_at = $2 where ref = $1 and charged_back_at is null
         returning amount_minor, settlement_ref is not null, ($2::timestamptz at time zone 'UTC')::date"
    );
    if let Some(row) = command.tx.query_opt(text, &[&payment, &command.now]).await? {
        let said = Said::ChargedBack {
            amount: amount(row.try_get(0)?)?,
            from_bank: row.try_get(1)?,
            booked_on: row.try_get(2)?,
        };
        queue(&command, payment, said).await?;
    }
    command.commit().await
}

async fn queue(command: &Command, payment: &str, said: Said) -> Result<(), Problem> {
    let message = Message {
        id: format!("ev_{}", Uuid::now_v7().simple()),
        payment: payment.to_owned(),
        at: command.now,
        said,
    };
    let body = serde_json::to_string(&message).map_err(Problem::internal)?;
    let text = sql!("insert into nexus.sandbox_messages (ref, body, due_at, created_at) values ($1, $2, $3, $3)");
    command.tx.execute(text, &[&message.id, &body, &command.now]).await?;
    Ok(())
}

/// Keeps a message that the rail gave as an answer, as if it had sent it: it is worked off with the others.
///
/// # Errors
/// What the database answered.
pub async fn say(app: &App, message: &Message) -> Result<(), Problem> {
    let body = serde_json::to_vec(message).map_err(Problem::internal)?;
    let headers = sign(app, &body);
    Box::pin(super::messages::take(app, &headers, &body)).await
}

/// Sends what the provider has to say and has not sent yet, in the order in which it happened; answers how many.
///
/// # Errors
/// What the database answered, or the webhook.
pub async fn deliver(app: &App) -> Result<usize, Problem> {
    let command = Command::begin(app, PROVIDER).await?;
    let text = sql!(
        "select ref, body from nexus.sandbox_messages where delivered_at is null and due_at <= $1 order by created_at, ref limit 100"
    );
    let rows = command.tx.query(text, &[&command.now]).await?;
    command.commit().await?;
    for row in &rows {
        let (id, body): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        Box::pin(super::messages::take(app, &sign(app, body.as_bytes()), body.as_bytes())).await?;
        let command = Command::begin(app, PROVIDER).await?;
        let delivered: DateTime<Utc> = command.now;
        let text = sql!("update nexus.sandbox_messages set delivered_at = $2, attempts = attempts + 1 where ref = $1");
        command.tx.execute(text, &[&id, &delivered]).await?;
        command.commit().await?;
    }
    Ok(rows.len())
}

/// Messages that were not sent yet, in the order in which they happened: for whoever delivers them by hand.
///
/// # Errors
/// What the database answered.
pub async fn undelivered(app: &App) -> Result<Vec<String>, Problem> {
    let command = Command::begin(app, PROVIDER).await?;
    let text = sql!("select body from nexus.sandbox_messages where delivered_at is null order by created_at, ref");
    let rows = command.tx.query(text, &[]).await?;
    command.commit().await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}
