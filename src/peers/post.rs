//! Driver: the one UDP socket of the process, and a letterbox for each group.
//!
//! [`Post::deliver`] is one task, spawned by the daemon. It reads what arrives, drops what nobody who
//! knows a secret has signed, and puts the rest into the letterboxes of the groups whose secret it was. It
//! ends when it is dropped, and is cancel safe: what was not read yet is lost, and nothing is said of
//! it, as with every datagram.
//!
//! A flood costs its reading: a few datagrams at a time, so that every other task has its turn; none of
//! them is logged above trace, and none is remembered before its signature is verified.
//!
//! # Many groups
//!
//! A heartbeat says that a session's process lives, and groups share sessions. So groups that share a secret hear one
//! heartbeat of each leader, and are woken for some of them; the newest is there for whoever
//! is about to take a leader for silent. A question is put once for all that have it, and the answer is every group's:
//! else one datagram that is lost among those of a thousand groups would end the session of all. It is answered once,
//! by the first group that knows who asks: whoever asks for one group need not be a candidate of another. In the other
//! direction the post repeats what a group has said, for less long than the others wait, once for all groups.

mod counts;
mod slot;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use thiserror::Error;
use tokio::net::UdpSocket;
use tokio::time::sleep;
use tracing::trace;

pub use self::counts::Counts;
use self::counts::count;
use self::slot::{Beat, Inside, ROOM, Slot, lock};
use crate::driver::clock;
use crate::election::call::SessionId;
use crate::election::candidate::{Contact, Secret};
use crate::election::machine::BEATS_REPEATED;
use crate::election::peer::{Datagram, GroupId, Message};
use crate::election::time::Timestamp;
use crate::peers::Peers;
use crate::peers::wire::{self, Key, Sealed, SecretId};

/// How many datagrams are read before other tasks have their turn.
const TURN: usize = 32;

/// For how long an answer to a question is waited for.
const REMEMBERED: Duration = Duration::from_secs(5);

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

/// The socket, and whose letterboxes it fills. Clones share both.
#[derive(Clone, Debug)]
pub struct Post {
    socket: Arc<UdpSocket>,
    listen: SocketAddr,
    slots: Arc<Mutex<BTreeMap<SecretId, Slot>>>,
    repeats: Arc<Mutex<BTreeMap<Route, Repeat>>>,
    /// Those that were put in the last moments.
    questions: Arc<Mutex<VecDeque<Question>>>,
    /// Whose question of the last ones has been answered.
    answered: Arc<Mutex<VecDeque<(Route, u64)>>>,
    counts: Arc<Counts>,
}

/// To whom, and of which session.
type Route = (SocketAddr, Secret, SessionId);

/// A heartbeat that is said again.
#[derive(Debug)]
struct Repeat {
    contact: Contact,
    said: Datagram,
    interval: Duration,
    sent_at: Timestamp,
    until: Timestamp,
}

/// A question, by whichever group.
#[derive(Debug)]
struct Question {
    /// To whom, and about which leader.
    route: Route,
    sequence: u64,
    at: Timestamp,
    /// When an answer came, and for how long whoever gave it had not heard the leader then.
    answer: Option<(Timestamp, Datagram)>,
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
            slots: Arc::default(),
            repeats: Arc::default(),
            questions: Arc::default(),
            answered: Arc::default(),
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

    /// Opens the letterbox of a group that alone has this secret.
    pub fn open(&self, secret: &Secret) -> Letterbox {
        self.letterbox(secret, None)
    }

    /// Opens the letterbox of this one of the groups with this secret, which hear and say a heartbeat each `interval`,
    /// all of them together.
    pub fn open_shared(&self, secret: &Secret, interval: Duration, group: GroupId) -> Letterbox {
        self.letterbox(secret, Some((interval, group)))
    }

    fn letterbox(&self, secret: &Secret, shared: Option<(Duration, GroupId)>) -> Letterbox {
        let key = Key::new(secret);
        let inside = Arc::new(Inside {
            group: shared.map(|(_, group)| group),
            ..Inside::default()
        });
        let mut slots = self.slots();
        let is_open = |inside: &Weak<Inside>| inside.strong_count() > 0;
        slots.retain(|_, slot| slot.letterboxes.iter().any(is_open));
        let slot = slots.entry(key.id()).or_insert_with(|| Slot {
            key,
            shared: shared.is_some(),
            letterboxes: Vec::new(),
            beats: Arc::default(),
        });
        slot.letterboxes.retain(is_open);
        slot.letterboxes.push(Arc::downgrade(&inside));
        Letterbox {
            beats: Arc::clone(&slot.beats),
            post: self.clone(),
            inside,
            interval: shared.map(|(interval, _)| interval),
            last: None,
        }
    }

