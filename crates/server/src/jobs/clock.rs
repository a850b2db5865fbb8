//! Watching the database's clock: when it jumps, what cannot be undone is paused, and says so.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use mint_core::clock::jump;

use crate::{
    app::App,
    command::Command,
    db::{Actor, sql},
    problem::Problem,
};

const WATCHER: Actor = Actor::Program("clock");

/// Remembers the last look at the clock, beside the database's memory of it.
#[derive(Debug, Default)]
pub struct Watch {
    last: Mutex<Option<(DateTime<Utc>, Instant)>>,
}

/// Whether deadlines, closings and payouts run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pace {
    /// They run.
    Running,
    /// They are paused since an instant, for a reason.
    Paused(DateTime<Utc>, String),
}

impl Watch {
    /// Looks at the clock, and pauses when it has jumped since the last look.
    ///
    /// # Errors
    /// What the database answered.
    pub async fn look(&self, app: &App) -> Result<Pace, Problem> {
        let command = Command::begin(app, WATCHER).await?;
        let looked = Instant::now();
        let text = sql!("select last_seen_at, paused_at, reason from nexus.clock_watch for update");
        let seen = match command.tx.query_opt(text, &[]).await? {
            Some(row) => (row.try_get::<_, DateTime<Utc>>(0)?, row.try_get(1)?, row.try_get(2)?),
            None => (command.now, None, None),
        };
        let (last_seen, paused_at, reason): (DateTime<Utc>, Option<DateTime<Utc>>, Option<String>) = seen;
        let passed: Option<(DateTime<Utc>, Duration)> = self
            .last
            .lock()
            .ok()
            .and_then(|last| last.map(|(at, instant)| (at, looked.duration_since(instant))));
        let jumped = match passed {
            // Another process may have looked in between: this one measures from its own last look.
            Some((at, passed)) => jump(at, command.now, Some(passed)).or_else(|| jump(last_seen, command.now, None)),
            None => jump(last_seen, command.now, None),
        };
        let pace = match (paused_at.zip(reason), jumped) {
            (Some((since, reason)), _) => Pace::Paused(since, reason),
            (None, Some(jumped)) => Pace::Paused(command.now, jumped.to_string()),
            (None, None) => Pace::Running,
        };
        let (paused_at, reason) = match &pace {
            Pace::Running => (None, None),
            Pace::Paused(since, reason) => (Some(since), Some(reason)),
        };
        let text = sql!(
            "insert into nexus.clock_watch (last_seen_at, paused_at, reason) values ($1, $2, $3)
             on conflict on constraint clock_watch_pkey do update set last_seen_at = $1, paused_at = $2, reason = $3"
        );
        command.tx.execute(text, &[&command.now, &paused_at, &reason]).await?;
        let now = command.now;
        command.commit().await?;
        if let Ok(mut last) = self.last.lock() {
            *last = Some((now, looked));
        }
        Ok(pace)
    }
}

/// How it stands, without looking at the clock.
///
/// # Errors
/// What the database answered.
pub async fn pace(command: &Command) -> Result<Pace, Problem> {
    let text = sql!("select paused_at, reason from nexus.clock_watch where paused_at is not null");
    Ok(match command.tx.query_opt(text, &[]).await? {
        Some(row) => Pace::Paused(row.try_get(0)?, row.try_get(1)?),
        None => Pace::Running,
    })
}

/// Lets paused work go on, from the clock as it is now: the operator has looked.
///
/// # Errors
/// What the database answered.
pub async fn resume(command: &Command) -> Result<(), Problem> {
    let text = sql!("update nexus.clock_watch set paused_at = null, reason = null, last_seen_at = $1");
    command.tx.execute(text, &[&command.now]).await?;
    Ok(())
}
