//! The connection to the kernel: links, addresses, and word of changes.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage;
use tokio::task::JoinSet;

use crate::address::{Address, Lifetime, Vip};
use crate::changes::{Changes, Monitor};
use crate::error::{Error, Operation};
use crate::link::Link;
use crate::message;
use crate::request::Requests;

/// One connection for requests and one for notifications, in the network namespace of the thread
/// that opened it.
///
/// All methods take `&self` and may be called concurrently. A request whose future is dropped may
/// still be carried out; list again to know.
pub struct Netlink {
    requests: Requests,
    monitor: Monitor,
    // Dropping this ends both connections' tasks.
    _tasks: JoinSet<()>,
}

impl Netlink {
    /// Opens both connections and spawns their tasks on the current tokio runtime, of either
    /// flavour, which must have I/O and time enabled.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with the kernel's answer.
    pub fn open() -> Result<Self, Error> {
        let refused = |source| Error::refused(Operation::Open, source);
        let mut tasks = JoinSet::new();
        // First, so that a listing that follows is never older than the first notification.
        let monitor = Monitor::open(&mut tasks).map_err(refused)?;
        let requests = Requests::open(&mut tasks).map_err(refused)?;
        Ok(Self {
            requests,
            monitor,
            _tasks: tasks,
        })
    }

    /// Returns the wake-up for whoever keeps addresses as they should be.
    ///
    /// It tells of every change from now on: take it first, then list.
    pub fn changes(&self) -> Changes {
        self.monitor.changes()
    }

    /// Looks an interface up by name (`ip link show NAME`); `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`Error::NoAnswer`], [`Error::Disconnected`], [`Error::Refused`].
    pub async fn link(&self, name: &str) -> Result<Option<Link>, Error> {
        if name.is_empty() || name.len() >= libc::IFNAMSIZ {
            // The kernel would call it a malformed request; to the caller it is no interface.
            return Ok(None);
        }
        let question = RouteNetlinkMessage::GetLink(message::link_named(name));
        let answer = match self.requests.carry_out(question, 0).await {
            Ok(answer) => answer,
            Err(failure) if failure.errno() == Some(libc::ENODEV) => return Ok(None),
            Err(failure) => return Err(failure.during(Operation::ReadLink(name.to_owned()))),
        };
        Ok(answer.iter().find_map(match_link))
    }

    /// Lists the addresses of an interface, IPv4 and IPv6 (`ip address show dev LINK`).
    ///
    /// An interface that is gone has none.
    ///
    /// # Errors
    ///
    /// [`Error::NoAnswer`], [`Error::Disconnected`], [`Error::Refused`].
    pub async fn addresses(&self, link: &Link) -> Result<Vec<Address>, Error> {
        let question = RouteNetlinkMessage::GetAddress(message::addresses_of(link.index));
        let table = match self.requests.dump(&question).await {
            Ok(table) => table,
            Err(failure) if failure.errno() == Some(libc::ENODEV) => return Ok(Vec::new()),
            Err(failure) => {
                return Err(failure.during(Operation::ReadAddresses(link.name.clone())));
            }
        };
        Ok(table
            .iter()
            .filter_map(|reply| match_address(reply, link.index))
            .collect())
    }

    /// Finds the interfaces that carry `address` with [`crate::PROTOCOL_MARK`]: those where this
    /// process, or an earlier one, has put it.
    ///
    /// # Errors
    ///
    /// [`Error::NoAnswer`], [`Error::Disconnected`], [`Error::Refused`].
    pub async fn carriers_of(&self, address: IpAddr) -> Result<Vec<Link>, Error> {
        let question = RouteNetlinkMessage::GetAddress(message::addresses_of(0));
        let table = self
            .requests
            .dump(&question)
            .await
            .map_err(|failure| failure.during(Operation::Find(address)))?;
        let carrier = |reply: &RouteNetlinkMessage| {
            let RouteNetlinkMessage::NewAddress(found) = reply else {
                return None;
            };
            message::address(found)
                .filter(|found| found.address == address && found.is_ours())
                .map(|_| found.header.index)
        };
        let mut carriers = Vec::new();
        for index in table.iter().filter_map(carrier) {
            let question = RouteNetlinkMessage::GetLink(message::link_at(index));
            match self.requests.carry_out(question, 0).await {
                Ok(answer) => carriers.extend(answer.iter().find_map(match_link)),
                // It went with its addresses meanwhile.
                Err(failure) if failure.errno() == Some(libc::ENODEV) => {}
                Err(failure) => return Err(failure.during(Operation::Find(address))),
            }
        }
        Ok(carriers)
    }

