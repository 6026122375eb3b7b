//! Pure: one run of the daemon: the shipped machine and the shipped reconciler, and what their driver
//! and their VIP task remember between two calls.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use vip_elector::election::call::{Answer, Failure, OpId, SessionId};
use vip_elector::election::health::Health;
use vip_elector::election::machine::Machine;
use vip_elector::election::peer::Datagram;
use vip_elector::election::target::{VipOrder, VipReport};
use vip_elector::election::time::Timestamp;
use vip_elector::vip::reconcile::{Observed, Reconciler, Step};

use crate::request::Request;
use crate::schedule::HostPlan;

/// A running daemon.
#[derive(Debug)]
pub struct Process {
    /// Unique in a simulation.
    pub number: u64,
    /// How it was configured.
    pub plan: HostPlan,
    /// The election.
    pub machine: Machine,
    /// What became of its notes, which it is told before anything else.
    pub remembered: VecDeque<(OpId, bool)>,
    /// The session of the process before that it was told to go on with, until it leads.
    pub adopts: Option<SessionId>,
    /// The last question for a holder's lock-delay, and the session it was asked with: an answer that
    /// comes to another one is dropped.
    pub asking: Option<(OpId, Option<SessionId>)>,
    /// Answers that have come and were not yet taken in.
    pub inbox: VecDeque<(OpId, Result<Answer, Failure>)>,
    /// Requests without an answer.
    pub pending: BTreeMap<OpId, Rc<Request>>,
    /// The newest word of the VIP task that the driver has not yet taken in.
    pub report: Option<VipReport>,
    /// How fit the host is, if the driver has not yet taken that in.
    pub health: Option<Health>,
    /// Datagrams that were not yet taken in, and when each came; `None` while nobody was there.
    pub heard: VecDeque<(Option<Timestamp>, Rc<Datagram>)>,
    /// The leader that was heard last, and when that heartbeat was sent.
    pub last_word: Option<(SessionId, Duration)>,
    /// When it last passed its liveness check.
    pub fed: Option<Duration>,
    /// Whether it was asked to stop, and was told so.
    pub stop: Stop,
    /// When the driver is to be woken, if it is.
    pub wake: Option<Duration>,
    /// By how many faults it is stopped in its tracks.
    pub frozen: u32,
    /// Since when it has been running without a break.
    pub running_since: Duration,
    /// The driver's calls into the machine at one instant: a bound on a machine that spins.
    pub calls_now: (Duration, u32),
    /// The applier.
    pub task: Task,
}

/// How far a stop has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Nobody asked.
    No,
    /// Asked, and the machine does not know it yet.
    Asked,
    /// The machine knows.
    Told,
}

/// The VIP task.
#[derive(Debug)]
pub struct Task {
    /// What decides.
    pub reconciler: Reconciler,
    /// The newest order, and whether the task has not seen it yet.
    pub order: VipOrder,
    /// The newest order was not seen yet.
    pub news: bool,
    /// The kernel said that something changed.
    pub changed: bool,
    /// The order of this pass.
    pub using: VipOrder,
    /// What it was doing.
    pub stage: Stage,
    /// Looks and steps of this pass.
    pub turns: u32,
    /// What it last said.
    pub said: Option<VipReport>,
    /// The driver is gone; when the address is off, so is the task.
    pub ending: bool,
    /// Names the turn that is to come, so that earlier plans for it are void.
    pub turn: u64,
}

/// Between two turns of the VIP task.
#[derive(Debug)]
pub enum Stage {
    /// Waits for an order, a change or its time.
    Idle,
    /// Has asked the kernel to show the address; this is what it will be shown.
    Looking(Observed),
    /// Has asked the kernel for a step; this is what it will be answered.
    Acting(Step, Result<(), String>),
}

impl Process {
    /// Puts a machine that was just started behind a driver.
    pub fn new(
        number: u64,
        now: Duration,
        plan: HostPlan,
        machine: Machine,
        reconciler: Reconciler,
        first: VipOrder,
    ) -> Self {
        Self {
            number,
            plan,
            machine,
            remembered: VecDeque::new(),
            adopts: None,
            asking: None,
            inbox: VecDeque::new(),
            pending: BTreeMap::new(),
            report: None,
            health: None,
            heard: VecDeque::new(),
            last_word: None,
            fed: None,
            stop: Stop::No,
            wake: None,
            frozen: 0,
            running_since: now,
            calls_now: (now, 0),
            task: Task {
                reconciler,
                order: first,
                news: true,
                changed: false,
                using: first,
                stage: Stage::Idle,
                turns: 0,
                said: None,
                ending: false,
                turn: 0,
            },
        }
    }

    /// Returns when the last heartbeat was sent that was heard of this leader.
    pub fn last_word_of(&self, leader: &SessionId) -> Option<Duration> {
        let last = self.last_word.as_ref().filter(|(of, _)| of == leader);
        last.map(|(_, sent)| *sent)
    }
}
