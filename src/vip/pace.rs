//! Pure: how fast announcements leave the process.
//!
//! A switch has one slow processor for what is broadcast, and drops what comes in a burst.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

use std::time::Duration;

use crate::election::time::Timestamp;

/// From one announcement to the next, in the long run.
const GAP: Duration = Duration::from_millis(1);

/// How many may go at once after a silence.
const BURST: u32 = 32;

/// A burst, and then one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// When a silence has lasted long enough for another whole burst.
    rested: Timestamp,
}

impl Pace {
    /// Starts rested.
    pub const fn new() -> Self {
        Self {
            rested: Timestamp::ZERO,
        }
    }

    /// Returns when the next one may go, at `now` or later.
    pub fn next(&self, now: Timestamp) -> Timestamp {
        self.rested.before(GAP * (BURST - 1)).max(now)
    }

    /// Counts one that went at `now`.
    pub fn sent(&mut self, now: Timestamp) {
        self.rested = self.rested.max(now) + GAP;
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When each of `count` goes that are all wanted at `start`.
    fn sent_at(pace: &mut Pace, start: u64, count: usize) -> Vec<u64> {
        let mut now = Timestamp::from_boot(Duration::from_millis(start));
        let mut sent = Vec::new();
        for _ in 0..count {
            now = pace.next(now);
            sent.push(now.since_boot().as_millis().try_into().unwrap());
            pace.sent(now);
        }
        sent
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_in_turn() {
        let mut pace = Pace::new();
        let sent = sent_at(&mut pace, 1000, 1000);
        assert!(sent[..32].iter().all(|at| *at == 1000), "{sent:?}");
        assert_eq!(sent[32..36], [1001, 1002, 1003, 1004]);
        assert_eq!(sent[999], 1000 + 968);
        // 10 ms of silence are worth 10.
        let later = sent_at(&mut pace, 1978, 12);
        assert!(later[..10].iter().all(|at| *at == 1978), "{later:?}");
        assert_eq!(later[10..], [1979, 1980]);
    }
}
