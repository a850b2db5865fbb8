//! Brings a database to the schema that this program was built with.
//!
//! First the platform files, which give a plain PostgreSQL what a Supabase project has (each may run again), then
//! `supabase/migrations/*.sql` in the order of their versions as text, as Supabase's own CLI does. A file is applied in
//! one transaction together with its row in `supabase_migrations.schema_migrations`, so a database can move between
//! the two without a file being applied twice. Processes that start at once wait for each other.
//!
//! Nothing here goes back: a file that was applied and has changed since is an error.

mod history;
mod split;

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use tokio_postgres::{Client, error::ErrorPosition};

pub use split::{Statement, split};

/// Any number, as long as nobody else uses it: the advisory lock of whoever migrates.
const LOCK: i64 = 0x6e78_6d69_6e74_0001;

/// How long to wait for another process that migrates (ms). Longer than any migration of a table that fits a
/// property platform.
const WAIT_FOR_OTHERS_MS: u32 = 600_000;

/// Where it is written what is applied: ours and Supabase's.
pub const HISTORY_TABLES: [&str; 2] = ["nexus_platform.files", "supabase_migrations.schema_migrations"];

/// How much of a statement or of a place in a function an error quotes: enough to find it.
const EXCERPT_CHARACTERS: usize = 200;

/// A SQL file that the program carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqlFile {
    /// Its name without folder.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/sql_files.rs"));

/// The files to apply.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// What a Supabase project has already, in order.
    pub platform: &'a [SqlFile],
    /// The schema, in order of the versions.
    pub migrations: &'a [SqlFile],
}

/// Whether the database has Supabase's schemas from Supabase or from us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// A PostgreSQL to which we bring the platform files.
    Plain,
    /// A Supabase project: `auth` and `storage` are not ours to touch.
    Supabase,
}

/// What a database lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Whose platform it is.
    pub platform: Platform,
    /// Files to apply, in order.
    pub pending: Vec<&'static str>,
    /// Versions that somebody applied and that this program does not know: a newer program, or a project's own.
    pub unknown: Vec<String>,
}

/// Why the schema cannot be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A file's name says no version.
    #[error("migration {0:?} is not named like 0010_foundation.sql")]
    Name(&'static str),
    /// A file has changed after it was applied.
    #[error(
        "{file} is not what was applied to this database under version {version}; \
         put back the file as it was and make the change in a new one"
    )]
    Changed {
        /// The file in the program.
        file: &'static str,
        /// Its version.
        version: &'static str,
    },
    /// A statement of a file failed; its file is rolled back as a whole.
    #[error("{file}:{line}: this statement cannot be applied{context}\n    {excerpt}")]
    Statement {
        /// The file.
        file: &'static str,
        /// The line, from 1.
        line: usize,
        /// The beginning of the statement.
        excerpt: String,
        /// Where inside a function it happened, if it did.
        context: String,
        /// What PostgreSQL said.
        source: tokio_postgres::Error,
    },
    /// The bookkeeping failed.
    #[error("cannot {doing}")]
    Bookkeeping {
        /// What we were about to do.
        doing: &'static str,
        /// What PostgreSQL said.
        source: tokio_postgres::Error,
    },
}

impl Sources<'static> {
    /// The files in this program.
    #[must_use]
    pub fn embedded() -> Sources<'static> {
        Sources {
            platform: PLATFORM,
            migrations: MIGRATIONS,
        }
    }
}

impl Sources<'_> {
    /// Names this set of files: the SHA-256 of all names and texts, in hexadecimal. Test databases are kept by it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for file in self.platform.iter().chain(self.migrations) {
            for part in [file.name, file.text] {
                hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
                hash.update(part);
            }
        }
        hexadecimal(&hash.finalize())
    }

    /// The versions of the migrations, in order.
    pub fn versions(&self) -> impl Iterator<Item = &'static str> + use<'_> {
        self.migrations
            .iter()
            .filter_map(|file| Some(file.version_and_name().ok()?.0))
    }
}

impl SqlFile {
    /// Version and name, from `0010_foundation.sql`: `^([0-9]+)_(.*)\.sql$`, as Supabase's CLI reads them.
    fn version_and_name(&self) -> Result<(&'static str, &'static str), MigrateError> {
        let parts = self.name.strip_suffix(".sql").and_then(|stem| stem.split_once('_'));
        parts
            .filter(|(version, _)| !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit()))
            .ok_or(MigrateError::Name(self.name))
    }
}

/// Says what is to be done, and does nothing. The login must be able to read the bookkeeping.
///
/// # Errors
/// See [`MigrateError`].
pub async fn status(client: &Client, sources: &Sources<'_>) -> Result<Status, MigrateError> {
    let platform = history::platform(client).await?;
    let mut pending = Vec::new();
    if platform == Platform::Plain {
        let applied = history::platform_files(client).await?;
        pending.extend(
            sources
                .platform
                .iter()
                .filter(|file| !applied.contains(&key_of(file)))
                .map(|file| file.name),
        );
    }
    let applied = history::migrations(client).await?;
    let mut known = Vec::new();
    for file in sources.migrations {
        let (version, _) = file.version_and_name()?;
        known.push(version);
        match applied.iter().find(|row| row.version == version) {
            None => pending.push(file.name),
            Some(row) if row.is_of(file.text) => {}
            Some(_) => {
                return Err(MigrateError::Changed {
                    file: file.name,
                    version,
                });
            }
        }
    }
    let unknown = applied
        .into_iter()
        .map(|row| row.version)
        .filter(|version| !known.contains(&version.as_str()));
    Ok(Status {
        platform,
        pending,
        unknown: unknown.collect(),
    })
}

