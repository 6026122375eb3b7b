//! Services of the agent that is asked, and the checks that tell how they are.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::consul::agent::CheckState;
use crate::consul::client::{Client, Deadline};
use crate::consul::error::{self, shorten};
use crate::consul::name;
use crate::consul::request::{Operation, Request};
use crate::election::call::Failure;

/// The tag of the service of a host that leads.
pub(super) const LEADER: &str = "leader";

/// The bytes of a value in a service's `Meta`
/// (<https://developer.hashicorp.com/consul/api-docs/agent/service#meta>).
const MAX_META: usize = 512;

/// A service without address or port, with one check, which its owner passes again and again
/// (<https://developer.hashicorp.com/consul/api-docs/agent/service>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewService<'a> {
    /// Unique on its agent.
    pub id: &'a str,
    /// What it is found by.
    pub name: &'a str,
    /// Tells services of one name apart.
    pub tag: &'a str,
    /// The id of its check, unique on its agent.
    pub check: &'a str,
    /// Since when it has been so tagged.
    pub since: &'a str,
    /// What its owner says of itself.
    pub word: Option<&'a Word>,
    /// For whoever looks at the check.
    pub notes: &'a str,
    /// How long after it was passed last the check goes critical.
    pub ttl: Duration,
    /// How long after that the service goes; Consul takes a minute or more.
    pub abandoned_after: Duration,
}

/// Why a host would not lead, in its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// As a line; what is too long for Consul is cut off when it is written.
    pub why: String,
    /// Since when that is so, be it in other words: RFC 3339.
    pub since: String,
}

/// A service as the catalog knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Unique on its node.
    pub id: String,
    /// The node that it is on.
    pub node: String,
    /// Whether it is tagged as leader.
    pub leads: bool,
    /// Since when it has been so tagged, as its owner says.
    pub since: Option<String>,
    /// What its owner says of itself; an empty one, nothing.
    pub word: Option<Word>,
    /// Whether its own check is not critical.
    pub alive: bool,
}

impl Client {
    /// Lists the services of a name on all nodes, as far as the token may read them.
    ///
    /// # Errors
    /// As [`Failure`] says.
    pub async fn instances(&self, name: &str, timeout: Duration) -> Result<Vec<Instance>, Failure> {
        let request = Request::get(
            Operation::ReadChecks,
            "health/service",
            format!("list the services '{name}'"),
        )
        .segment(name);
        let reply = self.send(&request, Deadline::within(timeout)).await?;
        let wire: Vec<WireInstance> = reply.json()?;
        if wire.is_empty() {
            reply.unless_hidden(&request)?;
        }
        // One that no line could name is none of ours.
        let named = wire.into_iter().filter_map(|one| one.instance().ok());
        Ok(named.collect())
    }

    /// Registers a service, or changes its tag. Does not pass its check: a new one passes to begin with,
    /// one that is registered again stays as it is.
    ///
    /// # Errors
    /// As [`Failure`] says.
    pub async fn register_service(
        &self,
        new: NewService<'_>,
        timeout: Duration,
    ) -> Result<(), Failure> {
        let doing = format!("register service '{}'", new.id);
        let body = body(new).map_err(|error| {
            // Strings always serialise.
            error::unavailable(&doing, &format!("the request cannot be written: {error}"))
        })?;
        let request = Request::put(
            Operation::WriteService,
            "agent/service/register",
            Some(body),
            doing,
        );
        self.send(&request, Deadline::within(timeout))
            .await
            .map(drop)
    }

    /// Says that a check with a TTL is good. Always in the same words, so that the agent tells the
    /// servers only of a change.
    ///
    /// # Errors
    /// As [`Failure`] says; `CheckMissing` where the agent has no such check.
    pub async fn pass_check(&self, id: &str, timeout: Duration) -> Result<(), Failure> {
        let request = Request::put(
            Operation::PassCheck,
            "agent/check/pass",
            None,
            format!("pass check '{id}'"),
        )
        .segment(id);
        self.send(&request, Deadline::within(timeout))
            .await
            .map(drop)
    }

    /// Removes a service and its check; that there is none is no failure.
    ///
    /// # Errors
    /// As [`Failure`] says.
    pub async fn deregister_service(&self, id: &str, timeout: Duration) -> Result<(), Failure> {
        let request = Request::put(
            Operation::RemoveService,
            "agent/service/deregister",
            None,
            format!("deregister service '{id}'"),
        )
        .segment(id);
        self.send(&request, Deadline::within(timeout))
            .await
            .map(drop)
    }
}

impl WireInstance {
    fn instance(self) -> Result<Instance, String> {
        let check = format!("service:{}", self.service.id);
        let critical = |one: &WireState| one.id == check && one.status == CheckState::Critical;
        let mut meta = self.service.meta.unwrap_or_default();
        let mut said = |name: &str| meta.remove(name).filter(|text| !text.is_empty());
        Ok(Instance {
            alive: !self.checks.iter().any(critical),
            leads: self.service.tags.iter().flatten().any(|tag| tag == LEADER),
            since: said("since"),
            word: said("why").map(|why| Word {
                why,
                since: said("why-since").unwrap_or_default(),
            }),
            node: name::node(self.node.node)?,
            id: self.service.id,
        })
    }
}

