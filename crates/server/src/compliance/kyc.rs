//! Verification of identity: a party submits, an officer who is a stranger to it takes, and approves or rejects.

use chrono::{DateTime, Utc};
use mint_core::{
    compliance::{
        Identity, Level, Screening,
        case::{CaseStatus, CaseStep},
    },
    refusal::Refusal,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{not_for_a_stranger, note_read, object, parties, profile, reason_of, screening, standing, until};
use crate::{
    command::Command,
    db::{OnConstraint as _, sql},
    outbox,
    permission::{Officer, Person},
    problem::Problem,
};

/// Documents of one case, at most.
const DOCUMENTS_MAX: usize = 20;

/// Asks for nothing.
#[derive(Debug, Default, Deserialize)]
pub struct Nothing {}

/// Submits what shows who the party is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Submit {
    level: Level,
    submission: Option<Value>,
    #[serde(default)]
    document_ids: Vec<Uuid>,
}

/// Names a case.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OfCase {
    /// The case.
    pub case_id: Uuid,
    /// Why, where that must be said.
    pub reason: Option<String>,
}

/// Approves a case.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approve {
    case_id: Uuid,
    level: Option<Level>,
    expires_at: Option<DateTime<Utc>>,
    legal_name: String,
    country: String,
    #[serde(default)]
    owners: Vec<parties::VerifiedOwner>,
}

/// Where the caller's own verification stands.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    success: bool,
    kyc_status: String,
    kyc_level: String,
    kyc_expires_at: Option<DateTime<Utc>>,
    party_kind: String,
    levels: [&'static str; 2],
    case: Option<OwnCase>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OwnCase {
    id: Uuid,
    level: String,
    status: String,
    reason: Option<String>,
    submitted_at: DateTime<Utc>,
    decided_at: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
}

/// A case as an officer decided it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Decided {
    success: bool,
    case_id: Uuid,
    status: &'static str,
    expires_at: Option<DateTime<Utc>>,
}

/// Where the caller's verification stands.
///
/// # Errors
/// What the database answered.
pub async fn status(command: &Command, person: &Person, _: Nothing) -> Result<Status, Problem> {
    // Read from the cases at this instant: the profile may not have followed an expiry yet.
    let text = sql!(
        "select p.kind, k.id, k.kyc_level, k.status, k.reason, k.created_at, k.decided_at, k.expires_at
         from public.parties as p
         left join lateral (
           select k.id, k.kyc_level, k.status, k.reason, k.created_at, k.decided_at, k.expires_at from public.kyc_cases as k
           where k.party_id = p.id order by k.created_at desc, k.id desc limit 1) as k on true
         where p.id = $1"
    );
    let row = command.tx.query_one(text, &[&person.party_id()]).await?;
    let standings = standing::load(command, &[person.party_id()]).await?;
    let identity = standings
        .get(&person.party_id())
        .map(|standing| standing.identity)
        .ok_or(Problem::NotFound)?;
    let (level, until) = match identity {
        Identity::Approved { level, until } => (level.name(), Some(until)),
        Identity::None | Identity::Pending | Identity::Rejected | Identity::Expired => ("none", None),
    };
    let case_id: Option<Uuid> = row.try_get(1)?;
    let case = match case_id {
        None => None,
        Some(id) => Some(OwnCase {
            id,
            level: row.try_get(2)?,
            status: row.try_get(3)?,
            reason: row.try_get(4)?,
            submitted_at: row.try_get(5)?,
            decided_at: row.try_get(6)?,
            expires_at: row.try_get(7)?,
        }),
    };
    Ok(Status {
        success: true,
        kyc_status: identity.status().to_owned(),
        kyc_level: level.to_owned(),
        kyc_expires_at: until,
        party_kind: row.try_get(0)?,
        levels: Level::ALL.map(Level::name),
        case,
    })
}

