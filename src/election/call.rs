//! Pure: what the election asks of Consul, and what it takes for an answer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::election::candidate::GroupRead;
use crate::election::time::Timestamp;

/// The flag that marks a key as a lock: `LockFlagValue` of Consul's `api/lock.go`.
pub const LOCK_FLAG: u64 = 0x2ddc_cbc0_58a5_0c18;

/// The name Consul gave a session.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(Arc<str>);

impl SessionId {
    /// Wraps an id as Consul wrote it.
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// Returns the id as Consul wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key as Consul holds it (`/v1/kv/:key`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The value; `None` is JSON null and means the same as an empty one.
    pub value: Option<Vec<u8>>,
    /// Opaque to Consul; [`LOCK_FLAG`] on every lock.
    pub flags: u64,
    /// The session that holds the lock.
    pub session: Option<SessionId>,
    /// The raft index of the last change.
    pub modify_index: u64,
}

/// The answer to one read of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRead {
    /// `X-Consul-Index`: what the next blocking read waits on. Never 0.
    pub index: u64,
    /// The key, or `None` where there is none.
    pub entry: Option<Entry>,
}

/// Names one request, so that an answer that nobody waits for any more can be told from one that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpId(pub u64);

/// A request to Consul about the one group's session and trigger key.
///
/// TTL, lock-delay, checks, key and value never change while a group runs; whoever carries the call
/// out knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Creates a session of this name, bound to health.
    CreateSession {
        /// Unique to the process, so that a session whose creation was never answered can be found.
        name: String,
        /// Whether it dies with our liveness check, which is registered.
        liveness: bool,
    },
    /// Looks for a live session of this name.
    FindSession {
        /// As given to [`Call::CreateSession`].
        name: String,
        /// Where it is known, only this one is looked at.
        id: Option<SessionId>,
    },
    /// Resets the session's TTL. Proves nothing about the lock.
    RenewSession(SessionId),
    /// Destroys the session.
    DestroySession(SessionId),
    /// Asks how long Consul keeps others out when this session dies.
    SessionLockDelay(SessionId),
    /// Reads the trigger key with `?consistent`.
    Read,
    /// Waits with `?stale` until the trigger key is newer than `index`. Only a hint.
    Watch {
        /// The last index seen, at least 1.
        index: u64,
    },
    /// The same without `?stale`: through the raft leader, which knows first. Only a hint, too.
    WatchThroughLeader {
        /// The last index seen, at least 1.
        index: u64,
    },
    /// Puts a value without a session where no key is, so that there is an index to check against.
    MarkVacant,
    /// Takes the lock if the key is still as it was at `index`.
    Acquire {
        /// Who takes it.
        session: SessionId,
        /// The key's modify index when it was seen free; Consul has no index 0.
        index: u64,
    },
    /// Writes value and flag once more if the session still holds the lock.
    Restore(SessionId),
    /// Gives the lock up: the key stays, with the flag, empty and without a session.
    Release {
        /// Who gives it up.
        session: SessionId,
        /// Whether our candidate entry goes with it.
        registered: bool,
    },
    /// Gives the lock to the successor's session, with the successor's value, in one commit; refused
    /// unless that session holds its candidate entry.
    HandOver {
        /// Who gives it up.
        session: SessionId,
        /// Whether our candidate entry goes with it.
        registered: bool,
        /// Who gets it: session and trigger value.
        successor: Successor,
        /// The switchover request that is followed, by its index: it goes with it.
        request: Option<u64>,
    },
    /// Registers a service of our own with the agent, whose TTL check tells that we live, and passes
    /// that check. Once more, it says whether we lead.
    RegisterService {
        /// Whether we do.
        leads: bool,
    },
    /// Passes the check of our service.
    Feed,
    /// Takes our service off the agent.
    DeregisterService,
    /// Waits with `?stale` until anything below the trigger key is newer than `index`.
    WatchGroup {
        /// The last index seen; at 0 the raft leader answers, at once.
        index: u64,
    },
    /// Writes our candidate entry, held by this session.
    Register(SessionId),
    /// Deletes our candidate entry if this session holds it.
    Unregister(SessionId),
    /// Deletes the switchover request if it is still as it was at `index`.
    DropRequest {
        /// When it was written.
        index: u64,
    },
    /// Ends the session of a leader that is silent.
    Depose(SessionId),
    /// Sees to it that this session, which others go on with, does not have the trigger key and is never given it:
    /// carried out only if the key is as it was seen. Says nothing of a clean ending.
    LetGo {
        /// The session that is left.
        session: SessionId,
        /// The key as a consistent read has shown it.
        seen: Option<Entry>,
        /// Whether our candidate entry goes with it.
        registered: bool,
    },
}

/// Who gets the lock from a leader that gives it up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Successor {
    /// Its session.
    pub session: SessionId,
    /// Its trigger value.
    pub value: String,
}

