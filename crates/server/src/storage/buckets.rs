//! Buckets, under the policies on `storage.buckets`.

use axum::{Json, body::Bytes, extract::State};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    arranging::announce_removal,
    asked::{Asked, InBucket, Query},
    links::json_of,
    names::BucketName,
    refusal::Refusal,
    rows::note_unnamed,
};
use crate::{
    app::App,
    auth::token::ApiRole,
    db::{like, sql},
    files::kind,
};

/// Kinds of one bucket.
const KINDS_MAX: usize = 100;

/// Buckets in one answer, where no other number is asked for.
const LISTED: i64 = 100;
const LISTED_MAX: i64 = 1_000;

/// Objects that are removed in one transaction when a bucket is emptied.
const EMPTIED_AT_ONCE: i64 = 5_000;

#[derive(Serialize)]
struct Bucket {
    id: String,
    name: String,
    owner: Option<String>,
    public: bool,
    file_size_limit: Option<i64>,
    allowed_mime_types: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

fn bucket_of(row: &Row) -> Result<Bucket, Refusal> {
    Ok(Bucket {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        owner: Some(row.try_get::<_, Option<String>>(2)?.unwrap_or_default()),
        public: row.try_get(3)?,
        file_size_limit: row.try_get(4)?,
        allowed_mime_types: row.try_get(5)?,
        r#type: row.try_get(6)?,
        created_at: row.try_get(7)?,
        updated_at: row.try_get(8)?,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListAsks {
    limit: Option<i64>,
    offset: Option<i64>,
    sort_column: Option<String>,
    sort_order: Option<String>,
    search: Option<String>,
}

pub(super) async fn list(asked: Asked, Query(asks): Query<ListAsks>) -> Result<Json<Value>, Refusal> {
    let tx = asked.begin("storage.bucket.list").await?;
    let column = asks.sort_column.unwrap_or_else(|| "id".to_owned());
    if !["id", "name", "created_at", "updated_at"].contains(&column.as_str()) {
        return Err(Refusal::Invalid(
            "sortColumn is id, name, created_at or updated_at".to_owned(),
        ));
    }
    let is_descending = asks.sort_order.is_some_and(|order| order.eq_ignore_ascii_case("desc"));
    let search = asks.search.map(|search| like(&search)).unwrap_or_default();
    let text = sql!(
        "select id, name, owner_id, coalesce(public, false), file_size_limit, allowed_mime_types, type::text, created_at, updated_at
         from storage.buckets where name ilike '%' || $1 || '%'
         order by case when $3 then case $2 when 'name' then name when 'id' then id else null end end desc,
                  case when $3 then case $2 when 'created_at' then created_at when 'updated_at' then updated_at end end desc,
                  case when not $3 then case $2 when 'name' then name when 'id' then id else null end end,
                  case when not $3 then case $2 when 'created_at' then created_at when 'updated_at' then updated_at end end, id
         limit $4 offset $5"
    );
    let limit = asks.limit.unwrap_or(LISTED).clamp(0, LISTED_MAX);
    let offset = asks.offset.unwrap_or(0).max(0);
    let rows = tx
        .query(text, &[&search, &column, &is_descending, &limit, &offset])
        .await?;
    let found: Result<Vec<Bucket>, Refusal> = rows.iter().map(bucket_of).collect();
    Ok(Json(json!(found?)))
}

pub(super) async fn show(asked: Asked, InBucket(bucket): InBucket) -> Result<Json<Value>, Refusal> {
    let tx = asked.begin("storage.bucket.get").await?;
    let text = sql!(
        "select id, name, owner_id, coalesce(public, false), file_size_limit, allowed_mime_types, null::text, created_at, updated_at
         from storage.buckets where id = $1"
    );
    let row = tx
        .query_opt(text, &[&bucket.as_str()])
        .await?
        .ok_or(Refusal::NoBucket)?;
    Ok(Json(json!(bucket_of(&row)?)))
}

/// A field that may be left out, or be there and null.
fn told<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

#[derive(Deserialize)]
struct Wish {
    id: Option<String>,
    name: Option<String>,
    public: Option<bool>,
    #[serde(default, deserialize_with = "told")]
    file_size_limit: Option<Option<Value>>,
    #[serde(default, deserialize_with = "told")]
    allowed_mime_types: Option<Option<Vec<String>>>,
    r#type: Option<String>,
}

impl Wish {
    fn size_max(&self) -> Result<Option<i64>, Refusal> {
        let Some(Some(size)) = &self.file_size_limit else {
            return Ok(None);
        };
        let wrong = || Refusal::Invalid("Invalid file size format, hint: use 20GB / 20MB / 30KB / 3B".to_owned());
        let size = match size {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => bytes_of(text),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        // None at all is no limit.
        let size = size.filter(|size| *size >= 0).ok_or_else(wrong)?;
        Ok(Some(size).filter(|size| *size > 0))
    }

    fn kinds(&self) -> Result<Option<Vec<String>>, Refusal> {
        let Some(Some(kinds)) = &self.allowed_mime_types else {
            return Ok(None);
        };
        if kinds.len() > KINDS_MAX {
            return Err(Refusal::Kind(kinds.join(", ")));
        }
        // Without parameters, in small letters, each once.
        let mut settled: Vec<String> = Vec::new();
        for kind in kinds {
            let plain = kind::essence(kind);
            let is_kind = plain.len() <= 200
                && plain.bytes().all(|byte| byte.is_ascii_graphic())
                && plain.split_once('/').is_some_and(|(family, name)| {
                    let is_part = |part: &str| !part.is_empty() && !part.contains(['*', '/']);
                    is_part(family) && (name == "*" || is_part(name))
                });
            if !is_kind {
                return Err(Refusal::Kind(kind.clone()));
            }
            if !settled.contains(&plain) {
                settled.push(plain);
            }
        }
        Ok(Some(settled))
    }
}

/// `20MB`, `1.5GB` as bytes: units are powers of 1000, as storage-api has them.
fn bytes_of(text: &str) -> Option<i64> {
    let text = text.trim();
    let unit = text.find(|sign: char| sign.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit);
    let zeros: usize = match unit.to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "KB" => 3,
        "MB" => 6,
        "GB" => 9,
        "TB" => 12,
        _ => return None,
    };
    let (whole, part) = number.trim().split_once('.').unwrap_or((number.trim(), ""));
    let is_number = !whole.is_empty()
        && [whole, part]
            .iter()
            .all(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()));
    // Of a byte there is no part.
    let part: String = part.chars().chain(std::iter::repeat('0')).take(zeros).collect();
    is_number.then(|| format!("{whole}{part}").parse().ok()).flatten()
}

pub(super) async fn create(asked: Asked, body: Bytes) -> Result<Json<Value>, Refusal> {
    let wish: Wish = json_of(&body)?;
    let name = wish.name.as_deref().or(wish.id.as_deref()).unwrap_or_default();
    let name = BucketName::parse(name)?;
    let id = BucketName::parse(wish.id.as_deref().unwrap_or(name.as_str()))?;
    if wish.r#type.as_deref().is_some_and(|kind| kind != "STANDARD") {
        return Err(Refusal::Invalid(
            "only buckets of the type STANDARD are served here".to_owned(),
        ));
    }
    let tx = asked.begin("storage.bucket.create").await?;
    let owner: Option<Uuid> = asked.caller.user_id();
    let text = sql!(
        "insert into storage.buckets (id, name, owner, owner_id, public, file_size_limit, allowed_mime_types)
         values ($1, $2, $3, $4, $5, $6, $7)"
    );
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &id.as_str(),
        &name.as_str(),
        &owner,
        &asked.owner(),
        &wish.public.unwrap_or(false),
        &wish.size_max()?,
        &wish.kinds()?,
    ];
    tx.execute(text, params).await.map_err(|error| {
        let refusal = Refusal::from(error);
        if matches!(refusal, Refusal::Taken) {
            Refusal::BucketTaken
        } else {
            refusal
        }
    })?;
    tx.commit().await?;
    Ok(Json(json!({ "name": name.as_str() })))
}

pub(super) async fn change(asked: Asked, InBucket(bucket): InBucket, body: Bytes) -> Result<Json<Value>, Refusal> {
    let wish: Wish = json_of(&body)?;
    let (sets_size, sets_kinds) = (wish.file_size_limit.is_some(), wish.allowed_mime_types.is_some());
    if wish.public.is_none() && !sets_size && !sets_kinds {
        return Err(Refusal::Invalid(
            "body must have public, file_size_limit or allowed_mime_types".to_owned(),
        ));
    }
    let tx = asked.begin("storage.bucket.update").await?;
    let text = sql!(
        "update storage.buckets set public = coalesce($2, public), file_size_limit = case when $3 then $4 else file_size_limit end,
           allowed_mime_types = case when $5 then $6 else allowed_mime_types end, updated_at = now() where id = $1"
    );
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &bucket.as_str(),
        &wish.public,
        &sets_size,
        &wish.size_max()?,
        &sets_kinds,
        &wish.kinds()?,
    ];
    if tx.execute(text, params).await? == 0 {
        return Err(Refusal::NoBucket);
    }
    tx.commit().await?;
    if wish.public == Some(false) {
        asked.app.files.cache().clear();
    }
    Ok(Json(json!({ "message": "Successfully updated" })))
}

