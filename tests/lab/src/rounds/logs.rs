//! Applier: keeps what explains a failure, which would vanish with the sandbox.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use vip_lab::cluster::{Cluster, Group, ORDERS};
use vip_lab::time::since_start;
use vip_lab::witness::AddressEvent;

/// Copies every log to `target/chaos-SEED`, with the witnesses' record of the addresses; returns that
/// directory. All times are in seconds since the lab's start.
pub(super) fn keep(cluster: &Cluster, seed: u64) -> io::Result<PathBuf> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    let directory = target.join(format!("chaos-{seed}"));
    for host in cluster.hosts() {
        let kept = directory.join(host.name());
        std::fs::create_dir_all(&kept)?;
        for file in ["daemon.log", "consul.log", ORDERS] {
            let log = host.directory().join(file);
            // Not every host has had orders.
            if log.exists() {
                std::fs::copy(log, kept.join(file))?;
            }
        }
    }
    std::fs::write(directory.join("addresses.log"), addresses(cluster))?;
    directory.canonicalize()
}

fn addresses(cluster: &Cluster) -> String {
    let mut lines = String::new();
    let groups = cluster.groups().iter().map(Group::address);
    let ours: BTreeSet<IpAddr> = groups.collect();
    cluster.addresses().history().read(|events| {
        for event in events.iter().filter(|event| ours.contains(&event.address)) {
            let seconds = since_start(event.at).as_secs_f64();
            let AddressEvent {
                host,
                address,
                change,
                ..
            } = event;
            let _ = writeln!(lines, "{seconds:9.3} {host} {address} {change:?}");
        }
    });
    lines
}
