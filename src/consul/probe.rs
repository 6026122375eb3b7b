//! Questions that change nothing whatever is answered: what the servers are like, and what a token may do.
//!
//! No page of Consul's says what a token may do, so it is tried, with writes that cannot be carried out: the ACL
//! is asked before that is found out. A key cannot be missing and have an index, no session has a TTL of a
//! millisecond, and no service that does not exist has an index.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::consul::client::{Client, Deadline};
use crate::consul::request::{Operation, Request};
use crate::consul::session::{BoundCheck, NewSession};
use crate::consul::txn::Op;
use crate::consul::{error, name};
use crate::election::call::{Failure, FailureKind};

/// Whether the ACL lets a request pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Allowed,
    /// It does not, in Consul's words.
    Denied(String),
    /// There was no answer to that, and why.
    Unknown(String),
}

impl Verdict {
    /// What follows from a failure that was not hoped for.
    pub fn of(failure: Failure) -> Self {
        if failure.kind == FailureKind::Denied {
            Self::Denied(failure.message)
        } else {
            Self::Unknown(failure.message)
        }
    }
}

/// The token, by Consul's account.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Token {
    /// When it ends, as RFC 3339 writes it; `None` for never.
    pub expiration_time: Option<String>,
}

/// What an agent was configured with, as far as a session's life hangs on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentSettings {
    /// Its node.
    pub node: String,
    /// Of Consul.
    pub version: String,
    /// Whether it is a server itself.
    pub server: bool,
    /// Whether it leaves the cluster on SIGTERM, which ends all sessions of its node.
    pub leaves_on_terminate: Option<bool>,
    /// The checks that stand in its files.
    pub checks: Vec<CheckSettings>,
}

/// A check as its definition has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckSettings {
    /// Its id, where it was given one.
    pub id: String,
    /// From one run to the next, as Go writes durations; `0s` where it does not run by itself.
    pub interval: String,
    /// What one run may take; `0s` for Consul's default of 10 s.
    pub timeout: String,
    /// How it is before its first run; empty for critical.
    pub status: String,
}

impl Client {
    /// Returns the address of the raft leader as the asked server knows it. Needs no right.
    ///
    /// # Errors
    /// As [`Failure`] says.
    pub async fn raft_leader(&self, timeout: Duration) -> Result<Option<String>, Failure> {
        let doing = "ask for the raft leader".to_owned();
        let leader: String = self.status("status/leader", doing, timeout).await?;
        Ok(Some(leader).filter(|leader| !leader.is_empty()))
    }

    /// Returns how many servers have a vote. Needs no right.
    ///
    /// # Errors
    /// As [`Failure`] says.
    pub async fn raft_peers(&self, timeout: Duration) -> Result<usize, Failure> {
        let doing = "ask for the servers".to_owned();
        let peers: Vec<String> = self.status("status/peers", doing, timeout).await?;
        Ok(peers.len())
    }

