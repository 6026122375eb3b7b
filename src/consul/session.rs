//! Sessions: create, renew, destroy, look up.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::consul::client::{Client, Deadline};
use crate::consul::request::{Operation, Request};
use crate::consul::{error, name};
use crate::election::call::{Failure, SessionId};

/// Consul's own limit (`MaxLockDelay`).
pub(super) const MAX_LOCK_DELAY: Duration = Duration::from_secs(60);

/// The check that says whether Consul's gossip still reaches the node.
const SERF_HEALTH: &str = "serfHealth";

/// A session to be made. Its keys are deleted when it dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewSession<'a> {
    /// Free text.
    pub name: &'a str,
    /// Consul accepts 10 s to 24 h, and lets the session live for up to twice as long.
    pub ttl: Duration,
    /// How long nobody gets the keys of this session after its death.
    pub lock_delay: Duration,
    /// Whose session it is; the agent's own where `None`.
    pub node: Option<&'a str>,
    /// The checks that it dies with, besides `serfHealth`.
    pub checks: &'a [BoundCheck<'a>],
}

/// The id of a check of the session's node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoundCheck<'a> {
    /// One that belongs to the node.
    Node(&'a str),
    /// One that belongs to a service of the node.
    Service(&'a str),
}

/// A live session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// What its creator called it.
    pub name: String,
    /// The node that it belongs to.
    pub node: String,
    /// How long nobody gets its keys after its death.
    pub lock_delay: Duration,
    /// The checks of services that it dies with.
    pub checks: Vec<String>,
}

impl Client {
    /// Creates a session with behavior `delete`. May have done so even where it fails.
    ///
    /// # Errors
    /// As [`Failure`] says.
    pub async fn create_session(
        &self,
        new: NewSession<'_>,
        timeout: Duration,
    ) -> Result<SessionId, Failure> {
        let doing = format!("create session '{}'", new.name);
        let body = body(new).map_err(|error| {
            // Strings always serialise.
            error::unavailable(&doing, &format!("the request cannot be written: {error}"))
        })?;
        let request = Request::put(
            Operation::CreateSession,
            "session/create",
            Some(body),
            doing,
        )
        .about(new.node);
        let reply = self.send(&request, Deadline::within(timeout)).await?;
        let created: WireId = reply.json()?;
        name::session(&created.id).map_err(|why| reply.absurd(&why))
    }

    /// Starts the session's TTL anew. Proves nothing about its locks.
    ///
    /// # Errors
    /// As [`Failure`] says; `SessionGone` where there is none.
    pub async fn renew_session(&self, id: &SessionId, timeout: Duration) -> Result<(), Failure> {
        let request = Request::put(
            Operation::RenewSession,
            "session/renew",
            None,
            format!("renew session {id}"),
        )
        .segment(id.as_str());
        let reply = self.send(&request, Deadline::within(timeout)).await?;
        let sessions: Vec<WireSession> = reply.json()?;
        if sessions.iter().any(|session| session.id == id.as_str()) {
            Ok(())
        } else {
            Err(reply.absurd("consul's answer does not name the session"))
        }
    }

    /// Destroys the session; that there is none is no failure.
    ///
    /// # Errors
    /// As [`Failure`] says.
    pub async fn destroy_session(&self, id: &SessionId, timeout: Duration) -> Result<(), Failure> {
        let doing = format!("destroy session {id}");
        self.end_session(Operation::DestroySession, id, doing, timeout)
            .await
    }

    /// Destroys another host's session, which takes more rights; that there is none is no failure.
    ///
    /// # Errors
    /// As [`Failure`] says.
    pub async fn depose_session(&self, id: &SessionId, timeout: Duration) -> Result<(), Failure> {
        let doing = format!("end the silent leader's session {id}");
        self.end_session(Operation::DeposeSession, id, doing, timeout)
            .await
    }

    async fn end_session(
        &self,
        operation: Operation,
        id: &SessionId,
        doing: String,
        timeout: Duration,
    ) -> Result<(), Failure> {
        let request = Request::put(operation, "session/destroy", None, doing).segment(id.as_str());
        let reply = self.send(&request, Deadline::within(timeout)).await?;
        if reply.status.is_success() && !reply.json::<bool>()? {
            return Err(reply.absurd("consul answered false"));
        }
        Ok(())
    }

    /// Looks a session up, consistently: that it is not there must not be the word of a deposed leader.
    /// `None` is also what a Consul before 1.11 says to a token that may not read
    /// it.
    ///
    /// # Errors
    /// As [`Failure`] says.
    pub async fn session(
        &self,
        id: &SessionId,
        timeout: Duration,
    ) -> Result<Option<Session>, Failure> {
        let request = Request::get(
            Operation::ReadSession,
            "session/info",
            format!("look up session {id}"),
        )
        .segment(id.as_str())
        .query("consistent", "");
        let sessions = self.sessions_of(&request, timeout).await?;
        Ok(sessions.into_iter().find(|session| session.id == *id))
    }

    /// Lists the live sessions of a node, or of all nodes where `None`, as far as the token may read
    /// them. Consistently, as in [`session`](Self::session).
    ///
    /// # Errors
    /// As [`Failure`] says.
    pub async fn sessions(
        &self,
        node: Option<&str>,
        timeout: Duration,
    ) -> Result<Vec<Session>, Failure> {
        let request = match node {
            Some(node) => Request::get(
                Operation::ReadSession,
                "session/node",
                format!("list the sessions of node '{node}'"),
            )
            .segment(node)
            .query("consistent", ""),
            None => Request::get(
                Operation::ReadSession,
                "session/list",
                "list sessions".to_owned(),
            )
            .query("consistent", ""),
        };
        self.sessions_of(&request, timeout).await
    }

