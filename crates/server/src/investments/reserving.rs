//! Reserving tokens: many orders of one offering at once, decided one after the other in the order in which they came.
//!
//! Three round trips and then some, whatever the number of orders: lock the token's supply, the offering and the parties'
//! limits; load what decides; let [`Sale`] decide; write investments, supply, ledger and outbox by set-based statements.
//! A lone order is a batch of one. The caller commits.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use mint_core::{
    account::Purpose,
    book::Move,
    eligibility::{Buyer, Holders, Order, Reservation, Sale, parties_in_lock_order},
    fees::FeeSchedule,
    money::Amount,
    refusal::Refusal,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    command::Command,
    compliance::standing,
    db::sql,
    holdings::holders,
    ledger::{self, NewEntry},
    offerings::{
        Offering,
        record::amount,
        supply::{self, Shift},
    },
    problem::Problem,
};

/// An order as it came in.
#[derive(Debug, Clone)]
pub struct NewOrder {
    /// The id that its investment gets.
    pub id: Uuid,
    /// The login that buys.
    pub user_id: Uuid,
    /// The login's party.
    pub party_id: Uuid,
    /// Tokens, in smallest units.
    pub units: Amount,
    /// Whether the buyer says that the warning was understood.
    pub accepts_warning: bool,
    /// The rail by which the buyer means to pay.
    pub payment_method: Option<String>,
    /// Whether an identical reservation that is still pending and younger than ten minutes is the answer: where the
    /// client gave no key.
    pub reuses_identical: bool,
}

/// How long an identical reservation answers a client without a key.
const IDENTICAL_FOR: chrono::TimeDelta = chrono::TimeDelta::minutes(10);

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Tokens are reserved under this investment.
    Reserved(Uuid),
    /// They were reserved before, by an identical order.
    Same(Uuid),
    /// A rule said no.
    Refused(Box<Refusal>),
}

/// Decides and writes the orders of one offering, and answers for each in order.
///
/// # Errors
/// What the database answered; then nothing of the batch stays.
pub async fn reserve(command: &Command, offering_id: Uuid, orders: &[NewOrder]) -> Result<Vec<Outcome>, Problem> {
    let offering = Offering::lock(command, offering_id).await?;
    let (mut sale, guests, identical) = load(command, &offering, orders).await?;
    let mut outcomes = Vec::with_capacity(orders.len());
    let mut accepted: Vec<(&NewOrder, Reservation)> = Vec::new();
    let mut fresh: HashMap<(Uuid, i64), Uuid> = identical;
    for order in orders {
        let key = (order.user_id, order.units.get());
        if let (true, Some(id)) = (order.reuses_identical, fresh.get(&key)) {
            outcomes.push(Outcome::Same(*id));
            continue;
        }
        let asked = Order {
            party_id: order.party_id,
            units: order.units,
            accepts_warning: order.accepts_warning,
            is_guest: guests.get(&order.user_id).copied().unwrap_or(false),
        };
        match sale.decide(&asked, command.now) {
            Ok(reservation) => {
                fresh.insert(key, order.id);
                accepted.push((order, reservation));
                outcomes.push(Outcome::Reserved(order.id));
            }
            Err(refusal) => outcomes.push(Outcome::Refused(Box::new(refusal))),
        }
    }
    write(command, &offering, &accepted).await?;
    Ok(outcomes)
}

type Loaded = (Sale, HashMap<Uuid, bool>, HashMap<(Uuid, i64), Uuid>);

async fn load(command: &Command, offering: &Offering, orders: &[NewOrder]) -> Result<Loaded, Problem> {
    let parties = parties_in_lock_order(orders.iter().map(|order| order.party_id));
    lock_parties(command, &parties).await?;
    let mut standings = standing::load(command, &parties).await?;
    let text = sql!(
        "select p.id,
                coalesce(sum(i.token_amount_units) filter (where i.offering_id = $2 and i.status in ('pending', 'paid', 'confirmed')), 0)::bigint,
                count(*) filter (where i.offering_id = $2 and i.status = 'pending'),
                coalesce(sum(i.total_amount_minor) filter (where i.payment_currency = $4 and i.created_at > $5::timestamptz - interval '1 year'
                  and i.status in ('pending', 'paid', 'confirmed')), 0)::bigint,
                l.yearly_minor, l.currency,
                coalesce(bool_or(i.property_token_id = $3 and i.status in ('pending', 'paid')), false)
                  or exists (select from public.lots as held where held.party_id = p.id and held.property_token_id = $3 and held.units > 0)
         from unnest($1::uuid[]) as p (id)
         join public.party_limits as l on l.party_id = p.id
         left join public.investments as i on i.party_id = p.id
         group by p.id, l.yearly_minor, l.currency"
    );
    let currency = offering.currency.code();
    let rows = command
        .tx
        .query(
            text,
            &[&parties, &offering.id, &offering.token_id, &currency, &command.now],
        )
        .await?;
    let mut buyers = BTreeMap::new();
    for row in &rows {
        let party_id: Uuid = row.try_get(0)?;
        let Some(standing) = standings.remove(&party_id) else {
            continue;
        };
        let limit_currency: Option<String> = row.try_get(5)?;
        let own_limit: Option<i64> = row.try_get(4)?;
        let buyer = Buyer {
            standing,
            units: amount(row.try_get(1)?)?,
            open_reservations: u32::try_from(row.try_get::<_, i64>(2)?).unwrap_or(u32::MAX),
            bought_in_year: amount(row.try_get(3)?)?,
            own_yearly_limit: own_limit
                .filter(|_| limit_currency.as_deref() == Some(currency))
                .map(amount)
                .transpose()?,
            is_holder: row.try_get(6)?,
        };
        buyers.insert(party_id, buyer);
    }
    let sale = Sale {
        status: offering.status,
        terms: offering.terms.clone(),
        pack: offering.pack.clone(),
        currency: offering.currency.clone(),
        token_decimals: offering.token_decimals,
        property_id: offering.property_id,
        is_public: offering.is_public,
        reservation: offering.reservation,
        fee: fee_schedule(command, currency).await?,
        left: offering.left,
        holders: count_holders(command, offering).await?,
        buyers,
    };
    Ok((
        sale,
        guests(command, offering, orders).await?,
        identical(command, offering, orders).await?,
    ))
}

