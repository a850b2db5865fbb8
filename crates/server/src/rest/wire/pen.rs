//! What is written to PostgreSQL and not yet sent.

use std::io;

use bytes::{BufMut as _, BytesMut};
use postgres_protocol::{IsNull, message::frontend};

/// Messages one behind the other.
#[derive(Default)]
pub struct Pen {
    pub(super) out: BytesMut,
    /// Messages were written behind the last Sync.
    pub(super) is_open: bool,
    /// Syncs that were written, and whose ReadyForQuery nobody has heard.
    pub(super) owed: u32,
}

impl Pen {
    /// Writes a statement under a name; without one it is the next [`Wire::run`]'s alone.
    ///
    /// # Errors
    /// When it is larger than the protocol can carry.
    pub fn parse(&mut self, name: &str, text: &str) -> io::Result<()> {
        self.is_open = true;
        frontend::parse(name, text, [], &mut self.out)
    }

    /// Runs a statement with values of no type; the answer's columns are binary.
    ///
    /// # Errors
    /// When it is larger than the protocol can carry.
    pub fn run<'a>(&mut self, name: &str, values: impl IntoIterator<Item = Option<&'a str>>) -> io::Result<()> {
        self.is_open = true;
        let value = |value: Option<&str>, out: &mut BytesMut| match value {
            Some(text) => {
                out.put_slice(text.as_bytes());
                Ok(IsNull::No)
            }
            None => Ok(IsNull::Yes),
        };
        frontend::bind("", name, [], values, value, [1], &mut self.out).map_err(|error| match error {
            frontend::BindError::Serialization(error) => error,
            frontend::BindError::Conversion(error) => io::Error::other(error),
        })?;
        frontend::execute("", 0, &mut self.out)
    }

    /// Runs a command that has no values.
    ///
    /// # Errors
    /// When it is larger than the protocol can carry.
    pub fn command(&mut self, text: &str) -> io::Result<()> {
        self.parse("", text)?;
        self.run("", [])
    }

    /// Lets go of a statement; that there is none is no error.
    ///
    /// # Errors
    /// When the name is none.
    pub fn close(&mut self, name: &str) -> io::Result<()> {
        self.is_open = true;
        frontend::close(b'S', name, &mut self.out)
    }

    /// Ends what was written. Without a transaction of its own, it is one.
    pub fn sync(&mut self) {
        frontend::sync(&mut self.out);
        self.is_open = false;
        self.owed += 1;
    }

    /// Asks for the answers so far, without an end.
    pub fn flush(&mut self) {
        frontend::flush(&mut self.out);
    }

    /// How much was written and not sent (bytes).
    #[must_use]
    pub fn written(&self) -> usize {
        self.out.len()
    }

    /// Takes back what was written behind so many bytes.
    pub fn back_to(&mut self, written: usize) {
        self.out.truncate(written);
        self.is_open = false;
    }

    /// Takes what was written, for somebody who sends it and counts its Syncs himself.
    pub fn take(&mut self) -> BytesMut {
        self.owed = 0;
        self.out.split()
    }
}
