//! Applier: some hosts on a switch, each with a Consul server, a health endpoint and the daemon; a
//! client; and the witnesses.

mod agent;
mod census;
mod faults;
mod group;
mod health;
mod host;
mod order;
mod pki;
mod place;
mod proxy;
mod setup;
mod unit;

use std::io;
use std::net::IpAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use self::order::Order;
use crate::netns::{self, Namespace, Switch};
use crate::time::{Timeout, until};
use crate::witness::measure::{self, Span};
use crate::witness::{self, Addresses, Answer, Probe};

pub use agent::{Agent, Key, Session};
pub use faults::Fault;
pub use group::Group;
pub use health::LOCAL_URL;
pub use host::Host;
pub use order::ORDERS;
pub use proxy::{Proxy, Trouble};
pub(crate) use setup::AGENT_PORT;
pub use setup::{CHECK_ID, Program, Setup, VIP};
pub use unit::Unit;

/// How long a cluster may take to be whole again: a server that comes back is no voter for 10 s,
/// gossip may need half a minute to find everybody, and what a node has lost of its registrations, because it joined
/// again while it was being taken out, its agent writes anew within two minutes.
pub const SETTLE_LIMIT: Duration = Duration::from_secs(150);

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
    probes: Vec<Asked>,
    dead: Vec<Span>,
    groups: Vec<Group>,
    /// Which of the probes asks for the group that everything about one group is about.
    subject: usize,
    elects: bool,
    locks: bool,
    client: Namespace,
    _switch: Switch,
    _directory: tempfile::TempDir,
}

/// A client of one group.
#[derive(Debug)]
struct Asked {
    /// Its number, counted from 0.
    group: usize,
    probe: Probe,
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

    /// Returns all groups.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Has everything about one group be about another one, of those that a client asks: the number is
    /// taken modulo how many these are. In the beginning it is the first one.
    pub fn turn_to(&mut self, number: usize) {
        self.subject = number % self.probes.len();
    }

    /// Returns the group that everything about one group is about.
    pub fn group(&self) -> &Group {
        &self.groups[self.probes[self.subject].group]
    }

    /// Returns the virtual IP of [that group](Self::group).
    pub fn vip(&self) -> IpAddr {
        self.group().address()
    }

    /// Returns the trigger key of [that group](Self::group).
    pub fn key(&self) -> &str {
        self.group().key()
    }

    /// Returns whether its daemons use sessions and locks.
    pub fn elects(&self) -> bool {
        self.elects
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
        &self.probes[self.subject].probe
    }

    /// Returns every witness that asks who has a virtual IP, with that one: ten at most.
    pub fn probes(&self) -> impl Iterator<Item = (IpAddr, &Probe)> {
        let address = |asked: &Asked| self.groups[asked.group].address();
        self.probes
            .iter()
            .map(move |asked| (address(asked), &asked.probe))
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

    /// Waits for the first answer after `fault` by another host than `old`.
    pub fn wait_for_successor(
        &self,
        fault: Instant,
        old: &str,
        limit: Duration,
    ) -> Result<Answer, Timeout> {
        let mut from = self
            .probe()
            .history()
            .read(|all| all.partition_point(|one| one.at < fault));
        self.probe().history().wait(
            &format!("another host than {old} to answer"),
            limit,
            |answers| {
                let found = measure::successor(&answers[from..], fault, old).cloned();
                from = answers.len();
                found
            },
        )
    }

    /// Waits until each client has had an answer to what it asked after `from`.
    pub fn wait_for_answers(&self, from: Instant, limit: Duration) -> Result<(), Timeout> {
        for (address, probe) in self.probes() {
            let what = format!("anybody to answer for {address}");
            probe.history().wait(&what, limit, |answers| {
                answers.last().filter(|last| last.at > from).map(drop)
            })?;
        }
        Ok(())
    }

    /// Waits until a host does not have the virtual IP.
    pub fn wait_for_removal(&self, host: &str, limit: Duration) -> Result<(), Timeout> {
        let vip = self.vip();
        self.addresses
            .history()
            .wait(&format!("{host} to lose {vip}"), limit, |events| {
                let holders = witness::holders(events, vip);
                (!holders.iter().any(|holder| **holder == *host)).then_some(())
            })
    }

    /// Returns for how long, within `window`, more than one living host had the same virtual IP: the
    /// longest time of all groups.
    pub fn overlap(&self, window: Range<Instant>) -> Result<Duration, Error> {
        let overlaps = self.overlaps(window)?;
        Ok(overlaps
            .into_iter()
            .map(|(_, time)| time)
            .max()
            .unwrap_or_default())
    }

    /// Returns the same for each virtual IP that more than one living host had.
    pub fn overlaps(&self, window: Range<Instant>) -> Result<Vec<(IpAddr, Duration)>, Error> {
        let events = measure::by_address(&self.addresses.events()?);
        let overlap = |group: &Group| {
            let events = events.get(&group.address())?;
            let tenures = measure::tenures(events, group.address());
            let overlap = measure::overlap(&tenures, &self.dead, window.clone());
            (!overlap.is_zero()).then_some((group.address(), overlap))
        };
        Ok(self.groups.iter().filter_map(overlap).collect())
    }

    /// Returns the longest time, within `window`, in which nobody answered one of the clients.
    pub fn outage(&self, window: Range<Instant>) -> Duration {
        let outage = |(_, probe): (IpAddr, &Probe)| {
            let questions = probe.questions().read(<[_]>::to_vec);
            let answers = probe.history();
            answers.read(|answers| measure::outage(&questions, answers, window.clone()))
        };
        self.probes().map(outage).max().unwrap_or_default()
    }

    /// Returns the last lines of every daemon, for a message about a failure.
    pub fn logs(&self) -> String {
        let log = |host: &Host| format!("--- {}\n{}", host.name(), host.log().tail(40));
        self.hosts.iter().map(log).collect()
    }
}
