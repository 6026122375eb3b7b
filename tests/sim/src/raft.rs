//! Pure: Consul's servers. One log, and on each server its own part of it.
//!
//! A deposed leader that has not heard of it still answers what a leader answers from its own memory:
//! default reads and renewals. It answers nothing that needs a majority: consistent reads and writes.

use std::rc::Rc;
use std::time::Duration;

use crate::clock::Clock;
use crate::request::Request;
use crate::store::{Command, Store, Timers};

/// How many servers there are, whatever the number of hosts: the first hosts have one each.
pub const SERVERS: usize = 3;

/// The servers, and what they have agreed on.
#[derive(Debug)]
pub struct Cluster {
    /// Each with its own part of the log.
    pub servers: Vec<Server>,
    /// What a majority has taken.
    pub log: Vec<Command>,
    /// The newest leader, which may have lost its majority.
    pub leader: Option<usize>,
    /// Rises with every new leader.
    pub term: u64,
    /// An election is under way.
    pub electing: bool,
    /// What a leader took and could not pass on: to be carried out later, or never.
    pub limbo: Vec<Proposal>,
    /// No command is committed before this.
    pub last_commit: Duration,
}

/// One server.
#[derive(Debug)]
pub struct Server {
    /// What it has applied.
    pub store: Store,
    /// How much of the log that is.
    pub applied: usize,
    /// Its host's; lock-delays and TTLs are counted on it.
    pub clock: Clock,
    /// The TTLs, which only a leader looks at.
    pub timers: Timers,
    /// When it will look at them, if it will.
    pub ttl_wake: Option<Duration>,
    /// Until when it takes itself for the leader though another is.
    pub believes_until: Duration,
    /// By how many faults it is slow to apply.
    pub lags: u32,
    /// Blocking reads that wait here.
    pub watches: Vec<Watch>,
}

/// A blocking read that waits for news.
#[derive(Clone, Debug)]
pub struct Watch {
    /// To be answered.
    pub request: Rc<Request>,
    /// What the asker knows.
    pub index: u64,
}

/// A command on its way through the log.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The leader that took it.
    pub server: usize,
    /// In which term.
    pub term: u64,
    /// What is to be done.
    pub command: Command,
    /// Who waits for the answer, if anybody does.
    pub request: Option<Rc<Request>>,
}

impl Cluster {
    /// Makes a cluster with a leader, on these clocks.
    pub fn new(clocks: &[Clock]) -> Self {
        let servers = clocks
            .iter()
            .map(|clock| Server {
                store: Store::new(),
                applied: 0,
                clock: *clock,
                timers: Timers::default(),
                ttl_wake: None,
                believes_until: Duration::ZERO,
                lags: 0,
                watches: Vec::new(),
            })
            .collect();
        Self {
            servers,
            log: Vec::new(),
            leader: Some(0),
            term: 1,
            electing: false,
            limbo: Vec::new(),
            last_commit: Duration::ZERO,
        }
    }
}

impl Server {
    /// Reads its clock.
    pub fn clock_reads(&self, now: Duration) -> Duration {
        self.clock.read(now).since_boot()
    }

    /// Applies the log up to `upto`, and returns the reply to the last command.
    pub fn catch_up(
        &mut self,
        now: Duration,
        log: &[Command],
        upto: usize,
    ) -> Option<crate::store::Reply> {
        let mut last = None;
        let at = self.clock_reads(now);
        while self.applied < upto {
            last = Some(self.store.apply(at, &log[self.applied]));
            self.applied += 1;
        }
        last
    }

    /// Starts again from an empty memory: what was on disk is applied once more, lock-delays and all.
    pub fn restart(&mut self, now: Duration, log: &[Command]) {
        let upto = self.applied;
        self.store = Store::new();
        self.applied = 0;
        self.catch_up(now, log, upto);
        self.timers = Timers::default();
        self.believes_until = Duration::ZERO;
        self.watches.clear();
    }
}
