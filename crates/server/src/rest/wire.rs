//! A connection to PostgreSQL as bytes: messages are written one behind the other and sent at once, and their answers
//! are read by the task that wants them.
//!
//! The driver's own client serves one task beside each connection and asks for a statement's types before it runs; here a
//! request is one packet to PostgreSQL and one back, also the first time that its statement is seen.
//!
//! A [`Wire`] may be left in the midst of an answer: [`Wire::settle`] brings it back to where the next request can begin.

mod connect;
mod pen;

use std::{
    future::{Future as _, poll_fn},
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes, BytesMut};
use postgres_protocol::message::backend::{DataRowBody, ErrorResponseBody, Message};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};

pub use connect::connect;
pub(crate) use connect::connect_for_replication;
pub use pen::Pen;

/// What is read at once at least (bytes): most answers whole.
const READ_BYTES: usize = 8 * 1024;

/// What is made room for at once at most (bytes): a length is only a promise.
const READ_AHEAD_MAX: usize = 1024 * 1024;

/// Buffers that a large request or answer left behind are given back beyond this (bytes).
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// The status of a connection without a transaction.
const IDLE: u8 = b'I';

/// A stream of bytes, both ways.
pub trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for S {}

/// A connection that nobody else reads or writes.
pub struct Wire {
    stream: Box<dyn Stream>,
    /// What is to be sent next.
    pub pen: Pen,
    input: BytesMut,
    /// The transaction status that the last ReadyForQuery told.
    status: u8,
    is_lost: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The connection is of no more use.
    #[error("the connection was lost")]
    Lost(#[from] io::Error),
    /// PostgreSQL refused.
    #[error("{}: {}", .0.code, .0.message)]
    Refused(Box<Fault>),
}

/// What PostgreSQL said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fault {
    /// SQLSTATE
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// More of it.
    pub detail: Option<String>,
    /// What to do.
    pub hint: Option<String>,
}

impl Fault {
    /// Whether a statement was prepared before the schema changed, or PostgreSQL has forgotten it: nothing has happened yet, and
    /// prepared anew it may run.
    pub(super) fn is_of_outdated_statement(&self) -> bool {
        ["0A000", "26000"].contains(&self.code.as_str())
    }

    fn of(body: &ErrorResponseBody) -> Fault {
        use fallible_iterator::FallibleIterator as _;
        let mut fault = Fault::default();
        let mut fields = body.fields();
        while let Ok(Some(field)) = fields.next() {
            let text = String::from_utf8_lossy(field.value_bytes()).into_owned();
            match field.type_() {
                b'C' => fault.code = text,
                b'M' => fault.message = text,
                b'D' => fault.detail = Some(text),
                b'H' => fault.hint = Some(text),
                _ => {}
            }
        }
        fault
    }
}

/// What an answer brings, as far as anybody wants to know.
pub enum Heard {
    /// A row of the command that runs.
    Row(Row),
    /// A command is through.
    Done,
    /// Everything up to a Sync is through.
    Ready,
}

/// A row: columns as PostgreSQL sent them, in binary.
pub struct Row(Bytes);

impl Row {
    /// The columns, in order.
    pub fn columns(&self) -> impl Iterator<Item = Option<&[u8]>> {
        let mut rest: &[u8] = &self.0;
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first_chunk::<4>()?;
            match usize::try_from(i32::from_be_bytes(*length)) {
                Ok(length) => {
                    let (value, after) = after.split_at_checked(length)?;
                    rest = after;
                    Some(Some(value))
                }
                // -1: null.
                Err(_) => {
                    rest = after;
                    Some(None)
                }
            }
        })
    }
}

impl From<DataRowBody> for Row {
    fn from(body: DataRowBody) -> Row {
        Row(body.buffer_bytes().clone())
    }
}

impl Wire {
    /// A wire over a stream on which the login is over.
    #[must_use]
    pub fn over(stream: Box<dyn Stream>) -> Wire {
        Wire {
            stream,
            pen: Pen::default(),
            input: BytesMut::new(),
            status: IDLE,
            is_lost: false,
        }
    }

