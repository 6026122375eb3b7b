//! Applier: asks Consul, and changes nothing there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::acl::{self, Need};
use crate::config::{Config, Group};
use crate::consul::Client;
use crate::consul::access;
use crate::consul::agent::Check;
use crate::consul::kv::Consistency;
use crate::consul::probe::Verdict;
use crate::doctor::consul::{Endpoint, Facts, Right};
use crate::doctor::group::{self, Candidate};
use crate::election::call::{Entry, Failure};

/// What one question may take: longer than a daemon that leads would wait.
const TIMEOUT: Duration = Duration::from_secs(3);

/// A node that no cluster has: whoever may write its sessions may write everybody's.
const ANY_NODE: &str = "vip-elector-doctor-no-such-node";

/// Asks everything that all groups share.
pub(super) async fn shared(config: &Config, client: &Client, own: &[IpAddr]) -> Facts {
    let mut endpoints = Vec::new();
    for (one, address) in client.each().iter().zip(&config.access.endpoints) {
        let asked_at = Instant::now();
        let answer = one.raft_leader(TIMEOUT).await;
        endpoints.push(Endpoint {
            label: one.label().unwrap_or_default().to_owned(),
            local: is_local(address, own),
            answer: answer.map_err(|failure| failure.message),
            took: asked_at.elapsed(),
        });
    }
    let agent = client.agent_settings(TIMEOUT).await;
    let checks = checks(config, client).await;
    let node = node(client, agent.as_ref().ok().map(|agent| agent.node.clone())).await;
    let (session, ttl_bounds) = {
        let node = node.as_deref().unwrap_or(ANY_NODE);
        client.may_create_session(node, TIMEOUT).await
    };
    let token = client.own_token(TIMEOUT).await;
    let mut rights = Vec::new();
    if let Ok(Some(_)) = &token {
        let world = World {
            config,
            client,
            session,
            sees_check: checks.iter().any(|(_, check)| matches!(check, Ok(Some(_)))),
        };
        for need in acl::needs(config) {
            rights.push(world.right(need).await);
        }
    }
    Facts {
        endpoints,
        peers: client.raft_peers(TIMEOUT).await.ok(),
        token,
        token_from_file: config.access.token_file.is_some(),
        rights,
        agent,
        ttl_bounds,
        checks,
    }
}

/// Asks for one group's keys.
pub(super) async fn group(group: &Group, host_name: &str, client: &Client) -> group::Facts {
    let agent = client.agent_settings(TIMEOUT).await.ok();
    let node = node(client, agent.map(|agent| agent.node)).await;
    let sessions = client.sessions(None, TIMEOUT).await.unwrap_or_default();
    let nodes: BTreeMap<_, _> = sessions
        .into_iter()
        .map(|session| (session.id, session.node))
        .collect();
    let key = &group.trigger_key;
    let lock = client.read(key, Consistency::Default, TIMEOUT).await;
    let lock = lock.map(|read| {
        let entry = read.entry?;
        let session = entry.session.as_ref();
        let node = session.and_then(|session| nodes.get(session)).cloned();
        Some((entry, node))
    });
    let prefix = format!("{key}/candidates/");
    let below = client
        .watch_prefix(&prefix, 0, Duration::ZERO, Consistency::Default, TIMEOUT)
        .await;
    let candidates = below.map(|read| {
        let candidate = |(name, entry): (String, Entry)| {
            Some(Candidate {
                value: name.strip_prefix(&prefix)?.to_owned(),
                node: nodes.get(entry.session.as_ref()?).cloned(),
            })
        };
        read.entries.into_iter().filter_map(candidate).collect()
    });
    group::Facts {
        key: key.clone(),
        value: group.trigger_value.clone(),
        host_name: host_name.to_owned(),
        node,
        lock,
        candidates,
    }
}

