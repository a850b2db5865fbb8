//! Stored files: bytes behind a store that encrypts them, and their rows in `storage.objects`.
//!
//! - Every file is encrypted from its first byte, of whatever bucket, so that there is one form at rest ([`sealed`]).
//! - Bytes are found by the SHA-256 of their content, which the row keeps as its ETag. The same content is stored once.
//! - Bytes come first, rows after: [`Files::stage`] writes and flushes outside of any transaction, [`store`] gives the
//!   bytes their name and writes the row in the command's. A command that is refused leaves nothing; a crash in between
//!   leaves bytes that no row names, which [`collect`] removes once they are older than any transaction can be.
//!
//! - What public objects hold and is asked for often is kept opened in memory ([`cache`]); of private ones nothing is.
//!
//! Absent on purpose: what a file is about, and who may see it. That is its row's, and that of the concept it belongs to.

pub mod cache;
pub mod folder;
pub mod keys;
pub mod kind;
mod objects;
pub mod s3;
pub mod sealed;
mod streams;

use std::{io, ops::Range, sync::Arc, time::SystemTime};

use bytes::Bytes;
use cache::Cache;
use kind::Looks;
pub use objects::{Collected, ORPHAN_AGE, StoredFile, Unnamed, collect, collect_unnamed, find, note_read, store};
use sealed::{Digest, Unreadable};
pub use streams::{BLOCK, Pieces, Writer, blocks};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    config::Config,
    files::{
        folder::Folder,
        keys::{KeyRing, NoKey},
        s3::{NoBucket, S3},
    },
    problem::Problem,
};

/// The folder of the file store inside the data folder.
pub const FOLDER_NAME: &str = "files";

/// Where bytes are kept. Its methods block: [`Files`] calls them on threads that may.
pub trait FileStore: Send + Sync + 'static {
    /// Begins to write bytes that have no name yet.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn begin(&self) -> Result<Box<dyn Incoming>, StoreError>;

    /// Gives staged bytes their name, for good. The same content again replaces itself. What was staged stays until it is
    /// discarded, so that this can be repeated.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn keep(&self, staged: &str, digest: &Digest) -> Result<(), StoreError>;

    /// Forgets staged bytes.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn discard(&self, staged: &str) -> Result<(), StoreError>;

    /// Opens some content, to read parts of it.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn open(&self, digest: &Digest) -> Result<Arc<dyn Content>, StoreError>;

    /// Writes and flushes bytes that have no name yet.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn stage(&self, bytes: &[u8]) -> Result<String, StoreError> {
        let mut incoming = self.begin()?;
        incoming.write(bytes)?;
        Ok(incoming.finish()?.name)
    }

    /// Stages and keeps: the digest and the size.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn put(&self, bytes: &[u8]) -> Result<(Digest, u64), StoreError> {
        let digest = sealed::digest_of(bytes);
        let staged = self.stage(bytes)?;
        self.keep(&staged, &digest)?;
        self.discard(&staged)?;
        Ok((digest, bytes.len() as u64))
    }

    /// Reads a range; what lies past the end is left out.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn read(&self, digest: &Digest, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        self.open(digest)?.read(range)
    }

    /// Whether there is such content.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn exists(&self, digest: &Digest) -> Result<bool, StoreError>;

    /// Removes content; what is not there is removed already.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn remove(&self, digest: &Digest) -> Result<(), StoreError>;

    /// When content was last written.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn written_at(&self, digest: &Digest) -> Result<Option<SystemTime>, StoreError>;

    /// All files.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn files(&self) -> Result<Vec<Found>, StoreError>;

    /// Removes what was staged before an instant and never kept.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn sweep(&self, before: SystemTime) -> Result<u64, StoreError>;

    /// Reads every file whole: how many, and what is wrong.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn verify(&self) -> Result<(u64, Vec<String>), StoreError>;

    /// Wraps the keys of all files under the key in use.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn rotate(&self) -> Result<Rotated, StoreError>;
}

/// Bytes on their way into the store. Dropped before it is finished, nothing is left of them.
pub trait Incoming: Send {
    /// Adds bytes.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError>;

    /// Flushes them.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn finish(self: Box<Self>) -> Result<Written, StoreError>;
}

/// Bytes that are written and have no name yet.
#[derive(Debug)]
pub struct Written {
    /// What the store calls them meanwhile.
    pub name: String,
    /// The SHA-256 of them.
    pub digest: Digest,
    /// How many they are.
    pub size: u64,
}

/// Some content that is open. It stays readable when it is removed meanwhile, where the store can do that.
pub trait Content: Send + Sync {
    /// Bytes in it.
    fn length(&self) -> u64;

    /// Reads a range, all of it at once; what lies past the end is left out.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn read(&self, range: Range<u64>) -> Result<Vec<u8>, StoreError>;

    /// Reads some bytes from `at` on into a buffer, which may be used again, where nothing has to be waited for: the part of
    /// the buffer in which they stand, empty at the end of the content alone. None where something would have to be.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn read_from_memory(&self, at: u64, buffer: &mut Vec<u8>) -> Result<Option<Range<usize>>, StoreError>;
}

/// A file in the store.
pub struct Found {
    /// Its name there.
    pub name: String,
    /// When it was last written.
    pub written_at: SystemTime,
    /// What it holds, or why that cannot be said.
    pub content: Result<Digest, Unreadable>,
}

