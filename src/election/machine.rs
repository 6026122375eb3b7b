//! Pure: the election machine of one group. `step(now, event)` in, actions out.
//!
//! ```text
//! Adopting ──────────────────────────────┐
//!    │                                   ▼
//!    └► Clearing ─► Preflight ─► Joining ─► Standby ◄──► Leading
//!                                   ▲          │            │
//!                                   └──────────┴─ Resigning ┘─► Stopped
//! ```
//!
//! Events change what the machine knows; [`settle`](Machine::step) then takes every transition that
//! follows, and hands out every request that is due. At most one request of a kind is under way,
//! and an answer that no slot waits for is dropped.

mod adopting;
mod attempt;
mod exchange;
mod group;
mod joining;
mod leading;
mod liveness;
mod member;
mod params;
mod peers;
mod preflight;
mod question;
mod resigning;
mod shared;
mod standby;
#[cfg(test)]
mod tests;
mod troubles;
mod watch;

use std::time::Duration;

use self::adopting::Adopting;
pub use self::exchange::{Action, DeadlineReason, Event};
use self::joining::Joining;
use self::member::{Member, Part};
pub use self::params::{Options, Params};
pub(crate) use self::peers::BEATS_REPEATED;
use self::preflight::Preflight;
use self::resigning::Resigning;
use self::shared::{Core, Leftover};
use crate::election::call::{Answer, Failure, OpId, SessionId};
use crate::election::note::Before;
use crate::election::status::{Outcome, Phase, Status};
use crate::election::target::VipOrder;
use crate::election::time::Timestamp;

/// The timeout of every request that is neither a confirm nor a watch.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// How long what can wait stands back behind the proof that the next leader asks for: one that meets
/// another request on its way takes several times as long.
const GIVE_WAY: Duration = Duration::from_millis(50);

/// The election of one group.
#[derive(Debug)]
pub struct Machine {
    core: Core,
    role: Role,
}

#[derive(Debug)]
enum Role {
    Adopting(Adopting),
    Clearing,
    Preflight(Preflight),
    Joining(Joining),
    Member(Box<Member>),
    Resigning(Resigning),
    Stopped(Outcome),
}

impl Machine {
    /// Starts a machine that has not yet talked to Consul. With a session to adopt it looks for that
    /// first; else, and with managed terms, it waits for a report that says no address of ours is up.
    pub fn start(params: Params, now: Timestamp, seed: u64) -> (Self, Vec<Action>) {
        let (role, leftover) = match params.before.clone() {
            Before::Nothing => (Role::Clearing, None),
            Before::Leftover { name, session } => (Role::Clearing, Some((name, session))),
            Before::Adoptable { name, session } => {
                (Role::Adopting(Adopting::new(name, session, now)), None)
            }
        };
        let core = Core::new(params, now, seed, leftover);
        let mut machine = Self { core, role };
        machine.settle(now);
        let actions = machine.core.take_actions();
        (machine, actions)
    }

    /// Applies one event and returns everything the driver must do because of it.
    pub fn step(&mut self, now: Timestamp, event: Event) -> Vec<Action> {
        self.core.handed_to = None;
        self.core.refused_request = None;
        self.core.deposed = None;
        match event {
            Event::DeadlineReached => {}
            Event::Completed { op, result } => self.completed(now, op, result),
            Event::Vip(report) => {
                if let Some(vip) = &mut self.core.vip {
                    vip.report = Some(report);
                }
            }
            Event::Remembered { op, kept } => self.remembered(now, op, kept),
            Event::Heard { at, said } => {
                let own = self.session();
                if self.core.is_given(own.as_ref(), &said) {
                    if let Role::Member(member) = &mut self.role {
                        member.look_again(now);
                    }
                } else {
                    self.core.heard(now, at.min(now), own.as_ref(), said);
                }
            }
            Event::Health(health) => self.core.health = health,
            Event::Stop => self.core.stopping = true,
        }
        self.settle(now);
        self.core.take_actions()
    }

    /// Returns the session of the leader whose heartbeats it waits for, if there is one.
    pub fn listens_to(&self) -> Option<&SessionId> {
        self.core.listens_to()
    }

    /// Returns when, and why, [`step`](Self::step) must be called with [`Event::DeadlineReached`].
    pub fn deadline(&self) -> Option<(Timestamp, DeadlineReason)> {
        let mut deadlines = Vec::new();
        match &self.role {
            Role::Clearing | Role::Stopped(_) => {}
            Role::Adopting(adopting) => deadlines.extend(adopting.deadline()),
            Role::Preflight(preflight) => deadlines.extend(preflight.deadline()),
            Role::Joining(joining) => deadlines.extend(joining.deadline()),
            Role::Member(member) => member.deadlines(&self.core, &mut deadlines),
            Role::Resigning(resigning) => deadlines.extend(resigning.deadline(&self.core)),
        }
        deadlines.into_iter().min()
    }

