//! How long statements take, so that only quick ones are asked where others wait behind them.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Statements that are remembered for a role.
const KNOWN_MAX: usize = 1000;

/// Below this on a connection of its own, on the average, a statement may be quick (us). It counts the wait for a processor.
const OWN_MAX_US: u64 = 8000;

/// Below this on a lane a statement is quick: so long is the next one kept waiting.
const LANE_MAX_US: u64 = 2000;

/// Of an average the newest is this part.
const NEWEST: u64 = 8;

/// Statements of a role, by the hash of their text: of two that have the same, both are as quick as their average.
#[derive(Default)]
pub(super) struct Paces(Mutex<HashMap<u64, Pace>>);

#[derive(Debug, Default, Clone, Copy)]
struct Pace {
    own_us: u64,
    lane_us: u64,
}

/// A statement's place among the paces.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key(u64);

impl Key {
    pub(super) fn of(text: &str) -> Key {
        Key(BuildHasherDefault::<DefaultHasher>::default().hash_one(text))
    }
}

impl Paces {
    /// Whether it ran before, and never long of late.
    pub(super) fn is_quick(&self, key: Key) -> bool {
        self.on_lane(key).is_some()
    }

    /// How long it takes on a lane, if it ran before and never long of late.
    pub(super) fn on_lane(&self, key: Key) -> Option<Duration> {
        let all = self.all();
        let pace = all.get(&key.0)?;
        (pace.own_us < OWN_MAX_US && pace.lane_us < LANE_MAX_US).then(|| Duration::from_micros(pace.lane_us))
    }

    /// It took so long on a connection of its own. What it took on a lane is forgotten by and by, so that it may try again.
    pub(super) fn took(&self, key: Key, time: Duration) {
        let mut all = self.all();
        if all.len() >= KNOWN_MAX && !all.contains_key(&key.0) {
            all.clear();
        }
        let pace = all.entry(key.0).or_default();
        pace.own_us = average(pace.own_us, us(time));
        pace.lane_us -= pace.lane_us / 64;
    }

    /// It took so long on a lane.
    pub(super) fn took_on_lane(&self, key: Key, time: Duration) {
        if let Some(pace) = self.all().get_mut(&key.0) {
            pace.lane_us = average(pace.lane_us, us(time));
        }
    }

    fn all(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Pace>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn average(before: u64, newest: u64) -> u64 {
    (before * (NEWEST - 1) + newest) / NEWEST
}

fn us(time: Duration) -> u64 {
    // A minute is as slow as a day, and its average cannot overflow.
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX).min(60_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_slow_on_a_lane_leaves_it_and_may_come_back() {
        let (paces, key) = (Paces::default(), Key::of("select 1"));
        assert!(!paces.is_quick(key), "what never ran is not known to be quick");
        paces.took(key, Duration::from_micros(300));
        assert!(paces.is_quick(key));
        assert!(!paces.is_quick(Key::of("select 2")));
        paces.took_on_lane(key, Duration::from_micros(300));
        assert!(paces.is_quick(key));
        paces.took_on_lane(key, Duration::from_millis(50));
        assert!(!paces.is_quick(key));
        for _ in 0..300 {
            paces.took(key, Duration::from_micros(300));
        }
        assert!(paces.is_quick(key));
        paces.took(key, Duration::from_secs(1));
        assert!(!paces.is_quick(key));
    }

    #[test]
    fn no_more_are_remembered_than_there_is_room_for() {
        let paces = Paces::default();
        for number in 0..3 * KNOWN_MAX {
            paces.took(Key::of(&format!("select {number}")), Duration::ZERO);
        }
        assert!(paces.all().len() <= KNOWN_MAX);
    }
}
