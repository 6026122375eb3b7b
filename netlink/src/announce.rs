//! Tells the neighbours, through a packet socket that is opened ahead of time.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, SockaddrLike, sendto, socket,
};

use crate::error::{Error, Operation};
use crate::link::{Link, Mac};
use crate::wire::{self, NodeKind};

/// Sends announcements on one interface.
///
/// It keeps the interface's index and Ethernet address of the moment it was opened: after a change
/// of either, open a new one. When and how often to announce is the caller's to decide.
#[derive(Debug)]
pub struct Announcer {
    socket: OwnedFd,
    interface: String,
    index: i32,
    mac: Mac,
}

impl Announcer {
    /// Opens the socket, so that announcing later is no more than a send. It receives nothing.
    ///
    /// # Errors
    ///
    /// [`Error::NotEthernet`], [`Error::Permission`] without `CAP_NET_RAW`, [`Error::Refused`].
    pub fn open(link: &Link) -> Result<Self, Error> {
        let operation = || Operation::OpenAnnouncer(link.name.clone());
        let (Some(mac), true) = (link.mac, link.arp) else {
            return Err(Error::NotEthernet {
                operation: operation(),
            });
        };
        let index = i32::try_from(link.index).map_err(|_| Error::NoInterface {
            operation: operation(),
        })?;
        let socket = socket(
            AddressFamily::Packet,
            SockType::Raw,
            SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC,
            // Protocol 0: the kernel hands no frame to this socket (packet(7)).
            None,
        )
        .map_err(|errno| Error::refused(operation(), errno.into()))?;
        Ok(Self {
            socket,
            interface: link.name.clone(),
            index,
            mac,
        })
    }

    /// Returns the Ethernet address that is announced.
    pub fn mac(&self) -> Mac {
        self.mac
    }

    /// Announces an address of either family; `kind` matters to IPv6 only.
    ///
    /// # Errors
    ///
    /// Those of [`Announcer::gratuitous_arp`].
    pub fn announce(&self, address: IpAddr, kind: NodeKind) -> Result<(), Error> {
        match address {
            IpAddr::V4(address) => self.gratuitous_arp(address),
            IpAddr::V6(address) => self.unsolicited_na(address, kind),
        }
    }

    /// Broadcasts one gratuitous ARP request and one reply for `address`.
    ///
    /// Never blocks. The second frame is sent even if the first one was refused.
    ///
    /// # Errors
    ///
    /// [`Error::InterfaceDown`], [`Error::NoInterface`], or [`Error::Refused`], for example when
    /// the device's queue is full. All of them may pass.
    pub fn gratuitous_arp(&self, address: Ipv4Addr) -> Result<(), Error> {
        let frames = wire::gratuitous_arp(self.mac, address).ok_or_else(too_small);
        self.told(
            address.into(),
            frames.and_then(|[request, reply]| {
                self.send(&request, libc::ETH_P_ARP)
                    .and(self.send(&reply, libc::ETH_P_ARP))
            }),
        )
    }

    /// Multicasts one unsolicited Neighbor Advertisement for `address` to all nodes.
    ///
    /// Never blocks. The address must not be tentative.
    ///
    /// # Errors
    ///
    /// Those of [`Announcer::gratuitous_arp`].
    pub fn unsolicited_na(&self, address: Ipv6Addr, kind: NodeKind) -> Result<(), Error> {
        let frame = wire::unsolicited_na(self.mac, address, kind).ok_or_else(too_small);
        self.told(
            address.into(),
            frame.and_then(|frame| self.send(&frame, libc::ETH_P_IPV6)),
        )
    }

    fn told(&self, address: IpAddr, result: io::Result<()>) -> Result<(), Error> {
        result.map_err(|source| {
            Error::refused(Operation::Announce(address, self.interface.clone()), source)
        })
    }

    fn send(&self, frame: &[u8], protocol: i32) -> io::Result<()> {
        let to = link_address(self.index, protocol)?;
        // A datagram is sent whole or not at all.
        sendto(self.socket.as_raw_fd(), frame, &to, MsgFlags::MSG_DONTWAIT)?;
        Ok(())
    }
}

/// Says through which interface a frame goes, and of which protocol (`ETH_P_*`) it is.
#[expect(
    unsafe_code,
    reason = "nix has no safe constructor for a packet socket's address"
)]
fn link_address(index: i32, protocol: i32) -> io::Result<LinkAddr> {
    let protocol =
        u16::try_from(protocol).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
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
