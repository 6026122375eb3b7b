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
mod group;
mod joining;
mod leading;
mod liveness;
mod member;
mod params;
mod peers;
mod question;
mod resigning;
mod standby;
#[cfg(test)]
mod tests;
mod troubles;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use self::adopting::Adopting;
use self::attempt::Attempt;
use self::group::Group;
use self::joining::Joining;
use self::liveness::Liveness;
use self::member::{Member, Part};
pub use self::params::{Options, Params};
use self::peers::Peers;
use self::question::Question;
use self::resigning::Resigning;
use crate::election::backoff::Backoff;
use crate::election::call::{Answer, Call, Failure, OpId, Pending, SessionId};
use crate::election::candidate::Contact;
use crate::election::health::Health;
use crate::election::key::KeyState;
use crate::election::note::{Before, Note};
use crate::election::peer::Datagram;
use crate::election::rules::Rule;
use crate::election::status::{Doing, Ending, Feature, Holder, Outcome, Phase, Status, Trouble};
use crate::election::target::{Blocker, VipOrder, VipReport, VipTarget};
use crate::election::time::Timestamp;

/// The timeout of every request that is neither a confirm nor a watch.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// How long what can wait stands back behind the proof that the next leader asks for: one that meets
/// another request on its way takes several times as long.
const GIVE_WAY: Duration = Duration::from_millis(50);

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// [`Machine::deadline`] has come.
    DeadlineReached,
    /// A request was answered, or failed.
    Completed {
        /// As in [`Action::Call`].
        op: OpId,
        /// What came of it.
        result: Result<Answer, Failure>,
    },
    /// The kernel's word on the address.
    Vip(VipReport),
    /// A note was written down, or not.
    Remembered {
        /// As in [`Action::Remember`].
        op: OpId,
        /// Whether the next process will find this note, or at least none before it.
        kept: bool,
    },
    /// Another host has said something, and it is certain that it was that one.
    Heard(Datagram),
    /// How fit this host is to lead.
    Health(Health),
    /// Give everything up and stop.
    Stop,
}

/// What the driver must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Carry the call out, at once, and come back with [`Event::Completed`] before `timeout` is
    /// over.
    Call {
        /// To be handed back.
        op: OpId,
        /// What to ask.
        call: Call,
        /// Bounds the whole request.
        timeout: Duration,
    },
    /// Write this down for the next process, in order with the calls, and come back with
    /// [`Event::Remembered`].
    Remember {
        /// To be handed back.
        op: OpId,
        /// What to write in place of the note before.
        note: Note,
    },
    /// Send this to another host, at once, and without waiting for anything.
    Send {
        /// Where to.
        contact: Contact,
        /// What.
        datagram: Datagram,
    },
}

/// Why [`Machine::step`] wants to be called at a deadline. A stuck timer names itself in the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeadlineReason {
    /// The lease ends.
    LeaseEnd,
    /// The lock must be confirmed.
    Confirm,
    /// The session must be renewed.
    Renew,
    /// A pause before another try is over.
    Retry,
    /// An unclean ending has been waited out.
    WaitedOut,
    /// A better candidate has been there for long enough.
    Preempt,
    /// The other hosts must hear us.
    Heartbeat,
    /// The leader has not been heard for so long that something follows.
    Silence,
}

/// The election of one group.
#[derive(Debug)]
pub struct Machine {
    core: Core,
    role: Role,
}

/// What every role shares.
#[derive(Debug)]
struct Core {
    params: Params,
    rng: fastrand::Rng,
    ops: u64,
    sessions: u64,
    /// The session of an earlier process, to be found and destroyed.
    leftover: Option<Leftover>,
    stopping: bool,
    /// `None` when the address is not ours to hold.
    vip: Option<Vip>,
    /// Not before: a host that could not hold the address lets others go first.
    campaign_after: Timestamp,
    /// The largest lock-delay of any holder seen: how long another leader may act unheard.
    others_lock_delay: Duration,
    question: Question,
    health: Health,
    group: Group,
    liveness: Liveness,
    peers: Peers,
    /// What this session does without.
    without: BTreeSet<Feature>,
    /// What any has done without, and why.
    lost: BTreeMap<Feature, String>,
    handed_to: Option<String>,
    refused_request: Option<String>,
    deposed: Option<(Holder, Duration)>,
    ending: Option<Ending>,
    overwritten: u64,
    troubles: BTreeMap<Doing, Trouble>,
    actions: Vec<Action>,
}

