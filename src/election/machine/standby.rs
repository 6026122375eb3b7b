//! Pure: watching the lock, and taking it when it is free.

use std::time::Duration;

use super::leading::Leading;
use super::member::Turn;
use super::{CALL_TIMEOUT, Core, DeadlineReason};
use crate::election::backoff::{Backoff, jitter};
use crate::election::call::{
    Answer, Call, Failure, FailureKind, KeyRead, OpId, Pending, SessionId,
};
use crate::election::key::KeyState;
use crate::election::lease::Lease;
use crate::election::rules::Rule;
use crate::election::status::{Doing, Holder, LockDelay};
use crate::election::time::Timestamp;

/// Added to every wait for another's lease to end.
const WAIT_EXTRA: Duration = Duration::from_millis(10);

/// How soon an acquire that Consul delays is tried again.
const LOCK_DELAY_PAUSE: Duration = Duration::from_millis(100);

/// By how much a candidate lets each better one go first after an unclean ending.
const RANK_PAUSE: Duration = Duration::from_millis(30);

/// How many better ones are let go first.
const MAX_RANK: u32 = 10;

/// Who leads, as a standby sees it.
#[derive(Debug)]
pub(super) enum Seen {
    /// It is finding out.
    Unknown,
    Nobody,
    Leader(Holder),
}

#[derive(Debug)]
pub(super) struct Standby {
    view: View,
    under_way: Option<(Pending, Request)>,
    not_before: Timestamp,
    backoff: Backoff,
    /// An unclean ending, and when it was first proven.
    abandoned: Option<(u64, Timestamp)>,
    /// The last acquire was refused for the lock-delay, and nothing has been proven since.
    delayed: bool,
    /// A proof that is older than this hint proves nothing.
    hint: u64,
    /// An acquire of ours may have been carried out, or may be yet.
    may_hold: bool,
    /// The process before may have left the address up, and nothing has yet shown that it must go.
    adopted: bool,
}

/// What is known of the lock: a proof, or a hint that a proof or the acquire will check.
#[derive(Debug)]
enum View {
    Unknown,
    Known(KeyState),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Request {
    Proof,
    Mark,
    Acquire { index: u64 },
}

impl Standby {
    /// Starts by looking.
    pub(super) fn unknown(now: Timestamp) -> Self {
        Self {
            view: View::Unknown,
            under_way: None,
            not_before: now,
            backoff: Backoff::default(),
            abandoned: None,
            delayed: false,
            hint: 0,
            may_hold: false,
            adopted: false,
        }
    }

    /// Starts by looking whether the lock is still ours.
    pub(super) fn in_doubt(now: Timestamp) -> Self {
        Self {
            may_hold: true,
            ..Self::unknown(now)
        }
    }

    /// Starts with the session of the process before, which may have led.
    pub(super) fn adopted(now: Timestamp) -> Self {
        Self {
            adopted: true,
            ..Self::in_doubt(now)
        }
    }

    /// Starts from a proof that the lock is not ours.
    pub(super) fn seeing(core: &mut Core, now: Timestamp, state: KeyState) -> Self {
        let mut standby = Self::in_doubt(now);
        standby.prove(core, now, state);
        standby
    }

    pub(super) fn keeps_address(&self) -> bool {
        self.adopted
    }

    pub(super) fn may_hold(&self) -> bool {
        self.may_hold || matches!(self.under_way, Some((_, Request::Acquire { .. })))
    }

    pub(super) fn holder(&self) -> Option<Holder> {
        match &self.view {
            View::Known(KeyState::Held { by, value }) => Some(Holder {
                session: by.clone(),
                value: value.clone(),
            }),
            View::Known(_) | View::Unknown => None,
        }
    }

    pub(super) fn not_a_lock(&self) -> Option<u64> {
        match &self.view {
            View::Known(KeyState::NotALock { flags }) => Some(*flags),
            View::Known(_) | View::Unknown => None,
        }
    }

    /// What we wait for, where the lock is free and a leader that was lost may still act.
    pub(super) fn lock_delay(&self, core: &Core) -> Option<LockDelay> {
        match &self.view {
            View::Known(KeyState::Abandoned { .. } | KeyState::Released { .. }) if self.delayed => {
                Some(LockDelay::Refused)
            }
            View::Known(KeyState::Abandoned { .. })
                if self.under_way.is_none() && core.may_lead() =>
            {
                Some(LockDelay::Until(self.waited_out(core)))
            }
            View::Known(_) | View::Unknown => None,
        }
    }

    /// Who is to be heard: nobody where it is not known who leads.
    pub(super) fn seen_leader(&self) -> Seen {
        match &self.view {
            View::Unknown => Seen::Unknown,
            View::Known(_) => self.holder().map_or(Seen::Nobody, Seen::Leader),
        }
    }

