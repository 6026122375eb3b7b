//! Pure: how each fault of several groups begins and ends.

use std::time::Duration;

use super::consul::check;
use super::event::Event;
use super::schedule::{Fault, Timed};
use super::{LOOK, World, key};
use crate::fault::Target;
use crate::group;
use crate::network::Network;
use crate::request;
use crate::store::{Command, Health, Write};
use crate::trace::Who;

impl World<'_> {
    /// A fault begins.
    pub(super) fn strike(&mut self, number: usize) {
        let Timed {
            group,
            target,
            fault,
            ..
        } = self.schedule.faults[number];
        let any = self.draw.usize(..self.hosts.len());
        let host = match target {
            Target::Host(host) => host,
            Target::Leader => self.witness.holder(self.now, group).unwrap_or(any),
        };
        self.victims[number] = host;
        self.tally.fault(fault.kind());
        self.trace.say(self.now, Who::Fate, || {
            format!("{number}: {fault:?} (host{host}, g{group})")
        });
        let it = &mut self.hosts[host];
        match fault {
            Fault::Kill => self.die(host),
            Fault::Freeze => {
                if let Some(process) = &mut it.process {
                    process.frozen += 1;
                }
            }
            Fault::Stop => self.stop(host),
            Fault::StopGroup => {
                it.out[group] += 1;
                self.reload(host);
            }
            Fault::Unfit => {
                it.unfit[group] += 1;
                self.probe(host, group);
            }
            Fault::Drain => self.put(group::drain(&key(group), &request::value(host)), ""),
            Fault::Switchover => {
                // To a certain host, or to the best.
                let to = if self.draw.bool() {
                    request::value(any)
                } else {
                    String::new()
                };
                self.put(group::switchover(&key(group)), &to);
            }
            Fault::DeleteKey => self.by_hand(Command::Delete(key(group))),
            Fault::EndSession => {
                let entry = self.store.read(&key(group)).entry;
                if let Some(session) = entry.and_then(|entry| entry.session) {
                    self.by_hand(Command::DestroySession(session));
                }
            }
            Fault::Check => {
                let bond = self.schedule.bonds[group];
                it.critical[bond] += 1;
                self.set_check(host, check(bond), Health::Critical);
            }
            Fault::Cut(ways) => self.network.cut_local(host, ways, false),
            Fault::Weather(weather) => self.network.weather(number, Some(weather)),
            Fault::NoNotes => it.no_notes += 1,
        }
    }

    /// A fault ends.
    pub(super) fn mend(&mut self, number: usize) {
        let Timed { group, fault, .. } = self.schedule.faults[number];
        let host = self.victims[number];
        self.trace
            .say(self.now, Who::Fate, || format!("{number}: over"));
        let it = &mut self.hosts[host];
        match fault {
            Fault::Kill | Fault::Stop => self.start(host),
            Fault::Freeze => self.thaw(host),
            Fault::StopGroup => {
                it.out[group] -= 1;
                self.reload(host);
            }
            Fault::Unfit => {
                it.unfit[group] -= 1;
                self.probe(host, group);
            }
            Fault::Drain => {
                let drain = group::drain(&key(group), &request::value(host));
                self.by_hand(Command::Delete(drain));
            }
            Fault::Check => {
                let bond = self.schedule.bonds[group];
                it.critical[bond] -= 1;
                if it.critical[bond] == 0 {
                    self.set_check(host, check(bond), Health::Passing);
                }
            }
            Fault::Cut(ways) => self.network.cut_local(host, ways, true),
            Fault::Weather(_) => self.network.weather(number, None),
            Fault::NoNotes => it.no_notes -= 1,
            Fault::Switchover | Fault::DeleteKey | Fault::EndSession => {}
        }
    }

    /// All faults are over.
    pub(super) fn healed(&mut self) {
        self.trace
            .say(self.now, Who::Fate, || "all faults are over".to_owned());
        self.network = Network::calm();
        for host in 0..self.hosts.len() {
            // One that is about to stop is followed by another.
            for pause in [0, 6, 12] {
                self.after(Duration::from_secs(pause), Event::Start(host));
            }
        }
        self.after(LOOK, Event::Look);
    }

    fn put(&mut self, key: String, value: &str) {
        self.by_hand(Command::Put(Write {
            key,
            value: value.as_bytes().to_vec(),
            flags: 0,
        }));
    }
}
