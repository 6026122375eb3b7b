//! Pure: the machine as others may see it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::election::call::{FailureKind, SessionId};
use crate::election::health::Health;
use crate::election::lease::Lease;
use crate::election::target::Blocker;
use crate::election::time::Timestamp;

/// What one group is doing. The driver compares it before and after each step, and logs the difference.
/// By default of a machine that has not begun.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Where in its life the machine is.
    pub phase: Phase,
    /// The session we live by.
    pub session: Option<SessionId>,
    /// Who holds the lock, as last seen; never our own session.
    pub holder: Option<Holder>,
    /// Why leadership was last lost or given up.
    pub ending: Option<Ending>,
    /// Why this host does not campaign, as far as its own address goes.
    pub blocker: Option<Blocker>,
    /// Why the lock of a leader that was lost is not to be had yet.
    pub lock_delay: Option<LockDelay>,
    /// What currently goes wrong between us and Consul.
    pub trouble: Option<Trouble>,
    /// The key belongs to somebody else, with these flags.
    pub not_a_lock: Option<u64>,
    /// How often somebody wrote over the key while we held it.
    pub overwritten: u64,
    /// Whether this host is fit to lead.
    pub health: Health,
    /// Whether that is because somebody has drained it.
    pub drained: bool,
    /// Whether we stand as a candidate.
    pub candidate: bool,
    /// What has to be done without, and why.
    pub lost: BTreeMap<Feature, String>,
    /// Who has got the lock from us by our handover, in the last step.
    pub handed_to: Option<String>,
    /// Why a switchover request cannot be followed, which was found out in the last step.
    pub refused_request: Option<String>,
    /// The silent leader whose session we ended, in the last step, and for how long it was silent.
    pub deposed: Option<(Holder, Duration)>,
}

/// Where in its life the machine is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Looking for the session of the process before, to go on with it.
    Adopting,
    /// Taking off what an earlier process left.
    #[default]
    Clearing,
    /// Looking whether the trigger key is a lock.
    Preflight,
    /// Getting a session.
    Joining,
    /// Watching, and campaigning when the lock is free.
    Standby,
    /// Holding the lock, and the address as long as the lease lives.
    Leading(Lease),
    /// Giving up: address off, then the lock, then the session.
    Resigning,
    /// Done.
    Stopped(Outcome),
}

/// How a machine ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was asked to stop, and gave everything up.
    Stopped,
    /// It was asked to stop and could not reach Consul to give its session up.
    SessionLeft,
    /// The trigger key is not a lock; nothing was touched.
    NotALock {
        /// Its flags.
        flags: u64,
    },
}

/// The session that holds the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its session.
    pub session: SessionId,
    /// The value it wrote.
    pub value: String,
}

/// Why the lock of a leader that was lost is not to be had yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockDelay {
    /// Until then that leader may act unheard, and we do not ask.
    Until(Timestamp),
    /// We have asked, and Consul refuses it.
    Refused,
}

/// Why a leader leads no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The lease ran out without a confirm.
    LeaseExpired,
    /// Consul ended the session.
    SessionGone,
    /// The key was deleted while we held it.
    KeyDeleted,
    /// The key was unlocked while we held it.
    Unlocked,
    /// Another session holds the lock.
    TakenBy(Holder),
    /// The address cannot be held here.
    Blocked(Blocker),
    /// This host is not fit to lead, and why.
    Unhealthy(String),
    /// Somebody has drained this host.
    Drained,
    /// Somebody asked for another leader: this one.
    Switchover(String),
    /// A better candidate has been there for long enough: this one.
    Preempted(String),
    /// We were asked to stop.
    Stopping,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeaseExpired => f.write_str("the lease ran out without an answer from consul"),
            Self::SessionGone => f.write_str(
                "consul ended the session: its ttl ran out, a check went critical, or it was destroyed",
            ),
            Self::KeyDeleted => f.write_str(
                "the trigger key is gone: consul ended the session and deleted it, or somebody did",
            ),
            Self::Unlocked => f.write_str(
                "the trigger key is no longer locked: consul ended the session, or somebody unlocked it",
            ),
            Self::TakenBy(holder) => write!(f, "{} holds the lock", holder.value),
            Self::Blocked(blocker) => write!(f, "the address cannot be held here: {blocker}"),
            Self::Unhealthy(reason) => write!(f, "this host is not healthy: {reason}"),
            Self::Drained => f.write_str("drained"),
            Self::Switchover(to) => write!(f, "switchover to {to} was asked for"),
            Self::Preempted(by) => write!(f, "{by} is a better candidate"),
            Self::Stopping => f.write_str("stopping"),
        }
    }
}

/// What goes wrong between us and Consul.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What we were doing.
    pub doing: Doing,
    /// What follows from it.
    pub kind: FailureKind,
    /// The words of whoever refused.
    pub message: String,
}

impl Trouble {
    /// Orders troubles, so that of several at a time the one that says most is shown.
    pub(crate) fn severity(&self) -> u8 {
        match self.kind {
            FailureKind::Denied => 5,
            FailureKind::Refused => 4,
            FailureKind::CheckMissing => 3,
            FailureKind::CheckCritical => 2,
            FailureKind::Unavailable => 1,
            FailureKind::SessionGone
            | FailureKind::Held
            | FailureKind::LockDelayed
            | FailureKind::Changed => 0,
        }
    }
}

/// What the machine asks Consul for, as far as troubles are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doing {
    /// Reading the key for a proof.
    Reading,
    /// Watching the key for a hint.
    Watching,
    /// Creating or finding the session.
    Joining,
    /// Renewing the session.
    Renewing,
    /// Taking, restoring or giving up the lock.
    Locking,
    /// Destroying the session.
    Leaving,
    /// Keeping the liveness check.
    Living,
    /// Being a candidate, and knowing the others.
    Standing,
    /// Ending a silent leader's session.
    Deposing,
}

/// What makes a takeover faster, and can be done without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// Candidates, and with them handover.
    Candidates,
    /// The liveness check.
    Liveness,
    /// Ending a silent leader's session.
    PeerWatch,
}

impl Feature {
    /// What is asked of Consul for it.
    pub(crate) const fn doing(self) -> Doing {
        match self {
            Self::Candidates => Doing::Standing,
            Self::Liveness => Doing::Living,
            Self::PeerWatch => Doing::Deposing,
        }
    }
}
