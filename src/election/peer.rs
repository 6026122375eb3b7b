//! Pure: what hosts tell each other directly, so that a dead leader is missed sooner than Consul would
//! miss it.
//!
//! Nothing of the promise rests on it. Whoever thinks that a leader is dead may end its session: a wrong
//! guess costs a failover, never a second holder.

use std::time::Duration;

use crate::election::call::SessionId;

/// Names a group to other hosts: the same of each of its members, and another of each other group, as far as chance
/// allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupId(pub u64);

/// One datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// The sender's session.
    pub from: SessionId,
    /// The session of the leader that it is about; of the next one, where the lock was given.
    pub leader: SessionId,
    /// Rises from one datagram of a sender to its next, also over its restarts: one that does not is
    /// an old one, sent again.
    pub sequence: u64,
    /// What it says.
    pub message: Message,
}

/// What a datagram says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// The sender leads.
    Heartbeat {
        /// How long it must be silent at least before its session may be ended.
        patience: Duration,
    },
    /// The sender does not hear the leader any more. Does the receiver?
    Question,
    /// The sender does.
    Heard {
        /// The sequence of the question that this answers.
        question: u64,
        /// For how long now it has not heard it.
        ago: Duration,
    },
    /// The sender has led, and has given this group's lock to the session that this is about.
    Given {
        /// Of which group.
        group: GroupId,
    },
}
