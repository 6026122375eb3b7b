//! Driver: runs one group's machine.
//!
//! One task per group, spawned by `main`. It waits for (deadline | completion | report | word of a
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
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::trace;

use self::clock::Clock;
use crate::consul;
use crate::election::call::{Answer, Call, Failure, FailureKind, OpId};
use crate::election::health::Health;
use crate::election::machine::{Action, Event, Machine, Params};
use crate::election::note::Note;
use crate::election::status::{Outcome, Phase};
use crate::election::target::{VipOrder, VipReport};
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
    /// Turning true is the request to give everything up.
    pub stop: watch::Receiver<bool>,
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
pub async fn run<P: Consul, C: Clock, M: Memory, O: Peers>(
    group: &str,
    params: Params,
    seed: u64,
    world: World<P, C, M, O>,
) -> Outcome {
    let World {
        consul,
        mut clock,
        memory,
        mut link,
        peers,
        mut health,
        mut stop,
        told,
    } = world;
    let (mut machine, actions) = Machine::start(params, clock.now(), seed);
    let mut hands = Hands {
        group,
        consul,
        memory,
        peers,
        calls: FuturesUnordered::new(),
        remembered: VecDeque::new(),
        failure: None,
    };
    hands.carry_out(actions);
    told.send_if_modified(|told| {
        told.follow(clock.time_of_day(), Said::default(), machine.status())
    });
    let mut stopping = false;
    loop {
        // A machine that wanted to be called at once for ever would leave no time for anything else.
        tokio::task::consume_budget().await;
        let before = machine.status();
        if let Phase::Stopped(outcome) = before.phase {
            return outcome;
        }
        let deadline = machine.deadline().map(|(at, _)| at);
        let pulse = clock.now() + PULSE;
        let wake_at = deadline.map_or(pulse, |at| at.min(pulse));
        let listens_to = machine.listens_to().cloned();
        let event = match hands.remembered.pop_front() {
            Some(event) => Some(event),
            None => tokio::select! {
                // In this order, so that an answer that came with the deadline counts.
                biased;
                () = told_to_stop(&mut stop), if !stopping => {
                    stopping = true;
                    Some(Event::Stop)
                }
                report = next_report(link.as_mut()) => Some(Event::Vip(report)),
                Some((op, took, result)) = hands.calls.next() => {
                    if let Some((timed, took)) = took {
                        told.send_if_modified(|told| {
                            told.time(timed, took);
                            false
                        });
                    }
                    Some(Event::Completed { op, result })
                }
                health = next_health(&mut health) => Some(Event::Health(health)),
                (at, said) = hands.peers.heard(listens_to.clone()) => Some(Event::Heard { at, said }),
                () = clock.sleep_until(wake_at) => None,
            },
        };
        // Read after whatever was waited for, a freeze of this process included: before anything follows
        // from the event, the machine compares it with the lease.
        let now = clock.now();
        let due = deadline.filter(|at| *at <= now);
        if due.is_some()
            && let Some((at, said)) = listens_to.and_then(|leader| hands.peers.unheard(&leader))
        {
            // Before anything follows from silence.
            let actions = machine.step(now, Event::Heard { at, said });
            hands.carry_out(actions);
        }
        let event = event.or_else(|| due.map(|_| Event::DeadlineReached));
        let mut said = Said::default();
        told.send_if_modified(|told| {
            said = told.turn(now, event.as_ref());
            false
        });
        let Some(event) = event else { continue };
        let actions = machine.step(now, event);
        // Before the order, so that a heartbeat is out before the address is prolonged.
        hands.carry_out(actions);
        if let (Some(link), Some(order)) = (&link, machine.vip_order()) {
            link.orders
                .send_if_modified(|last| std::mem::replace(last, order) != order);
        }
        let after = machine.status();
        journal::log(group, now, &before, &after);
        told.send_if_modified(|told| told.follow(clock.time_of_day(), said, after));
    }
}

/// Which request is over, how long it took if that is of interest, and what came of it.
type Completed = (OpId, Option<(Timed, Duration)>, Result<Answer, Failure>);

/// What carries the machine's actions out.
struct Hands<'a, P, M, O> {
    group: &'a str,
    consul: Arc<P>,
    memory: M,
    peers: O,
    calls: FuturesUnordered<BoxFuture<'static, Completed>>,
    remembered: VecDeque<Event>,
    /// The last failure to remember that was logged.
    failure: Option<String>,
}

impl<P: Consul, M: Memory, O: Peers> Hands<'_, P, M, O> {
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
                        journal::not_remembered(self.group, error);
                    }
                    self.failure = failure;
                    self.remembered.push_back(Event::Remembered { op, kept });
                }
            }
        }
    }
}

/// An answer comes back to every call, whatever Consul does.
async fn ask<P: Consul>(
    consul: Arc<P>,
    call: Call,
    timeout: Duration,
) -> (Duration, Result<Answer, Failure>) {
    let what = call.to_string();
    trace!(what, "asking");
    let asked_at = Instant::now();
    let answer = tokio::time::timeout(timeout, consul.call(call, timeout)).await;
    let took = asked_at.elapsed();
    let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    trace!(what, took_us, "answered");
    let result = answer.unwrap_or_else(|_| Err(unanswered(&what, timeout)));
    (took, result)
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

async fn told_to_stop(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone can tell nothing any more, which is the same as being told to stop.
    let _ = stop.wait_for(|stop| *stop).await;
}
