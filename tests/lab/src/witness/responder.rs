//! Driver: every host's answer to "who are you?".

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv6Addr, UdpSocket};
use std::os::fd::AsRawFd;

use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, sendmsg, setsockopt,
    sockopt,
};

use super::Error;
use crate::netns::Namespace;
use crate::worker::{Stop, Wake, Worker, hurry};

/// The port that hosts answer on, whatever the address.
pub(super) const PORT: u16 = 7700;

/// Answers each datagram with its content and the host's name, from the address that was asked.
#[derive(Debug)]
pub struct Responder {
    _worker: Worker,
}

impl Responder {
    /// Starts answering for a host.
    pub fn start(host: &Namespace) -> Result<Self, Error> {
        // Hears IPv4 as well: such an address is mapped (RFC 4291, section 2.5.5.2).
        let socket = host
            .enter(|| UdpSocket::bind((Ipv6Addr::UNSPECIFIED, PORT)))?
            .and_then(|socket| {
                socket.set_nonblocking(true)?;
                setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
                Ok(socket)
            })
            .map_err(|cause| Error::Socket("open", cause))?;
        let name = host.name().to_owned();
        let worker = Worker::start("responder", move |stop| answer_until(&stop, &socket, &name))
            .map_err(|cause| Error::Socket("start a thread for", cause))?;
        Ok(Self { _worker: worker })
    }
}

fn answer_until(stop: &Stop, socket: &UdpSocket, name: &str) {
    hurry();
    while stop.wait(socket, None) == Wake::Readable {
        // Who asked and is unreachable by now, or asked for an address that has gone, gets nothing.
        let _ = answer(socket, name);
    }
}

fn answer(socket: &UdpSocket, name: &str) -> io::Result<()> {
    let mut question = [0; 64];
    let mut control = nix::cmsg_space!(libc::in6_pktinfo);
    let mut parts = [IoSliceMut::new(&mut question)];
    let socket = socket.as_raw_fd();
    let received =
        recvmsg::<SockaddrIn6>(socket, &mut parts, Some(&mut control), MsgFlags::empty())?;
    let (length, client) = (received.bytes, received.address);
    let Some(ControlMessageOwned::Ipv6PacketInfo(asked)) = received.cmsgs()?.next() else {
        return Ok(());
    };
    // The interface is left to routing; the source is the address that was asked.
    let source = libc::in6_pktinfo {
        ipi6_addr: asked.ipi6_addr,
        ipi6_ifindex: 0,
    };
    let parts = [
        IoSlice::new(&question[..length]),
        IoSlice::new(name.as_bytes()),
    ];
    let control = [ControlMessage::Ipv6PacketInfo(&source)];
    sendmsg(
        socket,
        &parts,
        &control,
        MsgFlags::MSG_DONTWAIT,
        client.as_ref(),
    )?;
    Ok(())
}
