//! Pure: what a frame of others says of who has an address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::link::Mac;

/// Somebody says that an address is at an Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The address.
    pub address: IpAddr,
    /// Where it is said to be.
    pub mac: Mac,
}

impl Claim {
    /// Reads an Ethernet frame; `None` for one that claims nothing, or that nobody would believe.
    ///
    /// An ARP claims its sender's address, whatever it is for; a probe has none, and claims nothing (RFC 5227 section
    /// 1.1). A Neighbor Advertisement claims its target (RFC 4861 section 7.1.2 says which are valid).
    pub fn read(frame: &[u8]) -> Option<Self> {
        let body = frame.get(14..)?;
        match frame.get(12..14)? {
            [0x08, 0x06] => arp(body),
            [0x86, 0xdd] => advertisement(body, mac(frame.get(6..12)?)?),
            _ => None,
        }
    }
}

fn arp(body: &[u8]) -> Option<Claim> {
    // Ethernet, IPv4, and their lengths.
    if body.get(..6)? != [0, 1, 0x08, 0, 6, 4] {
        return None;
    }
    let address = Ipv4Addr::from(<[u8; 4]>::try_from(body.get(14..18)?).ok()?);
    let claims = !address.is_unspecified();
    Some(Claim {
        address: address.into(),
        mac: mac(body.get(8..14)?)?,
    })
    .filter(|_| claims)
}

fn advertisement(body: &[u8], sender: Mac) -> Option<Claim> {
    let (header, rest) = body.split_at_checked(40)?;
    // Version 6; ICMPv6 at once; not forwarded.
    let [version, _, _, _, long, short, next, hops] = *header.first_chunk::<8>()?;
    if version >> 4 != 6 || next != 58 || hops != 255 {
        return None;
    }
    let message = rest.get(..u16::from_be_bytes([long, short]).into())?;
    let is_whole = checksum(header.get(8..40)?, message) == 0;
    if message.get(..2)? != [136, 0] || !is_whole {
        return None;
    }
    let target = Ipv6Addr::from(<[u8; 16]>::try_from(message.get(8..24)?).ok()?);
    let claims = !target.is_multicast() && !target.is_unspecified();
    Some(Claim {
        address: target.into(),
        mac: link_layer_option(message.get(24..)?).unwrap_or(sender),
    })
    .filter(|_| claims)
}

/// Finds the target link-layer address among the options (RFC 4861 section 4.6).
fn link_layer_option(mut options: &[u8]) -> Option<Mac> {
    loop {
        let [kind, length] = *options.first_chunk::<2>()?;
        let length = usize::from(length) * 8;
        let option = options.get(..length).filter(|_| length > 0)?;
        if kind == 2 {
            return mac(option.get(2..8)?);
        }
        options = options.get(length..)?;
    }
}

fn mac(bytes: &[u8]) -> Option<Mac> {
    bytes.try_into().ok().map(Mac)
}

/// RFC 8200 section 8.1, over a message that has its checksum: zero if that is right.
fn checksum(addresses: &[u8], message: &[u8]) -> u16 {
    let words = |bytes: &[u8]| -> u64 {
        let word = |pair: &[u8]| match pair {
            [high, low] => u64::from(u16::from_be_bytes([*high, *low])),
            [high] => u64::from(*high) << 8,
            _ => 0,
        };
        bytes.chunks(2).map(word).sum()
    };
    let length = u64::try_from(message.len()).unwrap_or(u64::MAX);
    let mut sum = words(addresses) + words(message) + length + 58;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::{self, Audience, NodeKind};

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 9]);
    const V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);
    const V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9);

    fn advertised() -> [u8; wire::NA_FRAME] {
        wire::unsolicited_na(MAC, V6, NodeKind::Host, Audience::Nodes).unwrap()
    }

    #[test]
    fn announcements_are_claims_and_questions_are_none() {
        let claim = |address: IpAddr| Some(Claim { address, mac: MAC });
        for frame in wire::gratuitous_arp(MAC, V4).unwrap() {
            assert_eq!(Claim::read(&frame), claim(V4.into()));
        }
        assert_eq!(Claim::read(&advertised()), claim(V6.into()));
        assert_eq!(Claim::read(&wire::arp_probe(MAC, V4).unwrap()), None);
        assert_eq!(Claim::read(&wire::solicitation(MAC, V6).unwrap()), None);
    }

    #[test]
    fn without_the_option_the_sender_has_the_address() {
        let mut frame = advertised();
        // An option of another kind, and the checksum that goes with it.
        frame[78] = 200;
        let other = checksum(&frame[22..54], &{
            let mut message = frame[54..].to_vec();
            message[2..4].fill(0);
            message
        });
        frame[56..58].copy_from_slice(&other.to_be_bytes());
        frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 5]);
        let claim = Claim::read(&frame).unwrap();
        assert_eq!(claim.mac, Mac([2, 0, 0, 0, 0, 5]));
    }

    #[test]
    fn what_no_neighbour_would_believe_is_no_claim() {
        // Version, next header, hop limit, type, code, checksum, target.
        for (at, value) in [
            (14, 0x40),
            (20, 17),
            (21, 64),
            (54, 135),
            (55, 1),
            (57, 0xff),
            (70, 1),
        ] {
            let mut frame = advertised();
            frame[at] = value;
            assert_eq!(Claim::read(&frame), None, "byte {at}");
        }
        for (at, value) in [(12, 9), (15, 6), (17, 1), (18, 8), (19, 16)] {
            let [mut frame, _] = wire::gratuitous_arp(MAC, V4).unwrap();
            frame[at] = value;
            assert_eq!(Claim::read(&frame), None, "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_borne(bytes: Vec<u8>, cut in 0usize..100) {
            Claim::read(&bytes);
            let frame = advertised();
            Claim::read(&frame[..cut.min(frame.len())]);
            let mut mixed = frame.to_vec();
            mixed.truncate(cut);
            mixed.extend(bytes);
            Claim::read(&mixed);
        }
    }
}