pub(super) async fn empty(
    State(app): State<App>,
    asked: Asked,
    InBucket(bucket): InBucket,
) -> Result<Json<Value>, Refusal> {
    if asked.caller.role() != ApiRole::Service {
        return Err(Refusal::ServiceOnly);
    }
    let (until, mut is_first) = (app.now(), true);
    loop {
        let tx = asked.begin("storage.bucket.empty").await?;
        if is_first {
            let text = sql!("select from storage.buckets where id = $1");
            tx.query_opt(text, &[&bucket.as_str()])
                .await?
                .ok_or(Refusal::NoBucket)?;
            is_first = false;
        }
        announce_removal(&tx).await?;
        let text = sql!(
            "delete from storage.objects as o where o.bucket_id = $1
               and o.id = any (array(select e.id from storage.objects as e where e.bucket_id = $1 limit $2))
             returning o.metadata ->> 'eTag'"
        );
        let rows = tx.query(text, &[&bucket.as_str(), &EMPTIED_AT_ONCE]).await?;
        let tags: Result<Vec<Option<String>>, _> = rows.iter().map(|row| row.try_get(0)).collect();
        note_unnamed(&tx, &tags?.into_iter().flatten().collect::<Vec<_>>()).await?;
        tx.commit().await?;
        if rows.is_empty() {
            tracing::debug!(%until, "a bucket was emptied");
            let message = "Empty bucket has been queued. Completion may take up to an hour.";
            return Ok(Json(json!({ "message": message })));
        }
    }
}

