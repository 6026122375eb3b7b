//! Pure: giving up, in the only safe order: address off, then the lock, then the session.
//!
//! A session that gets here is **spent**: a release that was sent may take effect at any later time,
//! so whatever is answered, the session is destroyed and never leads again, in no process: that it is
//! spent is written down before the release is sent. Where that cannot be done, none is sent, and the
//! session is destroyed at once, which everybody waits out.

use std::time::Duration;

use super::attempt::Attempt;
use super::joining::Joining;
use super::leading::Leaving;
use super::member::Member;
use super::{CALL_TIMEOUT, Core, DeadlineReason, GIVE_WAY, Role};
use crate::election::backoff::Backoff;
use crate::election::call::{Answer, Call, Failure, FailureKind, OpId, SessionId, Successor};
use crate::election::note::Note;
use crate::election::rules::Rule;
use crate::election::status::{Doing, Outcome};
use crate::election::time::Timestamp;

/// How long a stop waits for what Consul would do by itself.
const DEREGISTER_TIMEOUT: Duration = Duration::from_millis(300);

/// How long one of many groups waits until the lock is given away: the process has only so many requests
/// under way. Nobody holds anything meanwhile, and whoever gives up has everybody wait for the lock-delay.
const MANY_TIMEOUT: Duration = Duration::from_secs(3);

/// How often a process that is stopping tries to give a thing up.
const STOPPING_TRIES: u32 = 2;

#[derive(Debug)]
pub(super) struct Resigning {
    pub(super) session: SessionId,
    /// Its candidate entry is there.
    registered: bool,
    /// To whom the lock shall go.
    leaving: Leaving,
    step: Step,
    backoff: Backoff,
    /// Since the process has been stopping.
    tries: u32,
    hurried: bool,
    /// Until when the others hear that the process lives, where they do.
    heard_until: Option<Timestamp>,
}

#[derive(Debug)]
enum Step {
    /// Waiting for the kernel's word that the address is off.
    AddressOff {
        /// The session's, to be written down.
        name: String,
    },
    /// Waiting until it is written down that the session is spent.
    Spend(OpId),
    HandOver(Successor, Attempt),
    Release(Attempt),
    Destroy(Attempt),
    /// The process is stopping, and its service goes with it.
    Deregister(Attempt),
}

impl Resigning {
    /// Starts with the address.
    pub(super) fn holding_the_lock(
        name: &str,
        session: &SessionId,
        registered: bool,
        leaving: Leaving,
        now: Timestamp,
    ) -> Self {
        Self {
            session: session.clone(),
            registered,
            heard_until: Some(now + MANY_TIMEOUT),
            leaving,
            step: Step::AddressOff {
                name: name.to_owned(),
            },
            backoff: Backoff::default(),
            tries: 0,
            hurried: false,
        }
    }

    /// Starts with the session, which holds nothing, or is said to be gone.
    pub(super) fn holding_nothing(session: SessionId, now: Timestamp) -> Self {
        let step = Step::Destroy(Attempt::Due(now));
        Self {
            session,
            registered: false,
            leaving: Leaving::default(),
            step,
            backoff: Backoff::default(),
            tries: 0,
            hurried: false,
            heard_until: None,
        }
    }

    pub(super) fn deadline(&self, core: &Core) -> Option<(Timestamp, DeadlineReason)> {
        let next = match &self.step {
            Step::AddressOff { .. } | Step::Spend(_) => None,
            Step::HandOver(_, attempt)
            | Step::Release(attempt)
            | Step::Destroy(attempt)
            | Step::Deregister(attempt) => attempt.deadline(DeadlineReason::Retry),
        };
        let beat = core
            .beat_deadline()
            .filter(|(at, _)| self.is_heard(core, *at));
        [next, beat].into_iter().flatten().min()
    }

    /// Whether the others are to hear at `at` that the process lives: it gives many locks away, one after the other, and
    /// who takes it for dead meanwhile ends the session of them all. A while at most: it may be cut off.
    fn is_heard(&self, core: &Core, at: Timestamp) -> bool {
        let gives_away = match &self.step {
            Step::AddressOff { .. } | Step::Spend(_) | Step::HandOver(..) | Step::Release(_) => {
                true
            }
            Step::Destroy(_) | Step::Deregister(_) => false,
        };
        let until = self.heard_until.filter(|_| gives_away);
        core.params.options.one_of_many && until.is_some_and(|until| at < until)
    }

    pub(super) fn next_role(&mut self, core: &mut Core, now: Timestamp) -> Option<Role> {
        let terms = core.params.terms;
        if let Step::AddressOff { name } = &self.step
            && (core.vip_is_off() || !terms.keeps(Rule::ReleaseAfterAddressOff))
        {
            self.step = if terms.keeps(Rule::SpentSessionNeverLeads) {
                Step::Spend(core.remember(Note::Spent {
                    name: name.clone(),
                    session: self.session.clone(),
                }))
            } else {
                self.give_away(core, now)
            };
        }
        if core.stopping && !self.hurried {
            self.hurried = true;
            self.tries = 0;
            if let Step::Destroy(Attempt::Due(_)) = self.step {
                self.step = Step::Destroy(Attempt::Due(now));
            }
        }
        None
    }

