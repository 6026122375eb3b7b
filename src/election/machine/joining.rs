//! Pure: getting a session, and never a second one.

use std::time::Duration;

use super::attempt::Attempt;
use super::member::Member;
use super::resigning::Resigning;
use super::{CALL_TIMEOUT, Core, DeadlineReason, Role};
use crate::election::backoff::{Backoff, jitter};
use crate::election::call::{Answer, Call, Failure, FailureKind, OpId, SessionId};
use crate::election::status::{Doing, Outcome};
use crate::election::time::Timestamp;

/// How often a check that is missing or critical is looked at again; Consul itself runs no check
/// more often than once a second.
const CHECK_PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Joining {
    attempt: Attempt,
    backoff: Backoff,
    /// The last creation was never answered, so there may be a session by our name. It is looked
    /// for before another is made.
    unanswered: bool,
}

impl Joining {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            attempt: Attempt::Due(now),
            backoff: Backoff::default(),
            unanswered: false,
        }
    }

    pub(super) fn deadline(&self) -> Option<(Timestamp, DeadlineReason)> {
        self.attempt.deadline(DeadlineReason::Retry)
    }

    pub(super) fn send(&mut self, core: &mut Core, now: Timestamp) {
        let name = format!("{}-{}", core.params.session_name, core.sessions);
        let unanswered = self.unanswered;
        self.attempt.send_if_due(core, now, CALL_TIMEOUT, || {
            if unanswered {
                Call::FindSession { name }
            } else {
                Call::CreateSession { name }
            }
        });
    }

    /// A creation under way is waited for, so that its session can be destroyed.
    pub(super) fn next_role(&self, core: &Core) -> Option<Role> {
        match &self.attempt {
            Attempt::Due(_) if core.stopping && self.unanswered => {
                Some(Role::Stopped(Outcome::SessionLeft))
            }
            Attempt::Due(_) if core.stopping => Some(Role::Stopped(Outcome::Stopped)),
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
        let sent = self.attempt.answered_by(op)?;
        core.note(Doing::Joining, &result);
        self.attempt = match result {
            Ok(Answer::Created(session)) => {
                let renew_at = sent.issued_at + core.params.terms.ttl() / 3;
                return Some(joined(core, now, session, renew_at));
            }
            // Nobody knows when it was made.
            Ok(Answer::Found(Some(session))) => return Some(joined(core, now, session, now)),
            Ok(Answer::Found(None)) => {
                self.unanswered = false;
                Attempt::Due(now)
            }
            Ok(Answer::Key(_) | Answer::LockDelay(_) | Answer::Done) => {
                Attempt::Due(now + self.backoff.next(&mut core.rng))
            }
            Err(failure) => match failure.kind {
                FailureKind::CheckMissing | FailureKind::CheckCritical => {
                    Attempt::Due(now + jitter(CHECK_PAUSE, &mut core.rng))
                }
                FailureKind::Unavailable => {
                    self.unanswered = true;
                    Attempt::Due(now + self.backoff.next(&mut core.rng))
                }
                // Where looking is not allowed, a session that was left over dies of its own TTL.
                FailureKind::Denied
                | FailureKind::Refused
                | FailureKind::SessionGone
                | FailureKind::Held
                | FailureKind::LockDelayed
                | FailureKind::Changed => {
                    self.unanswered = false;
                    Attempt::Due(now + self.backoff.next(&mut core.rng))
                }
            },
        };
        None
    }
}

fn joined(core: &mut Core, now: Timestamp, session: SessionId, renew_at: Timestamp) -> Role {
    core.sessions += 1;
    core.troubles.clear();
    if core.stopping {
        return Role::Resigning(Resigning::holding_nothing(session, now));
    }
    Role::Member(Box::new(Member::new(session, renew_at, now)))
}
