//! Lines in which the same kind of thing waits to be done many at once: one line for each key, and a worker for each line
//! that is not empty.
//!
//! - A worker takes whatever arrived while its last batch was on its way, without waiting for more: what comes alone is a
//!   batch of one at once, and a crowd makes its own batches.
//! - Batches at work are bounded, and workers take turns, so that a crowd in one line does not keep others out.
//! - What waits is bounded by number, and the crowd in one line by the time that it would wait at the pace of the last
//!   batches, which leaves room for other lines; past that it is turned away ([`Problem::TooBusy`]) before anything was begun.
//! - A batch is a task of its own: a client that goes away takes nothing with it. What waits for a client that has gone is
//!   let go when its turn comes.
//! - Nothing here makes anything right: PostgreSQL's locks and constraints do, for any number of servers.

mod pace;

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{Semaphore, oneshot};
use uuid::Uuid;

use crate::problem::Problem;
use pace::Pace;

/// How much at once.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many wait or are at work, whatever the pace.
    pub waiting_max: usize,
    /// How long one more may have to wait where a whole batch waits in its line.
    pub wait_max: Duration,
    /// How many are done at once.
    pub batch_max: usize,
    /// Batches at work, each on a connection of the engine's.
    pub at_work_max: usize,
}

impl Default for Limits {
    /// Who would wait longer than some seconds is better told to come again. A batch stays within what the audit trail tells row by row, and leaves other commands a
    /// third of the engine's connections.
    fn default() -> Limits {
        Limits {
            waiting_max: 8_192,
            wait_max: Duration::from_secs(3),
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
    pace: Pace,
}

/// What the last batch found, and who is next.
type Batch<T, A> = (Option<Uuid>, Vec<Waiting<T, A>>);

struct Waiting<T, A> {
    what: T,
    told: oneshot::Sender<A>,
}

impl<T, A> Lines<T, A> {
    fn is_full(&self, key: Uuid, limits: Limits) -> bool {
        let is_long = self.by_key.get(&key).is_some_and(|line| line.len() >= limits.batch_max);
        self.count >= limits.waiting_max || (is_long && self.pace.time_of(self.count) > limits.wait_max)
    }
}

impl<T: Send + 'static, A: Send + 'static> Queue<T, A> {
    /// Empty lines, whose workers take these turns.
    #[must_use]
    pub fn new(limits: Limits, turns: Arc<Semaphore>) -> Arc<Queue<T, A>> {
        let lines = Lines {
            count: 0,
            by_key: HashMap::new(),
            hints: HashMap::new(),
            pace: Pace::default(),
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

    /// Whether one more in this line would be turned away now.
    #[must_use]
    pub fn is_full(&self, key: Uuid) -> bool {
        self.lock().is_full(key, self.limits)
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
        if lines.is_full(key, self.limits) {
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

    fn done(&self, key: Uuid, count: usize, began: Instant, hint: Option<Uuid>) {
        let mut lines = self.lock();
        lines.count -= count;
        lines.pace.note(count, began, Instant::now());
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
            let (count, began) = (batch.len(), Instant::now());
            let (batch, told): (Vec<T>, Vec<_>) = batch.into_iter().map(|one| (one.what, one.told)).unzip();
            // A task of its own: should it panic, the line goes on.
            let (hint, answers) = tokio::spawn(work(hint, batch)).await.unwrap_or_default();
            drop(turn);
            self.done(key, count, began, hint);
            for (told, answer) in told.into_iter().zip(answers) {
                // A client that has gone is told nothing; what was committed stays.
                let _ = told.send(answer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{sync::watch, task::JoinHandle};

    use super::*;

    struct Crowd {
        queue: Arc<Queue<u32, u32>>,
        gate: watch::Sender<bool>,
    }

    impl Crowd {
        /// Waits in a line whose batches are done while the gate is open.
        fn send(&self, line: Uuid) -> JoinHandle<Result<u32, Problem>> {
            let (queue, gate) = (self.queue.clone(), self.gate.subscribe());
            let work = move |_, batch: Vec<u32>| {
                let mut gate = gate.clone();
                async move {
                    gate.wait_for(|is_open| *is_open).await.unwrap();
                    (None, batch)
                }
            };
            tokio::spawn(async move { queue.wait(line, 7, work).await })
        }

        async fn until_waiting(&self, count: usize) {
            while self.queue.waiting() != count {
                tokio::task::yield_now().await;
            }
        }
    }

    #[tokio::test]
    async fn a_crowd_that_would_wait_too_long_is_turned_away_and_others_are_not() {
        let limits = Limits {
            batch_max: 40,
            // Whatever the pace, it is too slow.
            wait_max: Duration::ZERO,
            ..Limits::default()
        };
        let queue = Queue::new(limits, Arc::new(Semaphore::new(2)));
        let crowd = Crowd {
            queue,
            gate: watch::Sender::new(false),
        };
        let (crowded, quiet) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let first: Vec<_> = (0..81).map(|_| crowd.send(crowded)).collect();
        crowd.until_waiting(81).await;
        assert!(!crowd.queue.is_full(crowded), "nobody knows the pace yet");
        crowd.gate.send_replace(true);
        for one in first {
            assert_eq!(one.await.unwrap().unwrap(), 7);
        }
        crowd.gate.send_replace(false);
        let alone = crowd.send(crowded);
        crowd.until_waiting(1).await;
        let mut waiting = vec![alone];
        while waiting.len() < 60 && !crowd.queue.is_full(crowded) {
            waiting.push(crowd.send(crowded));
            crowd.until_waiting(waiting.len()).await;
        }
        assert!(
            (41..60).contains(&waiting.len()),
            "a batch at most is at work, one waits"
        );
        let turned_away = crowd.send(crowded).await.unwrap();
        assert!(matches!(turned_away, Err(Problem::TooBusy)), "{turned_away:?}");
        assert!(!crowd.queue.is_full(quiet));
        waiting.push(crowd.send(quiet));
        crowd.until_waiting(waiting.len()).await;
        crowd.gate.send_replace(true);
        for one in waiting {
            assert_eq!(one.await.unwrap().unwrap(), 7);
        }
        crowd.until_waiting(0).await;
    }
}
