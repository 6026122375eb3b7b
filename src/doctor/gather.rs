//! Applier: finds the facts. Nothing on this host, on its network or in Consul is different afterwards, but for
//! a neighbour's entry in the kernel's table.

mod address;
mod consul;
mod host;

use crate::config::Config;
use crate::consul::Client;
use crate::doctor::{self, group};

/// Everything that is looked at.
pub(super) struct Facts {
    pub(super) consul: doctor::consul::Facts,
    pub(super) host: doctor::host::Facts,
    /// Each group by its trigger key, with its addresses where they are held here.
    pub(super) groups: Vec<(group::Facts, Vec<doctor::address::Facts>)>,
}

/// Looks at everything, within a minute.
pub(super) async fn look(config: &Config, client: &Client, host_name: &str) -> Facts {
    let host = host::look(config);
    let own: Vec<_> = address::addresses()
        .into_iter()
        .map(|own| own.address)
        .collect();
    let consul = consul::shared(config, client, &own).await;
    let mut groups = Vec::new();
    for (group, (_, daemon)) in config.groups.iter().zip(&host.daemons) {
        let facts = consul::group(group, host_name, client).await;
        let leader = facts.leader().map(|leader| {
            let here = leader == group.trigger_value;
            (leader, here)
        });
        let mut addresses = Vec::new();
        for vip in &group.vips {
            addresses.push(address::look(vip, *daemon, leader.clone()).await);
        }
        groups.push((facts, addresses));
    }
    Facts {
        consul,
        host,
        groups,
    }
}
