//! Bundles for those who oversee the platform from outside: what was decided about a property, by whom, on what evidence.

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{command::Command, db::sql, outbox, permission::Overseer, problem::Problem};

/// The most entries of the ledger that one bundle carries; it says when there are more.
const ENTRIES_MAX: i64 = 10_000;

/// Asks for a bundle.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AskEvidence {
    property_id: Uuid,
    #[serde(default)]
    include_transactions: bool,
}

/// Everything that decisions about a property rest on: documents with their digests and reviews, passes and overrides,
/// audits, the process, and where it is asked for the property's entries in the ledger.
///
/// # Errors
/// Where there is no such property.
pub async fn regulatory_evidence(command: &Command, overseer: &Overseer, body: AskEvidence) -> Result<Value, Problem> {
    let text = sql!(
        "select jsonb_build_object(
           'property', jsonb_build_object('id', p.id, 'title', p.title, 'address', p.address, 'city', p.city, 'country', p.country,
             'currency', p.currency, 'tokenization_status', p.tokenization_status, 'total_tokens', p.total_tokens),
           'tokens', coalesce((select jsonb_agg(jsonb_build_object('id', t.id, 'name', t.name, 'symbol', t.symbol, 'total_supply', t.total_supply,
             'initial_price', t.initial_price, 'currency', t.currency, 'status', t.status, 'settlement', t.settlement) order by t.created_at, t.id)
             from public.property_tokens as t where t.property_id = p.id), '[]'),
           'documents', coalesce((select jsonb_agg(jsonb_build_object('id', d.id, 'document_type', d.document_type, 'document_name', d.document_name,
             'source', d.source, 'sha256', encode(d.sha256, 'hex'), 'issued_on', d.issued_on, 'expires_at', d.expires_at,
             'review_status', d.review_status, 'uploaded_by', d.uploaded_by, 'created_at', d.created_at,
             'reviews', coalesce((select jsonb_agg(jsonb_build_object('reviewer_id', r.reviewer_id, 'decision', r.decision, 'reason', r.reason,
               'reviewed_at', r.reviewed_at) order by r.reviewed_at, r.id)
               from public.property_document_reviews as r where r.document_id = d.id), '[]')) order by d.created_at, d.id)
             from public.property_documents as d where d.property_id = p.id), '[]'),
           'gate_passes', coalesce((select jsonb_agg(jsonb_build_object('id', g.id, 'action', g.action, 'subject_id', g.subject_id,
             'offering_kind', g.offering_kind, 'passed_at', g.passed_at, 'actor_id', g.actor_id, 'override_id', g.override_id,
             'evidence', (select jsonb_agg(jsonb_build_object('requirement', e.requirement, 'document_id', e.document_id,
               'sha256', encode(e.sha256, 'hex')) order by e.requirement) from public.gate_pass_evidence as e where e.pass_id = g.id))
             order by g.passed_at, g.id) from public.gate_passes as g where g.property_id = p.id), '[]'),
           'gate_overrides', coalesce((select jsonb_agg(jsonb_build_object('id', o.id, 'action', o.action, 'subject_id', o.subject_id,
             'requirements', o.requirements, 'reason', o.reason, 'requested_by', o.requested_by, 'requested_at', o.requested_at,
             'approved_by', o.approved_by, 'approved_at', o.approved_at, 'valid_until', o.valid_until) order by o.requested_at, o.id)
             from public.gate_overrides as o where o.property_id = p.id), '[]'),
           'audits', coalesce((select jsonb_agg(jsonb_build_object('id', a.id, 'auditor_id', a.auditor_id, 'audit_score', a.audit_score,
             'risk_level', a.risk_level, 'compliance_status', a.compliance_status, 'audit_results', a.audit_results,
             'audit_date', a.audit_date, 'next_review_date', a.next_review_date) order by a.audit_date, a.id)
             from public.property_audits as a where a.property_id = p.id), '[]'),
           'processes', coalesce((select jsonb_agg(jsonb_build_object('id', t.id, 'status', t.status, 'user_id', t.user_id,
             'launch_pass_id', t.launch_pass_id, 'created_at', t.created_at,
             'steps', (select jsonb_agg(jsonb_build_object('step_name', s.step_name, 'status', s.status, 'submitted_by', s.submitted_by,
               'submitted_at', s.submitted_at, 'decided_by', s.decided_by, 'completed_at', s.completed_at, 'error_details', s.error_details)
               order by s.step_order) from public.tokenization_steps as s where s.process_id = t.id)) order by t.created_at, t.id)
             from public.tokenization_processes as t where t.property_id = p.id), '[]'),
           'generated_at', $2::timestamptz, 'generated_by', $3::uuid)
         from public.properties as p where p.id = $1"
    );
    let row = command
        .tx
        .query_opt(text, &[&body.property_id, &command.now, &overseer.user_id()])
        .await?
        .ok_or(Problem::NotFound)?;
    let mut bundle: Value = row.try_get(0)?;
    if body.include_transactions {
        let transactions = transactions(command, body.property_id).await?;
        if let Some(fields) = bundle.as_object_mut() {
            fields.insert("transactions".to_owned(), transactions);
        }
    }
    let told = json!({ "property_id": body.property_id, "include_transactions": body.include_transactions });
    let key = format!("{}:{}", body.property_id, Uuid::now_v7());
    outbox::emit(command, "regulatory.exported", &key, &told).await?;
    Ok(json!({ "success": true, "bundle": bundle }))
}

/// Parties stand by their ids alone: who they are is asked for elsewhere, with its own trail.
async fn transactions(command: &Command, property_id: Uuid) -> Result<Value, Problem> {
    let text = sql!(
        "select jsonb_build_object('entries', coalesce(jsonb_agg(e.entry order by e.id) filter (where e.place <= $2::bigint), '[]'),
                                   'is_complete', count(*) <= $2::bigint)
         from (
           select e.id, row_number() over (order by e.id) as place,
             jsonb_build_object('id', e.id, 'kind', e.kind, 'business_date', e.business_date, 'recorded_at', e.recorded_at, 'actor_id', e.actor_id,
               'cause', e.cause, 'postings', (select jsonb_agg(jsonb_build_object('account', a.name, 'amount', p.amount) order by p.line)
                 from ledger.postings as p join ledger.accounts as a on a.id = p.account_id where p.entry_id = e.id)) as entry
           from ledger.entries as e
           where e.id in (select p.entry_id from ledger.postings as p join ledger.accounts as a on a.id = p.account_id where a.property_id = $1)
           order by e.id limit $2::bigint + 1) as e"
    );
    Ok(command
        .tx
        .query_one(text, &[&property_id, &ENTRIES_MAX])
        .await?
        .try_get(0)?)
}
