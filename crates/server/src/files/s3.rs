//! The file store of several machines: sealed files in a bucket of a service that speaks S3.
//!
//! What arrives is sealed into the local folder first, as the other store does, and put into the bucket under its name
//! before any transaction begins; keeping it only makes sure that it is there, and puts it again where the collector was
//! quicker. Keys and names are as in [`super::folder`]: whoever has the bucket can read nothing and ask it nothing.
//!
//! Its methods block on the network: they are called on threads of a runtime that may.

use std::{
    fs::File,
    io::{self, Read as _},
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::SystemTime,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::{
    Error as S3Error, GetOptions, GetRange, ObjectMeta, ObjectStore, PutMode, PutOptions, WriteMultipart,
    aws::{AmazonS3Builder, S3ConditionalPut},
    path::Path as Key,
};
use ring::hmac;
use tokio::runtime::Handle;

use super::{
    Content, FileStore, Found, Incoming, Rotated, StoreError, Written,
    folder::Folder,
    keys::KeyRing,
    sealed::{CHUNK, Digest, HEADER, ReadAt, Sealed, Unreadable, hex},
};
use crate::config::storage::S3Settings;

const ADDRESS_KEY: &str = "address.key";

/// Bytes that are put at once; more go in parts of so many.
const PUT_AT_ONCE: u64 = 8 * 1024 * 1024;

/// What the first request for a file brings: header and first chunk, which is all of a small one.
const FIRST: u64 = (HEADER + CHUNK + 16) as u64;

/// Sealed files in a bucket.
pub struct S3 {
    bucket: Arc<dyn ObjectStore>,
    /// Where files are sealed before they are put.
    spool: Arc<Folder>,
    keys: KeyRing,
    address_key: Arc<OnceLock<hmac::Key>>,
}

/// The settings do not name a bucket that can be used.
#[derive(Debug, thiserror::Error)]
#[error("the settings of storage_s3 do not fit")]
pub struct NoBucket(#[from] S3Error);

impl S3 {
    /// The store in the bucket that the settings name; `spool` is a local folder for what arrives.
    ///
    /// # Errors
    /// When the settings do not fit. Nothing is asked of the service yet.
    pub fn new(settings: &S3Settings, spool: PathBuf, keys: KeyRing) -> Result<S3, NoBucket> {
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&settings.bucket)
            .with_region(&settings.region)
            .with_access_key_id(settings.access_key.expose())
            .with_secret_access_key(settings.secret_key.expose())
            .with_conditional_put(S3ConditionalPut::ETagMatch);
        if let Some(endpoint) = &settings.endpoint {
            // A service of one's own may be in the clear, on a network of one's own.
            builder = builder.with_endpoint(endpoint).with_allow_http(true);
        }
        Ok(S3::over(Arc::new(builder.build()?), spool, keys))
    }

    fn over(bucket: Arc<dyn ObjectStore>, spool: PathBuf, keys: KeyRing) -> S3 {
        S3 {
            bucket,
            spool: Arc::new(Folder::new(spool, keys.clone())),
            keys,
            address_key: Arc::new(OnceLock::new()),
        }
    }

    fn key_of(&self, digest: &Digest) -> Result<Key, StoreError> {
        let name = hex(hmac::sign(self.address_key()?, digest).as_ref());
        let (shelf, _) = name.split_at_checked(2).unwrap_or_default();
        Ok(Key::from(format!("{shelf}/{name}")))
    }

    /// Of programs that make it at once, the first one's counts for all.
    fn address_key(&self) -> Result<&hmac::Key, StoreError> {
        if let Some(key) = self.address_key.get() {
            return Ok(key);
        }
        let place = Key::from(ADDRESS_KEY);
        let found = match self.open_at(&place) {
            Err(StoreError::NotThere) => {
                let mut key = [0; 32];
                getrandom::fill(&mut key)?;
                let staged = self.spool.stage(&key)?;
                let sealed = std::fs::read(self.spool.staged_path(&staged))?;
                self.spool.discard(&staged)?;
                let options = PutOptions::from(PutMode::Create);
                match block_on(self.bucket.put_opts(&place, sealed.into(), options)) {
                    Ok(_) | Err(S3Error::AlreadyExists { .. } | S3Error::Precondition { .. }) => {}
                    Err(error) => return Err(of_s3(error)),
                }
                self.open_at(&place)?
            }
            found => found?,
        };
        let bytes = found.read(0..u64::MAX)?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
        Ok(self.address_key.get_or_init(|| key))
    }

    fn open_at(&self, key: &Key) -> Result<Sealed<Remote>, StoreError> {
        let options = GetOptions {
            range: Some(GetRange::Bounded(0..FIRST)),
            ..GetOptions::default()
        };
        let (length, first) = block_on(async {
            let found = self.bucket.get_opts(key, options).await?;
            Ok::<_, S3Error>((found.meta.size, found.bytes().await?))
        })
        .map_err(of_s3)?;
        let remote = Remote {
            bucket: self.bucket.clone(),
            key: key.clone(),
            length,
            first,
        };
        Ok(Sealed::open(remote, &self.keys)?)
    }

    /// All files at rest, the address key with them.
    fn all(&self) -> Result<Vec<ObjectMeta>, StoreError> {
        block_on(self.bucket.list(None).try_collect()).map_err(of_s3)
    }

    fn put_file(&self, path: &std::path::Path, key: &Key) -> Result<(), StoreError> {
        put_file(&*self.bucket, path, key)
    }

    fn head(&self, digest: &Digest) -> Result<Option<ObjectMeta>, StoreError> {
        match block_on(self.bucket.head(&self.key_of(digest)?)) {
            Ok(found) => Ok(Some(found)),
            Err(S3Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(of_s3(error)),
        }
    }

    /// Puts a file anew with its key wrapped under the key in use; false where it is already.
    fn rewrap(&self, key: &Key) -> Result<bool, StoreError> {
        let mut nonce = [0; 12];
        getrandom::fill(&mut nonce)?;
        let Some(header) = self.open_at(key)?.rewrapped(&self.keys, nonce)? else {
            return Ok(false);
        };
        block_on(async {
            let mut coming = self.bucket.get(key).await?.into_stream();
            let mut going = WriteMultipart::new(self.bucket.put_multipart(key).await?);
            let mut skipped = HEADER;
            going.write(&header);
            while let Some(bytes) = coming.next().await {
                let bytes = bytes?;
                let skips = skipped.min(bytes.len());
                skipped -= skips;
                going.write(bytes.get(skips..).unwrap_or_default());
                going.wait_for_capacity(1).await?;
            }
            going.finish().await
        })
        .map_err(of_s3)?;
        Ok(true)
    }
}

/// Puts a file whole, or in parts where it is large: one part is held at once, and one is on its way.
fn put_file(bucket: &dyn ObjectStore, path: &std::path::Path, key: &Key) -> Result<(), StoreError> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    if length <= PUT_AT_ONCE {
        let bytes = std::fs::read(path)?;
        return block_on(bucket.put(key, bytes.into())).map(|_| ()).map_err(of_s3);
    }
    let part = usize::try_from(PUT_AT_ONCE).unwrap_or(usize::MAX);
    let mut upload = WriteMultipart::new_with_chunk_size(block_on(bucket.put_multipart(key)).map_err(of_s3)?, part);
    let mut buffer = vec![0; part];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        upload.write(buffer.get(..read).unwrap_or_default());
        block_on(upload.wait_for_capacity(1)).map_err(of_s3)?;
    }
    block_on(upload.finish()).map(|_| ()).map_err(of_s3)
}

