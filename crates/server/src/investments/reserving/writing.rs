//! What was accepted, written by set-based statements in one exchange with PostgreSQL, whatever the number of orders.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use mint_core::{account::Purpose, book::Move, eligibility::Reservation};
use serde_json::{Map, Value, json};
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

use super::{Accepted, Ordered, Wish};
use crate::{
    command::Command,
    db::{Actor, sql},
    ledger::{self, NewEntry},
    offerings::{
        Offering,
        supply::{self, Shift},
    },
    payments::{
        sandbox,
        sessions::{self, NewSession},
    },
    problem::Problem,
};

/// Whose the rows are that follow, for the audit trail.
const ACTORS: &str = sql!("select pg_catalog.set_config('nexus.actors', $1, true)");

/// Investments, and the answers under their clients' keys.
const INVEST: &str = sql!(
    "with wanted as materialized (
       select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[], $8::timestamptz[],
                            $9::boolean[], $10::boolean[], $19::text[], $20::bytea[], $22::uuid[], $23::text[]) with ordinality
         as n (id, user_id, party_id, units, total, fee, method, due_at, warning, is_insider, key, body_sha256, session_id, url, place)
     ), made as (
       insert into public.investments as i (id, user_id, party_id, property_id, property_token_id, offering_id, token_decimals,
         token_amount_units, payment_currency, currency_decimals, price_per_token_minor, total_amount_minor, fee_amount_minor,
         payment_method, due_at, warning_accepted_at, is_insider, created_at)
       select n.id, n.user_id, n.party_id, $12, $13, $14, $15, n.units, $16, $17, $18, n.total, n.fee, n.method, n.due_at,
              case when n.warning then $11::timestamptz end, n.is_insider, $11
       from wanted as n order by n.place
       returning i.id, to_jsonb(i) as row
     ), told as (
       select m.id, case when n.url is null then m.row
         else jsonb_build_object('url', n.url, 'sessionId', n.session_id, 'investment', m.row) end as answer
       from made as m join wanted as n on n.id = m.id
     ), kept as (
       insert into nexus.command_keys (caller_id, command, key, body_sha256, answer, created_at)
       select n.user_id, $21, n.key, n.body_sha256, t.answer, $11 from wanted as n join told as t on t.id = n.id where n.key is not null
     )
     select t.id, t.answer from told as t"
);

const EMIT: &str = sql!(
    "insert into nexus.outbox_events (topic, dedupe_key, payload, actor_id, created_at, available_at)
     select 'investment.reserved', i.id::text, jsonb_build_object('investmentId', i.id, 'offeringId', $3::uuid), i.user_id, $4, $4
     from unnest($1::uuid[], $2::uuid[]) with ordinality as i (id, user_id, place) order by i.place
     on conflict on constraint outbox_events_once do nothing"
);

/// The statements of an exchange, to be prepared.
pub(super) const STATEMENTS: &[&str] = &[
    ACTORS,
    INVEST,
    supply::SHIFT,
    supply::COPY_AVAILABLE,
    ledger::POST,
    EMIT,
    sandbox::OPEN,
    sessions::OPEN,
];

