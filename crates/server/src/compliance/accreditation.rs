//! Accreditation: a party shows that it may buy what is not for everybody. The life of a case is that of a verification of
//! identity; how long an approval holds is a term of its kind (90 days of an accredited investor in the USA to start with).

use chrono::{DateTime, Utc};
use mint_core::{
    compliance::case::{CaseStatus, CaseStep},
    refusal::Refusal,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    kyc::{Nothing, OfCase, documents_not_free},
    not_for_a_stranger, note_read, object, parties, profile, reason_of, until,
};
use crate::{
    command::Command,
    db::{OnConstraint as _, sql},
    outbox,
    permission::{Officer, Person},
    problem::Problem,
};

/// Documents of one case, at most.
const DOCUMENTS_MAX: usize = 20;

/// What an officer decides about; an entry test decides itself.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Accredited,
    Sophisticated,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Accredited => "accredited",
            Kind::Sophisticated => "sophisticated",
        }
    }
}

/// Net worth as somebody states it, in smallest units.
#[derive(Debug, Deserialize)]
pub struct NetWorth {
    pub(super) minor: i64,
    pub(super) currency: String,
}

/// Asks to count as accredited or sophisticated.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    kind: Kind,
    method: String,
    submission: Option<Value>,
    net_worth: Option<NetWorth>,
    #[serde(default)]
    document_ids: Vec<Uuid>,
}

/// Approves a case.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approve {
    case_id: Uuid,
    expires_at: Option<DateTime<Utc>>,
}

/// A case after a command.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct After {
    success: bool,
    case_id: Uuid,
    status: &'static str,
    expires_at: Option<DateTime<Utc>>,
}

/// The caller's own cases and what counts now.
///
/// # Errors
/// What the database answered.
pub async fn status(command: &Command, person: &Person, _: Nothing) -> Result<Value, Problem> {
    let text = sql!(
        "select coalesce(jsonb_agg(jsonb_build_object('caseId', a.id, 'kind', a.kind, 'method', a.method, 'reason', a.reason,
                  'status', case when a.status = 'approved' and a.expires_at <= $2 then 'expired' else a.status end,
                  'submittedAt', a.created_at, 'decidedAt', a.decided_at, 'expiresAt', a.expires_at)
                order by a.created_at desc, a.id desc), '[]')
         from (select a.id, a.kind, a.method, a.reason, a.status, a.created_at, a.decided_at, a.expires_at
               from public.accreditation_cases as a where a.party_id = $1 order by a.created_at desc, a.id desc limit 50) as a"
    );
    let row = command.tx.query_one(text, &[&person.party_id(), &command.now]).await?;
    let cases: Value = row.try_get(0)?;
    Ok(json!({ "success": true, "cases": cases }))
}

/// Submits a case with documents that the person filed before.
///
/// # Errors
/// A refusal where one of its kind is open already, or a document is not the person's own and free.
pub async fn request(command: &Command, person: &Person, body: Request) -> Result<After, Problem> {
    if body.document_ids.len() > DOCUMENTS_MAX {
        return Err(Problem::Invalid(format!(
            "documentIds names at most {DOCUMENTS_MAX} documents"
        )));
    }
    let submission = object(body.submission)?;
    parties::lock(command, person.party_id()).await?;
    let id = Uuid::now_v7();
    let (amount, currency) = body.net_worth.map(|worth| (worth.minor, worth.currency)).unzip();
    let text = sql!(
        "insert into public.accreditation_cases (id, user_id, party_id, kind, method, submission, net_worth_minor, net_worth_currency, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
    );
    let written = command
        .tx
        .execute(
            text,
            &[
                &id,
                &person.user_id(),
                &person.party_id(),
                &body.kind.name(),
                &body.method,
                &submission,
                &amount,
                &currency,
                &command.now,
            ],
        )
        .await;
    worth_fits(written)
        .on_constraint("accreditation_cases_one_open_key", || {
            Refusal::new(
                "accreditation.one_open",
                "a request of this kind is under way already",
                "wait for the decision, or withdraw it",
            )
            .into()
        })
        .on_constraint("accreditation_cases_method_is_a_word", || {
            Problem::Invalid("method is a word such as income, net_worth, third_party_letter".to_owned())
        })?;
    let text = sql!(
        "update public.kyc_documents set accreditation_case_id = $1
         where id = any ($2) and user_id = $3 and num_nonnulls(kyc_case_id, accreditation_case_id, tax_form_id) = 0"
    );
    let bound = command
        .tx
        .execute(text, &[&id, &body.document_ids, &person.user_id()])
        .await?;
    if usize::try_from(bound).ok() != Some(body.document_ids.len()) {
        return Err(documents_not_free());
    }
    let told = json!({ "case_id": id, "party_id": person.party_id(), "kind": body.kind.name() });
    outbox::emit(command, "accreditation.submitted", &id.to_string(), &told).await?;
    let text = "A compliance officer looks at it. We tell you when it is decided.";
    profile::tell(
        command,
        person.party_id(),
        "accreditation_submitted",
        "We have your request",
        text,
    )
    .await?;
    Ok(after(id, CaseStatus::Submitted, None))
}

