//! Pure: a check in Consul that passes only as long as this machine runs, so that a daemon that is killed
//! or frozen is missed sooner than its session's TTL would tell.
//!
//! It is passed when a renewal or a confirm has come back, and by no timer: who does not run does not pass
//! it. One that has failed counts too, as long as the last proof still carries us: until then a Consul
//! without a leader is ridden out, and must not end our session for it when it has one again. To pass the
//! check too often makes a session live longer, and never a lease.

use std::time::Duration;

use super::{CALL_TIMEOUT, Core};
use crate::election::call::{Answer, Call, Failure, FailureKind, OpId, Pending};
use crate::election::status::{Doing, Feature};
use crate::election::time::Timestamp;

#[derive(Debug, Default)]
pub(super) struct Liveness {
    /// What the agent was last told of us: whether we lead. `None` where it knows nothing of us.
    told: Option<bool>,
    fed_at: Option<Timestamp>,
    /// The request under way, and whether we lead if it says that.
    under_way: Option<(Pending, Option<bool>)>,
    due: bool,
}

impl Liveness {
    /// Takes in that the agent has just been told that we stand by.
    pub(super) fn registered(&mut self, at: Timestamp) {
        self.told = Some(false);
        self.fed_at = Some(at);
    }

    /// Takes in that the agent may not know the check any more.
    pub(super) fn forget(&mut self) {
        self.told = None;
    }

    pub(super) fn is_registered(&self) -> bool {
        self.told.is_some()
    }
}

impl Core {
    /// The TTL of the check, if there is one.
    pub(super) fn liveness_ttl(&self) -> Option<Duration> {
        let ttl = self.params.options.liveness_ttl?;
        self.has(Feature::Liveness).then_some(ttl)
    }

    /// The time from one renewal of a session to the next, where nothing else proves that we live.
    pub(super) fn renewal_interval(&self) -> Duration {
        let third = self.params.terms.ttl() / 3;
        let feeding = self
            .liveness_ttl()
            .map(|ttl| self.params.terms.feed_interval(ttl));
        feeding.map_or(third, |feeding| third.min(feeding))
    }

    /// Takes in that a renewal or a confirm has come back to a machine that its last proof still carries.
    pub(super) fn is_alive(&mut self) {
        self.liveness.due = true;
    }

    /// Passes the check if a renewal or a confirm has come back, and the last time was long enough ago.
    pub(super) fn feed(&mut self, now: Timestamp, leads: bool) {
        let alive = std::mem::take(&mut self.liveness.due);
        let Some(ttl) = self.liveness_ttl() else {
            return;
        };
        let interval = self.params.terms.feed_interval(ttl);
        let wrong = self.liveness.told != Some(leads);
        // What comes back comes once in an interval or so: a little early is in time, a turn left out is late.
        let due = self
            .liveness
            .fed_at
            .is_none_or(|at| now >= at + interval * 3 / 4);
        if !alive || !(due || wrong) || self.liveness.under_way.is_some() {
            return;
        }
        let call = if wrong {
            Call::RegisterService { leads }
        } else {
            Call::Feed
        };
        self.liveness.fed_at = Some(now);
        let pending = self.call(now, interval.min(CALL_TIMEOUT / 2), call);
        self.liveness.under_way = Some((pending, wrong.then_some(leads)));
    }

    /// Returns whether `op` was one of its requests.
    pub(super) fn fed(&mut self, op: OpId, result: &Result<Answer, Failure>) -> bool {
        let Some((_, told)) = self
            .liveness
            .under_way
            .take_if(|(pending, _)| pending.op == op)
        else {
            return false;
        };
        self.note(Doing::Living, result);
        match result {
            Ok(_) => self.liveness.told = told.or(self.liveness.told),
            Err(failure) => match failure.kind {
                // The agent has been started anew, and does not know it.
                FailureKind::CheckMissing => self.liveness.forget(),
                // A session that is bound to the check cannot do without it: refused, it is tried again.
                FailureKind::Denied
                | FailureKind::Refused
                | FailureKind::CheckCritical
                | FailureKind::SessionGone
                | FailureKind::Held
                | FailureKind::LockDelayed
                | FailureKind::Changed
                | FailureKind::Unavailable => self.liveness.fed_at = None,
            },
        }
        true
    }
}
