//! Pure: what may happen, in the order of its time.

use std::cmp::Ordering;
use std::rc::Rc;
use std::time::Duration;

use vip_elector::election::call::{Answer, Failure};
use vip_elector::election::peer::Datagram;

use crate::raft::Proposal;
use crate::request::Request;

/// What happens next somewhere.
#[derive(Debug)]
pub(super) enum Event {
    /// A request reaches its host's agent.
    Arrive(Rc<Request>),
    /// A majority has taken a command, if there is one.
    Commit(Box<Proposal>),
    /// A server hears of what is committed.
    Apply { server: usize, upto: usize },
    /// A blocking read has waited long enough.
    WatchOver { server: usize, request: Rc<Request> },
    /// An answer reaches its daemon.
    Reply(Rc<Request>, Box<Result<Answer, Failure>>),
    /// A daemon waits no longer.
    Timeout(Rc<Request>),
    /// A TTL may be over.
    Ttl { server: usize },
    /// The servers elect.
    Elect,
    /// Gossip has made up its mind about a node.
    Gossip { node: usize, number: u64 },
    /// An agent tells the catalog how its checks are.
    AntiEntropy { node: usize },
    /// A liveness check may have run out.
    LivenessOver { node: usize, number: u64 },
    /// An agent may give up a service whose check has been critical for long.
    Reap { node: usize, number: u64 },
    /// A datagram reaches a host.
    Hear {
        host: usize,
        process: u64,
        sent: Duration,
        datagram: Rc<Datagram>,
    },
    /// A daemon has found out how fit its host is.
    Probe { host: usize, process: u64 },
    /// A driver has something to do.
    Drive { host: usize, process: u64 },
    /// A VIP task has something to do.
    Look {
        host: usize,
        process: u64,
        turn: u64,
    },
    /// A lifetime is over.
    Expire { host: usize, token: u64 },
    /// A supervisor starts a daemon.
    Start { host: usize },
    /// A stop has taken too long.
    TooLong { host: usize, process: u64 },
    /// A fault begins.
    Strike(usize),
    /// A fault ends.
    Mend(usize),
    /// All faults have ended.
    Healed,
    /// An operator looks after the key.
    Tidy,
    /// Time to look whether there is a leader.
    Nothing,
}

/// An event and its time.
#[derive(Debug)]
pub(super) struct Coming {
    pub(super) at: Duration,
    /// Of two at the same time, the one that was decided on first.
    pub(super) number: u64,
    pub(super) event: Event,
}

impl PartialEq for Coming {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Coming {}

impl PartialOrd for Coming {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Coming {
    /// The earliest is the greatest, and so on top of the heap.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}
