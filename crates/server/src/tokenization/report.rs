//! Reports about a process, kept as they were when they were made.

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::process;
use crate::{
    command::Command,
    db::{OnConstraint as _, sql},
    outbox,
    permission::Person,
    problem::Problem,
};

/// Asks for a report.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AskReport {
    process_id: Uuid,
    report_type: Option<String>,
}

/// Makes a report about a process that the caller may see, and keeps it; an older one of its type is superseded.
///
/// # Errors
/// Where there is no such process for the caller, or the type is no word.
pub async fn generate(command: &Command, person: &Person, body: AskReport) -> Result<Value, Problem> {
    let process = process::seen_by(command, person, Some(body.process_id))
        .await?
        .pop()
        .ok_or(Problem::NotFound)?;
    let kind = body.report_type.unwrap_or_else(|| "summary".to_owned());
    let text = sql!(
        "update public.tokenization_reports set status = 'superseded' where process_id = $1 and report_type = $2 and status = 'generated'"
    );
    command.tx.execute(text, &[&body.process_id, &kind]).await?;
    let text = sql!(
        "insert into public.tokenization_reports (id, process_id, property_id, report_type, report_data, metrics, performance_data,
           compliance_data, generated_at, generated_by)
         select $1, p.id, p.property_id, $3, $4,
           (select jsonb_build_object('steps', count(*), 'completed', count(*) filter (where s.status = 'completed'),
              'rejected', count(*) filter (where s.status = 'rejected'), 'seconds', sum(s.duration_seconds),
              'seconds_by_step', jsonb_object_agg(s.step_name, s.duration_seconds))
            from public.tokenization_steps as s where s.process_id = p.id),
           (select jsonb_build_object('price', h.price, 'price_per_token', h.price_per_token, 'total_tokens', h.total_tokens,
              'tokens_issued', h.tokens_issued, 'currency', h.currency, 'tokenization_status', h.tokenization_status)
            from public.properties as h where h.id = p.property_id),
           jsonb_build_object(
             'evidence', coalesce((select jsonb_agg(jsonb_build_object('document_id', d.id, 'document_type', d.document_type,
                'review_status', d.review_status, 'issued_on', d.issued_on, 'expires_at', d.expires_at, 'sha256', encode(d.sha256, 'hex'),
                'is_current', d.review_status = 'accepted' and coalesce(d.expires_at > $5, true)) order by d.created_at, d.id)
                from public.property_documents as d where d.property_id = p.property_id), '[]'),
             'audits', coalesce((select jsonb_agg(jsonb_build_object('audit_id', a.id, 'audit_score', a.audit_score, 'risk_level', a.risk_level,
                'compliance_status', a.compliance_status, 'audit_date', a.audit_date) order by a.audit_date, a.id)
                from public.property_audits as a where a.property_id = p.property_id), '[]'),
             'gate_passes', coalesce((select jsonb_agg(jsonb_build_object('pass_id', g.id, 'action', g.action, 'passed_at', g.passed_at,
                'override_id', g.override_id) order by g.passed_at, g.id)
                from public.gate_passes as g where g.property_id = p.property_id), '[]')),
           $5, $6
         from public.tokenization_processes as p where p.id = $2
         returning jsonb_build_object('id', id, 'process_id', process_id, 'property_id', property_id, 'report_type', report_type,
           'report_data', report_data, 'metrics', metrics, 'performance_data', performance_data, 'compliance_data', compliance_data,
           'status', status, 'generated_at', generated_at, 'generated_by', generated_by)"
    );
    let id = Uuid::now_v7();
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&id, &body.process_id, &kind, &process, &command.now, &person.user_id()];
    let row = command
        .tx
        .query_one(text, params)
        .await
        .on_constraint("tokenization_reports_type_is_a_word", || {
            Problem::Invalid("reportType is a word of small letters, digits and _, at most 50".to_owned())
        })?;
    let report: Value = row.try_get(0)?;
    let told = json!({ "report_id": id, "process_id": body.process_id });
    outbox::emit(command, "tokenization.reported", &id.to_string(), &told).await?;
    Ok(json!({ "success": true, "report": report }))
}
