//! Rows of objects, as whoever has the transaction may read and write them.

use axum::http::StatusCode;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use tokio_postgres::{
    Row,
    types::{FromSql, Json, Type},
};
use uuid::Uuid;

use super::{asked::At, names::BucketName, refusal::Refusal};
use crate::{
    db::{Tx, sql},
    files::{Staged, kind, sealed::Digest},
    rest::wire,
};

/// An object by bucket and name, where the caller's policies show it or its bucket is public.
pub(super) const VISIBLE: &str = sql!(
    "select p.id, p.version, p.metadata, p.user_metadata, p.created_at, p.updated_at, true
     from nexus_storage.public_object($1, $2) as p where p.id is not null
     union all
     select o.id, o.version, o.metadata, o.user_metadata, o.created_at, o.updated_at, false
     from storage.objects as o where o.bucket_id = $1 and o.name = $2
     limit 1"
);

/// An object of a public bucket: a row of nulls where that has none, no row where there is no such bucket.
pub(super) const PUBLIC: &str = sql!(
    "select id, version, metadata, user_metadata, created_at, updated_at, true from nexus_storage.public_object($1, $2)"
);

/// An object for whoever has a link to it that holds; of the engine.
pub(super) const LINKED: &str = sql!(
    "select o.id, o.version, o.metadata, o.user_metadata, o.created_at, o.updated_at,
            coalesce((select b.is_public from nexus_storage.bucket_rules($1) as b), false)
     from nexus.signed_object($1, $2) as o"
);

/// What a bucket takes.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    /// Bytes at most, where it says so.
    pub(super) size_max: Option<u64>,
    kinds: Option<Vec<String>>,
}

impl Rules {
    /// The rules of a bucket, whether the caller sees it or not.
    pub(super) async fn of(tx: &Tx, bucket: &BucketName) -> Result<Rules, Refusal> {
        let text = sql!("select file_size_limit, allowed_mime_types from nexus_storage.bucket_rules($1)");
        let row = tx
            .query_opt(text, &[&bucket.as_str()])
            .await?
            .ok_or(Refusal::NoBucket)?;
        let size_max: Option<i64> = row.try_get(0)?;
        Ok(Rules {
            size_max: size_max.and_then(|size| u64::try_from(size).ok()),
            kinds: row.try_get(1)?,
        })
    }

    /// Makes sure that the bucket takes this kind.
    pub(super) fn check_kind(&self, mime_type: &str) -> Result<(), Refusal> {
        let essence = kind::essence(mime_type);
        let Some(kinds) = self.kinds.as_ref().filter(|kinds| !kinds.is_empty()) else {
            return Ok(());
        };
        let fits = |allowed: &String| {
            let allowed = kind::essence(allowed);
            allowed == "*/*"
                || allowed == essence
                || allowed
                    .strip_suffix('*')
                    .is_some_and(|family| family.ends_with('/') && essence.starts_with(family))
        };
        if kinds.iter().any(fits) {
            Ok(())
        } else {
            Err(Refusal::Kind(mime_type.to_owned()))
        }
    }

    /// Makes sure that the bucket takes so many bytes.
    pub(super) fn check_size(&self, size: u64) -> Result<(), Refusal> {
        match self.size_max {
            Some(size_max) if size > size_max => Err(Refusal::TooLarge),
            Some(_) | None => Ok(()),
        }
    }
}

/// An object that somebody may have.
#[derive(Debug, Clone)]
pub(super) struct Object {
    /// Its row.
    pub(super) id: Uuid,
    /// Changes with its content.
    pub(super) version: Option<String>,
    /// What was noted of its content.
    pub(super) metadata: Value,
    /// What its owner noted of it.
    pub(super) user_metadata: Option<Value>,
    /// When the row was made.
    pub(super) created_at: DateTime<Utc>,
    /// When the row last changed.
    pub(super) updated_at: DateTime<Utc>,
    /// Whether it lies in a public bucket.
    pub(super) is_public: bool,
}

impl Object {
    fn of(row: &Row) -> Result<Object, Refusal> {
        let metadata: Option<Json<Value>> = row.try_get(2)?;
        let user_metadata: Option<Json<Value>> = row.try_get(3)?;
        Ok(Object {
            id: row.try_get(0)?,
            version: row.try_get(1)?,
            metadata: metadata.map_or(Value::Null, |found| found.0),
            user_metadata: user_metadata.map(|found| found.0),
            created_at: row.try_get(4)?,
            updated_at: row.try_get(5)?,
            is_public: row.try_get(6)?,
        })
    }

