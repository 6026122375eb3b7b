//! Pure: the drivers of a process's groups, and their VIP tasks.

use std::time::Duration;

use vip_elector::consul::sharing::Seat;
use vip_elector::election::call::Call;
use vip_elector::election::machine::{Action, Event as Input};
use vip_elector::election::status::Phase;
use vip_elector::election::target::VipTarget;

use super::consul::Watch;
use super::event::Inner;
use super::{Violation, World};
use crate::trace::Who;

/// Timers are as coarse as this, in nanoseconds, so that what is due together is asked together.
const TICK: u128 = 4_000_000;

/// More calls into the machines of a process at one instant than any chain of events asks for.
const CALLS_AT_ONCE: u32 = 1_000;

impl World<'_> {
    /// Every machine and what they share, until they have to wait.
    pub(super) fn pump(&mut self, host: usize) {
        loop {
            let local = self.hosts[host].clock.read(self.now);
            let Some(process) = &mut self.hosts[host].process else {
                return;
            };
            if process.frozen > 0 {
                return;
            }
            for (ticket, result) in process.sharing.answers() {
                if let Some((seat, op)) = process.tickets.remove(&ticket)
                    && let Some(group) = process.seats.get(&seat)
                    && let Some(member) = process.members.get_mut(group)
                    && member.seat == seat
                {
                    member.completed(op, result);
                }
            }
            let next = process.members.iter_mut().find_map(|(group, member)| {
                let due = || {
                    let (at, _) = member.machine.deadline()?;
                    (at <= local).then_some(Input::DeadlineReached)
                };
                let input = match member.inputs.pop_front() {
                    Some(input) => input,
                    None => due()?,
                };
                Some((*group, member.machine.step(local, input)))
            });
            let Some((group, actions)) = next else { break };
            if process.calls_now.0 != self.now {
                process.calls_now = (self.now, 0);
            }
            process.calls_now.1 += 1;
            if process.calls_now.1 > CALLS_AT_ONCE {
                self.violation = Some(Violation::Spins(host));
                return;
            }
            self.carry_out(host, group, actions);
        }
        while let Some(process) = &mut self.hosts[host].process
            && let Some(errand) = process.sharing.next_errand()
        {
            self.send(host, errand);
        }
        self.wake_later(host);
    }

    fn wake_later(&mut self, host: usize) {
        let clock = self.hosts[host].clock;
        let Some(process) = &mut self.hosts[host].process else {
            return;
        };
        let deadlines = process.members.values();
        let deadlines = deadlines.filter_map(|member| Some(member.machine.deadline()?.0));
        let Some(at) = deadlines.min() else { return };
        let late = clock.when(at).as_nanos() % TICK;
        let late = u64::try_from((TICK - late) % TICK).unwrap_or_default();
        let at = clock.when(at) + Duration::from_nanos(late);
        if process.wake.is_none_or(|wake| at < wake) {
            process.wake = Some(at);
            let pause = at.saturating_sub(self.now);
            self.later(pause, host, Inner::Wake);
        }
    }

    pub(super) fn carry_out(&mut self, host: usize, group: usize, actions: Vec<Action>) {
        let local = self.hosts[host].clock.read(self.now);
        for action in actions {
            let it = &mut self.hosts[host];
            let Some(process) = &mut it.process else {
                return;
            };
            let Some(member) = process.members.get_mut(&group) else {
                return;
            };
            match action {
                Action::Call { op, call, timeout } => {
                    let seat = member.seat;
                    if let Call::Watch { index }
                    | Call::WatchThroughLeader { index }
                    | Call::WatchGroup { index } = call
                    {
                        member.waits.insert(op, None);
                        let watch = Watch {
                            host,
                            process: process.number,
                            seat,
                            group,
                            op,
                            index,
                            below: matches!(call, Call::WatchGroup { .. }),
                        };
                        self.watch(host, watch);
                    } else {
                        let ticket = process.sharing.ask(local, seat, call, timeout);
                        process.tickets.insert(ticket, (seat, op));
                        member.waits.insert(op, Some(ticket));
                    }
                    let pause = self.hosts[host].clock.lasts(timeout);
                    self.later(pause, host, Inner::TimeOut(seat, op));
                }
                Action::Remember { op, note } => {
                    let kept = it.no_notes == 0;
                    if kept {
                        it.notes[group] = note;
                    }
                    let remembered = Input::Remembered { op, kept };
                    member.inputs.push_front(remembered);
                }
                Action::Send { .. } => {}
            }
        }
        self.follow(host, group);
    }

    /// The VIP task does what the machine wants: it has the address up as soon, and off as late, as it may.
    fn follow(&mut self, host: usize, group: usize) {
        let it = &mut self.hosts[host];
        let clock = it.clock;
        let Some(process) = &mut it.process else {
            return;
        };
        let Some(member) = process.members.get_mut(&group) else {
            return;
        };
        if let Some(order) = member.machine.vip_order()
            && order != member.order
        {
            let seat = member.seat;
            let before = std::mem::replace(&mut member.order, order);
            let turned = before.version != order.version;
            let session = member.session();
            match order.target {
                VipTarget::HeldUntil(lease) => {
                    let until = clock.when(lease.end());
                    let delay = self.schedule.lock_delay;
                    if let Some(by) = self.witness.beyond(group, session, until, delay) {
                        self.violation = Some(Violation::BeyondProof(group, host, by));
                    }
                    let seen = self.witness.up(self.now, host, group, until);
                    // Two hosts with one address say more than a lease that is too long.
                    self.violation = seen.or(self.violation.take());
                    if turned {
                        self.tally.saw("leaderships");
                        self.say(host, group, "LEADS");
                        self.report(host, seat, order.version, true);
                    }
                }
                VipTarget::Absent if turned => {
                    if let VipTarget::HeldUntil(_) = before.target {
                        self.say(host, group, "leads no longer");
                        self.see_whose_fault(host, group);
                    }
                    self.report(host, seat, order.version, false);
                }
                VipTarget::Absent | VipTarget::Kept => {}
            }
        }
        self.see_whether_stopped(host, group);
    }

    pub(super) fn say(&mut self, host: usize, group: usize, what: &str) {
        self.trace
            .say(self.now, Who::Host(host), || format!("g{group} {what}"));
    }

    pub(super) fn report(&mut self, host: usize, seat: Seat, version: u64, held: bool) {
        let nap = self.nap();
        self.later(nap, host, Inner::Report(seat, version, held));
    }

    fn see_whether_stopped(&mut self, host: usize, group: usize) {
        let process = self.hosts[host].process.as_ref();
        let stopped = process
            .and_then(|process| process.members.get(&group))
            .filter(|member| member.machine.deadline().is_none())
            .is_some_and(|member| matches!(member.machine.status().phase, Phase::Stopped(_)));
        if stopped {
            self.depart(host, group);
        }
    }
}