/// Makes the parties' rows where they are new and locks them in the order of their ids, so that what a party buys in two
/// offerings at the same instant is counted.
async fn lock_parties(command: &Command, parties: &[Uuid]) -> Result<(), Problem> {
    let text = sql!(
        "insert into public.party_limits (party_id, created_at)
         select p.id, $2 from unnest($1::uuid[]) as p (id) join public.parties as known on known.id = p.id
         where not exists (select from public.party_limits as l where l.party_id = p.id)
         order by p.id on conflict on constraint party_limits_pkey do nothing"
    );
    command.tx.execute(text, &[&parties, &command.now]).await?;
    let text = sql!("select from public.party_limits where party_id = any ($1) order by party_id for no key update");
    command.tx.query(text, &[&parties]).await?;
    Ok(())
}

/// Counted only where the pack asks.
async fn count_holders(command: &Command, offering: &Offering) -> Result<Holders, Problem> {
    let asks = |rule: &mint_core::rule_pack::PackRule| rule.rule.name().ends_with("holder_cap");
    if offering.pack.rules.iter().any(asks) {
        holders::count(command, offering.token_id, None).await
    } else {
        Ok(Holders::default())
    }
}

/// The platform's fee in force at the command's instant. `nexus.fee_minor` computes the same; a test compares the two.
async fn fee_schedule(command: &Command, currency: &str) -> Result<FeeSchedule, Problem> {
    let text = sql!(
        "select rate_ppm, fixed_minor, minimum_minor, maximum_minor from public.fee_schedules
         where fee_type = 'platform' and currency = $1 and valid_from <= $2 order by valid_from desc limit 1"
    );
    let Some(row) = command.tx.query_opt(text, &[&currency, &command.now]).await? else {
        return Err(Refusal::new(
            "fee.schedule",
            format!("no fee is in force for purchases in {currency}"),
            "ask an admin to publish a fee schedule for this currency",
        )
        .into());
    };
    let maximum: Option<i64> = row.try_get(3)?;
    Ok(FeeSchedule {
        rate_ppm: u32::try_from(row.try_get::<_, i32>(0)?).map_err(Problem::internal)?,
        fixed: amount(row.try_get(1)?)?,
        minimum: amount(row.try_get(2)?)?,
        maximum: maximum.map(amount).transpose()?,
    })
}

async fn guests(command: &Command, offering: &Offering, orders: &[NewOrder]) -> Result<HashMap<Uuid, bool>, Problem> {
    if offering.is_public {
        return Ok(HashMap::new());
    }
    let users: Vec<Uuid> = orders.iter().map(|order| order.user_id).collect();
    let text = sql!(
        "select u.id from unnest($1::uuid[]) as u (id)
         where exists (select from public.offering_guests as g where g.user_id = u.id and g.offering_id = $2)
            or exists (select from public.property_members as m where m.user_id = u.id and m.property_id = $3 and m.is_active)"
    );
    let rows = command
        .tx
        .query(text, &[&users, &offering.id, &offering.property_id])
        .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, true))).collect()
}

