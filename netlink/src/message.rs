//! Pure: between this crate's types and rtnetlink's messages.

use std::net::IpAddr;
use std::time::Duration;

use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressProtocol, CacheInfo,
};
use netlink_packet_route::link::{
    LinkAttribute, LinkEvent, LinkExtentMask, LinkFlags, LinkLayerType, LinkMessage, Prop,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::address::{Address, Lifetime, PROTOCOL_MARK, Vip};
use crate::link::{Link, Mac};
use crate::tables::{Place, Word};

/// The kernel's word for a lifetime without end (`INFINITY_LIFE_TIME`).
const FOREVER: u32 = u32::MAX;

/// Names one address exactly: interface, address and prefix length.
///
/// Both `IFA_LOCAL` and `IFA_ADDRESS` are given, because the kernel compares only what it is given:
/// without the second, removing a /32 would also hit the same address with another prefix length.
pub(crate) fn exact(index: u32, vip: Vip) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = match vip.address() {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    message.header.index = index;
    message.header.prefix_len = vip.prefix();
    message
        .attributes
        .push(AddressAttribute::Local(vip.address()));
    message
        .attributes
        .push(AddressAttribute::Address(vip.address()));
    message
}

/// Names one address and says for how long it is to be there.
pub(crate) fn leased(index: u32, vip: Vip, lifetime: Lifetime) -> AddressMessage {
    let valid = lifetime.as_secs().unwrap_or(FOREVER);
    let mut times = CacheInfo::default();
    times.ifa_valid = valid;
    let mut message = exact(index, vip);
    if let Some(label) = vip.label() {
        message
            .attributes
            .push(AddressAttribute::Label(label.text()));
    }
    match vip.address() {
        IpAddr::V4(_) => times.ifa_preferred = valid,
        IpAddr::V6(_) => {
            let manner = vip.manner();
            // Preferred for no time: never chosen as the source of this host's own connections.
            times.ifa_preferred = if manner.is_source { valid } else { 0 };
            // The lock says that nobody else has the address. Duplicate address detection would
            // keep it unusable for 1 to 2 s, and delete it if the last holder still answers.
            if !manner.detects {
                let skips = AddressFlags::Nodad;
                message.attributes.push(AddressAttribute::Flags(skips));
            }
        }
    }
    message.attributes.push(AddressAttribute::CacheInfo(times));
    message
        .attributes
        .push(AddressAttribute::Protocol(AddressProtocol::Other(
            PROTOCOL_MARK,
        )));
    message
}

/// Says the same of an address that is there already, in a way that can be carried out for no other.
///
/// The kernel adds what it is told to prolong and does not find (`inet_rtm_newaddr`, `inet6_rtm_newaddr`). What it adds
/// with `IFA_F_MCAUTOJOIN` (Linux 4.1) it first joins as a multicast group, which an address of a host is not, and so it
/// refuses. What it prolongs it joins to nothing: of IPv4 the flag is ignored, of IPv6 it is kept and shown (`autojoin`).
pub(crate) fn prolonged(index: u32, vip: Vip, lifetime: Lifetime) -> AddressMessage {
    let mut message = leased(index, vip, lifetime);
    let joins = AddressFlags::Mcautojoin;
    let flags = message.attributes.iter_mut().find_map(|attribute| {
        if let AddressAttribute::Flags(flags) = attribute {
            Some(flags)
        } else {
            None
        }
    });
    match flags {
        Some(flags) => *flags |= joins,
        None => message.attributes.push(AddressAttribute::Flags(joins)),
    }
    message
}

/// Asks for all interfaces, without their counters.
pub(crate) fn all_links() -> RouteNetlinkMessage {
    let mut message = LinkMessage::default();
    let without = vec![LinkExtentMask::SkipStats];
    message.attributes.push(LinkAttribute::ExtMask(without));
    RouteNetlinkMessage::GetLink(message)
}

/// Asks for all addresses, of both families.
pub(crate) fn all_addresses() -> RouteNetlinkMessage {
    RouteNetlinkMessage::GetAddress(AddressMessage::default())
}

/// Reads what a message says of links and addresses; `None` where that is nothing.
pub(crate) fn word(message: &RouteNetlinkMessage) -> Option<Word> {
    if let RouteNetlinkMessage::NewLink(message) = message {
        let link = link(message).filter(|_| is_of_links(message))?;
        let asks_to_tell = asks_to_tell(message);
        Some(Word::Link { link, asks_to_tell })
    } else if let RouteNetlinkMessage::DelLink(message) = message {
        is_of_links(message).then_some(Word::LinkGone(message.header.index))
    } else if let RouteNetlinkMessage::NewAddress(message) = message {
        Some(Word::Address(place(message)?, address(message)?))
    } else if let RouteNetlinkMessage::DelAddress(message) = message {
        let is_duplicate = flags(message).contains(AddressFlags::Dadfailed);
        place(message).map(|place| Word::AddressGone {
            place,
            is_duplicate,
        })
    } else {
        None
    }
}

/// A bridge speaks of its ports in the same messages, as one of them that leaves it: `PF_BRIDGE`.
fn is_of_links(message: &LinkMessage) -> bool {
    message.header.interface_family == AddressFamily::Unspec
}

fn asks_to_tell(message: &LinkMessage) -> bool {
    let asks = [LinkEvent::NotifyPeers, LinkEvent::BondingFailover].map(LinkAttribute::Event);
    message
        .attributes
        .iter()
        .any(|attribute| asks.contains(attribute))
}

fn place(message: &AddressMessage) -> Option<Place> {
    let mut local = None;
    let mut peer = None;
    for attribute in &message.attributes {
        if let AddressAttribute::Local(ip) = attribute {
            local = Some(*ip);
        } else if let AddressAttribute::Address(ip) = attribute {
            peer = Some(*ip);
        }
    }
    let own = local.or(peer)?;
    let vip = Vip::new(own, message.header.prefix_len)?;
    Some(Place::new(message.header.index, vip, peer.unwrap_or(own)))
}

/// Reads an address; `None` for an entry that has none of its own (multicast, anycast).
pub fn address(message: &AddressMessage) -> Option<Address> {
    let mut local = None;
    let mut other = None;
    let flags = flags(message);
    let mut valid = None;
    let mut protocol = None;
    for attribute in &message.attributes {
        if let AddressAttribute::Local(ip) = attribute {
            local = Some(*ip);
        } else if let AddressAttribute::Address(ip) = attribute {
            other = Some(*ip);
        } else if let AddressAttribute::CacheInfo(times) = attribute {
            valid =
                (times.ifa_valid != FOREVER).then(|| Duration::from_secs(times.ifa_valid.into()));
        } else if let AddressAttribute::Protocol(by) = attribute {
            protocol = Some(u8::from(*by));
        }
    }
    Some(Address {
        // On a point-to-point link IFA_ADDRESS is the peer's.
        address: local.or(other)?,
        prefix: message.header.prefix_len,
        valid,
        protocol,
        tentative: flags.contains(AddressFlags::Tentative),
        dad_failed: flags.contains(AddressFlags::Dadfailed),
    })
}

/// The attribute has room for all of them, the header for eight.
fn flags(message: &AddressMessage) -> AddressFlags {
    let all = message.attributes.iter().find_map(|attribute| {
        if let AddressAttribute::Flags(all) = attribute {
            Some(*all)
        } else {
            None
        }
    });
    all.unwrap_or_else(|| AddressFlags::from_bits_retain(message.header.flags.bits().into()))
}

/// Reads an interface; `None` for one without a name, which the kernel does not have.
pub fn link(message: &LinkMessage) -> Option<Link> {
    let mut name = None;
    let mut other_names = Vec::new();
    let mut mac = None;
    for attribute in &message.attributes {
        if let LinkAttribute::IfName(text) = attribute {
            name = Some(text.clone());
        } else if let LinkAttribute::PropList(properties) = attribute {
            other_names.extend(properties.iter().filter_map(alternative_name));
        } else if let LinkAttribute::Address(bytes) = attribute {
            mac = <[u8; 6]>::try_from(bytes.as_slice()).ok().map(Mac);
        }
    }
    let ethernet = message.header.link_layer_type == LinkLayerType::Ether;
    let flags = message.header.flags;
    Some(Link {
        index: message.header.index,
        name: name?,
        other_names,
        mac: mac.filter(|_| ethernet),
        up: flags.contains(LinkFlags::Up),
        carrier: flags.contains(LinkFlags::LowerUp),
        arp: !flags.contains(LinkFlags::Noarp),
        moves: 0,
    })
}

fn alternative_name(property: &Prop) -> Option<String> {
    if let Prop::AltIfName(name) = property {
        Some(name.clone())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Manner;

    fn times(message: &AddressMessage) -> Option<(u32, u32)> {
        message.attributes.iter().find_map(|attribute| {
            if let AddressAttribute::CacheInfo(times) = attribute {
                Some((times.ifa_preferred, times.ifa_valid))
            } else {
                None
            }
        })
    }

    #[test]
    fn an_ipv6_vip_is_never_preferred_and_skips_detection() {
        let v4 = Vip::host("192.0.2.9".parse().unwrap());
        let v6 = Vip::host("2001:db8::9".parse().unwrap());
        let nodad = AddressAttribute::Flags(AddressFlags::Nodad);
        let cases = [
            (v4, Lifetime::seconds(4), (4, 4), false),
            (v6, Lifetime::seconds(4), (0, 4), true),
            (v4, Some(Lifetime::unlimited()), (FOREVER, FOREVER), false),
            (v6, Some(Lifetime::unlimited()), (0, FOREVER), true),
        ];
        for (vip, lifetime, expected, skips) in cases {
            let message = leased(3, vip, lifetime.unwrap());
            assert_eq!(times(&message), Some(expected), "{vip}");
            assert_eq!(message.attributes.contains(&nodad), skips, "{vip}");
        }
    }

    #[test]
    fn detection_and_use_as_a_source_are_had_where_they_are_wanted() {
        let nodad = AddressAttribute::Flags(AddressFlags::Nodad);
        let vip = Vip::host("2001:db8::9".parse().unwrap());
        for (detects, is_source, expected) in [
            (false, false, (0, 4)),
            (true, false, (0, 4)),
            (false, true, (4, 4)),
            (true, true, (4, 4)),
        ] {
            let vip = vip.in_manner(Manner { detects, is_source });
            let message = leased(3, vip, Lifetime::seconds(4).unwrap());
            assert_eq!(times(&message), Some(expected), "{vip:?}");
            assert_eq!(message.attributes.contains(&nodad), !detects, "{vip:?}");
        }
    }

    #[test]
    fn what_is_sent_is_read_back() {
        let vip = Vip::host("192.0.2.9".parse().unwrap());
        let read = address(&leased(3, vip, Lifetime::MAX)).unwrap();
        assert!(read.is(vip) && read.is_ours());
        assert_eq!(read.valid, Some(Duration::from_secs(15)));
        let read = address(&leased(3, vip, Lifetime::unlimited())).unwrap();
        assert_eq!(read.valid, None);
        assert!(!address(&exact(3, vip)).unwrap().is_ours());
    }

    #[test]
    fn the_local_end_of_a_point_to_point_link_is_the_address() {
        let mut message = exact(3, Vip::host("192.0.2.9".parse().unwrap()));
        message.attributes[1] = AddressAttribute::Address("198.51.100.1".parse().unwrap());
        let read = address(&message).unwrap();
        assert_eq!(read.address, "192.0.2.9".parse::<IpAddr>().unwrap());
        message.attributes.clear();
        assert_eq!(address(&message), None);
    }

    fn link_message(name: &str) -> LinkMessage {
        let mut message = LinkMessage::default();
        message.header.index = 7;
        message
            .attributes
            .push(LinkAttribute::IfName(name.to_owned()));
        message
    }

    #[test]
    fn a_port_that_leaves_its_bridge_is_still_there() {
        let mut message = link_message("eth0");
        let gone = RouteNetlinkMessage::DelLink(message.clone());
        assert!(matches!(word(&gone), Some(Word::LinkGone(7))));
        message.header.interface_family = AddressFamily::Bridge;
        assert!(word(&RouteNetlinkMessage::NewLink(message.clone())).is_none());
        assert!(word(&RouteNetlinkMessage::DelLink(message)).is_none());
    }

    #[test]
    fn a_bond_whose_port_changes_asks_to_tell() {
        for (event, expected) in [
            (None, false),
            (Some(LinkEvent::Features), false),
            (Some(LinkEvent::BondingFailover), true),
            (Some(LinkEvent::NotifyPeers), true),
        ] {
            let mut message = link_message("bond0");
            message.attributes.extend(event.map(LinkAttribute::Event));
            let said = word(&RouteNetlinkMessage::NewLink(message));
            let Some(Word::Link { asks_to_tell, .. }) = said else {
                panic!("{said:?}")
            };
            assert_eq!(asks_to_tell, expected, "{event:?}");
        }
    }

    #[test]
    fn alternative_names_are_read() {
        let mut message = link_message("eth0");
        let names = ["uplink", "wan"].map(|name| Prop::AltIfName(name.to_owned()));
        message
            .attributes
            .push(LinkAttribute::PropList(names.to_vec()));
        assert_eq!(link(&message).unwrap().other_names, ["uplink", "wan"]);
    }
}
