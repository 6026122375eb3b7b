//! Pure: one run of the daemon: the shipped machines and what they share, run as `driver` and `consul::hub` run them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use vip_elector::consul::sharing::{Bond, ErrandId, Seat, Sharing, Ticket};
use vip_elector::election::call::{Answer, Call, Failure, FailureKind, OpId, SessionId};
use vip_elector::election::health::Health;
use vip_elector::election::lease::Terms;
use vip_elector::election::machine::{Event as Input, Machine, Options, Params};
use vip_elector::election::note::{Before, Note};
use vip_elector::election::peer::GroupId;
use vip_elector::election::target::{VipOrder, VipReport, VipTarget};

use super::consul::Request;
use super::event::{Event, Inner};
use super::{Violation, World};
use crate::request::{self, failure};
use crate::schedule::TTL;
use crate::trace::Who;

/// What a call comes to.
pub(super) type Outcome = Result<Answer, Failure>;

/// As in `daemon`.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// A running daemon.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) number: u64,
    pub(super) sharing: Sharing,
    pub(super) members: BTreeMap<usize, Member>,
    /// Of each seat there ever was.
    pub(super) seats: BTreeMap<Seat, usize>,
    pub(super) errands: BTreeSet<ErrandId>,
    pub(super) tickets: BTreeMap<Ticket, (Seat, OpId)>,
    pub(super) frozen: u32,
    /// What has happened while it was frozen.
    held: Vec<Inner>,
    pub(super) wake: Option<Duration>,
    pub(super) stopping: bool,
    pub(super) calls_now: (Duration, u32),
    /// The sessions that it was told of, and when groups of it have ended.
    known: BTreeSet<SessionId>,
    departures: Vec<Duration>,
}

/// A group of it.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) seat: Seat,
    pub(super) machine: Machine,
    pub(super) inputs: VecDeque<Input>,
    /// The calls that its driver waits for.
    pub(super) waits: BTreeMap<OpId, Option<Ticket>>,
    pub(super) order: VipOrder,
    pub(super) stopping: bool,
}

impl Member {
    pub(super) fn session(&self) -> Option<SessionId> {
        self.machine.status().session
    }

    pub(super) fn completed(&mut self, op: OpId, result: Outcome) {
        if self.waits.remove(&op).is_some() {
            self.inputs.push_back(Input::Completed { op, result });
        }
    }
}