    /// Returns what the VIP task should make true now.
    pub fn vip_order(&self) -> Option<VipOrder> {
        self.core.vip.as_ref().map(|vip| vip.order)
    }

    /// Returns the machine as others may see it.
    pub fn status(&self) -> Status {
        let member = match &self.role {
            Role::Member(member) => Some(member),
            Role::Adopting(_)
            | Role::Clearing
            | Role::Preflight(_)
            | Role::Joining(_)
            | Role::Resigning(_)
            | Role::Stopped(_) => None,
        };
        Status {
            phase: match &self.role {
                Role::Adopting(_) => Phase::Adopting,
                Role::Clearing => Phase::Clearing,
                Role::Preflight(_) => Phase::Preflight,
                Role::Joining(_) => Phase::Joining,
                Role::Member(member) => match &member.part {
                    Part::Standby(_) => Phase::Standby,
                    Part::Leading(leading) => Phase::Leading(leading.lease),
                },
                Role::Resigning(_) => Phase::Resigning,
                Role::Stopped(outcome) => Phase::Stopped(outcome.clone()),
            },
            session: self.session(),
            holder: member.and_then(|member| member.holder()),
            ending: self.core.ending.clone(),
            blocker: self.core.blocker().cloned(),
            lock_delay: member.and_then(|member| member.lock_delay(&self.core)),
            trouble: self
                .core
                .troubles
                .values()
                .max_by_key(|trouble| trouble.severity())
                .cloned(),
            not_a_lock: member.and_then(|member| member.not_a_lock()),
            overwritten: self.core.overwritten,
            health: self.core.fitness(),
            drained: self.core.is_drained(),
            candidate: member.is_some_and(|member| member.standing.registered),
            lost: self.core.lost.clone(),
            handed_to: self.core.handed_to.clone(),
            refused_request: self.core.refused_request.clone(),
            deposed: self.core.deposed.clone(),
        }
    }

    fn session(&self) -> Option<SessionId> {
        match &self.role {
            Role::Member(member) => Some(member.session.id.clone()),
            Role::Resigning(resigning) => Some(resigning.session.clone()),
            Role::Adopting(adopting) => Some(adopting.session.clone()),
            Role::Clearing | Role::Preflight(_) | Role::Joining(_) | Role::Stopped(_) => None,
        }
    }

    fn completed(&mut self, now: Timestamp, op: OpId, result: Result<Answer, Failure>) {
        let core = &mut self.core;
        if core.question_completed(now, op, &result) || core.fed(op, &result) {
            return;
        }
        if let Some(gone) = core.deposed(now, op, &result) {
            if let Role::Member(member) = &mut self.role
                && gone
            {
                member.look_again(now);
            }
            return;
        }
        let next = match &mut self.role {
            Role::Clearing | Role::Stopped(_) => None,
            Role::Adopting(adopting) => adopting.completed(core, now, op, result),
            Role::Preflight(preflight) => preflight.completed(core, now, op, result),
            Role::Joining(joining) => joining.completed(core, now, op, result),
            Role::Member(member) => member.completed(core, now, op, result),
            Role::Resigning(resigning) => resigning.completed(core, now, op, result),
        };
        if let Some(role) = next {
            self.role = role;
        }
    }

    fn remembered(&mut self, now: Timestamp, op: OpId, kept: bool) {
        if let Role::Resigning(resigning) = &mut self.role {
            resigning.remembered(&self.core, now, op, kept);
        }
    }

    /// Takes every transition that follows from what is known, then hands out what is due.
    fn settle(&mut self, now: Timestamp) {
        self.core.order(&self.role);
        while let Some(role) = self.next_role(now) {
            self.role = role;
            self.core.order(&self.role);
        }
        self.core.order(&self.role);
        let core = &mut self.core;
        match &mut self.role {
            Role::Clearing | Role::Stopped(_) => {}
            Role::Adopting(adopting) => adopting.send(core, now),
            Role::Preflight(preflight) => preflight.send(core, now),
            Role::Joining(joining) => joining.send(core, now),
            Role::Member(member) => member.send(core, now),
            Role::Resigning(resigning) => resigning.send(core, now),
        }
    }

    fn next_role(&mut self, now: Timestamp) -> Option<Role> {
        let core = &mut self.core;
        match &mut self.role {
            Role::Stopped(_) => None,
            Role::Adopting(adopting) => adopting.next_role(core),
            Role::Clearing if !core.vip_is_off() => None,
            Role::Clearing | Role::Preflight(_) if core.stopping => {
                Some(Role::Stopped(match &core.leftover {
                    Some(_) => Outcome::SessionLeft,
                    None => Outcome::Stopped,
                }))
            }
            Role::Clearing => Some(Role::Preflight(Preflight::new(now))),
            Role::Preflight(_) => None,
            Role::Joining(joining) => joining.next_role(core),
            Role::Member(member) => member.next_role(core, now),
            Role::Resigning(resigning) => resigning.next_role(core, now),
        }
    }
}
