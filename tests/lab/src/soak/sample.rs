//! Applier: one look at the daemons and at Consul.

use std::fs;

use anyhow::Context;
use vip_lab::cluster::{Cluster, Host};

/// What there is at one moment.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// Of each daemon that lives all the time, in the order of their hosts.
    pub(super) daemons: Vec<Daemon>,
    /// Sessions in Consul.
    pub(super) sessions: usize,
    /// Services of ours.
    pub(super) services: usize,
    /// Keys.
    pub(super) keys: usize,
}

/// What a daemon has.
#[derive(Clone, Debug)]
pub(super) struct Daemon {
    pub(super) host: String,
    /// Resident memory, in KiB.
    pub(super) memory: u64,
    /// Open files.
    pub(super) files: usize,
    /// Threads.
    pub(super) threads: u64,
    /// What it has logged so far, in bytes.
    pub(super) logged: usize,
}

/// Looks at Consul, and at every daemon but that of `mortal`.
pub(super) fn take(cluster: &Cluster, mortal: &str) -> anyhow::Result<Sample> {
    let agent = cluster.hosts()[0].agent();
    let services: Vec<serde_json::Value> = agent.get("/v1/catalog/service/vip-elector")?;
    let keys: Vec<String> = agent.get("/v1/kv/?keys")?;
    Ok(Sample {
        daemons: cluster
            .others(mortal)
            .map(daemon)
            .collect::<Result<_, _>>()?,
        sessions: agent.sessions()?.len(),
        services: services.len(),
        keys: keys.len(),
    })
}

fn daemon(host: &Host) -> anyhow::Result<Daemon> {
    let name = host.name();
    let process = host.daemon().id().context("a daemon does not run")?;
    let field = |field: &str| -> anyhow::Result<u64> {
        let value = host.daemon().status_field(field)?.unwrap_or_default();
        let number = value.split_whitespace().next().unwrap_or_default();
        number
            .parse()
            .with_context(|| format!("{name}: {field} is {value:?}"))
    };
    Ok(Daemon {
        host: name.to_owned(),
        memory: field("VmRSS")?,
        files: fs::read_dir(format!("/proc/{process}/fd"))?.count(),
        threads: field("Threads")?,
        logged: host
            .log()
            .read(|lines| lines.iter().map(|line| line.text.len() + 1).sum()),
    })
}
