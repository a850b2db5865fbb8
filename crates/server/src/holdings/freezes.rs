//! Freezes: tokens of a holder that cannot move, and whose property pays nothing out to him, until a release.

use mint_core::money::Amount;
use uuid::Uuid;

use crate::{command::Command, db::sql, offerings::record::amount, problem::Problem};

/// How many of a party's tokens cannot move; all that it holds where a freeze names no number. The command holds the token's
/// supply row, under which freezes begin and end.
///
/// # Errors
/// What the database answered.
pub async fn frozen_units(command: &Command, token_id: Uuid, party_id: Uuid, held: Amount) -> Result<Amount, Problem> {
    let text = sql!(
        "select coalesce(bool_or(f.units is null), false), least(coalesce(sum(f.units), 0), $3::bigint)::bigint from public.holding_freezes as f
         where f.property_token_id = $1 and f.party_id = $2 and f.released_at is null"
    );
    let row = command.tx.query_one(text, &[&token_id, &party_id, &held.get()]).await?;
    if row.try_get(0)? {
        return Ok(held);
    }
    amount(row.try_get(1)?)
}

/// A party's tokens, or so many of them, are frozen from now on.
///
/// # Errors
/// What the database answered.
pub async fn freeze(
    command: &Command,
    case_id: Uuid,
    (property_id, token_id): (Uuid, Uuid),
    party_id: Uuid,
    units: Option<Amount>,
) -> Result<(), Problem> {
    let text = sql!(
        "insert into public.holding_freezes (id, party_id, property_id, property_token_id, units, frozen_case_id, frozen_at)
         values ($1, $2, $3, $4, $5, $6, $7)"
    );
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &Uuid::now_v7(),
        &party_id,
        &property_id,
        &token_id,
        &units.map(Amount::get),
        &case_id,
        &command.now,
    ];
    command.tx.execute(text, params).await?;
    Ok(())
}

/// A freeze ends. Whether it had not ended before is answered.
///
/// # Errors
/// What the database answered.
pub async fn release(command: &Command, case_id: Uuid, freeze_id: Uuid) -> Result<bool, Problem> {
    let text = sql!(
        "update public.holding_freezes set released_case_id = $2, released_at = greatest($3, frozen_at) where id = $1 and released_at is null"
    );
    Ok(command.tx.execute(text, &[&freeze_id, &case_id, &command.now]).await? == 1)
}

/// The freezes of a party pass on to another with all its tokens.
///
/// # Errors
/// What the database answered.
pub async fn pass_on(command: &Command, case_id: Uuid, from: Uuid, to: Uuid) -> Result<(), Problem> {
    let text = sql!(
        "with gone as (
           update public.holding_freezes set released_case_id = $1, released_at = greatest($4, frozen_at)
           where party_id = $2 and released_at is null
           returning property_id, property_token_id, units)
         insert into public.holding_freezes (id, party_id, property_id, property_token_id, units, frozen_case_id, frozen_at)
         select gen_random_uuid(), $3, g.property_id, g.property_token_id, g.units, $1, $4 from gone as g"
    );
    command.tx.execute(text, &[&case_id, &from, &to, &command.now]).await?;
    Ok(())
}
