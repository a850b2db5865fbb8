//! The form of a file at rest: encrypted in chunks, so that a part of it can be read and nothing of it can be changed,
//! cut, reordered or taken from another file unseen.
//!
//! ```text
//! header, 128 bytes                                             then chunks of 64 KiB, each with its tag of 16
//! magic 4 | key id 8 | file id 16 | length 8 | nonce 12 | wrapped (key 32, sha256 32) and tag 80
//! ```
//!
//! - Every file has a random key of its own, wrapped (AES-256-GCM) under a key derived from the data folder's file key.
//!   Everything else in the header is bound to the wrapping, so another length or id does not open. Rotation changes the
//!   header alone.
//! - A chunk's nonce is its place and whether it is the last one; with a key per file no nonce ever comes twice.
//! - What the file is (its SHA-256) is inside the wrapping: a folder of files does not tell who holds a known document.
//!
//! Absent on purpose: padding. The length of a file can be seen.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    ops::Range,
    os::unix::fs::FileExt,
};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::{Digest as _, Sha256};

use super::keys::{KeyId, KeyRing};
use crate::postgres::read_from_memory;

/// Plain bytes in a chunk: small enough that a range costs little, large enough that tags do not.
pub const CHUNK: usize = 64 * 1024;
/// Bytes before the chunks.
pub const HEADER: usize = 128;
const TAG: usize = 16;
/// Bytes from the beginning of a chunk to that of the next.
const STRIDE: usize = CHUNK + TAG;
const MAGIC: [u8; 4] = *b"NMF1";
/// What comes before the nonce: bound to the wrapping.
const BOUND: usize = 36;
/// Where the file's id stands.
pub(super) const FILE_ID: Range<usize> = 12..28;

/// SHA-256 of a file's plain bytes.
pub type Digest = [u8; 32];

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The disk says no.
    #[error("a stored file cannot be read")]
    Io(#[from] io::Error),
    /// It is not what was written.
    #[error("a stored file is not what was written: {0}")]
    Damaged(&'static str),
    /// It needs a key that the ring has not.
    #[error("a stored file needs the file key {0}: add it to file_keys_old")]
    KeyMissing(String),
}

/// What must be random, once for each file.
pub(super) struct Fresh {
    file_id: [u8; 16],
    key: [u8; 32],
    nonce: [u8; NONCE_LEN],
}

impl Fresh {
    pub(super) fn random() -> Result<Fresh, getrandom::Error> {
        let mut fresh = Fresh {
            file_id: [0; 16],
            key: [0; 32],
            nonce: [0; NONCE_LEN],
        };
        getrandom::fill(&mut fresh.file_id)?;
        getrandom::fill(&mut fresh.key)?;
        getrandom::fill(&mut fresh.nonce)?;
        Ok(fresh)
    }
}

/// The SHA-256 of some bytes.
#[must_use]
pub fn digest_of(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).into()
}

/// Writes a file in its form at rest, bytes as they come: no more than a chunk of them is held.
pub(super) struct Sealer<W> {
    out: W,
    keys: KeyRing,
    fresh: Fresh,
    key: LessSafeKey,
    /// What is not written: it may be the last chunk.
    chunk: Vec<u8>,
    place: u64,
    length: u64,
    digest: Sha256,
}

impl<W: Write + Seek> Sealer<W> {
    /// Begins a file. What is written before [`Sealer::finish`] has no header and does not open.
    pub(super) fn begin(mut out: W, keys: &KeyRing, fresh: Fresh) -> Result<Sealer<W>, Unreadable> {
        out.write_all(&[0; HEADER])?;
        Ok(Sealer {
            out,
            keys: keys.clone(),
            key: aead(&fresh.key)?,
            fresh,
            chunk: Vec::with_capacity(CHUNK + TAG),
            place: 0,
            length: 0,
            digest: Sha256::new(),
        })
    }

