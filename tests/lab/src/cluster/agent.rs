//! Applier: a client of a host's Consul agent, which speaks from inside that host's namespace.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Error;
use crate::netns::Namespace;

/// Short, because a call to a server that lost its leader hangs for half a minute.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A host's agent.
#[derive(Clone, Debug)]
pub struct Agent {
    namespace: Namespace,
}

/// A key, as the API gives it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "PascalCase")]
pub struct Key {
    /// Its name.
    pub key: String,
    /// The value; none where the API says null.
    #[serde(deserialize_with = "base64_text")]
    pub value: Option<String>,
    /// The client's mark; Consul's own locks have one.
    pub flags: u64,
    /// The session that holds the lock.
    pub session: Option<String>,
    /// The raft index of the last change.
    pub modify_index: u64,
}

/// A session, as the API gives it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "PascalCase")]
pub struct Session {
    /// Its id.
    #[serde(rename = "ID")]
    pub id: String,
    /// The node it belongs to.
    pub node: String,
    /// What happens to its keys when it ends.
    pub behavior: String,
}

/// A service of the agent's own.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Service {
    service: String,
}

/// A check's state.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Check {
    node: String,
    #[serde(rename = "CheckID")]
    id: String,
    status: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Autopilot {
    healthy: bool,
    servers: Vec<Server>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Server {
    voter: bool,
}

/// A status and a body.
struct Reply {
    status: u16,
    body: String,
    fresh: bool,
}

impl Agent {
    pub(super) fn new(namespace: Namespace) -> Self {
        Self { namespace }
    }

    /// Returns a key, or nothing where there is none.
    pub fn key(&self, key: &str) -> Result<Option<Key>, Error> {
        self.read_key(&format!("/v1/kv/{key}")).map(|(key, _)| key)
    }

    /// Returns a key as this agent's own server has it, or nothing where that server has lost its
    /// leader and may be behind.
    pub fn key_nearby(&self, key: &str) -> Result<Option<Option<Key>>, Error> {
        let (key, fresh) = self.read_key(&format!("/v1/kv/{key}?stale"))?;
        Ok(fresh.then_some(key))
    }

    /// Returns all keys whose names begin with `prefix`.
    pub fn keys_below(&self, prefix: &str) -> Result<Vec<Key>, Error> {
        self.read_keys(&format!("/v1/kv/{prefix}?recurse"))
            .map(|(keys, _)| keys)
    }

    /// Returns all sessions.
    pub fn sessions(&self) -> Result<Vec<Session>, Error> {
        self.get("/v1/session/list")
    }

    /// Returns the id of the service by which a daemon tells its agent that it lives, if there is one.
    pub fn liveness_service(&self) -> Result<Option<String>, Error> {
        let services: BTreeMap<String, Service> = self.get("/v1/agent/services")?;
        let mut services = services.into_iter();
        Ok(services
            .find(|(_, service)| service.service == "vip-elector")
            .map(|(id, _)| id))
    }

    /// Returns the address of the server that leads.
    pub fn raft_leader(&self) -> Result<std::net::Ipv4Addr, Error> {
        let path = "/v1/status/leader";
        let leader: String = self.get(path)?;
        let address = leader.split(':').next().and_then(|ip| ip.parse().ok());
        address.ok_or_else(|| Error::Answer {
            host: self.namespace.name().to_owned(),
            path: path.to_owned(),
            answer: leader,
        })
    }

    /// Reads anything.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let reply = self.call("GET", path, "")?;
        if reply.status != 200 {
            return Err(self.unexpected(path, &reply));
        }
        serde_json::from_str(&reply.body).map_err(|_| self.unexpected(path, &reply))
    }

    /// Reads what is no JSON.
    pub fn text(&self, path: &str) -> Result<String, Error> {
        let reply = self.call("GET", path, "")?;
        if reply.status == 200 {
            Ok(reply.body)
        } else {
            Err(self.unexpected(path, &reply))
        }
    }

    /// Writes anything; returns the body of the answer.
    pub fn put(&self, path: &str, body: &str) -> Result<String, Error> {
        let reply = self.call("PUT", path, body)?;
        if reply.status == 200 {
            Ok(reply.body)
        } else {
            Err(self.unexpected(path, &reply))
        }
    }

    /// Says what is missing for this agent to see a whole cluster of `hosts`.
    pub(super) fn is_whole(&self, hosts: &[&str]) -> Result<(), String> {
        let name = self.namespace.name();
        // Its own view first: the next two are answered by the leader, for everybody.
        let leader: String = self
            .get("/v1/status/leader")
            .map_err(|error| crate::chain(&error))?;
        if leader.is_empty() {
            return Err(format!("{name} knows no leader"));
        }
        let servers: Autopilot = self
            .get("/v1/operator/autopilot/health")
            .map_err(|error| crate::chain(&error))?;
        let voters = servers.servers.iter().filter(|server| server.voter).count();
        if !servers.healthy || voters != hosts.len() {
            return Err(format!(
                "{voters} of {} servers vote, all healthy: {}",
                hosts.len(),
                servers.healthy
            ));
        }
        let checks: Vec<Check> = self
            .get("/v1/health/state/any")
            .map_err(|error| crate::chain(&error))?;
        if let Some(bad) = checks.iter().find(|check| check.status != "passing") {
            return Err(format!(
                "check {} of {} is {}",
                bad.id, bad.node, bad.status
            ));
        }
        for host in hosts {
            for id in ["serfHealth", super::setup::CHECK_ID] {
                if !checks
                    .iter()
                    .any(|check| check.node == *host && check.id == id)
                {
                    return Err(format!("{host} has no check {id}"));
                }
            }
        }
        Ok(())
    }

    fn read_key(&self, path: &str) -> Result<(Option<Key>, bool), Error> {
        let (keys, fresh) = self.read_keys(path)?;
        Ok((keys.into_iter().next(), fresh))
    }

    fn read_keys(&self, path: &str) -> Result<(Vec<Key>, bool), Error> {
        let reply = self.call("GET", path, "")?;
        match reply.status {
            404 => Ok((Vec::new(), reply.fresh)),
            200 => serde_json::from_str(&reply.body)
                .map(|keys| (keys, reply.fresh))
                .map_err(|_| self.unexpected(path, &reply)),
            _ => Err(self.unexpected(path, &reply)),
        }
    }

    fn call(&self, method: &str, path: &str, body: &str) -> Result<Reply, Error> {
        let result = self.namespace.enter(|| exchange(method, path, body))?;
        result.map_err(|cause| {
            let (host, path) = (self.namespace.name().to_owned(), path.to_owned());
            Error::Consul {
                host,
                path,
                cause: Box::new(cause),
            }
        })
    }

    fn unexpected(&self, path: &str, reply: &Reply) -> Error {
        let answer = format!("{} {}", reply.status, reply.body);
        Error::Answer {
            host: self.namespace.name().to_owned(),
            path: path.to_owned(),
            answer,
        }
    }
}

/// One request on a connection of its own: a kept one might belong to an agent's former life.
fn exchange(method: &str, path: &str, body: &str) -> Result<Reply, ureq::Error> {
    let client: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false)
        .proxy(None)
        .build()
        .into();
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("http://127.0.0.1:8500{path}"))
        .body(body.to_owned())?;
    let mut response = client.run(request)?;
    let known = response.headers().get("x-consul-knownleader");
    let fresh = known.is_some_and(|value| value.as_bytes() == b"true");
    let status = response.status().as_u16();
    Ok(Reply {
        status,
        body: response.body_mut().read_to_string()?,
        fresh,
    })
}

fn base64_text<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let Some(text) = Option::<String>::deserialize(from)? else {
        return Ok(None);
    };
    let bytes = STANDARD.decode(text).map_err(serde::de::Error::custom)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}
