//! Tax forms: what a holder says of himself to the tax office, with its document. A rate of withholding may rest on one that
//! an officer of another party compared with its document; the line of a distribution then carries the form's version (L12).

use chrono::{DateTime, NaiveDate, Utc};
use mint_core::{refusal::Refusal, states::TaxFormStatus};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    kyc::{Nothing, documents_not_free},
    not_for_a_stranger, note_read, parties, profile, reason_of, until,
};
use crate::{
    command::Command,
    db::{OnConstraint as _, sql},
    outbox,
    permission::{Officer, Person},
    problem::Problem,
};

/// Documents of one form, at most: it, and what its instructions ask for beside it.
const DOCUMENTS_MAX: usize = 5;

/// Files a form, with documents that the person filed before.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileForm {
    form: String,
    form_version: String,
    country: String,
    signed_on: NaiveDate,
    document_ids: Vec<Uuid>,
}

/// Names a form, and why somebody looks at it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OfForm {
    tax_form_id: Uuid,
    reason: Option<String>,
}

/// What an officer found.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Decision {
    Checked,
    Rejected,
}

/// Decides about a form.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decide {
    tax_form_id: Uuid,
    decision: Decision,
    reason: Option<String>,
    expires_at: Option<DateTime<Utc>>,
}

/// A form after a command.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct After {
    tax_form_id: Uuid,
    status: &'static str,
    expires_at: Option<DateTime<Utc>>,
}

/// Files a form. One of the same kind that was filed before and not decided is replaced; a checked one counts on until the
/// new one is checked.
///
/// # Errors
/// A refusal where a document is not the person's own and free; [`Problem::Invalid`].
pub async fn file(command: &Command, person: &Person, body: FileForm) -> Result<After, Problem> {
    if !(1..=DOCUMENTS_MAX).contains(&body.document_ids.len()) {
        return Err(Problem::Invalid(format!(
            "documentIds names the signed form, and {DOCUMENTS_MAX} documents at most"
        )));
    }
    parties::lock(command, person.party_id()).await?;
    replace(command, person.party_id(), &body.form, TaxFormStatus::Filed).await?;
    let id = Uuid::now_v7();
    let text = sql!(
        "insert into public.tax_forms (id, party_id, user_id, form, form_version, residency_country, signed_on, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)"
    );
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &id,
        &person.party_id(),
        &person.user_id(),
        &body.form,
        &body.form_version,
        &body.country,
        &body.signed_on,
        &command.now,
    ];
    let invalid = |text: &'static str| move || Problem::Invalid(text.to_owned());
    command
        .tx
        .execute(text, params)
        .await
        .on_constraint(
            "tax_forms_texts_are_bounded",
            invalid("form and formVersion have 1 to 50 characters, such as W-8BEN and 2021-10"),
        )
        .on_constraint(
            "tax_forms_country_is_iso",
            invalid("country is two capital letters, such as US"),
        )
        .on_constraint(
            "tax_forms_not_signed_in_the_future",
            invalid("signedOn: the day is to come"),
        )?;
    let text = sql!(
        "update public.kyc_documents set tax_form_id = $1
         where id = any ($2) and user_id = $3 and num_nonnulls(kyc_case_id, accreditation_case_id, tax_form_id) = 0"
    );
    let bound = command
        .tx
        .execute(text, &[&id, &body.document_ids, &person.user_id()])
        .await?;
    if usize::try_from(bound).ok() != Some(body.document_ids.len()) {
        return Err(documents_not_free());
    }
    let told = json!({ "tax_form_id": id, "party_id": person.party_id(), "form": body.form });
    outbox::emit(command, "tax_form.filed", &id.to_string(), &told).await?;
    Ok(After {
        tax_form_id: id,
        status: TaxFormStatus::Filed.name(),
        expires_at: None,
    })
}

async fn replace(command: &Command, party_id: Uuid, form: &str, status: TaxFormStatus) -> Result<(), Problem> {
    let text =
        sql!("update public.tax_forms set status = 'replaced' where party_id = $1 and form = $2 and status = $3");
    command.tx.execute(text, &[&party_id, &form, &status.name()]).await?;
    Ok(())
}

/// The forms that wait, the oldest first, without what they say.
///
/// # Errors
/// What the database answered.
pub async fn queue(command: &Command, officer: &Officer, _: Nothing) -> Result<Value, Problem> {
    let text = sql!(
        "select coalesce(jsonb_agg(jsonb_build_object('taxFormId', f.id, 'form', f.form, 'filedAt', f.created_at, 'isOwn', f.party_id = $1)
                  order by f.created_at, f.id), '[]')
         from (select f.id, f.form, f.created_at, f.party_id from public.tax_forms as f where f.status = 'filed'
               order by f.created_at, f.id limit 100) as f"
    );
    let forms: Value = command.tx.query_one(text, &[&officer.party_id()]).await?.try_get(0)?;
    Ok(json!({ "taxForms": forms }))
}

