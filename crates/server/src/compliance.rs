//! People before the law: parties and their owners, identity, screening, accreditation.
//!
//! What always holds: only a compliance officer decides, and never about the party that his login acts for or owns a part
//! of; what a person submitted is shown to staff by a command alone, which notes each read in the audit trail; a profile's
//! summary follows in the transaction of the decision, for every login of the party.

pub mod accreditation;
pub mod documents;
pub mod entry_test;
pub mod jobs;
pub mod kyc;
pub mod parties;
pub mod profile;
pub mod screening;
pub mod standing;
pub mod tax_forms;
pub mod verify;

use chrono::{DateTime, TimeDelta, Utc};
use mint_core::refusal::Refusal;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{command::Command, db::sql, problem::Problem};

/// Reads of what people submitted. Their answers are not kept for a retry: a second read must leave a second note.
const READS: &[&str] = &[
    "get-kyc-case",
    "list-kyc-queue",
    "get-accreditation-case",
    "list-accreditation-queue",
    "get-tax-form",
    "list-tax-forms",
];

/// Whether a call only reads, so that a retry reads again.
#[must_use]
pub fn is_read(name: &str, body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Action {
        action: Option<String>,
    }
    let of_action = || {
        let action = serde_json::from_slice::<Action>(body).ok().and_then(|body| body.action);
        matches!(action.as_deref(), Some("get" | "list"))
    };
    READS.contains(&name) || (name == "verify-kyc" && of_action())
}

/// Until when something that begins now holds, by the terms of its kind: as asked, where that is not longer.
async fn until(command: &Command, kind: &'static str, asked: Option<DateTime<Utc>>) -> Result<DateTime<Utc>, Problem> {
    let text = sql!(
        "select t.days_max, t.source from public.compliance_terms as t
         where t.kind = $1 and t.valid_from <= ($2::timestamptz at time zone 'UTC')::date
         order by t.valid_from desc limit 1"
    );
    let row = command.tx.query_one(text, &[&kind, &command.now]).await?;
    let (days, source): (i32, String) = (row.try_get(0)?, row.try_get(1)?);
    let latest = command
        .now
        .checked_add_signed(TimeDelta::days(i64::from(days)))
        .ok_or_else(|| Problem::internal("an instant past the end of time"))?;
    let until = asked.unwrap_or(latest);
    if until <= command.now || until > latest {
        return Err(Refusal::new(
            "terms.until",
            "this cannot hold until then",
            format!("name an instant after now and not after {}", latest.to_rfc3339()),
        )
        .looking_at("until", until.to_rfc3339())
        .looking_at("days_max", days)
        .by(source)
        .into());
    }
    Ok(until)
}

/// Notes that staff was shown a row, in the audit trail.
async fn note_read(command: &Command, table: &'static str, key: Uuid, reason: &str) -> Result<(), Problem> {
    let text = sql!("select nexus.note_read($1, $2, $3)");
    command.tx.execute(text, &[&table, &key.to_string(), &reason]).await?;
    Ok(())
}

fn reason_of(reason: Option<&str>) -> Result<&str, Problem> {
    let reason = reason.map(str::trim).unwrap_or_default();
    if reason.is_empty() || reason.chars().count() > 500 {
        return Err(Problem::Invalid(
            "say in reason, in at most 500 characters, why".to_owned(),
        ));
    }
    Ok(reason)
}

fn object(value: Option<Value>) -> Result<Value, Problem> {
    match value {
        None => Ok(Value::Object(serde_json::Map::new())),
        Some(value) if value.is_object() && value.to_string().len() <= 16_000 => Ok(value),
        Some(_) => Err(Problem::Invalid(
            "submission is an object of at most 16,000 bytes".to_owned(),
        )),
    }
}

fn not_for_a_stranger() -> Problem {
    Refusal::new(
        "case.by_a_stranger",
        "nobody decides about the party that his login acts for or that his party owns a part of",
        "let another compliance officer do it",
    )
    .into()
}