    /// Fills the letterboxes, and repeats heartbeats, for as long as it is polled.
    pub async fn deliver(self) {
        // One byte more than a datagram has, so that a longer one is seen as such.
        let mut bytes = [0; wire::LENGTH + 1];
        loop {
            let wait = self.repeat(clock::now());
            let readable = tokio::select! {
                readable = self.socket.readable() => readable,
                () = sleep(wait) => continue,
            };
            match readable.and_then(|()| self.take_turn(&mut bytes)) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                    trace!(%error, "nothing can be heard from other hosts");
                    sleep(PAUSE).await;
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
        let mut slots = self.slots();
        let read = Sealed::parse(bytes).and_then(|sealed| {
            let slot = slots.get_mut(&sealed.to())?;
            let datagram = sealed.open(&slot.key)?;
            Some((slot, datagram))
        });
        let Some((slot, datagram)) = read else {
            return count(&self.counts.refused, 1);
        };
        count(&self.counts.heard, 1);
        let now = clock::now();
        if let (true, Message::Heard { question, .. }) = (slot.shared, datagram.message) {
            let mut questions = lock(&self.questions);
            let Some(question) = questions.iter_mut().find(|one| one.sequence == question) else {
                return;
            };
            question.answer = Some((now, datagram.clone()));
        }
        let lost = slot.put(now, datagram);
        count(&self.counts.overrun, lost);
    }

    /// Says again what is due to be. Returns for how long nothing is.
    fn repeat(&self, now: Timestamp) -> Duration {
        let mut repeats = self.repeats();
        repeats.retain(|_, repeat| now < repeat.until);
        let mut next = now + PAUSE;
        for repeat in repeats.values_mut() {
            if repeat.sent_at + repeat.interval <= now {
                repeat.sent_at = now;
                repeat.said.sequence = sequence(now);
                self.say(&repeat.contact, &repeat.said);
            }
            next = next.min(repeat.sent_at + repeat.interval);
        }
        next.since(now).max(Duration::from_millis(1))
    }

    /// Where the kernel has no room, no route or no socket of that family, the datagram is lost, as it
    /// may be anywhere on its way.
    fn say(&self, contact: &Contact, datagram: &Datagram) {
        let Some(bytes) = Key::new(&contact.secret).seal(datagram) else {
            count(&self.counts.unsent, 1);
            trace!(
                ?datagram,
                "consul gave a session a name that is no uuid, and no other can be sent"
            );
            return;
        };
        let address = as_seen_from(self.listen.is_ipv6(), contact.address);
        match self.socket.try_send_to(&bytes, address) {
            Ok(_) => count(&self.counts.sent, 1),
            Err(error) => {
                count(&self.counts.unsent, 1);
                trace!(%address, %error, "a datagram could not be sent");
            }
        }
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<SecretId, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn repeats(&self) -> MutexGuard<'_, BTreeMap<Route, Repeat>> {
        self.repeats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One group's way to the other hosts, and theirs to it.
#[derive(Debug)]
pub struct Letterbox {
    post: Post,
    inside: Arc<Inside>,
    beats: Arc<Mutex<BTreeMap<SessionId, Beat>>>,
    /// From one heartbeat to the next, where several groups share them.
    interval: Option<Duration>,
    /// The leader and the sequence of the last heartbeat that was taken out, and when.
    last: Option<(SessionId, u64, Timestamp)>,
}

impl Letterbox {
    /// Takes out this leader's newest heartbeat, if it was not yet, and another was not just before.
    fn beat_of(&mut self, leader: &SessionId, at_once: bool) -> Option<(Timestamp, Datagram)> {
        let beats = lock(&self.beats);
        let beat = beats.get(leader)?;
        let Message::Heartbeat { patience } = beat.said.message else {
            return None;
        };
        if let Some((of, sequence, at)) = &self.last
            && of == leader
            && (*sequence >= beat.said.sequence
                || !at_once && beat.came_at.since(*at) < patience / 4)
        {
            return None;
        }
        let said = beat.said.clone();
        self.last = Some((leader.clone(), said.sequence, beat.came_at));
        Some((beat.came_at, said))
    }
}

impl Letterbox {
    /// Puts a question, unless another group has just done so.
    fn ask(&self, now: Timestamp, interval: Duration, contact: &Contact, question: &Datagram) {
        let leader = question.leader.clone();
        *lock(&self.inside.asked) = Some((leader.clone(), question.sequence));
        let route = (contact.address, contact.secret, leader);
        let mut questions = lock(&self.post.questions);
        questions.retain(|one| now.since(one.at) < REMEMBERED);
        let known = questions
            .iter()
            .rev()
            .find(|one| one.route == route && now.since(one.at) < interval);
        match known {
            Some(known) => {
                if let Some((at, answer)) = &known.answer
                    && let Message::Heard { ago, .. } = answer.message
                {
                    self.inside.answer(now, answer, ago + now.since(*at));
                }
            }
            None => {
                if questions.len() >= ROOM {
                    questions.pop_front();
                }
                questions.push_back(Question {
                    route,
                    sequence: question.sequence,
                    at: now,
                    answer: None,
                });
                self.post.say(contact, question);
            }
        }
    }

    /// Answers a question, unless another group has done so.
    fn answer(&self, contact: &Contact, question: u64, answer: &Datagram) {
        let route = (contact.address, contact.secret, answer.leader.clone());
        let one = (route, question);
        let mut answered = lock(&self.post.answered);
        if answered.contains(&one) {
            return;
        }
        if answered.len() >= ROOM {
            answered.pop_front();
        }
        answered.push_back(one);
        self.post.say(contact, answer);
    }
}

impl Peers for Letterbox {
    fn send(&mut self, contact: &Contact, datagram: &Datagram) {
        let Some(interval) = self.interval else {
            return self.post.say(contact, datagram);
        };
        let now = clock::now();
        match datagram.message {
            Message::Heartbeat { .. } => {}
            Message::Question => return self.ask(now, interval, contact, datagram),
            Message::Heard { question, .. } => return self.answer(contact, question, datagram),
            Message::Given { .. } => return self.post.say(contact, datagram),
        }
        let route = (contact.address, contact.secret, datagram.from.clone());
        // A group says it once in so many intervals, and may be late by one.
        let until = now + interval * (BEATS_REPEATED + 1);
        let mut repeats = self.post.repeats();
        let first = !repeats.contains_key(&route);
        let repeat = repeats.entry(route).or_insert_with(|| Repeat {
            contact: *contact,
            said: datagram.clone(),
            interval,
            sent_at: now,
            until,
        });
        repeat.until = repeat.until.max(until);
        repeat.said = datagram.clone();
        // What another group has said a moment ago needs not be said again.
        if first || now.since(repeat.sent_at) >= interval / 2 {
            repeat.sent_at = now;
            self.post.say(contact, datagram);
        }
    }

    async fn heard(&mut self, leader: Option<SessionId>) -> (Timestamp, Datagram) {
        if *lock(&self.inside.listens_to) != leader {
            *lock(&self.inside.listens_to) = leader.clone();
        }
        loop {
            let said = self.inside.queue().pop_front();
            if let Some((at, said)) = said {
                // Who is asked for how long a leader has been silent is not to count from the heartbeat that it was last
                // woken for.
                if said.message == Message::Question
                    && let Some(beat) = self.beat_of(&said.leader, true)
                {
                    self.inside.queue().push_front((at, said));
                    return beat;
                }
                return (at, said);
            }
            let beat = leader
                .as_ref()
                .and_then(|leader| self.beat_of(leader, false));
            if let Some(beat) = beat {
                return beat;
            }
            self.inside.bell.notified().await;
        }
    }

    fn unheard(&mut self, leader: &SessionId) -> Option<(Timestamp, Datagram)> {
        self.beat_of(leader, true)
    }
}

/// Rises also over the restarts of a process, because what it is made of starts with the host.
fn sequence(now: Timestamp) -> u64 {
    now.since_boot().as_micros().try_into().unwrap_or(u64::MAX)
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