fn block_on<F: Future>(work: F) -> F::Output {
    Handle::current().block_on(work)
}

fn of_s3(error: S3Error) -> StoreError {
    if matches!(error, S3Error::NotFound { .. }) {
        StoreError::NotThere
    } else {
        StoreError::Io(io::Error::other(error))
    }
}

/// A file in the bucket, of which the first bytes are here.
struct Remote {
    bucket: Arc<dyn ObjectStore>,
    key: Key,
    length: u64,
    first: Bytes,
}

impl ReadAt for Remote {
    fn length(&self) -> io::Result<u64> {
        Ok(self.length)
    }

    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let end = at + buffer.len() as u64;
        let place = |position: u64| usize::try_from(position).unwrap_or(usize::MAX);
        if let Some(here) = self.first.get(place(at)..place(end)) {
            buffer.copy_from_slice(here);
            return Ok(());
        }
        let bytes = block_on(self.bucket.get_range(&self.key, at..end)).map_err(|error| {
            // That it was taken away since it was opened is told by the kind.
            let is_gone = matches!(error, S3Error::NotFound { .. });
            let kind = if is_gone {
                io::ErrorKind::NotFound
            } else {
                io::ErrorKind::Other
            };
            io::Error::new(kind, error)
        })?;
        if bytes.len() != buffer.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer.copy_from_slice(&bytes);
        Ok(())
    }
}

/// A file that is being sealed locally; finished, it is put.
struct Arriving {
    inner: Box<dyn Incoming>,
    store: Parts,
}

/// What putting needs of the store.
struct Parts {
    bucket: Arc<dyn ObjectStore>,
    spool: Arc<Folder>,
    address_key: hmac::Key,
}

impl Incoming for Arriving {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.inner.write(bytes)
    }

    fn finish(self: Box<Self>) -> Result<Written, StoreError> {
        let Arriving { inner, store } = *self;
        let written = inner.finish()?;
        let name = hex(hmac::sign(&store.address_key, &written.digest).as_ref());
        let (shelf, _) = name.split_at_checked(2).unwrap_or_default();
        let put = put_file(
            &*store.bucket,
            &store.spool.staged_path(&written.name),
            &Key::from(format!("{shelf}/{name}")),
        );
        if put.is_err() {
            // What cannot be removed now is swept later.
            let _ = store.spool.discard(&written.name);
        }
        put.map(|()| written)
    }
}

