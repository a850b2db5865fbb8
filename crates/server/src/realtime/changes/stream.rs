//! The connection over which PostgreSQL tells of changes: a slot that lives as long as the connection, and its stream.

use std::{io, time::Duration};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use fallible_iterator::FallibleIterator as _;
use postgres_protocol::message::{
    backend::{DataRowBody, Message},
    frontend,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf},
    time::{Instant, timeout_at},
};
use uuid::Uuid;

use crate::{
    db::{ConnectError, Login},
    rest::{
        session::NoSession,
        wire::{Fault, Stream, connect_for_replication},
    },
};

/// How long a connection attempt may take.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// How long PostgreSQL may be silent: it tells where it is at least every 30 s.
const SILENCE_MAX: Duration = Duration::from_secs(90);

/// How long PostgreSQL waits for a word of ours before it gives the slot up. A reader that is stopped must be gone before its
/// slot is too old: PostgreSQL would want to tell it so, and make no checkpoint until it had read that.
const UNHEARD_MAX: Duration = Duration::from_secs(20);

/// What is read at once at most (bytes), and so waits here at most beside one message.
const READ_BYTES: usize = 256 * 1024;

/// The tag of the answer with which a stream begins; the driver does not know it.
const COPY_BOTH: u8 = b'W';

/// Why there is no stream.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// No login.
    #[error("no connection for replication")]
    Login(#[from] NoSession),
    /// The connection is gone.
    #[error("the connection was lost")]
    Lost(#[from] io::Error),
    /// PostgreSQL refused.
    #[error("{}: {}", .0.code, .0.message)]
    Refused(Box<Fault>),
    /// Nothing came for too long.
    #[error("nothing was heard for {} s", SILENCE_MAX.as_secs())]
    Silent,
}

/// The reading side.
pub struct Heard {
    from: ReadHalf<Box<dyn Stream>>,
    input: BytesMut,
    /// When something came last.
    last: Instant,
    begins: u64,
}

/// The writing side, which tells PostgreSQL how far everything was done.
pub struct Told {
    to: WriteHalf<Box<dyn Stream>>,
}

/// What comes.
#[derive(Debug)]
pub enum Piece {
    /// A message of the plugin.
    Data(Bytes),
    /// A sign of life.
    Alive {
        /// How far PostgreSQL is.
        at: u64,
        /// Whether it waits for an answer, as it does before it ends.
        is_asked: bool,
    },
}

/// Makes a slot, and begins to follow the changes of these publications.
///
/// # Errors
/// See [`StreamError`].
pub async fn follow(login: &Login, publications: &[String]) -> Result<(Heard, Told), StreamError> {
    let mut pg = login.pg.clone();
    let options =
        "-c datestyle=iso -c intervalstyle=postgres -c timezone=utc -c extra_float_digits=1 -c bytea_output=hex";
    let patience = format!("-c wal_sender_timeout={}s", UNHEARD_MAX.as_secs());
    pg.options(format!("{} {options} {patience}", pg.get_options().unwrap_or_default()).trim_start())
        .application_name("nexus-mint realtime changes");
    let stream = connect_for_replication(&pg, &login.connector()?, CONNECT_MAX).await?;
    let (from, to) = tokio::io::split(stream);
    let (mut heard, mut told) = (
        Heard {
            from,
            input: BytesMut::new(),
            last: Instant::now(),
            begins: 0,
        },
        Told { to },
    );
    let slot = format!("nexus_mint_{}", Uuid::new_v4().simple());
    told.ask(&format!(
        "CREATE_REPLICATION_SLOT {slot} TEMPORARY LOGICAL pgoutput (SNAPSHOT 'nothing')"
    ))
    .await?;
    heard.until_ready().await?;
    let names: Vec<String> = publications.iter().map(|name| pgrest::name::quoted(name)).collect();
    told.ask(&format!(
        "START_REPLICATION SLOT {slot} LOGICAL 0/0 (proto_version '1', publication_names '{}')",
        names.join(",").replace('\'', "''")
    ))
    .await?;
    heard.until_begun().await?;
    Ok((heard, told))
}

impl Told {
    async fn ask(&mut self, text: &str) -> Result<(), StreamError> {
        let mut out = BytesMut::new();
        frontend::query(text, &mut out)?;
        self.to.write_all(&out).await?;
        Ok(self.to.flush().await?)
    }

    /// Everything up to there was done; how far PostgreSQL is may be asked.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn done(&mut self, at: u64, asks: bool) -> Result<(), StreamError> {
        let mut out = BytesMut::with_capacity(64);
        out.put_u8(b'd');
        out.put_i32(4 + 1 + 8 * 4 + 1);
        out.put_u8(b'r');
        for _ in 0..3 {
            out.put_u64(at);
        }
        // The client's clock, which nobody looks at.
        out.put_i64(0);
        out.put_u8(u8::from(asks));
        self.to.write_all(&out).await?;
        Ok(self.to.flush().await?)
    }
}

