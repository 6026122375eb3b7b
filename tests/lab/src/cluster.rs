//! Applier: some hosts on a switch, each with a Consul server, a health endpoint and the daemon; a
//! client; and the witnesses.

mod agent;
mod faults;
mod health;
mod host;
mod order;
mod pki;
mod place;
mod proxy;
mod setup;
mod unit;

use std::io;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::order::Order;
use crate::netns::{self, Namespace, Switch};
use crate::time::{Timeout, until};
use crate::witness::measure::{self, Span};
use crate::witness::{self, Addresses, Answer, Probe};

pub use agent::{Agent, Key, Session};
pub use faults::Fault;
pub use health::LOCAL_URL;
pub use host::Host;
pub use order::ORDERS;
pub use proxy::{Proxy, Trouble};
pub use setup::{Program, Setup, VIP};
pub use unit::Unit;

/// How long a cluster may take to be whole again: a server that comes back is no voter for 10 s,
/// and gossip may need half a minute to find everybody.
pub const SETTLE_LIMIT: Duration = Duration::from_secs(90);

/// A failure of the lab, or a fact that did not become true in time.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The virtual network failed.
    #[error("the lab's network failed")]
    Network(#[from] netns::Error),
    /// A witness failed.
    #[error("a witness failed")]
    Witness(#[from] witness::Error),
    /// A program of the lab cannot be had.
    #[error(transparent)]
    Part(#[from] crate::parts::Error),
    /// Something did not happen.
    #[error(transparent)]
    Timeout(#[from] Timeout),
    /// A program does not start.
    #[error("cannot start {program} on {host}")]
    Start {
        /// Its path.
        program: String,
        /// On which host.
        host: String,
        #[source]
        cause: io::Error,
    },
    /// Consul did not form a cluster.
    #[error("consul forms no cluster: {cause}\n{logs}")]
    NoCluster {
        /// What was waited for.
        cause: Timeout,
        /// The last lines of every agent.
        logs: String,
    },
    /// A file, a process or a signal failed.
    #[error("cannot {action} {host}")]
    Host {
        /// What was being done.
        action: &'static str,
        /// On which host.
        host: String,
        #[source]
        cause: io::Error,
    },
    /// Consul was not reached.
    #[error("cannot ask {host}'s consul for {path}")]
    Consul {
        /// The agent's host.
        host: String,
        /// The request.
        path: String,
        #[source]
        cause: Box<ureq::Error>,
    },
    /// Consul refused, or said something else than was expected.
    #[error("{host}'s consul answered {path} with {answer}")]
    Answer {
        /// The agent's host.
        host: String,
        /// The request.
        path: String,
        /// Status and body.
        answer: String,
    },
    /// No host has this name.
    #[error("there is no host {0}")]
    NoHost(String),
    /// What is to be done cannot be done here.
    #[error("not possible here: {0}")]
    Impossible(String),
    /// The program does not run, so that nothing can be done to it.
    #[error("{program} does not run on {host}")]
    NotRunning {
        /// Which program.
        program: &'static str,
        /// On which host.
        host: String,
    },
}

/// A whole cluster. Everything in it ends when it is dropped.
#[derive(Debug)]
pub struct Cluster {
    // In the order in which they end: programs, witnesses, network.
    orders: Vec<Order>,
    hosts: Vec<Host>,
    addresses: Addresses,
    probe: Probe,
    dead: Vec<Span>,
    vip: Ipv4Addr,
    key: String,
    elects: bool,
    locks: bool,
    client: Namespace,
    _switch: Switch,
    _directory: tempfile::TempDir,
}

impl Cluster {
    /// Returns the hosts, in order.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Returns a host by its name.
    pub fn host(&self, name: &str) -> Result<&Host, Error> {
        self.hosts
            .iter()
            .find(|host| host.name() == name)
            .ok_or_else(|| Error::NoHost(name.to_owned()))
    }

    /// Returns the hosts but one.
    pub fn others(&self, name: &str) -> impl Iterator<Item = &Host> {
        self.hosts.iter().filter(move |host| host.name() != name)
    }

    /// Returns the virtual IP.
    pub fn vip(&self) -> Ipv4Addr {
        self.vip
    }

    /// Returns the trigger key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Returns the client's namespace.
    pub fn client(&self) -> &Namespace {
        &self.client
    }

    /// Returns the witness of addresses.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Returns the witness that asks who has the virtual IP.
    pub fn probe(&self) -> &Probe {
        &self.probe
    }

    /// Waits until Consul is whole: every server a healthy voter under one leader, every host alive
    /// and no check critical. Breaking something before that is a double fault.
    pub fn wait_for_consul(&self, limit: Duration) -> Result<(), Timeout> {
        let names: Vec<&str> = self.hosts.iter().map(Host::name).collect();
        until("consul to be whole", limit, || {
            self.hosts
                .iter()
                .try_for_each(|host| host.agent().is_whole(&names))
        })
    }

    /// Waits until everything is well: Consul is whole, every daemon has a session, one host holds
    /// the lock, has the address, alone, and answers for it. Returns that host's name. Of sessions and
    /// lock there is no question where what elects uses none.
    pub fn settle(&self, limit: Duration) -> Result<String, Timeout> {
        let start = Instant::now();
        self.wait_for_consul(limit)?;
        let left = limit.saturating_sub(start.elapsed());
        until("one host to lead and all others to stand by", left, || {
            self.settled()
        })
    }

    fn settled(&self) -> Result<String, String> {
        let holders = self.addresses.holders(self.vip.into());
        let leader = if self.locks {
            self.lock_holder()?
        } else {
            holders.first().ok_or("nobody has the address")?.to_string()
        };
        if holders.iter().map(Arc::as_ref).ne([leader.as_str()]) {
            return Err(format!("{leader} leads, and the address is on {holders:?}"));
        }
        match self.probe.now() {
            Some(by) if *by == *leader => Ok(leader),
            Some(by) => Err(format!("{leader} leads, and {by} answers")),
            None => Err(format!("{leader} leads, and nobody answers")),
        }
    }

    fn lock_holder(&self) -> Result<String, String> {
        let agent = self.hosts[0].agent();
        let sessions = agent.sessions().map_err(|error| crate::chain(&error))?;
        if self.elects
            && let Some(idle) = self
                .hosts
                .iter()
                .find(|host| !sessions.iter().any(|s| s.node == host.name()))
        {
            return Err(format!("{} has no session", idle.name()));
        }
        let key = agent.key(&self.key).map_err(|error| crate::chain(&error))?;
        let holder = key
            .and_then(|key| key.session)
            .ok_or("nobody holds the lock")?;
        let holder = sessions.into_iter().find(|session| session.id == holder);
        Ok(holder.ok_or("the lock's session has ended")?.node)
    }

    /// Waits for the first answer after `fault` by another host than `old`.
    pub fn wait_for_successor(
        &self,
        fault: Instant,
        old: &str,
        limit: Duration,
    ) -> Result<Answer, Timeout> {
        let mut from = self
            .probe
            .history()
            .read(|all| all.partition_point(|one| one.at < fault));
        self.probe.history().wait(
            &format!("another host than {old} to answer"),
            limit,
            |answers| {
                let found = measure::successor(&answers[from..], fault, old).cloned();
                from = answers.len();
                found
            },
        )
    }

    /// Waits until a host does not have the virtual IP.
    pub fn wait_for_removal(&self, host: &str, limit: Duration) -> Result<(), Timeout> {
        let vip = self.vip.into();
        self.addresses
            .history()
            .wait(&format!("{host} to lose {vip}"), limit, |events| {
                let holders = witness::holders(events, vip);
                (!holders.iter().any(|holder| **holder == *host)).then_some(())
            })
    }

    /// Returns for how long, within `window`, more than one living host had the virtual IP.
    pub fn overlap(&self, window: Range<Instant>) -> Result<Duration, Error> {
        let tenures = measure::tenures(&self.addresses.events()?, self.vip.into());
        Ok(measure::overlap(&tenures, &self.dead, window))
    }

    /// Returns the longest time, within `window`, in which nobody answered.
    pub fn outage(&self, window: Range<Instant>) -> Duration {
        let questions = self.probe.questions().read(<[_]>::to_vec);
        let answers = self.probe.history();
        answers.read(|answers| measure::outage(&questions, answers, window))
    }

    /// Returns the last lines of every daemon, for a message about a failure.
    pub fn logs(&self) -> String {
        let log = |host: &Host| format!("--- {}\n{}", host.name(), host.log().tail(40));
        self.hosts.iter().map(log).collect()
    }
}
