//! Pure: leaving a session that others go on with.
//!
//! First a consistent read shows what the key is. Then one transaction checks that it is so still, unlocks it where
//! the session has it, deletes the entry by which another host could hand it to that session, and gives a
//! key that is free another index, so that an acquire which is under way fails.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Asked, Seat, Sharing, Ticket};
use crate::election::call::{Answer, Call, Failure, FailureKind, SessionId};
use crate::election::rules::Rule;
use crate::election::time::Timestamp;

/// How often the key may change between the read and the transaction before it is tried again later.
const TRIES: u32 = 3;

/// How much later, where no group asks for it.
const PAUSE: Duration = Duration::from_secs(1);

/// How long its requests may take where no group asks for it.
pub(super) const LEAVING_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
pub(super) struct Leavings {
    under_way: BTreeMap<Ticket, Leaving>,
    /// Those that have failed, and who has gone meanwhile.
    later: Vec<(Timestamp, Leaving)>,
}

/// A group that is leaving a session.
#[derive(Debug)]
pub(super) struct Leaving {
    seat: Seat,
    session: SessionId,
    /// Who waits for it; nobody where a session that was left is found to have the key after all.
    asked: Option<Ticket>,
    timeout: Duration,
    tries: u32,
    /// With the entry, as long as the rights to it are there.
    registered: bool,
}

impl Leavings {
    pub(super) fn take(&mut self, ticket: Ticket) -> Option<Leaving> {
        self.under_way.remove(&ticket)
    }

    pub(super) fn has(&self, ticket: Ticket) -> bool {
        self.under_way.contains_key(&ticket)
    }

    pub(super) fn is_leaving(&self, seat: Seat) -> bool {
        let later = self.later.iter().map(|(_, leaving)| leaving);
        let mut all = self.under_way.values().chain(later);
        all.any(|leaving| leaving.seat == seat)
    }

    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.under_way.len() + self.later.len()
    }

    /// Returns the one of this group and this session, if it is being left already.
    fn under_way(&mut self, seat: Seat, session: &SessionId) -> Option<&mut Leaving> {
        let mut all = self.under_way.values_mut();
        all.find(|leaving| leaving.seat == seat && leaving.session == *session)
    }

    fn forget_later(&mut self, seat: Seat, session: &SessionId) {
        self.later
            .retain(|(_, one)| one.seat != seat || one.session != *session);
    }
}

impl Sharing {
    pub(super) fn leave(
        &mut self,
        seat: Seat,
        session: SessionId,
        asked: Option<Ticket>,
        timeout: Duration,
    ) {
        if let Some(leaving) = self.leavings.under_way(seat, &session) {
            leaving.asked = asked.or(leaving.asked);
            return;
        }
        if !self.keeps(Rule::LeavingIsProven) {
            self.has_left(seat, &session);
            if let Some(asked) = asked {
                self.answer(asked, Ok(Answer::Done));
            }
            return;
        }
        // Whoever asks does not wait until it is tried again.
        self.leavings.forget_later(seat, &session);
        let leaving = Leaving {
            seat,
            session,
            asked,
            timeout,
            tries: 0,
            registered: true,
        };
        self.step(leaving, Call::Read);
    }

    /// Takes in who holds the group's key. Where that is a session which others of this process keep alive, and the group
    /// does not use, it is left: the group had it under another seat, or in the process before, or it was given to it by
    /// a request that was very late.
    pub(super) fn leave_strange(&mut self, seat: Seat, session: SessionId, timeout: Duration) {
        if self.pool.is_others(seat, &session) {
            self.leave(seat, session, None, timeout);
        }
    }

    pub(super) fn has_left(&mut self, seat: Seat, session: &SessionId) {
        self.pool.left(seat, session);
        if !self.bonds.contains_key(&seat) {
            self.pool.forget(seat);
        }
    }

    /// Tries again what was left to be done.
    pub(super) fn leave_later(&mut self, now: Timestamp) {
        while let Some(due) = self.leavings.later.iter().position(|(at, _)| *at <= now) {
            let (_, leaving) = self.leavings.later.swap_remove(due);
            self.step(leaving, Call::Read);
        }
    }

    pub(super) fn go_on_leaving(
        &mut self,
        now: Timestamp,
        mut leaving: Leaving,
        result: Result<Answer, Failure>,
    ) {
        match result {
            Ok(Answer::Key(read)) => {
                let let_go = Call::LetGo {
                    session: leaving.session.clone(),
                    seen: read.entry,
                    registered: leaving.registered,
                };
                self.step(leaving, let_go);
            }
            Ok(_) => {
                let Leaving { seat, session, .. } = leaving;
                self.has_left(seat, &session);
                let asked = leaving.asked.filter(|asked| self.calls.contains_key(asked));
                let Some(asked) = asked else { return };
                if self.pool.ends_with(seat, &session) {
                    // The others have left it meanwhile.
                    let bond = self.bonds.get(&seat).copied();
                    let call = Call::DestroySession(session);
                    self.joint.ask(asked, seat, bond, call, leaving.timeout);
                } else {
                    self.answer(asked, Ok(Answer::Done));
                }
            }
            Err(failure) if failure.kind == FailureKind::Denied && leaving.registered => {
                leaving.registered = false;
                self.step(leaving, Call::Read);
            }
            Err(failure) => {
                leaving.tries += 1;
                if failure.kind == FailureKind::Changed && leaving.tries < TRIES {
                    self.step(leaving, Call::Read);
                    return;
                }
                if let Some(asked) = leaving.asked.take() {
                    self.answer(asked, Err(failure));
                }
                leaving.tries = 0;
                leaving.registered = true;
                self.leavings.later.push((now + PAUSE, leaving));
            }
        }
    }

    /// Makes a call of its own, which nobody forgets.
    fn step(&mut self, leaving: Leaving, call: Call) {
        let ticket = Ticket(self.number());
        let reads = call == Call::Read;
        self.calls.insert(
            ticket,
            Asked {
                seat: leaving.seat,
                call,
                timeout: leaving.timeout,
            },
        );
        self.leavings.under_way.insert(ticket, leaving);
        if reads {
            self.reads.push_back(ticket);
        } else {
            self.changes.push_back(ticket);
        }
    }
}
