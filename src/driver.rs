//! Driver: runs one group's machine.
//!
//! One task per group, spawned by `daemon`. It waits for (deadline | completion | report | word of a
//! peer or of this host's health | stop), makes one call into the machine, carries the actions out, and is the only place that logs the
//! machine's transitions, and publishes them. It ends when the machine has stopped, and is cancel safe: dropped, it
//! abandons its requests, and the VIP task takes the address off.

pub mod clock;
pub(crate) mod journal;

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tracing::trace;

use self::clock::Clock;
use crate::consul;
use crate::election::call::{Answer, Call, Failure, FailureKind, OpId};
use crate::election::health::Health;
use crate::election::machine::{Action, Event, Machine, Params};
use crate::election::note::Note;
use crate::election::status::{Outcome, Phase, Status};
use crate::election::target::{VipOrder, VipReport};
use crate::election::time::Timestamp;
use crate::peers::Peers;
use crate::status::counters::Timed;
use crate::status::snapshot::{PULSE, Said, Snapshot};

/// Consul, as far as one group goes.
pub trait Consul: Send + Sync + 'static {
    /// Carries one call out. The timeout bounds it; the driver also drops it then.
    fn call(
        &self,
        call: Call,
        timeout: Duration,
    ) -> impl Future<Output = Result<Answer, Failure>> + Send;
}

impl Consul for consul::Binding {
    async fn call(&self, call: Call, timeout: Duration) -> Result<Answer, Failure> {
        self.call(call, timeout).await
    }
}

/// What outlives the process, as far as one group goes.
pub trait Memory: Send {
    /// Replaces what was remembered, at once. Returns whether the next process will find this note, or
    /// at least none before it; and what went wrong, if anything did.
    fn remember(&mut self, note: &Note) -> (bool, Option<String>);
}

/// A driver's world.
#[derive(Debug)]
pub struct World<P, C, M, O> {
    /// Answers the calls.
    pub consul: Arc<P>,
    /// Tells the time.
    pub clock: C,
    /// Keeps the notes.
    pub memory: M,
    /// There exactly when the group's terms are managed.
    pub link: Option<Link>,
    /// The other hosts.
    pub peers: O,
    /// What is said of this host's health. Whoever says it need not live for longer than it does.
    pub health: watch::Receiver<Health>,
    /// The request to give everything up; that nobody can make it any more is one, too.
    pub stop: oneshot::Receiver<()>,
    /// What is said of the group. Whoever waits on it is woken when there is news beside a lease that was prolonged.
    pub told: watch::Sender<Snapshot>,
}

/// The driver's ends of the talk with the VIP task.
#[derive(Debug)]
pub struct Link {
    /// What the machine wants.
    pub orders: watch::Sender<VipOrder>,
    /// What the kernel says.
    pub reports: watch::Receiver<Option<VipReport>>,
}

/// Runs a group until it has stopped.
pub fn run<P: Consul, C: Clock, M: Memory, O: Peers>(
    group: &str,
    params: Params,
    seed: u64,
    world: World<P, C, M, O>,
) -> impl Future<Output = Outcome> + Send + use<P, C, M, O> {
    let World {
        consul,
        clock,
        memory,
        link,
        peers,
        health,
        stop,
        told,
    } = world;
    let (machine, actions) = Machine::start(params, clock.now(), seed);
    let mut hands = Hands {
        group: group.into(),
        consul,
        memory,
        peers,
        calls: FuturesUnordered::new(),
        remembered: VecDeque::new(),
        failure: None,
    };
    hands.carry_out(actions);
    let mut driver = Driver {
        machine,
        hands,
        clock,
        link,
        health,
        stop,
        stopping: false,
        told,
    };
    // What an async function is given is there twice, once as its argument.
    async move { driver.run().await }
}

/// One group, and all that its machine is told of.
struct Driver<P, C, M, O> {
    machine: Machine,
    hands: Hands<P, M, O>,
    clock: C,
    link: Option<Link>,
    health: watch::Receiver<Health>,
    stop: oneshot::Receiver<()>,
    /// The machine knows that.
    stopping: bool,
    told: watch::Sender<Snapshot>,
}

impl<P: Consul, C: Clock, M: Memory, O: Peers> Driver<P, C, M, O> {
    async fn run(&mut self) -> Outcome {
        self.follow(Said::default(), self.machine.status());
        loop {
            if let Phase::Stopped(outcome) = &self.told.borrow().status.phase {
                return outcome.clone();
            }
            // A machine that wanted to be called at once for ever would leave no time for anything else.
            tokio::task::consume_budget().await;
            let deadline = self.machine.deadline().map(|(at, _)| at);
            let event = self.next_event(deadline).await;
            self.turn(deadline, event);
        }
    }

