//! Everything that decides about orders, locked and loaded by one exchange with PostgreSQL, whatever their number.
//!
//! Locks in the order that holds everywhere: the token's supply row, the offering, the parties' limits by id. Each statement
//! sees what was committed before it, so that what is loaded behind the locks is what holds until the end.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use mint_core::{
    eligibility::{Buyer, Sale},
    fees::FeeSchedule,
    refusal::Refusal,
};
use serde_json::Value;
use tokio_postgres::{Error, Row, types::ToSql};
use uuid::Uuid;

use super::{NewOrder, Ordered};
use crate::{
    command::Command,
    compliance::standing,
    db::{Tx, sql, tx::START},
    holdings::holders,
    offerings::{
        Offering,
        record::{self, CURRENT, LOCK_OFFERING, LOCK_SUPPLY, amount},
    },
    problem::Problem,
};

/// How long an identical reservation answers a client without a key.
const IDENTICAL_FOR: chrono::TimeDelta = chrono::TimeDelta::minutes(10);

const PEOPLE: &str = sql!("select p.id, p.party_id from public.user_profiles as p where p.id = any ($1)");

/// Makes the parties' rows where they are new, so that what a party buys in two offerings at the same instant is counted;
/// each is its login's, for the audit trail.
const MAKE_LIMITS: &str = sql!(
    "with new as materialized (
       select p.party_id, p.id as user_id from public.user_profiles as p
       where p.id = any ($1) and not exists (select from public.party_limits as l where l.party_id = p.party_id offset 0)
     ), whose as materialized (
       select pg_catalog.set_config('nexus.actors', coalesce(jsonb_object_agg(n.party_id, n.user_id)::text, ''), true) from new as n
     )
     insert into public.party_limits (party_id, created_at)
     select distinct n.party_id, coalesce($2::timestamptz, now()) from new as n cross join whose
     order by n.party_id on conflict on constraint party_limits_pkey do nothing"
);

const LOCK_LIMITS: &str = sql!(
    "select from public.party_limits as l where l.party_id in (select p.party_id from public.user_profiles as p where p.id = any ($1))
     order by l.party_id for no key update"
);

const BUYERS: &str = sql!(
    "select p.id,
            coalesce(sum(i.token_amount_units) filter (where i.offering_id = o.id and i.status in ('pending', 'paid', 'confirmed')), 0)::bigint,
            count(*) filter (where i.offering_id = o.id and i.status = 'pending'),
            coalesce(sum(i.total_amount_minor) filter (where i.payment_currency = o.currency
              and i.created_at > coalesce($3::timestamptz, now()) - interval '1 year' and i.status in ('pending', 'paid', 'confirmed')), 0)::bigint,
            l.yearly_minor, l.currency,
            coalesce(bool_or(i.property_token_id = o.property_token_id and i.status in ('pending', 'paid')), false)
              or exists (select from public.lots as held
                         where held.party_id = p.id and held.property_token_id = o.property_token_id and held.units > 0)
     from (select distinct u.party_id as id from public.user_profiles as u where u.id = any ($1)) as p
     left join public.party_limits as l on l.party_id = p.id
     join public.offerings as o on o.id = $2
     left join public.investments as i on i.party_id = p.id
     group by p.id, l.yearly_minor, l.currency, o.id, o.property_token_id"
);

/// The platform's fee in force. `nexus.fee_minor` computes the same; a test compares the two.
const FEE: &str = sql!(
    "select f.rate_ppm, f.fixed_minor, f.minimum_minor, f.maximum_minor from public.fee_schedules as f
     where f.fee_type = 'platform' and f.currency = (select o.currency from public.offerings as o where o.id = $1)
       and f.valid_from <= coalesce($2::timestamptz, now())
     order by f.valid_from desc limit 1"
);

const GUESTS: &str = sql!(
    "select u.id from unnest($1::uuid[]) as u (id) join public.offerings as o on o.id = $2 and not o.is_public
     where exists (select from public.offering_guests as g where g.user_id = u.id and g.offering_id = o.id)
        or exists (select from public.property_members as m where m.user_id = u.id and m.property_id = o.property_id and m.is_active)"
);

