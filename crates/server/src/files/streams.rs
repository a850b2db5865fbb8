//! Content of any size in and out of the store, a block at a time: what a file takes in memory does not grow with it.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use tokio::task::{JoinHandle, spawn_blocking};

use super::{Content, Files, Incoming, Staged, StoreError, kind, sealed::CHUNK, sealed::Digest};

/// Bytes that are read or written at once: a few chunks, so that changing threads costs little beside them.
pub const BLOCK: usize = 4 * CHUNK;

/// Blocks that are read ahead of a client.
const AHEAD: usize = 2;

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
}

/// Reads a range of open content, block after block as they are asked for.
pub fn blocks(
    content: Arc<dyn Content>,
    range: Range<u64>,
) -> impl Stream<Item = Result<Bytes, StoreError>> + Send + 'static {
    let end = range.end.min(content.length());
    // Blocks begin where chunks do, so that none is opened twice.
    let borders = stream::iter(Blocks { at: range.start, end });
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
