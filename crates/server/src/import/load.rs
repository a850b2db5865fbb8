//! One file into its tables: staged by COPY, checked as a whole, then written set by set, in one transaction.

use std::{
    fmt, io,
    io::Read,
    pin::{Pin, pin},
};

use bytes::Bytes;
use chrono::NaiveDate;
use futures_util::SinkExt as _;
use tokio_postgres::CopyInSink;

use super::{
    Dataset,
    csv::{Malformed, ReadError, Reader, Record},
    dubai,
    field::{Column, push_copied, shown},
    realt, seattle,
};
use crate::{
    db::{Actor, CommitError, Db, DbError, Tx, sql},
    progress::Progress,
};

/// Any number, as long as nobody else uses it: the advisory lock of whoever loads. A second load waits, and then finds
/// everything there.
const LOCK: i64 = 0x6e78_6d69_6e74_0003;

/// A million rows take longer than any command, and a load may wait for another. The tables may have been empty when
/// PostgreSQL last looked, and a nested loop over what they hold by now would never end: sets are hashed, in memory
/// where they fit.
const SESSION: &str = "set local statement_timeout = 0; set local lock_timeout = '10min'; \
                       set local enable_nestloop = off; set local work_mem = '64MB'";

/// A day begins up to fourteen hours earlier elsewhere.
const IS_STILL_TO_COME: &str = sql!("select $1 > (now() at time zone 'UTC')::date + 1");

/// What is sent to PostgreSQL at once.
const SEND_BYTES: usize = 64 * 1024;

/// How a kind of file is staged.
pub(super) struct Layout {
    /// The header, and what the fields are.
    pub(super) columns: &'static [Column],
    /// Makes the staging table: `line`, then the columns.
    pub(super) stage: &'static str,
    /// Copies into it.
    pub(super) copy: &'static str,
    /// Gathers its statistics: what follows is planned for its size.
    pub(super) analyze: &'static str,
    /// What must hold between fields or lines.
    pub(super) checks: &'static [Check],
}

/// Something that must hold for the file as a whole.
pub(super) struct Check {
    /// The column to name.
    pub(super) column: &'static str,
    /// What was expected there.
    pub(super) expected: &'static str,
    /// Gives the first line that is wrong, and what is found there.
    pub(super) sql: &'static str,
}

/// What a load did to a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Its name.
    pub table: &'static str,
    /// Rows that were missing.
    pub added: u64,
    /// Rows whose figures the file corrects.
    pub changed: u64,
    /// Rows of the file that were there.
    pub unchanged: u64,
}

/// What a load did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Lines of the file below its header.
    pub rows: u64,
    /// Table by table.
    pub tables: Vec<Written>,
    /// Sums over everything of this kind that is there now, in words.
    pub totals: Vec<String>,
}

/// A field, line or file that is not what it should be. Nothing was loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: column {column}: found {found}, expected {expected}")]
pub struct BadFile {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// The column by its name, or its number from 1 where it should not be there.
    pub column: String,
    /// What is there, shortened.
    pub found: String,
    /// What should be there.
    pub expected: String,
}

