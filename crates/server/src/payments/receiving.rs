//! Money that arrived: what it pays, and what goes back.

use chrono::{DateTime, Utc};
use mint_core::{
    account::Purpose,
    book::Move,
    money::Amount,
    payment::{self, Decision, Purchase, Reason},
};
use serde_json::{Value, json};
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

use super::{
    messages::Outcome,
    record::{Payment, cash_book, cause, entry, places, post},
    refunds::{self, NewRefund},
};
use crate::{
    command::Command,
    db::sql,
    ledger::{self, NewEntry},
    offerings::{
        Offering,
        record::amount as amount_of,
        supply::{self, Shift},
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
pub(super) struct Target {
    pub(super) session_id: Uuid,
    pub(super) investment_id: Uuid,
    pub(super) offering_id: Option<Uuid>,
    user_id: Uuid,
    units: Amount,
    pub(super) purchase: Purchase,
}

/// A payment that pays its investment.
pub(super) struct Paying<'a> {
    pub(super) payment_id: Uuid,
    pub(super) target: &'a Target,
    pub(super) matched: Amount,
    pub(super) excess: Amount,
    /// What was waiting for it, moved to escrow.
    pub(super) waited: Vec<Move>,
}

/// A payment to be recorded.
pub(super) struct NewPayment<'a> {
    pub(super) id: Uuid,
    pub(super) arrival: &'a Arrival<'a>,
    pub(super) target: Option<&'a Target>,
    pub(super) property_id: Option<Uuid>,
    pub(super) decimals: i16,
    pub(super) matched: Amount,
    pub(super) unmatched: Amount,
    pub(super) returned: Amount,
}

/// Records that money arrived, once, and lets it pay what it can.
///
/// # Errors
/// What the database answered.
pub async fn receive(command: &Command, arrival: &Arrival<'_>) -> Result<Outcome, Problem> {
    let found = target(command, arrival).await?;
    let (offering, target) = found.as_ref().map(|(offering, target)| (offering, target)).unzip();
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
    let fits = offering.is_some_and(|offering| offering.currency.code() == arrival.currency);
    let purchase = target.map(|target| &target.purchase);
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
    let property_id = offering.map(|offering| offering.property_id).or(known_property);
    let (matched, unmatched, returned) = match decision {
        Decision::Pays { matched, excess } => (matched, Amount::ZERO, excess),
        Decision::Waits | Decision::NeedsAPerson => (Amount::ZERO, arrival.amount, Amount::ZERO),
        Decision::GoesBack(_) => (Amount::ZERO, Amount::ZERO, arrival.amount),
    };
    let id = Uuid::now_v7();
    let payment = NewPayment {
        id,
        arrival,
        target,
        property_id,
        decimals,
        matched,
        unmatched,
        returned,
    };
    record(command, &[payment]).await?;
    match (decision, offering.zip(target)) {
        (Decision::Pays { matched, excess }, Some((offering, target))) => {
            let waited = take_waiting(command, offering, target).await?;
            let paying = Paying {
                payment_id: id,
                target,
                matched,
                excess,
                waited,
            };
            pay(command, offering, &[paying]).await?;
            if excess > Amount::ZERO {
                let currency = (arrival.currency, decimals);
                owe_back(command, (offering, target), id, excess, Reason::Overpaid, currency).await?;
            }
            Ok(Outcome::Done(PAID.to_owned()))
        }
        (Decision::GoesBack(reason), Some((offering, target))) => {
            let book = cash_book(offering.property_id, arrival.currency);
            let moves = [Move::of(arrival.amount, Purpose::OutsidePsp, Purpose::PspRefundPayable)];
            let why = (cause(id, Some(target.investment_id)), command.now.date_naive());
            let key = format!("payment:{id}:received");
            post(command, &book, key, "payment.unmatched", why, &moves).await?;
            let currency = (arrival.currency, decimals);
            owe_back(command, (offering, target), id, arrival.amount, reason, currency).await?;
            Ok(Outcome::Done(format!("goes back: {}", reason.name())))
        }
        (_, _) => {
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

/// What a message says became of money that paid.
pub(super) const PAID: &str = "paid";

/// The investments that sessions ($2) of a rail ($1) pay, locked by id; behind their tokens' locks.
pub(super) const TARGETS: &str = sql!(
    "select s.provider_ref, s.id, i.id, i.offering_id, i.user_id, i.status, i.token_amount_units, i.total_amount_minor + i.fee_amount_minor,
            coalesce(i.due_at, i.created_at),
            (select coalesce(sum(p.unmatched_minor), 0)::bigint from public.payments as p
             where p.investment_id = i.id and p.currency = i.payment_currency)
     from public.payment_sessions as s join public.investments as i on i.id = s.investment_id
     where s.rail = $1 and s.provider_ref = any ($2) order by i.id for no key update of i"
);

/// Reads a row of [`TARGETS`]: the session's name at the rail, and what it pays.
///
/// # Errors
/// When it says what nobody knows.
pub(super) fn read_target(row: &Row) -> Result<(String, Target), Problem> {
    let target = Target {
        session_id: row.try_get(1)?,
        investment_id: row.try_get(2)?,
        offering_id: row.try_get(3)?,
        user_id: row.try_get(4)?,
        units: amount_of(row.try_get(6)?)?,
        purchase: Purchase {
            status: row.try_get::<_, &str>(5)?.parse().map_err(Problem::internal)?,
            charge: amount_of(row.try_get(7)?)?,
            due_at: row.try_get(8)?,
            waiting: amount_of(row.try_get(9)?)?,
        },
    };
    Ok((row.try_get(0)?, target))
}

async fn target(command: &Command, arrival: &Arrival<'_>) -> Result<Option<(Offering, Target)>, Problem> {
    let Some(session) = arrival.session else {
        return Ok(None);
    };
    let text = sql!(
        "select i.offering_id from public.payment_sessions as s join public.investments as i on i.id = s.investment_id
         where s.rail = $1 and s.provider_ref = $2"
    );
    let Some(row) = command.tx.query_opt(text, &[&arrival.rail, &session]).await? else {
        return Ok(None);
    };
    let Some(offering_id) = row.try_get::<_, Option<Uuid>>(0)? else {
        return Ok(None);
    };
    let offering = Offering::lock(command, offering_id).await?;
    let row = command
        .tx
        .query_one(TARGETS, &[&arrival.rail, &[session].as_slice()])
        .await?;
    Ok(Some((offering, read_target(&row)?.1)))
}

/// What was waiting for an investment now pays it: the moves of that.
async fn take_waiting(command: &Command, offering: &Offering, target: &Target) -> Result<Vec<Move>, Problem> {
    let text = sql!(
        "with waiting as (select id, unmatched_minor from public.payments
                          where investment_id = $1 and currency = $2 and unmatched_minor > 0 order by id for no key update)
         update public.payments as p set matched_minor = p.matched_minor + w.unmatched_minor, unmatched_minor = 0
         from waiting as w where p.id = w.id returning w.unmatched_minor, p.settled_at is not null"
    );
    let params: &[&(dyn ToSql + Sync)] = &[&target.investment_id, &offering.currency.code()];
    let rows = command.tx.query(text, params).await?;
    let moves = rows.iter().map(|row| {
        let at = places(row.try_get(1)?);
        Ok(Move::of(amount_of(row.try_get(0)?)?, at.unmatched, at.escrow))
    });
    moves.collect()
}

const RECORD: &str = sql!(
    "insert into public.payments (id, rail, provider_ref, session_id, investment_id, property_id, currency, currency_decimals,
       amount_minor, matched_minor, unmatched_minor, returned_minor, received_at, created_at)
     select n.*, $14 from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::uuid[], $6::uuid[], $7::text[], $8::smallint[],
                                 $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::timestamptz[]) as n"
);

