//! Pure: blocking reads (<https://developer.hashicorp.com/consul/api-docs/features/blocking>).

use std::time::Duration;

use crate::consul::client::Reply;
use crate::consul::request::Request;
use crate::election::call::Failure;

/// Time for the answer of a blocking read to travel, on top of the wait itself.
const SLACK: Duration = Duration::from_secs(1);

impl Request {
    /// Makes this a read that waits until what it reads is newer than `index`, for as long as
    /// `timeout` allows and no longer than `wait`. At index 0 it is answered at once.
    pub(super) fn blocking(self, index: u64, wait: Duration, timeout: Duration) -> Self {
        if index == 0 {
            return self;
        }
        let wait = wait.min(longest_wait(timeout));
        self.query("index", index.to_string())
            .query("wait", format!("{}ms", wait.as_millis().max(1)))
    }
}

impl Reply {
    /// Returns what the next blocking read waits on, after one that waited on `previous`. Never 0.
    ///
    /// An index that went backwards (a restored snapshot, a server that lags) starts over.
    pub(super) fn index(&self, previous: Option<u64>) -> Result<u64, Failure> {
        let answered = self
            .headers
            .get("x-consul-index")
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .ok_or_else(|| {
                self.absurd(
                    "the answer has no X-Consul-Index; check that a consul agent listens there",
                )
            })?;
        Ok(next_index(previous, answered))
    }
}

/// Returns how long the client waits for a blocking read: the server adds up to a sixteenth so that
/// its clients do not all come back at once.
pub(super) const fn watch_timeout(wait: Duration) -> Duration {
    wait.saturating_add(Duration::from_nanos((wait.as_nanos() / 16) as u64))
        .saturating_add(SLACK)
}

/// Returns the wait to ask for, so that the answer comes before the client's own timeout.
fn longest_wait(timeout: Duration) -> Duration {
    let slack = SLACK.min(timeout / 4);
    (timeout - slack) * 16 / 17
}

fn next_index(previous: Option<u64>, answered: u64) -> u64 {
    match previous {
        Some(previous) if answered < previous => 1,
        Some(_) | None => answered.max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_index_follows_the_rules_of_blocking_reads() {
        for (previous, answered, next) in [
            (None, 0, 1),
            (None, 7, 7),
            (Some(7), 7, 7),
            (Some(7), 9, 9),
            (Some(7), 6, 1),
            (Some(7), 0, 1),
        ] {
            assert_eq!(
                next_index(previous, answered),
                next,
                "{previous:?} then {answered}"
            );
        }
    }

    #[test]
    fn the_server_answers_before_the_client_gives_up() {
        for timeout in [100, 500, 1_000, 4_000, 11_625, 60_000].map(Duration::from_millis) {
            let wait = longest_wait(timeout);
            assert!(wait * 17 / 16 < timeout, "{timeout:?}: {wait:?}");
            assert!(
                wait * 2 > timeout,
                "{timeout:?}: {wait:?} is needlessly short"
            );
        }
        let wait = Duration::from_secs(10);
        assert_eq!(watch_timeout(wait), Duration::from_millis(11_625));
        assert_eq!(longest_wait(watch_timeout(wait)), wait);
        assert_eq!(longest_wait(Duration::ZERO), Duration::ZERO);
    }
}
