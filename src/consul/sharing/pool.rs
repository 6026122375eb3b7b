//! Pure: the sessions of a process, and which group uses which.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::{Bond, Seat};
use crate::election::call::{Answer, Failure, FailureKind, SessionId};
use crate::election::time::Timestamp;

/// A renewal counts for whoever wants one within this part of the time that a renewal may take: a fifth of a TTL at
/// most, so that a session is renewed long before its end.
const FRESH: u32 = 2;

/// How many sessions are remembered that have ended.
const ENDED: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Pool {
    sessions: BTreeMap<SessionId, Shared>,
    left: BTreeSet<(Seat, SessionId)>,
    /// Whose release was carried out, and has shown that nothing of it is left.
    cleanly: BTreeSet<(Seat, SessionId)>,
    made: u64,
    /// Consul has said so, and none of them ever lives again.
    ended: VecDeque<SessionId>,
}

#[derive(Debug)]
struct Shared {
    bond: Bond,
    /// Bound to the liveness check. `None` where it was made by a process before, which is given to
    /// nobody who has not adopted it: it may be spent.
    liveness: Option<bool>,
    users: BTreeSet<Seat>,
    /// The newest has the highest.
    number: u64,
    renewed_at: Option<Timestamp>,
    gone: bool,
}

impl Pool {
    /// A group goes on with a session of the process before.
    pub(super) fn adopt(&mut self, session: &SessionId, seat: Seat, bond: Bond) {
        self.shared(session, bond, None).users.insert(seat);
    }

    /// A session was made, for these groups.
    pub(super) fn made(
        &mut self,
        session: &SessionId,
        bond: Bond,
        liveness: bool,
        seats: impl Iterator<Item = Seat>,
    ) {
        let seats: Vec<Seat> = seats.collect();
        // Where nobody waits for it any more, they look for it by its name.
        if !seats.is_empty() {
            self.shared(session, bond, Some(liveness))
                .users
                .extend(seats);
        }
    }

    /// A session was found, by these groups.
    pub(super) fn found(
        &mut self,
        session: &SessionId,
        bond: Bond,
        seats: impl Iterator<Item = Seat>,
    ) {
        let seats: Vec<Seat> = seats.collect();
        self.shared(session, bond, None).users.extend(seats);
    }

    /// Returns the session for a group that wants one, if there is one.
    pub(super) fn current(
        &mut self,
        seat: Seat,
        bond: Bond,
        liveness: bool,
        returns: bool,
    ) -> Option<SessionId> {
        let left = &self.left;
        let (id, shared) = self
            .sessions
            .iter_mut()
            .filter(|(_, shared)| shared.bond == bond && shared.liveness == Some(liveness))
            .filter(|(id, shared)| {
                !shared.gone && (returns || !left.contains(&(seat, (*id).clone())))
            })
            .max_by_key(|(_, shared)| shared.number)?;
        shared.users.insert(seat);
        Some(id.clone())
    }

    /// Whether to destroy a session is this group's to decide: nobody else uses it, or it is said to be gone.
    pub(super) fn ends_with(&mut self, seat: Seat, session: &SessionId) -> bool {
        let Some(shared) = self.sessions.get_mut(session) else {
            return true;
        };
        if shared.users.iter().all(|user| *user == seat) {
            // Whoever wants one from now on gets another.
            shared.gone = true;
        }
        shared.gone
    }

    pub(super) fn leaves_cleanly(&mut self, seat: Seat, session: SessionId) {
        self.cleanly.insert((seat, session));
    }

    pub(super) fn has_left_cleanly(&self, seat: Seat, session: &SessionId) -> bool {
        self.cleanly.contains(&(seat, session.clone()))
    }

    /// The group has left the session, for ever.
    pub(super) fn left(&mut self, seat: Seat, session: &SessionId) {
        self.left.insert((seat, session.clone()));
        if let Some(shared) = self.sessions.get_mut(session) {
            shared.users.remove(&seat);
        }
    }

    /// Whether this is a session that the group has left, and that lives on.
    pub(super) fn is_left_behind(&self, seat: Seat, session: &SessionId) -> bool {
        self.sessions.contains_key(session) && self.left.contains(&(seat, session.clone()))
    }

    /// Returns what to say to a group that wants to renew a session, where that is known.
    pub(super) fn renewed(
        &self,
        now: Timestamp,
        session: &SessionId,
        timeout: Duration,
    ) -> Option<Result<Answer, Failure>> {
        let shared = self.sessions.get(session)?;
        if shared.gone {
            return Some(Err(Failure {
                kind: FailureKind::SessionGone,
                message: format!("cannot renew session {session}: it has ended"),
            }));
        }
        let fresh = |at: Timestamp| now.since(at) < timeout / FRESH;
        shared
            .renewed_at
            .is_some_and(fresh)
            .then_some(Ok(Answer::Done))
    }

    pub(super) fn lives(&mut self, now: Timestamp, session: &SessionId) {
        if let Some(shared) = self.sessions.get_mut(session) {
            shared.renewed_at = Some(now);
        }
    }

    pub(super) fn is_gone(&mut self, session: &SessionId) {
        if let Some(shared) = self.sessions.get_mut(session) {
            shared.gone = true;
        }
    }

    /// The session was destroyed.
    pub(super) fn ended(&mut self, session: &SessionId) {
        self.sessions.remove(session);
        self.ended.push_back(session.clone());
        if self.ended.len() > ENDED {
            self.ended.pop_front();
        }
        self.left.retain(|(_, left)| left != session);
        self.cleanly.retain(|(_, left)| left != session);
    }

    pub(super) fn has_ended(&self, session: &SessionId) -> bool {
        self.ended.contains(session)
    }

    /// The group is no more. What it has not given back ends by itself.
    pub(super) fn depart(&mut self, seat: Seat) {
        for shared in self.sessions.values_mut() {
            shared.users.remove(&seat);
        }
        self.sessions.retain(|_, shared| !shared.users.is_empty());
        let sessions = &self.sessions;
        let of_interest = |(of, id): &(Seat, SessionId)| *of != seat && sessions.contains_key(id);
        self.left.retain(of_interest);
        self.cleanly.retain(of_interest);
    }

    fn shared(&mut self, session: &SessionId, bond: Bond, liveness: Option<bool>) -> &mut Shared {
        self.made += 1;
        self.sessions.entry(session.clone()).or_insert(Shared {
            bond,
            liveness,
            users: BTreeSet::new(),
            number: self.made,
            renewed_at: None,
            gone: false,
        })
    }
}
