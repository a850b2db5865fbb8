//! CSV as RFC 4180 says it and nothing looser, read as a stream in bounded memory.
//!
//! What always holds: a record has at most [`FIELDS_MAX`] fields of at most [`FIELD_BYTES_MAX`] bytes, every field is
//! UTF-8 without NUL, and a quote that is opened is closed. Other readers guess at what breaks these rules; a guess would
//! load half a file, so here it is an error that names line and field.

use std::io::{self, Read};

use super::field::shown;

/// Bytes of one field. No figure or name of a building comes near; a quote that nobody closed does.
pub const FIELD_BYTES_MAX: usize = 10_000;

/// Fields of one line.
pub const FIELDS_MAX: usize = 200;

/// What is read from the file at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// One line of the file, in parts.
#[derive(Debug, Default)]
pub struct Record {
    /// The line on which it begins, from 1.
    pub line: u64,
    text: String,
    ends: Vec<usize>,
}

impl Record {
    /// Its fields, in order.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        let mut begin = 0;
        self.ends.iter().map(move |end| {
            let field = self.text.get(begin..*end).unwrap_or_default();
            begin = *end;
            field
        })
    }
}

/// Where a file is not CSV, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// The line, from 1.
    pub line: u64,
    /// The field on it, from 0.
    pub field: usize,
    /// What is there.
    pub found: String,
    /// What should be.
    pub expected: &'static str,
}

/// Why there is no next record.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file is not CSV.
    #[error("not CSV: {0:?}")]
    Malformed(Malformed),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    FieldStart,
    Plain,
    Quoted,
    QuoteInQuoted,
    CarriageReturn,
}

/// What a byte means for the record.
enum Step {
    GoOn,
    FieldEnds,
    RecordEnds,
}

/// Reads records one after the other.
pub struct Reader<R> {
    input: R,
    chunk: Vec<u8>,
    at: usize,
    bytes_read: u64,
    line: u64,
    /// Where the quote stands that is open now.
    quote_line: u64,
    field: Vec<u8>,
    begun: bool,
}

impl<R: Read> Reader<R> {
    /// A reader at the beginning of a file.
    pub fn new(input: R) -> Reader<R> {
        Reader {
            input,
            chunk: Vec::new(),
            at: 0,
            bytes_read: 0,
            line: 1,
            quote_line: 1,
            field: Vec::new(),
            begun: false,
        }
    }

