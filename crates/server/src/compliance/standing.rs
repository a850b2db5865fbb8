//! What decides whether parties may buy: many at once, in one statement.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use mint_core::compliance::{Ended, Identity, IdentityRecord, Level, Screening, Standing};
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

use crate::{
    command::Command,
    db::{Tx, sql},
    problem::Problem,
};

/// Standings of parties ($1), and of those for which logins ($3) act, at an instant ($2, or now).
const STANDINGS: &str = sql!(
    "select p.id, p.residency_country, approved.kyc_level, approved.expires_at,
            exists (select from public.kyc_cases as k where k.party_id = p.id and k.status in ('submitted', 'in_review')),
            (select k.status from public.kyc_cases as k where k.party_id = p.id and k.status in ('rejected', 'revoked', 'expired')
             order by k.ended_at desc, k.id limit 1),
            screened.is_match, screened.is_possible_match, screened.is_missing, screened.due_at,
            shown.accredited_until, shown.sophisticated_until, shown.entry_test_until,
            worth.net_worth_minor, worth.net_worth_currency,
            array(select distinct m.property_id from public.property_members as m
                  join public.user_profiles as u on u.id = m.user_id
                  where m.is_active and m.capacity in ('owner', 'manager') and u.party_id = any (related.party_ids))
     from (select w.id from unnest($1::uuid[]) as w (id)
           union select u.party_id from public.user_profiles as u where u.id = any ($3::uuid[])) as wanted
     join public.parties as p on p.id = wanted.id
     cross join lateral (
       select coalesce(array_agg(o.owner_party_id) filter (where o.party_id = p.id), '{}') as owner_ids,
              array_append(coalesce(array_agg(case when o.party_id = p.id then o.owner_party_id else o.party_id end), '{}'), p.id)
                as party_ids
       from (select o.party_id, o.owner_party_id, o.valid_from, o.valid_to from public.party_owners as o where o.party_id = p.id
             union all
             select o.party_id, o.owner_party_id, o.valid_from, o.valid_to from public.party_owners as o
             where o.owner_party_id = p.id) as o
       where o.valid_from <= (coalesce($2::timestamptz, now()) at time zone 'UTC')::date
         and (o.valid_to is null or o.valid_to > (coalesce($2::timestamptz, now()) at time zone 'UTC')::date)) as related
     left join public.kyc_cases as approved on approved.party_id = p.id and approved.status = 'approved'
     cross join lateral (
       select coalesce(bool_or(newest.status = 'match'), false) as is_match,
              coalesce(bool_or(newest.status = 'possible_match'), false) as is_possible_match,
              bool_or(newest.status is null) as is_missing, min(newest.due_at) as due_at
       from unnest(array_append(related.owner_ids, p.id)) as subject (id)
       left join lateral (select s.status, s.due_at from public.party_screenings as s where s.party_id = subject.id
                          order by s.number desc limit 1) as newest on true) as screened
     cross join lateral (
       select max(a.expires_at) filter (where a.kind = 'accredited') as accredited_until,
              max(a.expires_at) filter (where a.kind = 'sophisticated') as sophisticated_until,
              max(a.expires_at) filter (where a.kind = 'entry_test') as entry_test_until
       from public.accreditation_cases as a where a.party_id = p.id and a.status = 'approved') as shown
     left join lateral (
       select a.net_worth_minor, a.net_worth_currency from public.accreditation_cases as a
       where a.party_id = p.id and a.status = 'approved' and a.expires_at > coalesce($2::timestamptz, now()) and a.net_worth_minor is not null
         and a.created_at + make_interval(days => (
           select t.days_max from public.compliance_terms as t
           where t.kind = 'net_worth' and t.valid_from <= (coalesce($2::timestamptz, now()) at time zone 'UTC')::date
           order by t.valid_from desc limit 1)) > coalesce($2::timestamptz, now())
       order by a.created_at desc, a.id limit 1) as worth on true"
);

/// The standing of each of these parties at the command's instant. A party that does not exist is not in the answer.
///
/// Takes no lock: an approval that is revoked at this moment counts for whoever read it before.
///
/// # Errors
/// What the database answered.
pub async fn load(command: &Command, party_ids: &[Uuid]) -> Result<HashMap<Uuid, Standing>, Problem> {
    let no_logins: &[Uuid] = &[];
    let params: &[&(dyn ToSql + Sync)] = &[&party_ids, &Some(command.now), &no_logins];
    let rows = command.tx.query(STANDINGS, params).await?;
    read_all(&rows, command.now)
}

/// What [`rows_of_logins`] runs, to be prepared.
pub(crate) const OF_LOGINS: &str = STANDINGS;

/// The same of the parties for which logins act, as one statement of an exchange; [`read_all`] reads the rows once the
/// instant is known.
///
/// # Errors
/// What the database answered.
pub(crate) async fn rows_of_logins(
    tx: &Tx,
    user_ids: &[Uuid],
    at: Option<DateTime<Utc>>,
) -> Result<Vec<Row>, tokio_postgres::Error> {
    let no_parties: &[Uuid] = &[];
    tx.query(STANDINGS, &[&no_parties, &at, &user_ids]).await
}

/// Reads standings as they are at an instant.
///
/// # Errors
/// When a row says what nobody knows.
pub(crate) fn read_all(rows: &[Row], now: DateTime<Utc>) -> Result<HashMap<Uuid, Standing>, Problem> {
    rows.iter().map(|row| read(row, now)).collect()
}

fn read(row: &Row, now: DateTime<Utc>) -> Result<(Uuid, Standing), Problem> {
    let party: Uuid = row.try_get(0)?;
    let approved = match (row.try_get::<_, Option<&str>>(2)?, row.try_get(3)?) {
        (Some(level), Some(until)) => Some((level_named(level)?, until)),
        (_, _) => None,
    };
    let ended: Option<&str> = row.try_get(5)?;
    let record = IdentityRecord {
        approved,
        is_open: row.try_get(4)?,
        ended: ended.map(|status| match status {
            "expired" => Ended::Expired,
            _ => Ended::Rejected,
        }),
    };
    let standing = Standing {
        party,
        identity: Identity::of(&record, now),
        screening: screening(row)?,
        residency: row.try_get(1)?,
        accredited_until: row.try_get(10)?,
        sophisticated_until: row.try_get(11)?,
        entry_test_until: row.try_get(12)?,
        net_worth_minor: row.try_get::<_, Option<i64>>(13)?.zip(row.try_get(14)?),
        insider_of: row.try_get(15)?,
    };
    Ok((party, standing))
}

fn screening(row: &Row) -> Result<Screening, Problem> {
    let (is_match, is_possible_match, is_missing): (bool, bool, bool) =
        (row.try_get(6)?, row.try_get(7)?, row.try_get(8)?);
    let due_at: Option<DateTime<Utc>> = row.try_get(9)?;
    Ok(match (is_match, is_possible_match, is_missing, due_at) {
        (true, _, _, _) => Screening::Match,
        (false, true, _, _) => Screening::PossibleMatch,
        (false, false, false, Some(due_at)) => Screening::Clear { due_at },
        (false, false, _, _) => Screening::Never,
    })
}

fn level_named(name: &str) -> Result<Level, Problem> {
    Level::named(name).ok_or_else(|| Problem::internal(format!("\"{name}\" is no level of verification")))
}
