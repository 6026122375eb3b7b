//! Pure: the address at which other hosts reach this one.

use std::net::{IpAddr, SocketAddr};

/// An address that this host has, and the network it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own {
    /// The address.
    pub address: IpAddr,
    /// The prefix length of its network.
    pub prefix: u8,
}

/// Returns what to publish for a socket that listens on `listen`.
///
/// Where that names an address, it is that one. Else it is one of `own`, which are the settled
/// addresses of the interface that the virtual IP goes to, in the kernel's order: of the virtual IP's
/// network if there is one, else of its family, else any. Virtual IPs are never chosen, because they
/// move, nor are addresses that mean nothing on other hosts. `None` where nothing is left.
pub fn on_interface(
    listen: SocketAddr,
    vip: IpAddr,
    other_vips: &[IpAddr],
    own: &[Own],
) -> Option<SocketAddr> {
    if !listen.ip().is_unspecified() {
        return Some(listen);
    }
    let closeness = |own: &&Own| match (same_network(own, vip), same_family(own.address, vip)) {
        (true, _) => 0,
        (false, true) => 1,
        (false, false) => 2,
    };
    own.iter()
        .filter(|own| own.address != vip && !other_vips.contains(&own.address))
        .filter(|own| is_heard(listen, own.address) && is_global(own.address))
        .min_by_key(closeness)
        .map(|own| (own.address, listen.port()).into())
}

/// Returns what to publish for a socket that listens on `listen`, on a host whose virtual IP is
/// somebody else's to hold, and may not be known here.
///
/// Where `listen` names an address, it is that one. Else it is the first of `sources`, which are the
/// addresses that the kernel would send from, to Consul and then to anywhere, that means something on
/// other hosts.
pub fn on_route(listen: SocketAddr, sources: &[IpAddr]) -> Option<SocketAddr> {
    if !listen.ip().is_unspecified() {
        return Some(listen);
    }
    sources
        .iter()
        .find(|source| is_heard(listen, **source) && is_global(**source))
        .map(|source| (*source, listen.port()).into())
}

/// Whether a socket for any address hears what is sent to this one: `[::]` hears both families.
const fn is_heard(listen: SocketAddr, address: IpAddr) -> bool {
    listen.is_ipv6() || address.is_ipv4()
}

/// Whether an address names the same host everywhere, or at least in a site.
const fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            !(v4.is_loopback()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_multicast()
                || v4.is_broadcast())
        }
        IpAddr::V6(v6) => {
            !(v6.is_loopback()
                || v6.is_unicast_link_local()
                || v6.is_unspecified()
                || v6.is_multicast())
        }
    }
}

const fn same_family(one: IpAddr, other: IpAddr) -> bool {
    one.is_ipv4() == other.is_ipv4()
}

fn same_network(own: &Own, address: IpAddr) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()) << (u128::BITS - u32::BITS),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    let differing = bits(own.address) ^ bits(address);
    same_family(own.address, address) && differing.leading_zeros() >= own.prefix.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: &str = "[::]:8547";
    const ANY_V4: &str = "0.0.0.0:8547";

    fn own(written: &[&str]) -> Vec<Own> {
        let read = |text: &&str| {
            let (address, prefix) = text.split_once('/').unwrap();
            Own {
                address: address.parse().unwrap(),
                prefix: prefix.parse().unwrap(),
            }
        };
        written.iter().map(read).collect()
    }

    #[test]
    fn the_address_is_the_hosts_own_one_nearest_to_the_vip() {
        let v4 = "192.0.2.100";
        let v6 = "2001:db8::100";
        for (listen, vip, addresses, expected) in [
            // As listened on, whatever the interface has.
            (
                "198.51.100.7:99",
                v4,
                &["192.0.2.1/24"][..],
                Some("198.51.100.7:99"),
            ),
            ("[2001:db8::9]:99", v4, &[], Some("[2001:db8::9]:99")),
            // Never the virtual one, whose prefix may be the network's.
            (
                ANY,
                v4,
                &["192.0.2.100/24", "192.0.2.1/24"],
                Some("192.0.2.1:8547"),
            ),
            (ANY, v4, &["192.0.2.100/24"], None),
            // Nor another group's.
            (ANY, v4, &["192.0.2.99/32"], None),
            // The virtual IP's network first, in the kernel's order.
            (
                ANY,
                v4,
                &["10.0.0.1/8", "192.0.2.1/24", "192.0.2.2/24"],
                Some("192.0.2.1:8547"),
            ),
            (
                ANY,
                v4,
                &["192.0.2.1/27", "192.0.2.2/24"],
                Some("192.0.2.2:8547"),
            ),
            (
                ANY,
                v6,
                &["2001:db8:1::1/64", "2001:db8::1/64"],
                Some("[2001:db8::1]:8547"),
            ),
            // Then its family.
            (
                ANY,
                v4,
                &["2001:db8::1/64", "10.0.0.1/8"],
                Some("10.0.0.1:8547"),
            ),
            (
                ANY,
                v6,
                &["192.0.2.1/24", "2001:db8:1::1/64"],
                Some("[2001:db8:1::1]:8547"),
            ),
            // Then any that the socket hears.
            (
                ANY,
                v6,
                &["192.0.2.1/24", "fe80::1/64"],
                Some("192.0.2.1:8547"),
            ),
            (ANY, v4, &["2001:db8::1/64"], Some("[2001:db8::1]:8547")),
            (ANY_V4, v4, &["2001:db8::1/64"], None),
            (
                ANY_V4,
                v6,
                &["2001:db8::1/64", "192.0.2.1/24"],
                Some("192.0.2.1:8547"),
            ),
            // None that means nothing elsewhere.
            (
                ANY,
                v4,
                &["127.0.0.1/8", "169.254.1.1/16", "::1/128", "fe80::1/64"],
                None,
            ),
            (ANY, v4, &[], None),
            // Prefixes at the ends of their range.
            (ANY, v4, &["10.0.0.1/0"], Some("10.0.0.1:8547")),
            (ANY, v6, &["2001:db8::1/128"], Some("[2001:db8::1]:8547")),
        ] {
            let others = ["192.0.2.99".parse().unwrap()];
            let listen = listen.parse().unwrap();
            let chosen = on_interface(listen, vip.parse().unwrap(), &others, &own(addresses));
            let expected = expected.map(|text| text.parse().unwrap());
            assert_eq!(chosen, expected, "{listen} for {vip} with {addresses:?}");
        }
    }

    #[test]
    fn without_an_interface_the_routes_tell() {
        for (listen, sources, expected) in [
            ("198.51.100.7:99", &[][..], Some("198.51.100.7:99")),
            (
                ANY,
                &["127.0.0.1", "192.0.2.1", "192.0.2.2"],
                Some("192.0.2.1:8547"),
            ),
            (
                ANY,
                &["::1", "fe80::1", "2001:db8::1"],
                Some("[2001:db8::1]:8547"),
            ),
            (
                ANY_V4,
                &["2001:db8::1", "192.0.2.1"],
                Some("192.0.2.1:8547"),
            ),
            (ANY, &["127.0.0.1"], None),
            (ANY, &[], None),
        ] {
            let sources: Vec<IpAddr> = sources.iter().map(|text| text.parse().unwrap()).collect();
            let expected = expected.map(|text| text.parse().unwrap());
            assert_eq!(
                on_route(listen.parse().unwrap(), &sources),
                expected,
                "{sources:?}"
            );
        }
    }
}
