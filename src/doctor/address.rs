//! Pure: what the doctor thinks of one virtual IP: its interface, its network, and who else has it.

use std::net::IpAddr;

use super::report::Findings;
use crate::config::Vip;

/// What the kernel shows.
#[derive(Clone, Debug)]
pub struct Facts {
    /// What is wanted.
    pub vip: Vip,
    /// The interface; `None` where there is none of that name.
    pub link: Option<Link>,
    /// All addresses of this host but the virtual IP, each with its prefix length and interface.
    pub addresses: Vec<Own>,
    /// Where this host has the virtual IP, if it has.
    pub carried: Option<Carried>,
    /// Whether a daemon runs for the group here.
    pub daemon: Option<u32>,
    /// The trigger value of the leader, where there is one, and whether that is this host.
    pub leader: Option<(String, bool)>,
    /// Whether somebody on the network has the virtual IP; `None` where that was not tried.
    pub answers: Option<bool>,
    /// `arp_ignore` of the interface and of `all`, whichever is higher.
    pub arp_ignore: Option<u32>,
    /// Whether the kernel keeps secondary addresses.
    pub promote_secondaries: Option<bool>,
    /// Whether the interface has no IPv6.
    pub ipv6_disabled: Option<bool>,
    /// Lines of configuration files that name the virtual IP: file and line.
    pub named_in: Vec<(String, usize)>,
    /// Which program has configured the interface.
    pub configured_by: Option<&'static str>,
}

/// The interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// It is up, and has a carrier.
    pub up: bool,
    /// Neighbours find its addresses by ARP and NDP.
    pub ethernet: bool,
}

/// An address of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// The address.
    pub address: IpAddr,
    /// The prefix length.
    pub prefix: u8,
    /// Where it is.
    pub interface: String,
}

/// The virtual IP on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Where.
    pub interface: String,
    /// Whether vip-elector put it there; where that is not known, not.
    pub ours: bool,
}

/// Says what follows from the facts.
pub fn judge(facts: &Facts, findings: &mut Findings) {
    judge_link(facts, findings);
    judge_network(facts, findings);
    judge_carried(facts, findings);
    judge_rivals(facts, findings);
    judge_settings(facts, findings);
}

fn judge_link(facts: &Facts, findings: &mut Findings) {
    let interface = &facts.vip.interface;
    match facts.link {
        None => findings.problem(
            "interface",
            format!("there is no interface {interface}"),
            "ip link lists them; name the right one in the file",
        ),
        Some(Link { up: false, .. }) => findings.problem(
            "interface",
            format!("{interface} is down, or has no carrier: this host does not campaign"),
            format!("ip link set {interface} up, and look at the cable"),
        ),
        Some(Link {
            ethernet: false, ..
        }) => findings.warning(
            "interface",
            format!(
                "{interface} is no Ethernet interface: nobody can be told where the address is"
            ),
            "name the one that the clients are on",
        ),
        Some(Link {
            up: true,
            ethernet: true,
        }) => findings.ok("interface", format!("{interface} is up")),
    }
}

fn judge_network(facts: &Facts, findings: &mut Findings) {
    let Vip {
        address,
        prefix,
        interface,
        label: _,
        announcing: _,
    } = &facts.vip;
    let covers = |own: &&Own| same_network(own.address, *address, own.prefix);
    // A default route's length, or a single host, covers nothing.
    let networks = || {
        let real = |own: &&Own| (1..bits(own.address)).contains(&own.prefix);
        facts.addresses.iter().filter(real)
    };
    let here = networks()
        .filter(|own| own.interface == *interface)
        .find(covers);
    let elsewhere = networks()
        .filter(|own| own.interface != *interface)
        .find(covers);
    match (here, elsewhere) {
        (Some(own), _) if is_edge(*address, own.prefix) => findings.problem(
            "network",
            format!("{address} is the network's own or broadcast address in {}/{}", own.address, own.prefix),
            "choose another virtual IP",
        ),
        (Some(own), _) if own.prefix == *prefix => {
            findings.ok("network", format!("{address}/{prefix} is in the network of {}", own.address));
        }
        (Some(own), _) => findings.warning(
            "network",
            format!(
                "netmask is {prefix}, and {interface} has {}/{}",
                own.address, own.prefix
            ),
            format!("write netmask: {}", own.prefix),
        ),
        (None, Some(own)) => findings.problem(
            "network",
            format!(
                "{address} is in the network of {}/{} on {}, and not on {interface}",
                own.address, own.prefix, own.interface
            ),
            format!("write interface: {}, or another ip", own.interface),
        ),
        (None, None) => findings.warning(
            "network",
            format!("no address of {interface} is in the network of {address}/{prefix}"),
            format!("see that ip, netmask and interface are meant like that; {interface} needs a route to its clients"),
        ),
    }
    let shared = here.is_none() && *prefix < bits(*address);
    if shared && address.is_ipv4() && facts.promote_secondaries == Some(false) {
        findings.warning(
            "network",
            "an address that others add to the same network goes when the virtual IP goes",
            format!("sysctl -w net.ipv4.conf.{interface}.promote_secondaries=1"),
        );
    }
}

