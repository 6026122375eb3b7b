//! Pure: holding the lock, and proving again and again that it is still ours.

use std::time::Duration;

use super::attempt::Attempt;
use super::member::Turn;
use super::standby::Standby;
use super::{CALL_TIMEOUT, Core, DeadlineReason};
use crate::election::backoff::jitter;
use crate::election::call::{Answer, Call, Entry, Failure, KeyRead, LOCK_FLAG, OpId, SessionId};
use crate::election::key::KeyState;
use crate::election::lease::Lease;
use crate::election::rules::Rule;
use crate::election::status::{Doing, Ending, Holder};
use crate::election::time::Timestamp;

/// How long a restore that failed waits before it is tried again.
const RESTORE_PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Leading {
    pub(super) lease: Lease,
    confirm: Attempt,
    /// A hint came while a confirm was under way, whose answer may be older.
    again: bool,
    /// Somebody wrote over the key, and it is being set right.
    restore: Option<Attempt>,
}

impl Leading {
    pub(super) fn new(lease: Lease) -> Self {
        let confirm = Attempt::Due(lease.confirmed_at() + lease.terms().confirm_interval());
        Self {
            lease,
            confirm,
            again: false,
            restore: None,
        }
    }

    pub(super) fn deadlines(&self, into: &mut Vec<(Timestamp, DeadlineReason)>) {
        into.push((self.lease.end(), DeadlineReason::LeaseEnd));
        into.extend(self.confirm.deadline(DeadlineReason::Confirm));
        into.extend(
            self.restore
                .as_ref()
                .and_then(|r| r.deadline(DeadlineReason::Retry)),
        );
    }

    pub(super) fn send(&mut self, core: &mut Core, now: Timestamp, own: &SessionId) {
        let interval = self.lease.terms().confirm_interval();
        let by_read = core.params.terms.keeps(Rule::ConfirmByConsistentRead);
        self.confirm.send_if_due(core, now, interval, || {
            if by_read {
                Call::Read
            } else {
                Call::RenewSession(own.clone())
            }
        });
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
            // A timeout has used its interval up; what fails at once waits a part of it.
            let retry = now + jitter(interval / 4, &mut core.rng);
            self.confirm = Attempt::Due(retry.max(sent_at + interval / 2));
            return None;
        };
        let ending = match KeyState::of(key.entry.as_ref()) {
            KeyState::Held { by, .. } if by == *own => {
                self.prolong(sent_at, now, again);
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