    /// Adds bytes.
    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<(), Unreadable> {
        self.digest.update(bytes);
        self.length += bytes.len() as u64;
        while !bytes.is_empty() {
            if self.chunk.len() == CHUNK {
                self.put(nonce(self.place, u64::MAX)?)?;
                self.place += 1;
            }
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK - self.chunk.len()));
            self.chunk.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Writes the last chunk and the header: the file, the digest of what is in it, and its size.
    pub(super) fn finish(mut self) -> Result<(W, Digest, u64), Unreadable> {
        self.put(nonce(self.place, self.place)?)?;
        let sha256 = self.digest.finalize().into();
        let header = Header {
            key_id: self.keys.current(),
            file_id: self.fresh.file_id,
            length: self.length,
            key: self.fresh.key,
            sha256,
        };
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(&header.wrapped(&self.keys, self.fresh.nonce)?)?;
        Ok((self.out, sha256, self.length))
    }

    fn put(&mut self, nonce: Nonce) -> Result<(), Unreadable> {
        self.key
            .seal_in_place_append_tag(nonce, Aad::from(self.fresh.file_id), &mut self.chunk)
            .map_err(|_| Unreadable::Damaged("cannot be encrypted"))?;
        self.out.write_all(&self.chunk)?;
        self.chunk.clear();
        Ok(())
    }
}

/// Bytes at rest, read at any place by several at once.
pub trait ReadAt: Send + Sync + 'static {
    /// How many there are.
    ///
    /// # Errors
    /// What the disk or the network says.
    fn length(&self) -> io::Result<u64>;

    /// Fills the buffer with what begins at `at`.
    ///
    /// # Errors
    /// What the disk or the network says.
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()>;

    /// The same where nothing has to be waited for. False where it would, and then the buffer holds anything.
    fn read_from_memory(&self, buffer: &mut [u8], at: u64) -> bool {
        let _ = (buffer, at);
        false
    }
}

impl ReadAt for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buffer, at)
    }

    fn read_from_memory(&self, buffer: &mut [u8], at: u64) -> bool {
        read_from_memory(self, buffer, at)
    }
}

/// A file at rest, opened: its header is true, and as much of it is there as it says.
pub struct Sealed<R> {
    source: R,
    header: Header,
    key: LessSafeKey,
}

impl<R: ReadAt> Sealed<R> {
    /// Opens a file at rest.
    ///
    /// # Errors
    /// See [`Unreadable`].
    pub fn open(source: R, keys: &KeyRing) -> Result<Sealed<R>, Unreadable> {
        let length_at_rest = source.length()?;
        let mut bytes = [0; HEADER];
        if length_at_rest < HEADER as u64 {
            return Err(Unreadable::Damaged("shorter than a header"));
        }
        source.read_exact_at(&mut bytes, 0)?;
        let header = Header::unwrapped(&bytes, keys)?;
        let expected = chunks_of(header.length)
            .checked_mul(TAG as u64)
            .and_then(|tags| tags.checked_add(header.length)?.checked_add(HEADER as u64));
        if expected != Some(length_at_rest) {
            return Err(Unreadable::Damaged("longer or shorter than it says"));
        }
        let key = aead(&header.key)?;
        Ok(Sealed { source, header, key })
    }

    /// Plain bytes in it.
    pub fn length(&self) -> u64 {
        self.header.length
    }

    /// The SHA-256 of them.
    pub fn sha256(&self) -> Digest {
        self.header.sha256
    }

    /// The key that its own key is wrapped under.
    pub fn key_id(&self) -> KeyId {
        self.header.key_id
    }

