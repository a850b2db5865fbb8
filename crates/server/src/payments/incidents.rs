//! Incidents: what is wrong with a property's money, and stops its closing and payouts until two people cleared it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    command::Command, db::sql, offerings::preparing::four_eyes, outbox, permission::Overseer, problem::Problem,
};

/// What kind of incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The custodian's statement and the ledger differ.
    CustodyDifference,
    /// A rail paid out another amount than it took.
    SettlementDifference,
    /// Money was taken back after its purchase had closed or gone to the closing agent.
    ChargebackAfterClose,
    /// A part of a payment was taken back: a person decides.
    PartialChargeback,
    /// Money went back twice: by a refund and a chargeback.
    ReturnedTwice,
}

impl Kind {
    /// The name in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::CustodyDifference => "custody_difference",
            Kind::SettlementDifference => "settlement_difference",
            Kind::ChargebackAfterClose => "chargeback_after_close",
            Kind::PartialChargeback => "partial_chargeback",
            Kind::ReturnedTwice => "returned_twice",
        }
    }
}

/// Opens an incident, unless the same one is open.
///
/// # Errors
/// What the database answered.
pub async fn open(
    command: &Command,
    property_id: Uuid,
    kind: Kind,
    subject: &str,
    details: &Value,
) -> Result<(), Problem> {
    let text = sql!(
        "insert into public.incidents (property_id, kind, subject, details, opened_at, created_at) values ($1, $2, $3, $4, $5, $5)
         on conflict (property_id, kind, subject) where status = 'open' do nothing returning id"
    );
    let row = command
        .tx
        .query_opt(text, &[&property_id, &kind.name(), &subject, details, &command.now])
        .await?;
    if let Some(row) = row {
        let id: Uuid = row.try_get(0)?;
        let payload = json!({ "incidentId": id, "propertyId": property_id, "kind": kind.name() });
        outbox::emit(command, "incident.opened", &id.to_string(), &payload).await?;
        let text = sql!(
            "insert into public.notifications (user_id, title, message, type, created_at)
             select a.user_id, 'An incident stops a property', $1, 'incident', $2 from public.user_role_assignments as a
             where a.is_active and a.role in ('admin', 'compliance_officer')"
        );
        let message = format!("{}: {subject}", kind.name());
        command.tx.execute(text, &[&message, &command.now]).await?;
    }
    Ok(())
}

/// Whether anything of a property is stopped.
///
/// # Errors
/// What the database answered.
pub async fn count_open(command: &Command, property_id: Uuid) -> Result<u64, Problem> {
    let text = sql!("select count(*) from public.incidents where property_id = $1 and status = 'open'");
    let count: i64 = command.tx.query_one(text, &[&property_id]).await?.try_get(0)?;
    Ok(count.unsigned_abs())
}

/// Asks that an incident is cleared, or approves that.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClearIncident {
    incident_id: Uuid,
    reason: Option<String>,
}

/// An incident as it is.
#[derive(Debug, Serialize)]
pub struct IncidentAnswer {
    incident: Value,
}

/// The first call explains the incident and asks that it is cleared; another person's call clears it.
///
/// # Errors
/// `four_eyes` when the same person calls twice.
pub async fn clear(command: &Command, overseer: &Overseer, body: ClearIncident) -> Result<IncidentAnswer, Problem> {
    let text = sql!("select status, clear_asked_by from public.incidents where id = $1 for no key update");
    let row = command
        .tx
        .query_opt(text, &[&body.incident_id])
        .await?
        .ok_or(Problem::NotFound)?;
    let (status, asked_by): (String, Option<Uuid>) = (row.try_get(0)?, row.try_get(1)?);
    if status == "open" {
        match asked_by {
            None => {
                let reason = body.reason.filter(|reason| !reason.trim().is_empty());
                let reason =
                    reason.ok_or_else(|| Problem::Invalid("reason: say what explains the incident".to_owned()))?;
                let text = sql!("update public.incidents set clear_asked_by = $2, clear_reason = $3 where id = $1");
                command
                    .tx
                    .execute(text, &[&body.incident_id, &overseer.user_id(), &reason])
                    .await?;
            }
            Some(first) if overseer.is_same_party(command, first).await? => {
                return Err(four_eyes("an incident is cleared by another person than who explained it").into());
            }
            Some(_) => {
                let text = sql!(
                    "update public.incidents set status = 'cleared', cleared_at = $2, cleared_by = $3 where id = $1"
                );
                command
                    .tx
                    .execute(text, &[&body.incident_id, &command.now, &overseer.user_id()])
                    .await?;
                let payload = json!({ "incidentId": body.incident_id });
                outbox::emit(command, "incident.cleared", &body.incident_id.to_string(), &payload).await?;
            }
        }
    }
    let text = sql!("select to_jsonb(i) from public.incidents as i where i.id = $1");
    let incident = command.tx.query_one(text, &[&body.incident_id]).await?.try_get(0)?;
    Ok(IncidentAnswer { incident })
}
