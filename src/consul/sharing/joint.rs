//! Pure: calls that need not be made twice at a time.
//!
//! None of them proves anything that a lease rests on, so that an answer to a request which is under way already
//! is as good as one to a request of one's own.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::{Bond, ErrandId, Seat, Ticket};
use crate::election::call::Call;

/// The calls that are to be made, and those that are under way.
#[derive(Debug, Default)]
pub(super) struct Joint {
    waiting: VecDeque<One>,
    under_way: BTreeMap<ErrandId, One>,
}

/// A call, and who wants its answer.
#[derive(Debug)]
pub(super) struct One {
    pub(super) call: Call,
    pub(super) bond: Option<Bond>,
    pub(super) tickets: Vec<Ticket>,
    seat: Seat,
    timeout: Duration,
}

impl One {
    fn serves(&self, call: &Call, seat: Seat, bond: Option<Bond>) -> bool {
        match (&self.call, call) {
            // Whose name the session gets is of no importance.
            (
                Call::CreateSession { liveness, .. },
                Call::CreateSession {
                    liveness: wanted, ..
                },
            ) => self.bond == bond && liveness == wanted,
            (
                Call::FindSession { id: Some(id), .. },
                Call::FindSession {
                    id: Some(wanted), ..
                },
            ) => self.bond == bond && id == wanted,
            (Call::FindSession { .. }, Call::FindSession { .. }) => false,
            (Call::Watch { .. } | Call::WatchThroughLeader { .. } | Call::WatchGroup { .. }, _) => {
                self.seat == seat && self.call == *call
            }
            (_, _) => self.bond == bond && self.call == *call,
        }
    }
}

impl One {
    /// What the agent is told of one service it is told in order.
    fn waits_for(&self, other: &Self) -> bool {
        let tells = |one: &Self| {
            matches!(
                one.call,
                Call::RegisterService { .. } | Call::Feed | Call::DeregisterService
            )
        };
        self.bond == other.bond && tells(self) && tells(other)
    }
}

impl Joint {
    /// Joins a call that does for this one too, or makes it.
    pub(super) fn ask(
        &mut self,
        ticket: Ticket,
        seat: Seat,
        bond: Option<Bond>,
        call: Call,
        timeout: Duration,
    ) {
        let mut all = self.waiting.iter_mut().chain(self.under_way.values_mut());
        match all.find(|one| one.serves(&call, seat, bond)) {
            Some(one) => {
                one.tickets.push(ticket);
                one.timeout = one.timeout.max(timeout);
            }
            None => self.waiting.push_back(One {
                call,
                bond,
                tickets: vec![ticket],
                seat,
                timeout,
            }),
        }
    }

    /// Returns the next that somebody still wants.
    pub(super) fn next(
        &mut self,
        id: ErrandId,
        is_wanted: impl Fn(Ticket) -> bool,
    ) -> Option<(Seat, Call, Duration)> {
        self.waiting
            .retain(|one| one.tickets.iter().any(|ticket| is_wanted(*ticket)));
        let free = |one: &One| !self.under_way.values().any(|other| one.waits_for(other));
        let next = self.waiting.iter().position(free)?;
        let one = self.waiting.remove(next)?;
        let next = (one.seat, one.call.clone(), one.timeout);
        self.under_way.insert(id, one);
        Some(next)
    }

    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.waiting.len() + self.under_way.len()
    }

    pub(super) fn done(&mut self, id: ErrandId) -> Option<One> {
        self.under_way.remove(&id)
    }
}
