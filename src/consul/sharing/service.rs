//! Pure: the service whose check says that this process lives: one for all groups of a bond.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Seat;
use crate::election::call::{Answer, Call, Failure, FailureKind};
use crate::election::time::Timestamp;

/// To pass the check counts for whoever wants that within this part of the time that it may take. With a lock-delay
/// below 2.5 s that is 50 ms, of the 70 that the shortest liveness TTL leaves over.
const FRESH: u32 = 8;

#[derive(Debug, Default)]
pub(super) struct Service {
    /// Which groups want it, and which of them lead here.
    leads: BTreeMap<Seat, bool>,
    /// What the agent knows; `None` where it knows nothing, or is being told.
    told: Option<bool>,
    fed_at: Option<Timestamp>,
}

impl Service {
    /// Takes in whether a group leads. Returns what to tell the agent, if that is something new: whether any does.
    pub(super) fn tell(&mut self, seat: Seat, leads: bool) -> Option<bool> {
        self.leads.insert(seat, leads);
        self.news()
    }

    fn news(&mut self) -> Option<bool> {
        let any = self.leads.values().any(|leads| *leads);
        let news = (self.told != Some(any)).then_some(any);
        if news.is_some() {
            self.told = None;
        }
        news
    }

    pub(super) fn told(&mut self, leads: bool, done: bool) {
        if done {
            self.told = Some(leads);
        }
    }

    /// Takes in that the agent may not know it any more.
    pub(super) fn forget(&mut self) {
        self.told = None;
    }

    pub(super) fn is_fed(&self, now: Timestamp, timeout: Duration) -> bool {
        let fresh = |at: Timestamp| now.since(at) < timeout / FRESH;
        self.told.is_some() && self.fed_at.is_some_and(fresh)
    }

    pub(super) fn fed(&mut self, now: Timestamp, result: &Result<Answer, Failure>) {
        match result {
            Ok(_) => self.fed_at = Some(now),
            // The agent was started anew.
            Err(failure) if failure.kind == FailureKind::CheckMissing => self.forget(),
            Err(_) => {}
        }
    }

    /// Takes in that a group needs it no more. Returns what to tell the agent, if anything.
    pub(super) fn needs_no(&mut self, seat: Seat) -> Option<Call> {
        self.depart(seat);
        if self.leads.is_empty() {
            self.told = None;
            return Some(Call::DeregisterService);
        }
        self.news().map(|leads| Call::RegisterService { leads })
    }

    pub(super) fn depart(&mut self, seat: Seat) {
        self.leads.remove(&seat);
    }
}
