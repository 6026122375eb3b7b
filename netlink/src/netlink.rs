//! The connection to the kernel: links, addresses, and word of changes.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressMessage;
use tokio::task::JoinSet;

use crate::address::{Address, Lifetime, PROTOCOL_MARK, Vip};
use crate::changes::Changes;
use crate::error::{Error, Operation};
use crate::link::Link;
use crate::message;
use crate::mirror::Mirror;
use crate::orders::Orders;
use crate::request::Requests;
use crate::tables::{Place, Tables};

/// One connection for changes, one for listings and one for notifications, in the network namespace of the thread
/// that opened it.
///
/// All methods take `&self` and may be called concurrently. Changes are made within the call: there is no future to
/// drop, and nothing that waits for its turn while the process is stopped.
pub struct Netlink {
    mirror: Arc<Mirror>,
    orders: Orders,
    // Dropping this ends the tasks of the other two.
    _tasks: JoinSet<()>,
}

impl Netlink {
    /// Opens the connections and spawns their tasks on the current tokio runtime, of either
    /// flavour, which must have I/O and time enabled.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with the kernel's answer.
    pub fn open() -> Result<Self, Error> {
        let refused = |source| Error::refused(Operation::Open, source);
        let orders = Orders::open().map_err(refused)?;
        let mut tasks = JoinSet::new();
        let requests = Requests::open(&mut tasks).map_err(refused)?;
        let mirror = Arc::new(Mirror::open(requests).map_err(refused)?);
        let followed = Arc::clone(&mirror);
        tasks.spawn(async move { followed.follow().await });
        Ok(Self {
            mirror,
            orders,
            _tasks: tasks,
        })
    }

    /// Returns the wake-up for whoever keeps an address on an interface as it should be.
    ///
    /// It tells of every change from now on: take it first, then look.
    pub fn changes(&self, interface: &str, address: IpAddr) -> Changes {
        self.mirror.changes(interface, address)
    }

    /// Reads what the kernel has: interfaces as `ip link show`, addresses as `ip address show`.
    ///
    /// Nothing in it is older than the call, and everything that the kernel has acknowledged before is in it. Most
    /// looks ask the kernel for nothing but its newest words; the first one, and one after words were lost, has it
    /// list everything.
    ///
    /// # Errors
    ///
    /// [`Error::NoAnswer`], [`Error::Disconnected`], [`Error::Refused`].
    pub async fn look<T>(&self, read: impl FnOnce(&Tables) -> T) -> Result<T, Error> {
        self.mirror
            .look(read)
            .await
            .map_err(|failure| failure.during(Operation::Look))
    }

    /// Reads the same where it is known without a listing.
    pub fn glance<T>(&self, read: impl FnOnce(&Tables) -> T) -> Option<T> {
        self.mirror.glance(read)
    }

    /// Looks an interface up by name, alternative names included; `None` if there is none.
    ///
    /// # Errors
    ///
    /// Those of [`Netlink::look`].
    pub async fn link(&self, name: &str) -> Result<Option<Link>, Error> {
        self.look(|tables| tables.link(name).cloned()).await
    }

    /// Lists the addresses of an interface, IPv4 and IPv6. An interface that is gone has none.
    ///
    /// # Errors
    ///
    /// Those of [`Netlink::look`].
    pub async fn addresses(&self, link: &Link) -> Result<Vec<Address>, Error> {
        let index = link.index;
        self.look(|tables| tables.addresses(index).cloned().collect())
            .await
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
    pub fn add(&self, link: &Link, vip: Vip, lifetime: Lifetime) -> Result<(), Error> {
        let operation = Operation::Add(vip, link.name.clone());
        let message = message::leased(link.index, vip, lifetime);
        self.put(message, vip, lifetime, NLM_F_CREATE | NLM_F_EXCL, operation)
    }

    /// Starts the lifetime of an address anew, in place (`ip address change VIP dev LINK valid_lft
    /// N`): nothing is removed meanwhile, no packet is lost.
    ///
    /// An address that has expired or was removed does not come back: the kernel has no "only if it is there", but is
    /// asked in a way that it can carry out for no address that it would have to add first. The caller makes sure all the
    /// same that its lease lasts, before this call *and after it*, and removes the address if it does not.
    ///
    /// It takes over whatever address is there, marked or not, so only an address known to be ours is refreshed.
    ///
    /// # Errors
    ///
    /// [`Error::NotThere`], [`Error::Permission`], [`Error::NoInterface`], [`Error::Ipv6Disabled`], and those of every
    /// request.
    pub fn refresh(&self, link: &Link, vip: Vip, lifetime: Lifetime) -> Result<(), Error> {
        let operation = Operation::Refresh(vip, link.name.clone());
        let message = message::prolonged(link.index, vip, lifetime);
        self.put(message, vip, lifetime, NLM_F_REPLACE, operation)
    }

    fn put(
        &self,
        message: AddressMessage,
        vip: Vip,
        lifetime: Lifetime,
        flags: u16,
        operation: Operation,
    ) -> Result<(), Error> {
        let expected = self
            .mirror
            .anticipate(Place::exact(message.header.index, vip));
        let request = RouteNetlinkMessage::NewAddress(message);
        match self.orders.carry_out(request, flags) {
            Ok(()) => {
                expected.acknowledged(added(vip, lifetime));
                Ok(())
            }
            Err(failure) => {
                if failure.errno().is_some() {
                    expected.refused();
                }
                Err(failure.during(operation))
            }
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
    pub fn remove(&self, link: &Link, vip: Vip) -> Result<Removed, Error> {
        let request = RouteNetlinkMessage::DelAddress(message::exact(link.index, vip));
        let answer = self.orders.carry_out(request, 0);
        self.mirror.removed(&Place::exact(link.index, vip));
        match answer {
            Ok(()) => Ok(Removed::Yes),
            Err(failure) if failure.errno().is_some_and(means_absent) => Ok(Removed::WasAbsent),
            Err(failure) => Err(failure.during(Operation::Remove(vip, link.name.clone()))),
        }
    }
}

/// What there is after an add that the kernel says nothing more of.
fn added(vip: Vip, lifetime: Lifetime) -> Address {
    Address {
        address: vip.address(),
        prefix: vip.prefix(),
        valid: lifetime
            .as_secs()
            .map(|seconds| Duration::from_secs(seconds.into())),
        protocol: Some(PROTOCOL_MARK),
        tentative: false,
        dad_failed: false,
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