    /// Waits for something to happen, for the deadline, or for the next pulse.
    async fn next_event(&mut self, deadline: Option<Timestamp>) -> Option<Event> {
        if let Some((op, kept)) = self.hands.remembered.pop_front() {
            return Some(Event::Remembered { op, kept });
        }
        let pulse = self.clock.now() + PULSE;
        let wake_at = deadline.map_or(pulse, |at| at.min(pulse));
        let listens_to = self.machine.listens_to().cloned();
        tokio::select! {
            // In this order, so that an answer that came with the deadline counts.
            biased;
            _ = &mut self.stop, if !self.stopping => {
                self.stopping = true;
                Some(Event::Stop)
            }
            report = next_report(self.link.as_mut()) => Some(Event::Vip(report)),
            Some((op, took, result)) = self.hands.calls.next() => {
                if let Some((timed, took)) = took {
                    self.told.send_if_modified(|told| {
                        told.time(timed, took);
                        false
                    });
                }
                Some(Event::Completed { op, result })
            }
            health = next_health(&mut self.health) => Some(Event::Health(health)),
            (at, said) = self.hands.peers.heard(listens_to) => Some(Event::Heard { at, said }),
            () = self.clock.sleep_until(wake_at) => None,
        }
    }

    /// Goes round once.
    fn turn(&mut self, deadline: Option<Timestamp>, event: Option<Event>) {
        // Read after whatever was waited for, a freeze of this process included: before anything follows
        // from the event, the machine compares it with the lease.
        let now = self.clock.now();
        let before = self.machine.status();
        let due = deadline.filter(|at| *at <= now);
        if due.is_some()
            && let Some(leader) = self.machine.listens_to()
            && let Some((at, said)) = self.hands.peers.unheard(leader)
        {
            // Before anything follows from silence.
            let actions = self.machine.step(now, Event::Heard { at, said });
            self.hands.carry_out(actions);
        }
        let event = event.or_else(|| due.map(|_| Event::DeadlineReached));
        let mut said = Said::default();
        self.told.send_if_modified(|told| {
            said = told.turn(now, event.as_ref());
            false
        });
        let Some(event) = event else { return };
        let actions = self.machine.step(now, event);
        // Before the order, so that a heartbeat is out before the address is prolonged.
        self.hands.carry_out(actions);
        if let (Some(link), Some(order)) = (&self.link, self.machine.vip_order()) {
            link.orders
                .send_if_modified(|last| std::mem::replace(last, order) != order);
        }
        let after = self.machine.status();
        journal::log(&self.hands.group, now, &before, &after);
        self.follow(said, after);
    }

    /// Says how the machine is.
    fn follow(&self, said: Said, status: Status) {
        let now = self.clock.time_of_day();
        self.told
            .send_if_modified(|told| told.follow(now, said, status));
    }
}

/// Which request is over, how long it took if that is of interest, and what came of it.
type Completed = (OpId, Option<(Timed, Duration)>, Result<Answer, Failure>);

/// What carries the machine's actions out.
struct Hands<P, M, O> {
    group: Box<str>,
    consul: Arc<P>,
    memory: M,
    peers: O,
    calls: FuturesUnordered<BoxFuture<'static, Completed>>,
    /// Notes, and whether the next process will find them.
    remembered: VecDeque<(OpId, bool)>,
    /// The last failure to remember that was logged.
    failure: Option<String>,
}

impl<P: Consul, M: Memory, O: Peers> Hands<P, M, O> {
    /// In order, so that a note is there before the request that it speaks of goes out.
    fn carry_out(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Call { op, call, timeout } => {
                    let timed = Timed::of(&call);
                    let answer = ask(Arc::clone(&self.consul), call, timeout)
                        .map(move |(took, result)| (op, timed.map(|timed| (timed, took)), result));
                    self.calls.push(answer.boxed());
                }
                Action::Send { contact, datagram } => self.peers.send(&contact, &datagram),
                Action::Remember { op, note } => {
                    let (kept, failure) = self.memory.remember(&note);
                    if let Some(error) = &failure
                        && self.failure != failure
                    {
                        journal::not_remembered(&self.group, error);
                    }
                    self.failure = failure;
                    self.remembered.push_back((op, kept));
                }
            }
        }
    }
}

/// An answer comes back to every call, whatever Consul does.
fn ask<P: Consul>(
    consul: Arc<P>,
    call: Call,
    timeout: Duration,
) -> impl Future<Output = (Duration, Result<Answer, Failure>)> + Send {
    let what = call.to_string();
    // What an async function is given is there twice.
    async move {
        trace!(what, "asking");
        let asked_at = Instant::now();
        let answer = tokio::time::timeout(timeout, consul.call(call, timeout)).await;
        let took = asked_at.elapsed();
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        trace!(what, took_us, "answered");
        let result = answer.unwrap_or_else(|_| Err(unanswered(&what, timeout)));
        (took, result)
    }
}

fn unanswered(what: &str, timeout: Duration) -> Failure {
    Failure {
        kind: FailureKind::Unavailable,
        message: format!(
            "{what}: no answer from consul within {} ms",
            timeout.as_millis()
        ),
    }
}

async fn next_report(link: Option<&mut Link>) -> VipReport {
    let Some(link) = link else {
        return std::future::pending().await;
    };
    loop {
        if link.reports.changed().await.is_err() {
            return std::future::pending().await;
        }
        if let Some(report) = link.reports.borrow_and_update().clone() {
            return report;
        }
    }
}

async fn next_health(health: &mut watch::Receiver<Health>) -> Health {
    match health.changed().await {
        Ok(()) => health.borrow_and_update().clone(),
        Err(_) => std::future::pending().await,
    }
}
