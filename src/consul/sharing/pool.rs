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
    /// Not to be given to the group again: it has left the session, or has sent a release with it.
    spent: BTreeSet<(Seat, SessionId)>,
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
    /// Whoever has not given it back.
    users: BTreeSet<Seat>,
    /// A group has ended that used it, and may come back under another seat, which has left it as well.
    closed: bool,
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
        let spent = &self.spent;
        let (id, shared) = self
            .sessions
            .iter_mut()
            .filter(|(_, shared)| shared.bond == bond && shared.liveness == Some(liveness))
            .filter(|(id, shared)| {
                let fresh = || !shared.closed && !spent.contains(&(seat, (*id).clone()));
                !shared.gone && (returns || fresh())
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

    /// The session is never given to this group.
    pub(super) fn spend(&mut self, seat: Seat, session: &SessionId) {
        self.spent.insert((seat, session.clone()));
    }

    /// The group has left the session, for ever.
    pub(super) fn left(&mut self, seat: Seat, session: &SessionId) {
        self.spend(seat, session);
        let Some(shared) = self.sessions.get_mut(session) else {
            return;
        };
        shared.users.remove(&seat);
        if shared.users.is_empty() {
            self.remove(session);
        }
    }

    /// Whether the group has left this session, on which others go on.
    pub(super) fn has_left(&self, seat: Seat, session: &SessionId) -> bool {
        self.is_others(seat, session) && self.spent.contains(&(seat, session.clone()))
    }

    /// Whether others of this process use this session, and the group does not.
    pub(super) fn is_others(&self, seat: Seat, session: &SessionId) -> bool {
        let others = |shared: &Shared| !shared.users.contains(&seat);
        self.sessions.get(session).is_some_and(others)
    }

    /// Returns one of these, if there is any.
    pub(super) fn others(&self, seat: Seat) -> Option<SessionId> {
        let mut all = self.sessions.keys();
        all.find(|session| self.is_others(seat, session)).cloned()
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
        self.remove(session);
        self.ended.push_back(session.clone());
        if self.ended.len() > ENDED {
            self.ended.pop_front();
        }
    }

    pub(super) fn has_ended(&self, session: &SessionId) -> bool {
        self.ended.contains(session)
    }

    /// The group is no more. Returns the sessions that it has not given back, and that others use. One that nobody
    /// else uses ends by itself.
    pub(super) fn depart(&mut self, seat: Seat) -> Vec<SessionId> {
        let mut kept = Vec::new();
        for (id, shared) in &mut self.sessions {
            let used = shared.users.contains(&seat);
            shared.closed |= used || self.spent.contains(&(seat, id.clone()));
            if used && shared.users.len() > 1 {
                kept.push(id.clone());
            } else {
                shared.users.remove(&seat);
            }
        }
        self.sessions.retain(|_, shared| !shared.users.is_empty());
        self.forget(seat);
        kept
    }

    /// Forgets what concerns a group that is no more.
    pub(super) fn forget(&mut self, seat: Seat) {
        self.spent.retain(|(of, _)| *of != seat);
        self.cleanly.retain(|(of, _)| *of != seat);
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// How much is remembered.
    #[cfg(test)]
    pub(super) fn size(&self) -> String {
        let users = self.sessions.values().map(|shared| shared.users.len());
        format!(
            "{} {} {} {}",
            users.sum::<usize>(),
            self.spent.len(),
            self.cleanly.len(),
            self.ended.len()
        )
    }

    fn remove(&mut self, session: &SessionId) {
        self.sessions.remove(session);
        self.spent.retain(|(_, spent)| spent != session);
        self.cleanly.retain(|(_, left)| left != session);
    }

    fn shared(&mut self, session: &SessionId, bond: Bond, liveness: Option<bool>) -> &mut Shared {
        self.made += 1;
        self.sessions.entry(session.clone()).or_insert(Shared {
            bond,
            liveness,
            users: BTreeSet::new(),
            closed: false,
            number: self.made,
            renewed_at: None,
            gone: false,
        })
    }
}
