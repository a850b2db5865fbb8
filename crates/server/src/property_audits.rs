//! Audits of a property by a compliance officer who has no part in it. The evidence on file answers the checks, the officer
//! adds what he found, and [`mint_core::property_audit`] makes the score of it; nobody writes a score by hand.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use mint_core::{
    property_audit::{self, CHECKS, Check, Finding, Outcome, Severity},
    refusal::Refusal,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    command::Command,
    db::sql,
    outbox,
    permission::{Officer, Person},
    problem::Problem,
};

/// Evidence that ends this soon is a finding already.
const SOON_DAYS: i64 = 30;

/// The most findings that an officer adds to one audit.
const FINDINGS_MAX: usize = 100;

/// Audits a property. `auditorId` and a score in the body are not believed: the auditor is the caller.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Audit {
    property_id: Uuid,
    scope: Option<String>,
    #[serde(default)]
    findings: Vec<Noted>,
}

/// What the officer found beside what the documents say.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Noted {
    check: String,
    severity: String,
    finding: String,
    document_id: Option<Uuid>,
}

/// One answer to a check, as it is kept.
#[derive(Debug, Serialize)]
struct Answer {
    check: String,
    severity: &'static str,
    points_lost: u16,
    finding: String,
    document_id: Option<Uuid>,
    #[serde(skip)]
    severity_of: Severity,
}

/// An audit as it came out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Audited {
    success: bool,
    audit_id: Uuid,
    score: i16,
    risk_level: &'static str,
    compliance_status: &'static str,
    next_review_date: chrono::NaiveDate,
    findings: Value,
}

/// A document of the property, as the checks look at it.
struct Document {
    id: Uuid,
    kind: String,
    status: String,
    expires_at: Option<DateTime<Utc>>,
}

/// Audits a property and keeps what was found.
///
/// # Errors
/// Where the officer acts for the property, a finding names no check of ours, or rests on another property's document.
pub async fn audit(command: &Command, officer: &Officer, body: Audit) -> Result<Audited, Problem> {
    is_independent(command, officer, body.property_id).await?;
    if body.findings.len() > FINDINGS_MAX {
        return Err(Problem::Invalid(format!("at most {FINDINGS_MAX} findings")));
    }
    let documents = documents_of(command, body.property_id).await?;
    let mut answers: Vec<Answer> = CHECKS
        .iter()
        .map(|check| by_evidence(check, &documents, command.now))
        .collect();
    for noted in body.findings {
        answers.push(by_officer(noted, &documents)?);
    }
    let findings: Vec<Finding<'_>> = answers
        .iter()
        .map(|answer| Finding {
            check: &answer.check,
            severity: answer.severity_of,
            has_document: answer.document_id.is_some(),
        })
        .collect();
    let Outcome { score, risk, status } = property_audit::score(&findings)?;
    let next_review_date = (command.now + TimeDelta::days(i64::from(risk.review_days()))).date_naive();
    let findings = serde_json::to_value(&answers).map_err(Problem::internal)?;
    let weights: BTreeMap<&str, u16> = Severity::ALL
        .iter()
        .map(|severity| (severity.name(), severity.weight()))
        .collect();
    let results = json!({
        "scope": body.scope.unwrap_or_else(|| "the evidence on file and what the officer found".to_owned()),
        "checks": findings,
        "rule": { "from": 100, "points_lost_by_severity": weights },
    });
    let id = Uuid::now_v7();
    let text = sql!(
        "insert into public.property_audits (id, property_id, auditor_id, audit_score, risk_level, compliance_status,
           audit_results, audit_date, next_review_date, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $8)"
    );
    let (risk_level, compliance_status) = (risk.name(), status.name());
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &id,
        &body.property_id,
        &officer.user_id(),
        &score,
        &risk_level,
        &compliance_status,
        &results,
        &command.now,
        &next_review_date,
    ];
    command.tx.execute(text, params).await?;
    let told = json!({ "audit_id": id, "property_id": body.property_id, "compliance_status": compliance_status });
    outbox::emit(command, "property.audited", &id.to_string(), &told).await?;
    Ok(Audited {
        success: true,
        audit_id: id,
        score,
        risk_level,
        compliance_status,
        next_review_date,
        findings,
    })
}