    /// Reads the bytes of a range; what lies past the end is left out. All of it is held at once.
    ///
    /// # Errors
    /// See [`Unreadable`].
    pub fn read(&self, range: Range<u64>) -> Result<Vec<u8>, Unreadable> {
        let end = range.end.min(self.header.length);
        let begin = range.start.min(end);
        let last = chunks_of(self.header.length) - 1;
        // An empty range still reads a chunk: that a file is true is said of its content too.
        let first = (begin / CHUNK as u64).min(last);
        let until = (end.saturating_sub(1).max(begin) / CHUNK as u64).min(last);
        let (mut plain, at) = (self.chunks(first, until, last)?, first * CHUNK as u64);
        let place = |position: u64| usize::try_from(position.saturating_sub(at)).unwrap_or(usize::MAX);
        plain.truncate(place(end));
        plain.drain(..place(begin).min(plain.len()));
        Ok(plain)
    }

    /// Reads everything and compares it with the digest.
    ///
    /// # Errors
    /// See [`Unreadable`].
    pub fn verify(&self) -> Result<(), Unreadable> {
        let last = chunks_of(self.header.length) - 1;
        let mut digest = Sha256::new();
        for place in 0..=last {
            digest.update(self.chunks(place, place, last)?);
        }
        if <Digest>::from(digest.finalize()) == self.header.sha256 {
            Ok(())
        } else {
            Err(Unreadable::Damaged("its digest is another"))
        }
    }

    /// The header with the file's key wrapped under the key in use; none where it is already.
    pub(super) fn rewrapped(&self, keys: &KeyRing, nonce: [u8; NONCE_LEN]) -> Result<Option<[u8; HEADER]>, Unreadable> {
        if self.header.key_id == keys.current() {
            return Ok(None);
        }
        let header = Header {
            key_id: keys.current(),
            ..self.header
        };
        header.wrapped(keys, nonce).map(Some)
    }

    /// Opens the chunk in which a byte lies, where nothing has to be waited for: the part of the buffer in which that byte and
    /// what follows it in the chunk now stand. None where the disk would be waited for. The buffer can be used again.
    ///
    /// # Errors
    /// See [`Unreadable`].
    pub(super) fn chunk_from_memory(&self, at: u64, buffer: &mut Vec<u8>) -> Result<Option<Range<usize>>, Unreadable> {
        if at >= self.header.length {
            return Ok(Some(0..0));
        }
        let (place, last) = (at / CHUNK as u64, chunks_of(self.header.length) - 1);
        let begin = place * CHUNK as u64;
        let length = usize::try_from(self.header.length - begin).map_or(CHUNK, |left| left.min(CHUNK));
        if buffer.len() < STRIDE {
            buffer.resize(STRIDE, 0);
        }
        let sealed = buffer.get_mut(..length + TAG).unwrap_or_default();
        if !self
            .source
            .read_from_memory(sealed, HEADER as u64 + place * STRIDE as u64)
        {
            return Ok(None);
        }
        let plain = self.open_chunk(place, last, sealed)?;
        Ok(Some(usize::try_from(at - begin).unwrap_or(plain).min(plain)..plain))
    }

    /// The content of some chunks, read at once and opened where they lie.
    fn chunks(&self, first: u64, until: u64, last: u64) -> Result<Vec<u8>, Unreadable> {
        let count = usize::try_from(until - first + 1).map_err(|_| Unreadable::Damaged("too long"))?;
        let mut length = count * STRIDE;
        if until == last {
            length -= CHUNK - usize::try_from(self.header.length - last * CHUNK as u64).unwrap_or(CHUNK);
        }
        let mut bytes = vec![0; length];
        self.source
            .read_exact_at(&mut bytes, HEADER as u64 + first * STRIDE as u64)?;
        let mut written = 0;
        for (place, at) in (first..=until).zip((0..length).step_by(STRIDE)) {
            let sealed = bytes.get_mut(at..length.min(at + STRIDE)).unwrap_or_default();
            let plain = self.open_chunk(place, last, sealed)?;
            bytes.copy_within(at..at + plain, written);
            written += plain;
        }
        bytes.truncate(written);
        Ok(bytes)
    }