const IDENTICAL: &str = sql!(
    "select i.user_id, i.token_amount_units, i.id, to_jsonb(i) from public.investments as i
     where i.user_id = any ($1) and i.property_id = $2 and i.offering_id = $3 and i.status = 'pending'
       and i.created_at > coalesce($4::timestamptz, now()) - make_interval(secs => $5) and i.due_at > coalesce($4::timestamptz, now())
     order by i.created_at"
);

/// Each is looked up by itself: planned while few keys were there, a join would compare all with all.
const KEYS: &str = sql!(
    "select k.caller_id, k.key, k.body_sha256, k.answer from unnest($1::uuid[], $2::text[]) as w (caller_id, key)
     cross join lateral (select x.caller_id, x.key, x.body_sha256, x.answer from nexus.command_keys as x
                         where x.caller_id = w.caller_id and x.command = $3 and x.key = w.key limit 1) as k"
);

/// The statements of an exchange, to be prepared.
pub(super) const STATEMENTS: &[&str] = &[
    START,
    CURRENT,
    LOCK_SUPPLY,
    LOCK_OFFERING,
    record::LOAD,
    PEOPLE,
    KEYS,
    MAKE_LIMITS,
    LOCK_LIMITS,
    standing::OF_LOGINS,
    BUYERS,
    holders::OF_OFFERING,
    FEE,
    GUESTS,
    IDENTICAL,
];

/// How the transaction stands when the exchange begins.
pub enum Opening {
    /// It has not begun; these are its claims.
    Claims(String),
    /// It began at this instant.
    Begun(DateTime<Utc>),
}

/// For which orders, of what.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The property.
    pub property_id: Uuid,
    /// Its offering that is running, or came last, as far as is known; none where there never was one.
    pub offering_id: Option<Uuid>,
    /// The command that the orders are, and whose keys they have.
    pub ordered: Ordered,
    /// The orders.
    pub orders: &'a [NewOrder],
    /// The instant that was set in place of PostgreSQL's clock.
    pub set_time: Option<DateTime<Utc>>,
}

/// A login and units: what makes two orders of a property the same.
pub type SameOrder = (Uuid, i64);

/// A login and what it chose as a key.
pub type CallersKey = (Uuid, String);

/// What decides.
pub struct Loaded {
    /// The instant.
    pub now: DateTime<Utc>,
    /// Whether the offering is (still) the one that is running, or came last.
    pub is_current: bool,
    /// The offering, locked.
    pub offering: Option<Offering>,
    /// What is known of it while orders are decided, or why none can be.
    pub sale: Result<Sale, Box<Refusal>>,
    /// The parties for which the logins act.
    pub parties: HashMap<Uuid, Uuid>,
    /// Logins that were invited, or act for the property; looked for where the offering is not public.
    pub guests: HashSet<Uuid>,
    /// Reservations that answer an order without a key, by login and units.
    pub identical: HashMap<SameOrder, (Uuid, Value)>,
    /// Keys that were answered before: the digest of their body, and the answer.
    pub answered: HashMap<CallersKey, (Vec<u8>, Value)>,
}

