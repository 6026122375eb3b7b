//! Pure: what a daemon says of itself, as JSON at `/status`.
//!
//! Names are in kebab-case. Whoever reads it must bear fields that are not known yet: what is added later has
//! a name of its own, and what is here keeps its meaning.

pub mod board;
pub mod change;
pub mod counters;
pub mod http;
mod metrics;
pub mod routes;
pub mod serve;
pub mod snapshot;
mod why;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// How many transitions of a group are told; the older ones are forgotten.
pub const TRANSITIONS: usize = 16;

/// One daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// When it was started; RFC 3339 in UTC with milliseconds, as every time here.
    pub started_at: String,
    /// In the order of its configuration.
    pub groups: Vec<GroupReport>,
}

/// One group, as this daemon takes part in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct GroupReport {
    /// The trigger key.
    pub group: String,
    /// The trigger value: what this host is called in the group.
    pub value: String,
    /// What this host is in it.
    pub role: Role,
    /// Since when.
    pub since: String,
    /// Why this host does not lead, as a sentence; `None` exactly while it does.
    pub why: Option<String>,
    /// Since when that is so, be it in other words; `None` where nothing is wrong, and merely another host leads.
    #[serde(default)]
    pub why_since: Option<String>,
    /// How much longer this host lets a lost leader's lock-delay pass before it asks for the lock.
    #[serde(default)]
    pub lock_delay_left_ms: Option<u64>,
    /// Who leads, by trigger value, as far as this host has seen.
    pub leader: Option<String>,
    /// The Consul session that this host lives by.
    pub session: Option<String>,
    /// How much longer this host may lead without another word from Consul; `None` on a standby.
    pub lease_left_ms: Option<u64>,
    /// The `ModifyIndex` of the trigger key by which this host knows that it took the lock: higher than that of any leader
    /// before. `None` on a standby, and for the moment until the key has been seen.
    pub term: Option<u64>,
    /// Whether this host stands as a candidate.
    pub candidate: bool,
    /// Among candidates, higher is better.
    pub priority: i32,
    /// Whether this host finds itself fit to lead; `None` as long as it does not know.
    pub healthy: Option<bool>,
    /// The same as a sentence.
    pub health: String,
    /// Whether this host was told not to lead.
    #[serde(default)]
    pub drained: bool,
    /// What this host holds as the leader; empty without `--manage-vip`.
    pub addresses: Vec<Address>,
    /// The newest last; at most [`TRANSITIONS`].
    pub transitions: Vec<Transition>,
    /// What currently goes wrong between this host and Consul.
    pub trouble: Option<String>,
    /// What has to be done without, by its name, and why.
    pub lost: BTreeMap<String, String>,
}

/// A virtual IP on this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Address {
    /// The virtual IP.
    pub address: IpAddr,
    /// The prefix length of its network.
    pub prefix: u8,
    /// Where it goes.
    pub interface: String,
    /// Whether the kernel has said that it is up.
    pub held: bool,
}

/// One change of the role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Transition {
    /// When.
    pub at: String,
    /// What this host was.
    pub from: Role,
    /// What it became.
    pub to: Role,
    /// Why, as a sentence.
    pub reason: String,
}

/// What a host is in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It is getting a session.
    Joining,
    /// It has one, and does not lead.
    Standby,
    /// It holds the lock.
    Leader,
    /// It gives lock or session up.
    Resigning,
    /// It takes no part any more.
    Stopped,
}

impl Role {
    /// Every one.
    pub const ALL: [Self; 5] = [
        Self::Joining,
        Self::Standby,
        Self::Leader,
        Self::Resigning,
        Self::Stopped,
    ];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Joining => "joining",
            Self::Standby => "standby",
            Self::Leader => "leader",
            Self::Resigning => "resigning",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
