//! The last step: an admin launches, through the evidence gate.

use mint_core::{
    refusal::Refusal,
    tokenization::{Asked, Step},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::process::{self, Process};
use crate::{
    command::Command,
    db::sql,
    documents::gate::{self, Action},
    outbox,
    permission::Admin,
    problem::Problem,
};

/// Launches a property. A contract's address in the body is a wish: without a chain there is none.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Launch {
    property_id: Uuid,
}

/// A launched property.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Launched {
    success: bool,
    property_token_id: Uuid,
    launch_pass_id: Uuid,
    process: Value,
}

/// Launches a property's token: listed, offered, and for ever resting on a pass of the gate.
///
/// # Errors
/// Where a step is left, the admin submitted one, evidence is not current, or the public description lacks its place.
pub async fn launch(command: &Command, admin: &Admin, body: Launch) -> Result<Launched, Problem> {
    let text = sql!(
        "select id from public.tokenization_processes where property_id = $1 and status in ('in_progress', 'rejected')"
    );
    let row = command.tx.query_opt(text, &[&body.property_id]).await?;
    let process_id: Uuid = row
        .ok_or_else(|| {
            Refusal::new(
                "tokenization.under_way",
                "no process of this property is under way",
                "begin one with monitor-tokenization, action create_process",
            )
            .looking_at("property", body.property_id)
        })?
        .try_get(0)?;
    let process = Process::lock(command, process_id).await?;
    let asked = Asked {
        step: Step::Launch,
        steps: &process.steps,
        on_file: &[],
    };
    let status = asked.launch(admin.party_id(), &process.submitters())?;
    let token_id = process
        .token_id
        .ok_or_else(|| Problem::internal("a process without a token came to its launch"))?;
    has_a_place(command, process.property_id).await?;
    let pass = gate::pass(
        command,
        process.property_id,
        Action::Launch,
        process.id,
        process.offering_kind,
        None,
    )
    .await?;

    let text = sql!(
        "update public.tokenization_steps set status = $2, decided_by = $3, completed_at = greatest($4, started_at)
         where process_id = $1 and step_name = 'launch'"
    );
    let status = status.name();
    command
        .tx
        .execute(text, &[&process.id, &status, &admin.user_id(), &command.now])
        .await?;
    process::derive_with(command, process.id, Some(pass)).await?;
    let text = sql!("update public.property_tokens set status = 'launched' where id = $1");
    command.tx.execute(text, &[&token_id]).await?;
    let text = sql!(
        "update public.properties set tokenization_active = true, is_active = true, tokenization_status = 'offered' where id = $1"
    );
    command.tx.execute(text, &[&process.property_id]).await?;
    let told = json!({ "property_id": process.property_id, "property_token_id": token_id, "launch_pass_id": pass });
    outbox::emit(command, "tokenization.launched", &process.id.to_string(), &told).await?;
    outbox::notify(
        command,
        process.user_id,
        "tokenization_launched",
        "Your property was launched",
        "Its tokens can be offered from now on.",
        None,
    )
    .await?;
    Ok(Launched {
        success: true,
        property_token_id: token_id,
        launch_pass_id: pass,
        process: process::show(command, process.id).await?,
    })
}

/// Front ends expect a city and a country on whatever everybody may see.
async fn has_a_place(command: &Command, property_id: Uuid) -> Result<(), Problem> {
    let text = sql!(
        "select coalesce(city ~ '\\S', false) and coalesce(country ~ '\\S', false) from public.properties where id = $1 for update"
    );
    if command.tx.query_one(text, &[&property_id]).await?.try_get(0)? {
        return Ok(());
    }
    Err(Refusal::new(
        "tokenization.public_description",
        "a property that everybody may see says its city and country",
        "fill in city and country of the property",
    )
    .looking_at("property", property_id)
    .into())
}
