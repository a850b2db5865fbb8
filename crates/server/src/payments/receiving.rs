//! Money that arrived: what it pays, and what goes back.

use chrono::{DateTime, Utc};
use mint_core::{
    account::Purpose,
    book::Move,
    money::Amount,
    payment::{self, Decision, Purchase, Reason},
    states::InvestmentStatus,
};
use serde_json::json;
use uuid::Uuid;

use super::{
    messages::Outcome,
    record::{Payment, cash_book, cause, places, post},
    refunds::{self, NewRefund},
};
use crate::{
    command::Command,
    db::sql,
    offerings::{
        Offering,
        record::amount as amount_of,
        supply::{self, Shift, one},
    },
    outbox,
    problem::Problem,
};

/// What a rail says of money that arrived.
pub struct Arrival<'a> {
    /// The rail.
    pub rail: &'a str,
    /// The rail's name of the payment.
    pub provider_ref: &'a str,
    /// The checkout session, if it came by one.
    pub session: Option<&'a str>,
    /// How much.
    pub amount: Amount,
    /// The currency's code.
    pub currency: &'a str,
    /// The property that was named, where there is no session.
    pub property_id: Option<Uuid>,
    /// When the rail received it.
    pub at: DateTime<Utc>,
}

/// The investment that a session pays, with what decides.
struct Target {
    offering: Offering,
    session_id: Uuid,
    investment_id: Uuid,
    user_id: Uuid,
    units: Amount,
    purchase: Purchase,
}

/// Records that money arrived, once, and lets it pay what it can.
///
/// # Errors
/// What the database answered.
pub async fn receive(command: &Command, arrival: &Arrival<'_>) -> Result<Outcome, Problem> {
    let target = target(command, arrival).await?;
    if Payment::lock(command, arrival.rail, arrival.provider_ref)
        .await?
        .is_some()
    {
        return Ok(Outcome::Done("this payment was recorded before".to_owned()));
    }
    let text = sql!("select decimals from public.currencies where code = $1");
    let Some(row) = command.tx.query_opt(text, &[&arrival.currency]).await? else {
        return Ok(Outcome::Done(format!(
            "nobody here knows the currency {}",
            arrival.currency
        )));
    };
    let decimals: i16 = row.try_get(0)?;
    let fits = target
        .as_ref()
        .is_some_and(|target| target.offering.currency.code() == arrival.currency);
    let purchase = target.as_ref().map(|target| &target.purchase);
    let decision = payment::receive(purchase, arrival.amount, fits, command.now);
    let known_property = match arrival.property_id {
        Some(property_id) => {
            let text = sql!("select id from public.properties where id = $1");
            command
                .tx
                .query_opt(text, &[&property_id])
                .await?
                .map(|row| row.try_get(0))
                .transpose()?
        }
        None => None,
    };
    let property_id = target
        .as_ref()
        .map(|target| target.offering.property_id)
        .or(known_property);
    let (matched, unmatched, returned) = match decision {
        Decision::Pays { matched, excess } => (matched, Amount::ZERO, excess),
        Decision::Waits | Decision::NeedsAPerson => (Amount::ZERO, arrival.amount, Amount::ZERO),
        Decision::GoesBack(_) => (Amount::ZERO, Amount::ZERO, arrival.amount),
    };
    let id = Uuid::now_v7();
    let text = sql!(
        "insert into public.payments (id, rail, provider_ref, session_id, investment_id, property_id, currency, currency_decimals,
           amount_minor, matched_minor, unmatched_minor, returned_minor, received_at, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
    );
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &id,
        &arrival.rail,
        &arrival.provider_ref,
        &target.as_ref().map(|target| target.session_id),
        &target.as_ref().map(|target| target.investment_id),
        &property_id,
        &arrival.currency,
        &decimals,
        &arrival.amount.get(),
        &matched.get(),
        &unmatched.get(),
        &returned.get(),
        &arrival.at,
        &command.now,
    ];
    command.tx.execute(text, params).await?;
    if let Some(target) = &target {
        let text = sql!("update public.payment_sessions set status = 'paid' where id = $1 and status <> 'paid'");
        command.tx.execute(text, &[&target.session_id]).await?;
    }
    match (decision, target) {
        (Decision::Pays { matched, excess }, Some(target)) => {
            pay(command, &target, id, matched, excess).await?;
            if excess > Amount::ZERO {
                owe_back(command, &target, id, excess, Reason::Overpaid).await?;
            }
            Ok(Outcome::Done("paid".to_owned()))
        }
        (Decision::GoesBack(reason), Some(target)) => {
            let book = cash_book(target.offering.property_id, arrival.currency);
            let moves = [Move::of(arrival.amount, Purpose::OutsidePsp, Purpose::PspRefundPayable)];
            let why = (cause(id, Some(target.investment_id)), command.now.date_naive());
            post(
                command,
                &book,
                format!("payment:{id}:received"),
                "payment.unmatched",
                why,
                &moves,
            )
            .await?;
            owe_back_in(
                command,
                &target,
                id,
                arrival.amount,
                reason,
                (arrival.currency, decimals),
            )
            .await?;
            Ok(Outcome::Done(format!("goes back: {}", reason.name())))
        }
        (_, target) => {
            if let Some(property_id) = property_id {
                let book = cash_book(property_id, arrival.currency);
                let moves = [Move::of(arrival.amount, Purpose::OutsidePsp, Purpose::PspUnmatched)];
                let why = (
                    cause(id, target.map(|target| target.investment_id)),
                    command.now.date_naive(),
                );
                post(
                    command,
                    &book,
                    format!("payment:{id}:received"),
                    "payment.unmatched",
                    why,
                    &moves,
                )
                .await?;
            }
            outbox::emit(
                command,
                "payment.unmatched",
                &id.to_string(),
                &json!({ "paymentId": id }),
            )
            .await?;
            Ok(Outcome::Done("unmatched".to_owned()))
        }
    }
}