fn wrong() -> StreamError {
    io::Error::from(io::ErrorKind::InvalidData).into()
}

/// The consistent point of a slot that was made: the second column, as `16/B374D848`.
fn begin_of(row: &DataRowBody) -> Option<u64> {
    let range = row.ranges().nth(1).ok()???;
    let text = std::str::from_utf8(row.buffer().get(range)?).ok()?;
    let (high, low) = text.split_once('/')?;
    let [high, low] = [high, low].map(|part| u32::from_str_radix(part, 16).ok());
    Some(u64::from(high?) << 32 | u64::from(low?))
}

impl Heard {
    /// Where it begins: of what is committed from there on, nothing is missing (bytes since the log's beginning).
    #[must_use]
    pub fn begins(&self) -> u64 {
        self.begins
    }

    async fn fill(&mut self) -> Result<(), StreamError> {
        self.input.reserve(READ_BYTES);
        let read = timeout_at(self.last + SILENCE_MAX, self.from.read_buf(&mut self.input));
        let count = read.await.map_err(|_| StreamError::Silent)??;
        self.last = Instant::now();
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(())
    }

    async fn message(&mut self) -> Result<Message, StreamError> {
        loop {
            if let Some(message) = Message::parse(&mut self.input)? {
                return Ok(message);
            }
            self.fill().await?;
        }
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "the driver's enum, which may grow")]
    async fn until_ready(&mut self) -> Result<(), StreamError> {
        loop {
            // Waits for every transaction under way, however long that takes.
            match self.message().await {
                Ok(Message::ReadyForQuery(_)) => return Ok(()),
                Ok(Message::ErrorResponse(body)) => return Err(refused(&body)),
                Ok(Message::DataRow(body)) => self.begins = begin_of(&body).ok_or_else(wrong)?,
                Ok(_) => {}
                Err(StreamError::Silent) => self.last = Instant::now(),
                Err(error) => return Err(error),
            }
        }
    }

    async fn until_begun(&mut self) -> Result<(), StreamError> {
        loop {
            while self.input.len() < 5 {
                self.fill().await?;
            }
            if self.input.first() == Some(&COPY_BOTH) {
                self.input.advance(1);
                let length = usize::try_from(self.input.get_u32())
                    .unwrap_or_default()
                    .saturating_sub(4);
                while self.input.len() < length {
                    self.fill().await?;
                }
                self.input.advance(length);
                return Ok(());
            }
            if let Message::ErrorResponse(body) = self.message().await? {
                return Err(refused(&body));
            }
        }
    }

    /// The next piece.
    ///
    /// # Errors
    /// See [`StreamError`].
    pub async fn next(&mut self) -> Result<Piece, StreamError> {
        loop {
            if let Some(piece) = self.at_hand()? {
                return Ok(piece);
            }
            self.fill().await?;
        }
    }

    /// The next piece, if it is here already.
    ///
    /// # Errors
    /// See [`StreamError`].
    #[allow(clippy::wildcard_enum_match_arm, reason = "the driver's enum, which may grow")]
    pub fn at_hand(&mut self) -> Result<Option<Piece>, StreamError> {
        let ended = || io::Error::new(io::ErrorKind::UnexpectedEof, "PostgreSQL ended the stream");
        loop {
            match Message::parse(&mut self.input)? {
                None => return Ok(None),
                Some(Message::CopyData(body)) => {
                    let mut data = body.into_bytes();
                    let Some(kind) = data.first().copied() else {
                        return Err(wrong());
                    };
                    data.advance(1);
                    match kind {
                        b'w' if data.len() >= 24 => {
                            data.advance(24);
                            return Ok(Some(Piece::Data(data)));
                        }
                        b'k' if data.len() >= 17 => {
                            let at = data.get_u64();
                            // Its clock.
                            data.advance(8);
                            let is_asked = data.get_u8() != 0;
                            return Ok(Some(Piece::Alive { at, is_asked }));
                        }
                        _ => return Err(wrong()),
                    }
                }
                Some(Message::ErrorResponse(body)) => return Err(refused(&body)),
                Some(Message::CopyDone | Message::CommandComplete(_)) => return Err(ended().into()),
                Some(_) => {}
            }
        }
    }
}

fn refused(body: &postgres_protocol::message::backend::ErrorResponseBody) -> StreamError {
    let mut fault = Fault::default();
    let mut fields = body.fields();
    while let Ok(Some(field)) = fields.next() {
        let text = String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            b'C' => fault.code = text,
            b'M' => fault.message = text,
            _ => {}
        }
    }
    StreamError::Refused(Box::new(fault))
}
