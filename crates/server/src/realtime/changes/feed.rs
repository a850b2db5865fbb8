//! Where changes come from: PostgreSQL's sender while little is written, readings of its log while much is ([decision 26]).
//!
//! The sender tells of each commit at once, and is woken by each, at the expense of whoever commits. A reading decodes many
//! commits for a tenth of what each costs there, and comes later. Which of the two is followed depends on how many
//! transactions write.
//!
//! What is followed next is made ready beside what is followed now. That goes on until it has told all that was committed
//! before the other one begins, which passes over what was told already: nothing is lost or told twice on the way.
//!
//! Either has a slot that is temporary: a process that dies leaves nothing behind that keeps the write-ahead log. What was
//! committed while nobody was connected is not told of; whoever listened then is told that.
//!
//! [decision 26]: ../../../../../docs/decisions/0026-realtime.md

use std::{error::Error, sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use super::{
    log::Log,
    stream::{self, Heard, Piece, Told},
    wal::{Change, Reader},
};
use crate::{
    db::{Login, sql},
    rest::session::Sessions,
};

/// Changes that are told together.
const BATCH_MAX: usize = 256;

/// How long PostgreSQL's sender waits at most, while changes come, to be told how far everything was done: so much log it
/// keeps.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// How long it waits when none come.
const TOLD_SELDOM: Duration = Duration::from_secs(5);

/// How long what comes after changes is left to gather, so that many commits wake nobody for each of them: this process
/// and PostgreSQL's sender have the same cores as those who write. Whatever comes alone is told at once.
const GATHER: Duration = Duration::from_millis(4);

/// How often is looked how many transactions write.
const WEIGH_EVERY: Duration = Duration::from_millis(250);

/// How often the sender is asked how far it is, where that is waited for.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// What is ready and was not begun with after so long is let go: PostgreSQL would give it up before long.
const READY_MAX: Duration = Duration::from_secs(10);

/// How long to wait until what could not be made ready is tried again.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// With so many transactions a second that write, for so long, the log is read; a thousand small rows a second are told one
/// by one.
const MUCH: (f64, Duration) = (2_500.0, Duration::from_millis(500));

/// With less than so many, for so long, the sender is followed again.
const LITTLE: (f64, Duration) = (1_500.0, Duration::from_secs(5));

/// How many transactions had a number of their own since the cluster was made, which those have that write.
const WRITTEN: &str = sql!("select pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text");

/// Why there are no more changes.
pub type Failure = Box<dyn Error + Send + Sync>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Sender,
    Log,
}

enum Source {
    Sender(Box<Sender>),
    Log(Box<Log>),
}

struct Sender {
    heard: Heard,
    told: Told,
    last_told: Instant,
    /// Whether changes came just now.
    gathers: bool,
}

/// Where changes come from.
pub struct Feed<'a> {
    login: &'a Login,
    sessions: &'a Arc<Sessions>,
    publications: Vec<String>,
    source: Source,
    reader: Reader,
    /// Up to where all that was committed is read (bytes since the log's beginning).
    at: u64,
    load: Load,
    weighed: Instant,
    /// How much was written is being asked, while changes go on.
    weighing: JoinSet<Option<u64>>,
    /// What is to be followed next, or is followed.
    aim: Way,
    making: JoinSet<Result<Source, Failure>>,
    ready: Option<(Source, Instant)>,
    try_after: Instant,
}

impl Source {
    async fn new(way: Way, login: &Login, publications: &[String]) -> Result<Source, Failure> {
        Ok(match way {
            Way::Sender => {
                let (heard, told) = stream::follow(login, publications).await?;
                Source::Sender(Box::new(Sender {
                    heard,
                    told,
                    last_told: Instant::now(),
                    gathers: false,
                }))
            }
            Way::Log => Source::Log(Box::new(Log::follow(login, publications).await?)),
        })
    }

    fn way(&self) -> Way {
        match self {
            Source::Sender(_) => Way::Sender,
            Source::Log(_) => Way::Log,
        }
    }

    /// Where it begins: of what is committed from there on, nothing is missing.
    fn begins(&self) -> u64 {
        match self {
            Source::Sender(sender) => sender.heard.begins(),
            Source::Log(log) => log.begins(),
        }
    }
}

