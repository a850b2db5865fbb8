//! What is kept of uploads under way, in transactions of the engine: policies are asked by whoever calls.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::super::{asked::At, links::place, refusal::Refusal, rows::lock_content};
use crate::{
    app::App,
    db::{Actor, Tx, sql},
    files::{Staged, sealed::Digest},
    problem::Problem,
};

const ACTOR: Actor = Actor::Program("resumable uploads");

/// How long an upload may take, with all its pauses: storage-api's.
const LIFE: TimeDelta = TimeDelta::hours(24);

/// An upload as it was begun.
#[derive(Debug, Clone)]
pub(super) struct Upload {
    /// Its row.
    pub(super) id: Uuid,
    /// Bytes of the whole.
    pub(super) length: u64,
    /// Who began it.
    pub(super) owner: Option<String>,
    /// What its sender says that it is.
    pub(super) content_type: Option<String>,
    /// How long others may keep the object.
    pub(super) cache_control: String,
    /// `Upload-Metadata` as it came.
    pub(super) told: String,
    /// What its sender notes of it.
    pub(super) user_metadata: Value,
    /// Whether it may take the place of another.
    pub(super) may_replace: bool,
    /// When it is forgotten.
    pub(super) expires_at: DateTime<Utc>,
    /// Whether the object is written.
    pub(super) is_finished: bool,
}

/// A part that has come.
#[derive(Debug)]
pub(super) struct Part {
    /// Bytes in it.
    pub(super) size: u64,
    /// By which it is found.
    pub(super) digest: Digest,
}

/// When an upload that begins now is forgotten.
pub(super) fn expiry(now: DateTime<Utc>) -> DateTime<Utc> {
    now + LIFE
}

/// Begins an upload.
pub(super) async fn begin(app: &App, at: &At, upload: &Upload) -> Result<(), Refusal> {
    let tx = app.db.as_engine(ACTOR).await?;
    let text = sql!(
        "insert into nexus.resumable_uploads (id, bucket_id, object_name, owner_id, length, content_type, cache_control, user_metadata,
           may_replace, created_at, expires_at, told)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
    );
    let length = i64::try_from(upload.length).map_err(|_| Refusal::TooLarge)?;
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &upload.id,
        &at.bucket.as_str(),
        &at.name.as_str(),
        &upload.owner,
        &length,
        &upload.content_type,
        &upload.cache_control,
        &Json(&upload.user_metadata),
        &upload.may_replace,
        &app.now(),
        &upload.expires_at,
        &upload.told,
    ];
    tx.execute(text, params).await?;
    Ok(tx.commit().await?)
}

/// An upload with its place.
pub(super) async fn find(app: &App, id: Uuid) -> Result<Option<(At, Upload)>, Refusal> {
    let tx = app.db.as_engine(ACTOR).await?;
    let text = sql!(
        "select bucket_id, object_name, length, owner_id, content_type, cache_control, user_metadata, may_replace, expires_at,
                finished_at is not null, told
         from nexus.resumable_uploads where id = $1"
    );
    let Some(row) = tx.query_opt(text, &[&id]).await? else {
        return Ok(None);
    };
    let at = place(row.try_get(0)?, row.try_get(1)?)?;
    let upload = Upload {
        id,
        length: size_of(row.try_get(2)?)?,
        owner: row.try_get(3)?,
        content_type: row.try_get(4)?,
        cache_control: row.try_get(5)?,
        user_metadata: row.try_get::<_, Json<Value>>(6)?.0,
        may_replace: row.try_get(7)?,
        expires_at: row.try_get(8)?,
        is_finished: row.try_get(9)?,
        told: row.try_get(10)?,
    };
    Ok(Some((at, upload)))
}

fn size_of(size: i64) -> Result<u64, Refusal> {
    u64::try_from(size).map_err(Refusal::internal)
}

/// The parts that have come, in order: each begins where the one before it ends.
pub(super) async fn parts(app: &App, id: Uuid) -> Result<Vec<Part>, Refusal> {
    let tx = app.db.as_engine(ACTOR).await?;
    parts_in(&tx, id).await
}

