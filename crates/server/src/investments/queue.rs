//! Where purchases wait: a line for each property, and a worker for each line that is not empty.
//!
//! - A worker takes whatever arrived while its last batch was on its way, without waiting for more: a lone buyer is a batch
//!   of one at once, and a crowd makes its own batches.
//! - Batches at work are bounded, and workers take turns, so that a crowd at one property does not keep others out.
//! - Orders that wait are bounded; past that they are turned away ([`Problem::TooBusy`]) before anything was begun.
//! - A batch is a task of its own: a client that goes away takes nothing with it. An order whose client has gone before its
//!   batch begins is let go.
//! - Nothing here makes a purchase right: PostgreSQL's locks and constraints do, for any number of servers.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Semaphore, oneshot};
use uuid::Uuid;

use super::{
    batch,
    ordering::CreateInvestment,
    reserving::{NewOrder, OrderKey},
};
use crate::{app::App, command::Call, problem::Problem};

/// How much at once.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Orders that wait or are at work.
    pub waiting_max: usize,
    /// Orders of one batch.
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

/// The lines.
pub struct Queue {
    limits: Limits,
    lines: Mutex<Lines>,
    turns: Semaphore,
}

#[derive(Default)]
struct Lines {
    /// Orders that wait or are at work.
    count: usize,
    /// A property is in here exactly as long as it has a worker.
    of_property: HashMap<Uuid, VecDeque<Waiting>>,
    /// Offerings that were running, so that they need not be looked up; looked at again behind the lock.
    offerings: HashMap<Uuid, Uuid>,
}

/// Properties whose offerings are remembered.
const OFFERINGS_MAX: usize = 50_000;

struct Waiting {
    order: NewOrder,
    told: oneshot::Sender<Result<Value, Problem>>,
}

impl Queue {
    /// Empty lines.
    #[must_use]
    pub fn new(limits: Limits) -> Arc<Queue> {
        Arc::new(Queue {
            limits,
            lines: Mutex::default(),
            turns: Semaphore::new(limits.at_work_max),
        })
    }

    /// Orders that wait or are at work.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lock().count
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        // A panic while it was held leaves whole lines.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an order at the end of its property's line; answers whether a worker must be sent.
    fn join(&self, property_id: Uuid, waiting: Waiting) -> Result<bool, Problem> {
        let mut lines = self.lock();
        if lines.count >= self.limits.waiting_max {
            return Err(Problem::TooBusy);
        }
        lines.count += 1;
        let has_worker = lines.of_property.contains_key(&property_id);
        lines.of_property.entry(property_id).or_default().push_back(waiting);
        Ok(!has_worker)
    }

    /// The next batch of a line, or nothing: then the line has no worker any more.
    fn take(&self, property_id: Uuid) -> Option<Vec<Waiting>> {
        let mut lines = self.lock();
        let line = lines.of_property.get_mut(&property_id)?;
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
            lines.of_property.remove(&property_id);
        }
        lines.count -= gone;
        (!batch.is_empty()).then_some(batch)
    }

    fn known_offering(&self, property_id: Uuid) -> Option<Uuid> {
        self.lock().offerings.get(&property_id).copied()
    }

    fn done(&self, property_id: Uuid, count: usize, offering_id: Option<Uuid>) {
        let mut lines = self.lock();
        lines.count -= count;
        match offering_id {
            Some(offering_id) => {
                if lines.offerings.len() >= OFFERINGS_MAX {
                    lines.offerings.clear();
                }
                lines.offerings.insert(property_id, offering_id);
            }
            None => {
                lines.offerings.remove(&property_id);
            }
        }
    }
}

/// `create-investment`: waits in the line of the property, and answers with the investment's row.
///
/// # Errors
/// The rule that says no; [`Problem::NotFound`] for a property without an offering; [`Problem::TooBusy`].
pub async fn create(call: &Call<'_>) -> Result<Value, Problem> {
    call.check_key()?;
    let key = call.key.map(|key| OrderKey {
        text: key.to_owned(),
        body_sha256: Sha256::digest(call.body).to_vec(),
    });
    let wish = call.body::<CreateInvestment>().map_err(|problem| problem.to_string());
    // A body that nobody can read waits as well: its key and its login are looked at first.
    let property_id = wish.as_ref().map_or(Uuid::nil(), |wish| wish.property_id);
    let order = NewOrder {
        id: Uuid::now_v7(),
        user_id: call.user_id,
        wish,
        reuses_identical: key.is_none(),
        key,
    };
    let (told, answer) = oneshot::channel();
    if call.app.purchases.join(property_id, Waiting { order, told })? {
        tokio::spawn(work(call.app.clone(), property_id));
    }
    answer
        .await
        .map_err(|_| Problem::internal("a batch of purchases ended without an answer"))?
}

/// Works a line off, batch after batch, and ends with it.
async fn work(app: App, property_id: Uuid) {
    let queue = app.purchases.clone();
    loop {
        // Never closed.
        let Ok(turn) = queue.turns.acquire().await else { return };
        let Some(batch) = queue.take(property_id) else { return };
        let count = batch.len();
        let (orders, told): (Vec<NewOrder>, Vec<_>) = batch.into_iter().map(|one| (one.order, one.told)).unzip();
        let mut offering_id = queue.known_offering(property_id);
        let with = app.clone();
        // A task of its own: should it panic, the line goes on.
        let running = tokio::spawn(async move {
            let answers = batch::run(&with, property_id, &mut offering_id, &orders).await;
            (offering_id, answers)
        });
        let (offering_id, answers) = running.await.unwrap_or_default();
        drop(turn);
        queue.done(property_id, count, offering_id);
        for (told, answer) in told.into_iter().zip(answers) {
            // A client that has gone is told nothing; what was committed stays.
            let _ = told.send(answer);
        }
    }
}
