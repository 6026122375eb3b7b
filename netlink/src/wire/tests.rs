//! The frames byte for byte, and read back by pnet's own decoders.

use pnet::packet::arp::ArpPacket;
use pnet::packet::ethernet::EthernetPacket;
use pnet::packet::icmpv6::ndp::NeighborAdvertPacket;
use pnet::packet::ipv6::Ipv6Packet;
use proptest::prelude::*;

use super::*;

const MAC: Mac = Mac([0x02, 0x00, 0x5e, 0x10, 0x00, 0x07]);
const V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);
const V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9);

#[test]
fn gratuitous_arp_golden_bytes() {
    let [request, reply] = gratuitous_arp(MAC, V4).unwrap();
    #[rustfmt::skip]
    let mut expected = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, // to everybody
        0x02, 0x00, 0x5e, 0x10, 0x00, 0x07, // from us
        0x08, 0x06,                         // ARP
        0x00, 0x01, 0x08, 0x00, 6, 4,       // Ethernet, IPv4, their lengths
        0x00, 0x01,                         // request
        0x02, 0x00, 0x5e, 0x10, 0x00, 0x07, // sender
        192, 0, 2, 9,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, // target
        192, 0, 2, 9,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // padding
    ];
    assert_eq!(request, expected);
    expected[21] = 0x02;
    expected[32..38].fill(0xff);
    assert_eq!(reply, expected);
}

#[test]
fn unsolicited_na_golden_bytes() {
    #[rustfmt::skip]
    let mut expected = [
        0x33, 0x33, 0x00, 0x00, 0x00, 0x01, // to all nodes
        0x02, 0x00, 0x5e, 0x10, 0x00, 0x07, // from us
        0x86, 0xdd,                         // IPv6
        0x60, 0x00, 0x00, 0x00,             // version 6
        0x00, 0x20, 58, 255,                // 32 bytes of ICMPv6, hop limit 255
        0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9,
        0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
        136, 0, 0x00, 0x00,                 // Neighbor Advertisement, checksum below
        0x20, 0x00, 0x00, 0x00,             // override
        0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9,
        2, 1,                               // target link-layer address, 8 bytes
        0x02, 0x00, 0x5e, 0x10, 0x00, 0x07,
    ];
    let checksum = checksum_by_hand(&expected);
    expected[56..58].copy_from_slice(&checksum.to_be_bytes());
    let encoded = |kind| unsolicited_na(MAC, V6, kind, Audience::Nodes).unwrap();
    assert_eq!(encoded(NodeKind::Host), expected);

    expected[56..58].fill(0);
    expected[58] = 0xa0;
    let checksum = checksum_by_hand(&expected);
    expected[56..58].copy_from_slice(&checksum.to_be_bytes());
    assert_eq!(encoded(NodeKind::Router), expected);

    // To all routers, overriding nothing.
    expected[5] = 2;
    expected[53] = 2;
    expected[56..58].fill(0);
    expected[58] = 0x00;
    let checksum = checksum_by_hand(&expected);
    expected[56..58].copy_from_slice(&checksum.to_be_bytes());
    let routers = unsolicited_na(MAC, V6, NodeKind::Host, Audience::Routers);
    assert_eq!(routers.unwrap(), expected);
}

#[test]
fn questions_golden_bytes() {
    #[rustfmt::skip]
    let expected = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0x02, 0x00, 0x5e, 0x10, 0x00, 0x07,
        0x08, 0x06,
        0x00, 0x01, 0x08, 0x00, 6, 4,
        0x00, 0x01,                         // request
        0x02, 0x00, 0x5e, 0x10, 0x00, 0x07, // sender
        0, 0, 0, 0,                         // who has no address yet
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        192, 0, 2, 9,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    assert_eq!(arp_probe(MAC, V4).unwrap(), expected);

    let asked: Ipv6Addr = "2001:db8::12:3456".parse().unwrap();
    #[rustfmt::skip]
    let mut expected = [
        0x33, 0x33, 0xff, 0x12, 0x34, 0x56, // to its solicited-node group
        0x02, 0x00, 0x5e, 0x10, 0x00, 0x07,
        0x86, 0xdd,
        0x60, 0x00, 0x00, 0x00,
        0x00, 0x18, 58, 255,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0x12, 0x34, 0x56,
        135, 0, 0x00, 0x00,                 // Neighbor Solicitation, checksum below
        0x00, 0x00, 0x00, 0x00,
        0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12, 0x34, 0x56,
    ];
    let checksum = checksum_by_hand(&expected);
    expected[56..58].copy_from_slice(&checksum.to_be_bytes());
    assert_eq!(solicitation(MAC, asked).unwrap(), expected);
}

/// RFC 1071 over RFC 8200's pseudo header (section 8.1), without pnet.
fn checksum_by_hand(frame: &[u8]) -> u16 {
    let pseudo = [0, 0, 0, frame[19], 0, 0, 0, 58];
    let covered = [&frame[22..54], &pseudo, &frame[54..]].concat();
    let mut sum: u32 = covered
        .chunks_exact(2)
        .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

proptest! {
    #[test]
    fn every_arp_frame_reads_back(mac: [u8; 6], vip: Ipv4Addr) {
        for frame in gratuitous_arp(Mac(mac), vip).unwrap() {
            let ethernet = EthernetPacket::new(&frame).unwrap();
            prop_assert_eq!(ethernet.get_source(), MacAddr::from(mac));
            prop_assert!(ethernet.get_destination().is_broadcast());
            let arp = ArpPacket::new(ethernet.payload()).unwrap();
            prop_assert_eq!(arp.get_sender_hw_addr(), MacAddr::from(mac));
            prop_assert_eq!(arp.get_sender_proto_addr(), vip);
            prop_assert_eq!(arp.get_target_proto_addr(), vip);
        }
    }

    #[test]
    fn every_advertisement_reads_back_and_its_checksum_verifies(mac: [u8; 6], vip: Ipv6Addr) {
        for kind in [NodeKind::Host, NodeKind::Router] {
            let frame = unsolicited_na(Mac(mac), vip, kind, Audience::Nodes).unwrap();
            // Over a correct checksum the sum is all ones, and its complement zero.
            prop_assert_eq!(checksum_by_hand(&frame), 0);

            let ethernet = EthernetPacket::new(&frame).unwrap();
            let ipv6 = Ipv6Packet::new(ethernet.payload()).unwrap();
            prop_assert_eq!(ipv6.get_source(), vip);
            prop_assert_eq!(ipv6.get_hop_limit(), 255);
            let advertisement = NeighborAdvertPacket::new(ipv6.payload()).unwrap();
            prop_assert_eq!(advertisement.get_target_addr(), vip);
            let options = advertisement.get_options();
            prop_assert_eq!(options.len(), 1);
            prop_assert_eq!(options[0].option_type, NdpOptionTypes::TargetLLAddr);
            prop_assert_eq!(&options[0].data[..], &mac[..]);
        }
    }
}
