//! Pure: with which prefix length a VIP disturbs nobody.

use std::net::IpAddr;

use crate::address::{Address, Vip, address_bits};

/// Chooses the prefix length for `vip` on an interface that has `others`.
///
/// Where another address of the interface covers the VIP, the VIP is added as a single host (/32 or
/// /128): its network is reachable already. With that network's own prefix length instead, the
/// kernel would make one of the two a secondary of the other, and delete it together with its
/// primary: the host's address with the VIP, or the VIP with the host's address
/// (`promote_secondaries`, Linux `ip-sysctl`). Only where nothing covers the VIP does it need
/// `configured`, for the route to its network.
///
/// The VIP itself among `others` does not count, so that the answer stays the same once it is there.
/// Nor do single hosts, which cover nothing: [`crate::Tables::networks`] are enough.
/// A `configured` that is longer than the address counts as a single host.
pub fn prefix_for<'a>(
    vip: IpAddr,
    configured: u8,
    mut others: impl Iterator<Item = &'a Address>,
) -> u8 {
    let host = address_bits(vip);
    let brings = |other: &Address| {
        Vip::new(other.address, other.prefix).is_some_and(|network| covers(network, vip))
    };
    let covered = others.any(|other| other.address != vip && brings(other));
    if covered { host } else { configured.min(host) }
}

/// Whether an address lies in the network of another one.
pub(crate) fn covers(network: Vip, address: IpAddr) -> bool {
    match (network.address(), address) {
        (IpAddr::V4(own), IpAddr::V4(other)) => same_network(
            own.to_bits().into(),
            other.to_bits().into(),
            network.prefix(),
            32,
        ),
        (IpAddr::V6(own), IpAddr::V6(other)) => {
            same_network(own.to_bits(), other.to_bits(), network.prefix(), 128)
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

fn same_network(a: u128, b: u128, prefix: u8, bits: u8) -> bool {
    let host_part = u32::from(bits.saturating_sub(prefix));
    ((a ^ b).checked_shr(host_part).unwrap_or(0)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other(text: &str) -> Address {
        let (address, prefix) = text.split_once('/').unwrap();
        Address {
            address: address.parse().unwrap(),
            prefix: prefix.parse().unwrap(),
            valid: None,
            protocol: None,
            tentative: false,
            dad_failed: false,
        }
    }

    #[test]
    fn host_prefix_wherever_the_network_is_covered() {
        // vip, configured, other addresses, expected
        let cases: &[(&str, u8, &[&str], u8)] = &[
            ("192.0.2.9", 24, &[], 24),
            ("192.0.2.9", 24, &["192.0.2.1/24"], 32),
            ("192.0.2.9", 24, &["192.0.2.1/16"], 32),
            ("192.0.2.9", 24, &["192.0.2.1/29"], 24),
            ("192.0.2.9", 24, &["192.0.2.8/31"], 32),
            ("192.0.2.9", 24, &["192.0.2.1/32"], 24),
            ("192.0.2.9", 24, &["198.51.100.1/24"], 24),
            ("192.0.2.9", 24, &["198.51.100.1/24", "192.0.2.1/24"], 32),
            ("192.0.2.9", 24, &["10.0.0.1/0"], 32),
            ("192.0.2.9", 32, &[], 32),
            ("192.0.2.9", 24, &["192.0.2.9/24"], 24),
            ("192.0.2.9", 24, &["192.0.2.9/24", "192.0.2.1/24"], 32),
            ("192.0.2.9", 24, &["::ffff:192.0.2.1/1", "fe80::1/64"], 24),
            ("192.0.2.9", 64, &[], 32),
            ("2001:db8::9", 64, &[], 64),
            ("2001:db8::9", 64, &["fe80::1/64"], 64),
            ("2001:db8::9", 64, &["2001:db8::1/64"], 128),
            ("2001:db8::9", 64, &["2001:db8::1/127"], 64),
            ("2001:db8::9", 64, &["2001:db8::8/127"], 128),
            ("2001:db8::9", 64, &["fe80::1/0"], 128),
            ("2001:db8::9", 64, &["192.0.2.1/0"], 64),
        ];
        for (vip, configured, others, expected) in cases {
            let others: Vec<_> = others.iter().map(|text| other(text)).collect();
            let got = prefix_for(vip.parse().unwrap(), *configured, others.iter());
            assert_eq!(got, *expected, "{vip}/{configured} beside {others:?}");
        }
    }
}
