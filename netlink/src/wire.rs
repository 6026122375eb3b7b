//! Pure: the frames that tell the neighbours where an address is now.
//!
//! Every function returns `None` only if one of this file's lengths were too small for pnet's packet
//! types, which the tests rule out.

use std::net::{Ipv4Addr, Ipv6Addr};

use pnet::packet::Packet;
use pnet::packet::arp::{Arp, ArpHardwareTypes, ArpOperation, ArpOperations, MutableArpPacket};
use pnet::packet::ethernet::{EtherType, EtherTypes, Ethernet, MutableEthernetPacket};
use pnet::packet::icmpv6::ndp::{
    Icmpv6Codes, MutableNeighborAdvertPacket, NdpOption, NdpOptionTypes, NeighborAdvert,
    NeighborAdvertFlags,
};
use pnet::packet::icmpv6::{self, Icmpv6Packet, Icmpv6Types};
use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::packet::ipv6::{Ipv6, MutableIpv6Packet};
use pnet::util::MacAddr;

use crate::link::Mac;

/// The length of an Ethernet header.
const ETHERNET: usize = 14;
/// The shortest Ethernet frame, without its check sequence; ARP's 42 bytes are padded to it.
pub const ARP_FRAME: usize = 60;
/// The length of an IPv6 header.
const IPV6: usize = 40;
/// A Neighbor Advertisement with one link-layer address option (RFC 4861 section 4.4).
const ADVERTISEMENT: usize = 32;
/// Ethernet, IPv6 and the Neighbor Advertisement.
pub const NA_FRAME: usize = ETHERNET + IPV6 + ADVERTISEMENT;

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: MacAddr = MacAddr(0x33, 0x33, 0, 0, 0, 1);

/// What a neighbour should take the sender for (the R flag, RFC 4861 section 4.4).
///
/// Neighbours that use the sender as a default router stop doing so when it says that it is none
/// (section 7.2.5), so this says what the interface does (see [`crate::ipv6_forwarding`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// It does not forward.
    Host,
    /// It forwards.
    Router,
}

/// Encodes a gratuitous ARP request and a gratuitous ARP reply, in this order.
///
/// Both, because receivers differ in which one they believe. The request is RFC 5227's announcement
/// (section 2.3): sender and target are the VIP, the target hardware address is zero. The reply has
/// the target hardware address of the frame it is in, broadcast, because switches that inspect ARP
/// compare the two in replies.
pub fn gratuitous_arp(mac: Mac, vip: Ipv4Addr) -> Option<[[u8; ARP_FRAME]; 2]> {
    let request = arp(ArpOperations::Request, mac, vip, MacAddr::zero())?;
    let reply = arp(ArpOperations::Reply, mac, vip, MacAddr::broadcast())?;
    Some([request, reply])
}

/// Encodes an unsolicited Neighbor Advertisement to all nodes (RFC 4861 section 7.2.6).
///
/// It overrides what the neighbours have (O), answers nobody (not S), and comes from the VIP itself,
/// so that it needs no other address.
pub fn unsolicited_na(mac: Mac, vip: Ipv6Addr, kind: NodeKind) -> Option<[u8; NA_FRAME]> {
    let mut frame = [0; NA_FRAME];
    ethernet(&mut frame, mac, ALL_NODES_MAC, EtherTypes::Ipv6)?;
    MutableIpv6Packet::new(&mut frame[ETHERNET..])?.populate(&Ipv6 {
        version: 6,
        traffic_class: 0,
        flow_label: 0,
        payload_length: ADVERTISEMENT as u16,
        next_header: IpNextHeaderProtocols::Icmpv6,
        // Anything less has been forwarded, and is ignored (RFC 4861 section 7.1.2).
        hop_limit: 255,
        source: vip,
        destination: ALL_NODES,
        payload: Vec::new(),
    });
    let mut advertisement = MutableNeighborAdvertPacket::new(&mut frame[ETHERNET + IPV6..])?;
    advertisement.populate(&NeighborAdvert {
        icmpv6_type: Icmpv6Types::NeighborAdvert,
        icmpv6_code: Icmpv6Codes::NoCode,
        checksum: 0,
        flags: match kind {
            NodeKind::Host => NeighborAdvertFlags::Override,
            NodeKind::Router => NeighborAdvertFlags::Override | NeighborAdvertFlags::Router,
        },
        reserved: 0,
        target_addr: vip,
        options: vec![NdpOption {
            option_type: NdpOptionTypes::TargetLLAddr,
            // In units of 8 bytes.
            length: 1,
            data: mac.0.to_vec(),
        }],
        payload: Vec::new(),
    });
    let checksum = icmpv6::checksum(
        &Icmpv6Packet::new(advertisement.packet())?,
        &vip,
        &ALL_NODES,
    );
    advertisement.set_checksum(checksum);
    Some(frame)
}

fn arp(
    operation: ArpOperation,
    mac: Mac,
    vip: Ipv4Addr,
    target: MacAddr,
) -> Option<[u8; ARP_FRAME]> {
    let mut frame = [0; ARP_FRAME];
    ethernet(&mut frame, mac, MacAddr::broadcast(), EtherTypes::Arp)?;
    MutableArpPacket::new(&mut frame[ETHERNET..])?.populate(&Arp {
        hardware_type: ArpHardwareTypes::Ethernet,
        protocol_type: EtherTypes::Ipv4,
        hw_addr_len: 6,
        proto_addr_len: 4,
        operation,
        sender_hw_addr: mac.0.into(),
        sender_proto_addr: vip,
        target_hw_addr: target,
        target_proto_addr: vip,
        payload: Vec::new(),
    });
    Some(frame)
}

fn ethernet(frame: &mut [u8], source: Mac, destination: MacAddr, kind: EtherType) -> Option<()> {
    MutableEthernetPacket::new(frame)?.populate(&Ethernet {
        destination,
        source: source.0.into(),
        ethertype: kind,
        payload: Vec::new(),
    });
    Some(())
}

#[cfg(test)]
mod tests;