/// Writes what was accepted of an offering, which is locked, and makes it last. What each order is answered with, by the
/// investment's id.
///
/// # Errors
/// What the database answered; then nothing of it stays.
pub async fn write(
    command: &Command,
    offering: &Offering,
    ordered: Ordered,
    accepted: &[Accepted<'_>],
) -> Result<HashMap<Uuid, Value>, Problem> {
    command.tx.prepare(STATEMENTS).await?;
    let sessions = match ordered {
        Ordered::Investment => Vec::new(),
        Ordered::Checkout => accepted.iter().map(|one| session(offering, one)).collect(),
    };
    let ids: Vec<Uuid> = accepted.iter().map(|one| one.order.id).collect();
    let users: Vec<Uuid> = accepted.iter().map(|one| one.order.user_id).collect();
    let sum: i64 = accepted.iter().map(|one| one.reservation.units.get()).sum();
    let shift = Shift {
        available: -sum,
        pending: sum,
        offering_left: -sum,
        ..Shift::default()
    };
    let entries = entries(command, offering, accepted)?;
    // Where one person acts for himself, the claims say who it is.
    let actors = match command.actor {
        Actor::Person(_) => None,
        Actor::Program(_) => Some(actors(offering, accepted, &sessions).to_string()),
    };
    let of_actors: &[&(dyn ToSql + Sync)] = &[&actors];
    let of_event: &[&(dyn ToSql + Sync)] = &[&ids, &users, &offering.id, &command.now];
    let exchange = async {
        // Polled in this order, they leave in this order and at once: all of them are prepared.
        tokio::try_join!(biased;
            async {
                if actors.is_some() {
                    command.tx.query(ACTORS, of_actors).await?;
                }
                Ok::<_, Problem>(())
            },
            invest(command, offering, ordered, accepted, (&ids, &users), &sessions),
            supply::shift(command, offering.token_id, shift),
            async { ledger::post_batch(&command.tx, &entries).await.map_err(Problem::internal) },
            async { Ok(command.tx.execute(EMIT, of_event).await?) },
            sessions::open(command, offering, &sessions),
            async { Ok(command.tx.end().await?) },
        )
    };
    let (_, rows, ..) = Box::pin(exchange).await?;
    let read = |row: &Row| Ok((row.try_get(0)?, row.try_get(1)?));
    Ok(rows.iter().map(read).collect::<Result<_, tokio_postgres::Error>>()?)
}

async fn invest(
    command: &Command,
    offering: &Offering,
    ordered: Ordered,
    accepted: &[Accepted<'_>],
    (ids, users): (&[Uuid], &[Uuid]),
    sessions: &[NewSession],
) -> Result<Vec<Row>, Problem> {
    let figures = |read: &dyn Fn(&Reservation) -> i64| -> Vec<i64> {
        accepted.iter().map(|one| read(&one.reservation)).collect()
    };
    let marks = |read: &dyn Fn(&Wish) -> bool| -> Vec<bool> { accepted.iter().map(|one| read(one.wish)).collect() };
    let parties: Vec<Uuid> = accepted.iter().map(|one| one.party_id).collect();
    let methods: Vec<Option<&str>> = accepted.iter().map(|one| one.wish.payment_method.as_deref()).collect();
    let warnings = marks(&|wish| wish.accepts_warning);
    let insiders: Vec<bool> = accepted.iter().map(|one| one.reservation.is_insider).collect();
    let due: Vec<DateTime<Utc>> = accepted.iter().map(|one| one.reservation.due_at).collect();
    let units = figures(&|reservation| reservation.units.get());
    let totals = figures(&|reservation| reservation.charge.total().get());
    let fees = figures(&|reservation| reservation.charge.fee().get());
    let keys: Vec<Option<&str>> = accepted
        .iter()
        .map(|one| Some(one.order.key.as_ref()?.text.as_str()))
        .collect();
    let digests: Vec<Option<&[u8]>> = accepted
        .iter()
        .map(|one| Some(one.order.key.as_ref()?.body_sha256.as_slice()))
        .collect();
    let (token_decimals, currency_decimals) = (
        i16::from(u8::from(offering.token_decimals)),
        i16::from(u8::from(offering.currency.decimals())),
    );
    let price = offering.terms.price.get();
    let session_of = |at: usize| sessions.get(at);
    let session_ids: Vec<Option<Uuid>> = (0..ids.len()).map(|at| Some(session_of(at)?.id)).collect();
    let urls: Vec<Option<String>> = (0..ids.len()).map(|at| Some(session_of(at)?.page(command))).collect();
    let name = ordered.command();
    let params: &[&(dyn ToSql + Sync)] = &[
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
        &keys,
        &digests,
        &name,
        &session_ids,
        &urls,
    ];
    Ok(command.tx.query(INVEST, params).await?)
}

/// The session in which what was accepted is paid.
fn session(offering: &Offering, accepted: &Accepted<'_>) -> NewSession {
    NewSession::of(
        offering,
        accepted.order.id,
        accepted.order.user_id,
        accepted.reservation.charge.sum(),
        accepted.reservation.due_at,
    )
}

/// Each investment and session is its buyer's; the copy of the supply is the buyer's who changed it alone.
fn actors(offering: &Offering, accepted: &[Accepted<'_>], sessions: &[NewSession]) -> Value {
    let of = |id: Uuid, user_id: Uuid| (id.to_string(), Value::String(user_id.to_string()));
    let investments = accepted.iter().map(|one| of(one.order.id, one.order.user_id));
    let sessions = sessions.iter().map(|session| of(session.id, session.user_id));
    let mut actors: Map<String, Value> = investments.chain(sessions).collect();
    if let [only] = accepted {
        actors.extend([of(offering.token_id, only.order.user_id)]);
    }
    Value::Object(actors)
}

fn entries(command: &Command, offering: &Offering, accepted: &[Accepted<'_>]) -> Result<Vec<NewEntry>, Problem> {
    let book = offering.book();
    let entries = accepted.iter().map(|one| {
        Ok(NewEntry {
            key: format!("investment:{}:reserve", one.order.id),
            kind: "investment.reserved",
            business_date: command.now.date_naive(),
            actor_id: Some(one.order.user_id),
            cause: json!({ "investment_id": one.order.id, "offering_id": offering.id }),
            postings: book
                .entry(&[Move::of(
                    one.reservation.units,
                    Purpose::Available,
                    Purpose::ReservedPending,
                )])
                .map_err(Problem::internal)?,
        })
    });
    entries.collect()
}
