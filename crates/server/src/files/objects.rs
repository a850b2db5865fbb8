//! The rows of stored files in `storage.objects`, in the shape that storage-api gives them, and what keeps rows and bytes
//! together.

use std::time::{Duration, SystemTime};

use mint_core::refusal::Refusal;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use super::{Files, Staged, StoreError, sealed::Digest};
use crate::{
    command::Command,
    db::{Actor, Db, sql},
    problem::Problem,
};

/// How old bytes without a row are before they are removed: far longer than any transaction may run.
pub const ORPHAN_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// A stored file, by its row.
#[derive(Debug, Clone)]
pub struct StoredFile {
    /// Its row in `storage.objects`.
    pub object_id: Uuid,
    /// The SHA-256 of its content.
    pub sha256: Digest,
    /// Bytes in it.
    pub size: i64,
    /// What its content says that it is.
    pub mime_type: String,
}

/// Gives staged bytes their name and writes their row: `bucket/object_name`, owned by `owner`. The bucket's limits and
/// types hold; a name that is taken is refused, since a new version of a document is a new document.
///
/// # Errors
/// A refusal that names the bucket's rule, or what store or database answered.
pub async fn store(
    command: &Command,
    staged: &Staged,
    bucket: &str,
    object_name: &str,
    owner: Uuid,
) -> Result<StoredFile, Problem> {
    let mime_type = staged.mime_type().unwrap_or("application/octet-stream");
    let text = sql!("select nexus.store_file($1, $2, $3, $4, $5, $6, $7)");
    let sha256 = staged.sha256();
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &bucket,
        &object_name,
        &mime_type,
        &staged.size(),
        &sha256.as_slice(),
        &owner,
        &command.now,
    ];
    // The row's function has locked the content's name against the collector.
    let row = command
        .tx
        .query_one(text, params)
        .await
        .map_err(|error| refused(error, staged, bucket))?;
    staged.keep().await?;
    Ok(StoredFile {
        object_id: row.try_get(0)?,
        sha256,
        size: staged.size(),
        mime_type: mime_type.to_owned(),
    })
}

fn refused(error: tokio_postgres::Error, staged: &Staged, bucket: &str) -> Problem {
    let said = error.as_db_error().map(|said| {
        (
            said.constraint().unwrap_or_default().to_owned(),
            said.hint().unwrap_or_default().to_owned(),
        )
    });
    let (rule, reason) = match (error.code(), said.as_ref().map(|(name, _)| name.as_str())) {
        (_, Some("files_fit_the_bucket")) => ("files.size", "the file is larger than its bucket takes"),
        (_, Some("files_are_of_a_kind_allowed")) => ("files.kind", "the content is of no kind that its bucket takes"),
        (_, Some("files_have_a_bucket")) => ("files.bucket", "there is no such bucket"),
        (Some(&SqlState::UNIQUE_VIOLATION), Some("bucketid_objname")) => {
            ("files.name", "a file of this name is there already")
        }
        (_, _) => return error.into(),
    };
    let hint = said.map(|(_, hint)| hint).filter(|hint| !hint.is_empty());
    Refusal::new(rule, reason, hint.unwrap_or_else(|| "choose another name".to_owned()))
        .looking_at("bucket", bucket)
        .looking_at("size", staged.size())
        .looking_at("kind", staged.mime_type().unwrap_or("unknown"))
        .by("the bucket's limits")
        .into()
}

/// The stored file under a name, if there is one.
///
/// # Errors
/// What the database answered.
pub async fn find(command: &Command, bucket: &str, object_name: &str) -> Result<Option<StoredFile>, Problem> {
    let text = sql!("select object_id, sha256, size, mime_type from nexus.stored_file($1, $2)");
    let Some(row) = command.tx.query_opt(text, &[&bucket, &object_name]).await? else {
        return Ok(None);
    };
    let sha256: Vec<u8> = row.try_get(1)?;
    Ok(Some(StoredFile {
        object_id: row.try_get(0)?,
        sha256: sha256
            .try_into()
            .map_err(|_| Problem::internal("a stored file without its digest"))?,
        size: row.try_get(2)?,
        mime_type: row.try_get(3)?,
    }))
}

