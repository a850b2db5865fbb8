//! Who counts to the caps on holders of a token. The one place that says so.

use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{
    db::{Tx, sql},
    problem::Problem,
};

/// How many parties hold or have bought the token of an offering ($1), and how many of them are not accredited at an instant
/// ($2, or now). Counted only where the offering's rule pack asks.
pub(crate) const COUNT: &str = sql!(
    "with holders as (
       select i.party_id from public.investments as i
       where i.property_token_id = (select o.property_token_id from public.offerings as o where o.id = $1)
         and i.status in ('pending', 'paid', 'confirmed')
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

/// Asks for the counts, as one statement of an exchange.
///
/// # Errors
/// What the database answered.
pub(crate) async fn count(tx: &Tx, offering_id: Uuid, at: Option<DateTime<Utc>>) -> Result<Row, tokio_postgres::Error> {
    tx.query_one(COUNT, &[&offering_id, &at]).await
}

/// All of them, and those that are not accredited.
///
/// # Errors
/// When the row is none of [`COUNT`].
pub(crate) fn read(row: &Row) -> Result<(u32, u32), Problem> {
    let count =
        |at: usize| -> Result<u32, Problem> { Ok(u32::try_from(row.try_get::<_, i64>(at)?).unwrap_or(u32::MAX)) };
    Ok((count(0)?, count(1)?))
}