    pub(super) fn deadlines(
        &self,
        core: &Core,
        own: &SessionId,
        into: &mut Vec<(Timestamp, DeadlineReason)>,
    ) {
        into.extend(self.wanted(core, own).map(|(at, reason, _)| (at, reason)));
    }

    pub(super) fn send(&mut self, core: &mut Core, now: Timestamp, own: &SessionId) {
        let Some((at, _, request)) = self.wanted(core, own) else {
            return;
        };
        if now < at {
            return;
        }
        let call = match request {
            Request::Proof => Call::Read,
            Request::Mark => Call::MarkVacant,
            Request::Acquire { index } => Call::Acquire {
                session: own.clone(),
                index: if core.params.terms.keeps(Rule::AcquireChecksIndex) {
                    index
                } else {
                    0
                },
            },
        };
        self.under_way = Some((core.call(now, CALL_TIMEOUT, call), request));
    }

    /// What to ask next, when, and why then.
    fn wanted(&self, core: &Core, own: &SessionId) -> Option<(Timestamp, DeadlineReason, Request)> {
        if self.under_way.is_some() {
            return None;
        }
        let at = self.not_before;
        let retry = |request| Some((at, DeadlineReason::Retry, request));
        let can_hold = core.may_lead();
        match &self.view {
            View::Unknown => retry(Request::Proof),
            View::Known(KeyState::Missing) if can_hold => retry(Request::Mark),
            View::Known(KeyState::Released { index }) if can_hold => {
                let at = at.max(core.campaign_after);
                Some((
                    at,
                    DeadlineReason::Retry,
                    Request::Acquire { index: *index },
                ))
            }
            View::Known(KeyState::Abandoned { index }) if can_hold => {
                let rank = core
                    .group
                    .better(own, core.params.options.priority)
                    .min(MAX_RANK);
                let waited_out = self.waited_out(core) + RANK_PAUSE * rank;
                let at = at.max(core.campaign_after).max(waited_out);
                Some((
                    at,
                    DeadlineReason::WaitedOut,
                    Request::Acquire { index: *index },
                ))
            }
            View::Known(
                KeyState::Missing
                | KeyState::Held { .. }
                | KeyState::Released { .. }
                | KeyState::Abandoned { .. }
                | KeyState::NotALock { .. },
            ) => None,
        }
    }

    /// When the last leader's lease, whoever it was, is certainly over.
    ///
    /// Its last confirm was sent before the key was as we proved it, and its lease is no longer than
    /// its lock-delay. So the wait counts from the *answer* of our proof, never from its request.
    fn waited_out(&self, core: &Core) -> Timestamp {
        let terms = &core.params.terms;
        if !terms.keeps(Rule::UncleanEndingWaitedOut) {
            return self.not_before;
        }
        let wait = if terms.keeps(Rule::LongestLockDelayWaited) {
            terms.lock_delay().max(core.others_lock_delay) + WAIT_EXTRA
        } else {
            terms.lock_delay() + WAIT_EXTRA
        };
        self.abandoned.map_or(self.not_before, |(_, since)| since) + wait
    }

    /// Takes a proof in.
    fn prove(&mut self, core: &mut Core, now: Timestamp, state: KeyState) {
        let each = core.params.terms.keeps(Rule::EachEndingWaitedOut);
        if let KeyState::Abandoned { index } = &state
            && self
                .abandoned
                .is_none_or(|(seen, _)| each && seen != *index)
        {
            self.abandoned = Some((*index, now));
        }
        self.adopted = false;
        self.delayed = false;
        self.know(core, now, state);
    }

    fn know(&mut self, core: &mut Core, now: Timestamp, state: KeyState) {
        if let KeyState::Held { by, .. } = &state {
            core.question.about(now, by);
        }
        self.view = View::Known(state);
    }

    /// Takes in what a watch saw, which may be old, and which somebody may have undone since.
    pub(super) fn hinted(
        &mut self,
        core: &mut Core,
        now: Timestamp,
        own: &SessionId,
        key: &KeyRead,
    ) -> Option<Turn> {
        self.hint = key.index;
        let state = KeyState::of(key.entry.as_ref());
        let ours = matches!(&state, KeyState::Held { by, .. } if by == own);
        if ours && !core.params.terms.keeps(Rule::HandedOverLockIsConfirmed) {
            let lease = Lease::from_confirm(core.params.terms, now, now);
            return Some(Turn::Lead(Leading::new(lease, None)));
        }
        if self.under_way.is_some() {
            // Its answer says more; a proof that turns out to be older is read again.
            return None;
        }
        let free = matches!(state, KeyState::Released { .. });
        match state {
            // Proven already: marking it says whether that is still so.
            KeyState::Missing if matches!(self.view, View::Known(KeyState::Missing)) => {}
            // To be proven; the second was handed to us, or is an acquire of ours that was never answered.
            KeyState::Missing => self.view = View::Unknown,
            KeyState::Held { .. } if ours => self.view = View::Unknown,
            KeyState::Abandoned { index }
                if self.abandoned.is_none_or(|(seen, _)| seen != index) =>
            {
                self.view = View::Unknown;
            }
            // The acquire checks the index; the others are only shown.
            KeyState::Abandoned { .. }
            | KeyState::Held { .. }
            | KeyState::Released { .. }
            | KeyState::NotALock { .. } => self.know(core, now, state),
        }
        if free || ours {
            // Somebody has just been able to write: no reason to pause any longer.
            self.not_before = now;
        }
        None
    }

