//! Documents that a person files about himself: bytes of the private bucket `kyc-documents`, in the folder of the login.

use mint_core::refusal::Refusal;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{not_for_a_stranger, note_read, reason_of};
use crate::{
    command::Command,
    db::{OnConstraint as _, sql},
    files::{self, Staged, StoredFile},
    outbox,
    permission::{Overseer, Person},
    problem::Problem,
};

const BUCKET: &str = "kyc-documents";

/// Documents that belong to no case yet, at most: enough for two cases, and no free storage.
const FREE_MAX: i64 = 40;

/// Files a document.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Upload {
    document_type: String,
    file_name: String,
}

/// Files a document with its bytes. The kind is what the content says.
///
/// # Errors
/// Where the bucket does not take the file, or too many wait already.
pub async fn upload(command: &Command, person: &Person, body: Upload, file: &Staged) -> Result<Value, Problem> {
    let text = sql!(
        "select count(*) from public.kyc_documents where user_id = $1 and num_nonnulls(kyc_case_id, accreditation_case_id, tax_form_id, holding_case_id) = 0"
    );
    let free: i64 = command.tx.query_one(text, &[&person.user_id()]).await?.try_get(0)?;
    if free >= FREE_MAX {
        return Err(Refusal::new(
            "documents.free",
            "many of your documents belong to no case yet",
            "submit them before you file more",
        )
        .looking_at("documents_free", free)
        .into());
    }
    let id = Uuid::now_v7();
    let object_name = format!("{}/{id}", person.user_id());
    let stored = files::store(command, file, BUCKET, &object_name, person.user_id()).await?;
    let file_url = format!("{BUCKET}/{object_name}");
    let text = sql!(
        "insert into public.kyc_documents (id, user_id, document_type, file_name, file_url, file_size, created_at)
         values ($1, $2, $3, $4, $5, $6, $7)"
    );
    command
        .tx
        .execute(
            text,
            &[
                &id,
                &person.user_id(),
                &body.document_type,
                &body.file_name,
                &file_url,
                &stored.size,
                &command.now,
            ],
        )
        .await
        .on_constraint("kyc_documents_type_is_a_word", || {
            Problem::Invalid("documentType is a word such as passport, national_id, proof_of_address".to_owned())
        })
        .on_constraint("kyc_documents_file_name_is_bounded", || {
            Problem::Invalid("fileName has 1 to 300 characters".to_owned())
        })?;
    outbox::emit(
        command,
        "kyc.document_filed",
        &id.to_string(),
        &json!({ "document_id": id }),
    )
    .await?;
    Ok(json!({
        "success": true,
        "document": { "id": id, "document_type": body.document_type, "file_url": file_url, "file_type": stored.mime_type,
                      "file_size": stored.size, "status": "pending" }
    }))
}

/// The stored file of one's own document.
///
/// # Errors
/// [`Problem::NotFound`] for another's.
pub async fn open_own(command: &Command, person: &Person, id: Uuid) -> Result<StoredFile, Problem> {
    let text = sql!("select file_url from public.kyc_documents where id = $1 and user_id = $2");
    let row = command.tx.query_opt(text, &[&id, &person.user_id()]).await?;
    let file_url: String = row.ok_or(Problem::NotFound)?.try_get(0)?;
    let (_, name) = file_url.split_once('/').ok_or(Problem::NotFound)?;
    files::find(command, BUCKET, name).await?.ok_or(Problem::NotFound)
}

/// The stored file of a document of a case, for an officer who says why; the papers of a case about holdings are for admins
/// too, who approve it. The read is noted; make the command last before the first byte leaves.
///
/// # Errors
/// [`Problem::NotFound`] where it belongs to no case, a refusal about the reader's own party.
pub async fn open(command: &Command, reader: &Overseer, id: Uuid, reason: Option<&str>) -> Result<StoredFile, Problem> {
    let reason = reason_of(reason)?;
    let text = sql!(
        "select d.file_url, array_remove(array[k.party_id, a.party_id, f.party_id, h.party_id, h.to_party_id], null), h.id is not null
         from public.kyc_documents as d
         left join public.kyc_cases as k on k.id = d.kyc_case_id
         left join public.accreditation_cases as a on a.id = d.accreditation_case_id
         left join public.tax_forms as f on f.id = d.tax_form_id
         left join public.holding_cases as h on h.id = d.holding_case_id
         where d.id = $1 and num_nonnulls(k.id, a.id, f.id, h.id) > 0"
    );
    let row = command.tx.query_opt(text, &[&id]).await?;
    let is_about_holdings = row.as_ref().map(|row| row.try_get::<_, bool>(2)).transpose()?;
    if !is_about_holdings.unwrap_or(false) {
        // Who is no officer is not told that there is such a document.
        reader.officer().map_err(|_| Problem::NotFound)?;
    }
    let row = row.ok_or(Problem::NotFound)?;
    if row.try_get::<_, Vec<Uuid>>(1)?.contains(&reader.party_id()) {
        return Err(not_for_a_stranger());
    }
    let file_url: String = row.try_get(0)?;
    let (_, name) = file_url.split_once('/').ok_or(Problem::NotFound)?;
    let file = files::find(command, BUCKET, name).await?.ok_or(Problem::NotFound)?;
    note_read(command, "public.kyc_documents", id, reason).await?;
    files::note_read(command, BUCKET, name, &file, reader.user_id()).await?;
    Ok(file)
}
