//! Driver: who leads which group, as Consul and the kernels agree on it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Agent, Cluster, Error, Host, Key};
use crate::time::{Timeout, until};

/// Who has the address of each group, by the group's trigger key.
type Holders<'a> = BTreeMap<&'a str, Arc<str>>;

impl Cluster {
    /// Waits until everything is well: Consul is whole, every daemon has a session, and of each group one
    /// host holds the lock, has the address, alone, and answers where a client asks. Returns the host that
    /// leads [the one group](Cluster::group). Of sessions and locks there is no question where what elects
    /// uses none.
    pub fn settle(&self, limit: Duration) -> Result<String, Timeout> {
        let start = Instant::now();
        self.wait_for_consul(limit)?;
        let left = limit.saturating_sub(start.elapsed());
        until("one host to lead and all others to stand by", left, || {
            self.settled()
        })
    }

    /// Says what is missing for every host to lead each group or to be a candidate for it, and to be
    /// missed by its agent if it died.
    pub fn ready(&self) -> Result<(), String> {
        let keys = self.keys(&self.hosts[0].agent()).map_err(said)?;
        for host in &self.hosts {
            let name = host.name();
            let idle = self.groups.iter().find(|group| {
                let leads = keys.get(group.key());
                let entry = keys.get(&format!("{}/candidates/{name}", group.key()));
                leads.is_none_or(|key| key.value.as_deref() != Some(name))
                    && entry.is_none_or(|entry| entry.session.is_none())
            });
            if let Some(group) = idle {
                return Err(format!("{name} is no candidate for {}", group.key()));
            }
            if host.agent().liveness_service().map_err(said)?.is_none() {
                return Err(format!("{name}'s agent does not know the daemon"));
            }
        }
        Ok(())
    }

    fn settled(&self) -> Result<String, String> {
        // The kernels first: that costs those that are waited for nothing.
        let holders = self.holders()?;
        if self.locks {
            self.hold_locks(&holders)?;
        }
        for asked in &self.probes {
            let group = &self.groups[asked.group];
            let leader = &holders[group.key()];
            match asked.probe.now() {
                Some(by) if by == *leader => {}
                Some(by) => return Err(format!("{leader} leads {group}, and {by} answers")),
                None => return Err(format!("{leader} leads {group}, and nobody answers")),
            }
        }
        Ok(holders[self.key()].to_string())
    }

    fn holders(&self) -> Result<Holders<'_>, String> {
        let present = self.addresses.present();
        self.groups
            .iter()
            .map(
                |group| match present.get(&group.address()).map(Vec::as_slice) {
                    Some([holder]) => Ok((group.key(), Arc::clone(holder))),
                    Some(holders) => Err(format!("{group} is on {holders:?}")),
                    None => Err(format!("{group} is on no host")),
                },
            )
            .collect()
    }

    /// Says who has an address and not the lock, or has no session.
    fn hold_locks(&self, holders: &Holders<'_>) -> Result<(), String> {
        let agent = self.hosts[0].agent();
        let sessions = agent.sessions().map_err(said)?;
        let idle = |host: &&Host| !sessions.iter().any(|s| s.node == host.name());
        if self.elects
            && let Some(idle) = self.hosts.iter().find(idle)
        {
            return Err(format!("{} has no session", idle.name()));
        }
        let nodes: BTreeMap<&str, &str> = sessions
            .iter()
            .map(|session| (session.id.as_str(), session.node.as_str()))
            .collect();
        let keys = self.keys(&agent).map_err(said)?;
        for group in &self.groups {
            let session = keys.get(group.key()).and_then(|key| key.session.as_deref());
            let session = session.ok_or_else(|| format!("nobody holds the lock of {group}"))?;
            let node = nodes.get(session).copied();
            let node = node.ok_or_else(|| format!("the session of {group} has ended"))?;
            let holder = holders[group.key()].as_ref();
            if node != holder {
                return Err(format!("{node} leads, and {group} is on {holder}"));
            }
        }
        Ok(())
    }

    /// Reads the trigger keys and what stands below them.
    fn keys(&self, agent: &Agent) -> Result<BTreeMap<String, Key>, Error> {
        let folder = self.key().rsplit_once('/').map_or("", |(folder, _)| folder);
        let keys = agent.keys_below(&format!("{folder}/"))?;
        Ok(keys.into_iter().map(|key| (key.key.clone(), key)).collect())
    }
}

fn said(error: Error) -> String {
    crate::chain(&error)
}
