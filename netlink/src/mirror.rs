//! Keeps [`Tables`] as the kernel has them, from its own word of changes: one listing for the whole process, and
//! not one for each who looks.
//!
//! # Why it may be believed
//!
//! - Nothing is lost unheard. What does not fit into the socket's buffer makes the next read fail with `ENOBUFS`
//!   (netlink(7)); then everything is listed anew. A message that cannot be read counts as lost.
//! - A look is not older than its call: it first reads all that the kernel has queued.
//! - A listing is not mixed with older words. Between the moment at which words were lost and the end of the listing
//!   nothing is read, so that what is queued is later than the listing, or says the same again.
//! - A change that the kernel has acknowledged is seen by every later look. The kernel queues the word of it before it
//!   acknowledges, with one exception: of an IPv6 address that skips duplicate address detection, the word comes from a
//!   kernel thread, later. There the acknowledgement counts as the word ([`Expected`]), and where that would be a
//!   guess, everything is listed anew.

use std::io::{self, IoSliceMut};
use std::mem;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use nix::errno::Errno;
use nix::sys::socket::sockopt::{RcvBuf, RcvBufForce};
use nix::sys::socket::{MsgFlags, NetlinkAddr, bind, recvmsg, setsockopt};
use rtnetlink::MulticastGroup;
use tokio::io::unix::AsyncFd;

use crate::address::Address;
use crate::changes::{Changes, Readers};
use crate::message;
use crate::orders::route_socket;
use crate::request::{Failure, Requests};
use crate::tables::{Place, Tables, Word};

/// The room for notifications that nobody has read yet: some thousands, as of a thousand addresses that come at
/// once. It is used only as far as it is needed.
const BUFFER: usize = 4 << 20;

/// The longest message. Notifications of links have some kilobytes.
const MESSAGE: usize = 32 << 10;

/// How many messages one reading takes. The kernel cannot make them faster than they are read, so this only bounds
/// what should never be.
const MESSAGES: usize = 100_000;

pub(crate) struct Mirror {
    socket: AsyncFd<OwnedFd>,
    requests: Requests,
    state: Mutex<State>,
    listing: tokio::sync::Mutex<()>,
}

struct State {
    tables: Tables,
    readers: Readers,
    /// Whether the tables are the kernel's, once all that is queued is read.
    fresh: bool,
    /// Something was acknowledged, or may have been carried out, while the tables were being listed.
    missed: bool,
    closed: bool,
    expected: Vec<(Place, Fate)>,
    message: Box<[u8]>,
}

/// What has become of an address that is being added.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Unheard,
    Removed,
}

