//! The file store of one machine: a folder in the data folder.
//!
//! ```text
//! files/address.key           the key that turns a digest into a name, itself a sealed file
//! files/incoming/<id>         being written, or left by a crash: swept by the collector
//! files/<aa>/<64 hex>         HMAC-SHA256(address key, sha256 of the content): one file for one content
//! ```
//!
//! A name is a keyed digest, so that a stolen folder answers no question like "do you hold this document?". Bytes are
//! written under another name, flushed, then renamed, and the folder flushed: a name is there with everything or not at all.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    ops::Range,
    os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::SystemTime,
};

use ring::hmac;
use uuid::Uuid;

use super::{
    Content, FileStore, Found, Incoming, Rotated, StoreError, Written,
    keys::KeyRing,
    sealed::{Digest, FILE_ID, Fresh, HEADER, ReadAt, Sealed, Sealer, Unreadable, hex},
};

const ADDRESS_KEY: &str = "address.key";
const INCOMING: &str = "incoming";
/// What a header that is being replaced is written to first.
const HEADER_SUFFIX: &str = "header";
/// What the second name of a staged file ends with, before it has its place.
const KEPT_SUFFIX: &str = "kept";

/// A folder of sealed files.
pub struct Folder {
    path: PathBuf,
    keys: KeyRing,
    address_key: OnceLock<hmac::Key>,
}

impl Folder {
    /// The store in a folder, which is made when the first file comes.
    #[must_use]
    pub fn new(path: PathBuf, keys: KeyRing) -> Folder {
        Folder {
            path,
            keys,
            address_key: OnceLock::new(),
        }
    }

    fn place_of(&self, digest: &Digest) -> Result<PathBuf, StoreError> {
        let name = hex(hmac::sign(self.address_key()?, digest).as_ref());
        let (shelf, _) = name.split_at_checked(2).unwrap_or_default();
        Ok(self.path.join(shelf).join(&name))
    }

