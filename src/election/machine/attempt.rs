//! Pure: one request that is made again and again, never twice at a time.

use std::time::Duration;

use super::{Core, DeadlineReason};
use crate::election::call::{Call, OpId, Pending};
use crate::election::time::Timestamp;

/// Due at an instant, or under way. Not `Copy`, so that a copy cannot lose the answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    Due(Timestamp),
    Sent(Pending),
}

impl Attempt {
    /// Returns the request if `op` answers it. The caller then says when the next is due.
    pub(super) fn answered_by(&self, op: OpId) -> Option<Pending> {
        match self {
            Self::Sent(pending) if pending.op == op => Some(*pending),
            Self::Sent(_) | Self::Due(_) => None,
        }
    }

    pub(super) fn send_if_due(
        &mut self,
        core: &mut Core,
        now: Timestamp,
        timeout: Duration,
        call: impl FnOnce() -> Call,
    ) {
        match self {
            Self::Due(at) if *at <= now => *self = Self::Sent(core.call(now, timeout, call())),
            Self::Due(_) | Self::Sent(_) => {}
        }
    }

    pub(super) fn deadline(&self, reason: DeadlineReason) -> Option<(Timestamp, DeadlineReason)> {
        match self {
            Self::Due(at) => Some((*at, reason)),
            Self::Sent(_) => None,
        }
    }
}
