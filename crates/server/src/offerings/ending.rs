//! How an open offering ends, and what failing does: everybody gets back what was received, without anybody's click.

use mint_core::{
    money::Amount,
    offering::{self, Next, Sold},
    payment::Reason,
    refusal::Refusal,
    states::OfferingStatus,
};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::{
    Offering,
    preparing::{OfferingAnswer, shown},
    record::amount,
    supply::{self, one},
};
use crate::{
    command::Command,
    db::sql,
    investments::expiry::{self, Ending},
    outbox,
    payments::refunds,
    permission::Admin,
    problem::Problem,
};

/// Looks whether an open offering ends at the command's instant, and ends it. Its reservations that ran out are ended first.
///
/// # Errors
/// What the database answered.
pub async fn end_if_due(command: &Command, offering_id: Uuid) -> Result<(), Problem> {
    expiry::expire_due(command, offering_id).await?;
    let offering = Offering::lock(command, offering_id).await?;
    if offering.status != OfferingStatus::Open {
        return Ok(());
    }
    let sold = sold(command, &offering).await?;
    match offering::next(&offering.terms, offering.early_close_at, sold, command.now) {
        Next::Stay => Ok(()),
        Next::Failed(refusal) => fail(command, &offering, &refusal.reason).await,
        Next::Funded(reason) => {
            release_pending(command, &offering).await?;
            let text =
                sql!("update public.offerings set status = 'funded', ended_at = $2, end_reason = $3 where id = $1");
            let ended = command
                .tx
                .execute(text, &[&offering.id, &command.now, &reason.name()])
                .await?;
            one(ended, "offerings")?;
            supply::set_offering(command, offering.token_id, Some((offering.id, 0))).await?;
            let payload = json!({ "offeringId": offering.id, "reason": reason.name() });
            outbox::emit(command, "offering.funded", &offering.id.to_string(), &payload).await?;
            Ok(())
        }
    }
}

async fn sold(command: &Command, offering: &Offering) -> Result<Sold, Problem> {
    let text = sql!(
        "select coalesce(sum(token_amount_units) filter (where not ($3 and is_insider)), 0)::bigint,
                coalesce(sum(token_amount_units), 0)::bigint
         from public.investments where offering_id = $1 and status = 'paid' and withdraw_until <= $2"
    );
    let excludes_insiders = !offering.pack.insiders_count();
    let row = command
        .tx
        .query_one(text, &[&offering.id, &command.now, &excludes_insiders])
        .await?;
    Ok(Sold {
        counting: amount(row.try_get(0)?)?,
        settled_in_mind: amount(row.try_get(1)?)?,
    })
}

async fn release_pending(command: &Command, offering: &Offering) -> Result<(), Problem> {
    let text = sql!("select id from public.investments where offering_id = $1 and status = 'pending'");
    let rows = command.tx.query(text, &[&offering.id]).await?;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    expiry::release(command, offering, &ids, Ending::OfferingEnded).await?;
    Ok(())
}

/// Fails a locked offering that is open or funded.
///
/// # Errors
/// What the database answered.
pub async fn fail(command: &Command, offering: &Offering, reason: &str) -> Result<(), Problem> {
    release_pending(command, offering).await?;
    let text = sql!("update public.offerings set status = 'failed', failed_at = $2, fail_reason = $3 where id = $1");
    let failed = command.tx.execute(text, &[&offering.id, &command.now, &reason]).await?;
    one(failed, "offerings")?;
    supply::set_offering(command, offering.token_id, None).await?;
    let message = format!("{reason}. Everything that you paid goes back, fee included.");
    super::preparing::tell_buyers(command, offering.id, "The offering failed", &message).await?;
    let payload = json!({ "offeringId": offering.id, "reason": reason });
    outbox::emit(command, "offering.failed", &offering.id.to_string(), &payload).await?;
    let failed = Offering {
        status: OfferingStatus::Failed,
        ..offering.clone()
    };
    return_everything(command, &failed).await
}

/// Owes back what was paid in a failed offering. What lies with the closing agent must have come back first.
///
/// # Errors
/// What the database answered.
pub async fn return_everything(command: &Command, offering: &Offering) -> Result<(), Problem> {
    if offering.agent > Amount::ZERO {
        return Ok(());
    }
    let text = sql!("select id from public.investments where offering_id = $1 and status = 'paid' order by id");
    let rows = command.tx.query(text, &[&offering.id]).await?;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    refunds::owe(command, offering, &ids, Reason::OfferingFailed).await?;
    Ok(())
}

/// An offering to fail.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailOffering {
    offering_id: Uuid,
    reason: String,
}

/// Fails an offering that is open or funded, with a reason that buyers read.
///
/// # Errors
/// `offering.status`, `reason`.
pub async fn fail_by_admin(command: &Command, _admin: &Admin, body: FailOffering) -> Result<OfferingAnswer, Problem> {
    if body.reason.trim().is_empty() {
        let refusal = Refusal::new(
            "reason",
            "a sale is not failed without a reason",
            "say why: buyers read it",
        );
        return Err(refusal.into());
    }
    let offering = Offering::lock(command, body.offering_id).await?;
    offering.must_be(&[OfferingStatus::Open, OfferingStatus::Funded])?;
    fail(command, &offering, body.reason.trim()).await?;
    shown(command, offering.id).await
}

/// Open offerings whose end may have come: the deadline, an early close, or everything sold for good.
///
/// # Errors
/// What the database answered.
pub async fn with_due(command: &Command) -> Result<Vec<Uuid>, Problem> {
    let text = sql!(
        "select o.id from public.offerings as o join public.property_token_supply as s on s.offering_id = o.id
         where o.status = 'open' and (o.closes_at <= $1 or o.early_close_at <= $1 or s.offering_left_units = 0 and o.hard_cap_units <= (
           select coalesce(sum(i.token_amount_units), 0) from public.investments as i
           where i.offering_id = o.id and i.status = 'paid' and i.withdraw_until <= $1))
         order by o.closes_at limit 100"
    );
    let rows = command.tx.query(text, &[&command.now]).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}
