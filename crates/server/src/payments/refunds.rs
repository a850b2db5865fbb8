//! Money that is owed back: from purchases that end, and from money that pays nothing. `sending` asks the rail for it.

use mint_core::{account::Purpose, book::Move, money::Amount, payment::Reason};
use serde_json::json;
use uuid::Uuid;

use super::record::{cash_book, cause, entry, places, post};
use crate::{
    command::Command,
    db::sql,
    ledger::{self, NewEntry},
    offerings::{
        Offering,
        record::amount,
        supply::{self, Shift},
    },
    problem::Problem,
};

/// A refund to be.
#[derive(Debug, Clone)]
pub struct NewRefund {
    /// The payment that goes back, or a part of it.
    pub payment_id: Uuid,
    /// The purchase whose charge it is; none of money that paid nothing.
    pub investment_id: Option<Uuid>,
    /// The property whose accounts it leaves.
    pub property_id: Uuid,
    /// Who gets it.
    pub user_id: Option<Uuid>,
    /// The currency's code.
    pub currency: String,
    /// Its decimals.
    pub currency_decimals: i16,
    /// How much.
    pub amount: Amount,
    /// Why.
    pub reason: Reason,
    /// Whether the money is with the custodian.
    pub is_settled: bool,
}

/// Writes refunds as due now. The money is already in the account for what goes back.
///
/// # Errors
/// What the database answered.
pub async fn insert(command: &Command, refunds: &[NewRefund]) -> Result<(), Problem> {
    if refunds.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = refunds.iter().map(|_| Uuid::now_v7()).collect();
    let payments: Vec<Uuid> = refunds.iter().map(|refund| refund.payment_id).collect();
    let investments: Vec<Option<Uuid>> = refunds.iter().map(|refund| refund.investment_id).collect();
    let properties: Vec<Uuid> = refunds.iter().map(|refund| refund.property_id).collect();
    let users: Vec<Option<Uuid>> = refunds.iter().map(|refund| refund.user_id).collect();
    let currencies: Vec<&str> = refunds.iter().map(|refund| refund.currency.as_str()).collect();
    let decimals: Vec<i16> = refunds.iter().map(|refund| refund.currency_decimals).collect();
    let amounts: Vec<i64> = refunds.iter().map(|refund| refund.amount.get()).collect();
    let reasons: Vec<&str> = refunds.iter().map(|refund| refund.reason.name()).collect();
    let settled: Vec<bool> = refunds.iter().map(|refund| refund.is_settled).collect();
    let text = sql!(
        "insert into public.refunds (id, payment_id, investment_id, property_id, user_id, currency, currency_decimals, amount_minor, reason,
           is_settled, due_at, created_at)
         select n.*, $11::timestamptz, $11
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::smallint[], $8::bigint[], $9::text[],
                     $10::boolean[]) as n"
    );
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &ids,
        &payments,
        &investments,
        &properties,
        &users,
        &currencies,
        &decimals,
        &amounts,
        &reasons,
        &settled,
        &command.now,
    ];
    command.tx.execute(text, params).await?;
    let text = sql!(
        "insert into nexus.outbox_events (topic, dedupe_key, payload, actor_id, created_at, available_at)
         select 'refund.due', r.id::text, jsonb_build_object('refundId', r.id, 'reason', r.reason), $2, $3, $3
         from public.refunds as r where r.id = any ($1)"
    );
    command
        .tx
        .execute(text, &[&ids, &command.actor_id(), &command.now])
        .await?;
    Ok(())
}

/// Ends paid investments of a locked offering: everything that was received for them is owed back, fees included, and
/// their tokens can be had again. Investments that are not paid are left alone.
///
/// # Errors
/// What the database answered.
pub async fn owe(command: &Command, offering: &Offering, ids: &[Uuid], reason: Reason) -> Result<usize, Problem> {
    end_and_return(command, offering, ids, reason, reason.name()).await
}

/// Ends a paid investment whose payment was charged back: its tokens can be had again, and what other payments gave it is
/// owed back.
///
/// # Errors
/// What the database answered.
pub async fn end_charged_back(command: &Command, offering: &Offering, investment_id: Uuid) -> Result<(), Problem> {
    end_and_return(command, offering, &[investment_id], Reason::Withdrawn, "charged_back").await?;
    Ok(())
}

