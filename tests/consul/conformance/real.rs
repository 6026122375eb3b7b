//! The real Consul, asked through the shipped client wherever that has the operation.

use std::time::{Duration, Instant};

use serde_json::json;
use vip_elector::consul::Client;
use vip_elector::consul::kv::Consistency;
use vip_elector::consul::session::NewSession;
use vip_elector::consul::txn;
use vip_elector::election::call::{FailureKind, KeyRead, SessionId};
use vip_sim::store::{Command, Health, Op, Reply, Session, Write};

use super::interface::Consul;
use crate::access;
use crate::agent::{Agent, GENEROUS};

/// A lone server. Nodes and checks that a test makes are entries of the catalog without an agent.
pub(crate) struct Real {
    agent: Agent,
    client: Client,
    started: Instant,
}

impl Real {
    pub(crate) fn start() -> Self {
        let agent = Agent::server();
        Self {
            client: Client::new(&access(&[agent.url()])).unwrap(),
            agent,
            started: Instant::now(),
        }
    }

    pub(crate) fn agent(&self) -> &Agent {
        &self.agent
    }

    /// Makes a session with any checks; the client insists on `serfHealth`, which a node without an
    /// agent does not keep for long.
    fn create_bare(&self, session: &Session) -> Result<SessionId, FailureKind> {
        let body = json!({
            "Name": session.name, "Node": session.node, "Behavior": "delete",
            "TTL": format!("{}ms", session.ttl.as_millis()),
            "LockDelay": format!("{}ms", session.lock_delay.as_millis()),
            "NodeChecks": session.checks,
        });
        let said = self.agent.ask("PUT", "session/create", &body.to_string());
        match serde_json::from_str::<serde_json::Value>(&said) {
            Ok(created) => Ok(SessionId::new(created["ID"].as_str().unwrap())),
            Err(_) if said.contains("is in critical state") => Err(FailureKind::CheckCritical),
            Err(_) if said.starts_with("Missing ") => Err(FailureKind::CheckMissing),
            Err(_) => panic!("{said}"),
        }
    }

    /// Carries out what Consul answers with nothing but `true`.
    fn agreed(&self, method: &str, path: &str, body: &str) -> Reply {
        let said = self.agent.ask(method, path, body);
        assert_eq!(said.trim(), "true", "{method} {path} {body}");
        Ok(Vec::new())
    }

    async fn transact(&self, operations: &[Op]) -> Reply {
        let wire: Vec<txn::Op<'_>> = operations.iter().map(on_the_wire).collect();
        self.client
            .transact(&wire, "test", GENEROUS)
            .await
            .map_err(|failure| known(failure.kind, &failure.message))
    }
}

impl Consul for Real {
    async fn create(&mut self, session: &Session) -> Result<SessionId, FailureKind> {
        if session.checks != ["serfHealth"] {
            return self.create_bare(session);
        }
        let new = NewSession {
            name: &session.name,
            ttl: session.ttl,
            lock_delay: session.lock_delay,
            node: Some(&session.node),
            checks: &[],
        };
        self.client
            .create_session(new, GENEROUS)
            .await
            .map_err(|failure| known(failure.kind, &failure.message))
    }

    async fn renew(&mut self, id: &SessionId) -> Result<(), FailureKind> {
        self.client
            .renew_session(id, GENEROUS)
            .await
            .map_err(|failure| known(failure.kind, &failure.message))
    }

    async fn alive(&mut self, id: &SessionId) -> bool {
        self.client.session(id, GENEROUS).await.unwrap().is_some()
    }

    async fn write(&mut self, command: &Command) -> Reply {
        match command {
            Command::CreateSession { .. } => panic!("consul names its sessions itself"),
            Command::DestroySession(id) => {
                self.client.destroy_session(id, GENEROUS).await.unwrap();
                Ok(Vec::new())
            }
            Command::RegisterNode(node) => {
                self.agreed("PUT", "catalog/register", &registration(node, None))
            }
            Command::DeregisterNode(node) => {
                let body = json!({ "Node": node });
                self.agreed("PUT", "catalog/deregister", &body.to_string())
            }
            Command::SetCheck {
                node,
                check,
                health,
            } => {
                let body = registration(node, Some((check, *health)));
                self.agreed("PUT", "catalog/register", &body)
            }
            Command::DeregisterCheck { node, check } => {
                let body = json!({ "Node": node, "CheckID": check });
                self.agreed("PUT", "catalog/deregister", &body.to_string())
            }
            Command::Put(Write { key, value, flags }) => {
                let value = std::str::from_utf8(value).unwrap();
                self.agreed("PUT", &format!("kv/{key}?flags={flags}"), value)
            }
            Command::Delete(key) => self.agreed("DELETE", &format!("kv/{key}"), ""),
            Command::Txn(operations) => self.transact(operations).await,
        }
    }

    async fn read(&mut self, key: &str) -> KeyRead {
        self.client
            .read(key, Consistency::Consistent, GENEROUS)
            .await
            .unwrap()
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    async fn pass(&mut self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// Returns the kind of a refusal; anything else says that the test itself went wrong.
fn known(kind: FailureKind, message: &str) -> FailureKind {
    match kind {
        FailureKind::Denied | FailureKind::Unavailable => panic!("{message}"),
        FailureKind::SessionGone
        | FailureKind::CheckMissing
        | FailureKind::CheckCritical
        | FailureKind::Held
        | FailureKind::LockDelayed
        | FailureKind::Changed
        | FailureKind::Refused => kind,
    }
}

fn registration(node: &str, check: Option<(&str, Health)>) -> String {
    let mut body = json!({ "Node": node, "Address": "127.0.0.2" });
    if let Some((id, health)) = check {
        let status = match health {
            Health::Passing => "passing",
            Health::Critical => "critical",
        };
        body["Check"] = json!({ "Node": node, "CheckID": id, "Name": id, "Status": status });
    }
    body.to_string()
}

fn on_the_wire(operation: &Op) -> txn::Op<'_> {
    match operation {
        Op::CheckIndex(key, index) => txn::Op::CheckIndex(key, *index),
        Op::CheckNotExists(key) => txn::Op::CheckNotExists(key),
        Op::CheckSession(key, session) => txn::Op::CheckSession(key, session),
        Op::Set(new) => txn::Op::Set(write(new)),
        Op::Lock(new, session) => txn::Op::Lock(write(new), session),
        Op::Unlock(new, session) => txn::Op::Unlock(write(new), session),
        Op::Delete(key) => txn::Op::Delete(key),
    }
}

fn write(new: &Write) -> txn::Write<'_> {
    txn::Write {
        key: &new.key,
        value: &new.value,
        flags: new.flags,
    }
}