    /// Whether the next request can begin right away.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !self.pen.is_open && self.pen.owed == 0 && self.status == IDLE && !self.is_lost
    }

    /// Whether nothing can be had from it any more.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// Whether PostgreSQL still holds its end. Whatever it said unasked is a reason to begin anew: nearly always that it
    /// ends the connection.
    pub async fn is_alive(&mut self) -> bool {
        let (stream, input) = (&mut self.stream, &mut self.input);
        let quiet = poll_fn(|context| {
            let mut byte = [0];
            let mut buffer = tokio::io::ReadBuf::new(&mut byte);
            let heard = Pin::new(&mut **stream).poll_read(context, &mut buffer);
            Poll::Ready(heard.is_pending())
        });
        quiet.await && input.is_empty() && !self.is_lost
    }

    /// Sends what was written.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn send(&mut self) -> Result<(), WireError> {
        let mut out = std::mem::take(&mut self.pen.out);
        let sent = poll_fn(|context| self.poll_send(context, &mut out)).await;
        // Its memory is used again.
        self.pen.out = out;
        sent
    }

    /// Sends all of `out`; ready when it has left.
    ///
    /// # Errors
    /// When the connection is lost.
    pub fn poll_send(&mut self, context: &mut Context<'_>, out: &mut BytesMut) -> Poll<Result<(), WireError>> {
        while !out.is_empty() {
            let written = ready!(Pin::new(&mut *self.stream).poll_write(context, out));
            let written = self.noted(written)?;
            if written == 0 {
                self.is_lost = true;
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero).into()));
            }
            out.advance(written);
        }
        let flushed = ready!(Pin::new(&mut *self.stream).poll_flush(context));
        Poll::Ready(self.noted(flushed))
    }

    /// The next thing heard that matters.
    ///
    /// # Errors
    /// What PostgreSQL refused; then everything up to the next Sync is passed over. Or the connection is lost.
    pub async fn hear(&mut self) -> Result<Heard, WireError> {
        poll_fn(|context| self.poll_hear(context)).await
    }

    /// The same, where it is there already.
    ///
    /// # Errors
    /// As [`Wire::hear`].
    #[allow(clippy::wildcard_enum_match_arm, reason = "the driver's enum, which may grow")]
    pub fn poll_hear(&mut self, context: &mut Context<'_>) -> Poll<Result<Heard, WireError>> {
        loop {
            let parsed = Message::parse(&mut self.input);
            let Some(message) = self.noted(parsed)? else {
                let missing = missing(&self.input).min(READ_AHEAD_MAX);
                self.input.reserve(missing.max(READ_BYTES));
                let read = ready!(pin!(self.stream.read_buf(&mut self.input)).poll(context));
                if self.noted(read)? == 0 {
                    self.is_lost = true;
                    return Poll::Ready(Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()));
                }
                continue;
            };
            match message {
                Message::DataRow(row) => return Poll::Ready(Ok(Heard::Row(row.into()))),
                Message::CommandComplete(_) | Message::EmptyQueryResponse | Message::PortalSuspended => {
                    return Poll::Ready(Ok(Heard::Done));
                }
                Message::ErrorResponse(body) => {
                    return Poll::Ready(Err(WireError::Refused(Box::new(Fault::of(&body)))));
                }
                Message::ReadyForQuery(body) => {
                    self.status = body.status();
                    self.pen.owed = self.pen.owed.saturating_sub(1);
                    return Poll::Ready(Ok(Heard::Ready));
                }
                // A statement of ours copies nothing; what is left is notices, settings and confirmations.
                Message::CopyInResponse(_) | Message::CopyOutResponse(_) => {
                    self.is_lost = true;
                    return Poll::Ready(Err(io::Error::from(io::ErrorKind::InvalidData).into()));
                }
                _ => {}
            }
        }
    }

    /// Hears everything that is still to come, and ends a transaction that is still open.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn settle(&mut self) -> Result<(), WireError> {
        if self.pen.is_open {
            self.pen.sync();
        }
        self.send().await?;
        while self.pen.owed > 0 {
            self.pass_over().await?;
        }
        if self.status != IDLE {
            let written = self.pen.command("rollback");
            self.noted(written)?;
            self.pen.sync();
            self.send().await?;
            while self.pen.owed > 0 {
                self.pass_over().await?;
            }
        }
        for buffer in [&mut self.input, &mut self.pen.out] {
            if buffer.capacity() > KEPT_BYTES_MAX && buffer.is_empty() {
                *buffer = BytesMut::new();
            }
        }
        Ok(())
    }

    async fn pass_over(&mut self) -> Result<(), WireError> {
        match self.hear().await {
            Ok(_) | Err(WireError::Refused(_)) => Ok(()),
            Err(error @ WireError::Lost(_)) => Err(error),
        }
    }

    /// Gives the connection up: what was written is not whole.
    pub fn abandon(&mut self) {
        self.pen.out.clear();
        self.is_lost = true;
    }

    fn noted<T>(&mut self, result: io::Result<T>) -> Result<T, WireError> {
        self.is_lost |= result.is_err();
        Ok(result?)
    }
}

/// How much of the first message is still to come, as far as its head tells (bytes).
fn missing(input: &[u8]) -> usize {
    // A kind, and a length that counts itself.
    let length = input.split_first().and_then(|(_, rest)| rest.first_chunk::<4>());
    let length = length.map_or(0, |length| u32::from_be_bytes(*length));
    usize::try_from(length).map_or(0, |length| (length + 1).saturating_sub(input.len()))
}