/// The name of a session, and its id where it is known.
type Leftover = (String, Option<SessionId>);

/// The last order for the address, and what came back.
#[derive(Debug)]
struct Vip {
    order: VipOrder,
    report: Option<VipReport>,
}

#[derive(Debug)]
enum Role {
    Adopting(Adopting),
    Clearing,
    Preflight { read: Attempt, backoff: Backoff },
    Joining(Joining),
    Member(Box<Member>),
    Resigning(Resigning),
    Stopped(Outcome),
}

impl Machine {
    /// Starts a machine that has not yet talked to Consul. With a session to adopt it looks for that
    /// first; else, and with managed terms, it waits for a report that says no address of ours is up.
    pub fn start(params: Params, now: Timestamp, seed: u64) -> (Self, Vec<Action>) {
        let vip = params.terms.is_managed().then(|| Vip {
            order: params.first_order(),
            report: None,
        });
        let (role, leftover) = match params.before.clone() {
            Before::Nothing => (Role::Clearing, None),
            Before::Leftover { name, session } => (Role::Clearing, Some((name, session))),
            Before::Adoptable { name, session } => {
                (Role::Adopting(Adopting::new(name, session, now)), None)
            }
        };
        let core = Core {
            health: params.options.health.clone(),
            params,
            rng: fastrand::Rng::with_seed(seed),
            ops: 0,
            sessions: 0,
            leftover,
            stopping: false,
            vip,
            campaign_after: now,
            others_lock_delay: Duration::ZERO,
            question: Question::default(),
            group: Group::default(),
            liveness: Liveness::default(),
            peers: Peers::new(now),
            without: BTreeSet::new(),
            lost: BTreeMap::new(),
            handed_to: None,
            refused_request: None,
            deposed: None,
            ending: None,
            overwritten: 0,
            troubles: BTreeMap::new(),
            actions: Vec::new(),
        };
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
            Event::Heard(said) => {
                let own = self.session();
                self.core.heard(now, own.as_ref(), said);
            }
            Event::Health(health) => self.core.health = health,
            Event::Stop => self.core.stopping = true,
        }
        self.settle(now);
        self.core.take_actions()
    }

    /// Returns when, and why, [`step`](Self::step) must be called with [`Event::DeadlineReached`].
    pub fn deadline(&self) -> Option<(Timestamp, DeadlineReason)> {
        let mut deadlines = Vec::new();
        match &self.role {
            Role::Clearing | Role::Stopped(_) => {}
            Role::Adopting(adopting) => deadlines.extend(adopting.deadline()),
            Role::Preflight { read, .. } => deadlines.extend(read.deadline(DeadlineReason::Retry)),
            Role::Joining(joining) => deadlines.extend(joining.deadline()),
            Role::Member(member) => member.deadlines(&self.core, &mut deadlines),
            Role::Resigning(resigning) => deadlines.extend(resigning.deadline()),
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
            | Role::Preflight { .. }
            | Role::Joining(_)
            | Role::Resigning(_)
            | Role::Stopped(_) => None,
        };
        Status {
            phase: match &self.role {
                Role::Adopting(_) => Phase::Adopting,
                Role::Clearing => Phase::Clearing,
                Role::Preflight { .. } => Phase::Preflight,
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
            Role::Clearing | Role::Preflight { .. } | Role::Joining(_) | Role::Stopped(_) => None,
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
            Role::Preflight { read, backoff } => match read.answered_by(op) {
                Some(_) => preflight_answered(core, now, read, backoff, result),
                None => None,
            },
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
            Role::Preflight { read, .. } => {
                read.send_if_due(core, now, CALL_TIMEOUT, || Call::Read);
            }
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
            Role::Clearing | Role::Preflight { .. } if core.stopping => {
                Some(Role::Stopped(match &core.leftover {
                    Some(_) => Outcome::SessionLeft,
                    None => Outcome::Stopped,
                }))
            }
            Role::Clearing => Some(Role::Preflight {
                read: Attempt::Due(now),
                backoff: Backoff::default(),
            }),
            Role::Preflight { .. } => None,
            Role::Joining(joining) => joining.next_role(core),
            Role::Member(member) => member.next_role(core, now),
            Role::Resigning(resigning) => resigning.next_role(core, now),
        }
    }
}

