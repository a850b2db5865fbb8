//! Lines in which the same kind of thing waits to be done many at once: one line for each key, and a worker for each line
//! that is not empty.
//!
//! - A worker takes whatever arrived while its last batch was on its way, without waiting for more: what comes alone is a
//!   batch of one at once, and a crowd makes its own batches.
//! - Batches at work are bounded, and workers take turns, so that a crowd in one line does not keep others out.
//! - What waits is bounded; past that it is turned away ([`Problem::TooBusy`]) before anything was begun.
//! - A batch is a task of its own: a client that goes away takes nothing with it. What waits for a client that has gone is
//!   let go when its turn comes.
//! - Nothing here makes anything right: PostgreSQL's locks and constraints do, for any number of servers.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Semaphore, oneshot};
use uuid::Uuid;

use crate::problem::Problem;

/// How much at once.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many wait or are at work.
    pub waiting_max: usize,
    /// How many are done at once.
    pub batch_max: usize,
    /// Batches at work, each on a connection of the engine's.
    pub at_work_max: usize,
}

impl Default for Limits {
    /// About a second of work waits. A batch stays within what the audit trail tells row by row, and leaves other commands a
    /// third of the engine's connections.
    fn default() -> Limits {
        Limits {
            waiting_max: 8_192,
            batch_max: 1_000,
            at_work_max: 4,
        }
    }
}

/// Keys of which something is remembered.
const HINTS_MAX: usize = 50_000;

/// Lines of `T`, each answered with an `A`.
pub struct Queue<T, A> {
    limits: Limits,
    lines: Mutex<Lines<T, A>>,
    turns: Arc<Semaphore>,
}

struct Lines<T, A> {
    /// How many wait or are at work.
    count: usize,
    /// A key is in here exactly as long as its line has a worker.
    by_key: HashMap<Uuid, VecDeque<Waiting<T, A>>>,
    /// What the last batch of a key found, so that the next need not look for it first.
    hints: HashMap<Uuid, Uuid>,
}

/// What the last batch found, and who is next.
type Batch<T, A> = (Option<Uuid>, Vec<Waiting<T, A>>);

struct Waiting<T, A> {
    what: T,
    told: oneshot::Sender<A>,
}

impl<T: Send + 'static, A: Send + 'static> Queue<T, A> {
    /// Empty lines, whose workers take these turns.
    #[must_use]
    pub fn new(limits: Limits, turns: Arc<Semaphore>) -> Arc<Queue<T, A>> {
        let lines = Lines {
            count: 0,
            by_key: HashMap::new(),
            hints: HashMap::new(),
        };
        Arc::new(Queue {
            limits,
            lines: Mutex::new(lines),
            turns,
        })
    }

    /// How many wait or are at work.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lock().count
    }

    /// Waits in a key's line, and answers with what `work` said of it. `work` is given what the last batch of the key found,
    /// and a batch; it answers with what is to be remembered, and for each of the batch in order.
    ///
    /// # Errors
    /// [`Problem::TooBusy`]; a fault of ours when the batch ended without an answer.
    pub async fn wait<W, F>(self: &Arc<Self>, key: Uuid, what: T, work: W) -> Result<A, Problem>
    where
        W: Fn(Option<Uuid>, Vec<T>) -> F + Send + 'static,
        F: Future<Output = (Option<Uuid>, Vec<A>)> + Send + 'static,
    {
        let (told, answer) = oneshot::channel();
        if self.join(key, Waiting { what, told })? {
            tokio::spawn(self.clone().work_off(key, work));
        }
        answer
            .await
            .map_err(|_| Problem::internal("a batch ended without an answer"))
    }

    fn lock(&self) -> MutexGuard<'_, Lines<T, A>> {
        // A panic while it was held leaves whole lines.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To the end of the line; answers whether a worker must be sent.
    fn join(&self, key: Uuid, waiting: Waiting<T, A>) -> Result<bool, Problem> {
        let mut lines = self.lock();
        if lines.count >= self.limits.waiting_max {
            return Err(Problem::TooBusy);
        }
        lines.count += 1;
        let has_worker = lines.by_key.contains_key(&key);
        lines.by_key.entry(key).or_default().push_back(waiting);
        Ok(!has_worker)
    }

    /// The next batch of a line, or nothing: then the line has no worker any more.
    fn take(&self, key: Uuid) -> Option<Batch<T, A>> {
        let mut lines = self.lock();
        let hint = lines.hints.get(&key).copied();
        let line = lines.by_key.get_mut(&key)?;
        let mut batch = Vec::new();
        let mut gone = 0;
        while batch.len() < self.limits.batch_max
            && let Some(waiting) = line.pop_front()
        {
            if waiting.told.is_closed() {
                gone += 1;
            } else {
                batch.push(waiting);
            }
        }
        if batch.is_empty() {
            lines.by_key.remove(&key);
        }
        lines.count -= gone;
        (!batch.is_empty()).then_some((hint, batch))
    }

    fn done(&self, key: Uuid, count: usize, hint: Option<Uuid>) {
        let mut lines = self.lock();
        lines.count -= count;
        match hint {
            Some(hint) => {
                if lines.hints.len() >= HINTS_MAX {
                    lines.hints.clear();
                }
                lines.hints.insert(key, hint);
            }
            None => {
                lines.hints.remove(&key);
            }
        }
    }

    /// Works a line off, batch after batch, and ends with it.
    async fn work_off<W, F>(self: Arc<Self>, key: Uuid, work: W)
    where
        W: Fn(Option<Uuid>, Vec<T>) -> F + Send + 'static,
        F: Future<Output = (Option<Uuid>, Vec<A>)> + Send + 'static,
    {
        loop {
            // Never closed.
            let Ok(turn) = self.turns.acquire().await else { return };
            let Some((hint, batch)) = self.take(key) else { return };
            let count = batch.len();
            let (batch, told): (Vec<T>, Vec<_>) = batch.into_iter().map(|one| (one.what, one.told)).unzip();
            // A task of its own: should it panic, the line goes on.
            let (hint, answers) = tokio::spawn(work(hint, batch)).await.unwrap_or_default();
            drop(turn);
            self.done(key, count, hint);
            for (told, answer) in told.into_iter().zip(answers) {
                // A client that has gone is told nothing; what was committed stays.
                let _ = told.send(answer);
            }
        }
    }
}
