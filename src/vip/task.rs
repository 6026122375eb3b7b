//! Applier: makes the kernel's addresses match the newest order.
//!
//! One task per group, for all of its addresses. It is spawned by `daemon`, ends when the driver drops the order
//! channel, and then takes the addresses off first; and by itself when the kernel cannot be looked at any more, upon
//! which the group starts over. Aborted at any point it loses nothing but time: the kernel itself ends
//! what it was given.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::select_all;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::driver::clock::Clock;
use crate::election::target::{VipOrder, VipReport, VipTarget};
use crate::election::time::Timestamp;
use crate::status::counters::Deeds;
use crate::vip::announce::Announcing;
use crate::vip::journal::Journal;
use crate::vip::reconcile::{Next, Observed, Reconciler, Step};
use crate::vip::together;

/// How many looks and steps may follow each other without a wait: a bound on a disagreement with the kernel.
const STEPS_PER_PASS: usize = 32;

/// How long to wait for a kernel that cannot even be looked at.
const BLIND_PAUSE: Duration = Duration::from_millis(100);

/// How often such a kernel is waited for, before the group better starts over.
const BLIND_LIMIT: u32 = 50;

/// How often the addresses are taken off at the end; the process leaves before this is used up.
const LAST_PASSES: u32 = 100;

/// The kernel, as far as one virtual IP on one interface goes.
pub trait Kernel: Send {
    /// Looks at the interface and at the address.
    fn observe(&mut self) -> impl Future<Output = Result<Observed, String>> + Send;

    /// Does one step, and returns when the kernel has said so.
    fn apply(&mut self, step: Step) -> impl Future<Output = Result<(), String>> + Send;

    /// Waits until something may have changed. Cancel safe.
    fn changed(&mut self) -> impl Future<Output = ()> + Send;
}

/// Both ends of the talk between a group's driver and its VIP task.
#[derive(Debug)]
pub struct Link {
    /// What the machine wants.
    pub orders: watch::Receiver<VipOrder>,
    /// What the kernel says.
    pub reports: watch::Sender<Option<VipReport>>,
    /// What is counted.
    pub deeds: Arc<Deeds>,
    /// Permits to take addresses off, for all groups of the process.
    pub turns: Arc<Semaphore>,
}

