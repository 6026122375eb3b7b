//! Pure: who would lead next, as each host has written it below the trigger key.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::election::call::SessionId;

/// A host that is healthy and would lead. Its entry dies with its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its trigger value.
    pub value: String,
    /// Its session, which holds the entry.
    pub session: SessionId,
    /// Higher is better.
    pub priority: i32,
    /// How long Consul keeps others out when its session dies as a leader's.
    pub lock_delay: Duration,
    /// Where it listens for heartbeats, if it does.
    pub contact: Option<Contact>,
}

/// Where a host listens for heartbeats, and what they are signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contact {
    /// A UDP address that the other hosts reach.
    pub address: SocketAddr,
    /// Known to whoever may read the entry, and to nobody else.
    pub secret: Secret,
}

/// What the heartbeats to one host are signed with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Secret(pub [u8; 32]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What stands below the trigger key, as one read shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRead {
    /// `X-Consul-Index`: what the next blocking read waits on. Never 0.
    pub index: u64,
    /// Those whose session holds their entry.
    pub candidates: Vec<Candidate>,
    /// That somebody wants another host to lead.
    pub request: Option<Request>,
    /// The trigger values of the hosts that shall not lead: the keys `<trigger key>/drain/<trigger value>`.
    pub drained: Vec<String>,
}

/// That somebody wants another host to lead: the key `<trigger key>/switchover`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The raft index at which it was written.
    pub index: u64,
    /// The trigger value of the host that shall lead; `None` for the best candidate.
    pub to: Option<String>,
}
