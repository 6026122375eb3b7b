//! Pure: one picture of a group, for people and programs.

use serde::{Deserialize, Serialize};

use crate::election::call::SessionId;
use crate::status::GroupReport;

/// Who has drained a host, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// A user and a host.
    #[serde(default)]
    pub by: String,
    /// RFC 3339.
    #[serde(default)]
    pub since: String,
}

/// All groups of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Survey {
    /// In the order of the configuration.
    pub groups: Vec<GroupView>,
}

/// One group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct GroupView {
    /// The trigger key.
    pub group: String,
    /// The trigger value of the host that holds the lock.
    pub leader: Option<String>,
    /// What the trigger key says about the lock.
    pub lock: Lock,
    /// What somebody has asked for and the leader has not done yet: a trigger value, or nothing for the
    /// best candidate.
    pub switchover: Option<String>,
    /// By trigger value.
    pub hosts: Vec<HostView>,
    /// Why nobody leads, why this host does not, and what is odd; sentences.
    pub remarks: Vec<String>,
    /// What could not be read, and why.
    pub unseen: Vec<String>,
    /// What the daemon of this host says of itself.
    pub daemon: Option<GroupReport>,
    /// The session that holds the lock.
    #[serde(skip)]
    pub session: Option<SessionId>,
}

/// What the trigger key says about the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lock {
    /// Somebody holds it.
    Held,
    /// The last leader has given it up, and its address is off.
    Released,
    /// The last leader was lost.
    Abandoned,
    /// There is no key: nobody has led yet, or the last leader was lost.
    Missing,
    /// Something else stands there.
    NotALock,
}

/// One host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct HostView {
    /// Its trigger value.
    pub host: String,
    /// What it is.
    pub role: Role,
    /// Since when it leads, or takes part: RFC 3339; as far as that is known.
    pub since: Option<String>,
    /// Its Consul node.
    pub node: Option<String>,
    /// Among candidates, higher is better.
    pub priority: Option<i32>,
    /// Whether it is fit to lead.
    pub fit: bool,
    /// The same in words.
    pub health: String,
    /// Whether it was drained.
    pub drained: bool,
    /// Whether it is this host.
    pub here: bool,
}

/// What a host is in a group, as Consul sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It holds the lock.
    Leader,
    /// It would lead next.
    Candidate,
    /// It takes part, and would not.
    Standby,
    /// It takes no part now.
    Absent,
}

impl Role {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Candidate => "candidate",
            Self::Standby => "standby",
            Self::Absent => "absent",
        }
    }
}

impl GroupView {
    /// Finds a host by its trigger value.
    pub fn host(&self, value: &str) -> Option<&HostView> {
        self.hosts.iter().find(|host| host.host == value)
    }

    /// Those who would lead next, the leader aside.
    pub fn candidates(&self) -> impl Iterator<Item = &HostView> {
        self.hosts
            .iter()
            .filter(|host| host.role == Role::Candidate)
    }

    /// The host that this is, if it takes part.
    pub fn here(&self) -> Option<&HostView> {
        self.hosts.iter().find(|host| host.here)
    }
}