/// Whoever acts for a property, by whatever login, does not audit it.
async fn is_independent(command: &Command, officer: &Officer, property_id: Uuid) -> Result<(), Problem> {
    let text = sql!(
        "select exists (select from public.property_members as m join public.user_profiles as u on u.id = m.user_id
                        where m.property_id = p.id and u.party_id = $2)
         from public.properties as p where p.id = $1"
    );
    let row = command.tx.query_opt(text, &[&property_id, &officer.party_id()]).await?;
    if !row.ok_or(Problem::NotFound)?.try_get::<_, bool>(0)? {
        return Ok(());
    }
    Err(Refusal::new(
        "audit.independent",
        "whoever acts or acted for a property does not audit it",
        "another compliance officer audits it",
    )
    .looking_at("property", property_id)
    .into())
}

async fn documents_of(command: &Command, property_id: Uuid) -> Result<Vec<Document>, Problem> {
    let text = sql!(
        "select id, document_type, review_status, expires_at from public.property_documents
         where property_id = $1 order by issued_on desc nulls last, created_at desc, id"
    );
    let rows = command.tx.query(text, &[&property_id]).await?;
    let document = |row: &tokio_postgres::Row| -> Result<Document, Problem> {
        Ok(Document {
            id: row.try_get(0)?,
            kind: row.try_get(1)?,
            status: row.try_get(2)?,
            expires_at: row.try_get(3)?,
        })
    };
    rows.iter().map(document).collect()
}

/// What the documents say about a check: in order, soon over, over, waiting, or missing.
fn by_evidence(check: &Check, documents: &[Document], now: DateTime<Utc>) -> Answer {
    let of_check = || {
        documents
            .iter()
            .filter(|document| check.documents.contains(&document.kind.as_str()))
    };
    let accepted = || of_check().filter(|document| document.status == "accepted");
    let holds_until = |document: &Document, then: DateTime<Utc>| document.expires_at.is_none_or(|end| end > then);
    let lasting = accepted().find(|document| holds_until(document, now + TimeDelta::days(SOON_DAYS)));
    let current = accepted().find(|document| holds_until(document, now));
    let answer = |severity: Severity, finding: String, document: Option<&Document>| Answer {
        check: check.name.to_owned(),
        severity: severity.name(),
        points_lost: severity.weight(),
        finding: format!("{}: {finding}", check.about),
        document_id: document.map(|document| document.id),
        severity_of: severity,
    };
    if let Some(document) = lasting {
        return answer(
            Severity::None,
            format!("shown by the {}", document.kind),
            Some(document),
        );
    }
    if let Some(document) = current {
        let finding = format!("shown by the {}, which ends within {SOON_DAYS} days", document.kind);
        return answer(Severity::Minor, finding, Some(document));
    }
    let names = check.documents.join(" or ");
    match accepted().next().or_else(|| of_check().next()) {
        Some(document) if document.status == "accepted" => answer(
            check.missing,
            format!("the {} has expired", document.kind),
            Some(document),
        ),
        Some(document) => answer(
            check.missing,
            format!("the {} is {}", document.kind, document.status),
            Some(document),
        ),
        None => answer(check.missing, format!("no {names} is on file"), None),
    }
}

fn by_officer(noted: Noted, documents: &[Document]) -> Result<Answer, Problem> {
    let severity: Severity = noted
        .severity
        .parse()
        .map_err(|error: property_audit::UnknownSeverity| Problem::Invalid(error.to_string()))?;
    if noted.finding.trim().is_empty() || noted.finding.len() > 5000 {
        return Err(Problem::Invalid(
            "a finding says what was found, in at most 5000 bytes".to_owned(),
        ));
    }
    if let Some(id) = noted.document_id
        && documents.iter().all(|document| document.id != id)
    {
        return Err(Refusal::new(
            "audit.document_of_property",
            "a finding rests on a document of the audited property",
            "name a document of this property",
        )
        .looking_at("document", id)
        .into());
    }
    Ok(Answer {
        check: noted.check,
        severity: severity.name(),
        points_lost: severity.weight(),
        finding: noted.finding,
        document_id: noted.document_id,
        severity_of: severity,
    })
}

