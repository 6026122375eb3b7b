//! Pure: the kernel's messages about addresses (rtnetlink(7)).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Change;

const HEADER: usize = 16;
const ADDRESS_HEADER: usize = 8;
const ATTRIBUTE_HEADER: usize = 4;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;

/// Returns the changes that a datagram from the kernel tells of; other messages are left out.
pub(super) fn parse(mut datagram: &[u8]) -> Vec<(Change, IpAddr)> {
    let mut changes = Vec::new();
    while let Some(length) = u32_at(datagram, 0) {
        let length = length as usize;
        let Some(message) = datagram.get(HEADER..length) else {
            break;
        };
        let change = match u16_at(datagram, 4) {
            Some(libc::RTM_NEWADDR) => Some(Change::Appeared),
            Some(libc::RTM_DELADDR) => Some(Change::Gone),
            _ => None,
        };
        changes.extend(change.zip(address(message)));
        datagram = datagram.get(aligned(length)..).unwrap_or_default();
    }
    changes
}

/// Returns the address of the interface itself: on a point-to-point link `IFA_ADDRESS` is the peer.
fn address(message: &[u8]) -> Option<IpAddr> {
    let mut attributes = message.get(ADDRESS_HEADER..)?;
    let mut found = None;
    while let (Some(length), Some(kind)) = (u16_at(attributes, 0), u16_at(attributes, 2)) {
        let Some(value) = attributes.get(ATTRIBUTE_HEADER..usize::from(length)) else {
            break;
        };
        if kind == IFA_LOCAL {
            return ip(value);
        }
        if kind == IFA_ADDRESS {
            found = ip(value);
        }
        attributes = attributes
            .get(aligned(usize::from(length))..)
            .unwrap_or_default();
    }
    found
}

fn ip(value: &[u8]) -> Option<IpAddr> {
    let v4 = || <[u8; 4]>::try_from(value).map(|bytes| Ipv4Addr::from(bytes).into());
    let v6 = || <[u8; 16]>::try_from(value).map(|bytes| Ipv6Addr::from(bytes).into());
    v4().or_else(|_| v6()).ok()
}

fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(
        bytes.get(offset..offset + 2)?.try_into().ok()?,
    ))
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(
        bytes.get(offset..offset + 4)?.try_into().ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_message_of_a_datagram() {
        let gone = message(libc::RTM_DELADDR, &[(IFA_LOCAL, &[10, 77, 0, 200])]);
        let link = message(libc::RTM_NEWLINK, &[]);
        let v6 = Ipv6Addr::LOCALHOST.octets();
        let appeared = message(libc::RTM_NEWADDR, &[(3, b"odd"), (IFA_ADDRESS, &v6)]);
        assert_eq!(
            parse(&[gone, link, appeared].concat()),
            [
                (Change::Gone, Ipv4Addr::new(10, 77, 0, 200).into()),
                (Change::Appeared, Ipv6Addr::LOCALHOST.into()),
            ]
        );
    }

    #[test]
    fn takes_the_own_end_of_a_point_to_point_link() {
        let attributes: [(u16, &[u8]); 2] =
            [(IFA_ADDRESS, &[10, 0, 0, 2]), (IFA_LOCAL, &[10, 0, 0, 1])];
        let datagram = message(libc::RTM_NEWADDR, &attributes);
        assert_eq!(
            parse(&datagram),
            [(Change::Appeared, Ipv4Addr::new(10, 0, 0, 1).into())]
        );
    }

    #[test]
    fn stops_at_a_truncated_message() {
        let whole = message(libc::RTM_NEWADDR, &[(IFA_LOCAL, &[10, 0, 0, 1])]);
        for length in 0..whole.len() {
            assert_eq!(parse(&whole[..length]), []);
        }
    }

    fn message(kind: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = vec![0; ADDRESS_HEADER];
        for (kind, value) in attributes {
            let length = u16::try_from(ATTRIBUTE_HEADER + value.len()).unwrap();
            body.extend(length.to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend(*value);
            body.resize(aligned(body.len()), 0);
        }
        let length = u32::try_from(HEADER + body.len()).unwrap();
        let mut message = length.to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.resize(HEADER, 0);
        message.extend(body);
        message
    }
}
