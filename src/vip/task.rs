//! Applier: makes the kernel's addresses match the newest order.
//!
//! One task per group. It is spawned by `daemon`, ends when the driver drops the order channel, and
//! then takes the address off first; and by itself when the kernel cannot be looked at any more, upon
//! which the process ends. Aborted at any point it loses nothing but time: the kernel itself ends
//! what it was given.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{debug, error, info, warn};

use crate::driver::clock::Clock;
use crate::election::lease::KernelLifetime;
use crate::election::target::{Blocker, VipOrder, VipReport, VipTarget};
use crate::election::time::Timestamp;
use crate::logging::TRANSITION;
use crate::status::counters::Deeds;
use crate::vip::reconcile::{Next, Observed, Reconciler, Step};

/// How many looks and steps may follow each other without a wait: a bound on a disagreement with the kernel.
const TURNS_PER_PASS: usize = 32;

/// How long to wait for a kernel that cannot even be looked at.
const BLIND_PAUSE: Duration = Duration::from_millis(100);

/// How often such a kernel is waited for, before the process is better started anew.
const BLIND_LIMIT: u32 = 50;

/// How often the address is taken off at the end; the process leaves before this is used up.
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
}

/// Runs until the driver is gone.
pub async fn run<K: Kernel, C: Clock>(
    group: &str,
    address: IpAddr,
    mut kernel: K,
    mut clock: C,
    mut link: Link,
) {
    let mut task = Task {
        group,
        address,
        reconciler: Reconciler::new(address),
        blocker: None,
        up: false,
        blind: 0,
        failure: None,
    };
    while task.blind < BLIND_LIMIT {
        let order = *link.orders.borrow_and_update();
        let wake_at = task.pass(&mut kernel, &clock, &link, &order).await;
        let sleep = async {
            match wake_at {
                Some(at) => clock.sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = link.orders.changed() => if changed.is_err() { break },
            () = kernel.changed() => {}
            () = sleep => {}
        }
    }
    let version = link.orders.borrow().version + 1;
    let target = VipTarget::Absent;
    let order = VipOrder { version, target };
    for _ in 0..LAST_PASSES {
        let wake_at = task.pass(&mut kernel, &clock, &link, &order).await;
        let off = |report: &VipReport| report.version == version && !report.held;
        if link.reports.borrow().as_ref().is_some_and(off) {
            return;
        }
        clock
            .sleep_until(wake_at.unwrap_or_else(|| clock.now() + BLIND_PAUSE))
            .await;
    }
}

struct Task<'a> {
    group: &'a str,
    address: IpAddr,
    reconciler: Reconciler,
    blocker: Option<Blocker>,
    /// The address is up by our doing.
    up: bool,
    /// How often in a row the kernel could not be looked at.
    blind: u32,
    /// The last failure that was logged.
    failure: Option<String>,
}

