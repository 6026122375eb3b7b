//! Tells the neighbours, through a packet socket that is opened ahead of time.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, SockaddrLike, sendto, socket,
};

use crate::error::{Error, Operation};
use crate::link::{Link, Mac};
use crate::wire::{self, Audience, NodeKind};

/// Sends announcements, on every interface.
///
/// When and how often to announce is the caller's to decide.
#[derive(Debug)]
pub struct Announcer(OwnedFd);

impl Announcer {
    /// Opens the socket, so that announcing later is no more than a send. It receives nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Permission`] without `CAP_NET_RAW`, [`Error::Refused`].
    pub fn open() -> Result<Self, Error> {
        let socket = socket(
            AddressFamily::Packet,
            SockType::Raw,
            SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC,
            // Protocol 0: the kernel hands no frame to this socket (packet(7)).
            None,
        )
        .map_err(|errno| Error::refused(Operation::OpenAnnouncer, errno.into()))?;
        Ok(Self(socket))
    }

    /// Announces an address of either family on an interface; `kind` matters to IPv6 only.
    ///
    /// IPv4: one gratuitous ARP request and one reply, to everybody. IPv6: one unsolicited Neighbor Advertisement
    /// to all nodes and one to all routers; the address must not be tentative. Never blocks. The second frame is
    /// sent even if the first one was refused.
    ///
    /// # Errors
    ///
    /// [`Error::NotEthernet`] where there are no neighbours to tell. [`Error::InterfaceDown`],
    /// [`Error::NoInterface`], or [`Error::Refused`], for example when the device's queue is full: these may pass.
    pub fn announce(&self, link: &Link, address: IpAddr, kind: NodeKind) -> Result<(), Error> {
        let operation = || Operation::Announce(address, link.name.clone());
        let mac = ethernet_address(link, operation)?;
        let sent = match address {
            IpAddr::V4(address) => self.gratuitous_arp(link.index, mac, address),
            IpAddr::V6(address) => self.unsolicited_na(link.index, mac, address, kind),
        };
        sent.map_err(|source| Error::refused(operation(), source))
    }

    /// Asks on an interface whether somebody has an address. [`crate::Listener`] hears the answer.
    ///
    /// # Errors
    ///
    /// Those of [`Announcer::announce`].
    pub fn probe(&self, link: &Link, address: IpAddr) -> Result<(), Error> {
        let operation = || Operation::Probe(address, link.name.clone());
        let mac = ethernet_address(link, operation)?;
        let sent = match address {
            IpAddr::V4(address) => wire::arp_probe(mac, address)
                .ok_or_else(too_small)
                .and_then(|frame| self.send(link.index, &frame, libc::ETH_P_ARP)),
            IpAddr::V6(address) => wire::solicitation(mac, address)
                .ok_or_else(too_small)
                .and_then(|frame| self.send(link.index, &frame, libc::ETH_P_IPV6)),
        };
        sent.map_err(|source| Error::refused(operation(), source))
    }

    fn gratuitous_arp(&self, index: u32, mac: Mac, address: Ipv4Addr) -> io::Result<()> {
        let [request, reply] = wire::gratuitous_arp(mac, address).ok_or_else(too_small)?;
        let first = self.send(index, &request, libc::ETH_P_ARP);
        first.and(self.send(index, &reply, libc::ETH_P_ARP))
    }

    fn unsolicited_na(
        &self,
        index: u32,
        mac: Mac,
        address: Ipv6Addr,
        kind: NodeKind,
    ) -> io::Result<()> {
        let [nodes, routers] = [Audience::Nodes, Audience::Routers].map(|audience| {
            let frame = wire::unsolicited_na(mac, address, kind, audience);
            self.send(index, &frame.ok_or_else(too_small)?, libc::ETH_P_IPV6)
        });
        nodes.and(routers)
    }

    fn send(&self, index: u32, frame: &[u8], protocol: i32) -> io::Result<()> {
        let to = link_address(index, protocol)?;
        // A datagram is sent whole or not at all.
        sendto(self.0.as_raw_fd(), frame, &to, MsgFlags::MSG_DONTWAIT)?;
        Ok(())
    }
}

fn ethernet_address(link: &Link, operation: impl Fn() -> Operation) -> Result<Mac, Error> {
    link.mac
        .filter(|_| link.arp)
        .ok_or_else(|| Error::NotEthernet {
            operation: operation(),
        })
}

/// Says through which interface a frame goes, and of which protocol (`ETH_P_*`) it is.
#[expect(
    unsafe_code,
    reason = "nix has no safe constructor for a packet socket's address"
)]
pub(crate) fn link_address(index: u32, protocol: i32) -> io::Result<LinkAddr> {
    let invalid = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let protocol = u16::try_from(protocol).map_err(invalid)?;
    let index = i32::try_from(index).map_err(invalid)?;
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: protocol.to_be(),
        sll_ifindex: index,
        sll_hatype: 0,
        sll_pkttype: 0,
        // The frame has its own Ethernet header, so the kernel needs no destination.
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let length = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the pointer is to a whole sockaddr_ll that lives through the call, `length` is its
    // size, and its family says that it is one. The bytes are copied out.
    let copied = unsafe { LinkAddr::from_raw((&raw const address).cast(), Some(length)) };
    copied.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))
}

fn too_small() -> io::Error {
    io::Error::other("the frame does not fit its buffer")
}
