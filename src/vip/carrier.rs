//! Pure: how long a lost carrier is borne.
//!
//! A port that flaps, or a bond between two of its ports, is back before another host could be of use. The lease bounds all
//! of it: an address that stays a moment longer stays within it.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

use std::time::Duration;

use crate::election::time::Timestamp;

/// Follows the carrier of one interface.
#[derive(Clone, Copy, Debug)]
pub struct Carrier {
    delay: Duration,
    lost_at: Option<Timestamp>,
    returns: u32,
}

impl Carrier {
    /// Starts with a carrier, of which a loss is borne for `delay`.
    pub const fn new(delay: Duration) -> Self {
        Self {
            delay,
            lost_at: None,
            returns: 0,
        }
    }

    /// Takes in whether there is one at `now`, and returns whether it still counts as being there.
    pub fn seen(&mut self, now: Timestamp, is_there: bool) -> bool {
        if is_there {
            self.returns = self.returns.wrapping_add(u32::from(self.lost_at.is_some()));
            self.lost_at = None;
            return true;
        }
        let lost_at = *self.lost_at.get_or_insert(now);
        now < lost_at + self.delay
    }

    /// Returns when a loss will have been borne for long enough.
    pub fn deadline(&self, now: Timestamp) -> Option<Timestamp> {
        let deadline = self.lost_at? + self.delay;
        (deadline > now).then_some(deadline)
    }

    /// Returns how often it has come back. A switch may have forgotten meanwhile what is behind the port.
    pub const fn returns(&self) -> u32 {
        self.returns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_boot(Duration::from_millis(100_000 + millis))
    }

    #[test]
    fn a_short_loss_is_borne_and_a_long_one_is_not() {
        let mut carrier = Carrier::new(Duration::from_millis(300));
        // When, whether there is a carrier, whether it counts, when that changes by itself, how often it came back.
        for (now, is_there, counts, deadline, returns) in [
            (0, true, true, None, 0),
            (10, false, true, Some(310), 0),
            (200, false, true, Some(310), 0),
            (309, true, true, None, 1),
            (320, false, true, Some(620), 1),
            (619, false, true, Some(620), 1),
            (620, false, false, None, 1),
            (5000, false, false, None, 1),
            (5001, true, true, None, 2),
        ] {
            assert_eq!(carrier.seen(at(now), is_there), counts, "{now} ms");
            assert_eq!(carrier.deadline(at(now)), deadline.map(at), "{now} ms");
            assert_eq!(carrier.returns(), returns, "{now} ms");
        }
    }

    #[test]
    fn without_a_delay_nothing_is_borne() {
        let mut carrier = Carrier::new(Duration::ZERO);
        assert!(!carrier.seen(at(0), false));
        assert_eq!(carrier.deadline(at(0)), None);
    }
}
