//! Reservations that end without money: run out, given up, or overtaken by their offering's failure.

use mint_core::{account::Purpose, book::Move, payment::Reason, states::InvestmentStatus};
use serde_json::json;
use uuid::Uuid;

use crate::{
    command::Command,
    db::sql,
    ledger::{self, NewEntry},
    offerings::{
        Offering,
        record::amount,
        supply::{self, Shift},
    },
    payments::refunds,
    problem::Problem,
};

/// Why a reservation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Nobody paid in time.
    RanOut,
    /// The buyer gave it up.
    GivenUp,
    /// The offering ended or failed.
    OfferingEnded,
}

impl Ending {
    fn status(self) -> InvestmentStatus {
        match self {
            Ending::RanOut => InvestmentStatus::Expired,
            Ending::GivenUp | Ending::OfferingEnded => InvestmentStatus::Cancelled,
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Ending::RanOut => "not_paid",
            Ending::GivenUp => "given_up",
            Ending::OfferingEnded => "offering_ended",
        }
    }
}

/// Ends these pending reservations of a locked offering: their tokens can be reserved again, and what was paid in part goes
/// back. Others are left alone. Answers how many ended.
///
/// # Errors
/// What the database answered.
pub async fn release(command: &Command, offering: &Offering, ids: &[Uuid], ending: Ending) -> Result<usize, Problem> {
    let text = sql!(
        "with ended as (
           select id from public.investments where id = any ($1) and offering_id = $2 and status = 'pending' order by id for no key update)
         update public.investments as i set status = $3, ended_reason = $4, due_at = null
         from ended where i.id = ended.id
         returning i.id, i.token_amount_units, i.user_id"
    );
    let rows = command
        .tx
        .query(text, &[&ids, &offering.id, &ending.status().name(), &ending.reason()])
        .await?;
    if rows.is_empty() {
        return Ok(0);
    }
    let book = offering.book();
    let mut sum = 0;
    let mut entries = Vec::with_capacity(rows.len());
    for row in &rows {
        let (id, units): (Uuid, i64) = (row.try_get(0)?, row.try_get(1)?);
        sum += units;
        entries.push(NewEntry {
            key: format!("investment:{id}:release"),
            kind: "investment.expired",
            business_date: command.now.date_naive(),
            actor_id: command.actor_id(),
            cause: json!({ "investment_id": id, "offering_id": offering.id, "reason": ending.reason() }),
            postings: book
                .entry(&[Move::of(amount(units)?, Purpose::ReservedPending, Purpose::Available)])
                .map_err(Problem::internal)?,
        });
    }
    let ended: Vec<Uuid> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    let shift = Shift {
        available: sum,
        pending: -sum,
        offering_left: if ending == Ending::OfferingEnded { 0 } else { sum },
        ..Shift::default()
    };
    supply::shift(command, offering.token_id, shift).await?;
    ledger::post_batch(&command.tx, &entries)
        .await
        .map_err(Problem::internal)?;
    let text = sql!(
        "update public.payment_sessions set status = 'expired' where investment_id = any ($1) and status = 'open'"
    );
    command.tx.execute(text, &[&ended]).await?;
    refunds::return_unmatched(command, &ended, Reason::Underpaid).await?;
    let text = sql!(
        "insert into nexus.outbox_events (topic, dedupe_key, payload, actor_id, created_at, available_at)
         select 'investment.' || i.status, i.id::text, jsonb_build_object('investmentId', i.id, 'reason', i.ended_reason), $2, $3, $3
         from public.investments as i where i.id = any ($1)
         on conflict on constraint outbox_events_once do nothing"
    );
    command
        .tx
        .execute(text, &[&ended, &command.actor_id(), &command.now])
        .await?;
    if ending != Ending::GivenUp {
        let text = sql!(
            "insert into public.notifications (user_id, title, message, type, created_at)
             select i.user_id, 'Your reservation ended', 'It was not paid in time, and its tokens can be bought again. Money that was paid in part goes back.',
                    'investment', $2 from public.investments as i where i.id = any ($1)"
        );
        command.tx.execute(text, &[&ended, &command.now]).await?;
    }
    Ok(ended.len())
}

/// Ends the reservations of an offering that nobody paid in time.
///
/// # Errors
/// What the database answered.
pub async fn expire_due(command: &Command, offering_id: Uuid) -> Result<usize, Problem> {
    let offering = Offering::lock(command, offering_id).await?;
    let text = sql!("select id from public.investments where offering_id = $1 and status = 'pending' and due_at <= $2");
    let rows = command.tx.query(text, &[&offering.id, &command.now]).await?;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    release(command, &offering, &ids, Ending::RanOut).await
}

/// Offerings with reservations that ran out.
///
/// # Errors
/// What the database answered.
pub async fn with_due(command: &Command) -> Result<Vec<Uuid>, Problem> {
    let text = sql!(
        "select distinct offering_id from public.investments
         where due_at <= $1 and status = 'pending' and offering_id is not null limit 100"
    );
    let rows = command.tx.query(text, &[&command.now]).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}
