//! Pure: a change of the role, and why it came about.

use std::time::SystemTime;

use crate::calendar::rfc3339;
use crate::election::status::{Ending, Outcome, Phase, Status};
use crate::status::{Role, Transition};

/// A change of the role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub at: SystemTime,
    /// What the host was.
    pub from: Role,
    /// What it became.
    pub to: Role,
    /// Why, for whoever counts.
    pub cause: Cause,
    /// Why, for whoever reads.
    pub reason: String,
}

/// Why a role changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(
    missing_docs,
    reason = "the names say it, and are those that are published"
)]
pub enum Cause {
    Acquired,
    Joined,
    Adopted,
    LeaseExpired,
    SessionGone,
    KeyDeleted,
    Unlocked,
    Taken,
    Blocked,
    Unhealthy,
    Drained,
    Switchover,
    Preempted,
    Stopping,
    GivenUp,
    NotALock,
}

impl Change {
    /// As it is told to others.
    pub(super) fn report(&self) -> Transition {
        Transition {
            at: rfc3339(self.at),
            from: self.from,
            to: self.to,
            reason: self.reason.clone(),
        }
    }
}

impl Cause {
    /// As it is counted.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Acquired => "acquired",
            Self::Joined => "joined",
            Self::Adopted => "adopted",
            Self::LeaseExpired => "lease_expired",
            Self::SessionGone => "session_gone",
            Self::KeyDeleted => "key_deleted",
            Self::Unlocked => "unlocked",
            Self::Taken => "taken",
            Self::Blocked => "blocked",
            Self::Unhealthy => "unhealthy",
            Self::Drained => "drained",
            Self::Switchover => "switchover",
            Self::Preempted => "preempted",
            Self::Stopping => "stopping",
            Self::GivenUp => "given_up",
            Self::NotALock => "not_a_lock",
        }
    }

    /// As the machine names it.
    const fn of(ending: &Ending) -> Self {
        match ending {
            Ending::LeaseExpired => Self::LeaseExpired,
            Ending::SessionGone => Self::SessionGone,
            Ending::KeyDeleted => Self::KeyDeleted,
            Ending::Unlocked => Self::Unlocked,
            Ending::TakenBy(_) => Self::Taken,
            Ending::Blocked(_) => Self::Blocked,
            Ending::Unhealthy(_) => Self::Unhealthy,
            Ending::Drained => Self::Drained,
            Ending::Switchover(_) => Self::Switchover,
            Ending::Preempted(_) => Self::Preempted,
            Ending::Stopping => Self::Stopping,
        }
    }
}

/// Why the machine went from one to the other.
pub(super) fn why(before: &Status, after: &Status) -> (Cause, String) {
    let ended = || match &after.ending {
        Some(ending) => (Cause::of(ending), ending.to_string()),
        None => (Cause::Stopping, Ending::Stopping.to_string()),
    };
    match (&before.phase, &after.phase) {
        (_, Phase::Leading(_)) => (Cause::Acquired, "it holds the lock".to_owned()),
        (Phase::Leading(_), _) | (Phase::Standby, Phase::Resigning) => ended(),
        (Phase::Adopting, Phase::Standby) => (
            Cause::Adopted,
            "it went on with the session of the process before".to_owned(),
        ),
        (_, Phase::Standby) => (Cause::Joined, "it has a session".to_owned()),
        (_, Phase::Stopped(outcome @ Outcome::NotALock { .. })) => {
            (Cause::NotALock, stopped(outcome))
        }
        (_, Phase::Stopped(outcome)) => (Cause::Stopping, stopped(outcome)),
        (
            _,
            Phase::Adopting
            | Phase::Clearing
            | Phase::Preflight
            | Phase::Joining
            | Phase::Resigning,
        ) => (Cause::GivenUp, "the session before is given up".to_owned()),
    }
}

/// How a machine that has stopped did so.
pub(super) fn stopped(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Stopped => "it was stopped".to_owned(),
        Outcome::SessionLeft => "it was stopped, and could not give its session up".to_owned(),
        Outcome::NotALock { flags } => format!("the trigger key is not a lock (Flags={flags})"),
    }
}