async fn end_and_return(
    command: &Command,
    offering: &Offering,
    ids: &[Uuid],
    reason: Reason,
    why_ended: &str,
) -> Result<usize, Problem> {
    let ended = end(command, offering, ids, why_ended).await?;
    if ended.is_empty() {
        return Ok(0);
    }
    let investments: Vec<Uuid> = ended.iter().map(|(id, _, _)| *id).collect();
    let returns = take_matched(command, offering, &ended, &investments, reason).await?;
    let book = offering.book();
    let mut entries: Vec<NewEntry> = Vec::with_capacity(ended.len());
    for (id, units, _) in &ended {
        let mut moves = vec![Move::of(*units, Purpose::ReservedPaid, Purpose::Available)];
        for refund in returns.iter().filter(|refund| refund.investment_id == Some(*id)) {
            let at = places(refund.is_settled);
            moves.push(Move::of(refund.amount, at.escrow, at.refunding));
        }
        let why = json!({ "investment_id": id, "offering_id": offering.id, "reason": why_ended });
        entries.push(entry(
            command,
            format!("investment:{id}:owed"),
            "refund.owed",
            why,
            book.entry(&moves),
        )?);
    }
    ledger::post_batch(&command.tx, &entries)
        .await
        .map_err(Problem::internal)?;
    insert(command, &returns).await?;
    let text = sql!(
        "insert into public.notifications (user_id, title, message, type, created_at)
         select i.user_id, 'Your money is on its way back', 'Everything that you paid goes back to where it came from, fee included.',
                'investment', $2 from public.investments as i where i.id = any ($1)"
    );
    command.tx.execute(text, &[&investments, &command.now]).await?;
    Ok(ended.len())
}

/// Makes paid investments `refund_due` and gives their tokens back: id, tokens, buyer.
async fn end(
    command: &Command,
    offering: &Offering,
    ids: &[Uuid],
    reason: &str,
) -> Result<Vec<(Uuid, Amount, Uuid)>, Problem> {
    let text = sql!(
        "with ended as (
           select id from public.investments where id = any ($1) and offering_id = $2 and status = 'paid' order by id for no key update)
         update public.investments as i set status = 'refund_due', ended_reason = $3, withdraw_until = null
         from ended where i.id = ended.id returning i.id, i.token_amount_units, i.user_id"
    );
    let rows = command.tx.query(text, &[&ids, &offering.id, &reason]).await?;
    let ended = rows
        .iter()
        .map(|row| Ok((row.try_get(0)?, amount(row.try_get(1)?)?, row.try_get(2)?)))
        .collect::<Result<Vec<(Uuid, Amount, Uuid)>, Problem>>()?;
    let sum: i64 = ended.iter().map(|(_, units, _)| units.get()).sum();
    let is_running = offering.status == mint_core::states::OfferingStatus::Open;
    let shift = Shift {
        available: sum,
        paid: -sum,
        offering_left: if is_running { sum } else { 0 },
        ..Shift::default()
    };
    supply::shift(command, offering.token_id, shift).await?;
    Ok(ended)
}

/// Takes what payments gave these investments, to be given back.
async fn take_matched(
    command: &Command,
    offering: &Offering,
    ended: &[(Uuid, Amount, Uuid)],
    investments: &[Uuid],
    reason: Reason,
) -> Result<Vec<NewRefund>, Problem> {
    let text = sql!(
        "with taken as (
           select id, matched_minor from public.payments where investment_id = any ($1) and matched_minor > 0 order by id for no key update)
         update public.payments as p set matched_minor = 0, returned_minor = p.returned_minor + t.matched_minor
         from taken as t where p.id = t.id
         returning p.id, p.investment_id, t.matched_minor, p.settled_at is not null, p.currency, p.currency_decimals"
    );
    let rows = command.tx.query(text, &[&investments]).await?;
    rows.iter()
        .map(|row| {
            let investment_id: Uuid = row.try_get(1)?;
            let buyer = ended
                .iter()
                .find(|(id, _, _)| *id == investment_id)
                .map(|(_, _, user_id)| *user_id);
            Ok(NewRefund {
                payment_id: row.try_get(0)?,
                investment_id: Some(investment_id),
                property_id: offering.property_id,
                user_id: buyer,
                currency: row.try_get(4)?,
                currency_decimals: row.try_get(5)?,
                amount: amount(row.try_get(2)?)?,
                reason,
                is_settled: row.try_get(3)?,
            })
        })
        .collect()
}

/// Owes back what arrived for these investments and never sufficed.
///
/// # Errors
/// What the database answered.
pub async fn return_unmatched(command: &Command, investments: &[Uuid], reason: Reason) -> Result<(), Problem> {
    let text = sql!(
        "select p.id from public.payments as p where p.investment_id = any ($1) and p.unmatched_minor > 0 order by p.id"
    );
    let rows = command.tx.query(text, &[&investments]).await?;
    for row in &rows {
        return_payment(command, row.try_get(0)?, reason).await?;
    }
    Ok(())
}

/// Owes back what of one payment fits nothing.
///
/// # Errors
/// What the database answered.
pub async fn return_payment(command: &Command, payment_id: Uuid, reason: Reason) -> Result<bool, Problem> {
    let text = sql!(
        "with taken as (select id, unmatched_minor from public.payments
                        where id = $1 and unmatched_minor > 0 and property_id is not null for no key update)
         update public.payments as p set unmatched_minor = 0, returned_minor = p.returned_minor + t.unmatched_minor
         from taken as t where p.id = t.id
         returning p.property_id, t.unmatched_minor, p.settled_at is not null, p.currency, p.currency_decimals, p.investment_id,
                   (select s.user_id from public.payment_sessions as s where s.id = p.session_id)"
    );
    let Some(row) = command.tx.query_opt(text, &[&payment_id]).await? else {
        return Ok(false);
    };
    let refund = NewRefund {
        payment_id,
        investment_id: None,
        property_id: row.try_get(0)?,
        user_id: row.try_get(6)?,
        currency: row.try_get(3)?,
        currency_decimals: row.try_get(4)?,
        amount: amount(row.try_get(1)?)?,
        reason,
        is_settled: row.try_get(2)?,
    };
    let at = places(refund.is_settled);
    let book = cash_book(refund.property_id, &refund.currency);
    let moves = [Move::of(refund.amount, at.unmatched, at.refunding)];
    let why = (cause(payment_id, row.try_get(5)?), command.now.date_naive());
    // A payment can be left unmatched more than once: by a match that was undone.
    let key = format!("payment:{payment_id}:returned:{}", command.now.timestamp_micros());
    post(command, &book, key, "refund.owed", why, &moves).await?;
    insert(command, &[refund]).await?;
    Ok(true)
}