    pub(super) fn send(&mut self, core: &mut Core, now: Timestamp) {
        if self.is_heard(core, now) {
            core.beat(now, &self.session);
        }
        let (session, registered) = (&self.session, self.registered);
        let timeout = match core.params.options.one_of_many {
            true => MANY_TIMEOUT,
            false => CALL_TIMEOUT / 2,
        };
        match &mut self.step {
            Step::AddressOff { .. } | Step::Spend(_) => {}
            Step::HandOver(successor, attempt) => {
                attempt.send_if_due(core, now, timeout, || Call::HandOver {
                    session: session.clone(),
                    registered,
                    successor: successor.clone(),
                    request: self.leaving.request,
                });
            }
            Step::Release(attempt) => {
                attempt.send_if_due(core, now, timeout, || Call::Release {
                    session: session.clone(),
                    registered,
                });
            }
            Step::Deregister(attempt) => {
                attempt.send_if_due(core, now, DEREGISTER_TIMEOUT, || Call::DeregisterService);
            }
            Step::Destroy(attempt) => {
                attempt.send_if_due(core, now, CALL_TIMEOUT / 2, || {
                    Call::DestroySession(session.clone())
                });
            }
        }
    }

    /// To the successor in one commit, or to whoever asks for it first.
    fn give_away(&self, core: &Core, now: Timestamp) -> Step {
        let to = self.leaving.to.as_deref();
        let successor = core
            .has_candidates()
            .then(|| core.group.successor(&self.session, to));
        match successor.flatten() {
            Some(successor) => Step::HandOver(successor, Attempt::Due(now)),
            None => Step::Release(Attempt::Due(now)),
        }
    }

    /// What follows from no answer where the rule is broken that a spent session never leads.
    fn lead_again(
        &self,
        core: &Core,
        now: Timestamp,
        result: &Result<Answer, Failure>,
    ) -> Option<Role> {
        let broken = !core.params.terms.keeps(Rule::SpentSessionNeverLeads);
        (broken && result.is_err() && !core.stopping).then(|| {
            // Nothing is written down of it, so it needs no name.
            let member = Member::adopted(String::new(), self.session.clone(), now);
            Role::Member(Box::new(member))
        })
    }

    pub(super) fn remembered(&mut self, core: &Core, now: Timestamp, op: OpId, kept: bool) {
        if !matches!(self.step, Step::Spend(waiting) if waiting == op) {
            return;
        }
        self.step = if kept {
            self.give_away(core, now)
        } else {
            Step::Destroy(Attempt::Due(now))
        };
    }

    pub(super) fn completed(
        &mut self,
        core: &mut Core,
        now: Timestamp,
        op: OpId,
        result: Result<Answer, Failure>,
    ) -> Option<Role> {
        match &self.step {
            Step::AddressOff { .. } | Step::Spend(_) => None,
            Step::Deregister(attempt) => {
                attempt.answered_by(op)?;
                // Consul does it by itself after a while.
                Some(Role::Stopped(Outcome::Stopped))
            }
            Step::HandOver(successor, attempt) => {
                attempt.answered_by(op)?;
                core.note(Doing::Locking, &result);
                if let Some(role) = self.lead_again(core, now, &result) {
                    return Some(role);
                }
                self.step = match &result {
                    Ok(_) => {
                        core.handed_to = Some(successor.value.clone());
                        core.tell_given(now, &self.session, &successor.session);
                        Step::Destroy(Attempt::Due(now + GIVE_WAY))
                    }
                    // It may have been carried out, or may be yet.
                    Err(failure) if failure.kind == FailureKind::Unavailable => {
                        Step::Destroy(Attempt::Due(now))
                    }
                    Err(_) => Step::Release(Attempt::Due(now)),
                };
                None
            }
            Step::Release(attempt) => {
                attempt.answered_by(op)?;
                core.note(Doing::Locking, &result);
                if let Some(role) = self.lead_again(core, now, &result) {
                    return Some(role);
                }
                if self.registered
                    && matches!(&result, Err(failure) if failure.kind == FailureKind::Denied)
                {
                    // The rights to the entry are gone, and those to the lock may be left.
                    self.registered = false;
                    self.step = Step::Release(Attempt::Due(now));
                    return None;
                }
                // Whatever was answered: destroying the session gives the lock up too, with Consul's
                // lock-delay in front of the next leader.
                let pause = if result.is_ok() {
                    GIVE_WAY
                } else {
                    Duration::ZERO
                };
                self.step = Step::Destroy(Attempt::Due(now + pause));
                None
            }
            Step::Destroy(attempt) => {
                attempt.answered_by(op)?;
                core.note(Doing::Leaving, &result);
                let gone = match &result {
                    Ok(_) => true,
                    Err(failure) => failure.kind == FailureKind::SessionGone,
                };
                self.tries += 1;
                match (gone, core.stopping) {
                    (true, true) => {
                        core.remember(Note::Nothing);
                        if core.liveness.is_registered() {
                            self.step = Step::Deregister(Attempt::Due(now));
                            return None;
                        }
                        Some(Role::Stopped(Outcome::Stopped))
                    }
                    (true, false) => Some(Role::Joining(Joining::new(core, now))),
                    (false, true) if self.tries >= STOPPING_TRIES => {
                        Some(Role::Stopped(Outcome::SessionLeft))
                    }
                    (false, _) => {
                        let retry = now + self.backoff.next(&mut core.rng);
                        self.step = Step::Destroy(Attempt::Due(retry));
                        None
                    }
                }
            }
        }
    }
}
