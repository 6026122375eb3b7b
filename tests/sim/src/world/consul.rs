//! Pure: what a daemon asks, from the daemon to Consul and back.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use vip_elector::election::call::{Answer, Call, Failure, FailureKind, OpId, SessionId};
use vip_elector::election::status::Phase;

use super::{Event, World};
use crate::process::Process;
use crate::raft::SERVERS;
use crate::request::{self, KEY, Request, failure};
use crate::schedule::TTL;
use crate::trace::Who;

impl World<'_> {
    /// Sends a request on its way.
    pub(super) fn send(&mut self, host: usize, op: OpId, call: Call, timeout: Duration) {
        let times_out = self.now + self.hosts[host].clock.lasts(timeout);
        if let Call::RegisterService { .. } | Call::Feed = call {
            self.hosts[host].fed = self.now;
        }
        let Some(process) = &mut self.hosts[host].process else {
            return;
        };
        let word = if let Call::Depose(leader) = &call {
            process.last_word_of(leader)
        } else {
            None
        };
        let request = Rc::new(Request {
            host,
            process: process.number,
            plan: process.plan,
            op,
            call,
            sent: self.now,
            times_out,
            word,
            bounded: Cell::new(false),
            carried_out: Cell::new(false),
        });
        process.pending.insert(op, Rc::clone(&request));
        if !self.network.asks(host) {
            self.bound(&request);
            return;
        }
        match self.network.transit(&mut self.draw) {
            Some(transit) => self.after(transit, Event::Arrive(Rc::clone(&request))),
            None => self.bound(&request),
        }
        if self.network.doubled(&mut self.draw)
            && let Some(transit) = self.network.transit(&mut self.draw)
        {
            self.after(transit, Event::Arrive(request));
        }
    }

    /// Sees to it that the daemon waits no longer than it wants to.
    pub(super) fn bound(&mut self, request: &Rc<Request>) {
        if !request.bounded.replace(true) {
            let at = request.times_out.max(self.now);
            self.at(at, Event::Timeout(Rc::clone(request)));
        }
    }

    /// A request is at its host's agent.
    pub(super) fn arrive(&mut self, request: Rc<Request>) {
        let node = request.host;
        if self.nodes[node].down > 0 {
            self.refuse(&request);
        } else if self.nodes[node].frozen > 0 {
            self.bound(&request);
            self.nodes[node].held.push(request);
        } else if Self::is_denied(&request) {
            let refused = Err(failure(FailureKind::Denied));
            self.answer(node, &request, refused, Duration::ZERO);
        } else if let Call::Watch { index } | Call::WatchGroup { index: index @ 1.. } = request.call
        {
            self.watch(request, index);
        } else if let Call::RegisterService { .. } | Call::Feed | Call::DeregisterService =
            request.call
        {
            self.serve(&request);
        } else {
            self.forward(request);
        }
    }

    /// Passes a request on to whom the agent takes for the leader.
    fn forward(&mut self, request: Rc<Request>) {
        let node = request.host;
        let Some(server) = self.leader_for(node) else {
            if self.draw.bool() {
                self.refuse(&request);
            } else {
                self.bound(&request);
            }
            return;
        };
        if self.nodes[server].frozen > 0 {
            self.bound(&request);
            self.nodes[server].held.push(request);
            return;
        }
        let leads = self.cluster.leader == Some(server);
        let reading = &self.cluster.servers[server].store;
        match &request.call {
            Call::Read | Call::FindSession { .. } | Call::SessionLockDelay(_)
                if !leads || !self.quorum(server) =>
            {
                self.bound(&request);
            }
            Call::Read => {
                let read = reading.read(KEY);
                self.answer(server, &request, Ok(Answer::Key(read)), Duration::ZERO);
            }
            Call::FindSession { name, id: wanted } => {
                let found = reading.sessions().find(|(id, session)| {
                    session.name == *name && wanted.as_ref().is_none_or(|wanted| wanted == *id)
                });
                let found = found.map(|(id, _)| id.clone());
                self.answer(server, &request, Ok(Answer::Found(found)), Duration::ZERO);
            }
            Call::SessionLockDelay(id) => {
                let lock_delay = reading.session(id).map(|session| session.lock_delay);
                let answer = Ok(Answer::LockDelay(lock_delay));
                self.answer(server, &request, answer, Duration::ZERO);
            }
            Call::RenewSession(id) => {
                let renewed = self.renew(server, id, &request);
                if renewed.is_ok() && !leads {
                    self.tally.saw("renewals by a deposed leader");
                }
                let answer = renewed.map(|()| Answer::Done).map_err(failure);
                self.answer(server, &request, answer, Duration::ZERO);
            }
            Call::WatchThroughLeader { index } | Call::WatchGroup { index } => {
                self.watch_at(server, Rc::clone(&request), *index)
            }
            Call::Watch { .. }
            | Call::RegisterService { .. }
            | Call::Feed
            | Call::DeregisterService
            | Call::CreateSession { .. }
            | Call::DestroySession(_)
            | Call::MarkVacant
            | Call::Acquire { .. }
            | Call::Restore(_)
            | Call::Release { .. }
            | Call::HandOver { .. }
            | Call::Register(_)
            | Call::Unregister(_)
            | Call::DropRequest { .. }
            | Call::LetGo { .. }
            | Call::Depose(_) => {
                let id = self.number();
                if let Some(command) = request::command(&request, TTL, id) {
                    self.propose(server, command, Some(request));
                }
            }
        }
    }

    /// Whom a node takes for the raft leader, if it reaches one.
    pub(super) fn leader_for(&mut self, node: usize) -> Option<usize> {
        let leader = self
            .cluster
            .leader
            .filter(|leader| self.nodes[*leader].down == 0 && self.network.passes(node, *leader));
        let deposed = (0..SERVERS).find(|server| {
            Some(*server) != self.cluster.leader
                && self.cluster.servers[*server].believes_until > self.now
                && self.nodes[*server].down == 0
                && self.network.passes(node, *server)
        });
        match (leader, deposed) {
            (leader, None) => leader,
            (None, deposed) => deposed,
            (Some(_), Some(deposed)) if deposed == node || self.draw.u8(..3) == 0 => Some(deposed),
            (leader, Some(_)) => leader,
        }
    }

    /// The agent says at once that it cannot help, or nobody answers the door.
    pub(super) fn refuse(&mut self, request: &Rc<Request>) {
        let pause = self.millis(0, 8);
        let answer = Err(failure(FailureKind::Unavailable));
        self.answer(request.host, request, answer, pause);
    }

    /// Sends an answer back from a server, `pause` later.
    pub(super) fn answer(
        &mut self,
        server: usize,
        request: &Rc<Request>,
        result: Result<Answer, Failure>,
        pause: Duration,
    ) {
        let node = request.host;
        if !self.network.passes(server, node) || !self.network.hears(node) {
            self.bound(request);
            return;
        }
        let Some(transit) = self.network.transit(&mut self.draw) else {
            // Lost for good, or a connection that breaks: the daemon learns that much.
            if self.draw.u8(..3) == 0 {
                let reset = Err(failure(FailureKind::Unavailable));
                let event = Event::Reply(Rc::clone(request), Box::new(reset));
                self.after(pause + Duration::from_millis(1), event);
            } else {
                self.bound(request);
            }
            return;
        };
        if self.network.doubled(&mut self.draw)
            && let Some(again) = self.network.transit(&mut self.draw)
        {
            let event = Event::Reply(Rc::clone(request), Box::new(result.clone()));
            self.after(pause + again, event);
        }
        let at = self.now + pause + transit;
        if at > request.times_out {
            self.bound(request);
        }
        self.at(at, Event::Reply(Rc::clone(request), Box::new(result)));
    }

    /// An answer is there. One that the daemon no longer waits for is handed to the machine too.
    pub(super) fn reply(&mut self, request: &Rc<Request>, result: Result<Answer, Failure>) {
        let host = request.host;
        let it = &mut self.hosts[host];
        let Some(process) = &mut it.process else {
            return;
        };
        if process.number != request.process || process.task.ending {
            return;
        }
        if awaits(process, request) {
            process.pending.remove(&request.op);
            if let Ok(Answer::Created(id) | Answer::Found(Some(id))) = &result {
                let newest = self.cluster.leader.unwrap_or_default();
                let store = &self.cluster.servers[newest].store;
                let live = |id: &SessionId| store.session(id).is_some();
                self.invariants.taken_up(id, request.process, live);
            }
        } else {
            self.tally.saw("late or doubled answers");
        }
        let proof = match (&request.call, &result) {
            (Call::Acquire { .. }, Ok(_)) => true,
            (Call::Read, Ok(Answer::Key(read))) => read
                .entry
                .as_ref()
                .and_then(|entry| entry.session.as_ref())
                .is_some_and(|session| self.invariants.owner(session) == Some(host)),
            _ => false,
        };
        if proof {
            self.invariants
                .proven(host, request.sent, request.plan.lock_delay);
        }
        if let Err(refused) = &result
            && refused.kind == FailureKind::LockDelayed
        {
            self.tally.saw("acquires refused by lock-delay");
        }
        if let Ok(Answer::LockDelay(Some(lock_delay))) = &result
            && listens(process, request.op)
        {
            it.told = it.told.max(*lock_delay);
        }
        self.trace.say(self.now, Who::Host(host), || {
            format!(
                "answer to {} (sent {:.4}): {}",
                shown(&request.call),
                request.sent.as_secs_f64(),
                shown_result(&result)
            )
        });
        process.inbox.push_back((request.op, result));
        self.pump(host);
    }

    /// A daemon waits no longer.
    pub(super) fn time_out(&mut self, request: &Rc<Request>) {
        let host = request.host;
        let Some(process) = &mut self.hosts[host].process else {
            return;
        };
        // What is frozen looks at the time when it thaws.
        if process.number != request.process || process.frozen > 0 {
            return;
        }
        if awaits(process, request) {
            process.pending.remove(&request.op);
            self.trace.say(self.now, Who::Host(host), || {
                format!("no answer to {}", shown(&request.call))
            });
            let timeout = Err(failure(FailureKind::Unavailable));
            process.inbox.push_back((request.op, timeout));
            self.pump(host);
        }
    }
}

/// Whether the standby that has asked for a lock-delay is still there to hear it.
fn listens(process: &Process, op: OpId) -> bool {
    let status = process.machine.status();
    status.phase == Phase::Standby && process.asking.as_ref() == Some(&(op, status.session))
}

fn awaits(process: &Process, request: &Rc<Request>) -> bool {
    let pending = process.pending.get(&request.op);
    pending.is_some_and(|pending| Rc::ptr_eq(pending, request))
}

/// A call in a trace.
pub(super) fn shown(call: &Call) -> String {
    format!("{call:?}")
}

fn shown_result(result: &Result<Answer, Failure>) -> String {
    match result {
        Ok(Answer::Key(read)) => match &read.entry {
            None => format!("no key, index {}", read.index),
            Some(entry) => format!(
                "{:?} of {} at {}",
                String::from_utf8_lossy(entry.value.as_deref().unwrap_or_default()),
                entry
                    .session
                    .as_ref()
                    .map_or("nobody", |session| session.as_str()),
                entry.modify_index
            ),
        },
        Ok(answer) => format!("{answer:?}"),
        Err(failure) => format!("{:?}", failure.kind),
    }
}
