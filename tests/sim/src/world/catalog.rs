//! Pure: what Consul is told of nodes and their checks: by gossip, and by each agent.

use std::time::Duration;

use super::{Event, World};
use crate::raft::SERVERS;
use crate::request::{self, CHECK, LIVE, SERF};
use crate::store::{Command, Health};

impl World<'_> {
    fn is_alive(&self, node: usize) -> bool {
        self.nodes[node].down == 0
            && self.nodes[node].frozen == 0
            && self.cluster.leader.is_some_and(|leader| {
                self.network.joined(node, leader)
                    || (0..SERVERS).any(|by| {
                        self.serves(by)
                            && self.network.joined(node, by)
                            && self.network.joined(by, leader)
                    })
            })
    }

    /// Where a node's state is not what Consul thinks, Consul learns of it after a while.
    pub(super) fn gossip_about(&mut self, node: usize) {
        let alive = self.is_alive(node);
        if self.nodes[node].alive == Some(alive) || self.nodes[node].gossiping {
            return;
        }
        let pause = if alive {
            self.millis(100, 2_000)
        } else {
            self.millis(3_000, 10_000)
        };
        self.nodes[node].gossiping = true;
        self.nodes[node].gossip += 1;
        let number = self.nodes[node].gossip;
        self.after(pause, Event::Gossip { node, number });
    }

    pub(super) fn gossip(&mut self, node: usize, number: u64) {
        if self.nodes[node].gossip != number {
            return;
        }
        self.nodes[node].gossiping = false;
        let alive = self.is_alive(node);
        if self.nodes[node].alive == Some(alive) {
            return;
        }
        match self.cluster.leader.filter(|leader| self.quorum(*leader)) {
            Some(leader) => {
                self.nodes[node].alive = Some(alive);
                let health = if alive {
                    Health::Passing
                } else {
                    self.tally.saw("nodes found dead by gossip");
                    Health::Critical
                };
                self.propose(leader, set_check(node, SERF, health), None);
            }
            None => self.gossip_about(node),
        }
    }

    /// The agent tells the catalog how its checks are, as soon as it can.
    pub(super) fn anti_entropy(&mut self, node: usize) {
        if self.nodes[node].down > 0 {
            return;
        }
        let leader = self.cluster.leader.filter(|leader| {
            self.quorum(*leader)
                && self.nodes[node].frozen == 0
                && self.network.joined(node, *leader)
        });
        match leader {
            Some(leader) => {
                let health = if self.hosts[node].critical > 0 {
                    Health::Critical
                } else {
                    Health::Passing
                };
                self.propose(leader, set_check(node, CHECK, health), None);
                self.tell_of_service(leader, node);
            }
            None => self.after(Duration::from_secs(1), Event::AntiEntropy { node }),
        }
    }

    fn tell_of_service(&mut self, leader: usize, node: usize) {
        let known = self.cluster.servers[leader]
            .store
            .check(&request::node(node), LIVE)
            .is_some();
        let told = self.nodes[node].service.is_some();
        let was_told = std::mem::replace(&mut self.nodes[node].told, told);
        match self.nodes[node].service {
            Some(service) => {
                let health = if service.critical {
                    Health::Critical
                } else {
                    Health::Passing
                };
                self.propose(leader, set_check(node, LIVE, health), None);
            }
            None if known || was_told => {
                let command = Command::DeregisterCheck {
                    node: request::node(node),
                    check: LIVE.to_owned(),
                };
                self.propose(leader, command, None);
            }
            None => {}
        }
    }
}

pub(super) fn set_check(host: usize, check: &str, health: Health) -> Command {
    Command::SetCheck {
        node: request::node(host),
        check: check.to_owned(),
        health,
    }
}