/// A form with what was verified about its party beside it, for an officer who says why. The read is noted.
///
/// # Errors
/// [`Problem::NotFound`], or a refusal where it is about the officer's own party.
pub async fn get(command: &Command, officer: &Officer, body: OfForm) -> Result<Value, Problem> {
    let reason = reason_of(body.reason.as_deref())?;
    let text = sql!(
        "select f.party_id, jsonb_build_object('taxFormId', f.id, 'partyId', f.party_id, 'form', f.form, 'formVersion', f.form_version,
                  'country', f.residency_country, 'signedOn', f.signed_on, 'status', f.status, 'filedAt', f.created_at,
                  'decidedBy', f.decided_by, 'decidedAt', f.decided_at, 'reason', f.reason, 'expiresAt', f.expires_at,
                  'verifiedName', p.legal_name, 'verifiedCountry', p.residency_country, 'documents', coalesce((
                    select jsonb_agg(jsonb_build_object('id', d.id, 'documentType', d.document_type, 'fileName', d.file_name)
                      order by d.created_at, d.id)
                    from public.kyc_documents as d where d.tax_form_id = f.id), '[]'))
         from public.tax_forms as f join public.parties as p on p.id = f.party_id where f.id = $1"
    );
    let row = command.tx.query_opt(text, &[&body.tax_form_id]).await?;
    let row = row.ok_or(Problem::NotFound)?;
    if row.try_get::<_, Uuid>(0)? == officer.party_id() {
        return Err(not_for_a_stranger());
    }
    note_read(command, "public.tax_forms", body.tax_form_id, reason).await?;
    let form: Value = row.try_get(1)?;
    Ok(json!({ "taxForm": form }))
}

/// Checks or rejects a form. A checked one replaces the one of its kind that counted before, and counts until it expires.
///
/// # Errors
/// `tax_form.status`; a refusal about the officer's own party, or where it is to count too long.
pub async fn decide(command: &Command, officer: &Officer, body: Decide) -> Result<After, Problem> {
    let text = sql!("select party_id, form, status from public.tax_forms where id = $1 for update");
    let row = command.tx.query_opt(text, &[&body.tax_form_id]).await?;
    let row = row.ok_or(Problem::NotFound)?;
    let (party_id, form, status): (Uuid, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    if status != TaxFormStatus::Filed.name() {
        let remedy = "look at it again: somebody was here before";
        let refusal = Refusal::new("tax_form.status", format!("the form is {status}"), remedy);
        return Err(refusal.looking_at("status", status).into());
    }
    let (to, reason, expires_at) = match body.decision {
        Decision::Checked => {
            replace(command, party_id, &form, TaxFormStatus::Checked).await?;
            let expires_at = until(command, "tax_form", body.expires_at).await?;
            (TaxFormStatus::Checked, None, Some(expires_at))
        }
        Decision::Rejected => (TaxFormStatus::Rejected, Some(reason_of(body.reason.as_deref())?), None),
    };
    let text = sql!(
        "update public.tax_forms set status = $2, decided_by = $3, decided_at = $4, reason = $5, expires_at = $6 where id = $1"
    );
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &body.tax_form_id,
        &to.name(),
        &officer.user_id(),
        &command.now,
        &reason,
        &expires_at,
    ];
    command
        .tx
        .execute(text, params)
        .await
        .on_constraint("tax_forms_decided_by_a_stranger", not_for_a_stranger)
        .on_constraint("tax_forms_decided_by_another", not_for_a_stranger)?;
    let (title, message) = match expires_at {
        Some(expires_at) => (
            "Your tax form is checked",
            format!("{form} counts until {}.", expires_at.format("%Y-%m-%d")),
        ),
        None => ("Your tax form does not count", reason.unwrap_or_default().to_owned()),
    };
    profile::tell(command, party_id, "tax_form_decided", title, &message).await?;
    let told = json!({ "tax_form_id": body.tax_form_id, "party_id": party_id, "status": to.name() });
    outbox::emit(command, "tax_form.decided", &body.tax_form_id.to_string(), &told).await?;
    Ok(After {
        tax_form_id: body.tax_form_id,
        status: to.name(),
        expires_at,
    })
}
