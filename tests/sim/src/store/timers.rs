//! Pure: the TTLs of sessions, as the raft leader keeps them in its memory.
//!
//! Nothing of it is replicated: a new raft leader starts every timer anew. Consul promises that a
//! session lives for at least its TTL after it was renewed, and may let it live for up to twice that
//! (<https://developer.hashicorp.com/consul/docs/dynamic-app-config/sessions>); where in between is
//! drawn.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use vip_elector::election::call::{FailureKind, SessionId};

use super::Store;

/// When each session's TTL is over, on the raft leader's clock.
#[derive(Clone, Debug, Default)]
pub struct Timers {
    due: BTreeMap<SessionId, Duration>,
}

impl Timers {
    /// Returns the timers of a server that becomes raft leader at `now`.
    pub fn take_over(now: Duration, store: &Store, draw: &mut Rng) -> Self {
        let mut timers = Self::default();
        for (id, session) in store.sessions() {
            timers.arm(now, id, session.ttl, draw);
        }
        timers
    }

    /// Starts the timer of a session that was just made.
    pub fn arm(&mut self, now: Duration, id: &SessionId, ttl: Duration, draw: &mut Rng) {
        let life = ttl.mul_f64(1.0 + draw.f64());
        self.due.insert(id.clone(), now + life);
    }

    /// Starts a session's timer anew. The raft leader asks nobody: not whether it still leads, nor
    /// whether the session's end is already on its way through the log.
    ///
    /// # Errors
    /// `SessionGone` if `store`, which is this server's, has no such session.
    pub fn renew(
        &mut self,
        now: Duration,
        store: &Store,
        id: &SessionId,
        draw: &mut Rng,
    ) -> Result<(), FailureKind> {
        let session = store.session(id).ok_or(FailureKind::SessionGone)?;
        self.arm(now, id, session.ttl, draw);
        Ok(())
    }

    /// Forgets the timer of a session that has ended.
    pub fn disarm(&mut self, id: &SessionId) {
        self.due.remove(id);
    }

    /// Returns when the next TTL is over.
    pub fn next(&self) -> Option<Duration> {
        self.due.values().min().copied()
    }

    /// Removes and returns the sessions whose TTL is over; the raft leader destroys them.
    pub fn expired(&mut self, now: Duration) -> Vec<SessionId> {
        let over = |due: Duration| due <= now;
        let ids = self.due.iter().filter(|(_, due)| over(**due));
        let ids: Vec<SessionId> = ids.map(|(id, _)| id.clone()).collect();
        self.due.retain(|_, due| !over(*due));
        ids
    }
}
