//! A rail's messages: verified, kept as they came, worked off once.

use axum::http::HeaderMap;
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{
    arrivals::{self, Kept, Told as Arrived},
    chargebacks::{self, Told},
    incidents::{self, Kind},
    rail::{Message, SANDBOX, Said},
    receiving::{self, Arrival},
    refunds::{self, Confirmation, Confirmed},
    sandbox, settling,
};
use crate::{
    app::App,
    command::{Command, RUNS_MAX, was_disturbed},
    db::{Actor, sql},
    distributions::payouts,
    problem::{Problem, chain},
};

/// The largest message that a rail sends (bytes).
const BODY_BYTES_MAX: usize = 64 * 1024;

/// How long a message that came too early waits before it is looked at again; it is also looked at after each other message
/// about its payment.
const WAIT: TimeDelta = TimeDelta::seconds(30);

/// The longest that a message whose working off failed waits (seconds): a person may mend the cause meanwhile.
const WAIT_SECONDS_MAX: i32 = 600;

/// Who works them off.
pub(super) const WORKER: Actor = Actor::Program("payment messages");

/// What came of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was worked off; what came of it, in words.
    Done(String),
    /// What it rests on has not been told yet.
    TooEarly,
}

/// Takes a message from a rail: verifies it, keeps it, works it off. The answer is the same the second time.
///
/// # Errors
/// [`Problem::NotPermitted`] when nobody of ours signed it, [`Problem::Invalid`] when it cannot be read. What goes wrong
/// while it is worked off is no error here: it is kept, and tried again.
pub async fn take(app: &App, headers: &HeaderMap, body: &[u8]) -> Result<(), Problem> {
    if body.len() > BODY_BYTES_MAX {
        return Err(Problem::BodyTooLarge);
    }
    let signature = sandbox::verify(app, headers, body)?;
    let message: Message =
        serde_json::from_slice(body).map_err(|error| Problem::Invalid(format!("the message does not fit: {error}")))?;
    let told = Arrived {
        message: message.clone(),
        body: body.to_vec(),
        signature: signature.clone(),
    };
    match arrivals::keep(app, told).await? {
        Kept::Done => return Ok(()),
        Kept::Open => {}
        Kept::No => keep(app, &message, body, &signature).await?,
    }
    if let Err(problem) = work_off(app, SANDBOX, &message.payment).await {
        tracing::error!(cause = %chain(&problem), "a payment message waits: working it off failed");
    }
    Ok(())
}

/// Keeps a message as it came.
async fn keep(app: &App, message: &Message, body: &[u8], signature: &str) -> Result<(), Problem> {
    let command = Command::begin(app, WORKER).await?;
    let text = sql!(
        "insert into nexus.payment_messages (rail, message_id, kind, payment_ref, body, signature, received_at, due_at)
         values ($1, $2, $3, $4, $5, $6, $7, $7) on conflict on constraint payment_messages_once do nothing"
    );
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &SANDBOX,
        &message.id,
        &message.said.kind(),
        &message.payment,
        &body,
        &signature,
        &command.now,
    ];
    command.tx.execute(text, params).await?;
    command.commit().await
}

/// Works off everything that is known about one payment and not yet worked off, until nothing more can be.
///
/// # Errors
/// What the database answered.
pub async fn work_off(app: &App, rail: &'static str, payment_ref: &str) -> Result<(), Problem> {
    // Each turn settles one message at least, or is the last.
    loop {
        let mut runs = 1;
        let settled = loop {
            match Box::pin(one_turn(app, rail, payment_ref)).await {
                Err(problem) if runs < RUNS_MAX && was_disturbed(&problem) => runs += 1,
                Err(problem) => {
                    note_failure(app, rail, payment_ref, &problem).await;
                    return Err(problem);
                }
                Ok(settled) => break settled,
            }
        };
        if !settled {
            return Ok(());
        }
    }
}

/// Keeps why it failed, for an admin to read, and waits longer each time. Where the database is away, it cannot be kept.
async fn note_failure(app: &App, rail: &'static str, payment_ref: &str, problem: &Problem) {
    let noted = async {
        let command = Command::begin(app, WORKER).await?;
        let text = sql!(
            "update nexus.payment_messages
             set last_error = left($3, 2000), attempts = attempts + 1,
                 due_at = $4::timestamptz + least(1 << least(attempts, 12), $5) * interval '1 second'
             where rail = $1 and payment_ref = $2 and processed_at is null and dead_at is null"
        );
        let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
            &[&rail, &payment_ref, &chain(problem), &command.now, &WAIT_SECONDS_MAX];
        command.tx.execute(text, params).await?;
        command.commit().await
    };
    if let Err(second) = noted.await {
        tracing::warn!(cause = %chain(&second), "why a payment message failed could not be kept");
    }
}