/// What a rotation did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Rotated {
    /// Files that are under the key in use now and were not.
    pub turned: u64,
    /// Files that were already.
    pub were_current: u64,
}

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such content.
    #[error("there is no such stored file")]
    NotThere,
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The disk says no.
    #[error("the file store cannot be used")]
    Io(#[from] io::Error),
    /// The operating system gave no randomness.
    #[error("the operating system gave no random bytes")]
    Random(#[from] getrandom::Error),
    /// The thread that did it is gone.
    #[error("the file store was interrupted")]
    Interrupted,
}

impl StoreError {
    /// Whether what was listed a moment ago is not there any more: the collector of a running server took it away,
    /// perhaps while it was read.
    fn is_gone(&self) -> bool {
        match self {
            StoreError::NotThere => true,
            StoreError::Io(error) | StoreError::Unreadable(Unreadable::Io(error)) => {
                error.kind() == io::ErrorKind::NotFound
            }
            StoreError::Unreadable(Unreadable::Damaged(_) | Unreadable::KeyMissing(_))
            | StoreError::Random(_)
            | StoreError::Interrupted => false,
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        Problem::internal(error)
    }
}

/// There is no store as the settings name it.
#[derive(Debug, thiserror::Error)]
pub enum NoStore {
    /// A key is none.
    #[error(transparent)]
    Key(#[from] NoKey),
    /// The bucket cannot be used.
    #[error(transparent)]
    Bucket(#[from] NoBucket),
}

/// The program's files: cheap to clone.
#[derive(Clone)]
pub struct Files {
    store: Arc<dyn FileStore>,
    turns: Arc<Semaphore>,
    cache: Arc<Cache>,
}

/// Uploads at once: each holds its file in memory.
const UPLOADS_MAX: usize = 4;

impl Files {
    /// The store that the settings name. Nothing is made before the first file comes.
    ///
    /// # Errors
    /// When a key is none, or the bucket's settings do not fit.
    pub fn of(config: &Config) -> Result<Files, NoStore> {
        let keys = KeyRing::parse(&config.file_key, &config.settings.file_keys_old)?;
        let folder = config.settings.data_dir.join(FOLDER_NAME);
        Ok(match &config.settings.storage.s3 {
            Some(settings) => Files::over(S3::new(settings, folder, keys)?),
            None => Files::over(Folder::new(folder, keys)),
        })
    }

    /// Files over a store of choice.
    pub fn over(store: impl FileStore) -> Files {
        Files {
            store: Arc::new(store),
            turns: Arc::new(Semaphore::new(UPLOADS_MAX)),
            cache: Arc::default(),
        }
    }

    /// Waits for one's turn to hold a whole file in memory.
    ///
    /// # Errors
    /// None, as long as the program runs.
    pub async fn turn(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        self.turns
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| StoreError::Interrupted)
    }

    /// Writes bytes down, without a name yet: call this before the command's transaction begins.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn stage(&self, bytes: impl AsRef<[u8]> + Send + 'static) -> Result<Staged, StoreError> {
        let looks = kind::looks(bytes.as_ref(), true);
        let written = self
            .blocking(move |store| {
                let mut incoming = store.begin()?;
                incoming.write(bytes.as_ref())?;
                incoming.finish()
            })
            .await?;
        Ok(Staged::of(self, written, looks))
    }

    /// Reads a range of some content.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn read(&self, digest: Digest, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        self.blocking(move |store| store.read(&digest, range)).await
    }

    /// All of some content that anybody may have, where it is asked for often: from memory, or into it if this is the time.
    /// None where it is not, or where it has not this size (bytes).
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn of_public(&self, digest: Digest, size: u64) -> Result<Option<Bytes>, StoreError> {
        let known = match self.cache.get(&digest) {
            Some(bytes) => Some(bytes),
            None => match self.cache.room(&digest, size) {
                Some(room) => {
                    let bytes = self.read(digest, 0..size.saturating_add(1)).await?;
                    room.keep(bytes)
                }
                None => None,
            },
        };
        Ok(known.filter(|bytes| bytes.len() as u64 == size))
    }

    /// What is kept in memory of public content.
    #[must_use]
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Runs something on the store, on a thread that may block.
    ///
    /// # Errors
    /// What it answers.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn FileStore) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || work(&*store))
            .await
            .map_err(|_| StoreError::Interrupted)?
    }
}

/// Bytes that are written down and have no name yet. Dropped, they are gone.
pub struct Staged {
    files: Files,
    name: String,
    digest: Digest,
    size: i64,
    looks: Looks,
}

impl Staged {
    fn of(files: &Files, written: Written, looks: Looks) -> Staged {
        Staged {
            files: files.clone(),
            name: written.name,
            digest: written.digest,
            size: i64::try_from(written.size).unwrap_or(i64::MAX),
            looks,
        }
    }

    /// The SHA-256 of the content.
    #[must_use]
    pub fn sha256(&self) -> Digest {
        self.digest
    }

    /// Bytes in it.
    #[must_use]
    pub fn size(&self) -> i64 {
        self.size
    }

    /// What its content says that it is; never what its sender says.
    #[must_use]
    pub fn mime_type(&self) -> Option<&'static str> {
        self.looks.mime_type()
    }

    /// What its content looks like.
    #[must_use]
    pub fn looks(&self) -> Looks {
        self.looks
    }

    /// Gives the bytes their name. Call it in the transaction that writes their row, which has locked the content against
    /// the collector (`nexus.file_lock`). It may be called again.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn keep(&self) -> Result<(), StoreError> {
        let (name, digest) = (self.name.clone(), self.digest);
        self.files.blocking(move |store| store.keep(&name, &digest)).await
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // What cannot be removed now is swept later.
        let _ = self.files.store.discard(&self.name);
    }
}
