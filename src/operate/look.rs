//! Driver: reads everything that Consul and this host's daemon say of a group.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;

use super::local;
use super::survey::{Seen, survey};
use super::view::{GroupView, Note};
use crate::config::Group;
use crate::consul::agent::Check;
use crate::consul::kv::{Consistency, PrefixRead};
use crate::consul::{Client, LIVENESS_SERVICE, below};
use crate::election::call::Failure;
use crate::runtime::RuntimeDirectory;

/// For each request.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// What a look needs to know.
#[derive(Clone)]
pub struct Looker {
    /// The way to Consul.
    pub client: Client,
    /// Where the daemons of this host may have their sockets.
    pub directories: Vec<RuntimeDirectory>,
}

impl Looker {
    /// Looks at one group.
    ///
    /// # Errors
    /// When Consul does not say who holds the lock, or what stands below it.
    pub(super) async fn look(&self, group: &Group) -> Result<GroupView, Failure> {
        let seen = self.see(group).await?;
        let (own, check_id) = (&group.trigger_value, group.session.check_id.as_deref());
        Ok(survey(group.name(), own, check_id, seen))
    }

    /// Reads what there is to a group.
    ///
    /// # Errors
    /// When Consul does not say who holds the lock, or what stands below it.
    pub async fn see(&self, group: &Group) -> Result<Seen, Failure> {
        let name = group.name();
        let key = self
            .client
            .read(&group.trigger_key, Consistency::Consistent, PATIENCE)
            .await?;
        let read = self.below(&group.trigger_key).await?;
        let (since, notes) = (since(name, &read), notes(name, &read));
        let (below, _) = below::read(name, read);
        let say = |failure: Failure| failure.message;
        let sessions = self.client.sessions(None, PATIENCE).await.map_err(say);
        let services = self.client.instances(LIVENESS_SERVICE, PATIENCE).await;
        let mut seen = Seen {
            key,
            below,
            since,
            notes,
            sessions,
            services: services.map_err(say),
            checks: BTreeMap::new(),
            daemon: local::report(&self.directories, name),
        };
        if let Some(id) = &group.session.check_id {
            seen.checks = self.checks(name, id, &seen).await;
        }
        Ok(seen)
    }

    /// Reads what stands below a trigger key. To a token that may not, there is nothing.
    async fn below(&self, key: &str) -> Result<PrefixRead, Failure> {
        let prefix = below::prefix(key);
        let now = Duration::ZERO;
        self.client
            .watch_prefix(&prefix, 0, now, Consistency::Default, PATIENCE)
            .await
    }

    /// The check that must pass, on each node that takes part. One that cannot be read is not judged.
    async fn checks(&self, group: &str, id: &str, seen: &Seen) -> BTreeMap<String, Option<Check>> {
        let mut checks = BTreeMap::new();
        let prefix = format!("{LIVENESS_SERVICE}/{group}/");
        let named = format!("vip-elector {group} ");
        let of_services = seen.services.iter().flatten();
        let of_services = of_services.filter(|service| service.id.starts_with(&prefix));
        let of_sessions = seen.sessions.iter().flatten();
        let of_sessions = of_sessions.filter(|session| session.name.starts_with(&named));
        let nodes: BTreeSet<&String> = of_services
            .map(|service| &service.node)
            .chain(of_sessions.map(|session| &session.node))
            .collect();
        for node in nodes.into_iter().take(below::MAX_CANDIDATES) {
            if let Ok(check) = self.client.check(id, Some(node), PATIENCE).await {
                checks.insert(node.clone(), check);
            }
        }
        checks
    }
}

#[derive(Deserialize)]
struct Since {
    since: String,
}

fn since(group: &str, read: &PrefixRead) -> BTreeMap<String, String> {
    let prefix = below::candidate_key(group, "");
    let parse = |text: &[u8]| {
        serde_json::from_slice(text)
            .ok()
            .map(|Since { since }| since)
    };
    each(read, &prefix, parse)
}

/// A drain is one whatever is written there.
fn notes(group: &str, read: &PrefixRead) -> BTreeMap<String, Note> {
    each(read, &below::drain_key(group, ""), |text| {
        serde_json::from_slice(text).ok()
    })
}

fn each<T>(
    read: &PrefixRead,
    prefix: &str,
    parse: impl Fn(&[u8]) -> Option<T>,
) -> BTreeMap<String, T> {
    let entries = read.entries.iter().filter_map(|(key, entry)| {
        let value = key.strip_prefix(prefix)?.to_owned();
        Some((value, parse(entry.value.as_deref()?)?))
    });
    entries.collect()
}
