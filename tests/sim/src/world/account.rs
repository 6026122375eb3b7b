//! Pure: what is made of a command that has come through the log: whose session was made, what one died of,
//! and what is counted.

use std::rc::Rc;
use std::time::Duration;

use vip_elector::election::call::{Call, SessionId};
use vip_elector::election::lease::Terms;

use super::{Event, World};
use crate::invariants::{Cause, Violation};
use crate::request::{self, LIVE, Request};
use crate::schedule::TTL;
use crate::store::{Command, Health};

/// How often a daemon that is well passes its liveness check at least, where that matters.
const FEED_INTERVAL: Duration = Duration::from_millis(400);

/// How much later than it should a daemon that is well, and whose messages are not held up, does something.
const PROMPT: Duration = Duration::from_millis(50);

impl World<'_> {
    /// What a session that held the lock dies of.
    pub(super) fn cause(
        &self,
        command: &Command,
        request: Option<&Request>,
        holder: &SessionId,
    ) -> Cause {
        let owner = self.invariants.owner(holder);
        match (command, request) {
            (Command::DestroySession(_), None) => self.invariants.forgotten(holder, self.now),
            (
                Command::DestroySession(_),
                Some(Request {
                    call: Call::Depose(_),
                    word: Some(word),
                    plan,
                    ..
                }),
            ) => {
                let interval = plan.peer_interval.unwrap_or_default();
                Cause::silence(*word, interval + PROMPT)
            }
            (Command::SetCheck { check, .. }, _) if check == LIVE => {
                let Some(host) = owner else {
                    return Cause::Other;
                };
                match self.nodes[host].service {
                    // Nothing that it sent was lost.
                    Some(service) if service.passed == self.hosts[host].fed => {
                        let terms = Terms::managed(self.hosts[host].plan.lock_delay, TTL);
                        let well = FEED_INTERVAL + terms.confirm_interval() + PROMPT;
                        Cause::silence(service.passed, well)
                    }
                    Some(_) | None => Cause::Other,
                }
            }
            _ => Cause::Other,
        }
    }

    /// Counts what has come through the log; `ended` where it has ended a session that lived.
    pub(super) fn count(&mut self, request: &Request, done: bool, ended: bool) {
        match (&request.call, done) {
            (Call::HandOver { request: wish, .. }, true) => {
                self.tally.saw("handovers");
                if wish.is_some() {
                    self.tally.saw("switchovers");
                }
            }
            (Call::HandOver { .. }, false) => self.tally.saw("handovers refused"),
            (Call::Release { .. }, true) => self.tally.saw("releases"),
            (Call::Register(_), true) => self.tally.saw("candidates registered"),
            (Call::DropRequest { .. }, true) => self.tally.saw("switchover requests dropped"),
            (Call::Depose(_), true) if ended => {
                self.tally.saw("deposes");
                self.deposes += 1;
                if self
                    .schedule
                    .deposes()
                    .is_some_and(|most| self.deposes > most)
                {
                    self.violation = Some(Violation::WrongDepose(self.deposes));
                }
            }
            _ => {}
        }
    }

    /// Whether the client asks once more for a session, because the catalog does not know of its liveness
    /// check yet, or not yet that it passes.
    pub(super) fn asks_again(&mut self, leader: usize, request: &Rc<Request>) -> bool {
        let Call::CreateSession { liveness: true, .. } = request.call else {
            return false;
        };
        let known = self.cluster.servers[leader]
            .store
            .check(&request::node(request.host), LIVE);
        let again = Duration::from_millis(20);
        let over = self.now + 2 * again > request.times_out;
        if known == Some(Health::Passing) || over || !self.waits(request) {
            return false;
        }
        if known == Some(Health::Critical) {
            self.pass(request);
        }
        self.bound(request);
        self.after(again, Event::Arrive(Rc::clone(request)));
        true
    }

    /// Whether the process that sent a request still wants an answer.
    fn waits(&self, request: &Request) -> bool {
        let process = self.hosts[request.host].process.as_ref();
        process.is_some_and(|process| {
            process.number == request.process && process.pending.contains_key(&request.op)
        })
    }

    /// Keeps account of whose sessions there are.
    pub(super) fn made(&mut self, leader: usize, id: &SessionId, request: &Rc<Request>) {
        let waits = self.waits(request);
        let doubled = request.carried_out.get();
        let orphan = !waits || doubled || self.now >= request.times_out;
        if orphan {
            self.tally.saw("sessions nobody waited for");
        }
        self.invariants.made(id, request, orphan);
        let live = self.cluster.servers[leader].store.sessions();
        if let Some(violation) = self.invariants.sessions(id, live.map(|(id, _)| id)) {
            self.violation = Some(violation);
        }
    }
}
