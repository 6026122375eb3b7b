//! Pure: the VIP tasks, run as `vip::task` runs the shipped reconciler: it looks, takes a step, or waits, as
//! it is told.
//!
//! Deciding on a step and doing it is one instant here; [`crate::kernel`] says why.

use std::time::Duration;

use vip_elector::election::target::VipReport;
use vip_elector::election::time::Timestamp;
use vip_elector::vip::reconcile::{Next, Step};

use super::{Event, World};
use crate::process::Stage;
use crate::trace::Who;

/// As in `vip::task`.
const STEPS_PER_PASS: u32 = 32;

/// As in `vip::task`.
const BLIND_PAUSE: Duration = Duration::from_millis(100);

impl World<'_> {
    /// There is news for the VIP task.
    pub(super) fn rouse(&mut self, host: usize) {
        if let Some(process) = &self.hosts[host].process
            && matches!(process.task.stage, Stage::Idle)
        {
            let pause = self.nap();
            self.plan_turn(host, pause);
        }
    }

    /// The kernel tells the VIP task that something has changed which was not its own doing. (It
    /// tells of the task's own doing, too, and the task then looks once more and sees nothing new.)
    pub(super) fn kernel_changed(&mut self, host: usize) {
        if let Some(process) = &mut self.hosts[host].process {
            process.task.changed = true;
            self.rouse(host);
        }
    }

    pub(super) fn plan_turn(&mut self, host: usize, pause: Duration) {
        let Some(process) = &mut self.hosts[host].process else {
            return;
        };
        process.task.turn += 1;
        let event = Event::Look {
            host,
            process: process.number,
            turn: process.task.turn,
        };
        self.after(pause, event);
    }

    /// The VIP task goes on.
    pub(super) fn turn(&mut self, host: usize, number: u64, turn: u64) {
        let it = &mut self.hosts[host];
        let Some(process) = &mut it.process else {
            return;
        };
        if process.number != number || process.task.turn != turn || process.frozen > 0 {
            return;
        }
        let local = it.clock.read(self.now);
        let task = &mut process.task;
        match std::mem::replace(&mut task.stage, Stage::Idle) {
            Stage::Idle => {
                task.using = task.order;
                (task.news, task.changed) = (false, false);
                task.turns = 0;
                task.reconciler.begin();
            }
            Stage::Looking(seen) => task.reconciler.looked(seen),
            Stage::Acting(step, result) => {
                task.reconciler.done(local, &task.using, step, result);
            }
        }
        task.turns += 1;
        if task.turns > STEPS_PER_PASS {
            let again = task.news || task.changed;
            self.tally.saw("passes of the vip task cut short");
            self.plan_turn(host, if again { Duration::ZERO } else { BLIND_PAUSE });
            return;
        }
        match task.reconciler.next(local, &task.using) {
            Next::Look => task.stage = Stage::Looking(it.kernel.observe()),
            Next::Do(step) => {
                let result = self.act(host, step);
                if let Some(process) = &mut self.hosts[host].process {
                    process.task.stage = Stage::Acting(step, result);
                }
            }
            Next::Rest { report, wake_at } => {
                self.rest(host, number, report, wake_at);
                return;
            }
        }
        let pause = self.nap();
        self.plan_turn(host, pause);
    }

    /// The VIP task says what is true, and waits.
    fn rest(&mut self, host: usize, number: u64, report: VipReport, wake_at: Option<Timestamp>) {
        let Some(process) = &mut self.hosts[host].process else {
            return;
        };
        let task = &mut process.task;
        let again = task.news || task.changed;
        let off = task.using.version == task.order.version && !report.held;
        if task.ending && off {
            self.die(host);
            return;
        }
        if task.said.as_ref() != Some(&report) {
            task.said = Some(report.clone());
            process.report = Some(report);
            let pause = self.nap();
            self.after(
                pause,
                Event::Drive {
                    host,
                    process: number,
                },
            );
        }
        if again {
            self.plan_turn(host, Duration::ZERO);
        } else if let Some(at) = wake_at {
            let at = self.hosts[host].clock.when(at) + self.nap();
            self.plan_turn(host, at.saturating_sub(self.now));
        }
    }

    /// The kernel does what the VIP task asks for.
    fn act(&mut self, host: usize, step: Step) -> Result<(), String> {
        let (now, it) = (self.now, &mut self.hosts[host]);
        let clock = it.clock;
        let expiry = match step {
            Step::Add { lifetime, .. } => {
                let added = it.kernel.add(now, lifetime, &clock, &mut self.draw);
                if added.is_ok()
                    && self.last_holder != Some(host)
                    && self.last_holder.replace(host).is_some()
                {
                    self.tally.saw("failovers");
                }
                Some(added?)
            }
            Step::Refresh { lifetime, .. } => {
                Some(it.kernel.refresh(now, lifetime, &clock, &mut self.draw))
            }
            Step::Remove { .. } => {
                it.kernel.remove();
                None
            }
            Step::Announce | Step::Ask => return Ok(()),
        };
        self.trace
            .say(now, Who::Host(host), || format!("kernel: {step:?}"));
        if let Some(expiry) = expiry
            && let Some(at) = expiry.at
        {
            let token = expiry.token;
            self.at(at, Event::Expire { host, token });
        }
        Ok(())
    }

    /// A lifetime is over.
    pub(super) fn expire(&mut self, host: usize, token: u64) {
        if self.hosts[host].kernel.expire(token) {
            self.tally.saw("addresses ended by the kernel");
            self.trace.say(self.now, Who::Host(host), || {
                "kernel: the address's lifetime is over".to_owned()
            });
            self.kernel_changed(host);
        }
    }
}
