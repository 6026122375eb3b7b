//! Pure: what the groups of one process ask of Consul together.
//!
//! Each group has its own election, and asks as if it were alone. [`Sharing`] makes fewer requests of that:
//! consistent reads of many keys, and changes of many keys, travel in one transaction; one session, with its
//! renewals and its liveness check, serves all groups whose sessions are made alike.
//!
//! # The argument
//!
//! A lease counts from when a read was asked for. So a read answers only those who asked before it was sent
//! ([`Rule::ReadAnswersEarlierCalls`]): what has come back, or is on its way, is never given to a later asker.
//!
//! When a session dies, Consul refuses *each* of its keys to everybody for the lock-delay. So the lease of a
//! group does not care who else has the session. What does is the rule that a session which has sent a release never
//! leads again: it is kept for each group by itself. A group that gives a session up has *left* it, and is
//! never given it again ([`Rule::LeftSessionIsNotReturned`]); a release that takes effect late then finds the key with
//! another session, and fails. Nor is it given to a group that comes after one has ended that used it: it may be the
//! same, which comes back.
//!
//! A group that leaves a session which others use cannot end it ([`Rule::OneGroupEndsNoOther`]). It must not
//! leave its key locked either, because that session lives on. So it has left when it is *proven* that the key is not
//! locked by it, that no entry of a candidate offers it, and that an acquire which is still under way finds another index
//! ([`Rule::LeavingIsProven`]): by the answer to the release, or by a read and a transaction that checks what it showed
//! (`sharing/leaving.rs`). What it writes then says nothing of a clean ending, so that everybody waits it out. A key that is seen
//! with a session of this process which its group does not use is let go of in the same way.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

mod joint;
mod learning;
mod leaving;
mod pool;
mod service;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use self::joint::Joint;
use self::leaving::{LEAVING_TIMEOUT, Leavings};
use self::pool::Pool;
use self::service::Service;
use crate::election::call::{Answer, Call, Failure, FailureKind};
use crate::election::note::Before;
use crate::election::rules::Rule;
use crate::election::time::Timestamp;

/// How many operations a transaction may have: 64 in Consul before 1.15, 128 since.
pub const OPERATIONS: usize = 64;

/// How many requests of each kind are under way at most: whatever comes meanwhile travels together.
const READS: usize = 3;
const CHANGES: usize = 4;
const OTHERS: usize = 6;

/// A group of this process. Never used for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seat(pub u64);

/// Names how a session is made: groups of one bond can have one together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bond(pub u64);

/// A call of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// A request that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ErrandId(u64);

/// A request to Consul.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errand {
    /// To be named with what came of it.
    pub id: ErrandId,
    /// How long its askers wait, at most.
    pub timeout: Duration,
    /// What is asked.
    pub what: What,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Reads the trigger keys of these groups with `?consistent`, all in one request that is sent after this.
    Read(Vec<Seat>),
    /// Changes keys of these groups. Those that Consul would refuse by themselves are refused; the others are
    /// carried out.
    Change(Vec<(Seat, Call)>),
    /// One call as it is, for a group, and whoever wants the same.
    One(Seat, Call),
}

/// What all groups of a process want from Consul, and what is done about it.
#[derive(Debug, Default)]
pub struct Sharing {
    bonds: BTreeMap<Seat, Bond>,
    pool: Pool,
    services: BTreeMap<Bond, Service>,
    /// When a session was last refused for its checks, and why.
    refusals: BTreeMap<Bond, (Timestamp, Failure)>,
    leavings: Leavings,
    joint: Joint,
    calls: BTreeMap<Ticket, Asked>,
    reads: VecDeque<Ticket>,
    changes: VecDeque<Ticket>,
    under_way: BTreeMap<ErrandId, Kind>,
    answers: Vec<(Ticket, Result<Answer, Failure>)>,
    numbers: u64,
    broken: Option<Rule>,
    /// The last answers to reads, where the rule is broken that they are not given again.
    old: BTreeMap<Seat, (Timestamp, Result<Answer, Failure>)>,
}

