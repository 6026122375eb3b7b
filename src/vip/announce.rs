//! Pure: when the address is announced.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

use std::net::IpAddr;
use std::time::Duration;

use crate::election::time::Timestamp;

/// The pause inside the burst. Linux neighbours ignore a second change within their `locktime` of
/// 1 s, and RFC 4861 section 10 asks for a `RetransTimer` of 1 s between advertisements.
const BURST_PAUSE: Duration = Duration::from_millis(1100);

/// Gratuitous ARPs of a burst: each may be lost, and a switch may need a second to forward.
const ARP_BURST: u32 = 5;

/// Unsolicited NAs of a burst: `MAX_NEIGHBOR_ADVERTISEMENT`, RFC 4861 section 10.
const NA_BURST: u32 = 3;

/// The pause between refreshes, well below the 300 s after which switches forget a port.
const REFRESH_PAUSE: Duration = Duration::from_secs(60);

/// A burst when the address comes up, then a refresh now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    burst_left: u32,
    next: Timestamp,
}

impl Schedule {
    /// Starts with a first announcement at `now`.
    pub fn start(address: IpAddr, now: Timestamp) -> Self {
        let burst = if address.is_ipv4() {
            ARP_BURST
        } else {
            NA_BURST
        };
        Self {
            burst_left: burst,
            next: now,
        }
    }

    /// Returns when the next announcement is due.
    pub fn next(&self) -> Timestamp {
        self.next
    }

    /// Counts an announcement sent at `now`.
    pub fn sent(&mut self, now: Timestamp) {
        self.burst_left = self.burst_left.saturating_sub(1);
        self.next = now
            + if self.burst_left > 0 {
                BURST_PAUSE
            } else {
                REFRESH_PAUSE
            };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent_at(address: &str, count: usize) -> Vec<u64> {
        let mut schedule = Schedule::start(address.parse().unwrap(), Timestamp::ZERO);
        let mut sent = Vec::new();
        while sent.len() < count {
            let now = schedule.next();
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
}
