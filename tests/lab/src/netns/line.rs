//! Driver: a cable that loses packets, in one direction or both.
//!
//! Not every kernel has a queue that loses packets, and not every machine the tools for packet
//! filters. So the frames between two network devices are carried by hand for as long as the cable
//! is bad, and some are not carried. They keep the kernel's notes on them (`PACKET_VNET_HDR`,
//! packet(7)): between virtual hosts, checksums are promised and not computed, and one "frame" may
//! be many segments.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{MsgFlags, recv, send};

use crate::random::Random;
use crate::worker::{Stop, Wake, Worker, hurry};

/// How many packets in a hundred are lost, by direction as the host sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Losses {
    /// Of those to the host.
    pub incoming: u8,
    /// Of those from the host.
    pub outgoing: u8,
}

impl Losses {
    /// The host hears nothing, and is heard.
    pub const DEAF: Self = Self {
        incoming: 100,
        outgoing: 0,
    };
    /// The host is not heard, and hears.
    pub const MUTE: Self = Self {
        incoming: 0,
        outgoing: 100,
    };
    /// Three in ten are lost each way: half of all questions go unanswered.
    pub const HEAVY: Self = Self {
        incoming: 30,
        outgoing: 30,
    };
}

/// Frames that are carried by hand between two devices.
#[derive(Debug)]
pub(super) struct Carriers {
    _both: [Worker; 2],
}

impl Carriers {
    /// Starts carrying between `host_side` and `network_side`; to be called on a thread inside the
    /// namespace of both.
    pub(super) fn start(host_side: &str, network_side: &str, losses: Losses) -> io::Result<Self> {
        let host = Arc::new(open(host_side)?);
        let network = Arc::new(open(network_side)?);
        let carry = |name, from: &Arc<OwnedFd>, to: &Arc<OwnedFd>, lost| {
            let (from, to) = (Arc::clone(from), Arc::clone(to));
            Worker::start(name, move |stop| carry_until(&stop, &from, &to, lost))
        };
        Ok(Self {
            _both: [
                carry("incoming", &network, &host, losses.incoming)?,
                carry("outgoing", &host, &network, losses.outgoing)?,
            ],
        })
    }
}

fn carry_until(stop: &Stop, from: &OwnedFd, to: &OwnedFd, lost: u8) {
    hurry();
    // Which frames meet which numbers is up to the hosts: another seed would not be more random.
    let mut random = Random::new(u64::from(lost));
    let mut frame = vec![0; 1 << 17];
    while stop.wait(from, None) == Wake::Readable {
        match recv(from.as_raw_fd(), &mut frame, MsgFlags::MSG_DONTWAIT) {
            Ok(length) if !random.chance(lost) => {
                // What a device does not take is lost, as on any cable.
                let _ = send(to.as_raw_fd(), &frame[..length], MsgFlags::MSG_DONTWAIT);
            }
            // Lost; or the device is down, which is said once.
            Ok(_) | Err(_) => {}
        }
    }
}

/// Opens a socket that hears what arrives at a device, and sends through it.
#[expect(unsafe_code, reason = "nix has no sockets for whole frames")]
fn open(device: &str) -> io::Result<OwnedFd> {
    let index = if_nametoindex(device)?;
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    // Protocol 0: it hears nothing before it is bound to a device.
    // SAFETY: three numbers.
    let socket = Errno::result(unsafe { libc::socket(libc::AF_PACKET, kind, 0) })?;
    // SAFETY: the kernel has just made it, and nobody else has it.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    let on: libc::c_int = 1;
    for option in [libc::PACKET_VNET_HDR, libc::PACKET_IGNORE_OUTGOING] {
        // SAFETY: the option's value is an int, and the length passed is that of an int.
        Errno::result(unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_PACKET,
                option,
                (&raw const on).cast(),
                size_of_val(&on) as libc::socklen_t,
            )
        })?;
    }
    // SAFETY: a plain structure of numbers, for which zeros are a value.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = index.cast_signed();
    // SAFETY: the address is one of this family, and the length passed is its own.
    Errno::result(unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of_val(&address) as libc::socklen_t,
        )
    })?;
    Ok(socket)
}