    /// The object of a row as PostgreSQL sent it; none where it is one of nulls.
    pub(super) fn of_wire(row: &wire::Row) -> Result<Option<Object>, Refusal> {
        let mut columns = row.columns();
        let mut next = || columns.next().flatten();
        let Some(id) = value(&Type::UUID, next())? else {
            return Ok(None);
        };
        let version = value(&Type::TEXT, next())?;
        let metadata: Option<Json<Value>> = value(&Type::JSONB, next())?;
        let user_metadata: Option<Json<Value>> = value(&Type::JSONB, next())?;
        let (created_at, updated_at) = (value(&Type::TIMESTAMPTZ, next())?, value(&Type::TIMESTAMPTZ, next())?);
        let no_instant = || Refusal::internal("an object without its instants");
        Ok(Some(Object {
            id,
            version,
            metadata: metadata.map_or(Value::Null, |found| found.0),
            user_metadata: user_metadata.map(|found| found.0),
            created_at: created_at.ok_or_else(no_instant)?,
            updated_at: updated_at.ok_or_else(no_instant)?,
            is_public: value(&Type::BOOL, next())?.unwrap_or_default(),
        }))
    }

    /// The object, where the caller's policies show it or its bucket is public.
    pub(super) async fn visible(tx: &Tx, at: &At) -> Result<Object, Refusal> {
        Object::found(tx.query_opt(VISIBLE, &[&at.bucket.as_str(), &at.name.as_str()]).await?)
    }

    /// The object, for whoever has a link to it that holds; of the engine.
    pub(super) async fn linked(tx: &Tx, at: &At) -> Result<Object, Refusal> {
        Object::found(tx.query_opt(LINKED, &[&at.bucket.as_str(), &at.name.as_str()]).await?)
    }

    fn found(row: Option<Row>) -> Result<Object, Refusal> {
        Object::of(&row.ok_or(Refusal::NoObject)?)
    }

    fn text(&self, field: &str) -> Option<&str> {
        self.metadata.get(field).and_then(Value::as_str)
    }

    /// By which its bytes are found; none of a row that another program wrote.
    pub(super) fn sha256(&self) -> Option<Digest> {
        digest_of_tag(self.etag())
    }

    /// With its quotes.
    pub(super) fn etag(&self) -> &str {
        self.text("eTag").unwrap_or_default()
    }

    /// What it is.
    pub(super) fn mime_type(&self) -> &str {
        self.text("mimetype").unwrap_or("application/octet-stream")
    }

    /// How long others may keep it.
    pub(super) fn cache_control(&self) -> &str {
        self.text("cacheControl").unwrap_or("no-cache")
    }

    /// Bytes in it.
    pub(super) fn size(&self) -> u64 {
        self.metadata.get("size").and_then(Value::as_u64).unwrap_or_default()
    }
}

fn value<'a, T: FromSql<'a>>(kind: &Type, column: Option<&'a [u8]>) -> Result<Option<T>, Refusal> {
    let value = column.map(|column| T::from_sql(kind, column));
    value.transpose().map_err(Refusal::internal)
}