fn judge_carried(facts: &Facts, findings: &mut Findings) {
    let Vip {
        address, interface, ..
    } = &facts.vip;
    let leads = facts.leader.as_ref().is_some_and(|(_, here)| *here);
    let leader = facts.leader.as_ref().map(|(leader, _)| leader.as_str());
    match (&facts.carried, facts.daemon) {
        (Some(carried), Some(pid)) if carried.ours && carried.interface == *interface && leads => {
            findings.ok("address", format!("{address} is on {interface}, held by process {pid}"));
        }
        (Some(carried), Some(_)) if carried.ours => findings.warning(
            "address",
            format!("{address} is on {}, and this host does not lead", carried.interface),
            "look again: the daemon takes it off",
        ),
        (Some(carried), None) if carried.ours => findings.warning(
            "address",
            format!("{address} is on {}, left by a vip-elector that runs no more", carried.interface),
            "the kernel takes it off within seconds, unless --kernel-lease=off",
        ),
        (Some(carried), _) => findings.problem(
            "address",
            format!(
                "{address} is on {} already, and vip-elector did not put it there: this host does not campaign",
                carried.interface
            ),
            format!("stop what adds it, then ip address del {address} dev {}", carried.interface),
        ),
        (None, _) => match (leader, facts.answers) {
            (None, Some(true)) => findings.problem(
                "address",
                format!("nobody leads, and somebody on the network has {address}"),
                format!("find it, and take the address off there: ip neighbour show {address}"),
            ),
            (None, Some(false)) => findings.ok("address", format!("nobody has {address}")),
            (Some(leader), _) if leads => findings.problem(
                "address",
                format!("this host leads as {leader}, and has not the address"),
                "look at the daemon's log",
            ),
            (Some(leader), _) => {
                findings.ok("address", format!("{address} is {leader}'s, and not here"));
            }
            (None, None) => findings.ok("address", format!("{address} is not here")),
        },
    }
}

fn judge_rivals(facts: &Facts, findings: &mut Findings) {
    let address = facts.vip.address;
    for (file, line) in &facts.named_in {
        findings.problem(
            "rivals",
            format!("{file} line {line} names {address}: another program would add it, too"),
            "take it out there: no host may have the address but the leader",
        );
    }
    let interface = &facts.vip.interface;
    match facts.configured_by {
        Some(program @ "systemd-networkd") => findings.ok(
            "rivals",
            format!("{program} manages {interface}; its networkctl reconfigure takes the address off, and the daemon puts it back"),
        ),
        Some(program) => findings.ok(
            "rivals",
            format!("{program} manages {interface}; it leaves addresses of others alone"),
        ),
        None => {}
    }
}

fn judge_settings(facts: &Facts, findings: &mut Findings) {
    let Vip {
        address, interface, ..
    } = &facts.vip;
    if address.is_ipv4() && facts.arp_ignore.is_some_and(|ignore| ignore >= 8) {
        findings.problem(
            "kernel",
            format!("{interface} answers no ARP (arp_ignore=8): nobody would find {address}"),
            format!("sysctl -w net.ipv4.conf.{interface}.arp_ignore=1, and that of all"),
        );
    }
    if address.is_ipv6() && facts.ipv6_disabled == Some(true) {
        findings.problem(
            "kernel",
            format!("{interface} has no IPv6 (disable_ipv6=1)"),
            format!("sysctl -w net.ipv6.conf.{interface}.disable_ipv6=0"),
        );
    }
}

const fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The address as a number, and what its host part may hold.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn same_network(own: IpAddr, vip: IpAddr, prefix: u8) -> bool {
    let host_part = u32::from(bits(own).saturating_sub(prefix));
    own.is_ipv4() == vip.is_ipv4()
        && (number(own) ^ number(vip))
            .checked_shr(host_part)
            .unwrap_or(0)
            == 0
}

/// Whether it is the first or the last of an IPv4 network that has such (RFC 3021: not those of two).
fn is_edge(address: IpAddr, prefix: u8) -> bool {
    let host_bits = 32_u32.saturating_sub(prefix.into());
    if address.is_ipv6() || host_bits < 2 {
        return false;
    }
    let mask = (1_u128 << host_bits) - 1;
    [0, mask].contains(&(number(address) & mask))
}

#[cfg(test)]
mod tests;
