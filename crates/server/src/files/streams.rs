//! Content of any size in and out of the store, a block at a time: what a file takes in memory does not grow with it.

use std::{
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use futures_util::{
    Stream, StreamExt as _,
    stream::{self, BoxStream},
};
use tokio::task::{JoinHandle, spawn_blocking, yield_now};

use super::{
    Content, Files, Incoming, Staged, StoreError, kind,
    sealed::{CHUNK, Digest, Unreadable},
};

/// Bytes that are read or written at once: a few chunks, so that changing threads costs little beside them.
pub const BLOCK: usize = 4 * CHUNK;

/// Blocks that are read ahead of a client, where reading waits.
const AHEAD: usize = 2;

/// Chunks that are opened where they are sent before others have their turn: a fraction of a millisecond.
const TURN: usize = 4;

/// Content piece by piece.
pub type Pieces = BoxStream<'static, Result<Bytes, StoreError>>;

impl Files {
    /// Begins to write content whose bytes come one after the other.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn write(&self) -> Result<Writer, StoreError> {
        Ok(Writer {
            files: self.clone(),
            incoming: Some(self.blocking(|store| store.begin()).await?),
            writing: None,
            block: Vec::new(),
            head: Vec::new(),
            size: 0,
        })
    }

    /// Opens some content.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn open(&self, digest: Digest) -> Result<Arc<dyn Content>, StoreError> {
        self.blocking(move |store| store.open(&digest)).await
    }

    /// Opens some content and reads the beginning of a range, a block at most; what of the range is left then, if anything.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn begin_to_read(
        &self,
        digest: Digest,
        range: Range<u64>,
    ) -> Result<(Bytes, Option<Pieces>), StoreError> {
        self.blocking(move |store| {
            let content = store.open(&digest)?;
            let end = range.end.min(content.length());
            let mut borders = Blocks { at: range.start, end };
            let first = content.read(borders.next().unwrap_or(end..end))?;
            let left = borders.at..end;
            let rest = (!left.is_empty()).then(|| blocks(content, left).boxed());
            Ok((Bytes::from(first), rest))
        })
        .await
    }
}

/// Reads a range of open content, piece after piece as they are asked for: a chunk at a time where nothing has to be waited
/// for, without a change of threads and in buffers that come back; from the first wait on in blocks that are read ahead.
pub fn blocks(
    content: Arc<dyn Content>,
    range: Range<u64>,
) -> impl Stream<Item = Result<Bytes, StoreError>> + Send + 'static {
    let end = range.end.min(content.length());
    let reading = Reading {
        content,
        left: range.start..end,
        free: Free::default(),
        turn: 0,
        waiting: None,
    };
    stream::unfold(reading, |mut reading| async move {
        let piece = reading.next().await?;
        Some((piece, reading))
    })
}

/// Buffers whose bytes were sent.
type Free = Arc<Mutex<Vec<Vec<u8>>>>;

struct Reading {
    content: Arc<dyn Content>,
    left: Range<u64>,
    free: Free,
    /// Chunks since others had their turn.
    turn: usize,
    /// What is left, once something had to be waited for.
    waiting: Option<Pieces>,
}

impl Reading {
    async fn next(&mut self) -> Option<Result<Bytes, StoreError>> {
        let piece = match &mut self.waiting {
            Some(waiting) => waiting.next().await?,
            None if self.left.is_empty() => return None,
            None => self.one().await,
        };
        if piece.is_err() {
            // Nothing follows a fault.
            (self.waiting, self.left) = (None, 0..0);
        }
        Some(piece)
    }

    async fn one(&mut self) -> Result<Bytes, StoreError> {
        if self.turn == TURN {
            self.turn = 0;
            yield_now().await;
        }
        self.turn += 1;
        if let Some(piece) = self.read_from_memory()? {
            return Ok(piece);
        }
        let waiting = ahead(self.content.clone(), self.left.clone());
        let first = self.waiting.insert(waiting.boxed()).next().await;
        first.unwrap_or(Err(StoreError::Interrupted))
    }

