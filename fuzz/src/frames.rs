//! Frames: whatever the address, announcements are what the standards say, byte for byte, and are read as what they claim.
//! What others send is any bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vip_netlink::wire::Audience;
use vip_netlink::{Claim, Mac, NodeKind, wire};

const BROADCAST: [u8; 6] = [0xff; 6];
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// Six bytes of an Ethernet address, 16 of an IP address, and one that says what the host is.
pub(crate) fn take(input: &[u8]) {
    hear(input);
    let mut bytes = [0; 23];
    for (to, from) in bytes.iter_mut().zip(input) {
        *to = *from;
    }
    let mac: [u8; 6] = std::array::from_fn(|at| bytes[at]);
    let v6: [u8; 16] = std::array::from_fn(|at| bytes[6 + at]);
    let v4: [u8; 4] = std::array::from_fn(|at| bytes[6 + at]);
    arp(mac, v4.into());
    for (kind, flags) in [(NodeKind::Host, 0x20), (NodeKind::Router, 0xa0)] {
        advertisement(mac, v6.into(), kind, flags);
    }
}

/// Bytes from the network: who claims something is one that may be believed.
fn hear(input: &[u8]) {
    if let Some(claim) = Claim::read(input) {
        assert!(!claim.address.is_unspecified(), "{claim:?}");
    }
}

/// RFC 826's fields, as RFC 5227 fills them.
fn arp(mac: [u8; 6], vip: Ipv4Addr) {
    let frames = wire::gratuitous_arp(Mac(mac), vip).expect("it fits");
    for (frame, operation, target) in [(&frames[0], 1, [0; 6]), (&frames[1], 2, BROADCAST)] {
        let mut expected = Vec::new();
        expected.extend(BROADCAST);
        expected.extend(mac);
        expected.extend([0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, operation]);
        expected.extend(mac);
        expected.extend(vip.octets());
        expected.extend(target);
        expected.extend(vip.octets());
        expected.resize(wire::ARP_FRAME, 0);
        assert_eq!(frame[..], expected[..]);
        claims(frame, vip.into(), mac);
    }
}

fn claims(frame: &[u8], address: IpAddr, mac: [u8; 6]) {
    let claim = Claim {
        address,
        mac: Mac(mac),
    };
    let is_one = !address.is_unspecified() && (address.is_ipv4() || !address.is_multicast());
    assert_eq!(Claim::read(frame), is_one.then_some(claim));
}

/// RFC 4861, section 4.4.
fn advertisement(mac: [u8; 6], vip: Ipv6Addr, kind: NodeKind, flags: u8) {
    let frame = wire::unsolicited_na(Mac(mac), vip, kind, Audience::Nodes).expect("it fits");
    let mut expected = Vec::new();
    expected.extend(ALL_NODES_MAC);
    expected.extend(mac);
    expected.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255]);
    expected.extend(vip.octets());
    expected.extend(ALL_NODES.octets());
    expected.extend([136, 0]);
    // What the receiver does: with the checksum in it, the sum of all is nothing.
    expected.extend(&frame[56..58]);
    expected.extend([flags, 0, 0, 0]);
    expected.extend(vip.octets());
    expected.extend([2, 1]);
    expected.extend(mac);
    assert_eq!(frame[..], expected[..]);
    assert_eq!(sum(vip, &frame[54..]), 0xffff);
    claims(&frame, vip.into(), mac);
}

/// The sum of RFC 1071 over pseudo-header and message.
fn sum(source: Ipv6Addr, message: &[u8]) -> u16 {
    let length = u32::try_from(message.len()).expect("a frame is short");
    let mut all = Vec::new();
    all.extend(source.octets());
    all.extend(ALL_NODES.octets());
    all.extend(length.to_be_bytes());
    all.extend([0, 0, 0, 58]);
    all.extend(message);
    let mut sum: u32 = all
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}
