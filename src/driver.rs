//! Driver: runs one group's machine.
//!
//! One task per group, spawned by `main`. It waits for (deadline | completion | report | stop),
//! makes one call into the machine, carries the actions out, and is the only place that logs the
//! machine's transitions. It ends when the machine has stopped, and is cancel safe: dropped, it
//! abandons its requests, and the VIP task takes the address off.

pub mod clock;
pub(crate) mod journal;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;

use self::clock::Clock;
use crate::consul;
use crate::election::call::{Answer, Call, Failure, FailureKind, OpId};
use crate::election::machine::{Action, Event, Machine, Params};
use crate::election::status::{Outcome, Phase};
use crate::election::target::{VipOrder, VipReport};

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

/// The driver's ends of the talk with the VIP task.
#[derive(Debug)]
pub struct Link {
    /// What the machine wants.
    pub orders: watch::Sender<VipOrder>,
    /// What the kernel says.
    pub reports: watch::Receiver<Option<VipReport>>,
}

/// Runs a group until it has stopped.
///
/// `link` is there exactly when the group's terms are managed. `stop` turning true is the request
/// to give everything up.
pub async fn run<P: Consul, C: Clock>(
    group: &str,
    params: Params,
    seed: u64,
    consul: Arc<P>,
    mut clock: C,
    mut link: Option<Link>,
    mut stop: watch::Receiver<bool>,
) -> Outcome {
    let (mut machine, actions) = Machine::start(params, clock.now(), seed);
    let mut calls = FuturesUnordered::new();
    let mut stopping = false;
    calls.extend(
        actions
            .into_iter()
            .map(|action| carry_out(Arc::clone(&consul), action)),
    );
    loop {
        let before = machine.status();
        if let Phase::Stopped(outcome) = before.phase {
            return outcome;
        }
        let deadline = machine.deadline();
        let sleep = async {
            match deadline {
                Some((at, _)) => clock.sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let event = tokio::select! {
            // In this order, so that an answer that came with the deadline counts.
            biased;
            () = told_to_stop(&mut stop), if !stopping => {
                stopping = true;
                Event::Stop
            }
            report = next_report(link.as_mut()) => Event::Vip(report),
            Some((op, result)) = calls.next() => Event::Completed { op, result },
            () = sleep => Event::DeadlineReached,
        };
        let now = clock.now();
        let actions = machine.step(now, event);
        if let (Some(link), Some(order)) = (&link, machine.vip_order()) {
            link.orders
                .send_if_modified(|last| std::mem::replace(last, order) != order);
        }
        calls.extend(
            actions
                .into_iter()
                .map(|action| carry_out(Arc::clone(&consul), action)),
        );
        journal::log(group, now, &before, &machine.status());
    }
}

/// A completion comes back for every action, whatever Consul does.
async fn carry_out<P: Consul>(
    consul: Arc<P>,
    Action::Call { op, call, timeout }: Action,
) -> (OpId, Result<Answer, Failure>) {
    let what = call.to_string();
    let answer = tokio::time::timeout(timeout, consul.call(call, timeout)).await;
    (
        op,
        answer.unwrap_or_else(|_| Err(unanswered(&what, timeout))),
    )
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

async fn told_to_stop(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone can tell nothing any more, which is the same as being told to stop.
    let _ = stop.wait_for(|stop| *stop).await;
}
