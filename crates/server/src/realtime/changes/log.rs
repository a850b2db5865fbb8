//! The changes in PostgreSQL's log, fetched now and then over an ordinary connection, from a slot that lives as long as it.
//!
//! PostgreSQL's own sender is woken by every commit, at the expense of whoever commits; an ordinary connection is not, and
//! decodes many commits at once for a tenth of what each costs alone ([decision 26]).
//!
//! [decision 26]: ../../../../../docs/decisions/0026-realtime.md

use std::{io, time::Duration};

use tokio::time::{Instant, sleep_until, timeout};
use uuid::Uuid;

use crate::{
    db::{ConnectError, Login, sql},
    rest::{
        session::NoSession,
        wire::{self, Heard, Row, Wire, WireError},
    },
};

/// How long a connection attempt may take.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// How long PostgreSQL may be silent when it was asked something.
const SILENCE_MAX: Duration = Duration::from_secs(90);

/// How long PostgreSQL waits for a word of ours before it ends the connection, and the slot with it: a process that is
/// stopped keeps no more log than is written meanwhile.
const UNHEARD_MAX: &str = "20s";

/// Messages of one reading at most, unless its last commit has more.
const MESSAGES_MAX: u32 = 20_000;

/// How often is looked whether the log has grown: soon after it has, and when it is quiet.
const LOOK_EVERY: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(20));

/// How long after it grew the log counts as quiet.
const QUIET_AFTER: Duration = Duration::from_secs(2);

/// How long is waited between readings while the log grows by this (bytes a second), as it does by a thousand small rows. Twice
/// as fast, and it is waited four times as long: what a reading costs beside its rows is shared by as many as they are.
const WAIT: (u64, Duration) = (250_000, Duration::from_millis(15));

/// How fast it grows is an average of about so long: one large commit is no reason to let the next wait.
const OF_LATE: Duration = Duration::from_millis(250);

/// No longer than that.
const WAIT_MAX: Duration = Duration::from_millis(500);

/// After a reading that took long, because there was much or a transaction is under way since long ago, is waited for so many
/// times as long in any case.
const WAIT_TIMES: u32 = 4;

/// But no longer than this, so that PostgreSQL hears from us.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// PostgreSQL decodes again, each time, from where it last wrote down which transactions were under way, which it does
/// every 15 s. It is made to when so much was written since (bytes), and not more often than that.
const STEP_BYTES: u64 = 512 * 1024;

/// See [`STEP_BYTES`].
const STEP_EVERY: Duration = Duration::from_secs(1);

/// How long PostgreSQL is left to wait, when it does, for transactions that are under way.
const STEP_MAX: &str = "50ms";

/// How long until it is tried again when they went on: twice as long each time, and no longer than that.
const STEP_AGAIN_MAX: Duration = Duration::from_secs(60);

/// A statement, and the name under which it is prepared.
type Named = (&'static str, &'static str);

const LOOK: Named = ("look", sql!("select pg_catalog.pg_current_wal_flush_lsn()"));

const READ: Named = (
    "read",
    sql!(
        "select c.data from pg_catalog.pg_logical_slot_get_binary_changes($1::name, null, $2::int,
                'proto_version', '1', 'publication_names', $3::text) as c"
    ),
);

/// PostgreSQL would write two lines to its log at each reading. What goes wrong here is told by us.
const QUIETLY: &str = sql!("set log_min_messages = 'fatal'");

/// The slot is of no use: that one is made is why PostgreSQL writes down what is under way.
const STEP: Named = (
    "step",
    sql!(
        "select pg_catalog.pg_drop_replication_slot(s.slot_name)
         from pg_catalog.pg_create_logical_replication_slot($1::name, 'pgoutput', true) as s"
    ),
);

/// Why the log is not followed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// No login.
    #[error("no connection for changes")]
    Login(#[from] NoSession),
    /// The connection is gone, or PostgreSQL refused.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// Nothing came for too long.
    #[error("nothing was heard for {} s", SILENCE_MAX.as_secs())]
    Silent,
}

