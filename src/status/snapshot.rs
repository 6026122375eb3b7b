//! Pure: one group as its driver last saw it, in the driver's own words and instants.
//!
//! The driver is the only writer. A reader borrows it for no longer than it takes to copy what it needs: the driver
//! waits meanwhile.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::calendar::rfc3339;
use crate::config::Vip;
use crate::consul::service::Word;
use crate::election::call::{Answer, Failure, SessionId};
use crate::election::health::Health;
use crate::election::lease::{Lease, Terms};
use crate::election::machine::Event;
use crate::election::status::{Feature, LockDelay, Phase, Status};
use crate::election::target::VipReport;
use crate::election::time::Timestamp;
use crate::status::change::{self, Change};
use crate::status::counters::{Counters, Deeds, HookRuns, Timed};
use crate::status::why::Why;
use crate::status::{Address, GroupReport, Role, TRANSITIONS};

/// What is known of a group before it runs.
#[derive(Clone, Debug)]
pub struct About {
    /// The trigger key.
    pub group: String,
    /// The trigger value.
    pub value: String,
    /// Higher is better.
    pub priority: i32,
    /// What a lease is made from.
    pub terms: Terms,
    /// The addresses that are held here, if any are.
    pub vips: Vec<Vip>,
    /// What is done to them.
    pub deeds: Arc<Deeds>,
    /// What came of its hooks.
    pub hooks: Arc<HookRuns>,
}

/// One group.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What it is.
    pub about: About,
    /// The machine; before it has run, as one that has not begun.
    pub status: Status,
    /// What the host is in it.
    pub role: Role,
    /// Since when.
    pub since: SystemTime,
    /// Since when what keeps the host from leading does; of no meaning while it leads.
    why_since: SystemTime,
    /// The `ModifyIndex` by which we know that we took the lock; `None` when we do not lead, or not yet.
    pub term: Option<u64>,
    /// How many candidates there are, this host included; `None` before they have been looked at.
    pub candidates: Option<usize>,
    /// Whether the kernel has said that the addresses are up by our doing, or any of them.
    pub held: bool,
    /// The newest last.
    pub transitions: VecDeque<Change>,
    /// What was counted.
    pub counters: Counters,
    /// When the driver's loop last went round. It does so every [`PULSE`] at least.
    pub turned_at: Timestamp,
    /// No term of ours is ever lower than this.
    highest_term: u64,
    /// Why nothing runs that takes part in the group, if so.
    failed: Option<String>,
}

/// How long the driver's loop waits at most.
pub const PULSE: Duration = Duration::from_secs(1);

/// What an event says to others, kept while the machine makes something of it.
#[derive(Debug, Default)]
#[must_use]
pub struct Said {
    /// Who held the key at which index, by an answer.
    holder: Option<(SessionId, u64)>,
    /// Whether the address came or went.
    moved: bool,
}

impl Snapshot {
    /// Begins with a group that has done nothing yet.
    pub fn new(about: About, at: SystemTime, now: Timestamp) -> Self {
        Self {
            role: Role::Joining,
            about,
            status: Status::default(),
            since: at,
            why_since: at,
            term: None,
            candidates: None,
            held: false,
            transitions: VecDeque::new(),
            counters: Counters::default(),
            turned_at: now,
            highest_term: 0,
            failed: None,
        }
    }

    /// Takes in that nothing runs any more that takes part in the group, and why.
    pub fn fail(&mut self, why: String, at: SystemTime) {
        self.leave(Role::Stopped, at);
        self.failed = Some(why);
    }

