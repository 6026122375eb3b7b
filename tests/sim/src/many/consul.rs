//! Pure: what several groups ask together, on its way to Consul and back, and what Consul makes of it.

use std::rc::Rc;
use std::time::Duration;

use vip_elector::consul::sharing::{Errand, ErrandId, Seat, What};
use vip_elector::election::call::{Answer, Call, FailureKind, OpId, SessionId};

use super::event::{Event, Inner};
use super::process::Outcome;
use super::{World, key};
use crate::group::{self, Standing};
use crate::request::{self, SERF, failure};
use crate::schedule::TTL;
use crate::store::{Command, Health, Op, Session, Store};
use crate::trace::Who;

/// How long Consul may hold a blocking read open.
const WATCH_WAIT: Duration = Duration::from_secs(10);

/// No process may have more requests under way.
const ERRANDS: usize = 15;

/// A request that is under way.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) host: usize,
    pub(super) process: u64,
    pub(super) id: ErrandId,
    /// When it was handed out, in true time.
    pub(super) sent: Duration,
    pub(super) parts: Vec<Part>,
    kind: Kind,
}

/// What concerns one group.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) group: usize,
    pub(super) call: Call,
    /// What is known of it already.
    result: Option<Outcome>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Read,
    Change,
    One,
}

/// A blocking read of one group.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) host: usize,
    pub(super) process: u64,
    pub(super) seat: Seat,
    pub(super) group: usize,
    pub(super) op: OpId,
    /// The last index seen.
    pub(super) index: u64,
    /// Of what stands below the key.
    pub(super) below: bool,
}

impl Watch {
    fn news(&self, store: &Store) -> bool {
        let key = key(self.group);
        let index = if self.below {
            store.index_below(&group::prefix(&key))
        } else {
            store.index_at(&key)
        };
        index > self.index
    }

    fn read(&self, store: &Store) -> Answer {
        let key = key(self.group);
        if self.below {
            let listing = store.list(&group::prefix(&key));
            Answer::Group(group::read(&key, &listing))
        } else {
            Answer::Key(store.read(&key))
        }
    }
}

/// Names the check that a bond's sessions die with.
pub(super) fn check(bond: usize) -> String {
    format!("check{bond}")
}