const SESSIONS_PAID: &str =
    sql!("update public.payment_sessions set status = 'paid' where id = any ($1) and status <> 'paid'");

/// Records payments: in one exchange, like [`pay`], so that both can be part of a larger one.
pub(super) async fn record(command: &Command, payments: &[NewPayment<'_>]) -> Result<(), Problem> {
    command.tx.prepare(STATEMENTS).await?;
    let ids =
        |read: &dyn Fn(&NewPayment<'_>) -> Option<Uuid>| -> Vec<Option<Uuid>> { payments.iter().map(read).collect() };
    let amounts =
        |read: &dyn Fn(&NewPayment<'_>) -> Amount| -> Vec<i64> { payments.iter().map(|one| read(one).get()).collect() };
    let new_ids: Vec<Uuid> = payments.iter().map(|one| one.id).collect();
    let rails: Vec<&str> = payments.iter().map(|one| one.arrival.rail).collect();
    let refs: Vec<&str> = payments.iter().map(|one| one.arrival.provider_ref).collect();
    let sessions = ids(&|one| Some(one.target?.session_id));
    let currencies: Vec<&str> = payments.iter().map(|one| one.arrival.currency).collect();
    let decimals: Vec<i16> = payments.iter().map(|one| one.decimals).collect();
    let received: Vec<DateTime<Utc>> = payments.iter().map(|one| one.arrival.at).collect();
    let paid: Vec<Uuid> = sessions.iter().flatten().copied().collect();
    let params: &[&(dyn ToSql + Sync)] = &[
        &new_ids,
        &rails,
        &refs,
        &sessions,
        &ids(&|one| Some(one.target?.investment_id)),
        &ids(&|one| one.property_id),
        &currencies,
        &decimals,
        &amounts(&|one| one.arrival.amount),
        &amounts(&|one| one.matched),
        &amounts(&|one| one.unmatched),
        &amounts(&|one| one.returned),
        &received,
        &command.now,
    ];
    let of_sessions: &[&(dyn ToSql + Sync)] = &[&paid];
    tokio::try_join!(biased; command.tx.execute(RECORD, params), command.tx.execute(SESSIONS_PAID, of_sessions))?;
    Ok(())
}

const INVESTMENTS_PAID: &str = sql!(
    "update public.investments set status = 'paid', paid_at = $2, withdraw_until = $3, due_at = null
     where id = any ($1) and status = 'pending'"
);

/// What [`record`] and [`pay`] run, to be prepared.
pub(super) const STATEMENTS: &[&str] = &[
    RECORD,
    SESSIONS_PAID,
    ledger::POST,
    INVESTMENTS_PAID,
    supply::SHIFT,
    supply::COPY_AVAILABLE,
    outbox::EMIT_ALL,
    outbox::NOTIFY_ALL,
];

/// Makes pending investments of an offering, which is locked, paid ones: with what arrived now, and with what was waiting for
/// them. One exchange.
pub(super) async fn pay(command: &Command, offering: &Offering, paying: &[Paying<'_>]) -> Result<(), Problem> {
    command.tx.prepare(STATEMENTS).await?;
    let ids: Vec<Uuid> = paying.iter().map(|one| one.target.investment_id).collect();
    let entries = paying.iter().map(|one| entry_of(command, offering, one));
    let entries = entries.collect::<Result<Vec<NewEntry>, Problem>>()?;
    let withdraw_until = command.now + offering.cooling_off;
    let units: i64 = paying.iter().map(|one| one.target.units.get()).sum();
    let shift = Shift {
        pending: -units,
        paid: units,
        ..Shift::default()
    };
    let events: Vec<(String, Value)> = ids
        .iter()
        .map(|id| (id.to_string(), json!({ "investmentId": id, "offeringId": offering.id })))
        .collect();
    let message = if offering.cooling_off.is_zero() {
        "Your payment arrived and is in escrow until the offering closes.".to_owned()
    } else {
        format!(
            "Your payment arrived and is in escrow until the offering closes. You can withdraw until {}.",
            withdraw_until.format("%-d %b %Y, %H:%M UTC")
        )
    };
    let users: Vec<Uuid> = paying.iter().map(|one| one.target.user_id).collect();
    let of_ids: &[&(dyn ToSql + Sync)] = &[&ids, &command.now, &withdraw_until];
    // Polled in this order, they leave in this order and at once: all of them are prepared.
    let (_, paid, ..) = tokio::try_join!(biased;
        async { ledger::post_batch(&command.tx, &entries).await.map_err(Problem::internal) },
        async { Ok(command.tx.execute(INVESTMENTS_PAID, of_ids).await?) },
        supply::shift(command, offering.token_id, shift),
        async { Ok(outbox::emit_all(command, "investment.paid", &events).await?) },
        async { Ok(outbox::notify_all(command, &users, "investment", "Payment received", &message).await?) },
    )?;
    if usize::try_from(paid).is_ok_and(|paid| paid == paying.len()) {
        Ok(())
    } else {
        Err(Problem::internal(format!(
            "{paid} investments were paid instead of {}",
            paying.len()
        )))
    }
}

fn entry_of(command: &Command, offering: &Offering, paying: &Paying<'_>) -> Result<NewEntry, Problem> {
    let target = paying.target;
    let mut moves = vec![
        Move::of(paying.matched, Purpose::OutsidePsp, Purpose::PspClearing),
        Move::of(paying.excess, Purpose::OutsidePsp, Purpose::PspRefundPayable),
    ];
    moves.extend(paying.waited.iter().cloned());
    moves.push(Move::of(target.units, Purpose::ReservedPending, Purpose::ReservedPaid));
    let key = format!("investment:{}:paid", target.investment_id);
    let why = cause(paying.payment_id, Some(target.investment_id));
    entry(command, key, "investment.paid", why, offering.book().entry(&moves))
}

/// What goes back at once is with the provider still: it has only just arrived.
async fn owe_back(
    command: &Command,
    (offering, target): (&Offering, &Target),
    payment_id: Uuid,
    amount: Amount,
    reason: Reason,
    (currency, currency_decimals): (&str, i16),
) -> Result<(), Problem> {
    let refund = NewRefund {
        payment_id,
        investment_id: None,
        property_id: offering.property_id,
        user_id: Some(target.user_id),
        currency: currency.to_owned(),
        currency_decimals,
        amount,
        reason,
        is_settled: false,
    };
    refunds::insert(command, &[refund]).await
}