/// A call without an answer.
#[derive(Debug)]
struct Asked {
    seat: Seat,
    call: Call,
    timeout: Duration,
}

/// Whose a request under way is.
#[derive(Debug)]
enum Kind {
    Read(Vec<Ticket>),
    Change(Vec<Ticket>),
    One,
}

impl Sharing {
    /// Does without one of its rules.
    #[must_use]
    pub fn breaking(mut self, rule: Rule) -> Self {
        self.broken = Some(rule);
        self
    }

    /// Takes in a group, and what the process before has left of it: before any group asks for
    /// anything that is to be adopted by several.
    pub fn enter(&mut self, seat: Seat, bond: Bond, before: &Before) {
        self.bonds.insert(seat, bond);
        match before {
            Before::Adoptable { session, .. } => self.pool.adopt(session, seat, bond),
            Before::Leftover {
                session: Some(session),
                ..
            } => {
                self.pool.adopt(session, seat, bond);
                self.pool.spend(seat, session);
            }
            Before::Leftover { session: None, .. } | Before::Nothing => {}
        }
    }

    /// Takes in that a group has ended, and asks no more.
    pub fn depart(&mut self, seat: Seat) {
        let leavings = &self.leavings;
        self.calls
            .retain(|ticket, asked| asked.seat != seat || leavings.has(*ticket));
        // Whatever it has not let go of is let go of all the same.
        for session in self.pool.depart(seat) {
            self.leave(seat, session, None, LEAVING_TIMEOUT);
        }
        if let Some(bond) = self.bonds.remove(&seat)
            && let Some(service) = self.services.get_mut(&bond)
        {
            service.depart(seat);
        }
    }

    /// Whether a group that has ended has something to give back yet.
    pub fn is_leaving(&self, seat: Seat) -> bool {
        self.leavings.is_leaving(seat)
    }

    /// Takes in a call of a group. The answer comes with [`answers`](Self::answers), maybe at once.
    pub fn ask(&mut self, now: Timestamp, seat: Seat, call: Call, timeout: Duration) -> Ticket {
        self.leave_later(now);
        let ticket = Ticket(self.number());
        let bond = self.bonds.get(&seat).copied();
        let asked = Asked {
            seat,
            call: call.clone(),
            timeout,
        };
        self.calls.insert(ticket, asked);
        match (&call, bond) {
            (Call::Read, _) => self.read(now, ticket, seat),
            (
                Call::MarkVacant
                | Call::Acquire { .. }
                | Call::Restore(_)
                | Call::Release { .. }
                | Call::HandOver { .. }
                | Call::Register(_)
                | Call::Unregister(_)
                | Call::DropRequest { .. }
                | Call::LetGo { .. },
                _,
            ) => self.changes.push_back(ticket),
            (Call::DestroySession(session) | Call::Depose(session), _)
                if self.pool.has_ended(session) =>
            {
                self.answers.push((ticket, Ok(Answer::Done)));
            }
            (Call::DestroySession(session), Some(_)) if self.pool.has_left(seat, session) => {
                self.answers.push((ticket, Ok(Answer::Done)));
            }
            (Call::DestroySession(session), Some(_)) => {
                let session = session.clone();
                if self.pool.ends_with(seat, &session) || !self.keeps(Rule::OneGroupEndsNoOther) {
                    self.joint.ask(ticket, seat, bond, call, timeout);
                } else if self.pool.has_left_cleanly(seat, &session) {
                    self.has_left(seat, &session);
                    self.answers.push((ticket, Ok(Answer::Done)));
                } else {
                    self.leave(seat, session, Some(ticket), timeout);
                }
            }
            (Call::CreateSession { liveness, .. }, Some(bond)) => {
                let returns = !self.keeps(Rule::LeftSessionIsNotReturned);
                if let Some(session) = self.pool.current(seat, bond, *liveness, returns) {
                    self.answers.push((ticket, Ok(Answer::Created(session))));
                } else if let Some(failure) = self.refusal(now, bond) {
                    self.answers.push((ticket, Err(failure)));
                } else {
                    self.joint.ask(ticket, seat, Some(bond), call, timeout);
                }
            }
            (Call::RenewSession(session), _) => match self.pool.renewed(now, session, timeout) {
                Some(result) => self.answers.push((ticket, result)),
                None => self.joint.ask(ticket, seat, bond, call, timeout),
            },
            (Call::RegisterService { leads }, Some(of)) => {
                match self.services.entry(of).or_default().tell(seat, *leads) {
                    Some(leads) => {
                        let call = Call::RegisterService { leads };
                        self.joint.ask(ticket, seat, bond, call, timeout);
                    }
                    None => self.answers.push((ticket, Ok(Answer::Done))),
                }
            }
            (Call::Feed, Some(of)) => {
                if self.services.entry(of).or_default().is_fed(now, timeout) {
                    self.answers.push((ticket, Ok(Answer::Done)));
                } else {
                    self.joint.ask(ticket, seat, bond, call, timeout);
                }
            }
            (Call::DeregisterService, Some(of)) => {
                match self.services.entry(of).or_default().needs_no(seat) {
                    Some(call) => self.joint.ask(ticket, seat, bond, call, timeout),
                    None => self.answers.push((ticket, Ok(Answer::Done))),
                }
            }
            (Call::SessionLockDelay(holder), _) => {
                // A watch has shown who has the key.
                self.leave_strange(seat, holder.clone(), timeout);
                self.joint.ask(ticket, seat, bond, call, timeout);
            }
            (
                Call::FindSession { .. }
                | Call::Depose(_)
                | Call::Watch { .. }
                | Call::WatchThroughLeader { .. }
                | Call::WatchGroup { .. },
                _,
            )
            | (_, None) => self.joint.ask(ticket, seat, bond, call, timeout),
        }
        ticket
    }

