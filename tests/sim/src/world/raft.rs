//! Pure: what Consul's servers do among themselves.

use std::rc::Rc;
use std::time::Duration;

use vip_elector::election::call::{FailureKind, SessionId};
use vip_elector::election::time::Timestamp;

use super::catalog::set_check;
use super::{Event, World};
use crate::raft::{Proposal, SERVERS};
use crate::request::{self, CHECK, KEY, Request, SERF, failure};
use crate::store::{Command, Health, Timers};
use crate::trace::Who;

impl World<'_> {
    /// Three servers that know all nodes and their checks.
    pub(super) fn found_cluster(&mut self) {
        for host in 0..self.hosts.len() {
            for check in [SERF, CHECK] {
                let command = set_check(host, check, Health::Passing);
                self.cluster.log.push(command);
            }
        }
        let upto = self.cluster.log.len();
        for server in &mut self.cluster.servers {
            server.catch_up(self.now, &self.cluster.log, upto);
        }
    }

    /// Whether a server reaches a majority of all, itself among them.
    pub(super) fn quorum(&self, server: usize) -> bool {
        self.serves(server)
            && (0..SERVERS).any(|other| {
                other != server && self.serves(other) && self.network.joined(server, other)
            })
    }

    pub(super) fn serves(&self, server: usize) -> bool {
        self.nodes[server].down == 0 && self.nodes[server].frozen == 0
    }

    /// A leader, or who takes itself for it, is asked to do something.
    pub(super) fn propose(
        &mut self,
        server: usize,
        command: Command,
        request: Option<Rc<Request>>,
    ) {
        let at = self.cluster.servers[server].clock_reads(self.now);
        if let Err(kind) = self.cluster.servers[server].store.admit(at, &command) {
            if let Some(request) = request {
                let pause = Duration::ZERO;
                self.answer(server, &request, Err(failure(kind)), pause);
            }
            return;
        }
        let taken = match self.draw.u8(..16) {
            0 => self.millis(1, 30),
            _ => Duration::from_micros(self.draw.u64(300..2_500)),
        };
        let commit = self.cluster.last_commit.max(self.now + taken);
        self.cluster.last_commit = commit;
        let proposal = Proposal {
            server,
            term: self.cluster.term,
            command,
            request,
        };
        self.at(commit, Event::Commit(Box::new(proposal)));
    }

    /// A command has had the time to reach a majority.
    pub(super) fn commit(&mut self, proposal: Proposal) {
        let server = proposal.server;
        let leads = self.cluster.leader == Some(server) && self.cluster.term == proposal.term;
        if leads && self.quorum(server) {
            self.carry_out(proposal);
            return;
        }
        if let Some(request) = &proposal.request {
            self.bound(request);
        }
        self.cluster.limbo.push(proposal);
    }

    fn carry_out(&mut self, proposal: Proposal) {
        let Some(leader) = self.cluster.leader else {
            return;
        };
        let Proposal {
            command, request, ..
        } = proposal;
        self.cluster.log.push(command.clone());
        let upto = self.cluster.log.len();
        let server = &mut self.cluster.servers[leader];
        let held = server.store.read(KEY).entry.and_then(|entry| entry.session);
        let ended = if let Command::DestroySession(id) = &command {
            server.store.session(id).is_some()
        } else {
            false
        };
        let reply = server.catch_up(self.now, &self.cluster.log, upto);
        let died = held.filter(|holder| server.store.session(holder).is_none());
        if let Some(holder) = died {
            let cause = self.cause(&command, request.as_deref(), &holder);
            self.invariants.died(self.now, &holder, cause);
        }
        let reply = reply.unwrap_or(Err(FailureKind::Unavailable));
        if let Some(request) = request.as_deref() {
            self.count(request, reply.is_ok(), ended);
        }
        self.trace.say(self.now, Who::Consul, || {
            format!(
                "{upto} {}: {}",
                shown(&command),
                match &reply {
                    Ok(_) => "done".to_owned(),
                    Err(kind) => format!("{kind:?}"),
                }
            )
        });
        if let (Command::CreateSession { id, session }, Ok(_), Some(request)) =
            (&command, &reply, &request)
        {
            let local = self.cluster.servers[leader].clock_reads(self.now);
            self.cluster.servers[leader]
                .timers
                .arm(local, id, session.ttl, &mut self.draw);
            self.mind_ttl(leader);
            self.made(leader, id, request);
        }
        self.wake_watches(leader, false);
        for server in (0..SERVERS).filter(|server| *server != leader) {
            self.replicate(leader, server);
        }
        if let Some(request) = request {
            if reply.is_err() && self.asks_again(leader, &request) {
                return;
            }
            request.carried_out.set(true);
            let result = request::answer(&command, reply);
            self.answer(leader, &request, result, Duration::ZERO);
        }
    }

    /// A leader, or who takes itself for it, lengthens a session's life.
    pub(super) fn renew(
        &mut self,
        server: usize,
        id: &SessionId,
        request: &Request,
    ) -> Result<(), FailureKind> {
        let leads = self.cluster.leader == Some(server);
        let it = &mut self.cluster.servers[server];
        let local = it.clock.read(self.now).since_boot();
        it.timers.renew(local, &it.store, id, &mut self.draw)?;
        if leads {
            self.mind_ttl(server);
            let store = &self.cluster.servers[server].store;
            let live = |id: &SessionId| store.session(id).is_some();
            self.invariants.taken_up(id, request.process, live);
            self.invariants.renewed(id, request.sent);
            let live = self.cluster.servers[server].store.sessions();
            if let Some(violation) = self.invariants.sessions(id, live.map(|(id, _)| id)) {
                self.violation = Some(violation);
            }
        }
        Ok(())
    }

    /// Looks at the TTLs when the next is over.
    pub(super) fn mind_ttl(&mut self, server: usize) {
        let it = &mut self.cluster.servers[server];
        let Some(next) = it.timers.next() else { return };
        let at = it.clock.when(Timestamp::from_boot(next)).max(self.now);
        if it.ttl_wake.is_none_or(|wake| at < wake) {
            it.ttl_wake = Some(at);
            self.at(at, Event::Ttl { server });
        }
    }

    pub(super) fn ttl(&mut self, server: usize) {
        let it = &mut self.cluster.servers[server];
        if it.ttl_wake != Some(self.now) {
            return;
        }
        it.ttl_wake = None;
        if self.cluster.leader != Some(server) || !self.serves(server) {
            return;
        }
        let it = &mut self.cluster.servers[server];
        let local = it.clock_reads(self.now);
        for id in it.timers.expired(local) {
            if self.cluster.servers[server].store.session(&id).is_some() {
                self.tally.saw("sessions ended by ttl");
                self.propose(server, Command::DestroySession(id), None);
            }
        }
        self.mind_ttl(server);
    }

    /// Tells a server what is committed, if it can be told.
    fn replicate(&mut self, leader: usize, server: usize) {
        let upto = self.cluster.log.len();
        if self.cluster.servers[server].applied >= upto || !self.network.passes(leader, server) {
            return;
        }
        let lag = if self.cluster.servers[server].lags > 0 {
            self.millis(200, 4_000)
        } else {
            match self.draw.u8(..16) {
                0 => self.millis(5, 300),
                _ => Duration::from_micros(self.draw.u64(200..20_000)),
            }
        };
        self.after(lag, Event::Apply { server, upto });
    }

    pub(super) fn apply(&mut self, server: usize, upto: usize) {
        if !self.serves(server) || self.cluster.leader == Some(server) {
            return;
        }
        if self.cluster.servers[server].applied < upto {
            self.cluster.servers[server].catch_up(self.now, &self.cluster.log, upto);
            self.wake_watches(server, false);
        }
    }

    /// After every change of who reaches whom.
    pub(super) fn rewired(&mut self) {
        match self.cluster.leader {
            Some(leader) if self.quorum(leader) => {
                self.settle_limbo();
                for server in 0..SERVERS {
                    if server != leader && self.serves(server) {
                        self.replicate(leader, server);
                    }
                }
            }
            Some(_) | None if !self.cluster.electing => {
                self.cluster.electing = true;
                let pause = self.millis(1_000, 4_000);
                self.after(pause, Event::Elect);
            }
            Some(_) | None => {}
        }
        for node in 0..self.hosts.len() {
            self.gossip_about(node);
        }
    }

    pub(super) fn elect(&mut self) {
        self.cluster.electing = false;
        if self
            .cluster
            .leader
            .is_some_and(|leader| self.quorum(leader))
            && self.draw.bool()
        {
            // The old one was back in time.
            return;
        }
        let first = self.draw.usize(..SERVERS);
        let candidate = (first..first + SERVERS)
            .map(|server| server % SERVERS)
            .find(|server| self.quorum(*server));
        match candidate {
            Some(server) => self.lead(server),
            None => {
                self.cluster.electing = true;
                let pause = self.millis(1_000, 2_000);
                self.after(pause, Event::Elect);
            }
        }
    }

    /// Makes a server the leader. It has the whole log, and counts every TTL anew.
    pub(super) fn lead(&mut self, server: usize) {
        if let Some(old) = self.cluster.leader.filter(|old| *old != server) {
            let doubt = self.millis(0, 1_500);
            self.cluster.servers[old].believes_until = self.now + doubt;
        }
        self.tally.saw("raft leader changes");
        self.trace.say(self.now, Who::Consul, || {
            format!("server{server} is the new raft leader")
        });
        self.cluster.leader = Some(server);
        self.cluster.term += 1;
        let upto = self.cluster.log.len();
        let it = &mut self.cluster.servers[server];
        it.catch_up(self.now, &self.cluster.log, upto);
        it.believes_until = Duration::ZERO;
        let local = it.clock_reads(self.now);
        it.timers = Timers::take_over(local, &it.store, &mut self.draw);
        it.ttl_wake = None;
        self.wake_watches(server, false);
        self.mind_ttl(server);
        self.rewired();
        for node in 0..self.hosts.len() {
            let pause = self.millis(100, 1_000);
            self.after(pause, Event::AntiEntropy { node });
            // What its predecessor had noted may be lost.
            self.nodes[node].gossiping = false;
            self.nodes[node].alive = None;
            self.gossip_about(node);
        }
    }

    /// What a leader took and could not pass on may be carried out yet, or never.
    fn settle_limbo(&mut self) {
        for proposal in std::mem::take(&mut self.cluster.limbo) {
            // What a leader wants itself it goes on trying.
            if proposal.request.is_none() || self.draw.bool() {
                self.tally.saw("commands carried out late");
                self.carry_out(proposal);
            }
        }
    }

    /// Somebody who is no part of the game asks the leader for something.
    pub(super) fn by_hand(&mut self, command: Command) {
        if let Some(leader) = self.cluster.leader.filter(|leader| self.quorum(*leader)) {
            self.propose(leader, command, None);
        }
    }
}

/// A command in a trace.
fn shown(command: &Command) -> String {
    match command {
        Command::CreateSession { id, session } => format!("create session {id} {:?}", session.name),
        Command::DestroySession(id) => format!("destroy session {id}"),
        Command::SetCheck {
            node,
            check,
            health,
        } => format!("{check} of {node} is {health:?}"),
        Command::RegisterNode(_)
        | Command::DeregisterNode(_)
        | Command::DeregisterCheck { .. }
        | Command::Put(_)
        | Command::Delete(_)
        | Command::Txn(_) => format!("{command:?}"),
    }
}
