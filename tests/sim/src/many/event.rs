//! Pure: what may happen to several groups, in the order of its time.

use std::cmp::Ordering;
use std::rc::Rc;
use std::time::Duration;

use vip_elector::consul::sharing::Seat;
use vip_elector::election::call::{Answer, OpId};

use super::consul::{Request, Watch};
use super::process::Outcome;

/// What happens next somewhere.
#[derive(Debug)]
pub(super) enum Event {
    /// A request reaches Consul.
    Arrive(Rc<Request>),
    /// A blocking read reaches Consul.
    Watch(Rc<Watch>),
    /// A blocking read has waited for long enough.
    WatchOver(Rc<Watch>),
    /// A TTL may be over.
    Ttl,
    /// Something happens to a process of a host, if it is still this one.
    To {
        host: usize,
        process: u64,
        what: Inner,
    },
    /// A supervisor starts a daemon.
    Start(usize),
    /// A daemon's configuration is what it should be.
    Reload(usize),
    /// A fault begins.
    Strike(usize),
    /// A fault ends.
    Mend(usize),
    /// All faults have ended.
    Healed,
    /// Time to look who leads.
    Look,
}

/// What happens to a process. Where it is frozen, it happens later.
#[derive(Clone, Debug)]
pub(super) enum Inner {
    /// A deadline may have come.
    Wake,
    /// An answer is there: as many results as were asked for.
    Answer(Rc<Request>, Vec<Outcome>),
    /// A request has waited for long enough.
    Lost(Rc<Request>),
    /// The answer to a blocking read.
    News(Rc<Watch>, Answer),
    /// A driver waits no longer.
    TimeOut(Seat, OpId),
    /// The VIP task says of an order whether the address is up.
    Report(Seat, u64, bool),
    /// A stop of a group, or of all, has taken too long.
    TooLong(Option<Seat>),
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