    fn read_from_memory(&mut self) -> Result<Option<Bytes>, StoreError> {
        let mut buffer = lock(&self.free).pop().unwrap_or_default();
        let Some(found) = self.content.read_from_memory(self.left.start, &mut buffer)? else {
            return Ok(None);
        };
        let wanted = usize::try_from(self.left.end - self.left.start).unwrap_or(usize::MAX);
        let part = found.start..found.end.min(found.start.saturating_add(wanted));
        if part.is_empty() {
            return Err(Unreadable::Damaged("shorter than it says").into());
        }
        self.left.start += part.len() as u64;
        Ok(Some(Bytes::from_owner(Lent {
            buffer,
            part,
            free: self.free.clone(),
        })))
    }
}

/// A buffer that goes back when its bytes were sent.
struct Lent {
    buffer: Vec<u8>,
    part: Range<usize>,
    free: Free,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.buffer.get(self.part.clone()).unwrap_or_default()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        lock(&self.free).push(std::mem::take(&mut self.buffer));
    }
}

fn lock(free: &Free) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
    free.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads blocks on threads that may wait, some ahead.
fn ahead(
    content: Arc<dyn Content>,
    range: Range<u64>,
) -> impl Stream<Item = Result<Bytes, StoreError>> + Send + 'static {
    // Blocks begin where chunks do, so that none is opened twice.
    let borders = stream::iter(Blocks {
        at: range.start,
        end: range.end,
    });
    borders
        .map(move |part| {
            let content = content.clone();
            async move {
                let read = spawn_blocking(move || content.read(part)).await;
                read.map_err(|_| StoreError::Interrupted)?.map(Bytes::from)
            }
        })
        .buffered(AHEAD)
}

struct Blocks {
    at: u64,
    end: u64,
}

impl Iterator for Blocks {
    type Item = Range<u64>;

    fn next(&mut self) -> Option<Range<u64>> {
        let border = (self.at / BLOCK as u64 + 1) * BLOCK as u64;
        let part = self.at..border.min(self.end);
        self.at = part.end;
        (part.start < part.end).then_some(part)
    }
}

/// Content that is being written. Dropped before it is finished, nothing is left of it.
pub struct Writer {
    files: Files,
    /// Where the bytes go, unless a block is just being written.
    incoming: Option<Box<dyn Incoming>>,
    writing: Option<JoinHandle<Result<Box<dyn Incoming>, StoreError>>>,
    block: Vec<u8>,
    head: Vec<u8>,
    size: u64,
}

