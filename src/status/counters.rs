//! Pure: what is counted of a group, from the start of the process.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::election::call::{Call, FailureKind};
use crate::hooks::standing;
use crate::status::Role;
use crate::status::change::Cause;

/// What is counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counters {
    /// Changes of the role, by what came of them and why.
    pub transitions: BTreeMap<(Role, Cause), u64>,
    /// Requests to Consul that failed.
    pub errors: Errors,
    /// How long it took to prove the lock, while leading.
    pub confirms: Histogram,
    /// How long it took to renew the session.
    pub renewals: Histogram,
}

/// What the VIP task counts, which another task reads.
#[derive(Debug, Default)]
pub struct Deeds {
    /// Rounds of gratuitous ARP, or of unsolicited neighbour advertisements.
    pub announcements: AtomicU64,
    /// Steps that the kernel refused.
    pub failures: AtomicU64,
    /// How often another machine has said that it has the address.
    pub conflicts: AtomicU64,
}

/// What came of the hooks, which the task that runs them counts.
#[derive(Debug, Default)]
pub struct HookRuns {
    /// By [`standing::Role`]: failed, and done.
    counts: [[AtomicU64; 2]; 3],
}

impl HookRuns {
    /// Takes in that a hook has ended, well or not.
    pub fn count(&self, hook: standing::Role, done: bool) {
        self.of(hook, done).fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how often it has ended so.
    pub fn counted(&self, hook: standing::Role, done: bool) -> u64 {
        self.of(hook, done).load(Ordering::Relaxed)
    }

    const fn of(&self, hook: standing::Role, done: bool) -> &AtomicU64 {
        let [leader, standby, fault] = &self.counts;
        let [failed, well] = match hook {
            standing::Role::Leader => leader,
            standing::Role::Standby => standby,
            standing::Role::Fault => fault,
        };
        if done { well } else { failed }
    }
}

/// The upper bounds of a histogram's buckets, in seconds: from a server on the same host to the longest wait.
pub const BUCKETS: [f64; 11] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
];

/// Durations, sorted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// One for each of [`BUCKETS`], and one for what is longer.
    counts: [u64; BUCKETS.len() + 1],
    sum: Duration,
}

impl Histogram {
    /// Takes one in.
    pub fn observe(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = BUCKETS.iter().take_while(|bound| seconds > **bound).count();
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.sum = self.sum.saturating_add(took);
    }

    /// Returns how many there are up to each bound, and at the end how many there are.
    pub fn cumulative(&self) -> impl Iterator<Item = u64> + '_ {
        self.counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        })
    }

    /// Returns their sum.
    pub const fn sum(&self) -> Duration {
        self.sum
    }
}

/// The requests that are timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timed {
    /// A proof of who holds the lock.
    Proof,
    /// A renewal of the session.
    Renewal,
}

impl Timed {
    /// Sorts a request; most are not timed.
    pub const fn of(call: &Call) -> Option<Self> {
        match call {
            Call::Read => Some(Self::Proof),
            Call::RenewSession(_) => Some(Self::Renewal),
            Call::CreateSession { .. }
            | Call::FindSession { .. }
            | Call::DestroySession(_)
            | Call::SessionLockDelay(_)
            | Call::Watch { .. }
            | Call::WatchThroughLeader { .. }
            | Call::MarkVacant
            | Call::Acquire { .. }
            | Call::Restore(_)
            | Call::Release { .. }
            | Call::HandOver { .. }
            | Call::RegisterService { .. }
            | Call::Feed
            | Call::DeregisterService
            | Call::WatchGroup { .. }
            | Call::Register(_)
            | Call::Unregister(_)
            | Call::DropRequest { .. }
            | Call::Depose(_)
            | Call::LetGo { .. } => None,
        }
    }
}

/// Requests that failed, by what follows from it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Errors([u64; NAMES.len()]);

/// What they are called, in the order in which they are counted.
const NAMES: [&str; 6] = [
    "check_critical",
    "check_missing",
    "denied",
    "refused",
    "session_gone",
    "unavailable",
];

impl Errors {
    /// Takes one in, unless it is an answer as good as any: another was faster.
    pub const fn count(&mut self, kind: FailureKind) {
        let [critical, missing, denied, refused, gone, unavailable] = &mut self.0;
        let count = match kind {
            FailureKind::CheckCritical => critical,
            FailureKind::CheckMissing => missing,
            FailureKind::Denied => denied,
            FailureKind::Refused => refused,
            FailureKind::SessionGone => gone,
            FailureKind::Unavailable => unavailable,
            FailureKind::Held | FailureKind::LockDelayed | FailureKind::Changed => return,
        };
        *count += 1;
    }

    /// Returns every name, and how many there were.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        NAMES.into_iter().zip(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_go_into_the_first_bucket_that_holds_them() {
        let mut histogram = Histogram::default();
        for micros in [1, 1_000, 1_001, 2_500_000, 2_500_001] {
            histogram.observe(Duration::from_micros(micros));
        }
        let counts: Vec<_> = histogram.cumulative().collect();
        assert_eq!(counts, [2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4, 5]);
        assert_eq!(histogram.sum(), Duration::from_micros(5_002_003));
    }
}