/// Why nothing was loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file is wrong.
    #[error(transparent)]
    Bad(#[from] BadFile),
    /// The day whose facts the file is said to hold has not come. What it says would hold against all lists until then.
    #[error("{file} cannot hold the facts of {as_of}, which is still to come: say whose facts it holds with --as-of")]
    StillToCome {
        /// The file.
        file: String,
        /// The day.
        as_of: NaiveDate,
    },
    /// The file cannot be read.
    #[error("cannot read {0}")]
    Unreadable(String, #[source] io::Error),
    /// The database cannot be reached.
    #[error(transparent)]
    Db(#[from] DbError),
    /// PostgreSQL refused; nothing of the file is loaded.
    #[error("the database refused the load, and nothing of the file is loaded")]
    Refused(#[from] tokio_postgres::Error),
    /// Whether the commit happened is not known when the connection broke; loading again is safe.
    #[error("the load could not be committed; load the file again")]
    Commit(#[from] CommitError),
}

impl Loaded {
    /// Whether there is now anything that was not there before.
    #[must_use]
    pub fn is_change(&self) -> bool {
        self.tables.iter().any(|written| written.added + written.changed > 0)
    }
}

/// For the person who asked.
impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows read", self.rows)?;
        for written in &self.tables {
            let Written {
                table,
                added,
                changed,
                unchanged,
            } = written;
            write!(
                f,
                "\n{table}: {added} added, {changed} changed, {unchanged} as they were"
            )?;
        }
        for total in &self.totals {
            write!(f, "\n{total}")?;
        }
        if !self.is_change() {
            f.write_str("\nnothing changed")?;
        }
        Ok(())
    }
}

impl Dataset {
    fn layout(self) -> &'static Layout {
        match self {
            Dataset::Seattle => &seattle::LAYOUT,
            Dataset::Dubai => &dubai::LAYOUT,
            Dataset::Realt { .. } => &realt::LAYOUT,
        }
    }

    fn as_of(self) -> Option<NaiveDate> {
        match self {
            Dataset::Seattle | Dataset::Dubai => None,
            Dataset::Realt { as_of } => Some(as_of),
        }
    }

    async fn write(self, tx: &Tx, rows: u64) -> Result<Loaded, tokio_postgres::Error> {
        match self {
            Dataset::Seattle => seattle::write(tx, rows).await,
            Dataset::Dubai => dubai::write(tx, rows).await,
            Dataset::Realt { as_of } => realt::write(tx, rows, as_of).await,
        }
    }
}

/// Loads a file, called `name` in errors.
///
/// # Errors
/// See [`LoadError`]. Nothing of the file is loaded then.
pub async fn load(
    db: &Db,
    dataset: Dataset,
    name: &str,
    input: impl Read + Send,
    progress: &mut Progress,
) -> Result<Loaded, LoadError> {
    let layout = dataset.layout();
    let tx = db.as_engine(Actor::Program("load")).await?;
    if let Some(as_of) = dataset.as_of()
        && tx.query_one(IS_STILL_TO_COME, &[&as_of]).await?.get(0)
    {
        let file = name.to_owned();
        return Err(LoadError::StillToCome { file, as_of });
    }
    tx.connection().batch_execute(SESSION).await?;
    tx.query(sql!("select pg_catalog.pg_advisory_xact_lock($1)"), &[&LOCK])
        .await?;
    tx.connection().batch_execute(layout.stage).await?;
    let rows = stage(&tx, layout, name, input, progress).await?;
    progress.writing(rows);
    tx.connection().batch_execute(layout.analyze).await?;
    for check in layout.checks {
        if let Some(row) = tx.query_opt(check.sql, &[]).await? {
            let line: i64 = row.get(0);
            return Err(LoadError::Bad(BadFile {
                file: name.to_owned(),
                line: u64::try_from(line).unwrap_or_default(),
                column: check.column.to_owned(),
                found: row.get(1),
                expected: check.expected.to_owned(),
            }));
        }
    }
    let loaded = dataset.write(&tx, rows).await?;
    tx.commit().await?;
    progress.done();
    Ok(loaded)
}

/// Copies the file into the staging table, field by field read and checked. Returns its rows.
async fn stage(
    tx: &Tx,
    layout: &Layout,
    name: &str,
    input: impl Read + Send,
    progress: &mut Progress,
) -> Result<u64, LoadError> {
    let file = File {
        name,
        columns: layout.columns,
    };
    let mut reader = Reader::new(input);
    let mut record = Record::default();
    let has_header = file.read(&mut reader, &mut record)?;
    file.check_header(has_header, &record)?;
    let sink: CopyInSink<Bytes> = tx.connection().copy_in(layout.copy).await?;
    let mut sink: Pin<&mut CopyInSink<Bytes>> = pin!(sink);
    let mut lines = Vec::with_capacity(SEND_BYTES + SEND_BYTES / 4);
    let mut rows = 0;
    while file.read(&mut reader, &mut record)? {
        file.push_row(&record, &mut lines)?;
        rows += 1;
        if lines.len() >= SEND_BYTES {
            sink.send(Bytes::copy_from_slice(&lines)).await?;
            lines.clear();
            progress.read(rows, reader.bytes_read());
        }
    }
    if rows == 0 {
        let found = "the end of the file".to_owned();
        return Err(file.bad(reader.line(), 0, found, "at least one row below the header".to_owned()));
    }
    sink.send(Bytes::from(lines)).await?;
    sink.finish().await?;
    Ok(rows)
}

/// A file as far as errors need to know it.
struct File<'a> {
    name: &'a str,
    columns: &'static [Column],
}

