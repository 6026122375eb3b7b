//! Pure: how each fault begins and ends.

use std::rc::Rc;
use std::time::Duration;

use vip_elector::election::call::LOCK_FLAG;

use super::{Event, World};
use crate::fault::{Fault, Target};
use crate::group;
use crate::invariants::TIDYING;
use crate::raft::SERVERS;
use crate::request::{self, KEY};
use crate::store::{Command, Write};
use crate::trace::Who;

impl World<'_> {
    /// A fault begins.
    pub(super) fn strike(&mut self, number: usize) {
        let fault = self.schedule.faults[number].fault;
        let hosts = self.hosts.len();
        let host = match fault.whom() {
            Some(Target::Host(host)) => host,
            Some(Target::Leader) => self.holder().unwrap_or_else(|| self.draw.usize(..hosts)),
            None => self.cluster.leader.unwrap_or_default(),
        };
        self.victims[number] = host;
        self.tally.fault(fault.kind());
        self.trace.say(self.now, Who::Fate, || {
            format!("{number}: {fault} (host{host})")
        });
        self.vacate(host, &fault);
        match fault {
            Fault::Kill { .. } => self.die(host),
            Fault::Freeze { .. } => self.freeze(host),
            Fault::FreezeBoth { .. } => {
                self.freeze(host);
                self.nodes[host].frozen += 1;
            }
            Fault::FreezeServer { .. } | Fault::FreezeRaftLeader => self.nodes[host].frozen += 1,
            Fault::Crash { .. } => {
                self.die(host);
                self.hosts[host].off += 1;
                self.hosts[host].kernel.remove();
                self.take_down(host, false);
            }
            Fault::Stop { .. } | Fault::Reconfigure { .. } => self.ask_to_stop(host),
            Fault::CutAgent { ways, .. } => self.network.cut_local(host, ways, false),
            Fault::Isolate { ways, .. } => {
                for other in 0..self.nodes.len() {
                    self.network.cut(host, other, ways, false);
                }
            }
            Fault::CutPair { with, ways, .. } => self.network.cut(host, with, ways, false),
            Fault::Weather(weather) => self.network.weather(number, Some(weather)),
            Fault::RestartAgent { leave, .. } => {
                if leave {
                    self.by_hand(Command::DeregisterNode(request::node(host)));
                    self.nodes[host].alive = None;
                }
                self.take_down(host, true);
            }
            Fault::ChangeRaftLeader => {
                let first = self.draw.usize(..SERVERS);
                let other = (first..first + SERVERS)
                    .map(|server| server % SERVERS)
                    .find(|server| *server != host && self.quorum(*server));
                if let Some(server) = other {
                    self.lead(server);
                }
            }
            Fault::FlapCheck { .. } => {
                self.hosts[host].critical += 1;
                self.anti_entropy(host);
            }
            Fault::Lag { .. } => {
                if let Some(server) = self.cluster.servers.get_mut(host) {
                    server.lags += 1;
                }
            }
            Fault::DeleteKey => self.delete_key(),
            Fault::DestroySession => {
                if let Some(leader) = self.cluster.leader {
                    let read = self.cluster.servers[leader].store.read(KEY);
                    if let Some(session) = read.entry.and_then(|entry| entry.session) {
                        self.by_hand(Command::DestroySession(session));
                    }
                }
            }
            Fault::Overwrite => self.by_hand(Command::Put(written(0))),
            Fault::WriteValue => {
                self.delete_key();
                self.by_hand(Command::Put(written(LOCK_FLAG)));
            }
            Fault::LinkDown { flushes, .. } => {
                self.hosts[host].kernel.down += 1;
                if flushes {
                    self.hosts[host].kernel.remove();
                }
                self.kernel_changed(host);
            }
            Fault::RemoveAddress { .. } => {
                if self.hosts[host].kernel.remove() {
                    self.kernel_changed(host);
                }
            }
            Fault::Unfit { .. } => {
                self.hosts[host].unfit += 1;
                self.probe(host);
            }
            Fault::Switchover { to } => {
                let to = to.map_or(String::new(), request::value);
                self.by_hand(Command::Put(Write {
                    key: group::switchover(KEY),
                    value: to.into_bytes(),
                    flags: 0,
                }));
            }
            Fault::Drain { .. } => {
                if self.holder() == Some(host) {
                    self.tally.saw("leaders drained");
                }
                self.hosts[host].drained.get_or_insert(self.now);
                self.by_hand(Command::Put(Write {
                    key: group::drain(KEY, &request::value(host)),
                    value: Vec::new(),
                    flags: 0,
                }));
            }
            Fault::CutPeers { with, ways, .. } => self.network.cut_peers(host, with, ways, false),
            Fault::Replay => self.network.replays += 1,
            Fault::DeleteEntry { .. } => {
                let entry = group::entry(KEY, &request::value(host));
                self.by_hand(Command::Delete(entry));
            }
            Fault::NoMemory { full, .. } => {
                self.hosts[host].full += 1;
                self.hosts[host].read_only += u32::from(!full);
            }
        }
        self.rewired();
    }

    /// A fault ends.
    pub(super) fn mend(&mut self, number: usize) {
        let host = self.victims[number];
        let fault = self.schedule.faults[number].fault;
        self.trace.say(self.now, Who::Fate, || {
            format!("{number}: over (host{host})")
        });
        match fault {
            Fault::Kill { record, .. } => {
                self.spoil_note(host, record);
                self.start(host);
            }
            Fault::Stop { .. } => self.start(host),
            Fault::Reconfigure { lock_delay, .. } => {
                self.hosts[host].plan.lock_delay = lock_delay;
                self.start(host);
            }
            Fault::Freeze { .. } => self.thaw(host),
            Fault::FreezeBoth { .. } => {
                self.thaw(host);
                self.thaw_node(host);
            }
            Fault::FreezeServer { .. } | Fault::FreezeRaftLeader => self.thaw_node(host),
            Fault::Crash { .. } => {
                self.hosts[host].off -= 1;
                if self.hosts[host].off == 0 {
                    let it = &mut self.hosts[host];
                    it.clock = it.clock.rebooted(self.now);
                    it.boot += 1;
                    // The directory may or may not outlive the boot.
                    if self.draw.bool() {
                        it.note = None;
                    }
                }
                let forgets = self.draw.bool();
                self.service_restarts(host, forgets);
                self.bring_up(host);
                let pause = self.millis(100, 2_000);
                self.after(pause, Event::Start { host });
            }
            Fault::CutAgent { ways, .. } => self.network.cut_local(host, ways, true),
            Fault::Isolate { ways, .. } => {
                for other in 0..self.nodes.len() {
                    self.network.cut(host, other, ways, true);
                }
            }
            Fault::CutPair { with, ways, .. } => self.network.cut(host, with, ways, true),
            Fault::Weather(_) => self.network.weather(number, None),
            Fault::RestartAgent { forgets, .. } => {
                self.service_restarts(host, forgets);
                self.bring_up(host);
            }
            Fault::FlapCheck { .. } => {
                self.hosts[host].critical -= 1;
                self.anti_entropy(host);
            }
            Fault::Lag { .. } => {
                if let Some(server) = self.cluster.servers.get_mut(host) {
                    server.lags -= 1;
                }
            }
            Fault::LinkDown { .. } => {
                self.hosts[host].kernel.down -= 1;
                self.kernel_changed(host);
            }
            Fault::Unfit { .. } => {
                self.hosts[host].unfit -= 1;
                self.probe(host);
            }
            Fault::Drain { .. } => self.resume(host),
            Fault::CutPeers { with, ways, .. } => self.network.cut_peers(host, with, ways, true),
            Fault::Replay => self.network.replays -= 1,
            Fault::NoMemory { full, .. } => {
                self.hosts[host].full -= 1;
                self.hosts[host].read_only -= u32::from(!full);
            }
            Fault::ChangeRaftLeader
            | Fault::DeleteKey
            | Fault::DestroySession
            | Fault::Overwrite
            | Fault::WriteValue
            | Fault::RemoveAddress { .. }
            | Fault::Switchover { .. }
            | Fault::DeleteEntry { .. } => {}
        }
        self.rewired();
    }

    /// All faults are over. Daemons that were not started again are, and an operator clears away what
    /// stands in the key and is no lock.
    pub(super) fn healed(&mut self) {
        self.trace
            .say(self.now, Who::Fate, || "all faults are over".to_owned());
        for host in 0..self.hosts.len() {
            self.start(host);
            // One that is about to stop is followed by another.
            self.after(Duration::from_secs(5), Event::Start { host });
            self.after(Duration::from_millis(5_100), Event::Start { host });
        }
        self.tidy();
    }

    fn resume(&mut self, host: usize) {
        self.hosts[host].drained = None;
        self.by_hand(Command::Delete(group::drain(KEY, &request::value(host))));
    }

    /// A daemon leaves alone what is no lock, so somebody else must clear it away, with the drains that
    /// nobody could end while Consul had no leader.
    pub(super) fn tidy(&mut self) {
        let pause = Duration::from_secs(1);
        if self.now + pause < self.schedule.healed() + TIDYING {
            self.after(pause, Event::Tidy);
        }
        let Some(leader) = self.cluster.leader else {
            return;
        };
        for host in 0..self.hosts.len() {
            let drain = group::drain(KEY, &request::value(host));
            let store = &self.cluster.servers[leader].store;
            if store.read(&drain).entry.is_some() {
                self.resume(host);
            }
        }
        let read = self.cluster.servers[leader].store.read(KEY);
        let foreign = read
            .entry
            .is_some_and(|entry| entry.session.is_none() && entry.flags != LOCK_FLAG);
        if foreign {
            self.by_hand(Command::Delete(KEY.to_owned()));
        }
    }

    fn delete_key(&mut self) {
        self.invariants.deleted(self.now);
        self.by_hand(Command::Delete(KEY.to_owned()));
    }

    /// A node's agent ends; in order, it answers the blocking reads that wait.
    fn take_down(&mut self, node: usize, in_order: bool) {
        if node < SERVERS && self.nodes[node].down == 0 {
            if in_order && self.draw.bool() {
                self.wake_watches(node, true);
            }
            self.cluster.servers[node].watches.clear();
        }
        self.nodes[node].down += 1;
        self.nodes[node].held.clear();
    }

    fn bring_up(&mut self, node: usize) {
        self.nodes[node].down -= 1;
        if self.nodes[node].down > 0 {
            return;
        }
        if let Some(server) = self.cluster.servers.get_mut(node) {
            server.restart(self.now, &self.cluster.log);
            if self.cluster.leader == Some(node) {
                // A leader that was away comes back as one that must be elected.
                self.cluster.leader = None;
            }
        }
        self.after(Duration::from_millis(200), Event::AntiEntropy { node });
    }

    fn thaw_node(&mut self, node: usize) {
        self.nodes[node].frozen -= 1;
        if self.nodes[node].frozen > 0 {
            return;
        }
        if node < SERVERS && self.cluster.leader != Some(node) {
            let doubt = self.millis(0, 1_500);
            let server = &mut self.cluster.servers[node];
            if server.believes_until > Duration::ZERO {
                server.believes_until = self.now + doubt;
            }
        }
        for request in std::mem::take(&mut self.nodes[node].held) {
            let pause = self.nap();
            self.after(pause, Event::Arrive(Rc::clone(&request)));
        }
        self.mind_service(node);
        if node < SERVERS {
            self.wake_watches(node, true);
            if self.cluster.leader == Some(node) {
                self.mind_ttl(node);
            }
        }
    }
}

fn written(flags: u64) -> Write {
    Write {
        key: KEY.to_owned(),
        value: b"by hand".to_vec(),
        flags,
    }
}
