//! Pure: the lock between two hands, as an operator sees it from a blocking read.

use std::time::Duration;

use crate::election::call::SessionId;
use crate::election::key::KeyState;

/// Follows the lock from one holder to the next.
#[derive(Clone, Debug)]
pub(super) struct Hands {
    from: Option<SessionId>,
    began: Duration,
    free_since: Option<Duration>,
}

/// That it has got there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Passed {
    /// What the new holder has written.
    pub(super) to: String,
    /// From the beginning to the first sight of it.
    pub(super) after: Duration,
    /// For how long nobody was seen to hold it.
    pub(super) free: Duration,
}

impl Hands {
    /// Begins with this holder.
    pub(super) fn new(from: Option<SessionId>, now: Duration) -> Self {
        Self {
            from,
            began: now,
            free_since: None,
        }
    }

    /// Takes in what the trigger key shows at `now`.
    pub(super) fn see(&mut self, now: Duration, state: &KeyState) -> Option<Passed> {
        match state {
            KeyState::Held { by, .. } if self.from.as_ref() == Some(by) => None,
            KeyState::Held { value, .. } => Some(Passed {
                to: value.clone(),
                after: now.saturating_sub(self.began),
                free: self
                    .free_since
                    .map_or(Duration::ZERO, |since| now.saturating_sub(since)),
            }),
            KeyState::Missing
            | KeyState::Released { .. }
            | KeyState::Abandoned { .. }
            | KeyState::NotALock { .. } => {
                self.free_since.get_or_insert(now);
                None
            }
        }
    }
}

impl Passed {
    /// As it continues "web2 leads now,".
    pub(super) fn words(&self) -> String {
        let after = seconds(self.after);
        if self.free.is_zero() {
            format!("after {after}; the lock went from hand to hand in one commit")
        } else {
            format!(
                "after {after}; the lock was nobody's for {}",
                seconds(self.free)
            )
        }
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(by: &str) -> KeyState {
        KeyState::Held {
            by: SessionId::new(by),
            value: format!("host of {by}"),
        }
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_handover_has_nothing_between_the_hands() {
        let mut hands = Hands::new(Some(SessionId::new("a")), ms(1000));
        assert_eq!(hands.see(ms(1100), &held("a")), None);
        let passed = hands.see(ms(1210), &held("b")).unwrap();
        assert_eq!(passed.to, "host of b");
        assert_eq!(
            passed.words(),
            "after 0.21 s; the lock went from hand to hand in one commit"
        );
    }

    #[test]
    fn a_lock_that_was_free_was_so_from_the_first_sight_of_it() {
        let mut hands = Hands::new(Some(SessionId::new("a")), ms(1000));
        let index = 7;
        assert_eq!(hands.see(ms(1100), &KeyState::Released { index }), None);
        assert_eq!(hands.see(ms(1300), &KeyState::Released { index }), None);
        let passed = hands.see(ms(1440), &held("b")).unwrap();
        assert_eq!(
            passed.words(),
            "after 0.44 s; the lock was nobody's for 0.34 s"
        );
    }
}
