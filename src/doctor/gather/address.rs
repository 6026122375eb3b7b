//! Applier: asks the kernel for a virtual IP, its interface, and the addresses beside it.

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::if_nametoindex;
use tokio::net::UdpSocket;
use tokio::time::timeout;
use vip_netlink::{Netlink, promote_secondaries};

use crate::config::Vip;
use crate::doctor::address::{Carried, Facts, Link, Own};

/// How long somebody on the network may take to answer; ARP asks three times, a second apart.
const ANSWERS_WITHIN: Duration = Duration::from_millis(1500);

/// Discard (RFC 863): whoever has the address refuses it, or throws away what comes.
const DISCARD: u16 = 9;

/// Where programs keep the addresses that they add at boot.
const CONFIGURATIONS: [&str; 9] = [
    "/etc/keepalived",
    "/etc/network",
    "/etc/network/interfaces.d",
    "/etc/netplan",
    "/etc/systemd/network",
    "/run/systemd/network",
    "/etc/NetworkManager/system-connections",
    "/etc/sysconfig/network-scripts",
    "/etc/sysconfig/network",
];

/// More of a file is not read, in bytes.
const MOST_READ: u64 = 256 * 1024;

/// Looks at one virtual IP. Whether somebody on the network has it is asked only where nobody should.
pub(super) async fn look(vip: &Vip, daemon: Option<u32>, leader: Option<(String, bool)>) -> Facts {
    let all = addresses();
    let carried = carried(vip, &all).await;
    let addresses: Vec<_> = all
        .into_iter()
        .filter(|own| own.address != vip.address)
        .collect();
    let answers = match (&leader, &carried) {
        (None, None) => Some(answers(vip.address).await),
        (_, _) => None,
    };
    let interface = &vip.interface;
    Facts {
        vip: vip.clone(),
        link: link(interface).await,
        addresses,
        carried,
        daemon,
        leader,
        answers,
        arp_ignore: setting("ipv4", interface, "arp_ignore").max(setting(
            "ipv4",
            "all",
            "arp_ignore",
        )),
        promote_secondaries: promote_secondaries(interface),
        ipv6_disabled: setting("ipv6", interface, "disable_ipv6").map(|value| value != 0),
        named_in: named_in(vip.address),
        configured_by: configured_by(interface),
    }
}

/// All addresses of this host.
pub(super) fn addresses() -> Vec<Own> {
    let Ok(all) = getifaddrs() else {
        return Vec::new();
    };
    let own = |one: nix::ifaddrs::InterfaceAddress| {
        let (address, mask) = (one.address?, one.netmask?);
        let (address, prefix): (IpAddr, u32) = match (
            address.as_sockaddr_in(),
            mask.as_sockaddr_in(),
            address.as_sockaddr_in6(),
            mask.as_sockaddr_in6(),
        ) {
            (Some(address), Some(mask), _, _) => {
                (address.ip().into(), mask.ip().to_bits().leading_ones())
            }
            (_, _, Some(address), Some(mask)) => {
                (address.ip().into(), mask.ip().to_bits().leading_ones())
            }
            (_, _, _, _) => return None,
        };
        Some(Own {
            address,
            prefix: u8::try_from(prefix).ok()?,
            interface: one.interface_name,
        })
    };
    all.filter_map(own).collect()
}

async fn link(interface: &str) -> Option<Link> {
    let netlink = Netlink::open().ok()?;
    let link = netlink.link(interface).await.ok()??;
    Some(Link {
        up: link.up && link.carrier,
        ethernet: link.arp && link.mac.is_some(),
    })
}

async fn carried(vip: &Vip, all: &[Own]) -> Option<Carried> {
    let interface = all.iter().find(|own| own.address == vip.address)?;
    let interface = interface.interface.clone();
    let ours = is_marked(&interface, vip.address).await.unwrap_or(false);
    Some(Carried { interface, ours })
}