impl From<io::Error> for LogError {
    fn from(error: io::Error) -> LogError {
        LogError::Wire(error.into())
    }
}

/// The log, as far as it was not yet read.
pub struct Log {
    wire: Wire,
    slot: String,
    publications: String,
    /// Where it begins: of what is committed from there on, nothing is missing.
    begins: u64,
    /// Where the log ended when it was looked at last (bytes since its beginning).
    end: u64,
    /// When it was last seen to have grown.
    grown_at: Instant,
    /// When it is to be looked at again.
    due: Instant,
    reading: Reading,
    step: Step,
}

/// The last reading.
struct Reading {
    begun: Instant,
    /// Where the log ended.
    end: u64,
    /// How fast it grew of late (bytes a second).
    rate: f64,
    /// How long PostgreSQL took to decode.
    took: Option<Duration>,
    messages: u32,
    /// Whether it is under way.
    is_open: bool,
    /// Up to where the log is read whole.
    whole_to: u64,
}

/// The last time that PostgreSQL wrote down what was under way.
struct Step {
    /// A connection of its own: whatever is refused on one ends the slots that it has.
    wire: Wire,
    done: Instant,
    end: u64,
    again_after: Duration,
}

impl Log {
    /// Makes a slot from which the changes of these publications are read.
    ///
    /// # Errors
    /// See [`LogError`].
    pub async fn follow(login: &Login, publications: &[String]) -> Result<Log, LogError> {
        let wire = connect(
            login,
            &format!("-c statement_timeout=0 -c idle_session_timeout={UNHEARD_MAX}"),
            &[LOOK, READ],
        )
        .await?;
        let options = format!("-c statement_timeout={STEP_MAX} -c idle_session_timeout=0");
        let beside = connect(login, &options, &[STEP]).await?;
        let names: Vec<String> = publications.iter().map(|name| pgrest::name::quoted(name)).collect();
        let now = Instant::now();
        let mut log = Log {
            wire,
            slot: format!("nexus_mint_{}", Uuid::new_v4().simple()),
            publications: names.join(","),
            begins: 0,
            end: 0,
            grown_at: now,
            due: now,
            reading: Reading {
                begun: now,
                end: 0,
                rate: 0.0,
                took: None,
                messages: 0,
                is_open: false,
                whole_to: 0,
            },
            step: Step {
                wire: beside,
                done: now,
                end: 0,
                again_after: STEP_EVERY,
            },
        };
        log.begin().await?;
        Ok(log)
    }

    async fn begin(&mut self) -> Result<(), LogError> {
        self.wire.pen.parse(
            "",
            sql!("select s.lsn from pg_catalog.pg_create_logical_replication_slot($1::name, 'pgoutput', true) as s"),
        )?;
        self.wire.pen.run("", [Some(self.slot.as_str())])?;
        self.wire.pen.sync();
        self.wire.send().await?;
        // Waits for every transaction under way, however long that takes.
        let mut begins = None;
        loop {
            match self.wire.hear().await? {
                Heard::Row(row) => begins = position(&row),
                Heard::Done => {}
                Heard::Ready => break,
            }
        }
        self.begins = begins.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        self.look().await?;
        // Something may have been committed since the slot was made.
        self.reading.end = self.begins;
        self.reading.whole_to = self.begins;
        self.step.end = self.end;
        Ok(())
    }

    /// Where it begins: of what is committed from there on, nothing is missing.
    #[must_use]
    pub fn begins(&self) -> u64 {
        self.begins
    }

    /// Whether a reading is under way.
    #[must_use]
    pub fn is_reading(&self) -> bool {
        self.reading.is_open
    }

    /// Up to where everything was read.
    #[must_use]
    pub fn read_to(&self) -> u64 {
        self.reading.whole_to
    }

    /// Waits until the log is to be looked at again. May be given up at any time.
    pub async fn wait(&self) {
        sleep_until(self.due).await;
    }