/// Runs until the driver is gone. Every kernel is that of one address.
pub async fn run<K: Kernel, C: Clock>(
    group: &str,
    kernels: Vec<(IpAddr, Announcing, K)>,
    mut clock: C,
    mut link: Link,
) {
    let hands = kernels
        .into_iter()
        .map(|(address, announcing, kernel)| Hand {
            kernel,
            reconciler: Reconciler::new(announcing),
            journal: Journal::of(group, address),
            blind: 0,
        });
    let hands: Vec<_> = hands.collect();
    let mut task = Task {
        reports: vec![None; hands.len()],
        hands,
        lent_until: None,
    };
    while task.hands.iter().all(|hand| hand.blind < BLIND_LIMIT) {
        // In a box: most of the time the task only waits.
        let turn = Box::pin(task.turn(&mut clock, &mut link)).await;
        // What is wanted may have become another thing meanwhile, and may take longer.
        let order = *link.orders.borrow_and_update();
        let turn = turn.filter(|_| is_off(&order));
        let wake_at = Box::pin(task.pass(&clock, &link, &order)).await;
        if turn.is_some() {
            // Whoever waits for the report goes on before the next group.
            tokio::task::yield_now().await;
        }
        drop(turn);
        let sleep = async {
            match wake_at {
                Some(at) => clock.sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = link.orders.changed() => if changed.is_err() { break },
            () = task.changed() => {}
            () = sleep => {}
        }
    }
    let version = link.orders.borrow().version + 1;
    let target = VipTarget::Absent;
    let order = VipOrder { version, target };
    for _ in 0..LAST_PASSES {
        let wake_at = Box::pin(task.pass(&clock, &link, &order)).await;
        let off = |report: &VipReport| report.version == version && !report.held;
        if link.reports.borrow().as_ref().is_some_and(off) {
            return;
        }
        clock
            .sleep_until(wake_at.unwrap_or_else(|| clock.now() + BLIND_PAUSE))
            .await;
    }
}

struct Task<K> {
    hands: Vec<Hand<K>>,
    /// The last one of each.
    reports: Vec<Option<VipReport>>,
    /// The end of the last lease, while an address may be up.
    lent_until: Option<Timestamp>,
}

impl<K: Kernel> Task<K> {
    /// Waits for a turn where addresses that may be up are to go: a thousand in a row would keep the first one off, and its
    /// lock from the next host, until the last one is.
    ///
    /// This is for speed alone, and costs no lease: it waits no longer than until its end, and not at all where that is not
    /// known. Then, and where the addresses are wanted again, there is no turn, and the task goes on without. Cancel safe.
    async fn turn<C: Clock>(&self, clock: &mut C, link: &mut Link) -> Option<OwnedSemaphorePermit> {
        let end = self.lent_until.filter(|_| is_off(&link.orders.borrow()))?;
        tokio::select! {
            turn = Arc::clone(&link.turns).acquire_owned() => turn.ok(),
            () = clock.sleep_until(end) => None,
            _ = link.orders.wait_for(|order| !is_off(order)) => None,
        }
    }

    /// Takes steps until nothing is left to do, reports, and returns when to look again.
    async fn pass<C: Clock>(
        &mut self,
        clock: &C,
        link: &Link,
        order: &VipOrder,
    ) -> Option<Timestamp> {
        for hand in &mut self.hands {
            hand.reconciler.begin();
        }
        let before = self.is_blocked();
        let mut wake_at = self.round(clock, link, order).await;
        // What has become of one of them may be news to those before it.
        if before || self.is_blocked() {
            wake_at = self.round(clock, link, order).await;
        }
        let held = |report: &Option<VipReport>| report.as_ref().is_none_or(|report| report.held);
        self.lent_until = match order.target {
            VipTarget::HeldUntil(lease) => Some(lease.end()),
            VipTarget::Kept | VipTarget::Absent => {
                self.lent_until.filter(|_| self.reports.iter().any(held))
            }
        };
        if let Some(report) = together::report(&self.reports) {
            link.reports.send_if_modified(|last| {
                let modified = last.as_ref() != Some(&report);
                *last = Some(report);
                modified
            });
        }
        wake_at
    }

    fn is_blocked(&self) -> bool {
        let mut known = self.reports.iter().flatten();
        known.any(|report| report.blocker.is_some())
    }

    /// Has each of them take its steps.
    async fn round<C: Clock>(
        &mut self,
        clock: &C,
        link: &Link,
        order: &VipOrder,
    ) -> Option<Timestamp> {
        let mut wake_at: Option<Timestamp> = None;
        for number in 0..self.hands.len() {
            let (before, after) = self.reports.split_at(number);
            let others = before.iter().chain(after.iter().skip(1));
            let own = together::order_for(order, others);
            let (report, at) = self.hands[number].pass(clock, link, &own).await;
            if report.is_some() {
                self.reports[number] = report;
            }
            wake_at = [wake_at, at].into_iter().flatten().min();
        }
        wake_at
    }

    /// Waits until something may have changed for any of them. Cancel safe.
    async fn changed(&mut self) {
        if self.hands.is_empty() {
            return std::future::pending().await;
        }
        let changes = self
            .hands
            .iter_mut()
            .map(|hand| Box::pin(hand.kernel.changed()));
        select_all(changes).await;
        // One change is told to all, and looked at once.
        for hand in &mut self.hands {
            let _ = hand.kernel.changed().now_or_never();
        }
    }
}

fn is_off(order: &VipOrder) -> bool {
    order.target == VipTarget::Absent
}

/// One address.
struct Hand<K> {
    kernel: K,
    reconciler: Reconciler,
    journal: Journal,
    /// How often in a row the kernel could not be looked at.
    blind: u32,
}

impl<K: Kernel> Hand<K> {
    /// Returns what is true then, unless the kernel does not say, and when to look again.
    async fn pass<C: Clock>(
        &mut self,
        clock: &C,
        link: &Link,
        order: &VipOrder,
    ) -> (Option<VipReport>, Option<Timestamp>) {
        for _ in 0..STEPS_PER_PASS {
            match self.reconciler.next(clock.now(), order) {
                Next::Look => match self.kernel.observe().await {
                    Ok(seen) => {
                        self.blind = 0;
                        self.journal.looked(&seen);
                        self.reconciler.looked(seen);
                    }
                    Err(error) => {
                        self.blind += 1;
                        self.journal.blind(&error);
                        break;
                    }
                },
                Next::Do(step) => {
                    let result = self.kernel.apply(step).await;
                    count(&link.deeds, step, &result);
                    self.journal.done(step, result.as_ref().err());
                    self.reconciler.done(clock.now(), order, step, result);
                }
                Next::Rest { report, wake_at } => {
                    self.journal.blocked(report.blocker.as_ref());
                    return (Some(report), wake_at);
                }
            }
        }
        (None, Some(clock.now() + BLIND_PAUSE))
    }
}

fn count(deeds: &Deeds, step: Step, result: &Result<(), String>) {
    match (step, result) {
        (_, Err(_)) => deeds.failures.fetch_add(1, Ordering::Relaxed),
        (Step::Announce, Ok(())) => deeds.announcements.fetch_add(1, Ordering::Relaxed),
        (Step::Add { .. } | Step::Refresh { .. } | Step::Remove { .. } | Step::Ask, Ok(())) => 0,
    };
}