    /// Looks at the token itself; `None` where Consul has no ACL. Needs no right, only a token that is known.
    ///
    /// # Errors
    /// As [`Failure`] says.
    pub async fn own_token(&self, timeout: Duration) -> Result<Option<Token>, Failure> {
        let doing = "look at the token".to_owned();
        match self.status("acl/token/self", doing, timeout).await {
            Err(failure) if failure.message.contains("ACL support disabled") => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// Says whether all of these keys may be written.
    pub async fn may_write_keys(&self, keys: &[String], timeout: Duration) -> Verdict {
        let Some(first) = keys.first() else {
            return Verdict::Allowed;
        };
        let mut operations = vec![Op::CheckNotExists(first), Op::CheckIndex(first, 1)];
        operations.extend(keys.iter().map(|key| Op::DeleteCas(key, 1)));
        let doing = "ask whether keys may be written";
        let answer = self.transact(&operations, doing, timeout).await;
        verdict(answer.map(drop), FailureKind::Changed)
    }

    /// Says whether sessions of a node may be created, and within which bounds the servers take a TTL.
    pub async fn may_create_session(
        &self,
        node: &str,
        timeout: Duration,
    ) -> (Verdict, Option<(String, String)>) {
        let new = NewSession {
            name: "vip-elector doctor",
            ttl: Duration::from_millis(1),
            lock_delay: Duration::ZERO,
            node: Some(node),
            checks: &[BoundCheck::Node("vip-elector-doctor-no-such-check")],
        };
        match self.create_session(new, timeout).await {
            Ok(session) => {
                // A Consul that no test has seen.
                let _ = self.destroy_session(&session, timeout).await;
                (Verdict::Allowed, None)
            }
            Err(failure) => {
                let bounds = bounds(&failure.message);
                let verdict = match failure.kind {
                    FailureKind::CheckMissing => Verdict::Allowed,
                    FailureKind::Refused
                    | FailureKind::SessionGone
                    | FailureKind::CheckCritical
                    | FailureKind::Held
                    | FailureKind::LockDelayed
                    | FailureKind::Changed
                    | FailureKind::Denied
                    | FailureKind::Unavailable => verdict(Err(failure), FailureKind::Refused),
                };
                (verdict, bounds)
            }
        }
    }

    /// Says whether services of this name may be registered.
    pub async fn may_write_service(&self, service: &str, timeout: Duration) -> Verdict {
        let operation = json!([{ "Service": {
            "Verb": "cas",
            "Node": "vip-elector-doctor-no-such-node",
            "Service": { "ID": "vip-elector-doctor", "Service": service, "ModifyIndex": 1 },
        }}]);
        let request = Request::put(
            Operation::WriteService,
            "txn",
            Some(operation.to_string().into_bytes()),
            "ask whether a service may be registered".to_owned(),
        );
        match self.send(&request, Deadline::within(timeout)).await {
            Ok(_) => Verdict::Allowed,
            // A rollback is what is hoped for, and no answer that this operation is used to.
            Err(failure) if error::denies(&failure.message) => Verdict::Denied(failure.message),
            Err(failure) if failure.message.contains("is stale") => Verdict::Allowed,
            Err(failure) => Verdict::Unknown(failure.message),
        }
    }

    /// Counts the names of services that the token may see.
    ///
    /// # Errors
    /// As [`Failure`] says.
    pub async fn services_seen(&self, timeout: Duration) -> Result<usize, Failure> {
        let doing = "list services".to_owned();
        let seen: BTreeMap<String, Value> = self.status("catalog/services", doing, timeout).await?;
        Ok(seen.len())
    }

    /// Counts the nodes that the token may see.
    ///
    /// # Errors
    /// As [`Failure`] says.
    pub async fn nodes_seen(&self, timeout: Duration) -> Result<usize, Failure> {
        let doing = "list nodes".to_owned();
        let seen: Vec<Value> = self.status("catalog/nodes", doing, timeout).await?;
        Ok(seen.len())
    }

    /// Asks the agent how it was configured. Needs `agent:read`.
    ///
    /// # Errors
    /// As [`Failure`] says.
    pub async fn agent_settings(&self, timeout: Duration) -> Result<AgentSettings, Failure> {
        let doing = "ask the agent for its settings".to_owned();
        let request = Request::get(Operation::ReadAgent, "agent/self", doing);
        let reply = self.send(&request, Deadline::within(timeout)).await?;
        let told: Value = reply.json()?;
        let node = text(&told["Config"]["NodeName"]);
        let settings = &told["DebugConfig"];
        Ok(AgentSettings {
            node: name::node(node).map_err(|why| reply.absurd(&why))?,
            version: error::shorten(text(&told["Config"]["Version"]).as_bytes()),
            server: told["Config"]["Server"] == true,
            leaves_on_terminate: settings["LeaveOnTerm"].as_bool(),
            checks: checks(settings),
        })
    }

    async fn status<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        doing: String,
        timeout: Duration,
    ) -> Result<T, Failure> {
        let request = Request::get(Operation::ReadChecks, path, doing);
        let reply = self.send(&request, Deadline::within(timeout)).await?;
        reply.json()
    }
}

/// `hoped` is the failure behind the ACL.
fn verdict(answer: Result<(), Failure>, hoped: FailureKind) -> Verdict {
    match answer {
        Ok(()) => Verdict::Allowed,
        Err(failure) if failure.kind == hoped => Verdict::Allowed,
        Err(failure) => Verdict::of(failure),
    }
}

/// Reads `must be between [10s=24h0m0s]`.
fn bounds(message: &str) -> Option<(String, String)> {
    let (_, rest) = message.split_once("must be between [")?;
    let (bounds, _) = rest.split_once(']')?;
    let (least, most) = bounds.split_once('=')?;
    Some((least.to_owned(), most.to_owned()))
}

/// All definitions, wherever they stand: by themselves, or below a service.
fn checks(settings: &Value) -> Vec<CheckSettings> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let of_services = list(&settings["Services"])
        .into_iter()
        .flat_map(|service| [list(&service["Checks"]), vec![service["Check"].clone()]].concat());
    list(&settings["Checks"])
        .into_iter()
        .chain(of_services)
        .map(|check| {
            let id = [&check["CheckID"], &check["ID"]].map(text);
            CheckSettings {
                id: id.into_iter().find(|id| !id.is_empty()).unwrap_or_default(),
                interval: text(&check["Interval"]),
                timeout: text(&check["Timeout"]),
                status: text(&check["Status"]),
            }
        })
        .filter(|check| !check.id.is_empty())
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_read_as_consul_says_them() {
        let said = "cannot create session 'x': http://h answered 500: Invalid Session TTL '1000000', \
                    must be between [10s=24h0m0s]";
        assert_eq!(bounds(said), Some(("10s".into(), "24h0m0s".into())));
        assert_eq!(bounds("Permission denied"), None);
    }

    #[test]
    fn definitions_of_checks_are_found_wherever_they_stand() {
        let settings = json!({
            "Checks": [{ "ID": "node", "Interval": "5s", "Timeout": "0s", "Status": "" }],
            "Services": [
                { "Check": { "CheckID": "" }, "Checks": [
                    { "CheckID": "web", "Interval": "2s", "Timeout": "1s", "Status": "passing" },
                ] },
                { "Check": { "CheckID": "one", "Interval": "3s" }, "Checks": null },
            ],
        });
        let check = |id: &str, interval: &str, timeout: &str, status: &str| CheckSettings {
            id: id.into(),
            interval: interval.into(),
            timeout: timeout.into(),
            status: status.into(),
        };
        assert_eq!(
            checks(&settings),
            [
                check("node", "5s", "0s", ""),
                check("web", "2s", "1s", "passing"),
                check("one", "3s", "", ""),
            ]
        );
        assert_eq!(checks(&Value::Null), []);
    }
}
