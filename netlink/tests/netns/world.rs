//! Two hosts and what iproute2 says about them.

use std::error::Error;
use std::future::Future;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;
use tokio::time::timeout;
use vip_lab::netns::Namespace;
use vip_netlink::{Lifetime, Link, Netlink, Tables, Vip};

pub(crate) type Anything = Box<dyn Error + Send + Sync>;
pub(crate) type Outcome = Result<(), Anything>;

pub(crate) const MAC: [u8; 6] = [0x02, 0x00, 0x5e, 0x10, 0x00, 0x07];
/// How long anything may take on a machine that is busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// How iproute2 shows a lifetime without end.
pub(crate) const FOREVER: u64 = 0xffff_ffff;

/// `host` has 192.0.2.1/24 and 2001:db8::1/64 on `eth0`, `peer` has .2 and ::2 on its own.
pub(crate) struct World {
    pub(crate) host: Namespace,
    pub(crate) peer: Namespace,
}

/// Wraps a test that runs on `host`, on a current-thread runtime.
pub(crate) fn trial<F, R>(name: &str, test: F) -> Trial
where
    F: FnOnce(World) -> R + Send + 'static,
    R: Future<Output = Outcome>,
{
    Trial::test(name, move || {
        run(test).map_err(|error| Failed::from(error.to_string()))
    })
}

fn run<F, R>(test: F) -> Outcome
where
    F: FnOnce(World) -> R + Send,
    R: Future<Output = Outcome>,
{
    let world = World::new()?;
    let host = world.host.clone();
    host.enter(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(test(world))
    })?
}

impl World {
    fn new() -> Result<Self, Anything> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let host = Namespace::new(&format!("host{number}"))?;
        let peer = Namespace::new(&format!("peer{number}"))?;
        let cable = [
            "link", "add", "eth0", "type", "veth", "peer", "name", "eth0",
        ];
        host.ip(&[&cable[..], &["netns", peer.name()]].concat())?;
        host.ip(&["link", "set", "eth0", "address", "02:00:5e:10:00:07"])?;
        for (namespace, v4, v6) in [
            (&host, "192.0.2.1/24", "2001:db8::1/64"),
            (&peer, "192.0.2.2/24", "2001:db8::2/64"),
        ] {
            // No link-local addresses: their detection would be heard on the cable.
            namespace.ip(&["link", "set", "eth0", "addrgenmode", "none"])?;
            namespace.ip(&["link", "set", "eth0", "up"])?;
            namespace.ip(&["address", "add", v4, "dev", "eth0"])?;
            namespace.ip(&["address", "add", v6, "dev", "eth0", "nodad"])?;
        }
        Ok(Self { host, peer })
    }

    /// Has iproute2 do many things in one process, in this namespace.
    pub(crate) fn batch(&self, lines: &str) -> Outcome {
        let file = std::env::temp_dir().join(format!("{}-batch", self.host.name()));
        std::fs::write(&file, lines)?;
        let done = self.host.ip(&["-batch", &file.to_string_lossy()]);
        std::fs::remove_file(&file)?;
        done?;
        Ok(())
    }

    /// Returns what `ip -j address` says about `eth0`'s address, with this prefix length.
    pub(crate) fn witness(&self, vip: Vip) -> Result<Option<Value>, Anything> {
        let text = self.host.ip(&["-j", "address", "show", "dev", "eth0"])?;
        let links: Vec<Value> = serde_json::from_str(&text)?;
        let addresses = links
            .iter()
            .filter_map(|link| link["addr_info"].as_array())
            .flatten();
        let (address, prefix) = (vip.address().to_string(), vip.prefix());
        let mut found = addresses
            .filter(|entry| entry["local"] == address.as_str() && entry["prefixlen"] == prefix);
        Ok(found.next().cloned())
    }

    /// As [`World::witness`], for an address that must be there.
    pub(crate) fn there(&self, vip: Vip) -> Result<Value, Anything> {
        self.witness(vip)?
            .ok_or_else(|| format!("{vip} is not there").into())
    }
}

/// A single host's address.
pub(crate) fn host(address: &str) -> Result<Vip, Anything> {
    Ok(Vip::host(address.parse::<IpAddr>()?))
}

pub(crate) fn vip(address: &str, prefix: u8) -> Result<Vip, Anything> {
    Vip::new(address.parse::<IpAddr>()?, prefix).ok_or_else(|| "no such prefix".into())
}

pub(crate) fn seconds(seconds: u64) -> Result<Lifetime, Anything> {
    Lifetime::seconds(seconds).ok_or_else(|| "no such lifetime".into())
}

/// Looks up an interface that is there.
pub(crate) async fn link(netlink: &Netlink, name: &str) -> Result<Link, Anything> {
    netlink
        .link(name)
        .await?
        .ok_or_else(|| format!("{name} is missing").into())
}

/// Waits until something is seen of `eth0` or its networks.
pub(crate) async fn until(netlink: &Netlink, seen: impl Fn(&Tables) -> bool) -> Outcome {
    let mut changes = netlink.changes("eth0", "192.0.2.9".parse()?);
    while !netlink.look(&seen).await? {
        timeout(PATIENCE, changes.next()).await??;
    }
    Ok(())
}
