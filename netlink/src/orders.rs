//! The socket for changes to addresses: each is carried out, and answered, when the call returns.
//!
//! A lifetime counts from when the kernel reads it, and a process can be stopped at any instruction. Whatever waits in this
//! process for its turn would be sent when the process goes on, long after the look at the clock that it came from: an
//! address that has expired would come back. So nothing waits here. The message goes to the kernel within the call, from the
//! thread that calls; the kernel carries it out within the send, and queues its answer before the send returns (netlink(7)).

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use netlink_packet_core::{NLM_F_ACK, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, connect, recv, send,
    socket,
};

use crate::request::Failure;

/// How many messages are read for one answer. There is one, unless the answer to an earlier one was left behind.
const MESSAGES: usize = 64;

/// The room for an answer: it repeats the order that was refused.
const ANSWER: usize = 4 << 10;

/// Gives the kernel orders.
pub(crate) struct Orders {
    socket: OwnedFd,
    /// The number of the last one, which its answer bears. Held from an order to its answer.
    last: Mutex<u32>,
}

/// Opens a socket to the kernel's tables, which blocks nobody.
pub(crate) fn route_socket() -> nix::Result<OwnedFd> {
    socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )
}

impl Orders {
    pub(crate) fn open() -> io::Result<Self> {
        let socket = route_socket()?;
        // What is from another process than the kernel is not let in.
        connect(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        Ok(Self {
            socket,
            last: Mutex::new(0),
        })
    }

    /// Carries out one order.
    pub(crate) fn carry_out(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<(), Failure> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = last.wrapping_add(1);
        let mut order = NetlinkMessage::from(message);
        order.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        order.header.sequence_number = *last;
        order.finalize();
        let mut bytes = vec![0; order.buffer_len()];
        order.serialize(&mut bytes);
        send(self.socket.as_raw_fd(), &bytes, MsgFlags::empty())
            .map_err(|errno| Failure::Refused(errno.into()))?;
        self.answer(*last)
    }

    fn answer(&self, number: u32) -> Result<(), Failure> {
        let mut bytes = [0; ANSWER];
        for _ in 0..MESSAGES {
            let length = match recv(self.socket.as_raw_fd(), &mut bytes, MsgFlags::empty()) {
                Ok(length) => length,
                // Of an answer that the kernel had no memory for.
                Err(Errno::EINTR | Errno::ENOBUFS) => continue,
                Err(_) => return Err(Failure::NoAnswer),
            };
            let read = bytes.get(..length).unwrap_or_default();
            let Ok(answer) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(read) else {
                continue;
            };
            if answer.header.sequence_number != number {
                continue;
            }
            if let NetlinkPayload::Error(error) = answer.payload {
                return match error.code {
                    None => Ok(()),
                    Some(_) => Err(Failure::Refused(error.to_io())),
                };
            }
        }
        Err(Failure::NoAnswer)
    }
}
