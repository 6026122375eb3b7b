//! Driver: hears from the kernel which host has which address.
//!
//! One socket listens to all namespaces (`NETLINK_LISTEN_ALL_NSID`, netlink(7)), so that the kernel
//! itself puts the events of all hosts into one order. A late wake-up of this thread may make time
//! stamps late, but never makes "removed here, added there" look like an overlap.

use std::collections::BTreeMap;
use std::io::{self, IoSliceMut};
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType,
    bind, recvmsg, setsockopt, socket, sockopt,
};

use super::{Error, message};
use crate::history::History;
use crate::netns::Namespace;
use crate::worker::{Stop, Wake, Worker, hurry};

/// An address came to a host or left it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AddressEvent {
    /// When this was heard of.
    pub at: Instant,
    /// The host's name.
    pub host: Arc<str>,
    /// The address.
    pub address: IpAddr,
    /// What happened to it.
    pub change: Change,
}

/// What can happen to an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// The host has it from now on.
    Appeared,
    /// The host no longer has it.
    Gone,
}

/// The record of every address of some hosts, from before it was started.
#[derive(Debug)]
pub struct Addresses {
    events: History<AddressEvent>,
    present: Arc<Mutex<Present>>,
    lost: Arc<AtomicBool>,
    _worker: Worker,
}

/// Which hosts have which address now.
type Present = BTreeMap<IpAddr, Vec<Arc<str>>>;

/// A host by the number that the listening namespace has for it.
struct Source {
    id: i32,
    name: Arc<str>,
}

impl Addresses {
    /// Starts listening; what the hosts have already counts as having appeared now.
    pub fn watch(hosts: &[Namespace]) -> Result<Self, Error> {
        let sources = hosts.iter().map(number).collect::<Result<Vec<_>, _>>()?;
        // Listening starts before the inventory, so nothing falls between the two.
        let socket = listen().map_err(|cause| Error::Socket("open", cause))?;
        let (events, lost) = (History::default(), Arc::new(AtomicBool::new(false)));
        let mut present = Present::new();
        for (host, source) in hosts.iter().zip(&sources) {
            for address in inventory(host)? {
                record(
                    &events,
                    &mut present,
                    &source.name,
                    (Change::Appeared, address),
                );
            }
        }
        let present = Arc::new(Mutex::new(present));
        let worker = Worker::start("addresses", {
            let (events, lost) = (events.clone(), Arc::clone(&lost));
            let present = Arc::clone(&present);
            move |stop| listen_until(&stop, &socket, &sources, &present, &events, &lost)
        })
        .map_err(|cause| Error::Socket("start a thread for", cause))?;
        Ok(Self {
            events,
            present,
            lost,
            _worker: worker,
        })
    }

    /// Returns the record, for reading and waiting.
    pub fn history(&self) -> &History<AddressEvent> {
        &self.events
    }

    /// Returns everything so far.
    ///
    /// # Errors
    /// [`Error::Lost`] when something is missing from it.
    pub fn events(&self) -> Result<Vec<AddressEvent>, Error> {
        if self.lost.load(Ordering::Relaxed) {
            return Err(Error::Lost);
        }
        Ok(self.events.read(<[_]>::to_vec))
    }

    /// Returns the hosts that have `address` now.
    pub fn holders(&self, address: IpAddr) -> Vec<Arc<str>> {
        lock(&self.present)
            .get(&address)
            .cloned()
            .unwrap_or_default()
    }

    /// Returns the hosts of every address that any host has now.
    pub fn present(&self) -> BTreeMap<IpAddr, Vec<Arc<str>>> {
        lock(&self.present).clone()
    }
}

/// Returns the hosts that have `address` at the end of `events`.
pub(crate) fn holders(events: &[AddressEvent], address: IpAddr) -> Vec<Arc<str>> {
    let mut holders = Vec::new();
    for event in events.iter().filter(|event| event.address == address) {
        holders.retain(|host| *host != event.host);
        if event.change == Change::Appeared {
            holders.push(Arc::clone(&event.host));
        }
    }
    holders
}

/// The kernel passes on the events of namespaces that have a number here.
fn number(host: &Namespace) -> Result<Source, Error> {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    crate::netns::ip(&["netns", "set", host.name(), &id.to_string()])?;
    Ok(Source {
        id: id.cast_signed(),
        name: host.name().into(),
    })
}