impl File<'_> {
    fn read<R: Read>(&self, reader: &mut Reader<R>, record: &mut Record) -> Result<bool, LoadError> {
        reader.read(record).map_err(|error| match error {
            ReadError::Io(error) => LoadError::Unreadable(self.name.to_owned(), error),
            ReadError::Malformed(Malformed {
                line,
                field,
                found,
                expected,
            }) => self.bad(line, field, found, expected.to_owned()),
        })
    }

    /// The header is the columns, all of them, in their order: a guess about another order would load wrong figures.
    fn check_header(&self, is_there: bool, record: &Record) -> Result<(), LoadError> {
        if !is_there {
            let expected = format!("a header line with {} columns", self.columns.len());
            return Err(self.bad(1, 0, "an empty file".to_owned(), expected));
        }
        let mut fields = record.fields();
        for (at, column) in self.columns.iter().enumerate() {
            let field = fields.next();
            if field != Some(column.name) {
                let found = field.map_or("the end of the line".to_owned(), |field| shown(field.as_bytes()));
                return Err(self.bad(record.line, at, found, format!("{:?} in the header here", column.name)));
            }
        }
        self.check_end(record)
    }

    /// Appends a line of COPY's text format: the line's number, then the fields.
    fn push_row(&self, record: &Record, lines: &mut Vec<u8>) -> Result<(), LoadError> {
        lines.extend_from_slice(record.line.to_string().as_bytes());
        let mut fields = record.fields();
        for (at, column) in self.columns.iter().enumerate() {
            let Some(field) = fields.next() else {
                let expected = format!("{} fields on a line", self.columns.len());
                return Err(self.bad(record.line, at, "the end of the line".to_owned(), expected));
            };
            let Some(value) = column.kind.parse(field) else {
                let found = shown(field.as_bytes());
                return Err(self.bad(record.line, at, found, column.kind.to_string()));
            };
            lines.push(b'\t');
            push_copied(lines, &value);
        }
        lines.push(b'\n');
        self.check_end(record)
    }

    fn check_end(&self, record: &Record) -> Result<(), LoadError> {
        let count = self.columns.len();
        match record.fields().nth(count) {
            None => Ok(()),
            Some(extra) => {
                let expected = format!("{count} fields on a line");
                Err(self.bad(record.line, count, shown(extra.as_bytes()), expected))
            }
        }
    }

    fn bad(&self, line: u64, field: usize, found: String, expected: String) -> LoadError {
        let name = self.columns.get(field).map(|column| column.name.to_owned());
        LoadError::Bad(BadFile {
            file: self.name.to_owned(),
            line,
            column: name.unwrap_or_else(|| (field + 1).to_string()),
            found,
            expected,
        })
    }
}

/// What a load of `of` rows did to a table.
pub(super) fn written(table: &'static str, of: u64, changed: u64, added: u64) -> Written {
    Written {
        table,
        added,
        changed,
        unchanged: of.saturating_sub(added + changed),
    }
}
