//! Several addresses of one group, over kernels in memory, under paused time: all or none.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;
use vip_elector::driver::clock::Clock;
use vip_elector::election::lease::{Lease, Terms};
use vip_elector::election::target::{Blocker, VipOrder, VipReport, VipTarget};
use vip_elector::vip::announce::Announcing;
use vip_elector::vip::reconcile::{LinkSeen, Observed, Step, VipSeen, VipState};
use vip_elector::vip::task::{self, Kernel};

use crate::driver::memory::PausedClock;

/// What one address is like.
#[derive(Default)]
struct State {
    held: bool,
    foreign: bool,
    gone: bool,
    refuses: bool,
    blind: bool,
    adds: u32,
}

#[derive(Clone, Default)]
struct FickleKernel(Arc<(Mutex<State>, Notify)>);

impl FickleKernel {
    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_one();
    }

    fn is_held(&self) -> bool {
        self.0.0.lock().unwrap().held
    }

    fn adds(&self) -> u32 {
        self.0.0.lock().unwrap().adds
    }
}

impl Kernel for FickleKernel {
    async fn observe(&mut self) -> Result<Observed, String> {
        let state = self.0.0.lock().unwrap();
        if state.blind {
            return Err("no answer".to_owned());
        }
        if state.gone {
            return Ok(Observed::default());
        }
        let seen = |ours| VipSeen {
            prefix: 32,
            ours,
            state: VipState::Usable,
        };
        let ours = state.held.then_some(seen(true));
        let theirs = state.foreign.then_some(seen(false));
        Ok(Observed {
            link: Some(LinkSeen {
                up: true,
                mac: None,
                moves: 0,
            }),
            vips: ours.into_iter().chain(theirs).collect(),
            prefix: 32,
            ..Observed::default()
        })
    }

    async fn apply(&mut self, step: Step) -> Result<(), String> {
        let mut state = self.0.0.lock().unwrap();
        match step {
            Step::Add { .. } if state.refuses => return Err("no room".to_owned()),
            Step::Add { .. } => {
                state.held = true;
                state.adds += 1;
            }
            Step::Refresh { .. } => state.held = true,
            Step::Remove { .. } => state.held = false,
            Step::Announce | Step::Ask => {}
        }
        Ok(())
    }

    async fn changed(&mut self) {
        self.0.1.notified().await;
    }
}

/// A group with three addresses, and its task.
struct Group {
    kernels: [FickleKernel; 3],
    orders: watch::Sender<VipOrder>,
    reports: watch::Receiver<Option<VipReport>>,
    task: JoinHandle<()>,
}

impl Group {
    fn start() -> Self {
        let kernels: [FickleKernel; 3] = Default::default();
        let (orders, orders_seen) = watch::channel(VipOrder::first(VipTarget::Absent));
        let (reports, reports_seen) = watch::channel(None);
        let ends = task::Link {
            orders: orders_seen,
            reports,
            deeds: Arc::default(),
            turns: Arc::new(Semaphore::new(1)),
        };
        let addresses = ["192.0.2.1", "2001:db8::1", "192.0.2.2"];
        let addresses = addresses.map(|text| text.parse::<IpAddr>().unwrap());
        let each = addresses.into_iter().zip(kernels.clone());
        let each = each
            .map(|(address, kernel)| (address, Announcing::of(address), kernel))
            .collect();
        let running = async move { task::run("key", each, PausedClock::new(), ends).await };
        Self {
            kernels,
            orders,
            reports: reports_seen,
            task: tokio::spawn(running),
        }
    }

    /// Orders them held, for as long as a test lasts.
    fn hold(&self) {
        let ten = Duration::from_secs(10);
        let terms = Terms::managed(ten, ten).without_kernel_lease();
        let lease = Lease::new(terms, PausedClock::new().now() + Duration::from_secs(3600));
        self.order(VipTarget::HeldUntil(lease));
    }

    fn order(&self, target: VipTarget) {
        self.orders.send_modify(|order| {
            order.version += 1;
            order.target = target;
        });
    }

