//! Applier: what can happen to what the daemons tell one another without Consul.

use crate::cluster::{Cluster, Error};

/// The UDP port of heartbeats.
const PORT: &str = "8547";
/// The priority of the rules by which packets vanish: before the tables of routes, and nobody else's.
const PRIORITY: &str = "8547";

impl Cluster {
    /// Has heartbeats from one host to another vanish.
    pub fn cut_heartbeats(&mut self, from: &str, to: &str) -> Result<(), Error> {
        let to = self.host(to)?.address().to_string();
        self.swallow(from, &["to", &to])
    }

    /// Has all heartbeats of a host vanish.
    pub fn cut_all_heartbeats(&mut self, from: &str) -> Result<(), Error> {
        self.swallow(from, &[])
    }

    /// Has every heartbeat arrive again.
    pub fn heal_heartbeats(&mut self) -> Result<(), Error> {
        let ours = ["priority", PRIORITY];
        let command = |verb| [&["rule", verb], &ours[..]].concat();
        for host in self.hosts() {
            let namespace = host.namespace();
            while !namespace.ip(&command("show"))?.trim().is_empty() {
                namespace.ip(&command("delete"))?;
            }
        }
        Ok(())
    }

    fn swallow(&self, from: &str, which: &[&str]) -> Result<(), Error> {
        let all = ["ipproto", "udp", "dport", PORT];
        let rule = [
            &["rule", "add", "priority", PRIORITY],
            which,
            &all,
            &["blackhole"],
        ]
        .concat();
        self.host(from)?.namespace().ip(&rule)?;
        Ok(())
    }
}