/// Applies what is missing and returns the names of the files applied. Waits for another process that does the same.
///
/// # Errors
/// See [`MigrateError`]. Files before the failing one stay applied.
pub async fn run(client: &mut Client, sources: &Sources<'_>) -> Result<Vec<&'static str>, MigrateError> {
    let quiet = format!("set client_min_messages = warning; set lock_timeout = {WAIT_FOR_OTHERS_MS}");
    history::command(client, "prepare the session", &quiet).await?;
    history::lock(client, LOCK).await?;
    history::command(client, "prepare the session", "reset lock_timeout").await?;
    let result = apply_pending(client, sources).await;
    let unlocked = history::unlock(client, LOCK).await;
    let applied = result?;
    unlocked?;
    Ok(applied)
}

async fn apply_pending(client: &mut Client, sources: &Sources<'_>) -> Result<Vec<&'static str>, MigrateError> {
    history::make_tables(client).await?;
    let todo = status(client, sources).await?;
    for file in sources.platform.iter().filter(|file| todo.pending.contains(&file.name)) {
        let statements = apply_statements(client, file).await?;
        history::record_platform_file(client, file.name, &key_of(file).1).await?;
        tracing::info!(file = file.name, statements = statements.len(), "applied");
    }
    for file in sources
        .migrations
        .iter()
        .filter(|file| todo.pending.contains(&file.name))
    {
        let (version, name) = file.version_and_name()?;
        let statements = apply_statements(client, file).await?;
        history::record_migration(client, version, name, &statements).await?;
        tracing::info!(file = file.name, statements = statements.len(), "applied");
    }
    history::let_the_program_read(client).await?;
    Ok(todo.pending)
}

/// Begins a transaction and runs a file in it. The caller records and commits.
async fn apply_statements(client: &mut Client, file: &SqlFile) -> Result<Vec<&'static str>, MigrateError> {
    history::command(client, "begin a transaction", "begin").await?;
    let statements = split(file.text);
    for statement in &statements {
        if let Err(source) = client.batch_execute(statement.text).await {
            let error = statement_error(file, statement, source);
            // The connection may be gone; the statement's own error is the one to report.
            let _ = client.batch_execute("rollback").await;
            return Err(error);
        }
    }
    // A file may have changed role or settings for its session; what follows is ours again.
    history::command(
        client,
        "reset the session",
        "reset role; reset all; set client_min_messages = warning",
    )
    .await?;
    Ok(statements.into_iter().map(|statement| statement.text).collect())
}

fn statement_error(file: &SqlFile, statement: &Statement<'_>, source: tokio_postgres::Error) -> MigrateError {
    let server = source.as_db_error();
    let offset = match server.and_then(|error| error.position()) {
        Some(ErrorPosition::Original(position)) => usize::try_from(*position).unwrap_or(0).saturating_sub(1),
        Some(ErrorPosition::Internal { .. }) | None => 0,
    };
    let before = statement
        .text
        .chars()
        .take(offset)
        .filter(|letter| *letter == '\n')
        .count();
    let mut context = String::new();
    if let Some(places) = server.and_then(|error| error.where_()) {
        let places: String = places
            .lines()
            .collect::<Vec<_>>()
            .join(", ")
            .chars()
            .take(EXCERPT_CHARACTERS)
            .collect();
        // Writing to a String cannot fail.
        let _ = write!(context, " ({places})");
    }
    let line_text = statement.text.lines().nth(before).unwrap_or_default().trim();
    let excerpt = line_text.chars().take(EXCERPT_CHARACTERS).collect();
    MigrateError::Statement {
        file: file.name,
        line: statement.line + before,
        excerpt,
        context,
        source,
    }
}

/// How a platform file is remembered: its name, and its hash so that a changed one is applied again.
fn key_of(file: &SqlFile) -> (String, String) {
    (file.name.to_owned(), hexadecimal(&Sha256::digest(file.text)))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_supabase_reads_them() {
        let parts = |name| SqlFile { name, text: "" }.version_and_name().ok();
        assert_eq!(parts("0010_the_ledger.sql"), Some(("0010", "the_ledger")));
        assert_eq!(parts("20240101000000_.sql"), Some(("20240101000000", "")));
        for wrong in [
            "ledger.sql",
            "_ledger.sql",
            "10a_ledger.sql",
            "0010-ledger.sql",
            "0010_ledger.txt",
        ] {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn embedded_migrations_have_versions_that_differ_and_ascend() {
        let versions: Vec<_> = MIGRATIONS
            .iter()
            .map(|file| file.version_and_name().unwrap().0)
            .collect();
        assert!(versions.windows(2).all(|pair| pair[0] < pair[1]), "{versions:?}");
    }

    #[test]
    fn the_fingerprint_tells_name_from_text() {
        let print = |name, text| {
            Sources {
                platform: &[],
                migrations: &[SqlFile { name, text }],
            }
            .fingerprint()
        };
        assert_ne!(print("ab", "c"), print("a", "bc"));
        assert_eq!(print("ab", "c").len(), 64);
    }
}