    /// Takes in that nobody waits for an answer any more. What has been sent may still take effect; what has
    /// not is not sent.
    pub fn forget(&mut self, ticket: Ticket) {
        self.calls.remove(&ticket);
    }

    /// Returns the next request to send, as long as there is one. Whatever is asked for at one instant should have
    /// been asked for before.
    pub fn next_errand(&mut self) -> Option<Errand> {
        let under_way =
            |kind: fn(&Kind) -> bool| self.under_way.values().filter(|it| kind(it)).count();
        let reads = under_way(|kind| matches!(kind, Kind::Read(_)));
        let changes = under_way(|kind| matches!(kind, Kind::Change(_)));
        let others = under_way(|kind| matches!(kind, Kind::One));
        if reads < READS
            && let Some(errand) = self.next_reads()
        {
            return Some(errand);
        }
        if changes < CHANGES
            && let Some(errand) = self.next_changes()
        {
            return Some(errand);
        }
        if others < OTHERS {
            let id = ErrandId(self.number());
            let calls = &self.calls;
            let (seat, call, timeout) =
                self.joint.next(id, |ticket| calls.contains_key(&ticket))?;
            self.under_way.insert(id, Kind::One);
            let what = What::One(seat, call);
            return Some(Errand { id, timeout, what });
        }
        None
    }

    /// Takes in what came of a request: as many results as it had groups.
    pub fn done(&mut self, now: Timestamp, id: ErrandId, results: Vec<Result<Answer, Failure>>) {
        match self.under_way.remove(&id) {
            Some(Kind::Read(tickets) | Kind::Change(tickets)) => {
                for (ticket, result) in tickets.into_iter().zip(results) {
                    self.completed(now, ticket, result);
                }
            }
            Some(Kind::One) => {
                let (Some(result), Some(joint)) = (results.into_iter().next(), self.joint.done(id))
                else {
                    return;
                };
                self.learn(now, &joint.call, joint.bond, &joint.tickets, &result);
                for ticket in joint.tickets {
                    self.answer(ticket, result.clone());
                }
            }
            None => {}
        }
    }

    /// Takes out the answers that have come. Where nobody waits any more, there is none.
    pub fn answers(&mut self) -> Vec<(Ticket, Result<Answer, Failure>)> {
        for (ticket, _) in &self.answers {
            self.calls.remove(ticket);
        }
        std::mem::take(&mut self.answers)
    }