async fn identical(
    command: &Command,
    offering: &Offering,
    orders: &[NewOrder],
) -> Result<HashMap<(Uuid, i64), Uuid>, Problem> {
    let users: Vec<Uuid> = orders
        .iter()
        .filter(|order| order.reuses_identical)
        .map(|order| order.user_id)
        .collect();
    if users.is_empty() {
        return Ok(HashMap::new());
    }
    let since: DateTime<Utc> = command.now - IDENTICAL_FOR;
    let text = sql!(
        "select user_id, token_amount_units, id from public.investments
         where user_id = any ($1) and property_id = $2 and offering_id = $3 and status = 'pending' and created_at > $4 and due_at > $5
         order by created_at"
    );
    let rows = command
        .tx
        .query(
            text,
            &[&users, &offering.property_id, &offering.id, &since, &command.now],
        )
        .await?;
    rows.iter()
        .map(|row| Ok(((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?)))
        .collect()
}

async fn write(command: &Command, offering: &Offering, accepted: &[(&NewOrder, Reservation)]) -> Result<(), Problem> {
    if accepted.is_empty() {
        return Ok(());
    }
    let column = |read: &dyn Fn(&NewOrder, &Reservation) -> i64| -> Vec<i64> {
        accepted
            .iter()
            .map(|(order, reservation)| read(order, reservation))
            .collect()
    };
    let ids: Vec<Uuid> = accepted.iter().map(|(order, _)| order.id).collect();
    let users: Vec<Uuid> = accepted.iter().map(|(order, _)| order.user_id).collect();
    let parties: Vec<Uuid> = accepted.iter().map(|(order, _)| order.party_id).collect();
    let methods: Vec<Option<&str>> = accepted
        .iter()
        .map(|(order, _)| order.payment_method.as_deref())
        .collect();
    let warnings: Vec<bool> = accepted.iter().map(|(order, _)| order.accepts_warning).collect();
    let insiders: Vec<bool> = accepted.iter().map(|(_, reservation)| reservation.is_insider).collect();
    let due: Vec<DateTime<Utc>> = accepted.iter().map(|(_, reservation)| reservation.due_at).collect();
    let units = column(&|_, reservation| reservation.units.get());
    let totals = column(&|_, reservation| reservation.charge.total().get());
    let fees = column(&|_, reservation| reservation.charge.fee().get());
    let text = sql!(
        "insert into public.investments (id, user_id, party_id, property_id, property_token_id, offering_id, token_decimals,
           token_amount_units, payment_currency, currency_decimals, price_per_token_minor, total_amount_minor, fee_amount_minor,
           payment_method, due_at, warning_accepted_at, is_insider, created_at)
         select n.id, n.user_id, n.party_id, $12, $13, $14, $15, n.units, $16, $17, $18, n.total, n.fee, n.method, n.due_at,
                case when n.warning then $11::timestamptz end, n.is_insider, $11
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[], $8::timestamptz[],
                     $9::boolean[], $10::boolean[]) as n (id, user_id, party_id, units, total, fee, method, due_at, warning, is_insider)"
    );
    let (token_decimals, currency_decimals) = (
        i16::from(u8::from(offering.token_decimals)),
        i16::from(u8::from(offering.currency.decimals())),
    );
    let price = offering.terms.price.get();
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &ids,
        &users,
        &parties,
        &units,
        &totals,
        &fees,
        &methods,
        &due,
        &warnings,
        &insiders,
        &command.now,
        &offering.property_id,
        &offering.token_id,
        &offering.id,
        &token_decimals,
        &offering.currency.code(),
        &currency_decimals,
        &price,
    ];
    command.tx.execute(text, params).await?;
    let sum: i64 = units.iter().sum();
    let shift = Shift {
        available: -sum,
        pending: sum,
        offering_left: -sum,
        ..Shift::default()
    };
    supply::shift(command, offering.token_id, shift).await?;
    post(command, offering, accepted).await?;
    emit(command, offering, &ids).await
}

async fn post(command: &Command, offering: &Offering, accepted: &[(&NewOrder, Reservation)]) -> Result<(), Problem> {
    let book = offering.book();
    let entries = accepted.iter().map(|(order, reservation)| {
        Ok(NewEntry {
            key: format!("investment:{}:reserve", order.id),
            kind: "investment.reserved",
            business_date: command.now.date_naive(),
            actor_id: Some(order.user_id),
            cause: json!({ "investment_id": order.id, "offering_id": offering.id }),
            postings: book
                .entry(&[Move::of(
                    reservation.units,
                    Purpose::Available,
                    Purpose::ReservedPending,
                )])
                .map_err(Problem::internal)?,
        })
    });
    let entries: Vec<NewEntry> = entries.collect::<Result<_, Problem>>()?;
    ledger::post_batch(&command.tx, &entries)
        .await
        .map_err(Problem::internal)?;
    Ok(())
}

async fn emit(command: &Command, offering: &Offering, ids: &[Uuid]) -> Result<(), Problem> {
    let text = sql!(
        "insert into nexus.outbox_events (topic, dedupe_key, payload, actor_id, created_at, available_at)
         select 'investment.reserved', i.id::text, jsonb_build_object('investmentId', i.id, 'offeringId', $2::uuid), i.user_id, $3, $3
         from public.investments as i where i.id = any ($1)
         on conflict on constraint outbox_events_once do nothing"
    );
    command.tx.execute(text, &[&ids, &offering.id, &command.now]).await?;
    Ok(())
}

/// What a command tells about the outcome of one order.
///
/// # Errors
/// The refusal.
pub async fn told(command: &Command, outcome: &Outcome) -> Result<Value, Problem> {
    match outcome {
        Outcome::Reserved(id) | Outcome::Same(id) => super::row(command, *id).await,
        Outcome::Refused(refusal) => Err(Problem::Refused(refusal.clone())),
    }
}