    async fn sessions_of(
        &self,
        request: &Request,
        timeout: Duration,
    ) -> Result<Vec<Session>, Failure> {
        let reply = self.send(request, Deadline::within(timeout)).await?;
        let sessions: Vec<WireSession> = reply.json()?;
        if sessions.is_empty() {
            reply.unless_hidden(request)?;
        }
        // One that no line could name is none of ours, and must not hide those that are.
        let named = sessions.into_iter().filter_map(|wire| wire.session().ok());
        Ok(named.collect())
    }
}

fn body(new: NewSession<'_>) -> serde_json::Result<Vec<u8>> {
    let mut node_checks = vec![SERF_HEALTH];
    let mut service_checks = Vec::new();
    for check in new.checks {
        match check {
            BoundCheck::Node(id) if *id == SERF_HEALTH => {}
            BoundCheck::Node(id) => node_checks.push(*id),
            BoundCheck::Service(id) => service_checks.push(WireCheckRef { id }),
        }
    }
    serde_json::to_vec(&WireNewSession {
        name: new.name,
        node: new.node,
        ttl: milliseconds(new.ttl),
        lock_delay: milliseconds(new.lock_delay),
        behavior: "delete",
        node_checks,
        service_checks,
    })
}

/// Writes a duration so that no version of Consul can take it for seconds or nanoseconds. Rounds up:
/// a lock-delay that is too short would break the lease.
fn milliseconds(duration: Duration) -> String {
    format!("{}ms", duration.as_nanos().div_ceil(1_000_000))
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct WireNewSession<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a str>,
    #[serde(rename = "TTL")]
    ttl: String,
    lock_delay: String,
    behavior: &'static str,
    node_checks: Vec<&'a str>,
    service_checks: Vec<WireCheckRef<'a>>,
}

#[derive(Serialize)]
struct WireCheckRef<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
}

#[derive(Deserialize)]
struct WireId {
    #[serde(rename = "ID")]
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireSession {
    #[serde(rename = "ID")]
    id: String,
    name: String,
    node: String,
    /// Nanoseconds; a float because JSON has no other numbers, exact up to 104 days.
    lock_delay: f64,
    #[serde(default)]
    service_checks: Option<Vec<WireBound>>,
}

#[derive(Deserialize)]
struct WireBound {
    #[serde(rename = "ID")]
    id: String,
}

impl WireSession {
    fn session(self) -> Result<Session, String> {
        // Consul lets none be longer. Nor is one waited for that nobody can have.
        let lock_delay = self.lock_delay.clamp(0.0, MAX_LOCK_DELAY.as_nanos() as f64);
        Ok(Session {
            id: name::session(&self.id)?,
            name: self.name,
            node: name::node(self.node)?,
            lock_delay: Duration::from_secs_f64(lock_delay / 1e9),
            checks: self
                .service_checks
                .into_iter()
                .flatten()
                .map(|check| check.id)
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(checks: &[BoundCheck<'_>], node: Option<&str>) -> String {
        let new = NewSession {
            name: "n",
            ttl: Duration::from_secs(10),
            lock_delay: Duration::from_micros(1_499_001),
            node,
            checks,
        };
        String::from_utf8(body(new).unwrap()).unwrap()
    }

    #[test]
    fn durations_are_strings_and_lock_delay_is_never_rounded_down() {
        assert_eq!(
            written(&[], None),
            r#"{"Name":"n","TTL":"10000ms","LockDelay":"1500ms","Behavior":"delete","NodeChecks":["serfHealth"],"ServiceChecks":[]}"#
        );
    }

    #[test]
    fn a_check_is_bound_where_it_belongs_and_gossip_always() {
        assert!(
            written(&[BoundCheck::Node("c")], None)
                .contains(r#""NodeChecks":["serfHealth","c"],"ServiceChecks":[]"#)
        );
        assert!(
            written(&[BoundCheck::Node("serfHealth")], None)
                .contains(r#""NodeChecks":["serfHealth"],"ServiceChecks":[]"#)
        );
        assert!(
            written(
                &[BoundCheck::Service("c"), BoundCheck::Service("d")],
                Some("h")
            )
            .contains(r#""NodeChecks":["serfHealth"],"ServiceChecks":[{"ID":"c"},{"ID":"d"}]"#)
        );
        assert!(written(&[], Some("h")).contains(r#""Node":"h""#));
    }

    #[test]
    fn a_lock_delay_is_read_however_json_writes_the_number() {
        let session = |number: &str| {
            let wire: WireSession = serde_json::from_str(&format!(
                r#"{{"ID":"i","Name":"n","Node":"h","LockDelay":{number}}}"#
            ))
            .unwrap();
            wire.session().unwrap().lock_delay
        };
        for (number, expected) in [
            ("1500000000", Duration::from_millis(1500)),
            ("1.5e9", Duration::from_millis(1500)),
            // Never out of this world.
            ("-1", Duration::ZERO),
            ("1e300", MAX_LOCK_DELAY),
        ] {
            assert_eq!(session(number), expected, "{number}");
        }
    }
}
