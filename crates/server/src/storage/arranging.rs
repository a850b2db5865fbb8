//! Moving, copying and removing objects. Bytes do not move: rows name them.

use axum::{Json, body::Bytes, extract::State};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio_postgres::types::Json as Jsonb;

use super::{
    asked::{Asked, At, InBucket},
    downloads::note,
    links::{json_of, place},
    receiving::{cache_control, metadata_header},
    refusal::Refusal,
    rows::{Object, Rules, Written, lock_content, note_unnamed},
};
use crate::{
    app::App,
    db::{Tx, sql},
};

/// Names in one removal: storage-api's.
const AT_ONCE_MAX: usize = 1_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FromTo {
    bucket_id: String,
    source_key: String,
    destination_key: String,
    destination_bucket: Option<String>,
    metadata: Option<Map<String, Value>>,
    copy_metadata: Option<bool>,
}

impl FromTo {
    fn places(&self) -> Result<(At, At), Refusal> {
        let to = self.destination_bucket.as_deref().unwrap_or(&self.bucket_id);
        Ok((
            place(&self.bucket_id, &self.source_key)?,
            place(to, &self.destination_key)?,
        ))
    }
}

/// The object as the caller's own policies show it, that of a public bucket too.
async fn own(tx: &Tx, at: &At) -> Result<Object, Refusal> {
    let found = Object::visible(tx, at).await?;
    if found.is_public {
        let text = sql!("select from storage.objects where bucket_id = $1 and name = $2");
        let row = tx.query_opt(text, &[&at.bucket.as_str(), &at.name.as_str()]).await?;
        row.ok_or(Refusal::NoObject)?;
    }
    Ok(found)
}

async fn check_fit(tx: &Tx, at: &At, object: &Object) -> Result<(), Refusal> {
    let rules = Rules::of(tx, &at.bucket).await?;
    rules.check_kind(object.mime_type())?;
    rules.check_size(object.size())
}

pub(super) async fn rename(asked: Asked, body: Bytes) -> Result<Json<Value>, Refusal> {
    let wish: FromTo = json_of(&body)?;
    let (from, to) = wish.places()?;
    let tx = asked.begin("storage.object.move").await?;
    let object = own(&tx, &from).await?;
    check_fit(&tx, &to, &object).await?;
    let text = sql!("update storage.objects set bucket_id = $3, name = $4 where bucket_id = $1 and name = $2");
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &from.bucket.as_str(),
        &from.name.as_str(),
        &to.bucket.as_str(),
        &to.name.as_str(),
    ];
    if tx.execute(text, params).await? == 0 {
        return Err(Refusal::NoObject);
    }
    tx.commit().await?;
    Ok(Json(
        json!({ "message": "Successfully moved", "Id": object.id, "Key": to.key() }),
    ))
}

pub(super) async fn copy(State(app): State<App>, asked: Asked, body: Bytes) -> Result<Json<Value>, Refusal> {
    let wish: FromTo = json_of(&body)?;
    let (from, to) = wish.places()?;
    let given = metadata_header(&asked.headers)?;
    let tx = asked.begin("storage.object.copy").await?;
    let seen = own(&tx, &from).await?;
    let digest = seen.sha256().ok_or(Refusal::NoObject)?;
    // Whoever copies a file can read the copy.
    note(&app, &from, &seen, asked.noted_reader()).await?;
    lock_content(&tx, &digest).await?;
    // It may have been removed or replaced before the lock was had.
    let object = own(&tx, &from).await?;
    if object.sha256() != Some(digest) {
        return Err(Refusal::NoObject);
    }
    check_fit(&tx, &to, &object).await?;
    let mut written = Written {
        owner: asked.owner(),
        metadata: object.metadata.clone(),
        user_metadata: object.user_metadata.clone().unwrap_or_else(|| json!({})),
        may_replace: asked.may_replace(),
    };
    if !wish.copy_metadata.unwrap_or(true) {
        written.user_metadata = given;
        // What the copy is, its content says.
        let told = wish.metadata.as_ref().and_then(|metadata| metadata.get("cacheControl"));
        if let Some(fields) = written.metadata.as_object_mut() {
            let told = cache_control(told.and_then(Value::as_str));
            fields.insert("cacheControl".to_owned(), told.into());
        }
    }
    let (id, replaced) = written.put(&tx, &to).await?;
    let left: Vec<String> = replaced.into_iter().filter(|tag| tag != object.etag()).collect();
    note_unnamed(&tx, &left).await?;
    tx.commit().await?;
    Ok(Json(json!({
        "Id": id, "Key": to.key(), "id": id, "name": to.name.as_str(), "bucket_id": to.bucket.as_str(),
        "owner": written.owner, "owner_id": written.owner, "metadata": written.metadata, "user_metadata": written.user_metadata,
    })))
}

pub(super) async fn remove(asked: Asked, at: At) -> Result<Json<Value>, Refusal> {
    let names = [at.name.as_str().to_owned()];
    let removed = take_away(&asked, at.bucket.as_str(), &names, "storage.object.delete").await?;
    if removed.is_empty() {
        return Err(Refusal::NoObject);
    }
    Ok(Json(json!({ "message": "Successfully deleted" })))
}

#[derive(Deserialize)]
struct Names {
    prefixes: Vec<String>,
}

pub(super) async fn remove_many(asked: Asked, InBucket(bucket): InBucket, body: Bytes) -> Result<Json<Value>, Refusal> {
    let Names { prefixes } = json_of(&body)?;
    if prefixes.is_empty() {
        return Err(Refusal::Invalid(
            "body/prefixes must NOT have fewer than 1 items".to_owned(),
        ));
    }
    if prefixes.len() > AT_ONCE_MAX {
        return Err(Refusal::Invalid(format!(
            "body/prefixes must NOT have more than {AT_ONCE_MAX} items"
        )));
    }
    let removed = take_away(&asked, bucket.as_str(), &prefixes, "storage.object.delete_many").await?;
    Ok(Json(Value::Array(removed)))
}

/// Lets a statement remove rows of storage, whose guard refuses every other one.
pub(super) async fn announce_removal(tx: &Tx) -> Result<(), Refusal> {
    let text = sql!("select pg_catalog.set_config('storage.allow_delete_query', 'true', true)");
    tx.execute(text, &[]).await?;
    Ok(())
}

/// Removes the objects of these names that the caller may remove: their rows. Others are passed over in silence.
async fn take_away(
    asked: &Asked,
    bucket: &str,
    names: &[String],
    operation: &'static str,
) -> Result<Vec<Value>, Refusal> {
    let tx = asked.begin(operation).await?;
    announce_removal(&tx).await?;
    let text = sql!(
        "delete from storage.objects as o where o.bucket_id = $1 and o.name = any ($2)
         returning o.metadata ->> 'eTag', pg_catalog.to_jsonb(o) - 'path_tokens'"
    );
    let rows = tx.query(text, &[&bucket, &names]).await?;
    let (mut tags, mut removed) = (Vec::new(), Vec::new());
    for row in rows {
        tags.extend(row.try_get::<_, Option<String>>(0)?);
        removed.push(row.try_get::<_, Jsonb<Value>>(1)?.0);
    }
    note_unnamed(&tx, &tags).await?;
    tx.commit().await?;
    Ok(removed)
}