/// The digest that an ETag of ours is.
fn digest_of_tag(tag: &str) -> Option<Digest> {
    let text = tag.strip_prefix('"')?.strip_suffix('"')?;
    let mut digest = [0; 32];
    let pairs = text.as_bytes().chunks(2);
    if pairs.len() != digest.len() {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(pairs) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(digest)
}

/// What is written of an object.
#[derive(Debug, Clone)]
pub(super) struct Written {
    /// Whose it is.
    pub(super) owner: Option<String>,
    /// Of its content.
    pub(super) metadata: Value,
    /// Of its owner.
    pub(super) user_metadata: Value,
    /// Whether it may take the place of another.
    pub(super) may_replace: bool,
}

/// The metadata of some content, as storage-api writes them.
pub(super) fn metadata_of(staged: &Staged, mime_type: &str, cache_control: &str, now: DateTime<Utc>) -> Value {
    let tag: String = staged.sha256().iter().map(|byte| format!("{byte:02x}")).collect();
    json!({
        "eTag": format!("\"{tag}\""),
        "size": staged.size(),
        "mimetype": mime_type,
        "cacheControl": cache_control,
        "lastModified": now.to_rfc3339_opts(SecondsFormat::Millis, true),
        "contentLength": staged.size(),
        "httpStatusCode": StatusCode::OK.as_u16(),
    })
}

/// Locks some content against the collector until the end of the transaction: from here on it stays.
pub(super) async fn lock_content(tx: &Tx, digest: &Digest) -> Result<(), Refusal> {
    let text = sql!(
        "select pg_catalog.pg_advisory_xact_lock_shared(pg_catalog.hashtextextended('file:' || pg_catalog.encode($1::bytea, 'hex'), 0))"
    );
    tx.execute(text, &[&digest.as_slice()]).await?;
    Ok(())
}

impl Written {
    /// Writes the row as whoever has the transaction: its id, and the ETag of what it replaced. Replacing asks for the
    /// policies of SELECT and UPDATE beside INSERT's.
    pub(super) async fn put(&self, tx: &Tx, at: &At) -> Result<(Uuid, Option<String>), Refusal> {
        let (id, version) = (Uuid::new_v4(), Uuid::new_v4().to_string());
        let owner_id: Option<Uuid> = self.owner.as_deref().and_then(|owner| owner.parse().ok());
        let (bucket, name) = (at.bucket.as_str(), at.name.as_str());
        let (metadata, user_metadata) = (Json(&self.metadata), Json(&self.user_metadata));
        let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
            &id,
            &bucket,
            &name,
            &owner_id,
            &self.owner,
            &version,
            &metadata,
            &user_metadata,
        ];
        if !self.may_replace {
            let text = sql!(
                "insert into storage.objects (id, bucket_id, name, owner, owner_id, version, metadata, user_metadata)
                 values ($1, $2, $3, $4, $5, $6, $7, $8)"
            );
            tx.execute(text, params).await?;
            return Ok((id, None));
        }
        let text = sql!(
            "with old as (select o.metadata ->> 'eTag' as tag from storage.objects as o where o.bucket_id = $2 and o.name = $3)
             insert into storage.objects as o (id, bucket_id, name, owner, owner_id, version, metadata, user_metadata)
             values ($1, $2, $3, $4, $5, $6, $7, $8)
             on conflict (bucket_id, name) do update set version = excluded.version, metadata = excluded.metadata,
               user_metadata = excluded.user_metadata, owner = excluded.owner, owner_id = excluded.owner_id
             returning o.id, (select old.tag from old)"
        );
        let row = tx.query_one(text, params).await?;
        Ok((row.try_get(0)?, row.try_get(1)?))
    }

    /// Writes the row of somebody who signed its upload; of the engine.
    pub(super) async fn put_signed(&self, tx: &Tx, at: &At) -> Result<(Uuid, Option<String>), Refusal> {
        let version = Uuid::new_v4().to_string();
        let (bucket, name) = (at.bucket.as_str(), at.name.as_str());
        let (metadata, user_metadata) = (Json(&self.metadata), Json(&self.user_metadata));
        let text = sql!("select id, replaced from nexus.put_signed_object($1, $2, $3, $4, $5, $6, $7)");
        let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
            &bucket,
            &name,
            &self.owner,
            &version,
            &metadata,
            &user_metadata,
            &self.may_replace,
        ];
        let row = tx.query_one(text, params).await?;
        Ok((row.try_get(0)?, row.try_get(1)?))
    }
}

/// Notes that objects with these ETags were removed or replaced, so that their content is looked at.
pub(super) async fn note_unnamed(tx: &Tx, tags: &[String]) -> Result<(), Refusal> {
    if !tags.is_empty() {
        tx.execute(sql!("select nexus_storage.note_unnamed_files($1)"), &[&tags])
            .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_a_digest_or_none() {
        let tag = format!("\"{}\"", "0f".repeat(32));
        assert_eq!(digest_of_tag(&tag), Some([15; 32]));
        for tag in [
            "",
            "\"\"",
            "0f",
            &"0f".repeat(32),
            "\"0f\"",
            &format!("\"{}\"", "zz".repeat(32)),
        ] {
            assert_eq!(digest_of_tag(tag), None, "{tag}");
        }
    }

    #[test]
    fn kinds_that_a_bucket_takes() {
        let rules = |kinds: &[&str]| Rules {
            size_max: Some(10),
            kinds: Some(kinds.iter().map(ToString::to_string).collect()),
        };
        for (kinds, mime_type, is_taken) in [
            (&["image/png"][..], "image/png", true),
            (&["image/png"], "image/jpeg", false),
            (&["image/*"], "image/jpeg", true),
            (&["image/*"], "imagery/jpeg", false),
            (&["*/*"], "a/b", true),
            (&["text/plain"], "text/plain; charset=utf-8", true),
            (&[], "a/b", true),
        ] {
            assert_eq!(
                rules(kinds).check_kind(mime_type).is_ok(),
                is_taken,
                "{kinds:?} {mime_type}"
            );
        }
        assert!(rules(&[]).check_size(10).is_ok() && rules(&[]).check_size(11).is_err());
    }
}