/// Submits a case with documents that the person filed before.
///
/// # Errors
/// A refusal where a case is open already, or a document is not the person's own and free.
pub async fn submit(command: &Command, person: &Person, body: Submit) -> Result<Status, Problem> {
    let count = body.document_ids.len();
    if count == 0 || count > DOCUMENTS_MAX {
        return Err(Problem::Invalid(format!(
            "documentIds names 1 to {DOCUMENTS_MAX} documents that you filed before"
        )));
    }
    let submission = object(body.submission)?;
    parties::lock(command, person.party_id()).await?;
    let id = Uuid::now_v7();
    let text = sql!(
        "insert into public.kyc_cases (id, user_id, party_id, kyc_level, submission, created_at) values ($1, $2, $3, $4, $5, $6)"
    );
    command
        .tx
        .execute(
            text,
            &[
                &id,
                &person.user_id(),
                &person.party_id(),
                &body.level.name(),
                &submission,
                &command.now,
            ],
        )
        .await
        .on_constraint("kyc_cases_one_open_key", || {
            Refusal::new(
                "kyc.one_open",
                "your verification is under way already",
                "wait for the decision, or withdraw what you submitted",
            )
            .into()
        })?;
    let text = sql!(
        "update public.kyc_documents set kyc_case_id = $1
         where id = any ($2) and user_id = $3 and num_nonnulls(kyc_case_id, accreditation_case_id, tax_form_id) = 0"
    );
    let bound = command
        .tx
        .execute(text, &[&id, &body.document_ids, &person.user_id()])
        .await?;
    if usize::try_from(bound).ok() != Some(count) {
        return Err(documents_not_free());
    }
    profile::follow(command, person.party_id()).await?;
    profile::tell(
        command,
        person.party_id(),
        "kyc_submitted",
        "We have your documents",
        "Your identity is being verified. We tell you when it is decided.",
    )
    .await?;
    let told = json!({ "case_id": id, "party_id": person.party_id() });
    outbox::emit(command, "kyc.submitted", &id.to_string(), &told).await?;
    status(command, person, Nothing {}).await
}

/// Documents that a person names for a case are his own, and of no other case.
pub fn documents_not_free() -> Problem {
    Refusal::new(
        "documents.own_and_free",
        "a document is not yours, is named twice, or belongs to a case already",
        "file the documents anew and name each once",
    )
    .into()
}

/// Takes an own case back before it is decided.
///
/// # Errors
/// [`Problem::NotFound`] for somebody else's, a refusal once it is decided.
pub async fn withdraw(command: &Command, person: &Person, body: OfCase) -> Result<Status, Problem> {
    let case = lock(command, body.case_id).await?;
    if case.user_id != person.user_id() {
        return Err(Problem::NotFound);
    }
    let to = case.status.after(CaseStep::Withdraw)?;
    let text = sql!("update public.kyc_cases set status = $2, ended_at = $3 where id = $1");
    command.tx.execute(text, &[&case.id, &to.name(), &command.now]).await?;
    profile::follow(command, case.party_id).await?;
    outbox::emit(
        command,
        "kyc.withdrawn",
        &case.id.to_string(),
        &json!({ "case_id": case.id }),
    )
    .await?;
    status(command, person, Nothing {}).await
}

