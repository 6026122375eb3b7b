//! Pure: what a machine is made from.

use std::time::Duration;

use crate::election::health::Health;
use crate::election::lease::Terms;
use crate::election::note::Before;
use crate::election::peer::GroupId;
use crate::election::target::{VipOrder, VipTarget};

/// What one group's machine is made from.
#[derive(Clone, Debug)]
pub struct Params {
    /// TTL, lock-delay, and whether the address is ours to hold.
    pub terms: Terms,
    /// What other hosts call the group.
    pub group: GroupId,
    /// The value that names this host in the trigger key.
    pub value: String,
    /// Unique to this group and process: what our sessions' names begin with.
    pub session_name: String,
    /// What the process before left.
    pub before: Before,
    /// What makes a takeover faster.
    pub options: Options,
}

/// What makes a takeover faster. Nothing of the promise rests on any of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether to be a candidate, and to know the others.
    pub candidates: bool,
    /// Among candidates, higher is better.
    pub priority: i32,
    /// After how long a better candidate gets the lock, if at all.
    pub preempt_after: Option<Duration>,
    /// The TTL of the liveness check, if there is one.
    pub liveness_ttl: Option<Duration>,
    /// The time from one heartbeat to the next, if there are any.
    pub peer_interval: Option<Duration>,
    /// Whether this is one of several groups of its process: then the post repeats heartbeats for all of them, and they
    /// confirm at the same instants, so that their reads travel together.
    pub one_of_many: bool,
    /// Of this host, as long as nothing else is said.
    pub health: Health,
}

impl Default for Options {
    /// None of it, on a healthy host.
    fn default() -> Self {
        Self {
            candidates: false,
            priority: 0,
            preempt_after: None,
            liveness_ttl: None,
            peer_interval: None,
            one_of_many: false,
            health: Health::Good,
        }
    }
}

impl Params {
    /// Returns what must be true of the address until the machine says otherwise.
    pub fn first_order(&self) -> VipOrder {
        let kept = matches!(self.before, Before::Adoptable { .. }) && self.terms.kernel_suffices();
        VipOrder::first(if kept {
            VipTarget::Kept
        } else {
            VipTarget::Absent
        })
    }
}
