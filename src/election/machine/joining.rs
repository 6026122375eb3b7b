//! Pure: getting a session, and never a second one.

use std::time::Duration;

use super::attempt::Attempt;
use super::member::Member;
use super::resigning::Resigning;
use super::{CALL_TIMEOUT, Core, DeadlineReason, Role};
use crate::election::backoff::{Backoff, jitter};
use crate::election::call::{Answer, Call, Failure, FailureKind, OpId, SessionId};
use crate::election::note::Note;
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
    /// The session of an earlier process, which is looked for and destroyed before another is made.
    leftover: Option<String>,
}

impl Joining {
    pub(super) fn new(core: &mut Core, now: Timestamp) -> Self {
        Self {
            attempt: Attempt::Due(now),
            backoff: Backoff::default(),
            unanswered: false,
            leftover: core.leftover.take(),
        }
    }

    pub(super) fn deadline(&self) -> Option<(Timestamp, DeadlineReason)> {
        self.attempt.deadline(DeadlineReason::Retry)
    }

    pub(super) fn send(&mut self, core: &mut Core, now: Timestamp) {
        let name = self.leftover.clone().unwrap_or_else(|| our_name(core));
        match &self.attempt {
            Attempt::Due(at) if *at <= now => {}
            Attempt::Due(_) | Attempt::Sent(_) => return,
        }
        let look = self.unanswered || self.leftover.is_some();
        if !look {
            core.remember(Note::Creating { name: name.clone() });
        }
        self.attempt.send_if_due(core, now, CALL_TIMEOUT, || {
            if look {
                Call::FindSession { name }
            } else {
                Call::CreateSession { name }
            }
        });
    }

    /// A creation under way is waited for, so that its session can be destroyed.
    pub(super) fn next_role(&self, core: &Core) -> Option<Role> {
        match &self.attempt {
            Attempt::Due(_) if core.stopping && (self.unanswered || self.leftover.is_some()) => {
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
            Ok(Answer::Found(Some(session))) if self.leftover.is_some() => {
                return Some(Role::Resigning(Resigning::holding_nothing(session, now)));
            }
            // Nobody knows when it was made.
            Ok(Answer::Found(Some(session))) => return Some(joined(core, now, session, now)),
            Ok(Answer::Found(None)) if self.leftover.is_some() => {
                self.leftover = None;
                Attempt::Due(now)
            }
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
                    self.unanswered = self.leftover.is_none();
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
                    self.leftover = None;
                    Attempt::Due(now + self.backoff.next(&mut core.rng))
                }
            },
        };
        None
    }
}

fn our_name(core: &Core) -> String {
    format!("{}-{}", core.params.session_name, core.sessions)
}

fn joined(core: &mut Core, now: Timestamp, session: SessionId, renew_at: Timestamp) -> Role {
    let name = our_name(core);
    core.sessions += 1;
    core.troubles.clear();
    core.remember(Note::Live {
        name: name.clone(),
        session: session.clone(),
    });
    if core.stopping {
        return Role::Resigning(Resigning::holding_nothing(session, now));
    }
    Role::Member(Box::new(Member::new(name, session, renew_at, now)))
}