    /// Looks whether there is something to read. When there is not, there is something to wait for.
    ///
    /// # Errors
    /// See [`LogError`].
    pub async fn has_grown(&mut self) -> Result<bool, LogError> {
        self.look().await?;
        if self.end > self.reading.end || self.reading.messages >= MESSAGES_MAX {
            return Ok(true);
        }
        let (soon, quiet) = LOOK_EVERY;
        let every = if self.grown_at.elapsed() < QUIET_AFTER {
            soon
        } else {
            quiet
        };
        self.due = Instant::now() + every;
        Ok(false)
    }

    /// Looks where the log ends; PostgreSQL hears from us.
    ///
    /// # Errors
    /// See [`LogError`].
    pub async fn look(&mut self) -> Result<(), LogError> {
        self.wire.pen.run(LOOK.0, [])?;
        self.wire.pen.sync();
        self.wire.send().await?;
        let mut end = None;
        loop {
            match hear(&mut self.wire).await? {
                Heard::Row(row) => end = position(&row),
                Heard::Done => {}
                Heard::Ready => break,
            }
        }
        let end = end.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        if end > self.end {
            self.end = end;
            self.grown_at = Instant::now();
        }
        Ok(())
    }

    /// Begins to read.
    ///
    /// # Errors
    /// See [`LogError`].
    pub async fn read(&mut self) -> Result<(), LogError> {
        let messages_max = MESSAGES_MAX.to_string();
        let values = [&self.slot, &messages_max, &self.publications];
        self.wire.pen.run(READ.0, values.map(|value| Some(value.as_str())))?;
        self.wire.pen.sync();
        let begun = Instant::now();
        self.wire.send().await?;
        let grown = self.end.saturating_sub(self.reading.end);
        let since = begun.saturating_duration_since(self.reading.begun);
        let rate = rate_of_late(self.reading.rate, grown, since);
        self.due = begun + wait_at(rate);
        self.reading = Reading {
            begun,
            end: self.end,
            rate,
            took: None,
            messages: 0,
            is_open: true,
            whole_to: self.reading.whole_to,
        };
        Ok(())
    }

    /// The next message of a reading, until it is over.
    ///
    /// # Errors
    /// See [`LogError`].
    pub async fn next(&mut self) -> Result<Option<Row>, LogError> {
        loop {
            let heard = hear(&mut self.wire).await?;
            let took = *self.reading.took.get_or_insert_with(|| self.reading.begun.elapsed());
            match heard {
                Heard::Row(row) => {
                    self.reading.messages += 1;
                    return Ok(Some(row));
                }
                Heard::Done => {}
                Heard::Ready => {
                    let now = Instant::now();
                    let is_whole = self.reading.messages < MESSAGES_MAX;
                    self.reading.is_open = false;
                    if is_whole {
                        self.reading.whole_to = self.reading.end;
                    }
                    self.due = if is_whole {
                        self.due.max(now + PAUSE_MAX.min(took * WAIT_TIMES))
                    } else {
                        now
                    };
                    return Ok(None);
                }
            }
        }
    }

    /// Makes the next reading begin further on, when that is worth it. That PostgreSQL cannot just now is no error.
    ///
    /// # Errors
    /// See [`LogError`].
    pub async fn step(&mut self) -> Result<(), LogError> {
        if self.end.saturating_sub(self.step.end) < STEP_BYTES || self.step.done.elapsed() < self.step.again_after {
            return Ok(());
        }
        let wire = &mut self.step.wire;
        wire.pen.run(STEP.0, [Some(format!("{}_step", self.slot).as_str())])?;
        wire.pen.sync();
        wire.send().await?;
        let mut is_done = true;
        loop {
            match hear(wire).await {
                Ok(Heard::Row(_) | Heard::Done) => {}
                Ok(Heard::Ready) => break,
                Err(LogError::Wire(WireError::Refused(_))) => is_done = false,
                Err(error) => return Err(error),
            }
        }
        self.step.done = Instant::now();
        if is_done {
            self.step.end = self.end;
            self.step.again_after = STEP_EVERY;
        } else {
            self.step.again_after = (self.step.again_after * 2).min(STEP_AGAIN_MAX);
        }
        Ok(())
    }
}