impl World<'_> {
    /// A supervisor starts the daemon, where there is none.
    pub(super) fn start(&mut self, host: usize) {
        if self.hosts[host].process.is_some() {
            return;
        }
        let number = self.number();
        self.trace
            .say(self.now, Who::Host(host), || format!("p{number} starts"));
        let sharing = Sharing::default();
        self.hosts[host].process = Some(Process {
            number,
            sharing: match self.broken {
                Some(rule) => sharing.breaking(rule),
                None => sharing,
            },
            members: BTreeMap::new(),
            seats: BTreeMap::new(),
            errands: BTreeSet::new(),
            tickets: BTreeMap::new(),
            frozen: 0,
            held: Vec::new(),
            wake: None,
            stopping: false,
            calls_now: (self.now, 0),
            known: BTreeSet::new(),
            departures: Vec::new(),
        });
        self.reload(host);
    }

    /// Groups are started and stopped as the configuration says.
    pub(super) fn reload(&mut self, host: usize) {
        let Some(process) = &self.hosts[host].process else {
            return;
        };
        if process.stopping || process.frozen > 0 {
            return;
        }
        let mut new = Vec::new();
        for group in 0..self.schedule.bonds.len() {
            let wanted = self.hosts[host].out[group] == 0;
            let process = self.hosts[host].process.as_mut();
            match process.and_then(|process| process.members.get_mut(&group)) {
                Some(member) if !wanted && !member.stopping => {
                    member.stopping = true;
                    member.inputs.push_back(Input::Stop);
                    let too_long = Inner::TooLong(Some(member.seat));
                    self.later(STOP_TIMEOUT, host, too_long);
                }
                None if wanted => new.push(group),
                Some(_) | None => {}
            }
        }
        // All are taken in before any asks for anything.
        let new: Vec<(usize, Seat, Before)> = new
            .into_iter()
            .map(|group| {
                let (seat, before) = (Seat(self.number()), self.before(host, group));
                if let Some(process) = &mut self.hosts[host].process {
                    process.seats.insert(seat, group);
                    let bond = u64::try_from(self.schedule.bonds[group]).unwrap_or_default();
                    process.sharing.enter(seat, Bond(bond), &before);
                }
                (group, seat, before)
            })
            .collect();
        for (group, seat, before) in new {
            self.enter(host, group, seat, before);
        }
        self.pump(host);
    }

    fn enter(&mut self, host: usize, group: usize, seat: Seat, before: Before) {
        self.tally.saw(match before {
            Before::Nothing => "groups started anew",
            Before::Leftover { .. } => "groups started with a leftover",
            Before::Adoptable { .. } => "groups started with a session to adopt",
        });
        self.trace.say(self.now, Who::Host(host), || {
            format!("g{group} is {seat:?}, before it {before:?}")
        });
        let params = Params {
            terms: Terms::managed(self.schedule.lock_delay, TTL),
            value: request::value(host),
            session_name: format!("p{}", seat.0),
            group: GroupId(u64::try_from(group).unwrap_or_default()),
            before,
            options: Options {
                candidates: self.schedule.candidates,
                health: self.health(host, group),
                one_of_many: true,
                ..Options::default()
            },
        };
        let order = params.first_order();
        let seed = self.draw.u64(..);
        let local = self.hosts[host].clock.read(self.now);
        let (machine, actions) = Machine::start(params, local, seed);
        let member = Member {
            seat,
            machine,
            inputs: VecDeque::new(),
            waits: BTreeMap::new(),
            order,
            stopping: false,
        };
        if let Some(process) = &mut self.hosts[host].process {
            process.members.insert(group, member);
        }
        if order.target == VipTarget::Absent {
            self.report(host, seat, order.version, false);
        }
        self.carry_out(host, group, actions);
    }

    /// The daemon is told to stop.
    pub(super) fn stop(&mut self, host: usize) {
        let Some(process) = &mut self.hosts[host].process else {
            return;
        };
        if std::mem::replace(&mut process.stopping, true) {
            return;
        }
        for member in process.members.values_mut() {
            if !std::mem::replace(&mut member.stopping, true) {
                member.inputs.push_back(Input::Stop);
            }
        }
        self.later(STOP_TIMEOUT, host, Inner::TooLong(None));
        self.pump(host);
    }

    /// The process is no more. What it gave the kernel stays.
    pub(super) fn die(&mut self, host: usize) {
        self.hosts[host].process = None;
        self.trace
            .say(self.now, Who::Host(host), || "daemon gone".to_owned());
    }

    pub(super) fn thaw(&mut self, host: usize) {
        let Some(process) = &mut self.hosts[host].process else {
            return;
        };
        process.frozen = process.frozen.saturating_sub(1);
        if process.frozen > 0 {
            return;
        }
        let mut held = std::mem::take(&mut process.held);
        held.push(Inner::Wake);
        for what in held {
            let nap = self.nap();
            self.later(nap, host, what);
        }
        self.after(Duration::from_millis(10), Event::Reload(host));
    }

    fn health(&self, host: usize, group: usize) -> Health {
        if self.hosts[host].unfit[group] > 0 {
            Health::Bad("unfit".to_owned())
        } else {
            Health::Good
        }
    }

    /// The daemon has looked how fit its host is.
    pub(super) fn probe(&mut self, host: usize, group: usize) {
        let health = self.health(host, group);
        let process = self.hosts[host].process.as_mut();
        if let Some(member) = process.and_then(|process| process.members.get_mut(&group)) {
            member.inputs.push_back(Input::Health(health));
            self.pump(host);
        }
    }

    /// Something happens to a process.
    pub(super) fn happens_to(&mut self, host: usize, number: u64, what: Inner) {
        let now = self.now;
        let local = self.hosts[host].clock.read(now);
        let Some(process) = &mut self.hosts[host].process else {
            return;
        };
        if process.number != number {
            return;
        }
        if process.frozen > 0 {
            process.held.push(what);
            return;
        }
        match what {
            Inner::Wake => {
                if process.wake.is_some_and(|wake| wake <= now) {
                    process.wake = None;
                }
            }
            Inner::Answer(request, results) => {
                if !process.errands.remove(&request.id) {
                    self.tally.saw("late or doubled answers");
                    return;
                }
                process.sharing.done(local, request.id, results.clone());
                self.learn(host, &request, &results);
            }
            Inner::Lost(request) => {
                if !process.errands.remove(&request.id) {
                    return;
                }
                let lost = || Err(failure(FailureKind::Unavailable));
                let lost = request.parts.iter().map(|_| lost()).collect();
                process.sharing.done(local, request.id, lost);
            }
            Inner::News(watch, answer) => {
                let member = process.members.get_mut(&watch.group);
                if let Some(member) = member.filter(|member| member.seat == watch.seat) {
                    member.completed(watch.op, Ok(answer));
                }
            }
            Inner::TimeOut(seat, op) => {
                let mut members = process.members.values_mut();
                let Some(member) = members.find(|member| member.seat == seat) else {
                    return;
                };
                if let Some(Some(ticket)) = member.waits.get(&op) {
                    process.sharing.forget(*ticket);
                    process.tickets.remove(ticket);
                }
                member.completed(op, Err(failure(FailureKind::Unavailable)));
            }
            Inner::Report(seat, version, held) => {
                let mut members = process.members.iter_mut();
                let Some((group, member)) = members.find(|(_, it)| it.seat == seat) else {
                    return;
                };
                if member.order.version != version {
                    return;
                }
                if !held {
                    self.witness.off(host, *group);
                }
                member.inputs.push_back(Input::Vip(VipReport {
                    version,
                    held,
                    blocker: None,
                }));
            }
            Inner::TooLong(None) => {
                if process.stopping {
                    self.tally.saw("stops that took too long");
                    self.die(host);
                }
                return;
            }
            Inner::TooLong(Some(seat)) => {
                let mut members = process.members.iter();
                let group = members.find(|(_, member)| member.seat == seat);
                if let Some(group) = group.map(|(group, _)| *group) {
                    self.tally.saw("groups that took too long to stop");
                    self.depart(host, group);
                }
            }
        }
        self.pump(host);
    }

    /// What an answer proves, and which sessions it tells of.
    fn learn(&mut self, host: usize, request: &Request, results: &[Outcome]) {
        for (part, result) in request.parts.iter().zip(results) {
            match (&part.call, result) {
                (Call::Read, Ok(Answer::Key(read))) => {
                    let holder = read.entry.as_ref().and_then(|entry| entry.session.as_ref());
                    if let Some(holder) = holder {
                        self.witness.proven(part.group, holder, request.sent);
                    }
                }
                (Call::Acquire { session, .. }, Ok(_)) => {
                    self.witness.proven(part.group, session, request.sent);
                }
                (_, Err(refused)) if refused.kind == FailureKind::LockDelayed => {
                    self.tally.saw("acquires refused by lock-delay");
                }
                (Call::LetGo { .. }, Ok(_)) => self.tally.saw("sessions left with a proof"),
                (Call::HandOver { .. }, Ok(_)) => self.tally.saw("handovers"),
                (_, Ok(Answer::Created(id) | Answer::Found(Some(id)))) => {
                    self.tally.saw("sessions made or found");
                    self.count_sessions(host, id);
                }
                (_, _) => {}
            }
        }
    }

    fn count_sessions(&mut self, host: usize, new: &SessionId) {
        let Some(process) = &mut self.hosts[host].process else {
            return;
        };
        process.known.insert(new.clone());
        let store = &self.store;
        process.known.retain(|id| store.session(id).is_some());
        // One that nobody gives back lives for as long as its TTL lets it.
        let lately = self.now.saturating_sub(2 * TTL);
        process.departures.retain(|at| *at >= lately);
        let most = self.schedule.bonds.len() + process.departures.len() + 1;
        let count = process.known.len();
        if count > most {
            self.violation = Some(Violation::Sessions(host, count));
        }
    }

    /// A group ends, and asks no more.
    pub(super) fn depart(&mut self, host: usize, group: usize) {
        self.say(host, group, "has ended");
        let Some(process) = &mut self.hosts[host].process else {
            return;
        };
        if let Some(member) = process.members.remove(&group) {
            process.sharing.depart(member.seat);
            process.tickets.retain(|_, (seat, _)| *seat != member.seat);
            process.departures.push(self.now);
        }
        if process.stopping && process.members.is_empty() {
            self.die(host);
        } else {
            self.after(Duration::from_millis(10), Event::Reload(host));
        }
    }

    fn before(&self, host: usize, group: usize) -> Before {
        match self.hosts[host].notes[group].clone() {
            Note::Nothing => Before::Nothing,
            Note::Live { name, session } => Before::Adoptable { name, session },
            Note::Creating { name } => Before::Leftover {
                name,
                session: None,
            },
            Note::Spent { name, session } => Before::Leftover {
                name,
                session: Some(session),
            },
        }
    }
}