/// What is wrong with a stated net worth, said in words.
pub(super) fn worth_fits(written: Result<u64, tokio_postgres::Error>) -> Result<u64, Problem> {
    let invalid =
        || Problem::Invalid("netWorth is {minor, currency}: smallest units and a currency that is known".to_owned());
    written
        .on_constraint("accreditation_cases_net_worth_is_an_amount", invalid)
        .on_constraint("accreditation_cases_net_worth_currency_fkey", invalid)
}

/// Takes an own request back before it is decided.
///
/// # Errors
/// [`Problem::NotFound`] for somebody else's, a refusal once it is decided.
pub async fn withdraw(command: &Command, person: &Person, body: OfCase) -> Result<After, Problem> {
    let case = lock(command, body.case_id).await?;
    if case.user_id != person.user_id() {
        return Err(Problem::NotFound);
    }
    let to = case.status.after(CaseStep::Withdraw)?;
    let text = sql!("update public.accreditation_cases set status = $2, ended_at = $3 where id = $1");
    command.tx.execute(text, &[&case.id, &to.name(), &command.now]).await?;
    outbox::emit(
        command,
        "accreditation.withdrawn",
        &case.id.to_string(),
        &json!({ "case_id": case.id }),
    )
    .await?;
    Ok(after(case.id, to, None))
}

/// The open requests, the oldest first, without what was submitted.
///
/// # Errors
/// What the database answered.
pub async fn queue(command: &Command, officer: &Officer, _: Nothing) -> Result<Value, Problem> {
    let text = sql!(
        "select coalesce(jsonb_agg(jsonb_build_object('caseId', a.id, 'kind', a.kind, 'status', a.status,
                  'submittedAt', a.created_at, 'takenBy', a.taken_by, 'isOwn', a.party_id = $1) order by a.created_at, a.id), '[]')
         from (select a.id, a.kind, a.status, a.created_at, a.taken_by, a.party_id from public.accreditation_cases as a
               where a.status in ('submitted', 'in_review') order by a.created_at, a.id limit 100) as a"
    );
    let cases: Value = command.tx.query_one(text, &[&officer.party_id()]).await?.try_get(0)?;
    Ok(json!({ "success": true, "cases": cases }))
}