    fn address_key(&self) -> Result<&hmac::Key, StoreError> {
        if let Some(key) = self.address_key.get() {
            return Ok(key);
        }
        let path = self.path.join(ADDRESS_KEY);
        let bytes = match File::open(&path) {
            Ok(file) => Sealed::open(file, &self.keys)?.read(0..u64::MAX)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.make_address_key(&path)?,
            Err(error) => return Err(error.into()),
        };
        Ok(self
            .address_key
            .get_or_init(|| hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// Of processes that make it at once, one link wins and all read the same.
    fn make_address_key(&self, path: &Path) -> Result<Vec<u8>, StoreError> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        let staged = self.write(&key)?;
        match fs::hard_link(&staged, path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.into()),
        }
        fs::remove_file(&staged)?;
        flush_folder(&self.path)?;
        Ok(Sealed::open(File::open(path)?, &self.keys)?.read(0..u64::MAX)?)
    }

    /// Where something staged lies.
    pub(super) fn staged_path(&self, staged: &str) -> PathBuf {
        self.path.join(INCOMING).join(staged)
    }

    /// Begins a new file among the incoming.
    fn begin(&self) -> Result<Arriving, StoreError> {
        let folder = self.path.join(INCOMING);
        make_folder(&folder)?;
        let path = folder.join(Uuid::now_v7().simple().to_string());
        let file = create(&path)?;
        let mut arriving = Arriving {
            path: Some(path),
            sealer: None,
        };
        arriving.sealer = Some(Sealer::begin(file, &self.keys, Fresh::random()?)?);
        Ok(arriving)
    }

    /// Writes and flushes a new file among the incoming.
    fn write(&self, bytes: &[u8]) -> Result<PathBuf, StoreError> {
        let mut arriving = self.begin()?;
        arriving.write(bytes)?;
        Ok(arriving.end()?.0)
    }

    /// A header may be replaced while it is read: what does not open is looked at once more.
    fn open(&self, digest: &Digest) -> Result<Sealed<File>, StoreError> {
        let path = self.place_of(digest)?;
        let open = || -> Result<Sealed<File>, StoreError> {
            let file = File::open(&path).map_err(|error| {
                if error.kind() == io::ErrorKind::NotFound {
                    StoreError::NotThere
                } else {
                    error.into()
                }
            })?;
            Ok(Sealed::open(file, &self.keys)?)
        };
        let sealed = match open() {
            Err(StoreError::Unreadable(Unreadable::Damaged(_))) => open(),
            result => result,
        }?;
        if sealed.sha256() == *digest {
            Ok(sealed)
        } else {
            Err(Unreadable::Damaged("it is another file").into())
        }
    }

    /// All files at rest, the address key with them.
    fn paths(&self) -> Result<Vec<PathBuf>, StoreError> {
        let mut found = Vec::new();
        for shelf in list(&self.path)? {
            if shelf.ends_with(ADDRESS_KEY) {
                found.push(shelf);
            } else if shelf.is_dir() && !shelf.ends_with(INCOMING) {
                let files = list(&shelf)?.into_iter();
                found.extend(files.filter(|path| path.extension().is_none()));
            }
        }
        Ok(found)
    }

    fn rewrap(&self, path: &Path) -> Result<bool, StoreError> {
        let kept = path.with_extension(HEADER_SUFFIX);
        if let Some(header) = read_if_there(&kept)? {
            // A rotation that was cut off: the new header is written again, unless the file was since written anew.
            let file_id = |bytes: &[u8]| bytes.get(FILE_ID).map(<[u8]>::to_vec);
            let mut begin = [0; HEADER];
            ReadAt::read_exact_at(&File::open(path)?, &mut begin, 0)?;
            if header.len() == HEADER && file_id(&header) == file_id(&begin) {
                replace_header(path, &header)?;
            }
            fs::remove_file(&kept)?;
        }
        let mut nonce = [0; 12];
        getrandom::fill(&mut nonce)?;
        let Some(header) = Sealed::open(File::open(path)?, &self.keys)?.rewrapped(&self.keys, nonce)? else {
            return Ok(false);
        };
        let mut file = create(&kept)?;
        file.write_all(&header)?;
        file.sync_all()?;
        replace_header(path, &header)?;
        fs::remove_file(&kept)?;
        Ok(true)
    }
}

impl FileStore for Folder {
    fn begin(&self) -> Result<Box<dyn Incoming>, StoreError> {
        Ok(Box::new(Folder::begin(self)?))
    }

    fn keep(&self, staged: &str, digest: &Digest) -> Result<(), StoreError> {
        let place = self.place_of(digest)?;
        let shelf = place.parent().unwrap_or(&self.path);
        make_folder(shelf)?;
        let staged = self.path.join(INCOMING).join(staged);
        // A second name, given in one step; the first one stays until it is discarded, so that keeping can be repeated.
        let second = staged.with_extension(KEPT_SUFFIX);
        remove_if_there(&second)?;
        fs::hard_link(&staged, &second)?;
        fs::rename(&second, &place)?;
        // Of two names of one file, renaming leaves both.
        remove_if_there(&second)?;
        flush_folder(shelf)?;
        Ok(())
    }

    fn discard(&self, staged: &str) -> Result<(), StoreError> {
        Ok(fs::remove_file(self.path.join(INCOMING).join(staged))?)
    }

    fn open(&self, digest: &Digest) -> Result<Arc<dyn Content>, StoreError> {
        Ok(Arc::new(Folder::open(self, digest)?))
    }

    fn exists(&self, digest: &Digest) -> Result<bool, StoreError> {
        Ok(self.place_of(digest)?.try_exists()?)
    }

    fn remove(&self, digest: &Digest) -> Result<(), StoreError> {
        Ok(remove_if_there(&self.place_of(digest)?)?)
    }