impl World<'_> {
    /// What Consul knows from the beginning.
    pub(super) fn found(&mut self) {
        for host in 0..self.hosts.len() {
            for check in [SERF.to_owned(), check(0), check(1)] {
                self.set_check(host, check, Health::Passing);
            }
        }
    }

    pub(super) fn set_check(&mut self, host: usize, check: String, health: Health) {
        let node = request::node(host);
        self.by_hand(Command::SetCheck {
            node,
            check,
            health,
        });
    }

    /// Somebody does it, who needs no network.
    pub(super) fn by_hand(&mut self, command: Command) {
        // None of these is refused.
        let _ = self.store.apply(self.now, &command);
        self.changed();
    }

    /// Sends what a process asks together on its way.
    pub(super) fn send(&mut self, host: usize, errand: Errand) {
        let local = self.hosts[host].clock.lasts(errand.timeout);
        let Some(process) = &mut self.hosts[host].process else {
            return;
        };
        let part = |(seat, call): (Seat, Call)| Part {
            group: process.seats.get(&seat).copied().unwrap_or_default(),
            call,
            result: None,
        };
        let (kind, parts) = match errand.what {
            What::Read(seats) => {
                let calls = seats.into_iter().map(|seat| (seat, Call::Read));
                (Kind::Read, calls.map(part).collect())
            }
            What::Change(calls) => (Kind::Change, calls.into_iter().map(part).collect()),
            What::One(seat, call) => (Kind::One, vec![part((seat, call))]),
        };
        let request = Rc::new(Request {
            host,
            process: process.number,
            id: errand.id,
            sent: self.now,
            parts,
            kind,
        });
        process.errands.insert(errand.id);
        let count = process.errands.len();
        if count > ERRANDS {
            self.violation = Some(super::Violation::Errands(host, count));
        }
        if request.parts.len() > 1 {
            self.tally.saw(match kind {
                Kind::Read => "reads of several groups",
                Kind::Change | Kind::One => "changes of several groups",
            });
        }
        self.trace.say(self.now, Who::Host(host), || {
            let parts = request.parts.iter();
            let asked: Vec<String> = parts
                .map(|part| format!("g{} {:?}", part.group, part.call))
                .collect();
            format!("asks {}", asked.join("; "))
        });
        let lost = Inner::Lost(Rc::clone(&request));
        self.later(local, host, lost);
        self.travel(request);
    }

    fn travel(&mut self, request: Rc<Request>) {
        if !self.network.asks(request.host) {
            return;
        }
        if self.network.doubled(&mut self.draw)
            && let Some(again) = self.network.transit(&mut self.draw)
        {
            self.after(again, Event::Arrive(Rc::clone(&request)));
        }
        if let Some(transit) = self.network.transit(&mut self.draw) {
            self.after(transit, Event::Arrive(request));
        }
    }

    /// Sends a blocking read on its way.
    pub(super) fn watch(&mut self, host: usize, watch: Watch) {
        if self.network.asks(host)
            && let Some(transit) = self.network.transit(&mut self.draw)
        {
            self.after(transit, Event::Watch(Rc::new(watch)));
        }
    }

    /// A blocking read is there.
    pub(super) fn watched(&mut self, watch: Rc<Watch>) {
        if watch.news(&self.store) {
            self.tell(&watch);
        } else {
            self.after(WATCH_WAIT, Event::WatchOver(Rc::clone(&watch)));
            self.watches.push(watch);
        }
    }

    pub(super) fn watch_over(&mut self, watch: &Rc<Watch>) {
        let before = self.watches.len();
        self.watches.retain(|other| !Rc::ptr_eq(other, watch));
        if self.watches.len() < before {
            self.tell(watch);
        }
    }

    fn tell(&mut self, watch: &Rc<Watch>) {
        let answer = watch.read(&self.store);
        if self.network.hears(watch.host)
            && let Some(transit) = self.network.transit(&mut self.draw)
        {
            let news = Inner::News(Rc::clone(watch), answer);
            self.to(transit, watch.host, watch.process, news);
        }
    }

    /// Something may be another: whoever waits for it is told, and the next TTL is waited for.
    fn changed(&mut self) {
        let (news, waiting) = std::mem::take(&mut self.watches)
            .into_iter()
            .partition(|watch| watch.news(&self.store));
        self.watches = waiting;
        let news: Vec<Rc<Watch>> = news;
        for watch in news {
            self.tell(&watch);
        }
        if let Some(next) = self.timers.next()
            && self.ttl_at.is_none_or(|at| next < at || at <= self.now)
        {
            self.ttl_at = Some(next);
            self.at(next.max(self.now), Event::Ttl);
        }
    }

    pub(super) fn ttl(&mut self) {
        for session in self.timers.expired(self.now) {
            if self.store.session(&session).is_some() {
                self.tally.saw("sessions ended by ttl");
                self.trace.say(self.now, Who::Consul, || {
                    format!("the ttl of {session} is over")
                });
                self.by_hand(Command::DestroySession(session));
            }
        }
        self.changed();
    }

    /// A request is at Consul.
    pub(super) fn arrive(&mut self, request: Rc<Request>) {
        let results: Vec<Outcome> = match request.kind {
            Kind::Read => {
                let parts = request.parts.iter();
                parts
                    .map(|part| Ok(Answer::Key(self.store.read(&key(part.group)))))
                    .collect()
            }
            Kind::One => {
                let parts = request.parts.iter();
                parts.map(|part| self.one(&request, part)).collect()
            }
            Kind::Change => {
                self.change(&request);
                return;
            }
        };
        self.answer(&request, results);
    }

    /// One transaction for all that can be carried out; what is refused is told apart, and the rest is asked for anew.
    fn change(&mut self, request: &Rc<Request>) {
        let mut next = Request::clone(request);
        let standing = Standing {
            priority: 0,
            lock_delay: self.schedule.lock_delay,
            listens: false,
            host: request.host,
            process: request.process,
        };
        let mut refused = false;
        let mut all: Vec<Op> = Vec::new();
        for part in &mut next.parts {
            if part.result.is_some() {
                continue;
            }
            let operations = request::transaction(&part.call, &key(part.group), standing);
            let alone = Command::Txn(operations.clone().unwrap_or_default());
            let admitted = self.store.admit(self.now, &alone);
            let tried =
                admitted.and_then(|()| self.store.clone().apply(self.now, &alone).map(drop));
            match tried {
                Ok(()) => all.extend(operations.unwrap_or_default()),
                Err(kind) => {
                    // The successor's session: our own is not looked at.
                    let theirs = kind == FailureKind::SessionGone
                        && matches!(part.call, Call::HandOver { .. });
                    let kind = if theirs { FailureKind::Changed } else { kind };
                    part.result = Some(Err(failure(kind)));
                    refused = true;
                }
            }
        }
        if refused && !all.is_empty() {
            self.tally.saw("changes told apart");
            self.travel(Rc::new(next));
            return;
        }
        let done = if all.is_empty() {
            Ok(Vec::new())
        } else {
            self.store.apply(self.now, &Command::Txn(all))
        };
        let result = match done {
            Ok(_) => Ok(Answer::Done),
            Err(kind) => Err(failure(kind)),
        };
        let results = next.parts.into_iter();
        let results = results
            .map(|part| part.result.unwrap_or_else(|| result.clone()))
            .collect();
        self.changed();
        self.answer(request, results);
    }

    fn one(&mut self, request: &Request, part: &Part) -> Outcome {
        let now = self.now;
        match &part.call {
            Call::CreateSession { name, .. } => {
                let id = SessionId::new(format!("s{}", self.number()));
                let session = Session {
                    name: name.clone(),
                    node: request::node(request.host),
                    ttl: TTL,
                    lock_delay: self.schedule.lock_delay,
                    checks: vec![SERF.to_owned(), check(self.schedule.bonds[part.group])],
                };
                let command = Command::CreateSession {
                    id: id.clone(),
                    session,
                };
                self.store.apply(now, &command).map_err(failure)?;
                self.timers.arm(now, &id, TTL, &mut self.draw);
                self.changed();
                Ok(Answer::Created(id))
            }
            Call::FindSession { name, id } => {
                let is_it = |(other, session): &(&SessionId, &Session)| match id {
                    Some(id) => *other == id,
                    None => session.name == *name,
                };
                let found = self.store.sessions().find(is_it);
                Ok(Answer::Found(found.map(|(id, _)| id.clone())))
            }
            Call::RenewSession(id) => {
                let renewed = self.timers.renew(now, &self.store, id, &mut self.draw);
                renewed.map_err(failure)?;
                self.changed();
                Ok(Answer::Done)
            }
            Call::DestroySession(id) => {
                self.timers.disarm(id);
                self.by_hand(Command::DestroySession(id.clone()));
                Ok(Answer::Done)
            }
            Call::SessionLockDelay(id) => {
                let session = self.store.session(id);
                Ok(Answer::LockDelay(session.map(|session| session.lock_delay)))
            }
            Call::Depose(_)
            | Call::Read
            | Call::Watch { .. }
            | Call::WatchThroughLeader { .. }
            | Call::WatchGroup { .. }
            | Call::MarkVacant
            | Call::Acquire { .. }
            | Call::Restore(_)
            | Call::Release { .. }
            | Call::HandOver { .. }
            | Call::Register(_)
            | Call::Unregister(_)
            | Call::DropRequest { .. }
            | Call::LetGo { .. }
            | Call::RegisterService { .. }
            | Call::Feed
            | Call::DeregisterService => Err(failure(FailureKind::Refused)),
        }
    }

    fn answer(&mut self, request: &Rc<Request>, results: Vec<Outcome>) {
        let (host, process) = (request.host, request.process);
        if !self.network.hears(host) {
            return;
        }
        let answer = Inner::Answer(Rc::clone(request), results);
        if self.network.doubled(&mut self.draw)
            && let Some(again) = self.network.transit(&mut self.draw)
        {
            self.to(again, host, process, answer.clone());
        }
        if let Some(transit) = self.network.transit(&mut self.draw) {
            self.to(transit, host, process, answer);
        }
    }
}
