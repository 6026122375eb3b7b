//! The agent: who it is, and the checks of its node.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::consul::client::{Client, Deadline};
use crate::consul::name;
use crate::consul::request::{Operation, Request};
use crate::election::call::Failure;

/// A Consul agent, by its own account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Its node.
    pub node: String,
    /// Of Consul.
    pub version: String,
    /// The servers' `session_ttl_min` as Go writes durations, if this agent knows it; `0s` where it
    /// was not set and Consul's own 10 s hold.
    pub session_ttl_min: Option<String>,
}

/// A health check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its id, unique on its node.
    pub id: String,
    /// The node.
    pub node: String,
    /// The service that it is for; `None` when it is for the whole node.
    pub service: Option<String>,
    /// How it is.
    pub state: CheckState,
    /// What the check printed last.
    pub output: String,
    /// What people wrote about it: of maintenance, the reason.
    pub notes: String,
}

/// The checks of a node, as one read shows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeChecks {
    /// What the next blocking read waits on. Never 0.
    pub index: u64,
    /// Those that the token may read; none where there is no such node.
    pub checks: Vec<Check>,
}

/// How a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckState {
    /// Good.
    Passing,
    /// Bad, but it invalidates no session.
    Warning,
    /// Bad enough to invalidate sessions.
    Critical,
}

impl Client {
    /// Asks the agent who it is. Needs `agent:read`, which most tokens do without.
    ///
    /// # Errors
    /// As [`Failure`] says.
    pub async fn agent(&self, timeout: Duration) -> Result<Agent, Failure> {
        let request = Request::get(
            Operation::ReadAgent,
            "agent/self",
            "ask the agent its name".to_owned(),
        );
        let reply = self.send(&request, Deadline::within(timeout)).await?;
        let wire: WireAgent = reply.json()?;
        Ok(Agent {
            node: name::node(wire.config.node_name).map_err(|why| reply.absurd(&why))?,
            version: wire.config.version,
            session_ttl_min: wire.debug_config.and_then(|config| config.session_ttl_min),
        })
    }

    /// Asks for the name of the agent's node by the checks that it runs, which needs no right but to read
    /// one of them; `None` where it shows none.
    ///
    /// # Errors
    /// As [`Failure`] says.
    pub async fn node_of_checks(&self, timeout: Duration) -> Result<Option<String>, Failure> {
        let request = Request::get(
            Operation::ReadChecks,
            "agent/checks",
            "ask the agent for its node".to_owned(),
        );
        let reply = self.send(&request, Deadline::within(timeout)).await?;
        let checks: BTreeMap<String, WireCheck> = reply.json()?;
        let first = checks.into_values().next();
        first
            .map(|check| name::node(check.node).map_err(|why| reply.absurd(&why)))
            .transpose()
    }

    /// Waits until a check of `node` is newer than `index`, for as long as `timeout` allows and no
    /// longer than `wait`; at index 0, does not. Any server may answer, however far behind.
    ///
    /// # Errors
    /// As [`Failure`] says.
    pub async fn node_checks(
        &self,
        node: &str,
        index: u64,
        wait: Duration,
        timeout: Duration,
    ) -> Result<NodeChecks, Failure> {
        let request = Request::get(
            Operation::ReadChecks,
            "health/node",
            format!("watch the checks of node '{node}'"),
        )
        .segment(node)
        .query("stale", "")
        .blocking(index, wait, timeout);
        let reply = self.send(&request, Deadline::within(timeout)).await?;
        let checks: Vec<WireCheck> = reply.json()?;
        Ok(NodeChecks {
            index: reply.index(Some(index))?,
            checks: checks.into_iter().map(Check::from).collect(),
        })
    }

    /// Looks a check up: of `node`, or of the agent's own where `None`. `None` comes back where there
    /// is none, and where the token may not read it.
    ///
    /// # Errors
    /// As [`Failure`] says.
    pub async fn check(
        &self,
        id: &str,
        node: Option<&str>,
        timeout: Duration,
    ) -> Result<Option<Check>, Failure> {
        let doing = format!("look up check '{id}'");
        let request = match node {
            Some(node) => Request::get(Operation::ReadChecks, "health/node", doing).segment(node),
            None => Request::get(Operation::ReadChecks, "agent/checks", doing),
        };
        // The filter only keeps the answer small; its quotes cannot be escaped in all versions.
        let request = if id.contains(['"', '\\']) {
            request
        } else {
            request.query("filter", format!("CheckID == \"{id}\""))
        };
        let reply = self.send(&request, Deadline::within(timeout)).await?;
        let checks: Vec<WireCheck> = match node {
            Some(_) => reply.json()?,
            None => reply
                .json::<BTreeMap<String, WireCheck>>()?
                .into_values()
                .collect(),
        };
        let check = checks.into_iter().find(|check| check.check_id == id);
        let Some(check) = check.map(Check::from) else {
            return Ok(None);
        };
        let node = name::node(check.node).map_err(|why| reply.absurd(&why))?;
        Ok(Some(Check { node, ..check }))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireAgent {
    config: WireConfig,
    debug_config: Option<WireDebugConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireConfig {
    node_name: String,
    version: String,
}

#[derive(Deserialize)]
struct WireDebugConfig {
    #[serde(rename = "SessionTTLMin")]
    session_ttl_min: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireCheck {
    #[serde(rename = "CheckID")]
    check_id: String,
    node: String,
    status: CheckState,
    output: String,
    #[serde(default)]
    notes: String,
    #[serde(rename = "ServiceID")]
    service_id: String,
}

impl From<WireCheck> for Check {
    fn from(wire: WireCheck) -> Self {
        Self {
            id: wire.check_id,
            node: wire.node,
            service: Some(wire.service_id).filter(|id| !id.is_empty()),
            state: wire.status,
            output: wire.output,
            notes: wire.notes,
        }
    }
}