/// The open cases, the oldest first, without what was submitted.
///
/// # Errors
/// What the database answered.
pub async fn queue(command: &Command, officer: &Officer, _: Nothing) -> Result<Value, Problem> {
    let text = sql!(
        "select coalesce(jsonb_agg(jsonb_build_object('caseId', k.id, 'level', k.kyc_level, 'status', k.status,
                  'submittedAt', k.created_at, 'takenBy', k.taken_by, 'partyKind', p.kind, 'isOwn', k.party_id = $1)
                order by k.created_at, k.id), '[]')
         from (select k.id, k.kyc_level, k.status, k.created_at, k.taken_by, k.party_id from public.kyc_cases as k
               where k.status in ('submitted', 'in_review') order by k.created_at, k.id limit 100) as k
         join public.parties as p on p.id = k.party_id"
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
        "select k.party_id, jsonb_build_object('caseId', k.id, 'userId', k.user_id, 'partyId', k.party_id, 'level', k.kyc_level,
                  'status', k.status, 'submission', k.submission, 'submittedAt', k.created_at, 'takenBy', k.taken_by,
                  'decidedBy', k.decided_by, 'decidedAt', k.decided_at, 'reason', k.reason, 'expiresAt', k.expires_at,
                  'partyKind', p.kind, 'legalName', p.legal_name, 'country', p.residency_country,
                  'documents', coalesce((
                    select jsonb_agg(jsonb_build_object('id', d.id, 'documentType', d.document_type, 'fileName', d.file_name,
                      'fileUrl', d.file_url, 'fileSize', d.file_size, 'status', d.status) order by d.created_at, d.id)
                    from public.kyc_documents as d where d.kyc_case_id = k.id), '[]'),
                  'owners', coalesce((
                    select jsonb_agg(jsonb_build_object('ownerPartyId', o.owner_party_id, 'statedName', o.stated_name,
                      'statedCountry', o.stated_country, 'sharePpm', o.share_ppm, 'validFrom', o.valid_from, 'validTo', o.valid_to)
                      order by o.share_ppm desc, o.id)
                    from public.party_owners as o where o.party_id = k.party_id), '[]'))
         from public.kyc_cases as k join public.parties as p on p.id = k.party_id where k.id = $1"
    );
    let row = command
        .tx
        .query_opt(text, &[&body.case_id])
        .await?
        .ok_or(Problem::NotFound)?;
    if row.try_get::<_, Uuid>(0)? == officer.party_id() {
        return Err(not_for_a_stranger());
    }
    note_read(command, "public.kyc_cases", body.case_id, reason).await?;
    let case: Value = row.try_get(1)?;
    Ok(json!({ "success": true, "case": case }))
}

/// Takes a case into review, from another officer as well.
///
/// # Errors
/// A refusal where it is decided, or about the officer's own party.
pub async fn take(command: &Command, officer: &Officer, body: OfCase) -> Result<Decided, Problem> {
    let case = lock(command, body.case_id).await?;
    let to = case.status.after(CaseStep::Take)?;
    let text = sql!("update public.kyc_cases set status = $2, taken_by = $3, taken_at = $4 where id = $1");
    command
        .tx
        .execute(text, &[&case.id, &to.name(), &officer.user_id(), &command.now])
        .await
        .on_constraint("kyc_cases_decided_by_a_stranger", not_for_a_stranger)
        .on_constraint("kyc_cases_taken_by_another", not_for_a_stranger)?;
    let key = format!("{}:{}:{}", case.id, officer.user_id(), command.now.timestamp_micros());
    outbox::emit(command, "kyc.taken", &key, &json!({ "case_id": case.id })).await?;
    Ok(decided(case.id, to, None))
}

/// Approves: name and country become the party's, and the approval counts from now until it expires.
///
/// # Errors
/// A refusal where the officer did not take it, screening is not clear, or the owners of an entity are not known.
pub async fn approve(command: &Command, officer: &Officer, body: Approve) -> Result<Decided, Problem> {
    let case = lock(command, body.case_id).await?;
    let to = case.status.after(CaseStep::Approve)?;
    case.is_taken_by(officer)?;
    let expires_at = until(command, "identity", body.expires_at).await?;
    let level = body.level.unwrap_or(case.level);
    let party_kind = parties::lock(command, case.party_id).await?;
    parties::verify(command, case.party_id, &body.legal_name, &body.country).await?;
    if party_kind == "entity" {
        let states_no_other = case.submission.get("noOtherLargeOwner") == Some(&Value::Bool(true));
        parties::verify_owners(command, case.party_id, &body.owners, states_no_other).await?;
    } else if !body.owners.is_empty() {
        return Err(Problem::Invalid("a person has no owners".to_owned()));
    }
    screening::compare_with_owners(command, case.party_id).await?;
    let standings = standing::load(command, &[case.party_id]).await?;
    let screened = standings.get(&case.party_id).map(|standing| standing.screening);
    match screened {
        Some(Screening::Clear { due_at }) if command.now < due_at => {}
        _ => {
            return Err(Refusal::new(
                "kyc.screened",
                "the party or one of its owners is not clear of the lists",
                "record a screening of each (record-screening), then approve",
            )
            .into());
        }
    }
    let text = sql!(
        "update public.kyc_cases set status = 'superseded', ended_at = $2 where party_id = $1 and status = 'approved'"
    );
    command.tx.execute(text, &[&case.party_id, &command.now]).await?;
    let text = sql!(
        "update public.kyc_cases set status = $2, decided_by = $3, decided_at = $4, expires_at = $5, kyc_level = $6 where id = $1"
    );
    command
        .tx
        .execute(
            text,
            &[
                &case.id,
                &to.name(),
                &officer.user_id(),
                &command.now,
                &expires_at,
                &level.name(),
            ],
        )
        .await
        .on_constraint("kyc_cases_decided_by_a_stranger", not_for_a_stranger)?;
    let text =
        sql!("update public.kyc_documents set status = 'accepted' where kyc_case_id = $1 and status = 'pending'");
    command.tx.execute(text, &[&case.id]).await?;
    let told = format!("Your identity is verified until {}.", expires_at.format("%Y-%m-%d"));
    conclude(command, &case, "kyc.approved", "Your identity is verified", &told).await?;
    Ok(decided(case.id, to, Some(expires_at)))
}