/// Makes sure that the audit step rests on a finished audit of its property that let it pass and still holds.
///
/// # Errors
/// A refusal that says what is wrong with the audit.
pub async fn rest_on(command: &Command, property_id: Uuid, data: &Map<String, Value>) -> Result<(), Problem> {
    let id: Uuid = data
        .get("auditId")
        .and_then(Value::as_str)
        .and_then(|id| id.parse().ok())
        .ok_or_else(|| Problem::Invalid("data.auditId names the audit that the step rests on".to_owned()))?;
    let text = sql!(
        "select compliance_status, next_review_date > ($3::timestamptz at time zone 'UTC')::date,
                id = (select a.id from public.property_audits as a where a.property_id = $2 order by a.audit_date desc, a.id desc limit 1)
         from public.property_audits where id = $1 and property_id = $2"
    );
    let row = command.tx.query_opt(text, &[&id, &property_id, &command.now]).await?;
    let row = row.ok_or(Problem::NotFound)?;
    let (status, holds, is_newest): (&str, bool, bool) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    if ["compliant", "conditional"].contains(&status) && holds && is_newest {
        return Ok(());
    }
    Err(Refusal::new(
        "tokenization.audit_passed",
        "the audit step rests on the property's newest audit, which let it pass and is not due again",
        "mend what was found and audit the property anew",
    )
    .looking_at("audit", id)
    .looking_at("compliance_status", status)
    .looking_at("is_newest", is_newest)
    .looking_at("still_holds", holds)
    .into())
}

/// Asks for the report about a property's newest audit.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AskReport {
    property_id: Uuid,
}

/// The newest audit with its findings and the documents that they rest on, for overseers and who acts for the property.
///
/// # Errors
/// Where there is none for the caller.
pub async fn report(command: &Command, person: &Person, body: AskReport) -> Result<Value, Problem> {
    if person.overseer().is_err() {
        person.manager_of(command, body.property_id).await?;
    }
    let text = sql!(
        "select jsonb_build_object('audit_id', a.id, 'property_id', a.property_id, 'property_title', p.title, 'auditor_id', a.auditor_id,
           'audit_score', a.audit_score, 'risk_level', a.risk_level, 'compliance_status', a.compliance_status,
           'audit_results', a.audit_results, 'audit_date', a.audit_date, 'next_review_date', a.next_review_date,
           'evidence', coalesce((select jsonb_agg(jsonb_build_object('document_id', d.id, 'document_type', d.document_type,
              'document_name', d.document_name, 'review_status', d.review_status, 'issued_on', d.issued_on, 'expires_at', d.expires_at,
              'sha256', encode(d.sha256, 'hex')) order by d.document_type, d.created_at, d.id)
              from public.property_documents as d
              where d.property_id = a.property_id
                and d.id::text in (select c ->> 'document_id' from jsonb_array_elements(a.audit_results -> 'checks') as c)), '[]'),
           'earlier_audits', (select count(*) from public.property_audits as e where e.property_id = a.property_id and e.audit_date < a.audit_date),
           'generated_at', $2::timestamptz)
         from public.property_audits as a join public.properties as p on p.id = a.property_id
         where a.property_id = $1 and a.compliance_status <> 'in_progress' order by a.audit_date desc, a.id desc limit 1"
    );
    let row = command.tx.query_opt(text, &[&body.property_id, &command.now]).await?;
    let report: Value = row.ok_or(Problem::NotFound)?.try_get(0)?;
    Ok(json!({ "success": true, "report": report }))
}
