//! Pure: what to make of somebody else who says that he has our address.
//!
//! RFC 5227 section 2.4, but for its end: who has the address is Consul's to decide. So nobody gives it up for a
//! conflict, and nobody holds it for one either; it is told, counted, and answered now and then.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

use std::time::Duration;

use crate::election::time::Timestamp;

/// From one answer to the next (RFC 5227 section 1.1).
const DEFEND_INTERVAL: Duration = Duration::from_secs(10);

/// How long after the address came what others say may be from before: frames of the last holder that were still
/// queued, or its answers to questions. Our own burst of announcements answers them.
const GRACE: Duration = Duration::from_secs(1);

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Ignore,
    /// Say so, and count it.
    Tell,
    /// That, and one announcement.
    Defend,
}

/// Watches over one address that is held.
#[derive(Clone, Copy, Debug)]
pub struct Guard {
    since: Timestamp,
    defended: Option<Timestamp>,
}

impl Guard {
    /// Starts when the address has come up.
    pub const fn new(now: Timestamp) -> Self {
        Self {
            since: now,
            defended: None,
        }
    }

    /// Takes in that another machine says that it has the address.
    pub fn hear(&mut self, now: Timestamp) -> Verdict {
        if now.since(self.since) < GRACE {
            return Verdict::Ignore;
        }
        let lately = |defended: Timestamp| now.since(defended) < DEFEND_INTERVAL;
        if self.defended.is_some_and(lately) {
            return Verdict::Tell;
        }
        self.defended = Some(now);
        Verdict::Defend
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conflict_is_told_each_time_and_answered_each_ten_seconds() {
        let start = Timestamp::from_boot(Duration::from_secs(100));
        let mut guard = Guard::new(start);
        // Milliseconds since the address came, and what is done.
        for (at, expected) in [
            (0, Verdict::Ignore),
            (999, Verdict::Ignore),
            (1000, Verdict::Defend),
            (1001, Verdict::Tell),
            (10_999, Verdict::Tell),
            (11_000, Verdict::Defend),
            (20_999, Verdict::Tell),
            (60_000, Verdict::Defend),
        ] {
            let now = start + Duration::from_millis(at);
            assert_eq!(guard.hear(now), expected, "{at} ms");
        }
    }
}
