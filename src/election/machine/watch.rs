//! Pure: the open reads that tell us to look at the trigger key.
//!
//! Two, because each has a weakness where the other is good. A server that follows the raft leader hears of
//! a lone commit only with the next thing that the leader says, up to a tenth of a second later; and a read
//! through a raft leader that has vanished hangs for as long as we let it.

use super::attempt::Attempt;
use super::member::{WATCH_GIVES_WAY, WATCH_PACE, WATCH_TIMEOUT};
use super::{Core, DeadlineReason};
use crate::election::backoff::Backoff;
use crate::election::call::{Answer, Call, Failure, KeyRead, OpId};
use crate::election::time::Timestamp;

#[derive(Debug)]
pub(super) struct Watches {
    all: [Watch; 2],
    /// The newest state that was looked at; 0 until a proof has been read.
    seen: u64,
}

/// An open read.
#[derive(Debug)]
struct Watch {
    call: fn(u64) -> Call,
    attempt: Attempt,
    backoff: Backoff,
    /// What it goes on from.
    index: u64,
}

/// What a watch has shown, if it is of interest.
pub(super) enum Hint {
    /// Something happened to the key.
    News(KeyRead),
    /// The index has fallen: a snapshot was restored, or a lagging server answered.
    Restored(KeyRead),
}

impl Watches {
    pub(super) fn new(now: Timestamp) -> Self {
        let watch = |call| Watch {
            call,
            attempt: Attempt::Due(now),
            backoff: Backoff::default(),
            index: 0,
        };
        Self {
            all: [
                watch(|index| Call::Watch { index }),
                watch(|index| Call::WatchThroughLeader { index }),
            ],
            seen: 0,
        }
    }

    /// Goes on from what a proof has shown.
    pub(super) fn proven(&mut self, index: u64) {
        self.seen = self.seen.max(index);
        for watch in &mut self.all {
            watch.index = watch.index.max(index);
        }
    }

    pub(super) fn deadlines(&self, into: &mut Vec<(Timestamp, DeadlineReason)>) {
        if self.seen > 0 {
            let deadline = |watch: &Watch| watch.attempt.deadline(DeadlineReason::Retry);
            into.extend(self.all.iter().filter_map(deadline));
        }
    }

    pub(super) fn send(&mut self, core: &mut Core, now: Timestamp) {
        if self.seen == 0 {
            return;
        }
        for watch in &mut self.all {
            let (call, index) = (watch.call, watch.index);
            watch
                .attempt
                .send_if_due(core, now, WATCH_TIMEOUT, || call(index));
        }
    }

    /// Returns `None` if `op` was none of its requests.
    pub(super) fn completed(
        &mut self,
        core: &mut Core,
        now: Timestamp,
        op: OpId,
        result: &Result<Answer, Failure>,
    ) -> Option<Option<Hint>> {
        let (watch, sent) = self.all.iter_mut().find_map(|watch| {
            let sent = watch.attempt.answered_by(op)?;
            Some((watch, sent))
        })?;
        let Ok(Answer::Key(key)) = result else {
            watch.attempt = Attempt::Due(now + watch.backoff.next(&mut core.rng));
            return Some(None);
        };
        watch.backoff.reset();
        // An index that has not risen is no news: the wait was over, or the other watch was first.
        let risen = key.index > watch.index;
        let fallen = key.index < watch.index;
        watch.index = key.index.max(1);
        // While there is no key, every write to any other key wakes the watch.
        let at_once = risen && key.entry.is_some();
        watch.attempt = Attempt::Due(if at_once {
            now + WATCH_GIVES_WAY
        } else {
            sent.issued_at + WATCH_PACE
        });
        let news = key.index > self.seen;
        if news || fallen {
            self.seen = watch.index;
        }
        Some(match (news, fallen) {
            (true, _) => Some(Hint::News(key.clone())),
            (false, true) => Some(Hint::Restored(key.clone())),
            (false, false) => None,
        })
    }
}
