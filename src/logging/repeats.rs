//! Applier: keeps one warning from filling the log.
//!
//! The first few of a kind are written, and then one line for each window with how many more there
//! were. Of a kind are warnings from one place that say the same but for digits. What is not a warning,
//! and the word of a change ([`TRANSITION`]), is always written.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tracing::{Event, Level, Subscriber, error, warn};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::TRANSITION;
use super::fields::Fields;

/// For how long warnings of a kind are counted together.
const WINDOW: Duration = Duration::from_secs(60);

/// How many of a kind are written in a window.
const WRITTEN: u32 = 5;

/// How many kinds are kept account of. Others are written as they come.
const KINDS: usize = 64;

/// The account of what was written and what was held back; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Repeats {
    account: Arc<Mutex<Account>>,
    /// Something was held back.
    held: Arc<Notify>,
}

impl Repeats {
    /// Returns the layer that holds back.
    pub(super) fn layer(&self) -> Layered {
        Layered(self.clone())
    }

    /// Says once a window how many were held back. Never returns; cancel safe.
    pub async fn run(self) {
        loop {
            self.held.notified().await;
            tokio::time::sleep(WINDOW).await;
            if self.tell_all() {
                self.held.notify_one();
            }
        }
    }

    /// Says how many were held back until now; returns whether there were any.
    pub fn tell_all(&self) -> bool {
        let sums = self.lock().close(Instant::now());
        for sum in &sums {
            let Sum {
                more, in_s, line, ..
            } = sum;
            if sum.level == Level::ERROR {
                error!("{more} more like this in {in_s} s: {line}");
            } else {
                warn!("{more} more like this in {in_s} s: {line}");
            }
        }
        !sums.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Repeats::layer`].
#[derive(Debug)]
pub(super) struct Layered(Repeats);

impl<S: Subscriber> Layer<S> for Layered {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let about = event.metadata();
        let free = about.target() == TRANSITION || about.target() == module_path!();
        if free || *about.level() > Level::WARN {
            return true;
        }
        let place = (
            about.file().unwrap_or_default(),
            about.line().unwrap_or_default(),
        );
        let line = Fields::of(event).line();
        let verdict = self
            .0
            .lock()
            .judge(Instant::now(), *about.level(), place, line);
        if verdict == Verdict::FirstHeld {
            self.0.held.notify_one();
        }
        verdict == Verdict::Write
    }
}

/// Where a warning stands in the source.
type Place = (&'static str, u32);

#[derive(Debug, Default)]
struct Account(BTreeMap<(Place, String), Kind>);

/// One kind of warnings, in its current window.
#[derive(Debug)]
struct Kind {
    level: Level,
    since: Instant,
    written: u32,
    held: u32,
    /// The last one that was held back.
    last: String,
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Write,
    Hold,
    /// Nothing of its kind had been held back in this window.
    FirstHeld,
}

/// What was held back of a kind.
#[derive(Debug, PartialEq, Eq)]
struct Sum {
    level: Level,
    more: u32,
    in_s: u64,
    line: String,
}

impl Account {
    fn judge(&mut self, now: Instant, level: Level, place: Place, line: String) -> Verdict {
        self.0
            .retain(|_, kind| kind.held > 0 || now < kind.since + WINDOW);
        let same: String = line
            .chars()
            .filter(|letter| !letter.is_ascii_digit())
            .collect();
        let room = self.0.len() < KINDS;
        let key = (place, same);
        let Some(kind) = self.0.get_mut(&key) else {
            if room {
                let kind = Kind {
                    level,
                    since: now,
                    written: 1,
                    held: 0,
                    last: String::new(),
                };
                self.0.insert(key, kind);
            }
            return Verdict::Write;
        };
        if kind.written < WRITTEN {
            kind.written += 1;
            return Verdict::Write;
        }
        kind.held += 1;
        kind.last = line;
        if kind.held == 1 {
            Verdict::FirstHeld
        } else {
            Verdict::Hold
        }
    }

    /// Ends the windows of all kinds of which something was held back.
    fn close(&mut self, now: Instant) -> Vec<Sum> {
        let held = self.0.values_mut().filter(|kind| kind.held > 0);
        held.map(|kind| Sum {
            level: kind.level,
            more: mem::take(&mut kind.held),
            in_s: now
                .duration_since(mem::replace(&mut kind.since, now))
                .as_secs(),
            line: mem::take(&mut kind.last),
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Place = ("here.rs", 1);

    fn judge(account: &mut Account, now: Instant, line: &str) -> Verdict {
        account.judge(now, Level::WARN, HERE, line.to_owned())
    }

    #[test]
    fn the_first_are_written_and_the_rest_is_counted() {
        let mut account = Account::default();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        for attempt in 0..WRITTEN {
            let line = format!("no answer within {attempt} ms");
            assert_eq!(judge(&mut account, start, &line), Verdict::Write);
        }
        assert_eq!(
            judge(&mut account, start, "no answer within 7 ms"),
            Verdict::FirstHeld
        );
        assert_eq!(
            judge(&mut account, after(1), "no answer within 8 ms"),
            Verdict::Hold
        );
        assert_eq!(
            judge(&mut account, after(1), "refused"),
            Verdict::Write,
            "another kind"
        );
        let sum = Sum {
            level: Level::WARN,
            more: 2,
            in_s: 60,
            line: "no answer within 8 ms".to_owned(),
        };
        assert_eq!(account.close(after(60)), [sum]);
        assert_eq!(account.close(after(61)), []);
        // One that goes on is not begun anew.
        assert_eq!(
            judge(&mut account, after(62), "no answer within 9 ms"),
            Verdict::FirstHeld
        );
        account.close(after(120));
        // One that has ceased for a window is.
        assert_eq!(
            judge(&mut account, after(180), "no answer within 1 ms"),
            Verdict::Write
        );
    }

    #[test]
    fn the_account_is_bounded_and_what_is_beyond_it_is_written() {
        let mut account = Account::default();
        let now = Instant::now();
        for kind in 0..10 * KINDS {
            let line = "x".repeat(kind);
            assert_eq!(judge(&mut account, now, &line), Verdict::Write);
        }
        assert_eq!(account.0.len(), KINDS);
        for _ in 0..10 * WRITTEN {
            assert_eq!(judge(&mut account, now, &"x".repeat(KINDS)), Verdict::Write);
        }
    }
}
