//! Pure: taking up the session of the process before.
//!
//! Nothing is believed but that the session is one that the process before has named, as no other process
//! ever does. Whether it holds the lock, and still lives, the member that it becomes finds out like any
//! other: by a consistent read, before it leads, and by a renewal. Until then the address is left to
//! the kernel, whose lifetime of it nobody prolongs.

use super::attempt::Attempt;
use super::member::Member;
use super::{Core, DeadlineReason, Role};
use crate::election::backoff::Backoff;
use crate::election::call::{Answer, Call, Failure, FailureKind, OpId, SessionId};
use crate::election::status::{Doing, Outcome};
use crate::election::time::Timestamp;

#[derive(Debug)]
pub(super) struct Adopting {
    name: String,
    pub(super) session: SessionId,
    find: Attempt,
    backoff: Backoff,
}

impl Adopting {
    pub(super) fn new(name: String, session: SessionId, now: Timestamp) -> Self {
        Self {
            name,
            session,
            find: Attempt::Due(now),
            backoff: Backoff::default(),
        }
    }

    pub(super) fn deadline(&self) -> Option<(Timestamp, DeadlineReason)> {
        self.find.deadline(DeadlineReason::Retry)
    }

    pub(super) fn send(&mut self, core: &mut Core, now: Timestamp) {
        let timeout = core.params.terms.confirm_interval();
        self.find
            .send_if_due(core, now, timeout, || Call::FindSession {
                name: self.name.clone(),
                id: Some(self.session.clone()),
            });
    }

    pub(super) fn next_role(&self, core: &Core) -> Option<Role> {
        match self.find {
            Attempt::Due(_) if core.stopping => Some(Role::Stopped(Outcome::SessionLeft)),
            Attempt::Due(_) | Attempt::Sent(_) => None,
        }
    }

    pub(super) fn completed(
        &mut self,
        core: &mut Core,
        now: Timestamp,
        op: OpId,
        result: Result<Answer, Failure>,
    ) -> Option<Role> {
        self.find.answered_by(op)?;
        core.note(Doing::Joining, &result);
        match result {
            Ok(Answer::Found(Some(found))) if found == self.session => {
                let name = self.name.clone();
                Some(Role::Member(Box::new(Member::adopted(name, found, now))))
            }
            Ok(_) => Some(Role::Clearing),
            Err(failure) => match failure.kind {
                FailureKind::Unavailable => {
                    self.find = Attempt::Due(now + self.backoff.next(&mut core.rng));
                    None
                }
                // Where looking is not allowed, it dies of its own TTL.
                FailureKind::Denied
                | FailureKind::Refused
                | FailureKind::CheckMissing
                | FailureKind::CheckCritical
                | FailureKind::SessionGone
                | FailureKind::Held
                | FailureKind::LockDelayed
                | FailureKind::Changed => Some(Role::Clearing),
            },
        }
    }
}
