//! Pure: getting a session, and none beside it that anybody would renew.

use std::time::Duration;

use super::attempt::Attempt;
use super::member::Member;
use super::resigning::Resigning;
use super::{CALL_TIMEOUT, Core, DeadlineReason, Leftover, Role};
use crate::election::backoff::{Backoff, jitter};
use crate::election::call::{Answer, Call, Failure, FailureKind, OpId, SessionId};
use crate::election::note::Note;
use crate::election::status::{Doing, Feature, Outcome};
use crate::election::time::Timestamp;

/// How often a check that is missing or critical is looked at again; Consul itself runs no check
/// more often than once a second.
const CHECK_PAUSE: Duration = Duration::from_secs(1);

/// How often the session of an earlier process is searched for by its name alone.
const SEARCHES: u32 = 5;

#[derive(Debug)]
pub(super) struct Joining {
    attempt: Attempt,
    backoff: Backoff,
    /// The last creation was never answered, so there may be a session by our name. It is looked
    /// for before another is made.
    unanswered: bool,
    /// The session of an earlier process, which is looked for and destroyed before another is made.
    leftover: Option<Leftover>,
    /// How often the search for it was not answered.
    searches: u32,
    /// What is under way, or was last, is the registration of the liveness check.
    registering: bool,
}

impl Joining {
    pub(super) fn new(core: &mut Core, now: Timestamp) -> Self {
        // Rights may have been given since the last session was made.
        core.without.clear();
        core.doubt_drain();
        Self {
            attempt: Attempt::Due(now),
            backoff: Backoff::default(),
            unanswered: false,
            leftover: core.leftover.take(),
            searches: 0,
            registering: false,
        }
    }

    pub(super) fn deadline(&self) -> Option<(Timestamp, DeadlineReason)> {
        self.attempt.deadline(DeadlineReason::Retry)
    }

    pub(super) fn send(&mut self, core: &mut Core, now: Timestamp) {
        let find = match &self.leftover {
            Some((name, id)) => Some((name.clone(), id.clone())),
            None => self.unanswered.then(|| (our_name(core), None)),
        };
        match self.attempt {
            Attempt::Due(at) if at <= now => {}
            Attempt::Due(_) | Attempt::Sent(_) => return,
        }
        let liveness = core.liveness_ttl().is_some();
        self.registering = find.is_none() && liveness && !core.liveness.is_registered();
        let call = match find {
            Some((name, id)) => Call::FindSession { name, id },
            None if self.registering => Call::RegisterService { leads: false },
            None => {
                let name = our_name(core);
                core.remember(Note::Creating { name: name.clone() });
                Call::CreateSession { name, liveness }
            }
        };
        self.attempt.send_if_due(core, now, CALL_TIMEOUT, || call);
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
        if self.registering {
            core.note(Doing::Living, &result);
            self.attempt =
                Attempt::Due(self.service_registered(core, now, sent.issued_at, &result));
            return None;
        }
        core.note(Doing::Joining, &result);
        self.attempt = match result {
            Ok(Answer::Created(session)) => {
                let renew_at = sent.issued_at + core.renewal_interval();
                return Some(joined(core, now, session, renew_at));
            }
            Ok(Answer::Found(Some(session))) if self.leftover.is_some() => {
                return Some(Role::Resigning(Resigning::holding_nothing(session, now)));
            }
            // Nobody knows when it was made.
            Ok(Answer::Found(Some(session))) => return Some(joined(core, now, session, now)),
            Ok(Answer::Found(None)) => {
                self.give_up_searching(core);
                Attempt::Due(now)
            }
            Ok(Answer::Key(_) | Answer::Group(_) | Answer::LockDelay(_) | Answer::Done) => {
                Attempt::Due(now + self.backoff.next(&mut core.rng))
            }
            Err(failure) => match failure.kind {
                FailureKind::CheckMissing | FailureKind::CheckCritical => {
                    if failure.kind == FailureKind::CheckMissing {
                        // It may be ours, which an agent that was started anew does not know.
                        core.liveness.forget();
                    }
                    Attempt::Due(now + jitter(CHECK_PAUSE, &mut core.rng))
                }
                FailureKind::Unavailable => {
                    self.search(core);
                    Attempt::Due(now + self.backoff.next(&mut core.rng))
                }
                // Where looking is not allowed, a session that was left over dies of its own TTL.
                FailureKind::Denied
                | FailureKind::Refused
                | FailureKind::SessionGone
                | FailureKind::Held
                | FailureKind::LockDelayed
                | FailureKind::Changed => {
                    self.give_up_searching(core);
                    Attempt::Due(now + self.backoff.next(&mut core.rng))
                }
            },
        };
        None
    }
}

impl Joining {
    /// Returns when to go on.
    fn service_registered(
        &mut self,
        core: &mut Core,
        now: Timestamp,
        sent_at: Timestamp,
        result: &Result<Answer, Failure>,
    ) -> Timestamp {
        match result {
            Ok(_) => {
                core.liveness.registered(sent_at);
                now
            }
            Err(failure) if failure.is_final() => {
                core.lose(Feature::Liveness, failure);
                now
            }
            Err(_) => now + self.backoff.next(&mut core.rng),
        }
    }

    /// Looks before another session is made. A search among all sessions of a large cluster may never
    /// be answered: what an earlier process left there dies of its own TTL.
    fn search(&mut self, core: &mut Core) {
        match &self.leftover {
            Some((_, None)) if self.searches >= SEARCHES => self.give_up_searching(core),
            Some(_) => self.searches += 1,
            None => self.unanswered = true,
        }
    }

    /// A creation that is carried out after all, later than the search, makes a session that nobody
    /// renews: the next one has another name, so that it is not taken for that one.
    fn give_up_searching(&mut self, core: &mut Core) {
        core.sessions += u64::from(self.unanswered);
        self.unanswered = false;
        self.leftover = None;
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