async fn is_marked(interface: &str, address: IpAddr) -> Option<bool> {
    let netlink = Netlink::open().ok()?;
    let link = netlink.link(interface).await.ok()??;
    let addresses = netlink.addresses(&link).await.ok()?;
    let mut same = addresses.iter().filter(|one| one.address == address);
    Some(same.any(vip_netlink::Address::is_ours))
}

/// Whether a datagram to the address comes to somebody, as far as ARP or a refusal tells.
async fn answers(address: IpAddr) -> bool {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let refused = async {
        let socket = UdpSocket::bind((any, 0)).await.ok()?;
        socket
            .connect(SocketAddr::new(address, DISCARD))
            .await
            .ok()?;
        socket.send(&[]).await.ok()?;
        let mut nothing = [0; 1];
        let answer = socket.recv(&mut nothing).await;
        Some(match answer {
            Ok(_) => true,
            Err(error) => error.kind() == ErrorKind::ConnectionRefused,
        })
    };
    let refused = timeout(ANSWERS_WITHIN, refused).await;
    refused.ok().flatten().unwrap_or(false) || is_neighbour(address)
}

/// Whether ARP found the address (`/proc/net/arp`, proc(5)): flag 2 is a complete entry.
fn is_neighbour(address: IpAddr) -> bool {
    let Ok(table) = fs::read_to_string("/proc/net/arp") else {
        return false;
    };
    let address = address.to_string();
    table.lines().any(|line| {
        let mut words = line.split_whitespace();
        words.next() == Some(&address) && words.nth(1).is_some_and(|flags| flags == "0x2")
    })
}

fn setting(family: &str, interface: &str, name: &str) -> Option<u32> {
    let path = format!("/proc/sys/net/{family}/conf/{interface}/{name}");
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The lines of other programs' files that name the address.
fn named_in(address: IpAddr) -> Vec<(String, usize)> {
    let address = address.to_string();
    let mut found = Vec::new();
    for directory in CONFIGURATIONS.map(Path::new) {
        let Ok(entries) = fs::read_dir(directory) else {
            continue;
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            let small =
                fs::metadata(&path).is_ok_and(|data| data.is_file() && data.len() < MOST_READ);
            let Some(text) = small.then(|| fs::read_to_string(&path).ok()).flatten() else {
                continue;
            };
            let names = |line: &str| names(line, &address);
            let line = text.lines().position(names);
            found.extend(line.map(|line| (path.display().to_string(), line + 1)));
        }
    }
    found.sort();
    found
}

/// Whether a line that is no comment names an address, and not only one that begins or ends like it.
fn names(line: &str, address: &str) -> bool {
    let line = line.trim_start();
    let part = |c: char| !(c.is_ascii_hexdigit() || c == '.' || c == ':');
    !line.starts_with(['#', ';', '!']) && line.split(part).any(|word| word == address)
}

/// Which program has configured an interface, by what it leaves in /run.
fn configured_by(interface: &str) -> Option<&'static str> {
    let index = if_nametoindex(interface).ok()?;
    let says = |path: String, words: &str| {
        fs::read_to_string(path).is_ok_and(|text| text.lines().any(|line| line == words))
    };
    if says(
        format!("/run/systemd/netif/links/{index}"),
        "ADMIN_STATE=configured",
    ) {
        Some("systemd-networkd")
    } else if says(
        format!("/run/NetworkManager/devices/{index}"),
        "managed=full",
    ) {
        Some("NetworkManager")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_an_address_only_as_a_whole() {
        for (line, expected) in [
            ("  address 192.0.2.1/24", true),
            ("address1=192.0.2.1/24,192.0.2.254", true),
            ("Address=192.0.2.1", true),
            ("- 192.0.2.1/24", true),
            ("192.0.2.1", true),
            ("address 192.0.2.10", false),
            ("address 1192.0.2.1", false),
            ("# address 192.0.2.1", false),
            ("; Address=192.0.2.1", false),
            ("gateway 192.0.2.254", false),
        ] {
            assert_eq!(names(line, "192.0.2.1"), expected, "{line}");
        }
        assert!(names("Address=2001:db8::1/64", "2001:db8::1"));
        assert!(!names("Address=2001:db8::12/64", "2001:db8::1"));
    }
}