fn listen() -> io::Result<OwnedFd> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        SockProtocol::NetlinkRoute,
    )?;
    // Room for thousands of events while this thread does not get to run; more than the machine's own
    // limit is not for everybody.
    if setsockopt(&socket, sockopt::RcvBufForce, &(1 << 24)).is_err() {
        setsockopt(&socket, sockopt::RcvBuf, &(1 << 20))?;
    }
    hear_all_namespaces(&socket)?;
    let groups = libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR;
    bind(
        socket.as_raw_fd(),
        &NetlinkAddr::new(0, groups.cast_unsigned()),
    )?;
    Ok(socket)
}

#[expect(unsafe_code, reason = "nix has no NETLINK_LISTEN_ALL_NSID")]
fn hear_all_namespaces(socket: &OwnedFd) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the option's value is an int, and the length passed is that of an int.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_NETLINK,
            libc::NETLINK_LISTEN_ALL_NSID,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    Errno::result(result).map(drop).map_err(io::Error::from)
}

fn listen_until(
    stop: &Stop,
    socket: &OwnedFd,
    sources: &[Source],
    present: &Mutex<Present>,
    events: &History<AddressEvent>,
    lost: &AtomicBool,
) {
    hurry();
    let mut data = vec![0; 1 << 15];
    while stop.wait(socket, None) == Wake::Readable {
        match receive(socket, &mut data) {
            Ok(heard) => {
                let source = sources
                    .iter()
                    .find(|source| Some(source.id) == heard.source);
                let Some(source) = source else { continue };
                let mut present = lock(present);
                for change in heard.changes {
                    record(events, &mut present, &source.name, change);
                }
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => lost.store(true, Ordering::Relaxed),
        }
    }
}

/// What one datagram says.
struct Heard {
    /// The number of the namespace that it is about.
    source: Option<i32>,
    changes: Vec<(Change, IpAddr)>,
}

fn receive(socket: &OwnedFd, data: &mut [u8]) -> nix::Result<Heard> {
    let mut control = nix::cmsg_space!(i32);
    let mut parts = [IoSliceMut::new(data)];
    let received = recvmsg::<NetlinkAddr>(
        socket.as_raw_fd(),
        &mut parts,
        Some(&mut control),
        MsgFlags::empty(),
    )?;
    let (length, mut source) = (received.bytes, None);
    for control in received.cmsgs()? {
        if let ControlMessageOwned::Unknown(unknown) = control
            && unknown.cmsg_header.cmsg_level == libc::SOL_NETLINK
            && unknown.cmsg_header.cmsg_type == libc::NETLINK_LISTEN_ALL_NSID
        {
            source = unknown
                .data_bytes
                .first_chunk()
                .map(|bytes| i32::from_ne_bytes(*bytes));
        }
    }
    Ok(Heard {
        source,
        changes: message::parse(&data[..length]),
    })
}

/// Records a change of state; a refreshed lifetime is none.
fn record(
    events: &History<AddressEvent>,
    present: &mut Present,
    host: &Arc<str>,
    (change, address): (Change, IpAddr),
) {
    let hosts = present.entry(address).or_default();
    let known = hosts.iter().position(|known| known == host);
    let news = match (change, known) {
        (Change::Appeared, None) => {
            hosts.push(Arc::clone(host));
            true
        }
        (Change::Gone, Some(known)) => {
            hosts.remove(known);
            true
        }
        (Change::Appeared, Some(_)) | (Change::Gone, None) => false,
    };
    if hosts.is_empty() {
        present.remove(&address);
    }
    if news {
        events.push(AddressEvent {
            at: Instant::now(),
            host: Arc::clone(host),
            address,
            change,
        });
    }
}

fn lock(present: &Mutex<Present>) -> MutexGuard<'_, Present> {
    // Nothing panics between two changes that belong together.
    present.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What `ip -j address` prints, as far as it matters.
#[derive(serde::Deserialize)]
struct Interface {
    addr_info: Vec<Address>,
}

#[derive(serde::Deserialize)]
struct Address {
    local: Option<IpAddr>,
}

fn inventory(host: &Namespace) -> Result<Vec<IpAddr>, Error> {
    let printed = host.ip(&["-j", "address", "show"])?;
    let interfaces: Vec<Interface> = serde_json::from_str(&printed).map_err(Error::Inventory)?;
    let addresses = interfaces
        .into_iter()
        .flat_map(|interface| interface.addr_info);
    Ok(addresses.filter_map(|address| address.local).collect())
}