    /// Looks at once: Consul has just answered.
    pub(super) fn look_again(&mut self, now: Timestamp) {
        self.doubt(now);
        if self.under_way.is_none() {
            self.not_before = now;
        }
    }

    /// Forgets what was known.
    pub(super) fn doubt(&mut self, now: Timestamp) {
        if self.under_way.is_none() {
            self.view = View::Unknown;
            self.not_before = self.not_before.max(now);
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
        if self
            .under_way
            .as_ref()
            .is_none_or(|(pending, _)| pending.op != op)
        {
            return None;
        }
        let (sent, request) = self.under_way.take()?;
        match request {
            Request::Proof => {
                core.note(Doing::Reading, &result);
                self.proven(core, now, sent, own, result)
            }
            Request::Mark => {
                core.note(Doing::Locking, &result);
                self.view = View::Unknown;
                self.pause_after(core, now, &result);
                None
            }
            Request::Acquire { .. } => {
                core.note(Doing::Locking, &result);
                self.acquired(core, now, sent, result)
            }
        }
    }

    fn proven(
        &mut self,
        core: &mut Core,
        now: Timestamp,
        sent: Pending,
        own: &SessionId,
        result: Result<Answer, Failure>,
    ) -> Option<Turn> {
        let Ok(Answer::Key(key)) = result else {
            self.not_before = now + self.backoff.next(&mut core.rng);
            return None;
        };
        if key.index < std::mem::take(&mut self.hint) {
            self.not_before = now;
            return None;
        }
        let state = KeyState::of(key.entry.as_ref());
        if let KeyState::Held { by, .. } = &state
            && by == own
        {
            let taken_at = key.entry.as_ref().map(|entry| entry.modify_index);
            return self.lead(core, now, sent, taken_at);
        }
        if let KeyState::Held { .. } = state {
            core.peers.proven(sent.issued_at);
            self.backoff.reset();
        }
        self.prove(core, now, state);
        Some(Turn::Seen(key.index))
    }

    fn acquired(
        &mut self,
        core: &mut Core,
        now: Timestamp,
        sent: Pending,
        result: Result<Answer, Failure>,
    ) -> Option<Turn> {
        let Err(failure) = result else {
            self.may_hold = true;
            return self.lead(core, now, sent, None);
        };
        self.delayed = failure.kind == FailureKind::LockDelayed;
        match failure.kind {
            FailureKind::SessionGone => return Some(Turn::SessionGone),
            FailureKind::LockDelayed => {
                self.not_before = now + jitter(LOCK_DELAY_PAUSE, &mut core.rng);
            }
            FailureKind::Held | FailureKind::Changed => self.view = View::Unknown,
            FailureKind::Unavailable => {
                self.may_hold = true;
                self.view = View::Unknown;
                self.not_before = now + self.backoff.next(&mut core.rng);
            }
            FailureKind::CheckMissing
            | FailureKind::CheckCritical
            | FailureKind::Denied
            | FailureKind::Refused => {
                self.not_before = now + self.backoff.next(&mut core.rng);
            }
        }
        None
    }

    /// Leads on an acquire or a proof, unless its answer was so long on the way that the lease is over.
    fn lead(
        &mut self,
        core: &mut Core,
        now: Timestamp,
        sent: Pending,
        taken_at: Option<u64>,
    ) -> Option<Turn> {
        let lease = Lease::from_confirm(core.params.terms, sent.issued_at, now);
        if lease.is_live(now) {
            return Some(Turn::Lead(Leading::new(lease, taken_at)));
        }
        self.view = View::Unknown;
        self.not_before = now + self.backoff.next(&mut core.rng);
        None
    }

    fn pause_after(&mut self, core: &mut Core, now: Timestamp, result: &Result<Answer, Failure>) {
        self.not_before = match result {
            Err(failure) if failure.kind != FailureKind::Changed => {
                now + self.backoff.next(&mut core.rng)
            }
            Ok(_) | Err(_) => now,
        };
    }
}