async fn target(command: &Command, arrival: &Arrival<'_>) -> Result<Option<Target>, Problem> {
    let Some(session) = arrival.session else {
        return Ok(None);
    };
    let text = sql!(
        "select s.id, s.investment_id, i.offering_id from public.payment_sessions as s
         join public.investments as i on i.id = s.investment_id where s.rail = $1 and s.provider_ref = $2"
    );
    let Some(row) = command.tx.query_opt(text, &[&arrival.rail, &session]).await? else {
        return Ok(None);
    };
    let (session_id, investment_id): (Uuid, Uuid) = (row.try_get(0)?, row.try_get(1)?);
    let Some(offering_id) = row.try_get::<_, Option<Uuid>>(2)? else {
        return Ok(None);
    };
    let offering = Offering::lock(command, offering_id).await?;
    let text = sql!(
        "select user_id, status, token_amount_units, total_amount_minor + fee_amount_minor, coalesce(due_at, created_at)
         from public.investments where id = $1 for no key update"
    );
    let row = command.tx.query_one(text, &[&investment_id]).await?;
    let status: InvestmentStatus = row.try_get::<_, String>(1)?.parse().map_err(Problem::internal)?;
    let text = sql!(
        "select coalesce(sum(unmatched_minor), 0)::bigint from (
           select unmatched_minor from public.payments where investment_id = $1 and currency = $2 order by id for no key update) as waiting"
    );
    let waiting = command
        .tx
        .query_one(text, &[&investment_id, &offering.currency.code()])
        .await?;
    Ok(Some(Target {
        session_id,
        investment_id,
        user_id: row.try_get(0)?,
        units: amount_of(row.try_get(2)?)?,
        purchase: Purchase {
            status,
            charge: amount_of(row.try_get(3)?)?,
            due_at: row.try_get(4)?,
            waiting: amount_of(waiting.try_get(0)?)?,
        },
        offering,
    }))
}

/// Makes a pending investment a paid one: with what arrived now, and with what was waiting for it.
async fn pay(
    command: &Command,
    target: &Target,
    payment_id: Uuid,
    matched: Amount,
    excess: Amount,
) -> Result<(), Problem> {
    let mut moves = vec![
        Move::of(matched, Purpose::OutsidePsp, Purpose::PspClearing),
        Move::of(excess, Purpose::OutsidePsp, Purpose::PspRefundPayable),
    ];
    let text = sql!(
        "with waiting as (select id, unmatched_minor from public.payments
                          where investment_id = $1 and currency = $2 and unmatched_minor > 0)
         update public.payments as p set matched_minor = p.matched_minor + w.unmatched_minor, unmatched_minor = 0
         from waiting as w where p.id = w.id returning w.unmatched_minor, p.settled_at is not null"
    );
    let rows = command
        .tx
        .query(text, &[&target.investment_id, &target.offering.currency.code()])
        .await?;
    for row in &rows {
        let at = places(row.try_get(1)?);
        moves.push(Move::of(amount_of(row.try_get(0)?)?, at.unmatched, at.escrow));
    }
    moves.push(Move::of(target.units, Purpose::ReservedPending, Purpose::ReservedPaid));
    let why = (cause(payment_id, Some(target.investment_id)), command.now.date_naive());
    let key = format!("investment:{}:paid", target.investment_id);
    post(command, &target.offering.book(), key, "investment.paid", why, &moves).await?;
    let withdraw_until = command.now + target.offering.cooling_off;
    let text = sql!(
        "update public.investments set status = 'paid', paid_at = $2, withdraw_until = $3, due_at = null where id = $1 and status = 'pending'"
    );
    let paid = command
        .tx
        .execute(text, &[&target.investment_id, &command.now, &withdraw_until])
        .await?;
    one(paid, "investments")?;
    let shift = Shift {
        pending: -target.units.get(),
        paid: target.units.get(),
        ..Shift::default()
    };
    supply::shift(command, target.offering.token_id, shift).await?;
    let payload = json!({ "investmentId": target.investment_id, "offeringId": target.offering.id });
    outbox::emit(command, "investment.paid", &target.investment_id.to_string(), &payload).await?;
    let message = if target.offering.cooling_off.is_zero() {
        "Your payment arrived and is in escrow until the offering closes.".to_owned()
    } else {
        format!(
            "Your payment arrived and is in escrow until the offering closes. You can withdraw until {withdraw_until}."
        )
    };
    outbox::notify(
        command,
        target.user_id,
        "investment",
        "Payment received",
        &message,
        None,
    )
    .await?;
    Ok(())
}

async fn owe_back(
    command: &Command,
    target: &Target,
    payment_id: Uuid,
    amount: Amount,
    reason: Reason,
) -> Result<(), Problem> {
    let currency = &target.offering.currency;
    let decimals = i16::from(u8::from(currency.decimals()));
    owe_back_in(command, target, payment_id, amount, reason, (currency.code(), decimals)).await
}

/// What goes back at once is with the provider still: it has only just arrived.
async fn owe_back_in(
    command: &Command,
    target: &Target,
    payment_id: Uuid,
    amount: Amount,
    reason: Reason,
    (currency, currency_decimals): (&str, i16),
) -> Result<(), Problem> {
    let refund = NewRefund {
        payment_id,
        investment_id: None,
        property_id: target.offering.property_id,
        user_id: Some(target.user_id),
        currency: currency.to_owned(),
        currency_decimals,
        amount,
        reason,
        is_settled: false,
    };
    refunds::insert(command, &[refund]).await
}
