//! Pure: when the address is announced.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

use std::net::IpAddr;
use std::time::Duration;

use crate::election::time::Timestamp;

/// From one announcement of a burst to the next. Linux neighbours ignore a second change within their `locktime` of
/// 1 s, and RFC 4861 section 10 asks for a `RetransTimer` of 1 s between advertisements.
const INTERVAL: Duration = Duration::from_millis(1100);

/// Gratuitous ARPs of a burst: each may be lost, and a switch may need a second to forward.
const ARP_BURST: u32 = 5;

/// Unsolicited NAs of a burst: `MAX_NEIGHBOR_ADVERTISEMENT`, RFC 4861 section 10.
const NA_BURST: u32 = 3;

/// From one refresh to the next, well below the 300 s after which switches forget a port.
const REFRESH: Duration = Duration::from_secs(60);

/// How often an address is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcing {
    /// The announcements of a burst, when the address comes up, and when what the neighbours were told is true no more;
    /// at least 1.
    pub count: u32,
    /// From one of them to the next.
    pub interval: Duration,
    /// After the burst, from one announcement to the next; `None` for no more of them.
    pub refresh: Option<Duration>,
}

impl Announcing {
    /// What is good for an address of which nothing is said.
    pub fn of(address: IpAddr) -> Self {
        let count = match address {
            IpAddr::V4(_) => ARP_BURST,
            IpAddr::V6(_) => NA_BURST,
        };
        Self {
            count,
            interval: INTERVAL,
            refresh: Some(REFRESH),
        }
    }
}

/// A burst, then a refresh now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    announcing: Announcing,
    burst_left: u32,
    next: Option<Timestamp>,
}

impl Schedule {
    /// Starts with a first announcement at `now`.
    pub fn start(announcing: Announcing, now: Timestamp) -> Self {
        Self {
            announcing,
            burst_left: announcing.count,
            next: Some(now),
        }
    }

    /// Returns when the next announcement is due, if there is one.
    pub fn next(&self) -> Option<Timestamp> {
        self.next
    }

    /// Counts an announcement sent at `now`.
    pub fn sent(&mut self, now: Timestamp) {
        self.burst_left = self.burst_left.saturating_sub(1);
        let pause = match self.burst_left {
            0 => self.announcing.refresh,
            1.. => Some(self.announcing.interval),
        };
        self.next = pause.map(|pause| now + pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent_at(address: &str, count: usize) -> Vec<u64> {
        let announcing = Announcing::of(address.parse().unwrap());
        sent(announcing, count)
    }

    /// At most `count` of them.
    fn sent(announcing: Announcing, count: usize) -> Vec<u64> {
        let mut schedule = Schedule::start(announcing, Timestamp::ZERO);
        let mut sent = Vec::new();
        while sent.len() < count
            && let Some(now) = schedule.next()
        {
            sent.push(now.since_boot().as_millis().try_into().unwrap());
            schedule.sent(now);
        }
        sent
    }

    #[test]
    fn an_ipv4_address_is_announced_five_times_and_then_each_minute() {
        assert_eq!(
            sent_at("192.0.2.1", 7),
            [0, 1100, 2200, 3300, 4400, 64_400, 124_400]
        );
    }

    #[test]
    fn an_ipv6_address_is_announced_three_times_and_then_each_minute() {
        assert_eq!(sent_at("2001:db8::1", 5), [0, 1100, 2200, 62_200, 122_200]);
    }

    #[test]
    fn an_address_is_announced_as_it_was_asked_for() {
        let mut announcing = Announcing {
            count: 2,
            interval: Duration::from_millis(200),
            refresh: Some(Duration::from_secs(30)),
        };
        assert_eq!(sent(announcing, 4), [0, 200, 30_200, 60_200]);
        announcing.refresh = None;
        assert_eq!(sent(announcing, 4), [0, 200]);
        announcing.count = 1;
        assert_eq!(sent(announcing, 4), [0]);
    }
}