    /// Opens a chunk where it lies: how many of its bytes are plain ones now.
    fn open_chunk(&self, place: u64, last: u64, sealed: &mut [u8]) -> Result<usize, Unreadable> {
        let plain = self
            .key
            .open_in_place(nonce(place, last)?, Aad::from(self.header.file_id), sealed)
            .map_err(|_| Unreadable::Damaged("a chunk does not open"))?;
        Ok(plain.len())
    }
}

struct Header {
    key_id: KeyId,
    file_id: [u8; 16],
    length: u64,
    key: [u8; 32],
    sha256: Digest,
}

impl Header {
    fn wrapped(&self, keys: &KeyRing, random: [u8; NONCE_LEN]) -> Result<[u8; HEADER], Unreadable> {
        let mut bound = Vec::with_capacity(HEADER);
        bound.extend_from_slice(&MAGIC);
        bound.extend_from_slice(&self.key_id);
        bound.extend_from_slice(&self.file_id);
        bound.extend_from_slice(&self.length.to_be_bytes());
        let mut inner = [self.key, self.sha256].concat();
        wrapping(keys, self.key_id, &self.file_id)?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(random), Aad::from(&bound), &mut inner)
            .map_err(|_| Unreadable::Damaged("its key cannot be wrapped"))?;
        [bound.as_slice(), &random, &inner]
            .concat()
            .try_into()
            .map_err(|_| Unreadable::Damaged("a header of another size"))
    }

    fn unwrapped(bytes: &[u8; HEADER], keys: &KeyRing) -> Result<Header, Unreadable> {
        let mut rest = bytes.as_slice();
        if take::<4>(&mut rest)? != MAGIC {
            return Err(Unreadable::Damaged("it does not begin like one of ours"));
        }
        let (key_id, file_id) = (take::<8>(&mut rest)?, take::<16>(&mut rest)?);
        let (length, random) = (take::<8>(&mut rest)?, take::<NONCE_LEN>(&mut rest)?);
        let bound = bytes.first_chunk::<BOUND>().ok_or(Unreadable::Damaged("short"))?;
        let mut inner = rest.to_vec();
        let opened = wrapping(keys, key_id, &file_id)?
            .open_in_place(Nonce::assume_unique_for_key(random), Aad::from(bound), &mut inner)
            .map_err(|_| Unreadable::Damaged("its header does not open"))?;
        let mut opened = &*opened;
        Ok(Header {
            key_id,
            file_id,
            length: u64::from_be_bytes(length),
            key: take(&mut opened)?,
            sha256: take(&mut opened)?,
        })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Unreadable> {
    let (found, after) = rest.split_first_chunk::<N>().ok_or(Unreadable::Damaged("short"))?;
    *rest = after;
    Ok(*found)
}

fn wrapping(keys: &KeyRing, id: KeyId, file_id: &[u8; 16]) -> Result<LessSafeKey, Unreadable> {
    let key = keys
        .wrapping(id, file_id)
        .ok_or_else(|| Unreadable::KeyMissing(hex(&id)))?;
    aead(&key)
}

/// Bytes as people read them.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn aead(key: &[u8; 32]) -> Result<LessSafeKey, Unreadable> {
    let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| Unreadable::Damaged("its key is none"))?;
    Ok(LessSafeKey::new(key))
}

/// An empty file has one chunk, which is empty.
fn chunks_of(length: u64) -> u64 {
    length.div_ceil(CHUNK as u64).max(1)
}

fn nonce(place: u64, last: u64) -> Result<Nonce, Unreadable> {
    let place_32 = u32::try_from(place).map_err(|_| Unreadable::Damaged("too long"))?;
    let [a, b, c, d] = place_32.to_be_bytes();
    let is_last = u8::from(place == last);
    Ok(Nonce::assume_unique_for_key([0, 0, 0, 0, 0, 0, 0, a, b, c, d, is_last]))
}

#[cfg(test)]
mod tests;