/// Notes that somebody read a private file, in the trail of reads. Call it in the transaction that lets him read, and make
/// that last before the first byte leaves.
///
/// # Errors
/// What the database answered.
pub async fn note_read(
    command: &Command,
    bucket: &str,
    object_name: &str,
    file: &StoredFile,
    reader: Uuid,
) -> Result<(), Problem> {
    let text = sql!(
        "insert into public.file_reads (object_id, bucket_id, object_name, sha256, reader_id, read_at)
         values ($1, $2, $3, $4, $5, $6)"
    );
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &file.object_id,
        &bucket,
        &object_name,
        &file.sha256.as_slice(),
        &reader,
        &command.now,
    ];
    command.tx.execute(text, params).await?;
    Ok(())
}

/// What the collector did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Collected {
    /// Bytes that no row named.
    pub removed: u64,
    /// Bytes that were staged and never kept.
    pub swept: u64,
    /// Files that cannot be opened: left where they are, for a person to look at.
    pub unreadable: u64,
}

/// Removes bytes that no row names and that were written before `before`. Each is removed under the lock that [`store`]
/// takes, so that no row can come to name it meanwhile; who stores the same content later writes it anew.
///
/// # Errors
/// What store or database answered.
pub async fn collect(db: &Db, files: &Files, before: SystemTime) -> Result<Collected, Problem> {
    let mut collected = Collected {
        swept: files.blocking(move |store| store.sweep(before)).await?,
        ..Collected::default()
    };
    for found in files.blocking(|store| store.files()).await? {
        match found.content {
            Err(_) => collected.unreadable += 1,
            Ok(digest) if found.written_at < before => {
                collected.removed += u64::from(remove_orphan(db, files, digest, before).await?);
            }
            Ok(_) => {}
        }
    }
    Ok(collected)
}

/// What the collector did with contents that a row had named.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Unnamed {
    /// Contents that no row names any more: their bytes are removed.
    pub removed: u64,
    /// Contents that another row names, or is about to: theirs stay.
    pub kept: u64,
}

/// How many contents are looked at in one transaction.
const UNNAMED_AT_ONCE: i64 = 100;

/// Removes the bytes of objects that were removed or replaced, as far as no other row names them. One lock a content, as
/// [`store`] takes it: whoever is storing it has it, and then it stays.
///
/// # Errors
/// What store or database answered.
pub async fn collect_unnamed(db: &Db, files: &Files) -> Result<Unnamed, Problem> {
    let mut done = Unnamed::default();
    loop {
        let tx = db.as_engine(Actor::Program("file collector")).await?;
        let text = sql!(
            "delete from nexus.unnamed_files where id in
               (select id from nexus.unnamed_files order by id limit $1 for update skip locked) returning sha256"
        );
        let rows = tx.query(text, &[&UNNAMED_AT_ONCE]).await?;
        for row in &rows {
            let sha256: Vec<u8> = row.try_get(0)?;
            let digest: Digest = sha256.try_into().map_err(|_| Problem::internal("no digest"))?;
            let text = sql!("select nexus.lock_unused_file($1)");
            if tx.query_one(text, &[&digest.as_slice()]).await?.try_get(0)? {
                files.blocking(move |store| store.remove(&digest)).await?;
                files.cache().forget(&digest);
                done.removed += 1;
            } else {
                done.kept += 1;
            }
        }
        tx.commit().await?;
        if rows.is_empty() {
            return Ok(done);
        }
    }
}

async fn remove_orphan(db: &Db, files: &Files, digest: Digest, before: SystemTime) -> Result<bool, Problem> {
    let tx = db.as_engine(Actor::Program("file collector")).await?;
    let text = sql!("select nexus.lock_unused_file($1)");
    if !tx.query_one(text, &[&digest.as_slice()]).await?.try_get::<_, bool>(0)? {
        return Ok(false);
    }
    let removed = files
        .blocking(move |store| match store.written_at(&digest)? {
            Some(at) if at < before => store.remove(&digest).map(|()| true),
            Some(_) | None => Ok::<bool, StoreError>(false),
        })
        .await?;
    files.cache().forget(&digest);
    tx.commit().await?;
    Ok(removed)
}
