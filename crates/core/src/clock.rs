//! Clocks that jump: when to stop trusting one.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// Further ahead than this, a clock has jumped.
const AHEAD_MAX: TimeDelta = TimeDelta::minutes(10);

/// Further back than this, a clock has jumped: less is what time services do when they put a clock right.
const BACK_MAX: TimeDelta = TimeDelta::seconds(2);

/// How a clock jumped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Jump {
    /// It went on by more than the time that passed.
    #[error("the clock went ahead by {} s more than the time that passed", .0.num_seconds())]
    Ahead(TimeDelta),
    /// It went back.
    #[error("the clock went back by {} s", .0.num_seconds())]
    Back(TimeDelta),
}

/// Compares two looks at a clock. `passed` is the time between them as something that cannot jump measured it; a program that
/// has just started does not know it, and then only going back shows.
pub fn jump(before: DateTime<Utc>, now: DateTime<Utc>, passed: Option<Duration>) -> Option<Jump> {
    let moved = now - before;
    if moved < -BACK_MAX {
        return Some(Jump::Back(-moved));
    }
    let passed = TimeDelta::from_std(passed?).unwrap_or(TimeDelta::MAX);
    let ahead = moved - passed;
    (ahead > AHEAD_MAX).then_some(Jump::Ahead(ahead))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_minutes_ahead_or_a_step_back() {
        let at = |seconds: i64| DateTime::from_timestamp(1_900_000_000 + seconds, 0).unwrap();
        let check = |now: i64, passed: Option<u64>| jump(at(0), at(now), passed.map(Duration::from_secs));
        assert_eq!(check(600, Some(0)), None);
        assert_eq!(check(601, Some(0)), Some(Jump::Ahead(TimeDelta::seconds(601))));
        assert_eq!(
            check(4_000, Some(3_600)),
            None,
            "a machine that slept for an hour has lost no time"
        );
        assert_eq!(
            check(86_400, None),
            None,
            "a program that was not running knows no better"
        );
        assert_eq!(check(-2, Some(1)), None);
        assert_eq!(check(-3, None), Some(Jump::Back(TimeDelta::seconds(3))));
    }
}