impl<'a> Feed<'a> {
    /// Begins to follow the changes of these publications.
    ///
    /// # Errors
    /// When there is no connection, or PostgreSQL refuses.
    pub async fn begin(
        login: &'a Login,
        sessions: &'a Arc<Sessions>,
        publications: Vec<String>,
    ) -> Result<Feed<'a>, Failure> {
        let source = Source::new(Way::Sender, login, &publications).await?;
        let now = Instant::now();
        Ok(Feed {
            login,
            sessions,
            publications,
            source,
            reader: Reader::default(),
            at: 0,
            load: Load::default(),
            weighed: now,
            weighing: JoinSet::new(),
            aim: Way::Sender,
            making: JoinSet::new(),
            ready: None,
            try_after: now,
        })
    }

    /// The next changes, in the order of their commits, when there are some before long: some hundred at most, unless a single
    /// message has more.
    ///
    /// # Errors
    /// When the connection is lost, or PostgreSQL refuses: there are no more changes then.
    pub async fn next(&mut self) -> Result<Vec<Change>, Failure> {
        self.weigh();
        self.switch();
        let is_awaited = self.ready.is_some();
        match &mut self.source {
            Source::Sender(sender) => sender.next(&mut self.reader, &mut self.at, is_awaited).await,
            Source::Log(log) => next(log, &mut self.reader, &mut self.at).await,
        }
    }

    /// Lets PostgreSQL know that somebody is there, while changes are told.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn stay(&mut self) -> Result<(), Failure> {
        match &mut self.source {
            Source::Sender(sender) => sender.tell(self.at, false).await,
            // A reading that is under way waits for us.
            Source::Log(log) if log.is_reading() => Ok(()),
            Source::Log(log) => Ok(log.look().await?),
        }
    }

    /// Looks how much is written, and has what suits that made ready.
    fn weigh(&mut self) {
        if self.weighing.is_empty() && self.weighed.elapsed() >= WEIGH_EVERY {
            self.weighed = Instant::now();
            let sessions = self.sessions.clone();
            self.weighing.spawn(async move { written(&sessions).await });
        }
        // What could not be asked just now is asked again.
        let Some(Ok(Some(written))) = self.weighing.try_join_next() else {
            return;
        };
        self.aim = self.load.look(self.aim, written, Instant::now());
        if self.aim == self.source.way() {
            self.making.abort_all();
            self.ready = None;
        } else if self.making.is_empty() && self.ready.is_none() && Instant::now() >= self.try_after {
            let (aim, login, publications) = (self.aim, self.login.clone(), self.publications.clone());
            self.making
                .spawn(async move { Source::new(aim, &login, &publications).await });
        }
    }

    /// Goes on with what is ready, as soon as nothing is lost by it.
    fn switch(&mut self) {
        while let Some(made) = self.making.try_join_next() {
            match made {
                // One that was ready just before it was no longer wanted is let go.
                Ok(Ok(source)) => self.ready = (source.way() == self.aim).then(|| (source, Instant::now())),
                Ok(Err(error)) => {
                    tracing::warn!(cause = %error, "changes are followed as before, though as much is written as it is");
                    self.try_after = Instant::now() + TRY_AGAIN_AFTER;
                }
                // It was aborted.
                Err(_) => {}
            }
        }
        let Some((source, since)) = self.ready.take() else {
            return;
        };
        if self.at >= source.begins() && self.reader.is_between() {
            tracing::debug!(to = ?source.way(), "changes are followed another way");
            self.reader = Reader::after(&self.reader);
            self.source = source;
        } else if since.elapsed() < READY_MAX {
            self.ready = Some((source, since));
        } else {
            self.try_after = Instant::now() + TRY_AGAIN_AFTER;
        }
    }
}

