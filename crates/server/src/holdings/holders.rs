//! How many hold a token, for the caps of its rules: by lots and open purchases, not by what was bought once.

use mint_core::eligibility::Holders;
use uuid::Uuid;

use crate::{command::Command, db::sql, problem::Problem};

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
    let row = command.tx.query_one(text, &[&token_id, &command.now, &leaving]).await?;
    let count =
        |at: usize| -> Result<u32, Problem> { Ok(u32::try_from(row.try_get::<_, i64>(at)?).unwrap_or(u32::MAX)) };
    Ok(Holders {
        all: count(0)?,
        non_accredited: count(1)?,
    })
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
