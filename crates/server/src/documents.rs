//! Documents about a property: evidence is filed by its manager, reviewed by a compliance officer who is somebody else, and
//! read by whoever its policies let. What it opens is the gate's ([`gate`]).
//!
//! What always holds: the digest and the kind of a document are computed here from its bytes; a document is never replaced,
//! a new version is a new one; who reads what is not public is noted.

pub mod gate;

use chrono::{DateTime, NaiveDate, Utc};
use mint_core::refusal::Refusal;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::{
    command::Command,
    db::{OnConstraint as _, Tx, sql},
    files::{self, Staged, StoredFile},
    outbox,
    permission::{Officer, Person},
    problem::Problem,
};

const BUCKET: &str = "property-evidence";

/// What a document is called in the database, with what it may show.
const TYPES: &[&str] = &[
    "deed",
    "title_search",
    "lien_status",
    "tax_status",
    "insurance",
    "permit",
    "appraisal",
    "entity_papers",
    "lease",
    "inspection",
    "offering",
    "other",
];

/// Files a document.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Upload {
    property_id: Uuid,
    document_type: String,
    document_name: String,
    source: Option<String>,
    issued_on: Option<NaiveDate>,
    expires_at: Option<DateTime<Utc>>,
    #[serde(default, deserialize_with = "yes_or_no")]
    is_public: bool,
    #[serde(default, deserialize_with = "yes_or_no")]
    requires_kyc: bool,
}

/// A field of a form is a text.
fn yes_or_no<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    match Value::deserialize(from)? {
        Value::Bool(yes) => Ok(yes),
        Value::String(text) if text == "true" => Ok(true),
        Value::String(text) if text == "false" => Ok(false),
        Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            Err(serde::de::Error::custom("expected true or false"))
        }
    }
}

/// The document as it was filed.
#[derive(Debug, Serialize)]
pub struct Filed {
    success: bool,
    document: FiledDocument,
}

#[derive(Debug, Serialize)]
struct FiledDocument {
    id: Uuid,
    property_id: Uuid,
    document_name: String,
    document_type: String,
    file_url: String,
    file_type: String,
    file_size: i64,
    sha256: String,
    review_status: &'static str,
}

/// Files a document with its bytes, for a manager of the property.
///
/// # Errors
/// Where the person does not manage the property, the bucket does not take the file, or the dates do not fit.
pub async fn upload(command: &Command, person: &Person, body: Upload, file: &Staged) -> Result<Filed, Problem> {
    let manager = person.manager_of(command, body.property_id).await?;
    if !TYPES.contains(&body.document_type.as_str()) {
        return Err(Problem::Invalid(format!("documentType is one of {}", TYPES.join(", "))));
    }
    let id = Uuid::now_v7();
    let object_name = format!("{}/{id}", body.property_id);
    let stored = files::store(command, file, BUCKET, &object_name, manager.user_id()).await?;
    let file_url = format!("{BUCKET}/{object_name}");
    let text = sql!(
        "insert into public.property_documents (id, property_id, document_name, document_type, file_url, file_type, file_size,
           sha256, source, issued_on, expires_at, is_public, requires_kyc, uploaded_by, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"
    );
    let params: &[&(dyn ToSql + Sync)] = &[
        &id,
        &body.property_id,
        &body.document_name,
        &body.document_type,
        &file_url,
        &stored.mime_type,
        &stored.size,
        &stored.sha256.as_slice(),
        &body.source,
        &body.issued_on,
        &body.expires_at,
        &body.is_public,
        &body.requires_kyc,
        &manager.user_id(),
        &command.now,
    ];
    let invalid = |what: &str| Problem::Invalid(what.to_owned());
    command
        .tx
        .execute(text, params)
        .await
        .on_constraint("property_documents_name_is_not_blank", || {
            invalid("documentName has 1 to 300 characters")
        })
        .on_constraint("property_documents_source_is_short", || {
            invalid("source has at most 500 characters")
        })
        .on_constraint("property_documents_expires_after_issue", || {
            invalid("expiresAt comes after issuedOn")
        })?;
    let told = json!({ "document_id": id, "property_id": body.property_id, "document_type": body.document_type });
    outbox::emit(command, "document.filed", &id.to_string(), &told).await?;
    Ok(Filed {
        success: true,
        document: FiledDocument {
            id,
            property_id: body.property_id,
            document_name: body.document_name,
            document_type: body.document_type,
            file_url,
            file_type: stored.mime_type,
            file_size: stored.size,
            sha256: stored.sha256.iter().map(|byte| format!("{byte:02x}")).collect(),
            review_status: "pending",
        },
    })
}

