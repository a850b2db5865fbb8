//! The evidence gate from the side of commands: the database decides under the property's lock, here its no is put into
//! words, and overrides are asked for and approved.

use std::fmt;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use mint_core::refusal::Refusal;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::{
    command::Command,
    db::{OnConstraint as _, sql},
    outbox,
    permission::Overseer,
    problem::Problem,
};

/// How long an override may hold where it does not say.
const OVERRIDE_DAYS: i64 = 7;

/// What a pass lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A token is launched, an offering opened.
    Launch,
    /// An offering closes.
    Close,
    /// A distribution is declared.
    Declare,
}

/// The two kinds of offerings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfferingKind {
    /// The deed is recorded before launch.
    #[default]
    IssuerOwns,
    /// The house is bought with the money raised.
    Acquisition,
}

impl Action {
    /// The name in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Action::Launch => "launch",
            Action::Close => "close",
            Action::Declare => "declare",
        }
    }
}

impl OfferingKind {
    /// The name in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            OfferingKind::IssuerOwns => "issuer_owns",
            OfferingKind::Acquisition => "acquisition",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for OfferingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One thing that a gate did not find.
#[derive(Debug, Deserialize)]
struct Lacking {
    requirement: String,
    documents: Vec<String>,
    found: String,
}

/// Passes the gate: `subject_id` is what is launched, closed or declared. `deed_since` is the day of funding of an
/// acquisition: its deed is of that day or later; without one, the day of its launch holds.
///
/// # Errors
/// A refusal that names what is missing or no longer current, or that an incident is open.
pub async fn pass(
    command: &Command,
    property_id: Uuid,
    action: Action,
    subject_id: Uuid,
    kind: OfferingKind,
    deed_since: Option<NaiveDate>,
) -> Result<Uuid, Problem> {
    let text = sql!("select nexus.pass_gate($1, $2, $3, $4, $5, $6)");
    let (action_name, kind_name) = (action.name(), kind.name());
    let outcome = command
        .tx
        .query_one(
            text,
            &[
                &property_id,
                &action_name,
                &subject_id,
                &kind_name,
                &command.now,
                &deed_since,
            ],
        )
        .await;
    let error = match outcome {
        Ok(row) => return Ok(row.try_get(0)?),
        Err(error) => error,
    };
    let lacking: Vec<Lacking> = error
        .as_db_error()
        .and_then(|error| serde_json::from_str(error.detail()?).ok())
        .unwrap_or_default();
    let asked = |refusal: Refusal| {
        refusal
            .looking_at("property", property_id)
            .looking_at("action", action)
            .looking_at("offering_kind", kind)
            .looking_at("at", command.now)
            .by("the evidence gate (DOMAIN: evidence before launch, close and declaration)")
    };
    Err::<Uuid, _>(error)
        .on_constraint("gate_evidence_is_current", || asked(missing(&lacking)).into())
        .on_constraint("gate_has_no_open_incident", || {
            let remedy = "resolve the incident; it cannot be overridden";
            asked(Refusal::new(
                "gate.no_open_incident",
                "an incident of the property is open",
                remedy,
            ))
            .into()
        })
}

fn missing(lacking: &[Lacking]) -> Refusal {
    let names: Vec<&str> = lacking.iter().map(|lacking| lacking.requirement.as_str()).collect();
    let needs: Vec<String> = lacking
        .iter()
        .map(|lacking| format!("an accepted, unexpired {}", lacking.documents.join(" or ")))
        .collect();
    let reason = format!("evidence is missing or not current: {}", names.join(", "));
    let remedy = format!("file and have reviewed: {}", needs.join("; "));
    lacking.iter().fold(
        Refusal::new("gate.evidence_current", reason, remedy),
        |refusal, lacking| refusal.looking_at(&lacking.requirement, &lacking.found),
    )
}

/// Asks for an override.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AskOverride {
    property_id: Uuid,
    action: Action,
    subject_id: Uuid,
    requirements: Vec<String>,
    reason: String,
    valid_until: Option<DateTime<Utc>>,
}

/// An override, asked for or approved.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Override {
    success: bool,
    override_id: Uuid,
    status: &'static str,
}

/// Asks to let one action through without some evidence. Somebody else approves it.
///
/// # Errors
/// Where it would waive title, does not say why, or would hold too long.
pub async fn ask(command: &Command, overseer: &Overseer, body: AskOverride) -> Result<Override, Problem> {
    let until = body.valid_until.unwrap_or(command.now + TimeDelta::days(OVERRIDE_DAYS));
    let text = sql!("select nexus.request_gate_override($1, $2, $3, $4, $5, $6, $7)");
    let action = body.action.name();
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &body.property_id,
        &action,
        &body.subject_id,
        &body.requirements,
        &body.reason,
        &until,
        &command.now,
    ];
    let row = command
        .tx
        .query_one(text, params)
        .await
        .on_constraint("gate_overrides_property_id_fkey", || Problem::NotFound)
        .on_constraint("overrides_are_by_overseers", || {
            Problem::NotPermitted("compliance_officer or admin".to_owned())
        })
        .on_constraint("gate_overrides_say_why", || {
            Problem::Invalid("an override says why: reason".to_owned())
        })
        .on_constraint("gate_overrides_end", || {
            Problem::Invalid("an override holds until some instant within 30 days: validUntil".to_owned())
        })
        .on_constraint("gate_overrides_never_waive_title", || {
            Refusal::new(
                "gate.title_is_never_waived",
                "an override waives insurance, appraisal or entity_papers, and nothing else",
                "file the title evidence",
            )
            .looking_at("requirements", body.requirements.join(", "))
            .into()
        })?;
    let override_id: Uuid = row.try_get(0)?;
    let told = json!({ "override_id": override_id, "property_id": body.property_id, "asked_by": overseer.user_id() });
    outbox::emit(command, "gate.override_requested", &override_id.to_string(), &told).await?;
    Ok(Override {
        success: true,
        override_id,
        status: "requested",
    })
}

/// Approves an override.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApproveOverride {
    override_id: Uuid,
}

/// Approves an override that somebody else asked for.
///
/// # Errors
/// Where the same person asked, or it is approved already or over.
pub async fn approve(command: &Command, overseer: &Overseer, body: ApproveOverride) -> Result<Override, Problem> {
    let refusal = |rule: &str, reason: &str, remedy: &str| -> Problem {
        Refusal::new(rule, reason, remedy)
            .looking_at("override", body.override_id)
            .looking_at("at", command.now)
            .into()
    };
    command
        .tx
        .execute(
            sql!("select nexus.approve_gate_override($1, $2)"),
            &[&body.override_id, &command.now],
        )
        .await
        .on_constraint("overrides_exist", || Problem::NotFound)
        .on_constraint("overrides_are_by_overseers", || {
            Problem::NotPermitted("compliance_officer or admin".to_owned())
        })
        .on_constraint("gate_overrides_need_two_persons", || {
            refusal(
                "gate.override_four_eyes",
                "nobody approves what they asked for",
                "another overseer approves it",
            )
        })
        .on_constraint("overrides_are_approved_once", || {
            refusal(
                "gate.override_open",
                "it is approved already, or its time is over",
                "ask for a new override",
            )
        })?;
    let told = json!({ "override_id": body.override_id, "approved_by": overseer.user_id() });
    outbox::emit(command, "gate.override_approved", &body.override_id.to_string(), &told).await?;
    Ok(Override {
        success: true,
        override_id: body.override_id,
        status: "approved",
    })
}