    /// Bytes taken from the file so far.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// The line that comes next, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Reads the next record into `record`; false at the end of the file.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn read(&mut self, record: &mut Record) -> Result<bool, ReadError> {
        record.text.clear();
        record.ends.clear();
        record.line = self.line;
        self.field.clear();
        if !self.begun {
            self.begun = true;
            self.skip_byte_order_mark()?;
        }
        let mut state = State::FieldStart;
        loop {
            if self.at == self.chunk.len() && !self.fill()? {
                return self.end_of_file(state, record);
            }
            self.take_run(state, record)?;
            let Some(&byte) = self.chunk.get(self.at) else {
                continue;
            };
            self.at += 1;
            let (next, step) = self.step(state, byte, record)?;
            state = next;
            match step {
                Step::GoOn => {}
                Step::FieldEnds => self.end_field(record)?,
                Step::RecordEnds => {
                    self.end_field(record)?;
                    return Ok(true);
                }
            }
        }
    }

    fn fill(&mut self) -> io::Result<bool> {
        self.chunk.resize(CHUNK_BYTES, 0);
        self.at = 0;
        let count = loop {
            match self.input.read(&mut self.chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.chunk.truncate(count);
        self.bytes_read += u64::try_from(count).unwrap_or(0);
        Ok(count > 0)
    }

    /// UTF-8 may say that it is UTF-8. UTF-16 is another encoding.
    fn skip_byte_order_mark(&mut self) -> Result<(), ReadError> {
        self.fill()?;
        if self.chunk.starts_with(b"\xef\xbb\xbf") {
            self.at = 3;
        }
        if self.chunk.starts_with(b"\xff\xfe") || self.chunk.starts_with(b"\xfe\xff") {
            let found = "the byte order mark of UTF-16".to_owned();
            return Err(self.malformed(0, found, "a file in UTF-8"));
        }
        Ok(())
    }

    /// Takes the bytes that mean only themselves at once.
    fn take_run(&mut self, state: State, record: &Record) -> Result<(), ReadError> {
        let is_special: fn(&u8) -> bool = match state {
            State::FieldStart | State::Plain => |byte| matches!(byte, b',' | b'\n' | b'\r' | b'"' | 0),
            State::Quoted => |byte| matches!(byte, b'"' | b'\n' | 0),
            State::QuoteInQuoted | State::CarriageReturn => return Ok(()),
        };
        let rest = self.chunk.get(self.at..).unwrap_or_default();
        // What a quote may follow is decided by `step`: an unquoted field has begun once a byte of it is taken.
        let run = rest.iter().position(is_special).unwrap_or(rest.len());
        if run > 0 && state == State::FieldStart {
            // One byte goes through `step`, which leaves this state.
            return Ok(());
        }
        self.field.extend_from_slice(rest.get(..run).unwrap_or_default());
        self.at += run;
        self.check_length(record)
    }

    fn step(&mut self, state: State, byte: u8, record: &Record) -> Result<(State, Step), ReadError> {
        let field = record.ends.len();
        if byte == 0 {
            return Err(self.malformed(field, "a NUL byte".to_owned(), "text in UTF-8"));
        }
        if byte == b'\n' {
            self.line += 1;
        }
        match (state, byte) {
            (State::CarriageReturn, b'\n') => Ok((State::FieldStart, Step::RecordEnds)),
            (State::CarriageReturn, _) => {
                let found = "a carriage return without a line feed".to_owned();
                Err(self.malformed(field, found, "a line that ends with LF or CR LF"))
            }
            (State::Quoted, b'"') => Ok((State::QuoteInQuoted, Step::GoOn)),
            (State::FieldStart, b'"') => {
                self.quote_line = self.line;
                Ok((State::Quoted, Step::GoOn))
            }
            (State::Plain, b'"') => {
                let found = format!("{} and then a quote", shown(&self.field));
                Err(self.malformed(field, found, "quotes around the whole field or none"))
            }
            (State::QuoteInQuoted, b'"') | (State::Quoted, _) => {
                self.field.push(byte);
                Ok((State::Quoted, Step::GoOn))
            }
            (State::FieldStart | State::Plain | State::QuoteInQuoted, b',') => Ok((State::FieldStart, Step::FieldEnds)),
            (State::FieldStart | State::Plain | State::QuoteInQuoted, b'\n') => {
                Ok((State::FieldStart, Step::RecordEnds))
            }
            (State::FieldStart | State::Plain | State::QuoteInQuoted, b'\r') => Ok((State::CarriageReturn, Step::GoOn)),
            (State::QuoteInQuoted, _) => {
                let found = format!("more text after {} in quotes", shown(&self.field));
                Err(self.malformed(field, found, "a comma or the end of the line"))
            }
            (State::FieldStart | State::Plain, _) => {
                self.field.push(byte);
                Ok((State::Plain, Step::GoOn))
            }
        }
    }

    fn end_of_file(&mut self, state: State, record: &mut Record) -> Result<bool, ReadError> {
        match state {
            State::Quoted => {
                let line = self.quote_line;
                let found = format!("a quote before {} that nothing closes", shown(&self.field));
                let expected = "a closing quote";
                Err(ReadError::Malformed(Malformed {
                    line,
                    field: record.ends.len(),
                    found,
                    expected,
                }))
            }
            State::FieldStart if record.ends.is_empty() => Ok(false),
            State::FieldStart | State::Plain | State::QuoteInQuoted | State::CarriageReturn => {
                self.end_field(record)?;
                self.line += 1;
                Ok(true)
            }
        }
    }

    fn end_field(&mut self, record: &mut Record) -> Result<(), ReadError> {
        let field = record.ends.len();
        self.check_length(record)?;
        if field >= FIELDS_MAX {
            return Err(self.malformed_at(record.line, field, "one more field".to_owned(), "at most 200 fields"));
        }
        match std::str::from_utf8(&self.field) {
            Ok(text) => record.text.push_str(text),
            Err(_) => {
                let found = format!("bytes that are not UTF-8: {}", shown(&self.field));
                return Err(self.malformed_at(record.line, field, found, "text in UTF-8"));
            }
        }
        record.ends.push(record.text.len());
        self.field.clear();
        Ok(())
    }

    fn check_length(&self, record: &Record) -> Result<(), ReadError> {
        if self.field.len() <= FIELD_BYTES_MAX {
            return Ok(());
        }
        let found = format!("{} and more", shown(&self.field));
        let expected = "a field of at most 10000 bytes (is a quote left open?)";
        Err(self.malformed_at(record.line, record.ends.len(), found, expected))
    }

    fn malformed(&self, field: usize, found: String, expected: &'static str) -> ReadError {
        self.malformed_at(self.line, field, found, expected)
    }

    fn malformed_at(&self, line: u64, field: usize, found: String, expected: &'static str) -> ReadError {
        ReadError::Malformed(Malformed {
            line,
            field,
            found,
            expected,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time, so that every state meets the end of a chunk.
    struct Trickle<'a>(&'a [u8]);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else {
                return Ok(0);
            };
            buffer[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    fn records(input: impl Read) -> Result<Vec<Vec<String>>, Malformed> {
        let mut reader = Reader::new(input);
        let mut record = Record::default();
        let mut all = Vec::new();
        loop {
            match reader.read(&mut record) {
                Ok(true) => all.push(record.fields().map(str::to_owned).collect()),
                Ok(false) => return Ok(all),
                Err(ReadError::Malformed(malformed)) => return Err(malformed),
                Err(ReadError::Io(error)) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn records_are_what_the_standard_says() {
        let check = |text: &str, expect: &[&[&str]]| {
            assert_eq!(records(text.as_bytes()).unwrap(), expect, "{text:?}");
            assert_eq!(
                records(Trickle(text.as_bytes())).unwrap(),
                expect,
                "a byte at a time: {text:?}"
            );
        };
        check("", &[]);
        check("a,b\nc,d\n", &[&["a", "b"], &["c", "d"]]);
        check("a,b\r\nc,d", &[&["a", "b"], &["c", "d"]]);
        check("a,b\r", &[&["a", "b"]]);
        check("\"a,\"\"b\"\"\n\",\"\",c\n", &[&["a,\"b\"\n", "", "c"]]);
        check(",\n,", &[&["", ""], &["", ""]]);
        check("\n", &[&[""]]);
        check("ä,日本\n", &[&["ä", "日本"]]);
        assert_eq!(
            records(&b"\xef\xbb\xbfa\n"[..]).unwrap(),
            [["a"]],
            "UTF-8 may begin with its mark"
        );
    }

    #[test]
    fn what_breaks_the_standard_is_named() {
        let check = |bytes: &[u8], line: u64, field: usize, found: &str| {
            let expect = (line, field, true);
            for malformed in [records(bytes).unwrap_err(), records(Trickle(bytes)).unwrap_err()] {
                let said = (malformed.line, malformed.field, malformed.found.contains(found));
                assert_eq!(said, expect, "{malformed:?}");
            }
        };
        check(
            b"a,b\nc,\"d\ne\n",
            2,
            1,
            "a quote before \"d\\ne\\n\" that nothing closes",
        );
        check(b"a,b\nc\"d,e\n", 2, 0, "\"c\" and then a quote");
        check(b"a,b\n\"c\"d,e\n", 2, 0, "more text after \"c\"");
        check(b"a\rb\n", 1, 0, "carriage return");
        check(b"a,b\nc,\0\n", 2, 1, "a NUL byte");
        check(b"a,\"b\n\0\"\n", 2, 1, "a NUL byte");
        check(b"a,b\nc,d\xff\n", 2, 1, "bytes that are not UTF-8: \"d\u{fffd}\"");
        let commas = ",".repeat(FIELDS_MAX);
        check(format!("a\n{commas}\n").as_bytes(), 2, FIELDS_MAX, "one more field");
        for quote in ["", "\""] {
            let long = format!("a,b\nc,{quote}{}{quote}\n", "x".repeat(FIELD_BYTES_MAX + 1));
            check(long.as_bytes(), 2, 1, "xxx…\" and more");
        }
        assert!(records(format!("\"{}\"", "x".repeat(FIELD_BYTES_MAX)).as_bytes()).is_ok());
        let utf16 = records(&b"\xff\xfea\0"[..]).unwrap_err();
        assert_eq!(utf16.found, "the byte order mark of UTF-16");
    }
}
