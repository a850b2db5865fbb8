//! What becomes due by itself: approvals that end, and screenings that must be made again.
//!
//! Each call is one turn over the rows that are due now and that nobody else holds; the caller commits, and calls again
//! while there was something. Nothing rests on it being in time: whoever asks about a party asks at an instant.

use std::collections::BTreeSet;

use serde_json::json;
use uuid::Uuid;

use super::{profile, screening};
use crate::{command::Command, db::sql, outbox, problem::Problem};

/// Ends the approvals that are due: how many.
///
/// # Errors
/// What the database answered.
pub async fn expire_due(command: &Command) -> Result<usize, Problem> {
    let text = sql!(
        "update public.kyc_cases as k set status = 'expired', ended_at = $1
         from (select d.id from public.kyc_cases as d where d.status = 'approved' and d.expires_at <= $1
               order by d.expires_at limit 100 for update skip locked) as due
         where k.id = due.id returning k.id, k.party_id"
    );
    let identities = command.tx.query(text, &[&command.now]).await?;
    let text = sql!(
        "update public.accreditation_cases as k set status = 'expired', ended_at = $1
         from (select d.id from public.accreditation_cases as d where d.status = 'approved' and d.expires_at <= $1
               order by d.expires_at limit 100 for update skip locked) as due
         where k.id = due.id returning k.id, k.party_id"
    );
    let accreditations = command.tx.query(text, &[&command.now]).await?;
    // In the order of their ids, so that two turns never wait for each other's profiles.
    let mut parties = BTreeSet::new();
    for (topic, rows) in [("kyc.expired", &identities), ("accreditation.expired", &accreditations)] {
        for row in rows {
            let (id, party_id): (Uuid, Uuid) = (row.try_get(0)?, row.try_get(1)?);
            let told = json!({ "case_id": id, "party_id": party_id });
            outbox::emit(command, topic, &id.to_string(), &told).await?;
            parties.insert(party_id);
        }
    }
    for party_id in parties {
        profile::follow(command, party_id).await?;
        let text = "What we verified about you has expired. Submit it again before you next invest.";
        profile::tell(
            command,
            party_id,
            "verification_expired",
            "A verification has expired",
            text,
        )
        .await?;
    }
    Ok(identities.len().saturating_add(accreditations.len()))
}

/// Compares parties again whose clear screening is due: how many. Without a list it leaves them to officers, and says so.
///
/// # Errors
/// What the database answered.
pub async fn screen_due(command: &Command) -> Result<usize, Problem> {
    let text = sql!("select exists (select from nexus.screening_lists)");
    if !command.tx.query_one(text, &[]).await?.try_get::<_, bool>(0)? {
        return Ok(0);
    }
    // The newest screening of a party is the one without a later number.
    let text = sql!(
        "select s.party_id from public.party_screenings as s join public.parties as p on p.id = s.party_id
         where s.due_at <= $1 and s.status = 'clear' and p.anonymised_at is null
           and not exists (select from public.party_screenings as n where n.party_id = s.party_id and n.number > s.number)
         order by s.due_at limit 100 for update of p skip locked"
    );
    let due = command.tx.query(text, &[&command.now]).await?;
    for row in &due {
        screening::compare(command, row.try_get(0)?).await?;
    }
    Ok(due.len())
}