impl Mirror {
    /// Subscribes to links and addresses. Nothing is listed before the first look.
    pub(crate) fn open(requests: Requests) -> io::Result<Self> {
        let groups = [
            MulticastGroup::Link,
            MulticastGroup::Ipv4Ifaddr,
            MulticastGroup::Ipv6Ifaddr,
        ];
        let mask = groups
            .iter()
            .fold(0, |mask, group| mask | 1 << (*group as u32 - 1));
        let socket = route_socket()?;
        // More than the system's limit takes a capability over the whole machine; without, as much as there is.
        setsockopt(&socket, RcvBufForce, &BUFFER)
            .or_else(|_| setsockopt(&socket, RcvBuf, &BUFFER))?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, mask))?;
        #[expect(
            deprecated,
            reason = "the replacement is unsafe because a type may lie about its descriptor; \
                      `OwnedFd` does not"
        )]
        let socket = AsyncFd::new(socket)?;
        Ok(Self {
            socket,
            requests,
            state: Mutex::new(State {
                tables: Tables::default(),
                readers: Readers::default(),
                fresh: false,
                missed: false,
                closed: false,
                expected: Vec::new(),
                message: vec![0; MESSAGE].into(),
            }),
            listing: tokio::sync::Mutex::new(()),
        })
    }

    /// Adds one who is woken by changes of an interface and of an address.
    pub(crate) fn changes(&self, interface: &str, address: std::net::IpAddr) -> Changes {
        self.lock().readers.add(interface, address)
    }

    /// Reads the tables, each entry as it was at some moment since the call.
    pub(crate) async fn look<T>(&self, read: impl FnOnce(&Tables) -> T) -> Result<T, Failure> {
        if let Some(state) = self.caught_up()? {
            return Ok(read(&state.tables));
        }
        let _one_at_a_time = self.listing.lock().await;
        // Another one has done it meanwhile.
        if let Some(state) = self.caught_up()? {
            return Ok(read(&state.tables));
        }
        self.lock().missed = false;
        let links = self.requests.dump(&message::all_links()).await?;
        let addresses = self.requests.dump(&message::all_addresses()).await?;
        let mut state = self.lock();
        let words = links.iter().chain(&addresses).filter_map(message::word);
        state.replace(words);
        // Should it not keep up again, the listing is an answer all the same.
        state.catch_up(&self.socket)?;
        Ok(read(&state.tables))
    }

    /// Reads the tables if that takes no listing.
    pub(crate) fn glance<T>(&self, read: impl FnOnce(&Tables) -> T) -> Option<T> {
        let state = self.caught_up().ok()??;
        Some(read(&state.tables))
    }

    /// Announces that an address is about to be added or prolonged.
    pub(crate) fn anticipate(&self, place: Place) -> Expected<'_> {
        let mut state = self.lock();
        // What is queued is older.
        let _ = state.catch_up(&self.socket);
        state.expected.push((place, Fate::Unheard));
        Expected {
            mirror: self,
            place,
            outcome: Outcome::Unknown,
        }
    }

    /// Takes in that an address was removed.
    pub(crate) fn removed(&self, place: &Place) {
        let mut state = self.lock();
        let caught_up = state.catch_up(&self.socket);
        if !matches!(caught_up, Ok(true)) || state.tables.has(place) {
            state.doubt();
        }
    }

    /// Keeps the tables up to date while nobody looks, and wakes whom a change concerns.
    ///
    /// Ends when the socket fails; aborted, it loses nothing.
    pub(crate) async fn follow(&self) {
        loop {
            let Ok(mut ready) = self.socket.readable().await else {
                break;
            };
            // First, so that what comes while it is being read wakes it again.
            ready.clear_ready();
            match self.look(|_| ()).await {
                Ok(()) => {}
                Err(Failure::Disconnected) => break,
                // They look themselves, and say what is wrong.
                Err(Failure::NoAnswer | Failure::Refused(_)) => self.lock().readers.wake_all(),
            }
        }
        tracing::error!(
            "watching links and addresses failed: what others do to them is noticed late; restart this service"
        );
        let mut state = self.lock();
        state.closed = true;
        state.readers = Readers::default();
    }

    /// Reads what is queued; `None` where that is not enough.
    fn caught_up(&self) -> Result<Option<MutexGuard<'_, State>>, Failure> {
        let mut state = self.lock();
        let fresh = state.catch_up(&self.socket)?;
        Ok(fresh.then_some(state))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Reads everything that is queued, and says whether the tables are the kernel's then.
    fn catch_up(&mut self, socket: &AsyncFd<OwnedFd>) -> Result<bool, Failure> {
        if self.closed {
            return Err(Failure::Disconnected);
        }
        if !self.fresh {
            return Ok(false);
        }
        for _ in 0..MESSAGES {
            match receive(socket, &mut self.message) {
                Ok(Some(length)) => self.take(length),
                Ok(None) => {}
                Err(Errno::EAGAIN) => return Ok(self.fresh),
                // The kernel drops what comes until all that is queued has been read, so that is done first.
                Err(Errno::ENOBUFS) => self.doubt(),
                Err(Errno::EINTR) => {}
                Err(_) => {
                    self.closed = true;
                    return Err(Failure::Disconnected);
                }
            }
        }
        self.doubt();
        Ok(false)
    }

    /// Has everything listed before it is believed again.
    fn doubt(&mut self) {
        self.fresh = false;
        self.missed = true;
    }

    fn take(&mut self, length: usize) {
        let mut rest = self.message.get(..length).unwrap_or_default();
        let mut words = Vec::new();
        let mut unreadable = false;
        while !rest.is_empty() {
            let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest) else {
                unreadable = true;
                break;
            };
            let length = usize::try_from(message.header.length).unwrap_or(rest.len());
            // Messages begin at multiples of four bytes.
            let length = length.next_multiple_of(4);
            rest = rest.get(length.max(4)..).unwrap_or_default();
            if let NetlinkPayload::InnerMessage(message) = message.payload {
                words.extend(message::word(&message));
            }
        }
        if unreadable {
            self.doubt();
        }
        for word in words {
            self.hear(word);
        }
    }

    fn hear(&mut self, word: Word) {
        let gone = |place: &Place| match &word {
            Word::AddressGone { place: gone, .. } => gone == place,
            Word::LinkGone(index) => *index == place.index,
            Word::Link { .. } | Word::Address(..) => false,
        };
        for (place, fate) in &mut self.expected {
            if gone(place) {
                *fate = Fate::Removed;
            }
        }
        if let Some(touched) = self.tables.take(word) {
            self.readers.wake(&touched);
        }
    }

    /// Puts a listing in the place of what was known.
    fn replace(&mut self, words: impl Iterator<Item = Word>) {
        let mut tables = self.tables.emptied();
        for word in words {
            tables.take(word);
        }
        self.tables = tables;
        self.fresh = !mem::take(&mut self.missed);
        self.readers.wake_all();
    }
}