impl Writer {
    /// Adds bytes. While a block is written the next one is taken in.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn add(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let wanted = kind::HEAD_BYTES.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(bytes.get(..wanted).unwrap_or_default());
        self.size += bytes.len() as u64;
        self.block.extend_from_slice(bytes);
        if self.block.len() >= BLOCK {
            self.flush().await?;
        }
        Ok(())
    }

    /// Bytes so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What it looks like so far; none while that is too early to say.
    #[must_use]
    pub fn looks(&self) -> Option<kind::Looks> {
        (self.size >= kind::HEAD_BYTES as u64).then(|| kind::looks(&self.head, false))
    }

    /// Everything has come.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn finish(mut self) -> Result<Staged, StoreError> {
        self.flush().await?;
        let incoming = self.settled().await?;
        let looks = kind::looks(&self.head, self.size == self.head.len() as u64);
        let finished = spawn_blocking(move || incoming.finish()).await;
        let written = finished.map_err(|_| StoreError::Interrupted)??;
        Ok(Staged::of(&self.files, written, looks))
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        let mut incoming = self.settled().await?;
        let block = std::mem::take(&mut self.block);
        self.writing = Some(spawn_blocking(move || incoming.write(&block).map(|()| incoming)));
        Ok(())
    }

    async fn settled(&mut self) -> Result<Box<dyn Incoming>, StoreError> {
        match self.writing.take() {
            Some(writing) => writing.await.map_err(|_| StoreError::Interrupted)?,
            None => self.incoming.take().ok_or(StoreError::Interrupted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Content that is in memory up to a place, and damaged from another one on.
    struct Told {
        plain: Vec<u8>,
        in_memory: usize,
        damaged: usize,
    }

    impl Content for Told {
        fn length(&self) -> u64 {
            self.plain.len() as u64
        }

        fn read(&self, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
            let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
            assert!(range.len() <= BLOCK);
            if range.end > self.damaged {
                return Err(StoreError::Interrupted);
            }
            Ok(self.plain[range].to_vec())
        }

        fn read_from_memory(&self, at: u64, buffer: &mut Vec<u8>) -> Result<Option<Range<usize>>, StoreError> {
            let at = usize::try_from(at).unwrap();
            let chunk = at / CHUNK * CHUNK..self.plain.len().min((at / CHUNK + 1) * CHUNK);
            if chunk.end > self.in_memory {
                buffer.fill(0);
                return Ok(None);
            }
            if chunk.end > self.damaged {
                return Err(StoreError::Interrupted);
            }
            buffer.clear();
            buffer.extend_from_slice(&self.plain[chunk.clone()]);
            Ok(Some(at - chunk.start..chunk.len()))
        }
    }

    fn plain(length: usize) -> Vec<u8> {
        (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect()
    }

    /// All pieces up to the end or the first error, and whether there was one; each is let go of before the next is asked for
    /// unless `keeps`.
    async fn taken(told: Told, range: Range<u64>, keeps: bool) -> (Vec<u8>, bool) {
        let mut pieces = std::pin::pin!(blocks(Arc::new(told), range));
        let (mut all, mut kept) = (Vec::new(), Vec::new());
        while let Some(piece) = pieces.next().await {
            let Ok(piece) = piece else {
                assert!(pieces.next().await.is_none(), "nothing follows a fault");
                return (all, true);
            };
            assert!(!piece.is_empty());
            all.extend_from_slice(&piece);
            if keeps {
                kept.push(piece);
            }
        }
        assert!(
            !keeps || kept.concat() == all,
            "no buffer is used again while somebody has it"
        );
        (all, false)
    }

    #[tokio::test]
    async fn a_range_is_read_whole_wherever_waiting_begins() {
        let length = 2 * BLOCK + CHUNK + 5;
        let plain = plain(length);
        for in_memory in [0, CHUNK, 3 * CHUNK, BLOCK + CHUNK, 2 * BLOCK + CHUNK, length] {
            for (begin, end) in [
                (0, length),
                (1, CHUNK),
                (CHUNK - 1, CHUNK + 1),
                (CHUNK, BLOCK),
                (7, length - 1),
                (5, 5),
            ] {
                for keeps in [false, true] {
                    let told = Told {
                        plain: plain.clone(),
                        in_memory,
                        damaged: length,
                    };
                    let (all, has_failed) = taken(told, begin as u64..end as u64, keeps).await;
                    assert!(!has_failed && all == plain[begin..end], "{in_memory}: {begin} to {end}");
                }
            }
        }
        let told = Told {
            plain: plain.clone(),
            in_memory: length,
            damaged: length,
        };
        assert_eq!(
            taken(told, 0..u64::MAX, false).await,
            (plain, false),
            "what lies past the end is left out"
        );
    }

    #[tokio::test]
    async fn a_fault_is_told_and_nothing_of_what_follows() {
        let length = 2 * BLOCK + 5;
        for in_memory in [0, CHUNK, length] {
            let told = Told {
                plain: plain(length),
                in_memory,
                damaged: BLOCK,
            };
            let (all, has_failed) = taken(told, 0..length as u64, false).await;
            assert!(has_failed, "{in_memory}");
            assert_eq!(all, plain(BLOCK), "{in_memory}");
        }
    }

    #[test]
    fn blocks_cover_the_range_and_begin_where_chunks_do() {
        let block = BLOCK as u64;
        for (begin, end) in [
            (0, 0),
            (0, 1),
            (5, 5),
            (5, 3 * block),
            (block - 1, block + 1),
            (block, 2 * block),
        ] {
            let parts: Vec<_> = Blocks { at: begin, end }.collect();
            let mut at = begin;
            for part in &parts {
                assert_eq!(part.start, at);
                assert!(part.start == begin || part.start % CHUNK as u64 == 0);
                assert!(part.end - part.start <= block);
                at = part.end;
            }
            assert_eq!(at, end.max(begin));
        }
    }
}