/// As the Go tool does: what is no lock is not touched, and no session is made for it.
fn preflight_answered(
    core: &mut Core,
    now: Timestamp,
    read: &mut Attempt,
    backoff: &mut Backoff,
    result: Result<Answer, Failure>,
) -> Option<Role> {
    core.note(Doing::Reading, &result);
    if let Ok(Answer::Key(key)) = result {
        return Some(match KeyState::of(key.entry.as_ref()) {
            KeyState::NotALock { flags } => Role::Stopped(Outcome::NotALock { flags }),
            KeyState::Missing
            | KeyState::Held { .. }
            | KeyState::Released { .. }
            | KeyState::Abandoned { .. } => Role::Joining(Joining::new(core, now)),
        });
    }
    *read = Attempt::Due(now + backoff.next(&mut core.rng));
    None
}

impl Core {
    /// Hands a request out.
    fn call(&mut self, now: Timestamp, timeout: Duration, call: Call) -> Pending {
        let op = if self.params.terms.keeps(Rule::StaleAnswersDropped) {
            self.next_op()
        } else {
            call.kind()
        };
        self.actions.push(Action::Call { op, call, timeout });
        Pending { op, issued_at: now }
    }

    /// Has a note written down.
    fn remember(&mut self, note: Note) -> OpId {
        let op = self.next_op();
        self.actions.push(Action::Remember { op, note });
        op
    }

    /// Ids are never used twice, so an answer that comes late or again is nobody's.
    fn next_op(&mut self) -> OpId {
        self.ops += 1;
        OpId(self.ops)
    }

    /// Says something to another host.
    fn say(&mut self, contact: Contact, datagram: Datagram) {
        self.actions.push(Action::Send { contact, datagram });
    }

    fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// Makes the order follow the role.
    fn order(&mut self, role: &Role) {
        let Some(vip) = &mut self.vip else { return };
        // As long as it was so from the start: what was once taken off stays off.
        let kept = match vip.order.target {
            VipTarget::Kept => VipTarget::Kept,
            VipTarget::Absent | VipTarget::HeldUntil(_) => VipTarget::Absent,
        };
        let target = match role {
            Role::Member(member) => match &member.part {
                Part::Leading(leading) => VipTarget::HeldUntil(leading.lease),
                Part::Standby(standby) if standby.keeps_address() => kept,
                Part::Standby(_) => VipTarget::Absent,
            },
            Role::Adopting(_) => kept,
            Role::Clearing
            | Role::Preflight { .. }
            | Role::Joining(_)
            | Role::Resigning(_)
            | Role::Stopped(_) => VipTarget::Absent,
        };
        let kind = std::mem::discriminant::<VipTarget>;
        vip.order.version += u64::from(kind(&target) != kind(&vip.order.target));
        vip.order.target = target;
    }

    /// Whether the kernel has said, since we last asked for it, that our address is off.
    fn vip_is_off(&self) -> bool {
        let Some(vip) = &self.vip else { return true };
        matches!(vip.order.target, VipTarget::Absent)
            && vip
                .report
                .as_ref()
                .is_some_and(|report| report.version >= vip.order.version && !report.held)
    }

    /// Why the address cannot be held here, by a report that answers the newest order.
    fn blocker(&self) -> Option<&Blocker> {
        let vip = self.vip.as_ref()?;
        vip.report
            .as_ref()
            .filter(|report| report.version >= vip.order.version)?
            .blocker
            .as_ref()
    }
}