impl Sender {
    async fn next(&mut self, reader: &mut Reader, at: &mut u64, is_awaited: bool) -> Result<Vec<Change>, Failure> {
        if self.gathers {
            sleep(GATHER).await;
        }
        let (patience, seldom) = if is_awaited {
            (ASK_EVERY, ASK_EVERY)
        } else {
            (WEIGH_EVERY, TOLD_SELDOM)
        };
        let mut changes = Vec::new();
        let mut is_asked = false;
        let mut next = match timeout(patience, self.heard.next()).await {
            Ok(piece) => Some(piece?),
            Err(_) => None,
        };
        let came = next.is_some();
        while let Some(piece) = next {
            match piece {
                Piece::Alive {
                    at: alive,
                    is_asked: asked,
                } => {
                    *at = (*at).max(alive);
                    is_asked |= asked;
                }
                Piece::Data(message) => {
                    changes.extend(reader.read(&message)?);
                    *at = (*at).max(reader.end());
                }
            }
            next = if changes.len() < BATCH_MAX {
                self.heard.at_hand()?
            } else {
                None
            };
        }
        self.gathers = !changes.is_empty() && changes.len() < BATCH_MAX;
        let waits = if came { TOLD_EVERY.min(seldom) } else { seldom };
        if is_asked || self.last_told.elapsed() >= waits {
            self.tell(*at, is_awaited).await?;
        }
        Ok(changes)
    }

    async fn tell(&mut self, at: u64, asks: bool) -> Result<(), Failure> {
        self.last_told = Instant::now();
        Ok(self.told.done(at, asks).await?)
    }
}

/// The next changes of the log.
async fn next(log: &mut Log, reader: &mut Reader, at: &mut u64) -> Result<Vec<Change>, Failure> {
    let mut changes = Vec::new();
    if !log.is_reading() {
        log.step().await?;
        if timeout(WEIGH_EVERY, log.wait()).await.is_err() || !log.has_grown().await? {
            return Ok(changes);
        }
        log.read().await?;
    }
    while changes.len() < BATCH_MAX {
        let Some(row) = log.next().await? else {
            *at = (*at).max(log.read_to());
            break;
        };
        changes.extend(reader.read(row.columns().next().flatten().unwrap_or_default())?);
    }
    Ok(changes)
}

async fn written(sessions: &Sessions) -> Option<u64> {
    let mut borrowed = sessions.borrow("service_role").await.ok()?;
    let rows = borrowed.session().ok()?.rows(WRITTEN, &[]).await.ok()?;
    let text = rows.first()?.columns().next()??;
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// How much is written.
#[derive(Debug, Default)]
struct Load {
    last: Option<(u64, Instant)>,
    /// Since when it has been more, or less, than what the way that is followed is for.
    other_since: Option<Instant>,
}

impl Load {
    /// What should be followed, by how many transactions have written until now.
    fn look(&mut self, way: Way, written: u64, now: Instant) -> Way {
        let Some((before, then)) = self.last.replace((written, now)) else {
            return way;
        };
        let seconds = now.saturating_duration_since(then).as_secs_f64().max(1e-6);
        let rate = written.saturating_sub(before) as f64 / seconds;
        let (is_other, patience, other) = match way {
            Way::Sender => (rate >= MUCH.0, MUCH.1, Way::Log),
            Way::Log => (rate < LITTLE.0, LITTLE.1, Way::Sender),
        };
        let since = is_other.then(|| self.other_since.unwrap_or(then));
        if since.is_some_and(|since| now.saturating_duration_since(since) >= patience) {
            self.other_since = None;
            return other;
        }
        self.other_since = since;
        way
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn much_is_read_from_the_log_until_it_was_calm_for_a_while() {
        let begun = Instant::now();
        let mut load = Load::default();
        let (mut way, mut written, mut looks) = (Way::Sender, 1_000_000, 0);
        let mut after = |rate: u64| {
            written += rate / 4;
            way = load.look(way, written, begun + looks * WEIGH_EVERY);
            looks += 1;
            way
        };
        assert_eq!(after(9_000), Way::Sender, "nothing is known yet");
        assert_eq!(
            [1_000, 2_400, 90_000, 0, 2_500].map(&mut after),
            [Way::Sender; 5],
            "not for long"
        );
        assert_eq!(after(2_500), Way::Log);
        assert_eq!([1_600; 40].map(&mut after), [Way::Log; 40], "neither much nor little");
        assert_eq!([0; 19].map(&mut after), [Way::Log; 19]);
        assert_eq!(after(1_600), Way::Log, "not for long");
        assert_eq!([1_400; 19].map(&mut after), [Way::Log; 19]);
        assert_eq!([0; 3].map(&mut after), [Way::Sender; 3]);
    }
}