impl Task<'_> {
    /// Takes steps until nothing is left to do, reports, and returns when to look again.
    async fn pass<K: Kernel, C: Clock>(
        &mut self,
        kernel: &mut K,
        clock: &C,
        link: &Link,
        order: &VipOrder,
    ) -> Option<Timestamp> {
        self.reconciler.begin();
        for _ in 0..TURNS_PER_PASS {
            match self.reconciler.next(clock.now(), order) {
                Next::Look => match kernel.observe().await {
                    Ok(seen) => {
                        self.blind = 0;
                        self.log_missing(&seen);
                        self.reconciler.looked(seen);
                    }
                    Err(error) => {
                        self.blind += 1;
                        if self.is_new_failure(Some(&error)) {
                            error!(
                                group = self.group,
                                error,
                                "looking at the interface failed, trying again; should that last for 5 s, this \
                                 process ends, so that its supervisor starts another"
                            );
                        }
                        return Some(clock.now() + BLIND_PAUSE);
                    }
                },
                Next::Do(step) => {
                    let result = kernel.apply(step).await;
                    count(&link.deeds, step, &result);
                    self.log(step, result.as_ref().err());
                    self.reconciler.done(clock.now(), order, step, result);
                }
                Next::Rest { report, wake_at } => {
                    self.log_blocker(report.blocker.as_ref());
                    link.reports.send_if_modified(|last| {
                        let modified = last.as_ref() != Some(&report);
                        *last = Some(report);
                        modified
                    });
                    return wake_at;
                }
            }
        }
        Some(clock.now() + BLIND_PAUSE)
    }

    /// An address that went without us: nobody else will say why the next line adds it again.
    fn log_missing(&mut self, seen: &Observed) {
        if self.up && !seen.is_held() {
            self.up = false;
            let Self { group, address, .. } = self;
            warn!(
                target: TRANSITION,
                group,
                %address,
                "the address is gone: the kernel ended its lifetime because no confirm came in time, \
                 or somebody removed it"
            );
        }
    }

    /// Failures are repeated many times a second, and said once.
    fn is_new_failure(&mut self, failure: Option<&String>) -> bool {
        let new = failure.is_some() && self.failure.as_ref() != failure;
        self.failure = failure.cloned();
        new
    }

    fn log(&mut self, step: Step, error: Option<&String>) {
        if !self.is_new_failure(error) && error.is_some() {
            return;
        }
        match (step, error) {
            (Step::Add { .. }, None) => self.up = true,
            (Step::Remove { .. }, None) => self.up = false,
            (_, _) => {}
        }
        let Self { group, address, .. } = self;
        match (step, error) {
            (Step::Add { prefix, lifetime }, None) => {
                let lifetime_s = match lifetime {
                    KernelLifetime::Seconds(seconds) => Some(seconds),
                    KernelLifetime::Unlimited => None,
                };
                info!(group, %address, prefix, lifetime_s, "address added");
            }
            (Step::Remove { prefix }, None) => info!(group, %address, prefix, "address removed"),
            (Step::Refresh { .. } | Step::Announce, None) => {
                debug!(group, %address, ?step, "address kept up");
            }
            (Step::Ask, None) => debug!(group, %address, "nobody else answers for the address"),
            (Step::Ask, Some(error)) => {
                warn!(
                    group,
                    %address,
                    error,
                    "somebody else answers for the address, leaving it to others for 5 s; find the one with this MAC, \
                     and take the address off there"
                );
            }
            (Step::Add { .. }, Some(error)) => {
                warn!(
                    group,
                    %address,
                    error,
                    "adding the address failed, trying again; should it fail three times, another host gets its turn: \
                     grant CAP_NET_ADMIN, and see that the interface takes such an address and that nobody else adds it"
                );
            }
            (Step::Refresh { .. }, Some(error)) => {
                warn!(
                    group,
                    %address,
                    error,
                    "prolonging the address failed, trying again until the kernel takes it off; see that nobody else \
                     removes or replaces it"
                );
            }
            (Step::Remove { .. }, Some(error)) => {
                error!(
                    group,
                    %address,
                    error,
                    "removing the address failed, trying again; if it stays, take it off with `ip address del`"
                );
            }
            (Step::Announce, Some(error)) => {
                warn!(
                    group,
                    %address,
                    error,
                    "announcing the address failed, trying again; others may look for it where it was until then: \
                     grant CAP_NET_RAW, and see that the interface is up"
                );
            }
        }
    }

    fn log_blocker(&mut self, blocker: Option<&Blocker>) {
        if self.blocker.as_ref() == blocker {
            return;
        }
        let Self { group, address, .. } = self;
        match blocker {
            Some(blocker) => {
                warn!(
                    target: TRANSITION,
                    group,
                    %address,
                    reason = %blocker,
                    "this host cannot hold the address, and leaves it to others until it can"
                );
            }
            None => info!(group, %address, "this host can hold the address"),
        }
        self.blocker = blocker.cloned();
    }
}

fn count(deeds: &Deeds, step: Step, result: &Result<(), String>) {
    match (step, result) {
        (_, Err(_)) => deeds.failures.fetch_add(1, Ordering::Relaxed),
        (Step::Announce, Ok(())) => deeds.announcements.fetch_add(1, Ordering::Relaxed),
        (Step::Add { .. } | Step::Refresh { .. } | Step::Remove { .. } | Step::Ask, Ok(())) => 0,
    };
}