fn body(new: NewService<'_>) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&WireService {
        id: new.id,
        name: new.name,
        tags: [new.tag],
        meta: WireMeta {
            since: new.since,
            why: new.word.map(|word| fitting(&word.why)),
            why_since: new.word.map(|word| word.since.as_str()),
        },
        check: WireCheck {
            id: new.check,
            name: new.name,
            notes: new.notes,
            ttl: format!("{}ms", new.ttl.as_millis()),
            // Else the servers hear of it as critical first, which ends a session that is bound to it
            // where the agent has forgotten the service and the servers have not (Consul 1.8.7:
            // always; with it, never).
            status: "passing",
            deregister_critical_service_after: format!("{}ms", new.abandoned_after.as_millis()),
        },
    })
}

fn fitting(text: &str) -> String {
    let mut line = shorten(text.as_bytes());
    while line.len() > MAX_META {
        line.pop();
    }
    line
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct WireService<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    name: &'a str,
    tags: [&'a str; 1],
    meta: WireMeta<'a>,
    check: WireCheck<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct WireMeta<'a> {
    since: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why_since: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct WireCheck<'a> {
    #[serde(rename = "CheckID")]
    id: &'a str,
    name: &'a str,
    notes: &'a str,
    #[serde(rename = "TTL")]
    ttl: String,
    status: &'static str,
    deregister_critical_service_after: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireInstance {
    node: WireNode,
    service: WireServiceRead,
    #[serde(default)]
    checks: Vec<WireState>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireNode {
    node: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireServiceRead {
    #[serde(rename = "ID")]
    id: String,
    tags: Option<Vec<String>>,
    meta: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireState {
    #[serde(rename = "CheckID")]
    id: String,
    status: CheckState,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_read_as_consul_writes_it() {
        let read = |tags: &str, meta: &str, status: &str| {
            let text = format!(
                r#"{{"Node":{{"Node":"n1","Address":"10.0.0.1"}},
                    "Service":{{"ID":"vip-elector/k/web1","Service":"vip-elector","Tags":{tags},"Meta":{meta}}},
                    "Checks":[{{"CheckID":"serfHealth","Status":"critical"}},
                              {{"CheckID":"service:vip-elector/k/web1","Status":"{status}"}}]}}"#
            );
            let wire: WireInstance = serde_json::from_str(&text).unwrap();
            wire.instance().unwrap()
        };
        let leader = Instance {
            id: "vip-elector/k/web1".to_owned(),
            node: "n1".to_owned(),
            leads: true,
            since: Some("2026-01-02T03:04:05Z".to_owned()),
            word: None,
            alive: true,
        };
        let since = r#"{"since":"2026-01-02T03:04:05Z"}"#;
        assert_eq!(read(r#"["leader"]"#, since, "passing"), leader);
        let old = Instance {
            leads: false,
            since: None,
            alive: false,
            ..leader
        };
        assert_eq!(read("null", "null", "critical"), old);
        assert_eq!(read(r#"["standby"]"#, "{}", "critical"), old);
        let why = r#"{"why":"disk full","why-since":"2026-01-02T03:04:06Z"}"#;
        let sick = Instance {
            word: Some(word("disk full")),
            ..old
        };
        assert_eq!(read("null", why, "critical"), sick);
    }

    fn word(why: &str) -> Word {
        Word {
            why: why.to_owned(),
            since: "2026-01-02T03:04:06Z".to_owned(),
        }
    }

    #[test]
    fn a_service_is_written_as_consul_reads_it() {
        let new = NewService {
            id: "vip-elector/a/k/host1",
            name: "vip-elector",
            tag: "leader",
            check: "service:vip-elector/a/k/host1",
            since: "2026-01-02T03:04:05Z",
            word: None,
            notes: "n",
            ttl: Duration::from_millis(2_500),
            abandoned_after: Duration::from_secs(60),
        };
        assert_eq!(
            String::from_utf8(body(new).unwrap()).unwrap(),
            r#"{"ID":"vip-elector/a/k/host1","Name":"vip-elector","Tags":["leader"],"Meta":{"since":"2026-01-02T03:04:05Z"},"Check":{"CheckID":"service:vip-elector/a/k/host1","Name":"vip-elector","Notes":"n","TTL":"2500ms","Status":"passing","DeregisterCriticalServiceAfter":"60000ms"}}"#
        );
        for (why, written) in [
            ("disk\nfull", "disk full".to_owned()),
            // No more than 200 letters of it, and no more than 512 bytes.
            (&"x".repeat(1000), format!("{}…", "x".repeat(200))),
            (&"…".repeat(300), "…".repeat(170)),
        ] {
            let word = Some(word(why));
            let text = body(NewService {
                word: word.as_ref(),
                ..new
            });
            let wire: serde_json::Value = serde_json::from_slice(&text.unwrap()).unwrap();
            let expected = serde_json::json!({
                "since": new.since, "why": written, "why-since": "2026-01-02T03:04:06Z",
            });
            assert_eq!(wire["Meta"], expected);
        }
    }
}
