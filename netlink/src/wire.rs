//! Pure: the frames that tell the neighbours where an address is now, and those that ask whether somebody has it.
//!
//! Every function returns `None` only if one of this file's lengths were too small for pnet's packet
//! types, which the tests rule out.

use std::net::{Ipv4Addr, Ipv6Addr};

use pnet::packet::Packet;
use pnet::packet::arp::{Arp, ArpHardwareTypes, ArpOperation, ArpOperations, MutableArpPacket};
use pnet::packet::ethernet::{EtherType, EtherTypes, Ethernet, MutableEthernetPacket};
use pnet::packet::icmpv6::ndp::{
    Icmpv6Codes, MutableNeighborAdvertPacket, MutableNeighborSolicitPacket, NdpOption,
    NdpOptionTypes, NeighborAdvert, NeighborAdvertFlags, NeighborSolicit,
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

/// A Neighbor Solicitation without options (RFC 4861 section 4.3).
const SOLICITATION: usize = 24;
/// Ethernet, IPv6 and the Neighbor Solicitation.
pub const NS_FRAME: usize = ETHERNET + IPV6 + SOLICITATION;

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

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

/// Whom an advertisement is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// All nodes: those that know the address have it overridden (RFC 4861 section 7.2.6).
    Nodes,
    /// All routers, without overriding anything: those that do not know the address yet make an entry, and would drop
    /// the first packets otherwise (RFC 9131 section 4).
    Routers,
}

/// Encodes a gratuitous ARP request and a gratuitous ARP reply, in this order.
///
/// Both, because receivers differ in which one they believe. The request is RFC 5227's announcement
/// (section 2.3): sender and target are the VIP, the target hardware address is zero. The reply has
/// the target hardware address of the frame it is in, broadcast, because switches that inspect ARP
/// compare the two in replies.
pub fn gratuitous_arp(mac: Mac, vip: Ipv4Addr) -> Option<[[u8; ARP_FRAME]; 2]> {
    let broadcast = MacAddr::broadcast();
    let request = arp(ArpOperations::Request, mac, vip, MacAddr::zero(), vip)?;
    let reply = arp(ArpOperations::Reply, mac, vip, broadcast, vip)?;
    Some([request, reply])
}

/// Encodes the question whether somebody has an address, which changes nobody's notion of where it is (RFC 5227 section
/// 2.1.1).
pub fn arp_probe(mac: Mac, vip: Ipv4Addr) -> Option<[u8; ARP_FRAME]> {
    let nobody = Ipv4Addr::UNSPECIFIED;
    arp(ArpOperations::Request, mac, nobody, MacAddr::zero(), vip)
}

/// Encodes the same question for IPv6 (RFC 4862 section 5.4.2).
pub fn solicitation(mac: Mac, vip: Ipv6Addr) -> Option<[u8; NS_FRAME]> {
    let [.., a, b, c] = vip.octets();
    let last = [u16::from(a) | 0xff00, u16::from_be_bytes([b, c])];
    // The group that everybody who has the address listens to (RFC 4291 section 2.7.1).
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, last[0], last[1]);
    let nobody = Ipv6Addr::UNSPECIFIED;
    let mut frame = [0; NS_FRAME];
    ipv6(&mut frame, mac, nobody, group)?;
    let mut solicitation = MutableNeighborSolicitPacket::new(&mut frame[ETHERNET + IPV6..])?;
    solicitation.populate(&NeighborSolicit {
        icmpv6_type: Icmpv6Types::NeighborSolicit,
        icmpv6_code: Icmpv6Codes::NoCode,
        checksum: 0,
        reserved: 0,
        target_addr: vip,
        options: Vec::new(),
        payload: Vec::new(),
    });
    let message = Icmpv6Packet::new(solicitation.packet())?;
    let checksum = icmpv6::checksum(&message, &nobody, &group);
    solicitation.set_checksum(checksum);
    Some(frame)
}

/// Encodes an unsolicited Neighbor Advertisement.
///
/// It answers nobody (not S), and comes from the VIP itself, so that it needs no other address.
pub fn unsolicited_na(
    mac: Mac,
    vip: Ipv6Addr,
    kind: NodeKind,
    audience: Audience,
) -> Option<[u8; NA_FRAME]> {
    let (group, overrides) = match audience {
        Audience::Nodes => (ALL_NODES, NeighborAdvertFlags::Override),
        Audience::Routers => (ALL_ROUTERS, 0),
    };
    let mut frame = [0; NA_FRAME];
    ipv6(&mut frame, mac, vip, group)?;
    let mut advertisement = MutableNeighborAdvertPacket::new(&mut frame[ETHERNET + IPV6..])?;
    advertisement.populate(&NeighborAdvert {
        icmpv6_type: Icmpv6Types::NeighborAdvert,
        icmpv6_code: Icmpv6Codes::NoCode,
        checksum: 0,
        flags: match kind {
            NodeKind::Host => overrides,
            NodeKind::Router => overrides | NeighborAdvertFlags::Router,
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
    let message = Icmpv6Packet::new(advertisement.packet())?;
    let checksum = icmpv6::checksum(&message, &vip, &group);
    advertisement.set_checksum(checksum);
    Some(frame)
}

/// Fills in both headers of a message to a group; the message is the rest of the frame.
fn ipv6(frame: &mut [u8], mac: Mac, source: Ipv6Addr, group: Ipv6Addr) -> Option<()> {
    let [.., a, b, c, d] = group.octets();
    // RFC 2464 section 7.
    let everybody = MacAddr(0x33, 0x33, a, b, c, d);
    ethernet(frame, mac, everybody, EtherTypes::Ipv6)?;
    let payload_length = u16::try_from(frame.len().checked_sub(ETHERNET + IPV6)?).ok()?;
    MutableIpv6Packet::new(frame.get_mut(ETHERNET..)?)?.populate(&Ipv6 {
        version: 6,
        traffic_class: 0,
        flow_label: 0,
        payload_length,
        next_header: IpNextHeaderProtocols::Icmpv6,
        // Anything less has been forwarded, and is ignored (RFC 4861 section 7.1.2).
        hop_limit: 255,
        source,
        destination: group,
        payload: Vec::new(),
    });
    Some(())
}

fn arp(
    operation: ArpOperation,
    mac: Mac,
    sender: Ipv4Addr,
    target: MacAddr,
    vip: Ipv4Addr,
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
        sender_proto_addr: sender,
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
