//! The connections of one role: those that are free, and the lanes that quick reads share.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
};

use super::{
    lane::{End, Lane},
    pace::Paces,
    session::{Keep, Origin, Session, lock},
};

/// A role may have one lane for so many of its connections: the others are for what takes longer.
const CONNECTIONS_A_LANE: usize = 4;

/// As long as the wait for it is below this, the first lane is taken: what is busy already need not be woken.
const WAIT_IS_SHORT: Duration = Duration::from_micros(500);

/// The right to use a connection: one of the role, and one of all.
pub(super) type Permits = (OwnedSemaphorePermit, OwnedSemaphorePermit);

/// What a role has.
pub(super) struct Role {
    pub(super) free: Arc<Semaphore>,
    pub(super) idle: Mutex<Vec<Session>>,
    pub(super) paces: Paces,
    /// Requests that are being answered.
    busy: AtomicUsize,
    lanes: Mutex<Vec<Arc<Lane>>>,
    lanes_max: usize,
    keep: Keep,
    /// Grows when connections from before are to be closed.
    age: Arc<AtomicUsize>,
}

/// Counts a request for as long as it is being answered.
pub(super) struct Busy(Arc<Role>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Role {
    /// A role with so many connections at most, on so many processors.
    pub(super) fn new(connections_max: usize, processors: usize, keep: Keep, age: Arc<AtomicUsize>) -> Role {
        Role {
            free: Arc::new(Semaphore::new(connections_max)),
            idle: Mutex::default(),
            paces: Paces::default(),
            busy: AtomicUsize::default(),
            lanes: Mutex::default(),
            lanes_max: (connections_max / CONNECTIONS_A_LANE).min(processors),
            keep,
            age,
        }
    }

    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(self.clone())
    }

    pub(super) fn idle(&self) -> Option<Session> {
        let mut idle = lock(&self.idle);
        std::iter::from_fn(|| idle.pop()).find(|session| self.is_kept(session.origin))
    }

    /// Whether a connection is neither from before nor too old.
    fn is_kept(&self, origin: Origin) -> bool {
        origin.age == self.age.load(Ordering::Relaxed) && origin.born.elapsed() < self.keep.lifetime
    }

    /// Closes what nobody has used for long, and what is too old.
    pub(super) fn close_unused(&self) {
        lock(&self.idle).retain(|session| self.is_kept(session.origin) && session.used.elapsed() < self.keep.idle);
    }

    /// Has a session for the next request, unless it is from before.
    pub(super) fn take_back(&self, mut session: Session) {
        if self.is_kept(session.origin) {
            session.used = Instant::now();
            lock(&self.idle).push(session);
        }
    }

    /// Whether so many ask at once that lanes are worth it: a request that is alone is quicker without.
    fn is_crowded(&self) -> bool {
        self.busy.load(Ordering::Relaxed) > self.lanes_max
    }

    /// The lane for a statement that takes so long on one: the first where the wait is short, or else where the fewest wait.
    pub(super) fn lane(&self, takes: Duration) -> Option<Arc<Lane>> {
        if !self.is_crowded() {
            return None;
        }
        let lanes = lock(&self.lanes);
        let open = lanes.iter().filter(|lane| self.is_kept(lane.origin));
        let open = open.filter_map(|lane| Some((lane.waiting()?, lane)));
        shortest(open, takes).cloned()
    }

    /// Has a session that has just served a quick read: as a lane, where one is wanted.
    pub(super) fn take_back_for_lane(self: &Arc<Self>, session: Session, permits: Permits) {
        let mut lanes = lock(&self.lanes);
        let (true, true, Ok(runtime)) = (self.is_crowded(), lanes.len() < self.lanes_max, Handle::try_current()) else {
            return self.take_back(session);
        };
        let Session {
            wire,
            statements,
            origin,
            used,
            live,
        } = session;
        let lane = Arc::new(Lane::new(statements, origin));
        lanes.push(lane.clone());
        let role = self.clone();
        runtime.spawn(async move {
            let end = lane.drive(wire).await;
            lock(&role.lanes).retain(|other| !Arc::ptr_eq(other, &lane));
            if let End::Unused(rest) = end {
                let (wire, statements) = *rest;
                role.take_back(Session {
                    wire,
                    statements,
                    origin,
                    used,
                    live,
                });
            }
            drop(permits);
        });
    }
}

/// Of what so many wait for, each of them for so long: the first where the wait is short, or else where the fewest wait.
fn shortest<T>(lanes: impl Iterator<Item = (usize, T)>, takes: Duration) -> Option<T> {
    let wait = |waiting: usize| takes.saturating_mul(u32::try_from(waiting).unwrap_or(u32::MAX));
    let shortest = lanes.min_by_key(|(waiting, _)| {
        let is_short = wait(*waiting) < WAIT_IS_SHORT;
        if is_short { 0 } else { *waiting }
    });
    shortest.map(|(_, lane)| lane)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_lane_is_preferred_while_its_wait_is_short() {
        let choose = |waiting: &[usize], us: u64| {
            let lanes = waiting.iter().copied().zip(0..);
            shortest(lanes, Duration::from_micros(us))
        };
        assert_eq!(choose(&[3, 0], 100), Some(0));
        assert_eq!(choose(&[5, 0], 100), Some(1), "half a millisecond is no short wait");
        assert_eq!(choose(&[9, 7, 8], 1000), Some(1));
        assert_eq!(choose(&[], 1), None::<usize>);
    }
}
