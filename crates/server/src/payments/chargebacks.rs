//! Chargebacks: a payer takes a payment back. What is still here goes; what is not, the payer owes.

use chrono::NaiveDate;
use mint_core::{
    account::Purpose,
    book::Move,
    money::Amount,
    payment::{Parts, charge_back},
};
use serde_json::json;
use uuid::Uuid;

use super::{
    incidents::{self, Kind},
    messages::Outcome,
    record::{Payment, places, post},
    refunds,
};
use crate::{command::Command, db::sql, offerings::Offering, problem::Problem};

/// What a rail says of a chargeback.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// The rail.
    pub rail: &'a str,
    /// The rail's name of the payment.
    pub provider_ref: &'a str,
    /// How much was taken back.
    pub amount: Amount,
    /// Whether it left the custodian's account.
    pub from_bank: bool,
    /// The day on which it was booked.
    pub booked_on: NaiveDate,
}

/// Records that a payer took a payment back.
///
/// # Errors
/// What the database answered.
pub async fn take_back(command: &Command, told: &Told<'_>) -> Result<Outcome, Problem> {
    let text = sql!(
        "select i.id, i.offering_id from public.payments as p join public.investments as i on i.id = p.investment_id
         where p.rail = $1 and p.provider_ref = $2"
    );
    let known = command.tx.query_opt(text, &[&told.rail, &told.provider_ref]).await?;
    let offering = match known
        .as_ref()
        .map(|row| row.try_get::<_, Option<Uuid>>(1))
        .transpose()?
        .flatten()
    {
        Some(offering_id) => Some(Offering::lock(command, offering_id).await?),
        None => None,
    };
    let status = match &known {
        Some(row) => {
            let text = sql!("select status from public.investments where id = $1 for no key update");
            let id: Uuid = row.try_get(0)?;
            command.tx.query_one(text, &[&id]).await?.try_get(0)?
        }
        None => String::new(),
    };
    let Some(payment) = Payment::lock(command, told.rail, told.provider_ref).await? else {
        return Ok(Outcome::TooEarly);
    };
    if payment.is_charged_back {
        return Ok(Outcome::Done("charged back before".to_owned()));
    }
    if told.from_bank != payment.is_settled {
        return Ok(Outcome::TooEarly);
    }
    let (Some(book), Some(property_id)) = (payment.book(), payment.property_id) else {
        let text = sql!(
            "update public.payments set charged_back_at = $2, returned_minor = amount_minor, unmatched_minor = 0 where id = $1"
        );
        command.tx.execute(text, &[&payment.id, &command.now]).await?;
        return Ok(Outcome::Done("charged back; it was in no account".to_owned()));
    };
    let subject = format!("payment:{}", payment.id);
    if told.amount != payment.amount {
        let details =
            json!({ "payment_id": payment.id, "charged_back_minor": told.amount, "payment_minor": payment.amount });
        incidents::open(command, property_id, Kind::PartialChargeback, &subject, &details).await?;
        return Ok(Outcome::Done(
            "a partial chargeback: an incident is open, a person decides".to_owned(),
        ));
    }
    let is_in_escrow = status == "paid" && offering.as_ref().is_some_and(|offering| !offering.is_with_agent);
    let refunding = open_refunds(command, payment.id).await?;
    let taken = charge_back(Parts {
        amount: payment.amount,
        in_escrow: if is_in_escrow { payment.matched } else { Amount::ZERO },
        unmatched: payment.unmatched,
        refunding: Amount::sum(refunding.iter().map(|(_, amount)| *amount)).map_err(Problem::internal)?,
    });
    let at = places(payment.is_settled);
    let moves = [
        Move::of(taken.from_refunding, at.refunding, at.outside),
        Move::of(taken.from_unmatched, at.unmatched, at.outside),
        Move::of(taken.from_escrow, at.escrow, at.outside),
        Move::of(taken.owed, Purpose::ChargebackReceivable, at.outside),
    ];
    let reference = told.provider_ref;
    let why = json!({ "payment_id": payment.id, "investment_id": payment.investment_id, "reference": reference });
    let key = format!("payment:{}:charged_back", payment.id);
    post(
        command,
        &book,
        key,
        "payment.charged_back",
        (why, told.booked_on),
        &moves,
    )
    .await?;
    let matched_stays = payment.matched.minus(taken.from_escrow).unwrap_or(Amount::ZERO);
    let text = sql!(
        "update public.payments set charged_back_at = $2, unmatched_minor = 0, matched_minor = $3, returned_minor = amount_minor - $3 where id = $1"
    );
    command
        .tx
        .execute(text, &[&payment.id, &command.now, &matched_stays.get()])
        .await?;
    let ids: Vec<Uuid> = refunding.iter().map(|(id, _)| *id).collect();
    let text = sql!("update public.refunds set status = 'confirmed', confirmed_at = $2 where id = any ($1)");
    command.tx.execute(text, &[&ids, &command.now]).await?;
    if taken.from_escrow > Amount::ZERO
        && let (Some(offering), Some(investment_id)) = (&offering, payment.investment_id)
    {
        refunds::end_charged_back(command, offering, investment_id).await?;
    }
    if let Some(investment_id) = payment.investment_id {
        refunds::close_refunded(command, investment_id).await?;
    }
    if taken.owed > Amount::ZERO {
        let details =
            json!({ "payment_id": payment.id, "investment_id": payment.investment_id, "owed_minor": taken.owed });
        incidents::open(command, property_id, Kind::ChargebackAfterClose, &subject, &details).await?;
    }
    Ok(Outcome::Done("charged back".to_owned()))
}

/// Locks the refunds of a payment that are not confirmed.
async fn open_refunds(command: &Command, payment_id: Uuid) -> Result<Vec<(Uuid, Amount)>, Problem> {
    let text = sql!(
        "select id, amount_minor from public.refunds where payment_id = $1 and status in ('due', 'sent', 'failed') order by id for no key update"
    );
    let rows = command.tx.query(text, &[&payment_id]).await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, crate::offerings::record::amount(row.try_get(1)?)?)))
        .collect()
}