async fn parts_in(tx: &Tx, id: Uuid) -> Result<Vec<Part>, Refusal> {
    let text = sql!("select size, sha256 from nexus.resumable_parts where upload_id = $1 order by begins_at");
    let rows = tx.query(text, &[&id]).await?;
    let parts = rows.iter().map(|row| {
        let digest: Vec<u8> = row.try_get(1)?;
        Ok(Part {
            size: size_of(row.try_get(0)?)?,
            digest: digest.try_into().map_err(|_| Refusal::internal("no digest"))?,
        })
    });
    parts.collect()
}

/// Bytes in parts.
pub(super) fn offset_of(parts: &[Part]) -> u64 {
    parts.iter().map(|part| part.size).sum()
}

/// Where a part stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Adding {
    /// Behind the others.
    Behind,
    /// In place of the others, whose bytes it begins with.
    Instead,
}

/// Adds bytes that go on at `offset`, for good: from here on the client need not send it again. False where another one
/// came first.
pub(super) async fn add(app: &App, id: Uuid, offset: u64, staged: &Staged, way: Adding) -> Result<bool, Refusal> {
    let tx = app.db.as_engine(ACTOR).await?;
    let text = sql!("select from nexus.resumable_uploads where id = $1 and finished_at is null for update");
    let is_there = tx.query_opt(text, &[&id]).await?.is_some();
    if !is_there || offset_of(&parts_in(&tx, id).await?) != offset {
        return Ok(false);
    }
    let begins_at = match way {
        Adding::Behind => i64::try_from(offset).map_err(Refusal::internal)?,
        Adding::Instead => {
            let_go(&tx, id).await?;
            0
        }
    };
    lock_content(&tx, &staged.sha256()).await?;
    let text = sql!("insert into nexus.resumable_parts (upload_id, begins_at, size, sha256) values ($1, $2, $3, $4)");
    let sha256 = staged.sha256();
    tx.execute(text, &[&id, &begins_at, &staged.size(), &sha256.as_slice()])
        .await?;
    staged.keep().await?;
    tx.commit().await?;
    Ok(true)
}

/// The object is written: parts are let go of, and the upload says that it is finished.
pub(super) async fn finish(app: &App, id: Uuid) -> Result<(), Refusal> {
    let tx = app.db.as_engine(ACTOR).await?;
    let text = sql!("update nexus.resumable_uploads set finished_at = $2 where id = $1");
    tx.execute(text, &[&id, &app.now()]).await?;
    let_go(&tx, id).await?;
    Ok(tx.commit().await?)
}

async fn let_go(tx: &Tx, id: Uuid) -> Result<(), Refusal> {
    let text = sql!(
        "with gone as (delete from nexus.resumable_parts where upload_id = $1 returning sha256)
         insert into nexus.unnamed_files (sha256) select distinct sha256 from gone"
    );
    tx.execute(text, &[&id]).await?;
    Ok(())
}

/// Forgets an upload.
pub(super) async fn forget(app: &App, id: Uuid) -> Result<(), Refusal> {
    finish(app, id).await?;
    let tx = app.db.as_engine(ACTOR).await?;
    tx.execute(sql!("delete from nexus.resumable_uploads where id = $1"), &[&id])
        .await?;
    Ok(tx.commit().await?)
}

/// Forgets uploads that have expired: how many.
///
/// # Errors
/// What the database answered.
pub async fn forget_expired(app: &App) -> Result<u64, Problem> {
    let tx = app.db.as_engine(ACTOR).await?;
    let text = sql!(
        "with expired as (select id from nexus.resumable_uploads where expires_at <= $1 for update),
              gone as (delete from nexus.resumable_parts as p using expired as e where p.upload_id = e.id returning p.sha256)
         insert into nexus.unnamed_files (sha256) select distinct sha256 from gone"
    );
    tx.execute(text, &[&app.now()]).await?;
    let text = sql!(
        "delete from nexus.resumable_uploads as u where u.expires_at <= $1
           and not exists (select from nexus.resumable_parts as p where p.upload_id = u.id)"
    );
    let forgotten = tx.execute(text, &[&app.now()]).await?;
    tx.commit().await?;
    Ok(forgotten)
}