/// A connection on which these statements are prepared, and rows are written as clients know them.
async fn connect(login: &Login, options: &str, statements: &[Named]) -> Result<Wire, LogError> {
    let mut pg = login.pg.clone();
    let options = format!(
        "{} -c datestyle=iso -c intervalstyle=postgres -c timezone=utc -c extra_float_digits=1 -c bytea_output=hex {options}",
        pg.get_options().unwrap_or_default(),
    );
    pg.options(options.trim_start())
        .application_name("nexus-mint realtime changes");
    let mut wire = wire::connect(&pg, &login.connector()?, CONNECT_MAX).await?;
    for (name, text) in statements {
        wire.pen.parse(name, text)?;
    }
    wire.pen.sync();
    wire.send().await?;
    while !matches!(hear(&mut wire).await?, Heard::Ready) {}
    wire.pen.command(QUIETLY)?;
    wire.pen.sync();
    wire.send().await?;
    loop {
        match hear(&mut wire).await {
            Ok(Heard::Row(_) | Heard::Done) => {}
            Ok(Heard::Ready) => return Ok(wire),
            // `doctor` says what is missing.
            Err(LogError::Wire(WireError::Refused(fault))) => {
                tracing::debug!(fault.message, "PostgreSQL's log will be long")
            }
            Err(error) => return Err(error),
        }
    }
}

/// A position in the log that is a row's first column.
fn position(row: &Row) -> Option<u64> {
    let bytes = row.columns().next().flatten()?;
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

async fn hear(wire: &mut Wire) -> Result<Heard, LogError> {
    let heard = timeout(SILENCE_MAX, wire.hear()).await;
    Ok(heard.map_err(|_| LogError::Silent)??)
}

/// How fast the log grows of late (bytes a second), when it grew by so many bytes in so much time after it was `before`.
fn rate_of_late(before: f64, grown: u64, since: Duration) -> f64 {
    let since = since.as_secs_f64().max(1e-6);
    let old = (-since / OF_LATE.as_secs_f64()).exp();
    before * old + grown as f64 / since * (1.0 - old)
}

/// How long to wait between readings when it grows so fast (bytes a second).
fn wait_at(rate: f64) -> Duration {
    let (usual, wait) = WAIT;
    let times = rate / usual as f64;
    Duration::try_from_secs_f64(wait.as_secs_f64() * times * times).map_or(WAIT_MAX, |wait| wait.min(WAIT_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_faster_the_log_grows_the_more_is_read_at_once() {
        assert_eq!(wait_at(250_000.0), 15 * MS, "a thousand rows a second");
        assert_eq!(wait_at(1_000_000.0), 240 * MS, "four thousand");
        assert_eq!(wait_at(3_500_000.0), WAIT_MAX, "fourteen thousand");
        assert_eq!(wait_at(25_000.0), MS * 15 / 100, "a hundred");
        assert_eq!(wait_at(f64::MAX), WAIT_MAX);
        assert_eq!(wait_at(0.0), Duration::ZERO);
    }

    #[test]
    fn how_fast_it_grows_is_an_average() {
        let steady = (0..1_000).fold(0.0, |rate, _| rate_of_late(rate, 2_500, 10 * MS));
        assert!((steady - 250_000.0).abs() < 1.0, "{steady}");
        let seldom = (0..10).fold(0.0, |rate, _| rate_of_late(rate, 250_000, 1_000 * MS));
        assert!((seldom - 250_000.0).abs() < 1.0, "{seldom}");
        let one_large = rate_of_late(0.0, 100_000, 5 * MS);
        assert!(wait_at(one_large) < 50 * MS, "{one_large}");
        assert!(rate_of_late(0.0, u64::MAX, Duration::ZERO).is_finite());
        assert!(rate_of_late(1e6, 0, 1_000 * MS) < 2e4, "forgotten");
    }
}