    async fn told(&mut self, is: impl Fn(&VipReport) -> bool) -> VipReport {
        let version = self.orders.borrow().version;
        let told = |report: &Option<VipReport>| {
            let report = report.as_ref();
            report.is_some_and(|report| report.version == version && is(report))
        };
        let limit = Duration::from_secs(60);
        let report = tokio::time::timeout(limit, self.reports.wait_for(told)).await;
        report.expect("it is told").unwrap().clone().unwrap()
    }

    fn held(&self) -> [bool; 3] {
        [0, 1, 2].map(|number| self.kernels[number].is_held())
    }
}

#[tokio::test(start_paused = true)]
async fn all_are_held_and_all_are_off_before_it_is_told() {
    let mut group = Group::start();
    group.told(|report| !report.held).await;
    group.hold();
    group.told(|report| report.held).await;
    assert_eq!(group.held(), [true; 3]);
    group.order(VipTarget::Absent);
    group.told(|report| !report.held).await;
    assert_eq!(group.held(), [false; 3]);

    group.hold();
    group.told(|report| report.held).await;
    drop(group.orders);
    group.task.await.unwrap();
    let held = group.kernels.iter().any(FickleKernel::is_held);
    assert!(!held, "the driver is gone");
}

#[tokio::test(start_paused = true)]
async fn whatever_keeps_one_from_being_held_keeps_all() {
    type Change = fn(&mut State, bool);
    let troubles: [(Change, Blocker); 3] = [
        (|state, is| state.gone = is, Blocker::InterfaceMissing),
        (|state, is| state.foreign = is, Blocker::Foreign),
        (
            |state, is| state.refuses = is,
            Blocker::Refused("no room".to_owned()),
        ),
    ];
    for (change, blocker) in troubles {
        for number in 0..3 {
            let mut group = Group::start();
            group.kernels[number].set(|state| change(state, true));
            group.hold();
            let report = group.told(|report| report.blocker.is_some()).await;
            assert_eq!(report.blocker, Some(blocker.clone()), "{number}");
            assert!(!report.held, "{number}: {blocker}");
            assert_eq!(group.held(), [false; 3], "{number}: {blocker}");
            // It passes, and nobody has to say so again.
            group.kernels[number].set(|state| change(state, false));
            group
                .told(|report| report.held && report.blocker.is_none())
                .await;
            assert_eq!(group.held(), [true; 3], "{number}: {blocker}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_loses_its_interface_takes_the_others_off() {
    let mut group = Group::start();
    group.hold();
    group.told(|report| report.held).await;
    group.kernels[1].set(|state| {
        state.gone = true;
        state.held = false;
    });
    let report = group.told(|report| report.blocker.is_some()).await;
    assert!(!report.held);
    assert_eq!(group.held(), [false; 3]);
}

#[tokio::test(start_paused = true)]
async fn one_that_was_removed_comes_back_alone() {
    let mut group = Group::start();
    group.hold();
    group.told(|report| report.held).await;
    group.kernels[1].set(|state| state.held = false);
    let back = async {
        while !group.kernels[1].is_held() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), back)
        .await
        .unwrap();
    let adds = group.kernels.iter().map(FickleKernel::adds);
    assert_eq!(adds.collect::<Vec<_>>(), [1, 2, 1]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_told_to_be_off_that_nobody_can_see() {
    let mut group = Group::start();
    group.hold();
    group.told(|report| report.held).await;
    group.kernels[2].set(|state| state.blind = true);
    group.order(VipTarget::Absent);
    let seen = tokio::time::timeout(
        Duration::from_secs(3),
        group
            .reports
            .wait_for(|report| report.as_ref().is_some_and(|report| !report.held)),
    );
    assert!(seen.await.is_err(), "the third may be up");
    assert_eq!(
        group.held()[..2],
        [false; 2],
        "the others are off meanwhile"
    );
    group.kernels[2].set(|state| state.blind = false);
    group.told(|report| !report.held).await;
    assert_eq!(group.held(), [false; 3]);
}