/// Looks at the open messages about a payment in the order in which they came, until one can be worked off.
async fn one_turn(app: &App, rail: &'static str, payment_ref: &str) -> Result<bool, Problem> {
    let command = Command::begin(app, WORKER).await?;
    // One worker a payment at a time; the token's row is locked after this.
    let text = sql!("select pg_advisory_xact_lock(hashtextextended($1 || '/' || $2, 7))");
    command.tx.query(text, &[&rail, &payment_ref]).await?;
    let text = sql!(
        "select id, body from nexus.payment_messages
         where rail = $1 and payment_ref = $2 and processed_at is null and dead_at is null order by id for no key update"
    );
    let rows = command.tx.query(text, &[&rail, &payment_ref]).await?;
    for row in &rows {
        let id: i64 = row.try_get(0)?;
        let message: Message = serde_json::from_slice(row.try_get(1)?).map_err(Problem::internal)?;
        if let Outcome::Done(outcome) = apply(&command, rail, &message).await? {
            let text = sql!(
                "update nexus.payment_messages set processed_at = $2, outcome = left($3, 1000), attempts = attempts + 1 where id = $1"
            );
            command.tx.execute(text, &[&id, &command.now, &outcome]).await?;
            command.commit().await?;
            return Ok(true);
        }
    }
    if !rows.is_empty() {
        let text = sql!(
            "update nexus.payment_messages set due_at = $3, attempts = attempts + 1
             where rail = $1 and payment_ref = $2 and processed_at is null and dead_at is null"
        );
        let again: DateTime<Utc> = command.now + WAIT;
        command.tx.execute(text, &[&rail, &payment_ref, &again]).await?;
        command.commit().await?;
    }
    Ok(false)
}

async fn apply(command: &Command, rail: &'static str, message: &Message) -> Result<Outcome, Problem> {
    let provider_ref = message.payment.as_str();
    match &message.said {
        Said::Paid {
            session,
            amount,
            currency,
            property_id,
        } => {
            let arrival = Arrival {
                rail,
                provider_ref,
                session: session.as_deref(),
                amount: *amount,
                currency,
                property_id: *property_id,
                at: message.at,
            };
            receiving::receive(command, &arrival).await
        }
        Said::Settled {
            settlement,
            amount,
            booked_on,
        } => settling::settle(command, (rail, provider_ref), settlement, *amount, *booked_on).await,
        Said::Refunded {
            refund,
            amount,
            from_bank,
            booked_on,
        } => {
            let told = Confirmed {
                id: *refund,
                provider_ref: &refund.to_string(),
                amount: *amount,
                from_bank: *from_bank,
                booked_on: *booked_on,
            };
            let confirmation = refunds::confirm(command, &told).await?;
            confirmed(command, *refund, confirmation).await
        }
        Said::RefundFailed { refund, reason } => fail_refund(command, *refund, reason).await,
        Said::PaidOut {
            payout,
            amount,
            booked_on,
        } => Box::pin(payouts::confirm(command, *payout, *amount, *booked_on)).await,
        Said::PayoutFailed { payout, reason } => Box::pin(payouts::fail(command, *payout, reason)).await,
        Said::ChargedBack {
            amount,
            from_bank,
            booked_on,
        } => {
            let told = Told {
                rail,
                provider_ref,
                amount: *amount,
                from_bank: *from_bank,
                booked_on: *booked_on,
            };
            chargebacks::take_back(command, &told).await
        }
    }
}

async fn confirmed(command: &Command, refund: Uuid, confirmation: Confirmation) -> Result<Outcome, Problem> {
    let text = sql!("select property_id from public.refunds where id = $1");
    let said = match confirmation {
        Confirmation::TooEarly => return Ok(Outcome::TooEarly),
        Confirmation::Done => "refunded",
        Confirmation::Again => "refunded before",
        Confirmation::Twice | Confirmation::OtherAmount => {
            let property_id: Uuid = command.tx.query_one(text, &[&refund]).await?.try_get(0)?;
            let kind = if confirmation == Confirmation::Twice {
                Kind::ReturnedTwice
            } else {
                Kind::SettlementDifference
            };
            let details = serde_json::json!({ "refund_id": refund });
            incidents::open(command, property_id, kind, &format!("refund:{refund}"), &details).await?;
            "an incident is open"
        }
    };
    Ok(Outcome::Done(said.to_owned()))
}

async fn fail_refund(command: &Command, refund: Uuid, reason: &str) -> Result<Outcome, Problem> {
    let text = sql!(
        "update public.refunds set status = 'failed', failed_at = $2, failure = left($3, 2000), retry_asked_by = null, retry_approved_by = null
         where id = $1 and status in ('due', 'sent') returning id"
    );
    let failed = command.tx.query_opt(text, &[&refund, &command.now, &reason]).await?;
    if failed.is_some() {
        let text = sql!(
            "insert into public.notifications (user_id, title, message, type, created_at)
             select a.user_id, 'A refund failed', $1, 'refund', $2 from public.user_role_assignments as a
             where a.is_active and a.role in ('admin', 'compliance_officer')"
        );
        let message = format!("refund {refund}: {reason}");
        command.tx.execute(text, &[&message, &command.now]).await?;
        return Ok(Outcome::Done("the refund failed: two people decide".to_owned()));
    }
    let text = sql!("select from public.refunds where id = $1");
    Ok(match command.tx.query_opt(text, &[&refund]).await? {
        Some(_) => Outcome::Done("the refund had ended before".to_owned()),
        None => Outcome::TooEarly,
    })
}

/// Payments with messages that wait to be looked at again.
///
/// # Errors
/// What the database answered.
pub async fn with_due(command: &Command) -> Result<Vec<String>, Problem> {
    let text = sql!(
        "select distinct payment_ref from nexus.payment_messages
         where processed_at is null and dead_at is null and due_at <= $1 limit 100"
    );
    let rows = command.tx.query(text, &[&command.now]).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}