    fn written_at(&self, digest: &Digest) -> Result<Option<SystemTime>, StoreError> {
        match fs::metadata(self.place_of(digest)?) {
            Ok(found) => Ok(Some(found.modified()?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn files(&self) -> Result<Vec<Found>, StoreError> {
        let paths = self.paths()?.into_iter().filter(|path| !path.ends_with(ADDRESS_KEY));
        let found = paths.filter_map(|path| {
            let name = path.file_name()?.to_string_lossy().into_owned();
            let written_at = fs::metadata(&path).and_then(|found| found.modified()).ok()?;
            let content = File::open(&path)
                .map_err(Unreadable::from)
                .and_then(|file| Sealed::open(file, &self.keys))
                .map(|file| file.sha256());
            Some(Found {
                name,
                written_at,
                content,
            })
        });
        Ok(found.collect())
    }

    fn sweep(&self, before: SystemTime) -> Result<u64, StoreError> {
        let mut swept = 0;
        for path in list(&self.path.join(INCOMING))? {
            let is_old = fs::metadata(&path)
                .and_then(|found| found.modified())
                .is_ok_and(|at| at < before);
            if is_old && fs::remove_file(&path).is_ok() {
                swept += 1;
            }
        }
        Ok(swept)
    }

    fn verify(&self) -> Result<(u64, Vec<String>), StoreError> {
        let (mut read, mut faults) = (0, Vec::new());
        for path in self.paths()? {
            let verified = (|| -> Result<(), StoreError> {
                let file = Sealed::open(File::open(&path)?, &self.keys)?;
                file.verify()?;
                if !path.ends_with(ADDRESS_KEY) && self.place_of(&file.sha256())? != path {
                    return Err(Unreadable::Damaged("it lies under another file's name").into());
                }
                Ok(())
            })();
            match verified {
                Err(error) if error.is_gone() => continue,
                Err(error) => faults.push(format!("{}: {}", path.display(), crate::problem::chain(&error))),
                Ok(()) => {}
            }
            read += 1;
        }
        Ok((read, faults))
    }

    fn rotate(&self) -> Result<Rotated, StoreError> {
        let mut rotated = Rotated::default();
        for path in self.paths()? {
            match self.rewrap(&path) {
                Ok(true) => rotated.turned += 1,
                Ok(false) => rotated.were_current += 1,
                Err(error) if error.is_gone() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(rotated)
    }
}

/// A file that is being written among the incoming.
struct Arriving {
    path: Option<PathBuf>,
    sealer: Option<Sealer<File>>,
}

impl Arriving {
    fn end(mut self) -> Result<(PathBuf, Digest, u64), StoreError> {
        let sealer = self.sealer.take().ok_or(StoreError::Interrupted)?;
        let (file, digest, size) = sealer.finish()?;
        file.sync_all()?;
        Ok((self.path.take().unwrap_or_default(), digest, size))
    }
}

impl Incoming for Arriving {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        Ok(self.sealer.as_mut().ok_or(StoreError::Interrupted)?.write(bytes)?)
    }

    fn finish(self: Box<Self>) -> Result<Written, StoreError> {
        let (path, digest, size) = self.end()?;
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        Ok(Written {
            name: name.to_owned(),
            digest,
            size,
        })
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            // What cannot be removed now is swept later.
            let _ = fs::remove_file(path);
        }
    }
}

impl<R: ReadAt> Content for Sealed<R> {
    fn length(&self) -> u64 {
        Sealed::length(self)
    }

    fn read(&self, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        Ok(Sealed::read(self, range)?)
    }

    fn read_from_memory(&self, at: u64, buffer: &mut Vec<u8>) -> Result<Option<Range<usize>>, StoreError> {
        Ok(self.chunk_from_memory(at, buffer)?)
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}

fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn flush_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn replace_header(path: &Path, header: &[u8]) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.write_all_at(header, 0)?;
    file.sync_all()
}

fn read_if_there(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a folder holds; nothing where there is no folder.
fn list(path: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(path) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
