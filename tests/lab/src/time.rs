//! The lab's one clock: CLOCK_MONOTONIC, which is the same in every namespace, and waiting by it.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Something that did not happen in time.
#[derive(Debug, thiserror::Error)]
#[error("waited {limit:?} for {what}; {last}")]
pub struct Timeout {
    /// What was waited for.
    pub what: String,
    /// How long.
    pub limit: Duration,
    /// What was the case instead when it was last looked at.
    pub last: String,
}

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Returns the time from the first call of this function, which all of the lab's output counts from.
pub fn since_start(at: Instant) -> Duration {
    at.saturating_duration_since(*START)
}

/// Looks again and again until `look` returns something, for `limit` at most. What cannot be waited
/// for as an event (Consul's opinion, a process's end) is waited for with this.
///
/// # Errors
/// [`Timeout`] with the last thing that `look` said instead.
pub fn until<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<T, String>,
) -> Result<T, Timeout> {
    let start = Instant::now();
    loop {
        match look() {
            Ok(found) => return Ok(found),
            Err(last) if start.elapsed() >= limit => {
                return Err(Timeout {
                    what: what.to_owned(),
                    limit,
                    last,
                });
            }
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}