/// An address on its way into the kernel.
///
/// Dropped without a word of what has become of it, it makes the next look list everything.
pub(crate) struct Expected<'a> {
    mirror: &'a Mirror,
    place: Place,
    outcome: Outcome,
}

enum Outcome {
    Unknown,
    Added(Address),
    Refused,
}

impl Expected<'_> {
    /// The kernel has acknowledged it.
    pub(crate) fn acknowledged(mut self, address: Address) {
        self.outcome = Outcome::Added(address);
    }

    /// The kernel has refused it.
    pub(crate) fn refused(mut self) {
        self.outcome = Outcome::Refused;
    }
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        let mut state = self.mirror.lock();
        let caught_up = matches!(state.catch_up(&self.mirror.socket), Ok(true));
        let position = state
            .expected
            .iter()
            .position(|(place, _)| *place == self.place);
        let fate = position.map(|position| state.expected.swap_remove(position).1);
        match mem::replace(&mut self.outcome, Outcome::Refused) {
            Outcome::Refused => {}
            Outcome::Added(_) if caught_up && state.tables.has(&self.place) => {}
            // Nobody has said that it is gone again, so it is there.
            Outcome::Added(address) if caught_up && fate == Some(Fate::Unheard) => {
                state.hear(Word::Address(self.place, address));
            }
            Outcome::Added(_) | Outcome::Unknown => state.doubt(),
        }
    }
}

/// Reads one message of the kernel; `None` for one of somebody else.
fn receive(socket: &AsyncFd<OwnedFd>, message: &mut [u8]) -> Result<Option<usize>, Errno> {
    let mut parts = [IoSliceMut::new(message)];
    let received = recvmsg::<NetlinkAddr>(
        socket.get_ref().as_raw_fd(),
        &mut parts,
        None,
        MsgFlags::MSG_DONTWAIT,
    )?;
    if received.flags.contains(MsgFlags::MSG_TRUNC) {
        return Err(Errno::ENOBUFS);
    }
    let of_kernel = received.address.is_some_and(|from| from.pid() == 0);
    Ok(of_kernel.then_some(received.bytes))
}
