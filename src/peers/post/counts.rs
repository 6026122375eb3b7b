//! What the socket has seen.

use std::sync::atomic::{AtomicU64, Ordering};

/// What the socket has seen since it was opened, of all groups together.
#[derive(Debug, Default)]
pub struct Counts {
    pub(super) heard: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) overrun: AtomicU64,
    pub(super) sent: AtomicU64,
    pub(super) unsent: AtomicU64,
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

pub(super) fn count(counter: &AtomicU64, times: u64) {
    counter.fetch_add(times, Ordering::Relaxed);
}