pub(super) async fn remove(asked: Asked, InBucket(bucket): InBucket) -> Result<Json<Value>, Refusal> {
    let tx = asked.begin("storage.bucket.delete").await?;
    announce_removal(&tx).await?;
    let text = sql!("delete from storage.buckets where id = $1");
    let removed = tx
        .execute(text, &[&bucket.as_str()])
        .await
        .map_err(|error| match error.code() {
            Some(&tokio_postgres::error::SqlState::FOREIGN_KEY_VIOLATION) => Refusal::NotEmpty,
            Some(_) | None => error.into(),
        })?;
    if removed == 0 {
        return Err(Refusal::NoBucket);
    }
    tx.commit().await?;
    Ok(Json(json!({ "message": "Successfully deleted" })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_numbers_or_have_units() {
        for (text, bytes) in [
            ("20MB", Some(20_000_000)),
            ("1 gb", Some(1_000_000_000)),
            ("1.5GB", Some(1_500_000_000)),
            ("0.0015KB", Some(1)),
            ("17", Some(17)),
            ("1KB", Some(1000)),
            ("1.x5MB", None),
            (".5MB", None),
            ("", None),
            ("MB", None),
            ("1XB", None),
            ("99999999999TB", None),
        ] {
            assert_eq!(bytes_of(text), bytes, "{text}");
        }
    }
}
