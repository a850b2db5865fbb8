//! How many hold a token, for the caps of its rules: by lots and open purchases, not by what was bought once. The one place
//! that says so.

use chrono::{DateTime, Utc};
use mint_core::eligibility::Holders;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{
    command::Command,
    db::{Tx, sql},
    problem::Problem,
};

/// How many parties hold the token of an offering ($1) or have reserved it, and how many of them are not accredited at an
/// instant ($2, or now). Counted only where the offering's rule pack asks.
pub(crate) const OF_OFFERING: &str = sql!(
    "with holders as (
       select i.party_id from public.investments as i
       where i.property_token_id = (select o.property_token_id from public.offerings as o where o.id = $1) and i.status in ('pending', 'paid')
       union
       select l.party_id from public.lots as l
       where l.property_token_id = (select o.property_token_id from public.offerings as o where o.id = $1) and l.units > 0)
     select count(*), count(*) filter (where not exists (
       select from public.accreditation_cases as a
       where a.party_id = h.party_id and a.kind = 'accredited' and a.status = 'approved'
         and a.expires_at > coalesce($2::timestamptz, now())))
     from holders as h
     where (select exists (
       select from public.offerings as o join public.rule_packs as r on r.id = o.rule_pack_id
       cross join lateral jsonb_array_elements(r.rules) as e (rule)
       where o.id = $1 and e.rule ->> 'rule' in ('holder_cap', 'non_accredited_holder_cap')))"
);

/// Asks for the counts of an offering, as one statement of an exchange.
///
/// # Errors
/// What the database answered.
pub(crate) async fn of_offering(
    tx: &Tx,
    offering_id: Uuid,
    at: Option<DateTime<Utc>>,
) -> Result<Row, tokio_postgres::Error> {
    tx.query_one(OF_OFFERING, &[&offering_id, &at]).await
}

/// What a row of counts says.
///
/// # Errors
/// When it is none.
pub(crate) fn read(row: &Row) -> Result<Holders, Problem> {
    let count =
        |at: usize| -> Result<u32, Problem> { Ok(u32::try_from(row.try_get::<_, i64>(at)?).unwrap_or(u32::MAX)) };
    Ok(Holders {
        all: count(0)?,
        non_accredited: count(1)?,
    })
}

/// Parties that hold a token or have reserved it, now; without what one party holds that is about to give all of it.
///
/// # Errors
/// What the database answered.
pub async fn count(command: &Command, token_id: Uuid, leaving: Option<Uuid>) -> Result<Holders, Problem> {
    let text = sql!(
        "with holders as (
           select i.party_id from public.investments as i where i.property_token_id = $1 and i.status in ('pending', 'paid')
           union
           select l.party_id from public.lots as l
           where l.property_token_id = $1 and l.units > 0 and ($3::uuid is null or l.party_id <> $3))
         select count(*), count(*) filter (where not exists (
           select from public.accreditation_cases as a
           where a.party_id = h.party_id and a.kind = 'accredited' and a.status = 'approved' and a.expires_at > $2))
         from holders as h"
    );
    read(&command.tx.query_one(text, &[&token_id, &command.now, &leaving]).await?)
}

/// Whether a party holds a token or has reserved it.
///
/// # Errors
/// What the database answered.
pub async fn is_one(command: &Command, token_id: Uuid, party_id: Uuid) -> Result<bool, Problem> {
    let text = sql!(
        "select exists (select from public.lots as l where l.party_id = $2 and l.property_token_id = $1 and l.units > 0)
             or exists (select from public.investments as i where i.party_id = $2 and i.property_token_id = $1 and i.status in ('pending', 'paid'))"
    );
    Ok(command.tx.query_one(text, &[&token_id, &party_id]).await?.try_get(0)?)
}
