//! Pure: a host with a live session, standing by or leading.

use std::time::Duration;

use super::attempt::Attempt;
use super::group::Standing;
use super::leading::{Leading, Leaving};
use super::resigning::Resigning;
use super::standby::Standby;
use super::watch::{Hint, Watches};
use super::{Core, DeadlineReason, Role};
use crate::election::backoff::{Backoff, jitter};
use crate::election::call::{Answer, Call, Failure, FailureKind, OpId, SessionId};
use crate::election::status::{Doing, Ending, Holder, LockDelay};
use crate::election::time::Timestamp;

/// How long a watch may stay open before it is made anew, seconds of Consul's `wait` plus its
/// jitter of a sixteenth, plus the way there and back.
pub(super) const WATCH_TIMEOUT: Duration = Duration::from_secs(13);

/// A watch that returns without news is not made again before this has passed since it was made.
pub(super) const WATCH_PACE: Duration = Duration::from_millis(200);

/// A watch that returns with news is made again after this: first what the news asks for, which meets
/// less on its way. What happens meanwhile is not missed.
pub(super) const WATCH_GIVES_WAY: Duration = Duration::from_millis(10);

/// How long a host that could not hold the address lets others go first.
const HOLD_BACK: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Member {
    pub(super) session: Session,
    watches: Watches,
    pub(super) standing: Standing,
    pub(super) part: Part,
}

/// Our session, kept alive by renewals, which prove nothing about the lock.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: SessionId,
    name: String,
    /// When the last renewal was sent that was answered.
    proven_at: Option<Timestamp>,
    renewal: Attempt,
    backoff: Backoff,
}

#[derive(Debug)]
pub(super) enum Part {
    Standby(Standby),
    Leading(Leading),
}

impl Member {
    pub(super) fn new(
        name: String,
        session: SessionId,
        renew_at: Timestamp,
        now: Timestamp,
    ) -> Self {
        Self {
            session: Session {
                id: session,
                name,
                proven_at: None,
                renewal: Attempt::Due(renew_at),
                backoff: Backoff::default(),
            },
            watches: Watches::new(now),
            standing: Standing::new(now),
            part: Part::Standby(Standby::unknown(now)),
        }
    }

    /// Goes on with the session of the process before.
    pub(super) fn adopted(name: String, session: SessionId, now: Timestamp) -> Self {
        Self {
            part: Part::Standby(Standby::adopted(now)),
            ..Self::new(name, session, now, now)
        }
    }

    pub(super) fn holder(&self) -> Option<Holder> {
        match &self.part {
            Part::Standby(standby) => standby.holder().filter(|h| h.session != self.session.id),
            Part::Leading(_) => None,
        }
    }

    /// Looks at the key at once.
    pub(super) fn look_again(&mut self, now: Timestamp) {
        if let Part::Standby(standby) = &mut self.part {
            standby.look_again(now);
        }
    }

    pub(super) fn not_a_lock(&self) -> Option<u64> {
        match &self.part {
            Part::Standby(standby) => standby.not_a_lock(),
            Part::Leading(_) => None,
        }
    }

    pub(super) fn lock_delay(&self, core: &Core) -> Option<LockDelay> {
        match &self.part {
            Part::Standby(standby) => standby.lock_delay(core),
            Part::Leading(_) => None,
        }
    }

    pub(super) fn deadlines(&self, core: &Core, into: &mut Vec<(Timestamp, DeadlineReason)>) {
        into.extend(self.session.renewal.deadline(DeadlineReason::Renew));
        into.extend(core.question.deadline());
        self.watches.deadlines(into);
        self.standing.deadlines(core, into);
        match &self.part {
            Part::Standby(standby) => {
                standby.deadlines(core, &self.session.id, into);
                into.extend(core.listen_deadline());
            }
            Part::Leading(leading) => {
                leading.deadlines(core, &self.session.id, into);
                into.extend(core.beat_deadline());
            }
        }
    }

    pub(super) fn send(&mut self, core: &mut Core, now: Timestamp) {
        let id = &self.session.id;
        match &self.part {
            Part::Leading(_) => core.beat(now, id),
            Part::Standby(standby) => core.listen(now, id, standby.seen_leader()),
        }
        if core.peers.wants_proof() {
            self.look_again(now);
        }
        let Session { id, renewal, .. } = &mut self.session;
        // First what a takeover waits for.
        match &mut self.part {
            Part::Standby(standby) => standby.send(core, now, id),
            Part::Leading(leading) => leading.send(core, now, id),
        }
        core.feed(now, matches!(self.part, Part::Leading(_)));
        let timeout = (core.params.terms.ttl() / 5).min(core.renewal_interval());
        renewal.send_if_due(core, now, timeout, || Call::RenewSession(id.clone()));
        self.watches.send(core, now);
        core.send_question(now);
        self.standing.send(core, now, id);
    }

