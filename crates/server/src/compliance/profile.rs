//! What a profile says of its party's verification: a summary without content, the same for every login of the party.

use mint_core::compliance::Identity;
use serde_json::json;
use uuid::Uuid;

use super::standing;
use crate::{command::Command, db::sql, outbox, problem::Problem};

/// Lets the profiles of a party's logins follow its cases. Called after each change, in its transaction.
///
/// # Errors
/// What the database answered.
pub async fn follow(command: &Command, party_id: Uuid) -> Result<Identity, Problem> {
    let standings = standing::load(command, &[party_id]).await?;
    let standing = standings
        .get(&party_id)
        .ok_or_else(|| Problem::internal(format!("party {party_id} is not there")))?;
    let (level, until) = match standing.identity {
        Identity::Approved { level, until } => (level.name(), Some(until)),
        Identity::None | Identity::Pending | Identity::Rejected | Identity::Expired => ("none", None),
    };
    let summary = json!({
        "status": standing.identity.status(),
        "changed_at": command.now,
        "accredited_until": standing.accredited_until,
        "sophisticated_until": standing.sophisticated_until,
        "entry_test_until": standing.entry_test_until,
    });
    let text = sql!(
        "update public.user_profiles
         set kyc_status = $2, kyc_level = $3, kyc_expires_at = $4, accredited_investor = $5, kyc_data = $6
         where party_id = $1"
    );
    let is_accredited = standing.is_accredited(command.now);
    let status = standing.identity.status();
    command
        .tx
        .execute(text, &[&party_id, &status, &level, &until, &is_accredited, &summary])
        .await?;
    Ok(standing.identity)
}

/// Tells every login of a party something.
///
/// # Errors
/// What the database answered.
pub async fn tell(
    command: &Command,
    party_id: Uuid,
    kind: &'static str,
    title: &str,
    message: &str,
) -> Result<(), Problem> {
    let text = sql!("select id from public.user_profiles where party_id = $1 order by id");
    for row in command.tx.query(text, &[&party_id]).await? {
        outbox::notify(command, row.try_get(0)?, kind, title, message, Some("/profile")).await?;
    }
    Ok(())
}