    /// Returns why nothing runs that takes part in the group, if so.
    pub fn failed(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    /// Takes in that another machine begins, as one that has not begun yet. What was counted goes on.
    pub fn begin_again(&mut self, about: About, at: SystemTime, now: Timestamp) {
        self.leave(Role::Joining, at);
        self.about = about;
        self.turned_at = now;
        self.failed = None;
    }

    fn leave(&mut self, role: Role, at: SystemTime) {
        self.status = Status::default();
        self.term = None;
        self.candidates = None;
        self.held = false;
        if std::mem::replace(&mut self.role, role) != role {
            self.since = at;
        }
        self.why_since = at;
    }

    /// Takes in that the loop goes round, and an event before the machine does.
    pub fn turn(&mut self, now: Timestamp, event: Option<&Event>) -> Said {
        self.turned_at = now;
        match event {
            Some(Event::Completed { result, .. }) => return self.hear_answer(result),
            Some(Event::Vip(VipReport { held, .. })) => {
                let moved = std::mem::replace(&mut self.held, *held) != *held;
                return Said {
                    moved,
                    ..Said::default()
                };
            }
            Some(
                Event::DeadlineReached
                | Event::Remembered { .. }
                | Event::Heard { .. }
                | Event::Health(_)
                | Event::Stop,
            )
            | None => {}
        }
        Said::default()
    }

    fn hear_answer(&mut self, result: &Result<Answer, Failure>) -> Said {
        let mut said = Said::default();
        match result {
            Ok(Answer::Key(key)) => {
                let entry = key.entry.as_ref();
                let held =
                    entry.and_then(|entry| Some((entry.session.clone()?, entry.modify_index)));
                said.holder = held;
            }
            Ok(Answer::Group(group)) => self.candidates = Some(group.candidates.len()),
            Ok(Answer::Created(_) | Answer::Found(_) | Answer::LockDelay(_) | Answer::Done) => {}
            Err(failure) => {
                self.counters.errors.count(failure.kind);
            }
        }
        said
    }

    /// Takes in how long a request took.
    pub fn time(&mut self, timed: Timed, took: Duration) {
        match (timed, &self.status.phase) {
            (Timed::Renewal, _) => self.counters.renewals.observe(took),
            (Timed::Proof, Phase::Leading(_)) => self.counters.confirms.observe(took),
            (Timed::Proof, _) => {}
        }
    }

    /// Takes in what the machine made of it. Returns whether there is something new beside a lease that
    /// was prolonged.
    pub fn follow(&mut self, at: SystemTime, said: Said, status: Status) -> bool {
        let before = std::mem::replace(&mut self.status, status);
        let role = role(&self.status.phase);
        let mut news = said.moved || differ(&before, &self.status);
        if role != self.role {
            self.change(at, role, &before);
        }
        let was = Why::of(&before, &self.about.group);
        let goes_on = match (was, self.reason()) {
            (Some(was), Some(is)) => is.is_still(&was),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !goes_on {
            self.why_since = at;
        }
        if role != Role::Leader {
            self.term = None;
        } else if let Some((session, index)) = said.holder
            && self.term.is_none()
            && self.status.session == Some(session)
            && index > self.highest_term
        {
            self.term = Some(index);
            self.highest_term = index;
            news = true;
        }
        news
    }

    fn change(&mut self, at: SystemTime, to: Role, before: &Status) {
        let (cause, reason) = change::why(before, &self.status);
        let from = std::mem::replace(&mut self.role, to);
        self.since = at;
        *self.counters.transitions.entry((to, cause)).or_default() += 1;
        if self.transitions.len() == TRANSITIONS {
            self.transitions.pop_front();
        }
        self.transitions.push_back(Change {
            at,
            from,
            to,
            cause,
            reason,
        });
    }

    /// Returns the lease while it is to be lived by.
    pub const fn lease(&self) -> Option<&Lease> {
        match &self.status.phase {
            Phase::Leading(lease) => Some(lease),
            Phase::Adopting
            | Phase::Clearing
            | Phase::Preflight
            | Phase::Joining
            | Phase::Standby
            | Phase::Resigning
            | Phase::Stopped(_) => None,
        }
    }

    /// Returns whether this host leads, and may do so now.
    pub fn leads(&self, now: Timestamp) -> bool {
        self.lease().is_some_and(|lease| lease.is_live(now))
    }

    /// Returns who leads, by trigger value, as far as it is known.
    pub fn leader(&self) -> Option<&str> {
        match (self.lease(), &self.status.holder) {
            (Some(_), _) => Some(&self.about.value),
            (None, Some(holder)) => Some(&holder.value),
            (None, None) => None,
        }
    }

    /// Returns why this host does not lead.
    pub fn why(&self) -> Option<String> {
        let reason = || self.reason().map(|why| why.to_string());
        self.failed.clone().or_else(reason)
    }

    /// Returns how long this host lets the last leader's lock-delay pass before it asks for the lock; `None` where it
    /// waits for no such thing.
    pub fn lock_delay_left(&self, now: Timestamp) -> Option<Duration> {
        match self.reason()? {
            Why::LockDelay(LockDelay::Until(until)) => Some(until.since(now)),
            Why::LockDelay(LockDelay::Refused)
            | Why::Adopting
            | Why::Clearing
            | Why::Joining
            | Why::Resigning(_)
            | Why::Stopped(_)
            | Why::NotALock { .. }
            | Why::Drained
            | Why::Unhealthy(_)
            | Why::Blocked(_)
            | Why::Follows(_)
            | Why::Unjudged
            | Why::Trouble(_)
            | Why::Free(_) => None,
        }
    }

    /// Returns what others should know of why this host would not lead.
    pub fn word(&self) -> Option<Word> {
        Some(Word {
            why: self.reason()?.in_public()?,
            since: rfc3339(self.why_since),
        })
    }

    fn reason(&self) -> Option<Why<'_>> {
        Why::of(&self.status, &self.about.group)
    }

    /// Returns the group as it is told to others.
    pub fn report(&self, now: Timestamp) -> GroupReport {
        let About {
            group,
            value,
            priority,
            vips,
            ..
        } = &self.about;
        let healthy = match &self.status.health {
            Health::Unknown => None,
            Health::Good => Some(true),
            Health::Bad(_) => Some(false),
        };
        let addresses = vips.iter().map(|vip| Address {
            address: vip.address,
            prefix: vip.prefix,
            interface: vip.interface.clone(),
            held: self.held,
        });
        let lost = self.status.lost.iter();
        GroupReport {
            group: group.clone(),
            value: value.clone(),
            role: self.role,
            since: rfc3339(self.since),
            why: self.why(),
            why_since: self
                .reason()
                .filter(Why::is_an_obstacle)
                .map(|_| rfc3339(self.why_since)),
            lock_delay_left_ms: self.lock_delay_left(now).map(millis),
            leader: self.leader().map(str::to_owned),
            session: self.status.session.as_ref().map(SessionId::to_string),
            lease_left_ms: self.lease().map(|lease| millis(lease.left(now))),
            term: self.term,
            candidate: self.status.candidate,
            priority: *priority,
            healthy,
            health: match &self.status.health {
                Health::Unknown => "not known yet".to_owned(),
                Health::Good => "healthy".to_owned(),
                Health::Bad(reason) => reason.clone(),
            },
            drained: self.status.drained,
            addresses: addresses.collect(),
            transitions: self.transitions.iter().map(Change::report).collect(),
            trouble: self
                .status
                .trouble
                .as_ref()
                .map(|trouble| trouble.message.clone()),
            lost: lost
                .map(|(feature, why)| (feature_name(*feature).to_owned(), why.clone()))
                .collect(),
        }
    }
}

const fn role(phase: &Phase) -> Role {
    match phase {
        Phase::Adopting | Phase::Clearing | Phase::Preflight | Phase::Joining => Role::Joining,
        Phase::Standby => Role::Standby,
        Phase::Leading(_) => Role::Leader,
        Phase::Resigning => Role::Resigning,
        Phase::Stopped(_) => Role::Stopped,
    }
}

/// Whether one is not just the other with a longer lease.
fn differ(before: &Status, after: &Status) -> bool {
    if let (Phase::Leading(_), Phase::Leading(_)) = (&before.phase, &after.phase) {
        let phase = before.phase.clone();
        return *before
            != Status {
                phase,
                ..after.clone()
            };
    }
    before != after
}

const fn feature_name(feature: Feature) -> &'static str {
    match feature {
        Feature::Candidates => "candidates",
        Feature::Liveness => "liveness-check",
        Feature::PeerWatch => "peer-watch",
    }
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}
