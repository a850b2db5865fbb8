//! How fast crowds were worked off lately, and so how long one more would wait.

use std::time::{Duration, Instant};

/// Batches smaller than this say nothing of a crowd: each has the cost of a whole transaction.
const CROWD_MIN: usize = 32;

/// What a batch leaves of the weight of those before it: about the last ten count.
const KEPT: f64 = 0.9;

/// The pace of all lines together.
#[derive(Debug, Default)]
pub(super) struct Pace {
    count: f64,
    time_s: f64,
    last_ended: Option<Instant>,
}

impl Pace {
    /// A batch of so many was done. Where another one ended meanwhile, the time before that was the other's.
    pub(super) fn note(&mut self, count: usize, began: Instant, ended: Instant) {
        let since = self.last_ended.map_or(began, |last| last.max(began));
        self.last_ended = Some(ended);
        if count < CROWD_MIN {
            return;
        }
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.count = self.count * KEPT + f64::from(count);
        self.time_s = self.time_s * KEPT + ended.saturating_duration_since(since).as_secs_f64();
    }

    /// How long so many take; nothing while no crowd was seen.
    pub(super) fn time_of(&self, count: usize) -> Duration {
        if self.count <= 0.0 {
            return Duration::ZERO;
        }
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        Duration::try_from_secs_f64(f64::from(count) * self.time_s / self.count).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn what_came_alone_says_nothing_of_a_crowd() {
        let (mut pace, begun) = (Pace::default(), Instant::now());
        pace.note(1, begun, begun + ms(5));
        assert_eq!(pace.time_of(8_000), Duration::ZERO);
        pace.note(1_000, begun + ms(5), begun + ms(105));
        assert_eq!(pace.time_of(8_000).as_millis(), 800);
    }

    #[test]
    fn lines_at_work_side_by_side_share_the_time() {
        let (mut pace, begun) = (Pace::default(), Instant::now());
        pace.note(500, begun, begun + ms(100));
        pace.note(500, begun, begun + ms(100));
        let found = pace.time_of(1_000).as_millis();
        assert!((90..=110).contains(&found), "{found} ms: 1,000 were done in 100 ms");
    }

    #[test]
    fn a_pace_that_changes_is_followed() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        for took in [ms(100)].repeat(50).into_iter().chain([ms(1_000)].repeat(30)) {
            pace.note(1_000, now, now + took);
            now += took;
        }
        let found = pace.time_of(1_000).as_millis();
        assert!((900..=1_000).contains(&found), "{found} ms");
    }

    #[test]
    fn the_idle_time_between_batches_is_nobodys() {
        let (mut pace, begun) = (Pace::default(), Instant::now());
        pace.note(1_000, begun, begun + ms(100));
        let later = begun + ms(60_000);
        pace.note(1_000, later, later + ms(100));
        let found = pace.time_of(1_000).as_millis();
        assert!((99..=101).contains(&found), "{found} ms");
    }
}