async fn checks(config: &Config, client: &Client) -> Vec<(String, Result<Option<Check>, Failure>)> {
    let groups = config.groups.iter();
    let wanted: BTreeSet<_> = groups
        .filter_map(|group| group.session.check_id.as_ref())
        .collect();
    let mut checks = Vec::new();
    for id in wanted {
        checks.push((id.clone(), client.check(id, None, TIMEOUT).await));
    }
    checks
}

/// The agent's node, by what the token may read.
async fn node(client: &Client, told: Option<String>) -> Option<String> {
    match told {
        Some(node) => Some(node),
        None => client.node_of_checks(TIMEOUT).await.ok().flatten(),
    }
}

/// What the rights are tried with.
struct World<'a> {
    config: &'a Config,
    client: &'a Client,
    /// Whether sessions of this host's node may be created.
    session: Verdict,
    sees_check: bool,
}

impl World<'_> {
    async fn right(&self, need: Need) -> Right {
        let rule = &need.rule;
        let verdict = match rule.resource() {
            "key" => {
                let keys = [rule.name().to_owned()];
                self.client.may_write_keys(&keys, TIMEOUT).await
            }
            "key_prefix" => {
                let keys = self.keys_below(rule.name());
                self.client.may_write_keys(&keys, TIMEOUT).await
            }
            "session_prefix" => match &self.session {
                Verdict::Allowed => self.client.may_create_session(ANY_NODE, TIMEOUT).await.0,
                other @ (Verdict::Denied(_) | Verdict::Unknown(_)) => other.clone(),
            },
            "service" => {
                let service = rule.name();
                self.client.may_write_service(service, TIMEOUT).await
            }
            "service_prefix" if self.sees_check => Verdict::Allowed,
            "service_prefix" => seen(self.client.services_seen(TIMEOUT).await),
            "node_prefix" => seen(self.client.nodes_seen(TIMEOUT).await),
            "agent_prefix" => seen(self.client.agent_settings(TIMEOUT).await.map(|_| 1)),
            other => Verdict::Unknown(format!("nobody knows how to try {other}")),
        };
        Right {
            vital: is_vital(&need, &verdict, &self.session),
            rule: rule.to_string(),
            without: need.without(),
            verdict,
        }
    }

    /// Everything that the daemon or its operator writes below a trigger key.
    fn keys_below(&self, prefix: &str) -> Vec<String> {
        let groups = self.config.groups.iter();
        let mut values = groups
            .filter(|group| prefix.trim_end_matches('/') == group.trigger_key)
            .map(|group| group.trigger_value.as_str());
        let value = values.next().unwrap_or("vip-elector-doctor");
        vec![
            format!("{prefix}candidates/{value}"),
            format!("{prefix}drain/{value}"),
            format!("{prefix}switchover"),
        ]
    }
}

/// Without it nobody leads. With the right to sessions of the own node alone, somebody does.
fn is_vital(need: &Need, verdict: &Verdict, own_session: &Verdict) -> bool {
    let denied = matches!(verdict, Verdict::Denied(_));
    if need.rule.resource() == "session_prefix" && denied {
        return *own_session != Verdict::Allowed;
    }
    need.without().contains("nobody leads")
}

/// Consul leaves out what a token may not see, and before 1.11 does not say so.
fn seen(count: Result<usize, Failure>) -> Verdict {
    match count {
        Ok(0) => Verdict::Denied("consul shows none".to_owned()),
        Ok(_) => Verdict::Allowed,
        Err(failure) => Verdict::of(failure),
    }
}

/// `None` for a name that only a resolver could tell.
fn is_local(endpoint: &access::Endpoint, own: &[IpAddr]) -> Option<bool> {
    match (endpoint, endpoint.ip()) {
        (access::Endpoint::Unix(_), _) => Some(true),
        (access::Endpoint::Http(_), Some(ip)) => Some(ip.is_loopback() || own.contains(&ip)),
        (access::Endpoint::Http(url), None) => {
            (url.host_str() == Some("localhost")).then_some(true)
        }
    }
}
