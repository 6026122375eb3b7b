//! Pure: why a host does not lead.

use std::fmt;
use std::mem::discriminant;

use crate::election::call::FailureKind;
use crate::election::health::Health;
use crate::election::status::{Ending, LockDelay, Outcome, Phase, Status, Trouble};
use crate::election::target::Blocker;
use crate::status::change::stopped;

/// Why a host does not lead, as a sentence.
#[derive(Clone, Copy, Debug)]
pub(super) enum Why<'a> {
    Adopting,
    Clearing,
    Joining,
    Resigning(Option<&'a Ending>),
    Stopped(&'a Outcome),
    NotALock { flags: u64, key: &'a str },
    Drained,
    Unhealthy(&'a str),
    Blocked(&'a Blocker),
    Follows(&'a str),
    Unjudged,
    Trouble(&'a Trouble),
    LockDelay(LockDelay),
    Free(Option<&'a Ending>),
}

impl<'a> Why<'a> {
    /// Returns why not, of several reasons the one that must go first; `None` exactly for a leader.
    pub(super) fn of(status: &'a Status, key: &'a str) -> Option<Self> {
        let trouble = status.trouble.as_ref().map(Self::Trouble);
        let ending = status.ending.as_ref();
        Some(match &status.phase {
            Phase::Leading(_) => return None,
            Phase::Adopting => Self::Adopting,
            Phase::Clearing => Self::Clearing,
            Phase::Preflight | Phase::Joining => trouble.unwrap_or(Self::Joining),
            Phase::Resigning => Self::Resigning(ending),
            Phase::Stopped(outcome) => Self::Stopped(outcome),
            Phase::Standby => {
                let holder = status.holder.as_ref();
                match (&status.not_a_lock, &status.health, &status.blocker, holder) {
                    (Some(flags), _, _, _) => Self::NotALock { flags: *flags, key },
                    (None, _, _, _) if status.drained => Self::Drained,
                    (None, Health::Bad(reason), _, _) => Self::Unhealthy(reason),
                    (None, _, Some(blocker), _) => Self::Blocked(blocker),
                    (None, _, None, Some(holder)) => Self::Follows(&holder.value),
                    (None, Health::Unknown, None, None) => Self::Unjudged,
                    (None, Health::Good, None, None) => trouble
                        .or(status.lock_delay.map(Self::LockDelay))
                        .unwrap_or(Self::Free(ending)),
                }
            }
        })
    }

    /// Whether it is the same obstacle, be it in other words.
    pub(super) fn is_still(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Trouble(one), Self::Trouble(other)) => one.kind == other.kind,
            (_, _) => discriminant(self) == discriminant(other),
        }
    }

    /// Whether anything stands in the way, but that another host leads.
    pub(super) const fn is_an_obstacle(&self) -> bool {
        !matches!(self, Self::Follows(_))
    }

    /// In the words of which others need to know that it would not lead: `None` where what keeps it from that is not its own
    /// affair, shows in Consul already, or passes.
    pub(super) fn in_public(&self) -> Option<String> {
        match self {
            Self::Unhealthy(reason) => Some((*reason).to_owned()),
            Self::Blocked(_) => Some(self.to_string()),
            Self::Trouble(trouble) => match trouble.kind {
                FailureKind::CheckCritical
                | FailureKind::CheckMissing
                | FailureKind::Denied
                | FailureKind::Refused => Some(self.to_string()),
                FailureKind::SessionGone
                | FailureKind::Held
                | FailureKind::LockDelayed
                | FailureKind::Changed
                | FailureKind::Unavailable => None,
            },
            Self::Adopting
            | Self::Clearing
            | Self::Joining
            | Self::Resigning(_)
            | Self::Stopped(_)
            | Self::NotALock { .. }
            | Self::Drained
            | Self::Follows(_)
            | Self::Unjudged
            | Self::LockDelay(_)
            | Self::Free(_) => None,
        }
    }
}

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Adopting => f.write_str("it looks for the session of the process before"),
            Self::Clearing => f.write_str("it takes off the address that the process before left"),
            Self::Joining => f.write_str("it is getting a session"),
            Self::Resigning(Some(ending)) => write!(f, "it gives up: {ending}"),
            Self::Resigning(None) => f.write_str("it gives its session up"),
            Self::Stopped(outcome) => f.write_str(&stopped(outcome)),
            Self::NotALock { flags, key } => write!(
                f,
                "the trigger key is not a lock any more (Flags={flags}); delete it with `consul kv delete {key}`"
            ),
            Self::Drained => {
                f.write_str("this host is drained, until `vip-elector resume` ends that")
            }
            Self::Unhealthy(reason) => write!(f, "this host is not healthy: {reason}"),
            Self::Blocked(blocker) => write!(f, "the address cannot be held here: {blocker}"),
            Self::Follows(leader) => write!(f, "{leader} leads"),
            Self::Unjudged => f.write_str("it is not known yet whether this host is healthy"),
            Self::Trouble(trouble) => f.write_str(&trouble.message),
            Self::LockDelay(LockDelay::Until(_)) => {
                f.write_str("it waits out the lock-delay of a leader that was lost")
            }
            // <https://developer.hashicorp.com/consul/api-docs/session#lockdelay>
            Self::LockDelay(LockDelay::Refused) => f.write_str(
                "consul refuses the lock for the lock-delay of a leader that was lost, 60 s at most",
            ),
            Self::Free(None) => f.write_str("nobody leads, and this host asks for the lock"),
            Self::Free(Some(ending)) => write!(
                f,
                "nobody leads, and this host asks for the lock; it led last until: {ending}"
            ),
        }
    }
}
