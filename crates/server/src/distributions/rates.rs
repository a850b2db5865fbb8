//! Rates of withholding: proposed by an admin, approved by another person, from a day that is to come. The past is never
//! edited: a rate is a row that is added.

use chrono::{DateTime, Utc};
use mint_core::{refusal::Refusal, states::RateStatus};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    command::Command,
    db::{OnConstraint as _, sql},
    offerings::preparing::four_eyes,
    outbox,
    permission::{Admin, Overseer},
    problem::Problem,
};

/// A rate as somebody proposes it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProposeRate {
    source_country: String,
    residency_country: Option<String>,
    rate_ppm: i32,
    form: String,
    form_version: String,
    #[serde(default)]
    needs_form: bool,
    source: String,
    #[serde(default)]
    is_checked: bool,
    valid_from: DateTime<Utc>,
}

/// What the second person says.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Decision {
    Approved,
    Rejected,
}

/// Decides about a proposal.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecideRate {
    proposal_id: Uuid,
    decision: Decision,
    reason: Option<String>,
}

/// A proposal as it is.
#[derive(Debug, Serialize)]
pub struct ProposalAnswer {
    proposal: Value,
}

/// Proposes a rate. It holds for nobody until another person approved it.
///
/// # Errors
/// `withholding.backdated`, [`Problem::Invalid`].
pub async fn propose(command: &Command, admin: &Admin, body: ProposeRate) -> Result<ProposalAnswer, Problem> {
    not_backdated(command, body.valid_from)?;
    let id = Uuid::now_v7();
    let text = sql!(
        "insert into public.withholding_rate_proposals (id, source_country, residency_country, rate_ppm, form, form_version, needs_form, source,
           is_checked, valid_from, proposed_by, created_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
    );
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &id,
        &body.source_country,
        &body.residency_country,
        &body.rate_ppm,
        &body.form,
        &body.form_version,
        &body.needs_form,
        &body.source,
        &body.is_checked,
        &body.valid_from,
        &admin.user_id(),
        &command.now,
    ];
    let invalid = |text: &'static str| move || Problem::Invalid(text.to_owned());
    command
        .tx
        .execute(text, params)
        .await
        .on_constraint(
            "withholding_rate_proposals_countries_are_iso",
            invalid("sourceCountry and residencyCountry are two capital letters, such as US"),
        )
        .on_constraint(
            "withholding_rate_proposals_rate_is_a_part",
            invalid("ratePpm is 0 to 1000000 millionths"),
        )
        .on_constraint(
            "withholding_rate_proposals_texts_are_bounded",
            invalid("form and formVersion have 1 to 50 characters, source 1 to 1000"),
        )
        .on_constraint(
            "withholding_rate_proposals_form_is_of_a_country",
            invalid("needsForm: a rate for everybody asks for no form; name residencyCountry"),
        )?;
    outbox::emit(
        command,
        "withholding_rate.proposed",
        &id.to_string(),
        &json!({ "proposalId": id }),
    )
    .await?;
    shown(command, id).await
}

/// Approves or rejects a proposal, as another person than who made it.
///
/// # Errors
/// `four_eyes`, `withholding.status`, `withholding.backdated`, `withholding.one_at_an_instant`.
pub async fn decide(command: &Command, overseer: &Overseer, body: DecideRate) -> Result<ProposalAnswer, Problem> {
    let id = body.proposal_id;
    let text = sql!(
        "select status, proposed_by, valid_from from public.withholding_rate_proposals where id = $1 for no key update"
    );
    let row = command.tx.query_opt(text, &[&id]).await?.ok_or(Problem::NotFound)?;
    let (status, proposed_by): (String, Uuid) = (row.try_get(0)?, row.try_get(1)?);
    if status != RateStatus::Proposed.name() {
        let remedy = "look at it again: somebody was here before";
        let refusal = Refusal::new("withholding.status", format!("the proposal is {status}"), remedy);
        return Err(refusal.looking_at("status", status).into());
    }
    if overseer.is_same_party(command, proposed_by).await? {
        return Err(four_eyes("a rate is approved by another person than who proposed it").into());
    }
    let (to, rate_id, reason) = match body.decision {
        Decision::Approved => {
            not_backdated(command, row.try_get(2)?)?;
            (RateStatus::Approved, Some(add(command, id).await?), None)
        }
        Decision::Rejected => {
            let reason = body.reason.filter(|reason| !reason.trim().is_empty());
            let reason = reason.ok_or_else(|| Problem::Invalid("reason: say why it is rejected".to_owned()))?;
            (RateStatus::Rejected, None, Some(reason))
        }
    };
    let text = sql!(
        "update public.withholding_rate_proposals set status = $2, rate_id = $3, decided_by = $4, decided_at = $5, reject_reason = $6 where id = $1"
    );
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&id, &to.name(), &rate_id, &overseer.user_id(), &command.now, &reason];
    command
        .tx
        .execute(text, params)
        .await
        .on_constraint("withholding_rate_proposals_rejected_says_why", || {
            Problem::Invalid("reason has at most 2000 characters".to_owned())
        })?;
    let told = json!({ "proposalId": id, "status": to.name() });
    outbox::emit(command, "withholding_rate.decided", &id.to_string(), &told).await?;
    shown(command, id).await
}

async fn add(command: &Command, proposal_id: Uuid) -> Result<Uuid, Problem> {
    let text = sql!(
        "insert into public.withholding_rates (source_country, residency_country, rate_ppm, form, form_version, needs_form, source, is_checked,
           valid_from, created_at)
         select p.source_country, p.residency_country, p.rate_ppm, p.form, p.form_version, p.needs_form, p.source, p.is_checked, p.valid_from, $2
         from public.withholding_rate_proposals as p where p.id = $1 returning id"
    );
    let added = command.tx.query_one(text, &[&proposal_id, &command.now]).await;
    let row = added.on_constraint("withholding_rates_one_at_an_instant", || {
        Refusal::new(
            "withholding.one_at_an_instant",
            "there is a rate for these countries from that instant on",
            "propose it from another instant on",
        )
        .into()
    })?;
    Ok(row.try_get(0)?)
}

fn not_backdated(command: &Command, valid_from: DateTime<Utc>) -> Result<(), Problem> {
    if valid_from >= command.now {
        return Ok(());
    }
    Err(Refusal::new(
        "withholding.backdated",
        "a rate does not change what was",
        "propose it from an instant on that is to come",
    )
    .looking_at("valid_from", valid_from.to_rfc3339())
    .looking_at("now", command.now.to_rfc3339())
    .into())
}

async fn shown(command: &Command, id: Uuid) -> Result<ProposalAnswer, Problem> {
    let text = sql!("select to_jsonb(p) from public.withholding_rate_proposals as p where p.id = $1");
    Ok(ProposalAnswer {
        proposal: command.tx.query_one(text, &[&id]).await?.try_get(0)?,
    })
}