    pub(super) fn next_role(&mut self, core: &mut Core, now: Timestamp) -> Option<Role> {
        let registered = self.standing.registered;
        let give_up = |leaving: Leaving| {
            Role::Resigning(Resigning::holding_the_lock(
                &self.session.name,
                &self.session.id,
                registered,
                leaving,
                now,
            ))
        };
        match &self.part {
            Part::Leading(leading) if !leading.lease.is_live(now) => {
                // The lock may well be ours still: a proof will make us lead again.
                core.ending = Some(Ending::LeaseExpired);
                core.peers.hold_off(now);
                self.part = Part::Standby(Standby::in_doubt(now));
                self.next_role(core, now)
            }
            Part::Leading(_) if core.stopping => {
                core.ending = Some(Ending::Stopping);
                Some(give_up(Leaving::default()))
            }
            Part::Leading(leading) => {
                let (ending, leaving) = leading.leaves(core, now, &self.session.id)?;
                core.ending = Some(ending);
                core.campaign_after = now + jitter(HOLD_BACK, &mut core.rng);
                Some(give_up(leaving))
            }
            Part::Standby(standby) if core.stopping && standby.may_hold() => {
                core.ending = Some(Ending::Stopping);
                Some(give_up(Leaving::default()))
            }
            Part::Standby(_) if core.stopping => {
                core.ending = Some(Ending::Stopping);
                let session = self.session.id.clone();
                Some(Role::Resigning(Resigning::holding_nothing(session, now)))
            }
            Part::Standby(_) => None,
        }
    }

    pub(super) fn completed(
        &mut self,
        core: &mut Core,
        now: Timestamp,
        op: OpId,
        result: Result<Answer, Failure>,
    ) -> Option<Role> {
        if let Some(sent) = self.session.renewal.answered_by(op) {
            core.note(Doing::Renewing, &result);
            return self.renewed(core, now, sent.issued_at, result);
        }
        if let Some(hint) = self.watches.completed(core, now, op, &result) {
            core.note(Doing::Watching, &result);
            let turn = self.hinted(core, now, hint?);
            return self.turn(core, now, turn?);
        }
        let session = self.session.id.clone();
        if self.standing.completed(core, now, op, &session, &result) {
            return None;
        }
        let next = match &mut self.part {
            Part::Standby(standby) => standby.completed(core, now, op, &session, result),
            Part::Leading(leading) => leading.completed(core, now, op, &session, result),
        };
        self.turn(core, now, next?)
    }

    fn turn(&mut self, core: &mut Core, now: Timestamp, turn: Turn) -> Option<Role> {
        match turn {
            Turn::Seen(index) => self.watches.proven(index),
            Turn::Lead(leading) => self.part = Part::Leading(leading),
            Turn::StandBy(standby, ending) => {
                core.ending = Some(ending);
                core.peers.hold_off(now);
                // The session may have died with it: find out now, not at the next renewal.
                if let Attempt::Due(_) = self.session.renewal {
                    self.session.renewal = Attempt::Due(now);
                }
                self.part = Part::Standby(standby);
            }
            Turn::SessionGone => return Some(self.session_gone(core, now)),
        }
        None
    }

    fn renewed(
        &mut self,
        core: &mut Core,
        now: Timestamp,
        sent_at: Timestamp,
        result: Result<Answer, Failure>,
    ) -> Option<Role> {
        let next = match result {
            Ok(_) => {
                self.session.backoff.reset();
                core.is_alive();
                self.session.proven_at = Some(sent_at);
                sent_at + self.renewal_interval(core)
            }
            Err(failure) if failure.kind == FailureKind::SessionGone => {
                return Some(self.session_gone(core, now));
            }
            Err(_) => {
                let ttl = core.params.terms.ttl();
                if self.session.proven_at.is_some_and(|at| now < at + ttl) {
                    core.is_alive();
                }
                now + self.session.backoff.next(&mut core.rng)
            }
        };
        self.session.renewal = Attempt::Due(next);
        None
    }

    /// A leader's confirms are proofs of life as good as renewals.
    fn renewal_interval(&self, core: &Core) -> Duration {
        match &self.part {
            // As long as they come often enough for the liveness check.
            Part::Leading(_) if core.params.terms.confirm_interval() <= core.renewal_interval() => {
                core.params.terms.ttl() / 3
            }
            Part::Standby(_) | Part::Leading(_) => core.renewal_interval(),
        }
    }

    /// Destroyed all the same: should the news be false, a session that lives on would keep the lock
    /// from everybody, us included. The address need not be off first: unlike a release, the end of a
    /// session leaves its lock-delay behind, and the lease is over before that.
    fn session_gone(&self, core: &mut Core, now: Timestamp) -> Role {
        if let Part::Leading(_) = self.part {
            core.peers.hold_off(now);
        }
        core.ending = Some(Ending::SessionGone);
        Role::Resigning(Resigning::holding_nothing(self.session.id.clone(), now))
    }

    /// A watch never decides anything: it makes us look.
    fn hinted(&mut self, core: &mut Core, now: Timestamp, hint: Hint) -> Option<Turn> {
        let own = &self.session.id;
        match (&mut self.part, hint) {
            (Part::Standby(standby), Hint::News(key)) => standby.hinted(core, now, own, &key),
            (Part::Standby(standby), Hint::Restored(_)) => {
                standby.doubt(now);
                None
            }
            (Part::Leading(leading), Hint::News(key) | Hint::Restored(key)) => {
                leading.hinted(core, now, own, &key);
                None
            }
        }
    }
}

/// What follows for the member from an answer to one of its parts.
pub(super) enum Turn {
    /// A proof was read at this index.
    Seen(u64),
    Lead(Leading),
    StandBy(Standby, Ending),
    SessionGone,
}
