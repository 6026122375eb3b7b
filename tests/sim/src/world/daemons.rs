//! Pure: the daemons, run as `driver` runs the shipped machine: one thing at a time, in the driver's
//! order: a note, a stop, a report, an answer, a deadline.

use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::time::Duration;

use vip_elector::election::call::Call;
use vip_elector::election::health::Health;
use vip_elector::election::lease::Terms;
use vip_elector::election::machine::{
    Action, DeadlineReason, Event as Input, Machine, Options, Params,
};
use vip_elector::election::note::Before;
use vip_elector::election::peer::GroupId;
use vip_elector::election::status::{Outcome, Phase};
use vip_elector::election::target::{VipOrder, VipTarget};
use vip_elector::vip::announce::Announcing;
use vip_elector::vip::reconcile::Reconciler;

use super::{Event, World};
use crate::invariants::Violation;
use crate::process::{Process, Stop};
use crate::request::{self, failure};
use crate::schedule::TTL;
use crate::trace::Who;

/// As in `daemon`.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// More calls into a machine at one instant than any chain of events asks for.
const CALLS_AT_ONCE: u32 = 200;

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

impl World<'_> {
    /// A supervisor starts the daemon, where there is none and the host has power.
    pub(super) fn start(&mut self, host: usize) {
        if self.hosts[host].process.is_some() || self.hosts[host].off > 0 {
            return;
        }
        let number = self.number();
        let seed = self.draw.u64(..);
        let mut plan = self.hosts[host].plan;
        if plan.unknown {
            let pause = self.millis(20, 800);
            let process = number;
            self.after(pause, Event::Probe { host, process });
        }
        let mut terms = Terms::managed(plan.lock_delay, TTL);
        if !plan.kernel_lease {
            terms = terms.without_kernel_lease();
        }
        terms = self.game.broken.map_or(terms, |rule| terms.breaking(rule));
        plan.liveness_ttl = plan.liveness(&terms);
        let params = Params {
            terms,
            value: request::value(host),
            session_name: format!("p{number}"),
            group: GroupId(1),
            before: self.before(host),
            options: Options {
                priority: plan.priority,
                preempt_after: plan.preempt_after,
                liveness_ttl: plan.liveness_ttl,
                peer_interval: plan.peer_interval,
                one_of_many: false,
                candidates: plan.candidates,
                health: if plan.unknown {
                    Health::Unknown
                } else {
                    self.fitness(host)
                },
            },
        };
        let before = params.before.clone();
        self.trace.say(self.now, Who::Host(host), || {
            format!("daemon p{number} starts, before it: {before:?}")
        });
        let first = params.first_order();
        let it = &mut self.hosts[host];
        it.told = it.plan.lock_delay;
        let (machine, actions) = Machine::start(params, it.clock.read(self.now), seed);
        let reconciler = Reconciler::new(Announcing::of(ADDRESS));
        let mut process = Process::new(number, self.now, plan, machine, reconciler, first);
        match before {
            Before::Nothing => {}
            Before::Leftover { .. } => self.tally.saw("starts after a leftover session"),
            Before::Adoptable { session, .. } => {
                process.adopts = Some(session);
                self.tally.saw("starts with a session to adopt");
            }
        }
        it.process = Some(process);
        self.do_all(host, actions);
        self.plan_turn(host, Duration::ZERO);
        self.pump(host);
    }

    /// The process is no more. What it gave the kernel stays.
    pub(super) fn die(&mut self, host: usize) {
        if let Some(process) = self.hosts[host].process.take() {
            if process.frozen == 0 {
                self.hosts[host].gone = self.now;
            }
            self.trace
                .say(self.now, Who::Host(host), || "daemon gone".to_owned());
        }
    }

    pub(super) fn ask_to_stop(&mut self, host: usize) {
        let Some(process) = &mut self.hosts[host].process else {
            return;
        };
        if process.stop == Stop::No {
            process.stop = Stop::Asked;
            let process = process.number;
            self.after(STOP_TIMEOUT, Event::TooLong { host, process });
            self.pump(host);
        }
    }

    pub(super) fn too_long(&mut self, host: usize, number: u64) {
        let process = self.hosts[host].process.as_ref();
        if process.is_some_and(|process| process.number == number && process.frozen == 0) {
            self.tally.saw("stops that took too long");
            self.die(host);
        }
    }

    pub(super) fn freeze(&mut self, host: usize) {
        let it = &mut self.hosts[host];
        if let Some(process) = &mut it.process {
            if process.frozen == 0 {
                it.gone = self.now;
            }
            process.frozen += 1;
        }
    }

    /// How fit a host is, as its daemon finds out when it looks.
    fn fitness(&self, host: usize) -> Health {
        if self.hosts[host].unfit > 0 {
            Health::Bad("unfit".to_owned())
        } else {
            Health::Good
        }
    }

    /// A daemon that was just started has found out how fit its host is.
    pub(super) fn probed(&mut self, host: usize, number: u64) {
        let process = self.hosts[host].process.as_ref();
        if process.is_some_and(|process| process.number == number) {
            self.probe(host);
        }
    }

    /// A daemon has looked how fit its host is.
    pub(super) fn probe(&mut self, host: usize) {
        let health = self.fitness(host);
        if let Some(process) = &mut self.hosts[host].process {
            process.health = Some(health);
            self.pump(host);
        }
    }

    /// SIGCONT. What came meanwhile is taken in now; what has not come is given up.
    pub(super) fn thaw(&mut self, host: usize) {
        let answers_first = self.draw.bool();
        let now = self.now;
        let Some(process) = &mut self.hosts[host].process else {
            return;
        };
        process.frozen = process.frozen.saturating_sub(1);
        if process.frozen > 0 {
            return;
        }
        process.running_since = now;
        let given_up: Vec<_> = process
            .pending
            .iter()
            .filter(|(_, request)| request.times_out <= now)
            .map(|(op, _)| *op)
            .collect();
        for op in given_up {
            process.pending.remove(&op);
            let timeout = (
                op,
                Err(failure(
                    vip_elector::election::call::FailureKind::Unavailable,
                )),
            );
            if answers_first {
                process.inbox.push_back(timeout);
            } else {
                process.inbox.push_front(timeout);
            }
        }
        let number = process.number;
        let told_too_late = process.stop != Stop::No;
        if told_too_late {
            let event = Event::TooLong {
                host,
                process: number,
            };
            self.after(STOP_TIMEOUT, event);
        }
        let (first, second) = (self.nap(), self.nap());
        self.after(
            first,
            Event::Drive {
                host,
                process: number,
            },
        );
        self.plan_turn(host, second);
    }

    pub(super) fn drive(&mut self, host: usize, number: u64) {
        if let Some(process) = &mut self.hosts[host].process
            && process.number == number
        {
            if process.wake == Some(self.now) {
                process.wake = None;
            }
            self.pump(host);
        }
    }

    /// The driver's loop, until it has to wait.
    pub(super) fn pump(&mut self, host: usize) {
        loop {
            let it = &mut self.hosts[host];
            let local = it.clock.read(self.now);
            let Some(process) = &mut it.process else {
                return;
            };
            if process.frozen > 0 || process.task.ending {
                return;
            }
            let mut at = local;
            let input = if let Some((came, datagram)) = process.heard.pop_front() {
                at = came.unwrap_or(local);
                // A whole buffer of them may have waited.
                process.calls_now.1 = 0;
                Input::Heard {
                    at,
                    said: Rc::unwrap_or_clone(datagram),
                }
            } else if let Some((op, kept)) = process.remembered.pop_front() {
                Input::Remembered { op, kept }
            } else if process.stop == Stop::Asked {
                process.stop = Stop::Told;
                Input::Stop
            } else if let Some(health) = process.health.take() {
                Input::Health(health)
            } else if let Some(report) = process.report.take() {
                Input::Vip(report)
            } else if let Some((op, result)) = process.inbox.pop_front() {
                Input::Completed { op, result }
            } else {
                match process.machine.deadline() {
                    Some((at, reason)) if at <= local => {
                        if reason == DeadlineReason::WaitedOut {
                            self.tally.saw("unclean endings waited out");
                        }
                        Input::DeadlineReached
                    }
                    Some((at, _)) => {
                        let at = it.clock.when(at);
                        self.wake_driver(host, at);
                        return;
                    }
                    None => return,
                }
            };
            let Some(process) = &mut self.hosts[host].process else {
                return;
            };
            if process.calls_now.0 != self.now {
                process.calls_now = (self.now, 0);
            }
            process.calls_now.1 += 1;
            if process.calls_now.1 > CALLS_AT_ONCE {
                self.violation = Some(Violation::Spins(host));
                return;
            }
            let actions = process.machine.step(at, input);
            self.do_all(host, actions);
        }
    }

    /// Wakes the driver at a time, or soon after.
    pub(super) fn wake_driver(&mut self, host: usize, at: Duration) {
        let Some(process) = &self.hosts[host].process else {
            return;
        };
        // An earlier wake-up finds the deadline and plans it.
        if process.wake.is_some_and(|wake| wake <= at) {
            return;
        }
        let number = process.number;
        let at = at + self.nap();
        if let Some(process) = &mut self.hosts[host].process {
            process.wake = Some(at);
        }
        self.at(
            at,
            Event::Drive {
                host,
                process: number,
            },
        );
    }

    /// Hands the requests out and sends what is to be sent, then passes the order on.
    fn do_all(&mut self, host: usize, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Call { op, call, timeout } => {
                    self.trace.say(self.now, Who::Host(host), || {
                        format!("asks {}", super::consul::shown(&call))
                    });
                    if let Some(process) = &mut self.hosts[host].process
                        && matches!(call, Call::SessionLockDelay(_))
                    {
                        process.asking = Some((op, process.machine.status().session));
                    }
                    self.send(host, op, call, timeout);
                }
                Action::Send { contact, datagram } => self.say(host, &contact, datagram),
                Action::Remember { op, note } => {
                    let kept = self.remember(host, note);
                    if let Some(process) = &mut self.hosts[host].process {
                        process.remembered.push_back((op, kept));
                    }
                }
            }
        }
        let Some(process) = &mut self.hosts[host].process else {
            return;
        };
        let order = process.machine.vip_order();
        if let Some(order) = order.filter(|order| *order != process.task.order) {
            let leads = |order: &VipOrder| matches!(order.target, VipTarget::HeldUntil(_));
            let (led, now_leads) = (leads(&process.task.order), leads(&order));
            process.task.order = order;
            process.task.news = true;
            if led != now_leads {
                if now_leads {
                    self.tally.saw("leaderships");
                    let adopts = process.adopts.take();
                    if adopts.is_some() && process.machine.status().session == adopts {
                        self.tally.saw("adoptions");
                    }
                }
                self.trace.say(self.now, Who::Host(host), || {
                    (if now_leads {
                        "LEADS"
                    } else {
                        "leads no longer"
                    })
                    .to_owned()
                });
            }
            self.rouse(host);
        }
        self.see_whether_stopped(host);
    }

    fn see_whether_stopped(&mut self, host: usize) {
        let Some(process) = &mut self.hosts[host].process else {
            return;
        };
        // A machine that has stopped waits for nothing.
        if process.machine.deadline().is_some() {
            return;
        }
        let Phase::Stopped(outcome) = process.machine.status().phase else {
            return;
        };
        self.trace.say(self.now, Who::Host(host), || {
            format!("stopped: {outcome:?}")
        });
        process.pending.clear();
        process.task.ending = true;
        process.task.order = VipOrder {
            version: process.task.order.version + 1,
            target: VipTarget::Absent,
        };
        process.task.news = true;
        self.rouse(host);
        match outcome {
            Outcome::NotALock { .. } => {
                let pause = self.millis(1_000, 5_000);
                self.after(pause, Event::Start { host });
            }
            Outcome::SessionLeft => self.tally.saw("stops that left the session"),
            Outcome::Stopped => self.tally.saw("clean stops"),
        }
    }
}