/// What became of a refund at the rail.
#[derive(Debug, Clone)]
pub struct Confirmed<'a> {
    /// The refund.
    pub id: Uuid,
    /// The rail's name of it.
    pub provider_ref: &'a str,
    /// How much, as the rail says.
    pub amount: Amount,
    /// Whether it left the custodian's account.
    pub from_bank: bool,
    /// The day on which it was booked.
    pub booked_on: chrono::NaiveDate,
}

/// What the confirmation of a refund comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmation {
    /// It is confirmed.
    Done,
    /// Nothing is known of such a refund, or the settlement before it has not been told yet.
    TooEarly,
    /// It was confirmed before.
    Again,
    /// A chargeback had given the money back: it went back twice.
    Twice,
    /// The rail says another amount.
    OtherAmount,
}

/// Records that a refund arrived. The investment is refunded when nothing of it is outstanding.
///
/// # Errors
/// What the database answered.
pub async fn confirm(command: &Command, told: &Confirmed<'_>) -> Result<Confirmation, Problem> {
    let text = sql!(
        "select payment_id, investment_id, property_id, currency, amount_minor, status, is_settled, provider_ref
         from public.refunds where id = $1 for no key update"
    );
    let Some(row) = command.tx.query_opt(text, &[&told.id]).await? else {
        return Ok(Confirmation::TooEarly);
    };
    let status: String = row.try_get(5)?;
    let (is_settled, provider_ref): (bool, Option<String>) = (row.try_get(6)?, row.try_get(7)?);
    let owed = amount(row.try_get(4)?)?;
    let (payment_id, property_id, currency): (Uuid, Uuid, String) = (row.try_get(0)?, row.try_get(2)?, row.try_get(3)?);
    let investment_id: Option<Uuid> = row.try_get(1)?;
    if owed != told.amount {
        return Ok(Confirmation::OtherAmount);
    }
    let at = places(told.from_bank);
    let why = || {
        let cause = json!({ "refund_id": told.id, "payment_id": payment_id, "investment_id": investment_id, "reference": told.provider_ref });
        (cause, told.booked_on)
    };
    let book = cash_book(property_id, &currency);
    if status == "confirmed" {
        if provider_ref.is_some() {
            return Ok(Confirmation::Again);
        }
        let moves = [Move::of(owed, Purpose::ChargebackReceivable, at.outside)];
        let key = format!("refund:{}:twice", told.id);
        post(command, &book, key, "payment.charged_back", why(), &moves).await?;
        let text = sql!("update public.refunds set provider_ref = $2 where id = $1");
        command.tx.execute(text, &[&told.id, &told.provider_ref]).await?;
        return Ok(Confirmation::Twice);
    }
    if told.from_bank != is_settled {
        return Ok(Confirmation::TooEarly);
    }
    let moves = [Move::of(owed, at.refunding, at.outside)];
    post(
        command,
        &book,
        format!("refund:{}:confirmed", told.id),
        "refund.confirmed",
        why(),
        &moves,
    )
    .await?;
    let text = sql!(
        "update public.refunds set status = 'confirmed', confirmed_at = $2, provider_ref = $3, sent_at = coalesce(sent_at, $2) where id = $1"
    );
    command
        .tx
        .execute(text, &[&told.id, &command.now, &told.provider_ref])
        .await?;
    if let Some(investment_id) = investment_id {
        close_refunded(command, investment_id).await?;
    }
    Ok(Confirmation::Done)
}

/// Makes an investment `refunded` when everything of it went back.
///
/// # Errors
/// What the database answered.
pub async fn close_refunded(command: &Command, investment_id: Uuid) -> Result<(), Problem> {
    let text = sql!(
        "update public.investments as i set status = 'refunded'
         where i.id = $1 and i.status = 'refund_due'
           and not exists (select from public.refunds as r where r.investment_id = i.id and r.status <> 'confirmed')
         returning i.user_id"
    );
    if let Some(row) = command.tx.query_opt(text, &[&investment_id]).await? {
        crate::outbox::notify(
            command,
            row.try_get(0)?,
            "investment",
            "Your money is back",
            "Everything that you had paid for the purchase went back.",
            None,
        )
        .await?;
        crate::outbox::emit(
            command,
            "investment.refunded",
            &investment_id.to_string(),
            &json!({ "investmentId": investment_id }),
        )
        .await?;
    }
    Ok(())
}