/// Rejects, with the reason that the person is told.
///
/// # Errors
/// A refusal where the officer did not take it.
pub async fn reject(command: &Command, officer: &Officer, body: OfCase) -> Result<Decided, Problem> {
    let reason = reason_of(body.reason.as_deref())?;
    let case = lock(command, body.case_id).await?;
    let to = case.status.after(CaseStep::Reject)?;
    case.is_taken_by(officer)?;
    end(command, &case, to, officer, reason).await?;
    let told = format!("Your identity could not be verified: {reason}");
    conclude(command, &case, "kyc.rejected", "Your identity is not verified", &told).await?;
    Ok(decided(case.id, to, None))
}

/// Takes an approval back, so that the party must show again who it is.
///
/// # Errors
/// A refusal where the case is not an approval in force.
pub async fn revoke(command: &Command, officer: &Officer, body: OfCase) -> Result<Decided, Problem> {
    let reason = reason_of(body.reason.as_deref())?;
    let case = lock(command, body.case_id).await?;
    let to = case.status.after(CaseStep::Revoke)?;
    end(command, &case, to, officer, reason).await?;
    let told = format!("Your identity must be verified again: {reason}");
    conclude(command, &case, "kyc.revoked", "Your verification was taken back", &told).await?;
    Ok(decided(case.id, to, None))
}

async fn end(command: &Command, case: &Case, to: CaseStatus, officer: &Officer, reason: &str) -> Result<(), Problem> {
    let text = sql!(
        "update public.kyc_cases set status = $2, decided_by = $3, decided_at = $4, reason = $5, ended_at = $4 where id = $1"
    );
    command
        .tx
        .execute(text, &[&case.id, &to.name(), &officer.user_id(), &command.now, &reason])
        .await
        .on_constraint("kyc_cases_decided_by_a_stranger", not_for_a_stranger)
        .on_constraint("kyc_cases_decided_by_another", not_for_a_stranger)?;
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
    profile::tell(command, case.party_id, "kyc_decided", title, message).await?;
    let told = json!({ "case_id": case.id, "party_id": case.party_id });
    outbox::emit(command, topic, &case.id.to_string(), &told).await?;
    Ok(())
}

fn decided(case_id: Uuid, status: CaseStatus, expires_at: Option<DateTime<Utc>>) -> Decided {
    Decided {
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
    level: Level,
    status: CaseStatus,
    taken_by: Option<Uuid>,
    submission: Value,
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
        "select user_id, party_id, kyc_level, status, taken_by, submission from public.kyc_cases where id = $1 for update"
    );
    let row = command
        .tx
        .query_opt(text, &[&case_id])
        .await?
        .ok_or(Problem::NotFound)?;
    let unknown = || Problem::internal("a case with a level or status of another version");
    Ok(Case {
        id: case_id,
        user_id: row.try_get(0)?,
        party_id: row.try_get(1)?,
        level: Level::named(row.try_get(2)?).ok_or_else(unknown)?,
        status: CaseStatus::named(row.try_get(3)?).ok_or_else(unknown)?,
        taken_by: row.try_get(4)?,
        submission: row.try_get(5)?,
    })
}