    /// Adds an address that the interface does not have, for `lifetime` (`ip address add VIP dev
    /// LINK valid_lft N`, with [`crate::PROTOCOL_MARK`]).
    ///
    /// It is exclusive: an address that is there, whoever put it there, stays as it is. IPv4 allows
    /// the same address twice with different prefix lengths, so an exclusive add does not tell that
    /// somebody else's is there with another one: list before adding.
    ///
    /// An IPv6 address can be used at once (no duplicate address detection), and is never chosen as
    /// the source of this host's own connections.
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyThere`], [`Error::Permission`], [`Error::NoInterface`],
    /// [`Error::Ipv6Disabled`], and those of every request.
    pub async fn add(&self, link: &Link, vip: Vip, lifetime: Lifetime) -> Result<(), Error> {
        let request = RouteNetlinkMessage::NewAddress(message::leased(link.index, vip, lifetime));
        match self
            .requests
            .carry_out(request, NLM_F_CREATE | NLM_F_EXCL)
            .await
        {
            Ok(_) => Ok(()),
            Err(failure) => Err(failure.during(Operation::Add(vip, link.name.clone()))),
        }
    }

    /// Starts the lifetime of an address anew, in place (`ip address change VIP dev LINK valid_lft
    /// N`): nothing is removed meanwhile, no packet is lost.
    ///
    /// **It resurrects.** The kernel has no "only if it is there": an address that has expired or
    /// was removed comes back. So the caller makes sure that its lease lasts, before this call *and
    /// after it*, and removes the address if it does not. It also takes over whatever address is
    /// there, marked or not, so only an address known to be ours is refreshed.
    ///
    /// # Errors
    ///
    /// [`Error::Permission`], [`Error::NoInterface`], [`Error::Ipv6Disabled`], and those of every
    /// request.
    pub async fn refresh(&self, link: &Link, vip: Vip, lifetime: Lifetime) -> Result<(), Error> {
        let request = RouteNetlinkMessage::NewAddress(message::leased(link.index, vip, lifetime));
        match self.requests.carry_out(request, NLM_F_REPLACE).await {
            Ok(_) => Ok(()),
            Err(failure) => Err(failure.during(Operation::Refresh(vip, link.name.clone()))),
        }
    }

    /// Removes exactly this address: interface, address and prefix length (`ip address delete VIP
    /// dev LINK`). When it returns, packets to the address are no longer taken.
    ///
    /// Whose address it is, is the caller's to know ([`Address::is_ours`]).
    ///
    /// # Errors
    ///
    /// [`Error::Permission`], and those of every request.
    pub async fn remove(&self, link: &Link, vip: Vip) -> Result<Removed, Error> {
        let request = RouteNetlinkMessage::DelAddress(message::exact(link.index, vip));
        match self.requests.carry_out(request, 0).await {
            Ok(_) => Ok(Removed::Yes),
            Err(failure) if failure.errno().is_some_and(means_absent) => Ok(Removed::WasAbsent),
            Err(failure) => Err(failure.during(Operation::Remove(vip, link.name.clone()))),
        }
    }
}

/// What [`Netlink::remove`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// The address was there, and is no more.
    Yes,
    /// The address, or its interface, was not there.
    WasAbsent,
}

/// No such address; no such interface; an interface that has no addresses of the family.
fn means_absent(errno: i32) -> bool {
    matches!(errno, libc::EADDRNOTAVAIL | libc::ENODEV | libc::ENXIO)
}

fn match_link(reply: &RouteNetlinkMessage) -> Option<Link> {
    if let RouteNetlinkMessage::NewLink(link) = reply {
        message::link(link)
    } else {
        None
    }
}

fn match_address(reply: &RouteNetlinkMessage, index: u32) -> Option<Address> {
    if let RouteNetlinkMessage::NewAddress(address) = reply
        && address.header.index == index
    {
        message::address(address)
    } else {
        None
    }
}
