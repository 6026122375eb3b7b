//! Pure: the service whose check says that this process lives: one for all groups of a bond.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Seat;
use crate::election::call::{Answer, Failure, FailureKind};
use crate::election::time::Timestamp;

/// To pass the check counts for whoever wants that within this part of the time that it may take.
const FRESH: u32 = 4;

#[derive(Debug, Default)]
pub(super) struct Service {
    /// Which groups want it, and which of them lead here.
    leads: BTreeMap<Seat, bool>,
    /// What the agent was last told; `None` where it knows nothing.
    told: Option<bool>,
    fed_at: Option<Timestamp>,
}

impl Service {
    /// Takes in whether a group leads. Returns what to tell the agent, if that is something new: whether any does.
    pub(super) fn tell(&mut self, seat: Seat, leads: bool) -> Option<bool> {
        self.leads.insert(seat, leads);
        let any = self.leads.values().any(|leads| *leads);
        (self.told != Some(any)).then_some(any)
    }

    pub(super) fn told(&mut self, leads: bool, done: bool) {
        if done {
            self.told = Some(leads);
        }
    }

    pub(super) fn is_fed(&self, now: Timestamp, timeout: Duration) -> bool {
        let fresh = |at: Timestamp| now.since(at) < timeout / FRESH;
        self.told.is_some() && self.fed_at.is_some_and(fresh)
    }

    pub(super) fn fed(&mut self, now: Timestamp, result: &Result<Answer, Failure>) {
        match result {
            Ok(_) => self.fed_at = Some(now),
            // The agent was started anew.
            Err(failure) if failure.kind == FailureKind::CheckMissing => self.told = None,
            Err(_) => {}
        }
    }

    /// Takes in that a group needs it no more. Returns whether none does.
    pub(super) fn needs_no(&mut self, seat: Seat) -> bool {
        self.depart(seat);
        if self.leads.is_empty() {
            self.told = None;
        }
        self.leads.is_empty()
    }

    pub(super) fn depart(&mut self, seat: Seat) {
        self.leads.remove(&seat);
    }
}