    fn read(&mut self, now: Timestamp, ticket: Ticket, seat: Seat) {
        if !self.keeps(Rule::ReadAnswersEarlierCalls)
            && let Some((at, old)) = self.old.get(&seat)
            && now.since(*at) < Duration::from_secs(1)
        {
            self.answers.push((ticket, old.clone()));
            return;
        }
        self.reads.push_back(ticket);
    }

    fn next_reads(&mut self) -> Option<Errand> {
        let (mut tickets, mut seats, mut timeout) = (Vec::new(), Vec::new(), Duration::ZERO);
        while seats.len() < OPERATIONS
            && let Some(ticket) = self.reads.pop_front()
        {
            let Some(asked) = self.calls.get(&ticket) else {
                continue;
            };
            timeout = timeout.max(asked.timeout);
            seats.push(asked.seat);
            tickets.push(ticket);
        }
        let what = What::Read(seats);
        (!tickets.is_empty()).then(|| self.send(Kind::Read(tickets), timeout, what))
    }

    fn next_changes(&mut self) -> Option<Errand> {
        let (mut tickets, mut calls, mut timeout) = (Vec::new(), Vec::new(), Duration::ZERO);
        let mut operations = 0;
        while let Some(ticket) = self.changes.front() {
            let Some(asked) = self.calls.get(ticket) else {
                self.changes.pop_front();
                continue;
            };
            operations += asked.call.operations();
            // Two changes of one group in one transaction would be refused together.
            let twice = calls.iter().any(|(seat, _)| *seat == asked.seat);
            if operations > OPERATIONS || twice {
                break;
            }
            timeout = timeout.max(asked.timeout);
            calls.push((asked.seat, asked.call.clone()));
            tickets.extend(self.changes.pop_front());
        }
        let what = What::Change(calls);
        (!tickets.is_empty()).then(|| self.send(Kind::Change(tickets), timeout, what))
    }

    fn send(&mut self, kind: Kind, timeout: Duration, what: What) -> Errand {
        let id = ErrandId(self.number());
        self.under_way.insert(id, kind);
        Errand { id, timeout, what }
    }

    fn completed(&mut self, now: Timestamp, ticket: Ticket, result: Result<Answer, Failure>) {
        if let Some(leaving) = self.leavings.take(ticket) {
            self.calls.remove(&ticket);
            return self.go_on_leaving(now, leaving, result);
        }
        let Some(asked) = self.calls.get(&ticket) else {
            return;
        };
        let seat = asked.seat;
        match (&asked.call, &result) {
            (Call::Read, Ok(Answer::Key(read))) => {
                let holder = read.entry.as_ref().and_then(|entry| entry.session.clone());
                let timeout = asked.timeout;
                if !self.keeps(Rule::ReadAnswersEarlierCalls) {
                    self.old.insert(seat, (now, result.clone()));
                }
                if let Some(holder) = holder {
                    self.leave_strange(seat, holder, timeout);
                }
            }
            (Call::Register(_), Err(failure)) if failure.kind == FailureKind::Held => {
                let timeout = asked.timeout;
                // Nobody but this host writes the entry: before, or very late, with a session that others keep alive.
                if let Some(session) = self.pool.others(seat) {
                    self.leave(seat, session, None, timeout);
                }
            }
            (
                Call::Release {
                    session,
                    registered: true,
                }
                | Call::HandOver {
                    session,
                    registered: true,
                    ..
                },
                Ok(_),
            ) => {
                let session = session.clone();
                self.pool.leaves_cleanly(seat, session);
            }
            (_, _) => {}
        }
        self.answer(ticket, result);
    }

    fn answer(&mut self, ticket: Ticket, result: Result<Answer, Failure>) {
        if self.calls.contains_key(&ticket) {
            self.answers.push((ticket, result));
        }
    }

    fn keeps(&self, rule: Rule) -> bool {
        self.broken != Some(rule)
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }
}
