//! Pure: holding the lock, and proving again and again that it is still ours.

use std::time::Duration;

use super::attempt::Attempt;
use super::member::Turn;
use super::standby::Standby;
use super::{CALL_TIMEOUT, Core, DeadlineReason};
use crate::election::backoff::jitter;
use crate::election::call::{Answer, Call, Entry, Failure, KeyRead, LOCK_FLAG, OpId, SessionId};
use crate::election::candidate::Request;
use crate::election::health::Health;
use crate::election::key::KeyState;
use crate::election::lease::Lease;
use crate::election::rules::Rule;
use crate::election::status::{Doing, Ending, Holder};
use crate::election::time::Timestamp;

/// How long a new leader lets a request stand that was there before it: the handover that followed it may
/// have deleted it, and what is known of the group is a moment old.
const OLD_REQUEST_PAUSE: Duration = Duration::from_secs(1);

/// At how many instants of a confirm interval the groups of one process confirm.
const CONFIRMS_A_TURN: u32 = 4;

/// How long a restore that failed waits before it is tried again.
const RESTORE_PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Leading {
    pub(super) lease: Lease,
    /// Since when it has led.
    since: Timestamp,
    confirm: Attempt,
    /// A hint came while a confirm was under way, whose answer may be older.
    again: bool,
    /// Somebody wrote over the key, and it is being set right.
    restore: Option<Attempt>,
    /// The index at which the lock was seen as ours first: a request that is older was not for us.
    taken_at: Option<u64>,
    /// The request that is not followed, and is being deleted.
    dropping: Option<(u64, Option<Attempt>)>,
}

/// Why and to whom a leader wants to give the lock.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    /// To this one, if to a certain one.
    pub(super) to: Option<String>,
    /// The request that is followed.
    pub(super) request: Option<u64>,
}

impl Leading {
    pub(super) fn new(lease: Lease, taken_at: Option<u64>) -> Self {
        let confirm = Attempt::Due(lease.confirmed_at() + lease.terms().confirm_interval());
        Self {
            since: lease.confirmed_at(),
            lease,
            confirm,
            again: false,
            restore: None,
            taken_at,
            dropping: None,
        }
    }

    /// Returns why to give the lock up, if there is a reason to.
    pub(super) fn leaves(
        &self,
        core: &mut Core,
        now: Timestamp,
        own: &SessionId,
    ) -> Option<(Ending, Leaving)> {
        if let Some(blocker) = core.blocker() {
            return Some((Ending::Blocked(blocker.clone()), Leaving::default()));
        }
        if let Health::Bad(reason) = core.fitness() {
            let ending = if core.is_drained() {
                Ending::Drained
            } else {
                Ending::Unhealthy(reason)
            };
            return Some((ending, Leaving::default()));
        }
        if let Some(request) = self.new_request(core)
            && let Some(successor) = core.group.successor(own, request.to.as_deref())
        {
            let leaving = Leaving {
                to: Some(successor.value.clone()),
                request: Some(request.index),
            };
            return Some((Ending::Switchover(successor.value), leaving));
        }
        let to = Self::challenger(core, now, own)?;
        let leaving = Leaving {
            to: Some(to.clone()),
            request: None,
        };
        Some((Ending::Preempted(to), leaving))
    }

    /// The best of the better candidates that have been there for long enough.
    fn challenger(core: &Core, now: Timestamp, own: &SessionId) -> Option<String> {
        let options = &core.params.options;
        let after = options.preempt_after?;
        core.group
            .challengers(own, options.priority)
            .filter(|(_, since)| now >= *since + after)
            .max_by_key(|(candidate, _)| candidate.priority)
            .map(|(candidate, _)| candidate.value.clone())
    }

    /// When the first of them has been there for long enough.
    fn challenged_at(core: &Core, own: &SessionId) -> Option<Timestamp> {
        let options = &core.params.options;
        let after = options.preempt_after?;
        let since = core
            .group
            .challengers(own, options.priority)
            .map(|(_, since)| since);
        Some(since.min()? + after)
    }