/// Everything about a case, for an officer who says why. The read is noted.
///
/// # Errors
/// [`Problem::NotFound`], or a refusal where it is about the officer's own party.
pub async fn get(command: &Command, officer: &Officer, body: OfCase) -> Result<Value, Problem> {
    let reason = reason_of(body.reason.as_deref())?;
    let text = sql!(
        "select a.party_id, jsonb_build_object('caseId', a.id, 'userId', a.user_id, 'partyId', a.party_id, 'kind', a.kind,
                  'method', a.method, 'status', a.status, 'submission', a.submission, 'netWorthMinor', a.net_worth_minor,
                  'netWorthCurrency', a.net_worth_currency,
                  'netWorthDecimals', (select c.decimals from public.currencies as c where c.code = a.net_worth_currency), 'answersRight', a.answers_right, 'submittedAt', a.created_at,
                  'takenBy', a.taken_by, 'decidedBy', a.decided_by, 'decidedAt', a.decided_at, 'reason', a.reason,
                  'expiresAt', a.expires_at, 'documents', coalesce((
                    select jsonb_agg(jsonb_build_object('id', d.id, 'documentType', d.document_type, 'fileName', d.file_name,
                      'fileUrl', d.file_url, 'fileSize', d.file_size, 'status', d.status) order by d.created_at, d.id)
                    from public.kyc_documents as d where d.accreditation_case_id = a.id), '[]'))
         from public.accreditation_cases as a where a.id = $1"
    );
    let row = command
        .tx
        .query_opt(text, &[&body.case_id])
        .await?
        .ok_or(Problem::NotFound)?;
    if row.try_get::<_, Uuid>(0)? == officer.party_id() {
        return Err(not_for_a_stranger());
    }
    note_read(command, "public.accreditation_cases", body.case_id, reason).await?;
    let case: Value = row.try_get(1)?;
    Ok(json!({ "success": true, "case": case }))
}

/// Takes a case into review, from another officer as well.
///
/// # Errors
/// A refusal where it is decided, or about the officer's own party.
pub async fn take(command: &Command, officer: &Officer, body: OfCase) -> Result<After, Problem> {
    let case = lock(command, body.case_id).await?;
    let to = case.status.after(CaseStep::Take)?;
    let text = sql!("update public.accreditation_cases set status = $2, taken_by = $3, taken_at = $4 where id = $1");
    command
        .tx
        .execute(text, &[&case.id, &to.name(), &officer.user_id(), &command.now])
        .await
        .on_constraint("accreditation_cases_decided_by_a_stranger", not_for_a_stranger)
        .on_constraint("accreditation_cases_taken_by_another", not_for_a_stranger)?;
    let key = format!("{}:{}:{}", case.id, officer.user_id(), command.now.timestamp_micros());
    outbox::emit(command, "accreditation.taken", &key, &json!({ "case_id": case.id })).await?;
    Ok(after(case.id, to, None))
}

/// Approves until an instant that the terms of its kind allow; the approval before is replaced.
///
/// # Errors
/// A refusal where the officer did not take it, or the instant is too late.
pub async fn approve(command: &Command, officer: &Officer, body: Approve) -> Result<After, Problem> {
    let case = lock(command, body.case_id).await?;
    let to = case.status.after(CaseStep::Approve)?;
    case.is_taken_by(officer)?;
    let kind = match case.kind.as_str() {
        "accredited" => "accredited",
        _ => "sophisticated",
    };
    let expires_at = until(command, kind, body.expires_at).await?;
    parties::lock(command, case.party_id).await?;
    supersede(command, case.party_id, kind).await?;
    let text = sql!(
        "update public.accreditation_cases set status = $2, decided_by = $3, decided_at = $4, expires_at = $5 where id = $1"
    );
    command
        .tx
        .execute(
            text,
            &[&case.id, &to.name(), &officer.user_id(), &command.now, &expires_at],
        )
        .await
        .on_constraint("accreditation_cases_decided_by_a_stranger", not_for_a_stranger)?;
    let told = format!("You count as {kind} until {}.", expires_at.format("%Y-%m-%d"));
    conclude(
        command,
        &case,
        "accreditation.approved",
        "Your request is approved",
        &told,
    )
    .await?;
    Ok(after(case.id, to, Some(expires_at)))
}

pub(super) async fn supersede(command: &Command, party_id: Uuid, kind: &str) -> Result<(), Problem> {
    let text = sql!(
        "update public.accreditation_cases set status = 'superseded', ended_at = $3
         where party_id = $1 and kind = $2 and status = 'approved'"
    );
    command.tx.execute(text, &[&party_id, &kind, &command.now]).await?;
    Ok(())
}