/// Decides about a document.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Review {
    document_id: Uuid,
    decision: Decision,
    reason: Option<String>,
}

/// What an officer may decide.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It is what it says it is.
    Accepted,
    /// It is not.
    Rejected,
    /// It was, and is no longer.
    Revoked,
}

impl Decision {
    fn name(self) -> &'static str {
        match self {
            Decision::Accepted => "accepted",
            Decision::Rejected => "rejected",
            Decision::Revoked => "revoked",
        }
    }
}

/// A document after its review.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reviewed {
    success: bool,
    review_id: Uuid,
    document_id: Uuid,
    review_status: &'static str,
}

/// Accepts, rejects or revokes a document. The database decides whether the officer may: by the lock of the property's gate.
///
/// # Errors
/// Where the officer filed it, it is not in a state to be decided about, or it has expired.
pub async fn review(command: &Command, officer: &Officer, body: Review) -> Result<Reviewed, Problem> {
    let text = sql!("select nexus.review_document($1, $2, $3, $4)");
    let decision = body.decision.name();
    let refusal = |rule: &str, reason: &str, remedy: &str| -> Problem {
        Refusal::new(rule, reason, remedy)
            .looking_at("document", body.document_id)
            .looking_at("decision", decision)
            .looking_at("at", command.now)
            .into()
    };
    let row = command
        .tx
        .query_one(text, &[&body.document_id, &decision, &body.reason, &command.now])
        .await
        .on_constraint("reviews_are_of_a_document", || Problem::NotFound)
        .on_constraint("reviews_are_by_officers", || Problem::NotPermitted("compliance_officer".to_owned()))
        .on_constraint("reviews_need_four_eyes", || {
            refusal("review.four_eyes", "nobody reviews what they filed", "another compliance officer reviews it")
        })
        .on_constraint("reviews_follow_their_order", || {
            refusal(
                "review.order",
                "the document was decided about already",
                "a pending document is accepted or rejected, an accepted one revoked; file a new version for anything else",
            )
        })
        .on_constraint("reviews_are_of_current_documents", || {
            refusal("review.current", "the document has expired", "file a current version")
        })
        .on_constraint("reviews_are_of_stored_bytes", || {
            refusal("review.stored", "the bytes of the document are not kept here", "file it with upload-document")
        })
        .on_constraint("property_document_reviews_refusal_has_a_reason", || {
            Problem::Invalid("a rejection or revocation says why: reason".to_owned())
        })
        .on_constraint("property_document_reviews_reason_is_bounded", || {
            Problem::Invalid("a reason has at most 2000 characters".to_owned())
        })?;
    let review_id: Uuid = row.try_get(0)?;
    let told = json!({ "document_id": body.document_id, "decision": decision, "officer_id": officer.user_id() });
    outbox::emit(command, "document.reviewed", &review_id.to_string(), &told).await?;
    Ok(Reviewed {
        success: true,
        review_id,
        document_id: body.document_id,
        review_status: decision,
    })
}

/// A document that somebody may see.
#[derive(Debug)]
pub struct Visible {
    bucket: String,
    object_name: String,
    is_published: bool,
}

/// The document, where the policies of whoever has the transaction let it be seen.
///
/// # Errors
/// What the database answered.
pub async fn visible(tx: &Tx, id: Uuid) -> Result<Option<Visible>, Problem> {
    let text = sql!(
        "select split_part(file_url, '/', 1), substr(file_url, strpos(file_url, '/') + 1), is_public and review_status = 'accepted'
         from public.property_documents where id = $1"
    );
    let row = tx.query_opt(text, &[&id]).await?;
    let document = row.map(|row| {
        Ok::<_, Problem>(Visible {
            bucket: row.try_get(0)?,
            object_name: row.try_get(1)?,
            is_published: row.try_get(2)?,
        })
    });
    document.transpose()
}

/// The file of a document, and a note of who reads it unless it is published.
///
/// # Errors
/// Where its bytes are not kept here.
pub async fn open(command: &Command, document: &Visible, reader: Option<Uuid>) -> Result<StoredFile, Problem> {
    let file = files::find(command, &document.bucket, &document.object_name)
        .await?
        .ok_or(Problem::NotFound)?;
    match reader {
        Some(reader) if !document.is_published => {
            files::note_read(command, &document.bucket, &document.object_name, &file, reader).await?;
        }
        // Policies show a visitor what is published alone.
        Some(_) | None => {}
    }
    Ok(file)
}