impl Call {
    /// Returns an id that all calls of one kind share.
    pub(super) fn kind(&self) -> OpId {
        OpId(match self {
            Self::CreateSession { .. } => 1,
            Self::FindSession { .. } => 2,
            Self::RenewSession(_) => 3,
            Self::DestroySession(_) => 4,
            Self::SessionLockDelay(_) => 5,
            Self::Read => 6,
            Self::Watch { .. } => 7,
            Self::MarkVacant => 8,
            Self::Acquire { .. } => 9,
            Self::Restore(_) => 10,
            Self::Release { .. } => 11,
            Self::HandOver { .. } => 12,
            Self::RegisterService { .. } => 13,
            Self::Feed => 14,
            Self::DeregisterService => 15,
            Self::WatchGroup { .. } => 16,
            Self::Register(_) => 17,
            Self::Unregister(_) => 18,
            Self::DropRequest { .. } => 19,
            Self::Depose(_) => 20,
            Self::WatchThroughLeader { .. } => 21,
            Self::LetGo { .. } => 22,
        })
    }

    /// Returns how many operations a transaction has that carries it out; none, where it is none.
    pub fn operations(&self) -> usize {
        match self {
            Self::Register(_) => 1,
            Self::MarkVacant
            | Self::Acquire { .. }
            | Self::Restore(_)
            | Self::Unregister(_)
            | Self::DropRequest { .. } => 2,
            Self::Release { registered, .. } => 2 + usize::from(*registered),
            Self::HandOver {
                registered,
                request,
                ..
            } => 3 + usize::from(*registered) + 2 * usize::from(request.is_some()),
            Self::LetGo { registered, .. } => 3 + usize::from(*registered),
            Self::CreateSession { .. }
            | Self::FindSession { .. }
            | Self::RenewSession(_)
            | Self::DestroySession(_)
            | Self::SessionLockDelay(_)
            | Self::Read
            | Self::Watch { .. }
            | Self::WatchThroughLeader { .. }
            | Self::RegisterService { .. }
            | Self::Feed
            | Self::DeregisterService
            | Self::WatchGroup { .. }
            | Self::Depose(_) => 0,
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CreateSession { .. } => "creating the session",
            Self::FindSession { .. } => "looking for the session",
            Self::RenewSession(_) => "renewing the session",
            Self::DestroySession(_) => "destroying the session",
            Self::SessionLockDelay(_) => "asking for the holder's lock-delay",
            Self::Read => "reading the trigger key",
            Self::Watch { .. } => "watching the trigger key",
            Self::WatchThroughLeader { .. } => "watching the trigger key through the raft leader",
            Self::MarkVacant => "marking the trigger key as vacant",
            Self::Acquire { .. } => "acquiring the lock",
            Self::Restore(_) => "restoring the trigger key",
            Self::Release { .. } => "releasing the lock",
            Self::HandOver { .. } => "handing the lock over",
            Self::RegisterService { .. } => "registering the liveness check",
            Self::Feed => "passing the liveness check",
            Self::DeregisterService => "deregistering the liveness check",
            Self::WatchGroup { .. } => "watching the candidates",
            Self::Register(_) => "registering as a candidate",
            Self::Unregister(_) => "leaving the candidates",
            Self::DropRequest { .. } => "deleting the switchover request",
            Self::Depose(_) => "ending the silent leader's session",
            Self::LetGo { .. } => "leaving the session to others",
        })
    }
}

/// What Consul said to a [`Call`] that it carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To [`Call::CreateSession`].
    Created(SessionId),
    /// To [`Call::FindSession`].
    Found(Option<SessionId>),
    /// To [`Call::SessionLockDelay`]; `None` when the session is gone.
    LockDelay(Option<Duration>),
    /// To [`Call::Read`], [`Call::Watch`] and [`Call::WatchThroughLeader`].
    Key(KeyRead),
    /// To [`Call::WatchGroup`].
    Group(GroupRead),
    /// To everything else: it was done.
    Done,
}

/// Why a [`Call`] has no [`Answer`], with Consul's own words where it said any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What follows from it.
    pub kind: FailureKind,
    /// For the operator: what we were doing and what Consul said.
    pub message: String,
}

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The session does not exist (any more).
    SessionGone,
    /// No session can be had: the health check is not registered.
    CheckMissing,
    /// No session can be had: the health check or the node is critical.
    CheckCritical,
    /// The lock is held by another session.
    Held,
    /// The lock is nobody's, and refused until the last holder's lock-delay is over.
    LockDelayed,
    /// The key is no longer as it was seen.
    Changed,
    /// The ACL refuses it.
    Denied,
    /// No usable answer: timeout, connection, 5xx, 429, garbage. It may have been carried out.
    Unavailable,
    /// Consul understood and will refuse it again.
    Refused,
}

/// A request on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Its name.
    pub op: OpId,
    /// When it was handed out, which is never after it was sent.
    pub issued_at: Timestamp,
}
