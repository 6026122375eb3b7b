//! Pure: a first look at the key, before anything is asked for: what is no lock is not touched, and no
//! session is made for it.

use super::attempt::Attempt;
use super::joining::Joining;
use super::{CALL_TIMEOUT, Core, DeadlineReason, Role};
use crate::election::backoff::Backoff;
use crate::election::call::{Answer, Call, Failure, OpId};
use crate::election::key::KeyState;
use crate::election::status::{Doing, Outcome};
use crate::election::time::Timestamp;

#[derive(Debug)]
pub(super) struct Preflight {
    read: Attempt,
    backoff: Backoff,
}

impl Preflight {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            read: Attempt::Due(now),
            backoff: Backoff::default(),
        }
    }

    pub(super) fn deadline(&self) -> Option<(Timestamp, DeadlineReason)> {
        self.read.deadline(DeadlineReason::Retry)
    }

    pub(super) fn send(&mut self, core: &mut Core, now: Timestamp) {
        self.read
            .send_if_due(core, now, CALL_TIMEOUT, || Call::Read);
    }

    pub(super) fn completed(
        &mut self,
        core: &mut Core,
        now: Timestamp,
        op: OpId,
        result: Result<Answer, Failure>,
    ) -> Option<Role> {
        self.read.answered_by(op)?;
        core.note(Doing::Reading, &result);
        if let Ok(Answer::Key(key)) = result {
            return Some(match KeyState::of(key.entry.as_ref()) {
                KeyState::NotALock { flags } => Role::Stopped(Outcome::NotALock { flags }),
                KeyState::Missing
                | KeyState::Held { .. }
                | KeyState::Released { .. }
                | KeyState::Abandoned { .. } => Role::Joining(Joining::new(core, now)),
            });
        }
        self.read = Attempt::Due(now + self.backoff.next(&mut core.rng));
        None
    }
}