impl FileStore for S3 {
    fn begin(&self) -> Result<Box<dyn Incoming>, StoreError> {
        let store = Parts {
            bucket: self.bucket.clone(),
            spool: self.spool.clone(),
            address_key: self.address_key()?.clone(),
        };
        let inner = FileStore::begin(&*self.spool)?;
        Ok(Box::new(Arriving { inner, store }))
    }

    fn keep(&self, staged: &str, digest: &Digest) -> Result<(), StoreError> {
        match self.head(digest)? {
            Some(_) => Ok(()),
            None => self.put_file(&self.spool.staged_path(staged), &self.key_of(digest)?),
        }
    }

    fn discard(&self, staged: &str) -> Result<(), StoreError> {
        self.spool.discard(staged)
    }

    fn open(&self, digest: &Digest) -> Result<Arc<dyn Content>, StoreError> {
        let found = self.open_at(&self.key_of(digest)?)?;
        if found.sha256() == *digest {
            Ok(Arc::new(found))
        } else {
            Err(Unreadable::Damaged("it is another file").into())
        }
    }

    fn exists(&self, digest: &Digest) -> Result<bool, StoreError> {
        Ok(self.head(digest)?.is_some())
    }

    fn remove(&self, digest: &Digest) -> Result<(), StoreError> {
        match block_on(self.bucket.delete(&self.key_of(digest)?)) {
            Ok(()) | Err(S3Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(of_s3(error)),
        }
    }

    fn written_at(&self, digest: &Digest) -> Result<Option<SystemTime>, StoreError> {
        Ok(self.head(digest)?.map(|found| found.last_modified.into()))
    }

    fn files(&self) -> Result<Vec<Found>, StoreError> {
        let all = self.all()?.into_iter();
        let found = all.filter(|found| found.location.as_ref() != ADDRESS_KEY).map(|found| {
            let content = match self.open_at(&found.location) {
                Ok(file) => Ok(file.sha256()),
                Err(StoreError::Unreadable(error)) => Err(error),
                Err(error) => Err(Unreadable::Io(io::Error::other(error))),
            };
            Found {
                name: found.location.filename().unwrap_or_default().to_owned(),
                written_at: found.last_modified.into(),
                content,
            }
        });
        Ok(found.collect())
    }

    fn sweep(&self, before: SystemTime) -> Result<u64, StoreError> {
        self.spool.sweep(before)
    }

    fn verify(&self) -> Result<(u64, Vec<String>), StoreError> {
        let (mut read, mut faults) = (0, Vec::new());
        for found in self.all()? {
            let verified = (|| -> Result<(), StoreError> {
                let file = self.open_at(&found.location)?;
                file.verify()?;
                let is_its_name = || Ok::<_, StoreError>(self.key_of(&file.sha256())? == found.location);
                if found.location.as_ref() != ADDRESS_KEY && !is_its_name()? {
                    return Err(Unreadable::Damaged("it lies under another file's name").into());
                }
                Ok(())
            })();
            match verified {
                Err(error) if error.is_gone() => continue,
                Err(error) => faults.push(format!("{}: {}", found.location, crate::problem::chain(&error))),
                Ok(()) => {}
            }
            read += 1;
        }
        Ok((read, faults))
    }

    fn rotate(&self) -> Result<Rotated, StoreError> {
        let mut rotated = Rotated::default();
        for found in self.all()? {
            match self.rewrap(&found.location) {
                Ok(true) => rotated.turned += 1,
                Ok(false) => rotated.were_current += 1,
                Err(error) if error.is_gone() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(rotated)
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use object_store::memory::InMemory;
    use uuid::Uuid;

    use super::*;
    use crate::config::Secret;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_file_that_is_taken_away_while_it_is_read_is_gone_and_not_damaged() {
        let folder = std::env::temp_dir().join(format!("nexus-mint-spool-{}", Uuid::now_v7()));
        let keys = KeyRing::parse(&Secret::new(STANDARD.encode([1; 32])), &[]).unwrap();
        let store = S3::over(Arc::new(InMemory::new()), folder.clone(), keys);
        tokio::task::spawn_blocking(move || {
            let (digest, _) = store.put(&vec![7; 3 * CHUNK]).unwrap();
            let opened = store.open_at(&store.key_of(&digest).unwrap()).unwrap();
            opened.verify().unwrap();
            assert_eq!(
                store.verify().unwrap(),
                (2, vec![]),
                "the file, and the key of the names"
            );
            store.remove(&digest).unwrap();
            let error = StoreError::from(opened.verify().unwrap_err());
            assert!(error.is_gone(), "{error:?}");
            assert_eq!(store.verify().unwrap(), (1, vec![]));
        })
        .await
        .unwrap();
        std::fs::remove_dir_all(folder).unwrap();
    }
}
