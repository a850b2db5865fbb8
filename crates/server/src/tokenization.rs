//! The tokenization process of a property, from its submission to its launch: [`mint_core::tokenization`] decides, here it is
//! loaded under the process's lock and written.
//!
//! What always holds: nobody decides about what they submitted; how far a process is, is derived from its steps; a launch
//! rests on a pass of the evidence gate, which the database asks for.

mod launch;
mod process;
pub mod report;
mod token;

use std::collections::BTreeMap;

use mint_core::{
    refusal::Refusal,
    role::Role,
    states::StepStatus,
    tokenization::{Asked, SETTLED_IN_THE_REGISTER, Step, next_steps},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

pub use launch::{Launch, Launched, launch};
pub use process::{Monitor, monitor};

use crate::{
    command::Command,
    db::sql,
    outbox,
    permission::{Overseer, Person},
    problem::Problem,
    property_audits,
};
use process::Process;

/// Submits a step.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Submit {
    process_id: Uuid,
    step: String,
    #[serde(default)]
    data: Map<String, Value>,
}

/// A process after one of its steps moved.
#[derive(Debug, Serialize)]
pub struct Moved {
    success: bool,
    process: Value,
}

/// Submits the step that is due, or one that was rejected, for whoever owns it.
///
/// # Errors
/// Where it is not the caller's, not due, or lacks evidence or data.
pub async fn submit(command: &Command, person: &Person, body: Submit) -> Result<Moved, Problem> {
    let step = parse(&body.step)?;
    let process = Process::lock(command, body.process_id).await?;
    match step.submitted_by() {
        Some(Role::PropertyManager) => {
            person.manager_of(command, process.property_id).await?;
        }
        Some(Role::ComplianceOfficer) => {
            person.officer()?;
        }
        Some(Role::Admin | Role::Investor) | None => {
            return Err(Refusal::new(
                "tokenization.nobody_submits",
                format!("{step} is not submitted by anybody"),
                "an admin launches with launch-tokenization; a contract is deployed by the system",
            )
            .into());
        }
    }
    let on_file = process.on_file(command).await?;
    let asked = Asked {
        step,
        steps: &process.steps,
        on_file: &on_file,
    };
    let status = asked.submit()?;
    match step {
        Step::TokenConfiguration => {
            token::Configuration::parse(&body.data, &process)?;
        }
        Step::Audit => property_audits::rest_on(command, process.property_id, &body.data).await?,
        Step::Submission
        | Step::Valuation
        | Step::LegalStructuring
        | Step::ComplianceReview
        | Step::ContractDeployment
        | Step::Launch => {}
    }
    let text = sql!(
        "update public.tokenization_steps
         set status = $3, submitted_by = $4, submitted_at = $5, decided_by = null, step_data = $6, error_details = null,
             started_at = coalesce(started_at, $5)
         where process_id = $1 and step_name = $2"
    );
    let data = Value::Object(body.data);
    let (step_name, status_name) = (step.name(), status.name());
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &process.id,
        &step_name,
        &status_name,
        &person.user_id(),
        &command.now,
        &data,
    ];
    command.tx.execute(text, params).await?;
    moved(command, &process, step, "submitted").await
}

/// Approves a step.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approve {
    process_id: Uuid,
    step: String,
}

/// Approves what somebody else submitted; what follows becomes due.
///
/// # Errors
/// Where the caller submitted it, it was not submitted, or its evidence is not accepted and current.
pub async fn approve(command: &Command, overseer: &Overseer, body: Approve) -> Result<Moved, Problem> {
    let step = parse(&body.step)?;
    let process = Process::lock(command, body.process_id).await?;
    let on_file = process.on_file(command).await?;
    let asked = Asked {
        step,
        steps: &process.steps,
        on_file: &on_file,
    };
    let status = asked.approve(overseer.party_id(), process.submitter_of(step))?;
    match step {
        Step::TokenConfiguration => token::authorise(command, &process).await?,
        Step::Audit => property_audits::rest_on(command, process.property_id, &process.data_of(step)).await?,
        Step::Submission
        | Step::Valuation
        | Step::LegalStructuring
        | Step::ComplianceReview
        | Step::ContractDeployment
        | Step::Launch => {}
    }
    let text = sql!(
        "update public.tokenization_steps set status = $3, decided_by = $4, completed_at = greatest($5, started_at)
         where process_id = $1 and step_name = $2"
    );
    let (step_name, status_name) = (step.name(), status.name());
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&process.id, &step_name, &status_name, &overseer.user_id(), &command.now];
    command.tx.execute(text, params).await?;
    let (skipped, due) = next_steps(step, process.deploys_contract);
    if let Some(skipped) = skipped {
        let text = sql!(
            "update public.tokenization_steps set status = 'not_required', error_details = $3
             where process_id = $1 and step_name = $2"
        );
        let skipped = skipped.name();
        command
            .tx
            .execute(text, &[&process.id, &skipped, &SETTLED_IN_THE_REGISTER])
            .await?;
    }
    if let Some(due) = due {
        let text = sql!(
            "update public.tokenization_steps set status = 'in_progress', started_at = $3
             where process_id = $1 and step_name = $2"
        );
        let due = due.name();
        command.tx.execute(text, &[&process.id, &due, &command.now]).await?;
    }
    moved(command, &process, step, "approved").await
}

/// Rejects a step.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reject {
    process_id: Uuid,
    step: String,
    reason: String,
}

/// Rejects what somebody else submitted, with the reason; it can be submitted again.
///
/// # Errors
/// Where the caller submitted it, it was not submitted, or no reason is given.
pub async fn reject(command: &Command, overseer: &Overseer, body: Reject) -> Result<Moved, Problem> {
    let step = parse(&body.step)?;
    if body.reason.trim().is_empty() || body.reason.len() > 5000 {
        return Err(Problem::Invalid(
            "a rejection says why: reason, at most 5000 bytes".to_owned(),
        ));
    }
    let process = Process::lock(command, body.process_id).await?;
    let asked = Asked {
        step,
        steps: &process.steps,
        on_file: &[],
    };
    let status: StepStatus = asked.reject(overseer.party_id(), process.submitter_of(step))?;
    let text = sql!(
        "update public.tokenization_steps set status = $3, decided_by = $4, error_details = $5
         where process_id = $1 and step_name = $2"
    );
    let (step_name, status_name) = (step.name(), status.name());
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&process.id, &step_name, &status_name, &overseer.user_id(), &body.reason];
    command.tx.execute(text, params).await?;
    outbox::notify(
        command,
        process.user_id,
        "tokenization_rejected",
        "A step was rejected",
        &body.reason,
        None,
    )
    .await?;
    moved(command, &process, step, "rejected").await
}

fn parse(step: &str) -> Result<Step, Problem> {
    step.parse().map_err(|_| {
        let names: Vec<&str> = Step::ALL.iter().map(|step| step.name()).collect();
        Problem::Invalid(format!("step is one of {}", names.join(", ")))
    })
}

/// Derives the process anew, tells the outbox, and answers with it.
async fn moved(command: &Command, process: &Process, step: Step, what: &'static str) -> Result<Moved, Problem> {
    process::derive(command, process.id).await?;
    let told = BTreeMap::from([("process_id", process.id.to_string()), ("step", step.to_string())]);
    let key = format!("{}:{step}:{what}:{}", process.id, Uuid::now_v7());
    outbox::emit(
        command,
        "tokenization.step_moved",
        &key,
        &json!({ "what": what, "about": told }),
    )
    .await?;
    Ok(Moved {
        success: true,
        process: process::show(command, process.id).await?,
    })
}
