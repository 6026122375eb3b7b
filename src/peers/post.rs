//! Driver: the one UDP socket of the process, and a letterbox for each group.
//!
//! [`Post::deliver`] is one task, spawned by the daemon. It reads what arrives, drops what nobody who
//! knows a secret has signed, and puts the rest into the letterbox of the group whose secret it was. It
//! ends when it is dropped, and is cancel safe: what was not read yet is lost, and nothing is said of
//! it, as with every datagram.
//!
//! A flood costs its reading: a few datagrams at a time, so that every other task has its turn; none of
//! them is logged above trace, and none is remembered before its signature is verified.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::net::UdpSocket;
use tokio::sync::broadcast::{self, error::RecvError};
use tracing::trace;

use crate::election::candidate::{Contact, Secret};
use crate::election::peer::Datagram;
use crate::peers::Peers;
use crate::peers::wire::{self, Key, Sealed, SecretId};

/// How many datagrams are read before other tasks have their turn.
const TURN: usize = 32;

/// How many datagrams a letterbox holds. A fuller one loses the oldest, which say least.
const ROOM: usize = 64;

/// After a socket that cannot be read.
const PAUSE: Duration = Duration::from_millis(100);

/// No socket.
#[derive(Debug, Error)]
#[error("listening for other hosts on udp {listen}")]
pub struct BindError {
    /// Where it should have listened.
    pub listen: SocketAddr,
    /// What the kernel said.
    #[source]
    pub source: io::Error,
}

/// The socket, and whose letterboxes it fills; clones share both.
#[derive(Clone, Debug)]
pub struct Post {
    socket: Arc<UdpSocket>,
    listen: SocketAddr,
    boxes: Boxes,
    counts: Arc<Counts>,
}

type Boxes = Arc<Mutex<BTreeMap<SecretId, Slot>>>;

fn open(boxes: &Boxes) -> MutexGuard<'_, BTreeMap<SecretId, Slot>> {
    boxes.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where a group's datagrams are put.
#[derive(Debug)]
struct Slot {
    key: Key,
    queue: broadcast::Sender<Datagram>,
}

impl Post {
    /// Listens. `[::]` hears both families where `net.ipv6.bindv6only` is 0, as it is by default, and
    /// IPv4 alone on a kernel without IPv6.
    ///
    /// # Errors
    ///
    /// When the address is not this host's, or the port is taken.
    pub async fn bind(listen: SocketAddr) -> Result<Self, BindError> {
        let bound = match UdpSocket::bind(listen).await {
            Err(error) if has_no_ipv6(&error) && listen.ip().is_unspecified() => {
                UdpSocket::bind((Ipv4Addr::UNSPECIFIED, listen.port())).await
            }
            bound => bound,
        };
        let failed = |source| BindError { listen, source };
        let socket = bound.map_err(failed)?;
        // From now on a try to send finds out for itself whether there is room.
        socket.writable().await.map_err(failed)?;
        Ok(Self {
            listen: socket.local_addr().map_err(failed)?,
            socket: Arc::new(socket),
            boxes: Boxes::default(),
            counts: Arc::default(),
        })
    }

    /// Returns where it listens, with the port that the kernel chose where 0 was asked for.
    pub const fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Returns what has been counted, now and later.
    pub fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// Opens the letterbox of the group whose secret this is, until that is dropped.
    pub fn open(&self, secret: &Secret) -> Letterbox {
        let key = Key::new(secret);
        let id = key.id();
        let (queue, arriving) = broadcast::channel(ROOM);
        open(&self.boxes).insert(id, Slot { key, queue });
        Letterbox {
            id,
            boxes: Arc::clone(&self.boxes),
            socket: Arc::clone(&self.socket),
            is_ipv6: self.listen.is_ipv6(),
            arriving,
            counts: Arc::clone(&self.counts),
        }
    }