/// Locks and loads.
///
/// # Errors
/// What the database answered.
pub async fn load(tx: &Tx, opening: Opening, asked: Asked<'_>) -> Result<Loaded, Problem> {
    let users: Vec<Uuid> = asked.orders.iter().map(|order| order.user_id).collect();
    let reusing = asked.orders.iter().filter(|order| order.reuses_identical);
    let reusing: Vec<Uuid> = reusing.map(|order| order.user_id).collect();
    let keyed = asked
        .orders
        .iter()
        .filter_map(|order| Some((order.user_id, order.key.as_ref()?)));
    let (callers, keys): (Vec<Uuid>, Vec<&str>) = keyed.map(|(user_id, key)| (user_id, key.text.as_str())).unzip();
    let offering_id = asked.offering_id.unwrap_or_default();
    let identical_s = f64::from(i32::try_from(IDENTICAL_FOR.num_seconds()).unwrap_or(i32::MAX));
    let (at, command) = (asked.set_time, asked.ordered.command());
    let (of_users, of_offering): (&[&(dyn ToSql + Sync)], &[&(dyn ToSql + Sync)]) = (&[&users], &[&offering_id]);
    let start = async {
        match &opening {
            Opening::Claims(claims) => tx.start(claims).await,
            Opening::Begun(now) => Ok(*now),
        }
    };
    let (users_at, offering_at): (&[&(dyn ToSql + Sync)], &[&(dyn ToSql + Sync)]) =
        (&[&users, &at], &[&offering_id, &at]);
    let (of_buyers, of_guests): (&[&(dyn ToSql + Sync)], &[&(dyn ToSql + Sync)]) =
        (&[&users, &offering_id, &at], &[&users, &offering_id]);
    let of_identical: &[&(dyn ToSql + Sync)] = &[&reusing, &asked.property_id, &offering_id, &at, &identical_s];
    let of_keys: &[&(dyn ToSql + Sync)] = &[&callers, &keys, &command];
    let of_property: &[&(dyn ToSql + Sync)] = &[&asked.property_id];
    let exchange = async {
        // Polled in this order, they leave in this order and at once: all of them are prepared.
        tokio::try_join!(biased;
            start,
            tx.query_opt(LOCK_SUPPLY, of_offering),
            tx.query_opt(LOCK_OFFERING, of_offering),
            tx.query_opt(CURRENT, of_property),
            tx.query_opt(record::LOAD, of_offering),
            unless(callers.is_empty(), tx.query(KEYS, of_keys)),
            tx.execute(MAKE_LIMITS, users_at),
            tx.query(LOCK_LIMITS, of_users),
            tx.query(PEOPLE, of_users),
            standing::rows_of_logins(tx, &users, at),
            tx.query(BUYERS, of_buyers),
            holders::of_offering(tx, offering_id, at),
            tx.query_opt(FEE, offering_at),
            tx.query(GUESTS, of_guests),
            unless(reusing.is_empty(), tx.query(IDENTICAL, of_identical)),
        )
    };
    let (began, supply, _, current, offering, keys, _, _, people, standings, buyers, holders, fee, guests, identical) =
        Box::pin(exchange).await?;
    let now = at.unwrap_or(began);
    let current: Option<Uuid> = current.map(|row| row.try_get(0)).transpose()?;
    let mut offering = offering.as_ref().map(record::read).transpose()?;
    if let (Some(offering), Some(supply)) = (&mut offering, &supply) {
        offering.left = amount(supply.try_get::<_, i64>(0)?.min(supply.try_get(1)?))?;
    }
    let sale = match &offering {
        None => Err(Box::new(nothing_on_sale())),
        Some(offering) => sale(offering, now, &standings, &buyers, &holders, fee.as_ref())?,
    };
    Ok(Loaded {
        now,
        is_current: current == asked.offering_id,
        offering,
        sale,
        parties: people
            .iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect::<Result<_, Error>>()?,
        guests: guests.iter().map(|row| row.try_get(0)).collect::<Result<_, Error>>()?,
        identical: identical.iter().map(read_identical).collect::<Result<_, Error>>()?,
        answered: keys.iter().map(read_key).collect::<Result<_, Error>>()?,
    })
}

/// What can be sold, without a lock: for a look.
const SUPPLY: &str = sql!(
    "select s.available_units, s.offering_left_units from public.property_token_supply as s
     where s.property_token_id = (select o.property_token_id from public.offerings as o where o.id = $1)"
);

