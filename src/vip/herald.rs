//! Applier: announces the addresses of all groups, through one packet socket and one after the other.
//!
//! An announcement is never a promise that was made earlier: when its turn comes, it says what is true then. An address
//! that has gone meanwhile, or that may not be used yet, is not announced, and the Ethernet address is that of the moment.
//!
//! Its task is spawned with it and ends with it; aborted, it loses announcements that are repeated anyway.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tracing::warn;
use vip_netlink::{
    Announcer, Error, Interest, Link, Listener, Mac, Netlink, NodeKind, ipv6_forwarding,
};

use crate::driver::clock;
use crate::election::time::Timestamp;
use crate::logging::Chain;
use crate::vip::pace::Pace;

/// Announces addresses.
pub struct Herald {
    shared: Arc<Shared>,
    // Dropping this ends the task.
    _task: JoinSet<()>,
}

/// Who goes first where many want to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// The neighbours look for the address elsewhere.
    News,
    /// They have been told before.
    Again,
}

struct Shared {
    netlink: Arc<Netlink>,
    announcer: Announcer,
    queue: Mutex<Queue>,
    filled: Notify,
}

#[derive(Default)]
struct Queue {
    pace: Pace,
    news: VecDeque<Wanted>,
    again: VecDeque<Wanted>,
}

/// An interface by its number, and an address.
type Wanted = (u32, IpAddr);

impl Herald {
    /// Opens the packet socket, and spawns the task on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// [`Error::Permission`] without `CAP_NET_RAW`, [`Error::Refused`].
    pub fn open(netlink: Arc<Netlink>) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            netlink,
            announcer: Announcer::open()?,
            queue: Mutex::default(),
            filled: Notify::new(),
        });
        let mut task = JoinSet::new();
        let running = Arc::clone(&shared);
        task.spawn(async move { running.run().await });
        Ok(Self {
            shared,
            _task: task,
        })
    }

    /// Announces an address on an interface: at once if nobody waits, else in its turn.
    ///
    /// # Errors
    ///
    /// Those of [`Announcer::announce`], where it was announced at once. What fails later is logged.
    pub async fn announce(
        &self,
        interface: u32,
        address: IpAddr,
        urgency: Urgency,
    ) -> Result<(), Error> {
        let wanted = (interface, address);
        if self.shared.queue().admits(clock::now(), wanted, urgency) {
            return self.shared.tell(wanted).await;
        }
        self.shared.filled.notify_one();
        Ok(())
    }

    /// Asks on an interface whether somebody else has an address, for `within`, and returns who has.
    ///
    /// # Errors
    ///
    /// Those of [`Listener::open`] and of [`Announcer::probe`]: then nobody was asked.
    pub async fn ask(
        &self,
        link: &Link,
        address: IpAddr,
        within: Duration,
    ) -> Result<Option<Mac>, Error> {
        // First, so that it hears the fastest answer.
        let listener = Listener::open(Interest::Of(address))?;
        self.shared.announcer.probe(link, address)?;
        let answer = async {
            loop {
                let (interface, claim) = listener.next().await?;
                if interface != link.index || claim.address != address {
                    continue;
                }
                let is_own = self.shared.netlink.look(|tables| tables.is_own(claim.mac));
                if !is_own.await? {
                    return Ok(claim.mac);
                }
            }
        };
        match tokio::time::timeout(within, answer).await {
            Ok(answered) => answered.map(Some),
            Err(_) => Ok(None),
        }
    }
}

impl Queue {
    /// Says whether it may go now; if not, it is queued.
    fn admits(&mut self, now: Timestamp, wanted: Wanted, urgency: Urgency) -> bool {
        let nobody_waits = self.news.is_empty() && self.again.is_empty();
        if nobody_waits && self.pace.next(now) <= now {
            self.pace.sent(now);
            return true;
        }
        let line = match urgency {
            Urgency::News => &mut self.news,
            Urgency::Again => &mut self.again,
        };
        if !line.contains(&wanted) {
            line.push_back(wanted);
        }
        false
    }

    /// Returns when the next one may go, if one waits.
    fn due(&self, now: Timestamp) -> Option<Timestamp> {
        let waits = !self.news.is_empty() || !self.again.is_empty();
        waits.then(|| self.pace.next(now))
    }

    /// Takes the next one out.
    fn pop(&mut self, now: Timestamp) -> Option<Wanted> {
        self.pace.sent(now);
        let news = self.news.pop_front();
        news.or_else(|| self.again.pop_front())
    }
}

impl Shared {
    async fn run(&self) {
        loop {
            let now = clock::now();
            let due = self.queue().due(now);
            match due {
                None => self.filled.notified().await,
                Some(at) if at > now => tokio::time::sleep(at.since(now)).await,
                Some(_) => self.tell_next().await,
            }
        }
    }

    async fn tell_next(&self) {
        let next = self.queue().pop(clock::now());
        let Some(wanted) = next else { return };
        if let Err(error) = self.tell(wanted).await {
            warn!(
                address = %wanted.1,
                error = %Chain(&error),
                "announcing the address failed, trying again; others may look for it where it was until then: \
                 grant CAP_NET_RAW, and see that the interface is up"
            );
        }
    }

    /// Says where an address is, if it is there.
    async fn tell(&self, (interface, address): Wanted) -> Result<(), Error> {
        let there = self.netlink.look(|tables| {
            let usable = tables.at(interface, address).any(|one| !one.tentative);
            tables.link_at(interface).filter(|_| usable).cloned()
        });
        let Some(link) = there.await? else {
            return Ok(());
        };
        match self
            .announcer
            .announce(&link, address, node_kind(&link, address))
        {
            // Loopback, tunnels: nobody listens.
            Err(Error::NotEthernet { .. }) => Ok(()),
            told => told,
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn node_kind(link: &Link, address: IpAddr) -> NodeKind {
    if address.is_ipv4() {
        // An ARP does not say it.
        return NodeKind::Host;
    }
    match ipv6_forwarding(&link.name) {
        Some(true) => NodeKind::Router,
        Some(false) | None => NodeKind::Host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(number: u32) -> Wanted {
        (3, IpAddr::V4(number.into()))
    }

    #[test]
    fn news_go_before_what_was_told_before_and_nobody_waits_twice() {
        let now = Timestamp::from_boot(Duration::from_secs(100));
        let mut queue = Queue::default();
        let admitted = (0..100).filter(|number| queue.admits(now, wanted(*number), Urgency::Again));
        assert_eq!(admitted.count(), 32);
        for number in [200, 201, 200] {
            assert!(!queue.admits(now, wanted(number), Urgency::News));
        }
        assert!(!queue.admits(now, wanted(50), Urgency::Again));
        let mut at = now;
        let mut order = Vec::new();
        while let Some(due) = queue.due(at) {
            at = due;
            order.extend(queue.pop(at));
        }
        let rest = (32..100).map(wanted);
        let expected: Vec<_> = [wanted(200), wanted(201)].into_iter().chain(rest).collect();
        assert_eq!(order, expected);
        assert_eq!(at.since(now), Duration::from_millis(70));
        // Whoever comes while others wait does not overtake them.
        assert!(!queue.admits(at, wanted(1), Urgency::News));
        assert!(!queue.admits(at + Duration::from_secs(1), wanted(2), Urgency::News));
    }
}