    /// Fills the letterboxes, for as long as it is polled.
    pub async fn deliver(self) {
        // One byte more than a datagram has, so that a longer one is seen as such.
        let mut bytes = [0; wire::LENGTH + 1];
        loop {
            let turn = match self.socket.readable().await {
                Ok(()) => self.take_turn(&mut bytes),
                Err(error) => Err(error),
            };
            match turn {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                    trace!(%error, "nothing can be heard from other hosts");
                    tokio::time::sleep(PAUSE).await;
                }
                Ok(()) | Err(_) => tokio::task::yield_now().await,
            }
        }
    }

    /// Reads some of what has arrived.
    fn take_turn(&self, bytes: &mut [u8]) -> io::Result<()> {
        for _ in 0..TURN {
            let length = self.socket.try_recv(bytes)?;
            self.sort(&bytes[..length]);
        }
        Ok(())
    }

    fn sort(&self, bytes: &[u8]) {
        let boxes = open(&self.boxes);
        let read = Sealed::parse(bytes).and_then(|sealed| {
            let slot = boxes.get(&sealed.to())?;
            Some((slot, sealed.open(&slot.key)?))
        });
        match read {
            Some((slot, datagram)) => {
                count(&self.counts.heard, 1);
                // Fails where the group has ended.
                let _ = slot.queue.send(datagram);
            }
            None => count(&self.counts.refused, 1),
        }
    }
}

/// One group's way to the other hosts, and theirs to it.
#[derive(Debug)]
pub struct Letterbox {
    id: SecretId,
    boxes: Boxes,
    socket: Arc<UdpSocket>,
    is_ipv6: bool,
    arriving: broadcast::Receiver<Datagram>,
    counts: Arc<Counts>,
}

impl Drop for Letterbox {
    fn drop(&mut self) {
        open(&self.boxes).remove(&self.id);
    }
}

impl Peers for Letterbox {
    /// Where the kernel has no room, no route or no socket of that family, the datagram is lost, as it
    /// may be anywhere on its way.
    fn send(&mut self, contact: &Contact, datagram: &Datagram) {
        let Some(bytes) = Key::new(&contact.secret).seal(datagram) else {
            count(&self.counts.unsent, 1);
            trace!(
                ?datagram,
                "consul gave a session a name that is no uuid, and no other can be sent"
            );
            return;
        };
        let address = as_seen_from(self.is_ipv6, contact.address);
        match self.socket.try_send_to(&bytes, address) {
            Ok(_) => count(&self.counts.sent, 1),
            Err(error) => {
                count(&self.counts.unsent, 1);
                trace!(%address, %error, "a datagram could not be sent");
            }
        }
    }

    async fn heard(&mut self) -> Datagram {
        loop {
            match self.arriving.recv().await {
                Ok(datagram) => return datagram,
                Err(RecvError::Lagged(lost)) => count(&self.counts.overrun, lost),
                // Nobody delivers any more.
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

/// What the socket has seen since it was opened, of all groups together.
#[derive(Debug, Default)]
pub struct Counts {
    heard: AtomicU64,
    refused: AtomicU64,
    overrun: AtomicU64,
    sent: AtomicU64,
    unsent: AtomicU64,
}

impl Counts {
    /// Returns how many datagrams came from hosts that know one of our secrets.
    pub fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    /// Returns how many datagrams were none, or forged, or for somebody else.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Returns how many of those that were heard had to make room for newer ones.
    pub fn overrun(&self) -> u64 {
        self.overrun.load(Ordering::Relaxed)
    }

    /// Returns how many datagrams the kernel has taken from us.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Returns how many datagrams the kernel has not taken.
    pub fn unsent(&self) -> u64 {
        self.unsent.load(Ordering::Relaxed)
    }
}

fn count(counter: &AtomicU64, times: u64) {
    counter.fetch_add(times, Ordering::Relaxed);
}

/// A socket for both families takes IPv4 addresses as mapped ones (RFC 4291, section 2.5.5.2).
fn as_seen_from(is_ipv6: bool, address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(v4) if is_ipv6 => (v4.to_ipv6_mapped(), address.port()).into(),
        IpAddr::V4(_) | IpAddr::V6(_) => address,
    }
}

fn has_no_ipv6(error: &io::Error) -> bool {
    error.raw_os_error() == Some(nix::libc::EAFNOSUPPORT)
}