    /// The request that was made to this leader, and has not been dropped.
    fn new_request<'a>(&self, core: &'a Core) -> Option<&'a Request> {
        let request = core.group.request()?;
        let dropped = self
            .dropping
            .as_ref()
            .is_some_and(|(index, _)| *index >= request.index);
        (request.index > self.taken_at? && !dropped).then_some(request)
    }

    /// The request that cannot be followed, when to delete it, and whether it is older than this leader.
    fn unwanted<'a>(&self, core: &'a Core) -> Option<(&'a Request, Timestamp, bool)> {
        let (request, taken_at) = (core.group.request()?, self.taken_at?);
        let known = |(index, _): &(u64, _)| *index >= request.index;
        if self.dropping.as_ref().is_some_and(known) {
            return None;
        }
        let old = request.index <= taken_at;
        let at = self.since
            + if old {
                OLD_REQUEST_PAUSE
            } else {
                Duration::ZERO
            };
        Some((request, at, old))
    }

    fn drop_request(&mut self, core: &mut Core, now: Timestamp) {
        let Some((request, at, old)) = self.unwanted(core) else {
            return;
        };
        if now < at {
            return;
        }
        let why = match &request.to {
            _ if old => "it was made before this host led".to_owned(),
            Some(to) if *to == core.params.value => format!("{to} leads already"),
            Some(to) if core.group.is_drained(to) => format!("{to} is drained"),
            Some(to) => format!("there is no candidate {to}"),
            None => "there is no other candidate".to_owned(),
        };
        self.dropping = Some((request.index, Some(Attempt::Due(now))));
        core.refused_request = Some(why);
    }

    pub(super) fn deadlines(
        &self,
        core: &Core,
        own: &SessionId,
        into: &mut Vec<(Timestamp, DeadlineReason)>,
    ) {
        let challenged_at = Self::challenged_at(core, own);
        into.extend(challenged_at.map(|at| (at, DeadlineReason::Preempt)));
        into.extend(
            self.unwanted(core)
                .map(|(_, at, _)| (at, DeadlineReason::Retry)),
        );
        into.push((self.lease.end(), DeadlineReason::LeaseEnd));
        let confirm = self.confirm.deadline(DeadlineReason::Confirm);
        into.extend(confirm.map(|(at, reason)| (self.with_others(core, at), reason)));
        into.extend(
            self.restore
                .as_ref()
                .and_then(|r| r.deadline(DeadlineReason::Retry)),
        );
    }

    pub(super) fn send(&mut self, core: &mut Core, now: Timestamp, own: &SessionId) {
        let interval = self.lease.terms().confirm_interval();
        // What waits for the requests of others is not asked for once more before it has had its turn.
        let timeout = match core.params.options.one_of_many {
            true => interval * 2,
            false => interval,
        };
        let by_read = core.params.terms.keeps(Rule::ConfirmByConsistentRead);
        if let Attempt::Due(at) = self.confirm
            && self.with_others(core, at) <= now
        {
            self.confirm = Attempt::Due(now);
        }
        self.confirm.send_if_due(core, now, timeout, || {
            if by_read {
                Call::Read
            } else {
                Call::RenewSession(own.clone())
            }
        });
        self.drop_request(core, now);
        if let Some((index, Some(attempt))) = &mut self.dropping {
            let index = *index;
            attempt.send_if_due(core, now, CALL_TIMEOUT, || Call::DropRequest { index });
        }
        if let Some(restore) = &mut self.restore {
            restore.send_if_due(core, now, CALL_TIMEOUT, || Call::Restore(own.clone()));
        }
    }

    /// Takes in what a watch saw: reason to look, and no more.
    pub(super) fn hinted(&mut self, core: &Core, now: Timestamp, own: &SessionId, key: &KeyRead) {
        if is_ours(core, own, key.entry.as_ref()) {
            return;
        }
        match self.confirm {
            Attempt::Due(_) => self.confirm = Attempt::Due(now),
            Attempt::Sent(_) => self.again = true,
        }
    }

    pub(super) fn completed(
        &mut self,
        core: &mut Core,
        now: Timestamp,
        op: OpId,
        own: &SessionId,
        result: Result<Answer, Failure>,
    ) -> Option<Turn> {
        if let Some(sent) = self.confirm.answered_by(op) {
            core.note(Doing::Reading, &result);
            return self.confirmed(core, now, sent.issued_at, own, result);
        }
        if let Some((_, attempt)) = &mut self.dropping
            && attempt
                .as_ref()
                .is_some_and(|attempt| attempt.answered_by(op).is_some())
        {
            // Whatever was answered: it is not followed, and the next leader does not follow it either.
            *attempt = None;
            return None;
        }
        self.restore.as_ref()?.answered_by(op)?;
        core.note(Doing::Locking, &result);
        // Whether it worked, the next confirm will say.
        self.restore = Some(Attempt::Due(now + RESTORE_PAUSE));
        None
    }

    fn confirmed(
        &mut self,
        core: &mut Core,
        now: Timestamp,
        sent_at: Timestamp,
        own: &SessionId,
        result: Result<Answer, Failure>,
    ) -> Option<Turn> {
        let interval = self.lease.terms().confirm_interval();
        let again = std::mem::take(&mut self.again);
        let Ok(Answer::Key(key)) = result else {
            if result.is_ok() && !core.params.terms.keeps(Rule::ConfirmByConsistentRead) {
                self.prolong(sent_at, now, again);
                return None;
            }
            core.is_alive();
            // A timeout has used its interval up; what fails at once waits a part of it.
            let retry = now + jitter(interval / 4, &mut core.rng);
            self.confirm = Attempt::Due(retry.max(sent_at + interval / 2));
            return None;
        };
        let ending = match KeyState::of(key.entry.as_ref()) {
            KeyState::Held { by, .. } if by == *own => {
                self.prolong(sent_at, now, again);
                core.is_alive();
                core.peers.beat_now(now);
                if let (None, Some(entry)) = (self.taken_at, &key.entry) {
                    self.taken_at = Some(entry.modify_index);
                }
                match &self.restore {
                    None if !is_ours(core, own, key.entry.as_ref()) => {
                        core.overwritten += 1;
                        self.restore = Some(Attempt::Due(now));
                    }
                    Some(Attempt::Due(_)) if is_ours(core, own, key.entry.as_ref()) => {
                        self.restore = None;
                    }
                    None | Some(_) => {}
                }
                return Some(Turn::Seen(key.index));
            }
            KeyState::Held { by, value } => Ending::TakenBy(Holder { session: by, value }),
            KeyState::Missing => Ending::KeyDeleted,
            KeyState::Released { .. } | KeyState::Abandoned { .. } | KeyState::NotALock { .. } => {
                Ending::Unlocked
            }
        };
        Some(Turn::StandBy(
            Standby::seeing(core, now, KeyState::of(key.entry.as_ref())),
            ending,
        ))
    }

    /// When to confirm that is due at an instant: a little earlier, where other groups of the process can do it then.
    fn with_others(&self, core: &Core, at: Timestamp) -> Timestamp {
        if !core.params.options.one_of_many {
            return at;
        }
        let beat = self.lease.terms().confirm_interval() / CONFIRMS_A_TURN;
        let past = at.since_boot().as_nanos() % beat.as_nanos().max(1);
        at.before(Duration::from_nanos(
            u64::try_from(past).unwrap_or_default(),
        ))
    }

    fn prolong(&mut self, sent_at: Timestamp, now: Timestamp, again: bool) {
        let terms = *self.lease.terms();
        self.lease = Lease::from_confirm(terms, sent_at, now);
        self.confirm = Attempt::Due(if again {
            now
        } else {
            sent_at + terms.confirm_interval()
        });
    }
}

fn is_ours(core: &Core, own: &SessionId, entry: Option<&Entry>) -> bool {
    entry.is_some_and(|entry| {
        entry.session.as_ref() == Some(own)
            && entry.flags == LOCK_FLAG
            && entry.value.as_deref() == Some(core.params.value.as_bytes())
    })
}