/// Rejects, with the reason that the person is told.
///
/// # Errors
/// A refusal where the officer did not take it.
pub async fn reject(command: &Command, officer: &Officer, body: OfCase) -> Result<After, Problem> {
    let reason = reason_of(body.reason.as_deref())?;
    let case = lock(command, body.case_id).await?;
    let to = case.status.after(CaseStep::Reject)?;
    case.is_taken_by(officer)?;
    end(command, &case, to, officer, reason).await?;
    conclude(
        command,
        &case,
        "accreditation.rejected",
        "Your request is not approved",
        reason,
    )
    .await?;
    Ok(after(case.id, to, None))
}

/// Takes an approval back.
///
/// # Errors
/// A refusal where the case is not an approval in force.
pub async fn revoke(command: &Command, officer: &Officer, body: OfCase) -> Result<After, Problem> {
    let reason = reason_of(body.reason.as_deref())?;
    let case = lock(command, body.case_id).await?;
    let to = case.status.after(CaseStep::Revoke)?;
    end(command, &case, to, officer, reason).await?;
    conclude(
        command,
        &case,
        "accreditation.revoked",
        "An approval was taken back",
        reason,
    )
    .await?;
    Ok(after(case.id, to, None))
}

async fn end(command: &Command, case: &Case, to: CaseStatus, officer: &Officer, reason: &str) -> Result<(), Problem> {
    let text = sql!(
        "update public.accreditation_cases set status = $2, decided_by = $3, decided_at = $4, reason = $5, ended_at = $4 where id = $1"
    );
    command
        .tx
        .execute(text, &[&case.id, &to.name(), &officer.user_id(), &command.now, &reason])
        .await
        .on_constraint("accreditation_cases_decided_by_a_stranger", not_for_a_stranger)
        .on_constraint("accreditation_cases_decided_by_another", not_for_a_stranger)?;
    Ok(())
}

async fn conclude(
    command: &Command,
    case: &Case,
    topic: &'static str,
    title: &str,
    message: &str,
) -> Result<(), Problem> {
    profile::follow(command, case.party_id).await?;
    profile::tell(command, case.party_id, "accreditation_decided", title, message).await?;
    let told = json!({ "case_id": case.id, "party_id": case.party_id });
    outbox::emit(command, topic, &case.id.to_string(), &told).await?;
    Ok(())
}

fn after(case_id: Uuid, status: CaseStatus, expires_at: Option<DateTime<Utc>>) -> After {
    After {
        success: true,
        case_id,
        status: status.name(),
        expires_at,
    }
}

/// A case under lock.
struct Case {
    id: Uuid,
    user_id: Uuid,
    party_id: Uuid,
    kind: String,
    status: CaseStatus,
    taken_by: Option<Uuid>,
}

impl Case {
    fn is_taken_by(&self, officer: &Officer) -> Result<(), Problem> {
        if self.taken_by == Some(officer.user_id()) {
            return Ok(());
        }
        Err(Refusal::new(
            "case.by_who_took_it",
            "another officer reviews this case",
            "take the case first",
        )
        .into())
    }
}

async fn lock(command: &Command, case_id: Uuid) -> Result<Case, Problem> {
    let text = sql!(
        "select user_id, party_id, kind, status, taken_by from public.accreditation_cases where id = $1 for update"
    );
    let row = command
        .tx
        .query_opt(text, &[&case_id])
        .await?
        .ok_or(Problem::NotFound)?;
    Ok(Case {
        id: case_id,
        user_id: row.try_get(0)?,
        party_id: row.try_get(1)?,
        kind: row.try_get(2)?,
        status: CaseStatus::named(row.try_get(3)?)
            .ok_or_else(|| Problem::internal("a case with a status of another version"))?,
        taken_by: row.try_get(4)?,
    })
}
