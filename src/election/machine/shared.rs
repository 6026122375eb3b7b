//! Pure: what every role shares, and what any of them may do with it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::group::Group;
use super::liveness::Liveness;
use super::member::Part;
use super::peers::Peers;
use super::question::Question;
use super::{Action, Params, Role};
use crate::election::call::{Call, OpId, Pending, SessionId};
use crate::election::candidate::Contact;
use crate::election::health::Health;
use crate::election::note::Note;
use crate::election::peer::Datagram;
use crate::election::rules::Rule;
use crate::election::status::{Doing, Ending, Feature, Holder, Trouble};
use crate::election::target::{Blocker, VipOrder, VipReport, VipTarget};
use crate::election::time::Timestamp;

/// What every role shares.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) params: Params,
    pub(super) rng: fastrand::Rng,
    pub(super) ops: u64,
    pub(super) sessions: u64,
    /// The session of an earlier process, to be found and destroyed.
    pub(super) leftover: Option<Leftover>,
    pub(super) stopping: bool,
    /// `None` when the address is not ours to hold.
    pub(super) vip: Option<Vip>,
    /// Not before: a host that could not hold the address lets others go first.
    pub(super) campaign_after: Timestamp,
    /// The largest lock-delay of any holder seen: how long another leader may act unheard.
    pub(super) others_lock_delay: Duration,
    pub(super) question: Question,
    pub(super) health: Health,
    pub(super) group: Group,
    pub(super) liveness: Liveness,
    pub(super) peers: Peers,
    /// What this session does without.
    pub(super) without: BTreeSet<Feature>,
    /// What any has done without, and why.
    pub(super) lost: BTreeMap<Feature, String>,
    pub(super) handed_to: Option<String>,
    pub(super) refused_request: Option<String>,
    pub(super) deposed: Option<(Holder, Duration)>,
    pub(super) ending: Option<Ending>,
    pub(super) overwritten: u64,
    pub(super) troubles: BTreeMap<Doing, Trouble>,
    pub(super) actions: Vec<Action>,
}

/// The name of a session, and its id where it is known.
pub(super) type Leftover = (String, Option<SessionId>);

/// The last order for the address, and what came back.
#[derive(Debug)]
pub(super) struct Vip {
    pub(super) order: VipOrder,
    pub(super) report: Option<VipReport>,
}

impl Core {
    /// What is known before anything has happened.
    pub(super) fn new(
        params: Params,
        now: Timestamp,
        seed: u64,
        leftover: Option<Leftover>,
    ) -> Self {
        let vip = params.terms.is_managed().then(|| Vip {
            order: params.first_order(),
            report: None,
        });
        Self {
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
        }
    }

    /// Hands a request out.
    pub(super) fn call(&mut self, now: Timestamp, timeout: Duration, call: Call) -> Pending {
        let op = if self.params.terms.keeps(Rule::StaleAnswersDropped) {
            self.next_op()
        } else {
            call.kind()
        };
        self.actions.push(Action::Call { op, call, timeout });
        Pending { op, issued_at: now }
    }

    /// Has a note written down.
    pub(super) fn remember(&mut self, note: Note) -> OpId {
        let op = self.next_op();
        self.actions.push(Action::Remember { op, note });
        op
    }

    /// Ids are never used twice, so an answer that comes late or again is nobody's.
    pub(super) fn next_op(&mut self) -> OpId {
        self.ops += 1;
        OpId(self.ops)
    }

    /// Says something to another host.
    pub(super) fn say(&mut self, contact: Contact, datagram: Datagram) {
        self.actions.push(Action::Send { contact, datagram });
    }

    pub(super) fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// Makes the order follow the role.
    pub(super) fn order(&mut self, role: &Role) {
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
    pub(super) fn vip_is_off(&self) -> bool {
        let Some(vip) = &self.vip else { return true };
        matches!(vip.order.target, VipTarget::Absent)
            && vip
                .report
                .as_ref()
                .is_some_and(|report| report.version >= vip.order.version && !report.held)
    }

    /// Why the address cannot be held here, by a report that answers the newest order.
    pub(super) fn blocker(&self) -> Option<&Blocker> {
        let vip = self.vip.as_ref()?;
        vip.report
            .as_ref()
            .filter(|report| report.version >= vip.order.version)?
            .blocker
            .as_ref()
    }
}