/// Loads what decides about an order of one login, at the command's instant and without a lock.
///
/// # Errors
/// [`Problem::NotFound`] for a property that never had an offering, or what the database answered.
pub async fn look(command: &Command, user_id: Uuid, property_id: Uuid) -> Result<Loaded, Problem> {
    let tx = &command.tx;
    let offering_id = Offering::current_of(command, property_id).await?;
    let mut offering = Offering::load(command, offering_id).await?;
    let (users, at) = (vec![user_id], Some(command.now));
    if let Some(supply) = tx.query_opt(SUPPLY, &[&offering_id]).await? {
        offering.left = amount(supply.try_get::<_, i64>(0)?.min(supply.try_get(1)?))?;
    }
    let people = tx.query(PEOPLE, &[&users]).await?;
    let standings = standing::rows_of_logins(tx, &users, at).await?;
    let buyers = tx.query(BUYERS, &[&users, &offering_id, &at]).await?;
    let holders = holders::of_offering(tx, offering_id, at).await?;
    let fee = tx.query_opt(FEE, &[&offering_id, &at]).await?;
    let guests = tx.query(GUESTS, &[&users, &offering_id]).await?;
    Ok(Loaded {
        now: command.now,
        is_current: true,
        sale: sale(&offering, command.now, &standings, &buyers, &holders, fee.as_ref())?,
        offering: Some(offering),
        parties: people
            .iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect::<Result<_, Error>>()?,
        guests: guests.iter().map(|row| row.try_get(0)).collect::<Result<_, Error>>()?,
        identical: HashMap::new(),
        answered: HashMap::new(),
    })
}

/// The rows, unless none are asked for: then the statement is not sent.
async fn unless(is_empty: bool, rows: impl Future<Output = Result<Vec<Row>, Error>>) -> Result<Vec<Row>, Error> {
    if is_empty { Ok(Vec::new()) } else { rows.await }
}

fn read_identical(row: &Row) -> Result<(SameOrder, (Uuid, Value)), Error> {
    Ok(((row.try_get(0)?, row.try_get(1)?), (row.try_get(2)?, row.try_get(3)?)))
}

fn read_key(row: &Row) -> Result<(CallersKey, (Vec<u8>, Value)), Error> {
    Ok(((row.try_get(0)?, row.try_get(1)?), (row.try_get(2)?, row.try_get(3)?)))
}

fn sale(
    offering: &Offering,
    now: DateTime<Utc>,
    standings: &[Row],
    buyers: &[Row],
    holders: &Row,
    fee: Option<&Row>,
) -> Result<Result<Sale, Box<Refusal>>, Problem> {
    let currency = offering.currency.code();
    let Some(fee) = fee else {
        return Ok(Err(Box::new(Refusal::new(
            "fee.schedule",
            format!("no fee is in force for purchases in {currency}"),
            "ask an admin to publish a fee schedule for this currency",
        ))));
    };
    let mut standings = standing::read_all(standings, now)?;
    let mut known = BTreeMap::new();
    for row in buyers {
        let party_id: Uuid = row.try_get(0)?;
        let Some(standing) = standings.remove(&party_id) else {
            continue;
        };
        let limit_currency: Option<&str> = row.try_get(5)?;
        let own_limit: Option<i64> = row.try_get(4)?;
        let buyer = Buyer {
            standing,
            units: amount(row.try_get(1)?)?,
            open_reservations: u32::try_from(row.try_get::<_, i64>(2)?).unwrap_or(u32::MAX),
            bought_in_year: amount(row.try_get(3)?)?,
            own_yearly_limit: own_limit
                .filter(|_| limit_currency == Some(currency))
                .map(amount)
                .transpose()?,
            is_holder: row.try_get(6)?,
        };
        known.insert(party_id, buyer);
    }
    Ok(Ok(Sale {
        status: offering.status,
        terms: offering.terms.clone(),
        pack: offering.pack.clone(),
        currency: offering.currency.clone(),
        token_decimals: offering.token_decimals,
        property_id: offering.property_id,
        is_public: offering.is_public,
        reservation: offering.reservation,
        fee: read_fee(fee)?,
        left: offering.left,
        holders: holders::read(holders)?,
        buyers: known,
    }))
}

fn read_fee(row: &Row) -> Result<FeeSchedule, Problem> {
    let maximum: Option<i64> = row.try_get(3)?;
    Ok(FeeSchedule {
        rate_ppm: u32::try_from(row.try_get::<_, i32>(0)?).map_err(Problem::internal)?,
        fixed: amount(row.try_get(1)?)?,
        minimum: amount(row.try_get(2)?)?,
        maximum: maximum.map(amount).transpose()?,
    })
}

/// Said of nothing: orders of a property without an offering are answered before it is looked at.
fn nothing_on_sale() -> Refusal {
    Refusal::new(
        "offering.open",
        "nothing is on sale here",
        "wait until an offering of this property is open",
    )
}
