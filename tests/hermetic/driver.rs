//! The driver and the VIP task over an in-memory Consul and kernel, under paused time.

pub(crate) mod memory;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::JoinHandle;
use vip_elector::driver::clock::Clock;
use vip_elector::driver::{self, Link, World};
use vip_elector::election::health::Health;
use vip_elector::election::lease::Terms;
use vip_elector::election::machine::{Options, Params};
use vip_elector::election::note::Before;
use vip_elector::election::peer::GroupId;
use vip_elector::election::status::Outcome;
use vip_elector::election::target::{VipOrder, VipReport, VipTarget};
use vip_elector::peers::post::Letterbox;
use vip_elector::status::Role;
use vip_elector::status::change::Cause;
use vip_elector::status::counters::Deeds;
use vip_elector::status::snapshot::{About, PULSE, Snapshot};
use vip_elector::vip::announce::Announcing;
use vip_elector::vip::task;

use self::memory::{Forgetful, MemoryConsul, MemoryKernel, PausedClock};
use crate::lines::{self, Lines};

const D: Duration = Duration::from_secs(3);
const T: Duration = Duration::from_secs(10);

/// Of paused time.
const LIMIT: Duration = Duration::from_secs(3600);

/// A driver whose VIP task is the test itself.
struct Host {
    driver: JoinHandle<Outcome>,
    orders: watch::Receiver<VipOrder>,
    reports: watch::Sender<Option<VipReport>>,
    stop: Option<oneshot::Sender<()>>,
    told: watch::Receiver<Snapshot>,
}

impl Host {
    fn start(name: &'static str, consul: &Arc<MemoryConsul>) -> Self {
        let (orders, orders_seen) = watch::channel(VipOrder::first(VipTarget::Absent));
        let (reports, reports_seen) = watch::channel(None);
        let (stop, stopping) = oneshot::channel();
        let terms = Terms::managed(D, T);
        let (told, seen) = watch::channel(not_begun(name, terms));
        let params = Params {
            terms,
            value: name.into(),
            session_name: name.into(),
            group: GroupId(1),
            before: Before::Nothing,
            options: Options::default(),
        };
        let consul = Arc::clone(consul);
        let driver = tokio::spawn(async move {
            let link = Some(Link {
                orders,
                reports: reports_seen,
            });
            let world = World {
                consul,
                clock: PausedClock::new(),
                memory: Forgetful,
                link,
                peers: None::<Letterbox>,
                health: watch::channel(Health::Good).1,
                stop: stopping,
                told,
            };
            driver::run("key", params, 1, world).await
        });
        let host = Self {
            driver,
            orders: orders_seen,
            reports,
            stop: Some(stop),
            told: seen,
        };
        host.report(false);
        host
    }

    fn report(&self, held: bool) {
        let version = self.orders.borrow().version;
        self.reports.send_replace(Some(VipReport {
            version,
            held,
            blocker: None,
        }));
    }

    fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    async fn until_held(&mut self) {
        let held = |order: &VipOrder| matches!(order.target, VipTarget::HeldUntil(_));
        let waited = tokio::time::timeout(LIMIT, self.orders.wait_for(held)).await;
        waited.expect("never led").unwrap();
        self.report(true);
    }

    async fn until_absent(&mut self) {
        let absent = |order: &VipOrder| matches!(order.target, VipTarget::Absent);
        let waited = tokio::time::timeout(LIMIT, self.orders.wait_for(absent)).await;
        waited.expect("led for ever").unwrap();
    }
}

fn not_begun(value: &str, terms: Terms) -> Snapshot {
    let clock = PausedClock::new();
    let about = About {
        group: "key".into(),
        value: value.into(),
        priority: 0,
        terms,
        vips: Vec::new(),
        deeds: Arc::default(),
        hooks: Arc::default(),
    };
    Snapshot::new(about, clock.time_of_day(), clock.now())
}

fn elapsed(since: tokio::time::Instant) -> Duration {
    since.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_stop_takes_the_address_off_before_the_lock_is_given_up() {
    let consul = MemoryConsul::with_released_key();
    let mut host = Host::start("web1", &consul);
    host.until_held().await;
    assert_eq!(consul.holder().as_deref(), Some("web1"));

    host.stop();
    host.until_absent().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(
        consul.holder().as_deref(),
        Some("web1"),
        "given up with the address up"
    );
    host.report(false);
    assert_eq!(host.driver.await.unwrap(), Outcome::Stopped);
    assert_eq!(consul.holder(), None);
    assert!(
        consul.is_released(),
        "key in place, with the flag, empty, without a session"
    );
    assert_eq!(consul.sessions(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_consul_that_falls_silent_costs_the_address_at_the_leases_end() {
    let consul = MemoryConsul::with_released_key();
    let mut host = Host::start("web1", &consul);
    host.until_held().await;
    tokio::time::sleep(Duration::from_secs(7)).await;
    let last_confirm = consul.last_read_at();
    consul.fall_silent();
    host.until_absent().await;
    let held_for = elapsed(last_confirm);
    assert!(
        held_for <= D - Duration::from_millis(80),
        "{held_for:?} after the last confirm"
    );
    assert!(
        held_for >= D - Duration::from_millis(82),
        "{held_for:?}: the lease was not used"
    );
}

#[tokio::test(start_paused = true)]
async fn a_consul_that_was_silent_is_found_again() {
    let consul = MemoryConsul::with_released_key();
    let mut host = Host::start("web1", &consul);
    host.until_held().await;
    consul.fall_silent();
    host.until_absent().await;
    host.report(false);
    tokio::time::sleep(Duration::from_secs(600)).await;
    consul.speak_again();
    let asked = tokio::time::Instant::now();
    host.until_held().await;
    // The longest pause between tries, and the longest timeout.
    assert!(
        elapsed(asked) < Duration::from_secs(14),
        "{:?}",
        elapsed(asked)
    );
}

#[tokio::test(start_paused = true)]
async fn a_standby_takes_over_at_once_when_the_leader_stops() {
    let consul = MemoryConsul::with_released_key();
    let mut first = Host::start("web1", &consul);
    first.until_held().await;
    let mut second = Host::start("web2", &consul);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(matches!(second.orders.borrow().target, VipTarget::Absent));

    let stopped = tokio::time::Instant::now();
    first.stop();
    first.until_absent().await;
    first.report(false);
    second.until_held().await;
    assert!(
        elapsed(stopped) < Duration::from_millis(100),
        "{:?}",
        elapsed(stopped)
    );
}

#[tokio::test(start_paused = true)]
async fn a_standby_waits_the_lock_delay_when_the_leaders_session_dies() {
    let consul = MemoryConsul::with_released_key();
    let mut first = Host::start("web1", &consul);
    first.until_held().await;
    let mut second = Host::start("web2", &consul);
    tokio::time::sleep(Duration::from_secs(30)).await;

    let died = tokio::time::Instant::now();
    consul.destroy_holder(D);
    first.until_absent().await;
    first.report(false);
    tokio::select! {
        // It may come back with a new session: the wait is the same for all.
        () = first.until_held() => {}
        () = second.until_held() => {}
    }
    assert!(elapsed(died) >= D, "{:?}", elapsed(died));
    assert!(
        elapsed(died) < D + Duration::from_millis(500),
        "{:?}",
        elapsed(died)
    );
}

#[tokio::test(start_paused = true)]
async fn transitions_are_logged_once_and_a_healthy_standby_is_silent() {
    let log = Lines::default();
    let guard = lines::capture(&log);
    let consul = MemoryConsul::with_released_key();
    let mut first = Host::start("web1", &consul);
    first.until_held().await;
    let second = Host::start("web2", &consul);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = log.all().len();
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(
        log.all().len(),
        before,
        "a leader and a standby had something to say"
    );
    consul.fall_silent();
    tokio::time::sleep(Duration::from_secs(120)).await;
    consul.speak_again();
    tokio::time::sleep(Duration::from_secs(120)).await;
    drop(guard);
    drop((first, second));
    insta::assert_snapshot!(log.all().join("\n"));
}

#[tokio::test(start_paused = true)]
async fn what_a_driver_says_of_itself_follows_what_it_does() {
    let consul = MemoryConsul::with_released_key();
    let mut first = Host::start("web1", &consul);
    first.until_held().await;
    let mut second = Host::start("web2", &consul);
    tokio::time::sleep(Duration::from_secs(30)).await;
    let now = PausedClock::new().now();

    let (leader, standby) = (first.told.borrow().clone(), second.told.borrow().clone());
    assert!(leader.leads(now) && !standby.leads(now));
    assert_eq!((leader.role, standby.role), (Role::Leader, Role::Standby));
    assert_eq!(
        (leader.leader(), standby.leader()),
        (Some("web1"), Some("web1"))
    );
    assert_eq!(leader.why(), None);
    assert_eq!(standby.why().as_deref(), Some("web1 leads"));
    assert!(leader.held && !standby.held);
    // 5 is the released key, 6 the session, 7 the lock.
    assert_eq!((leader.term, standby.term), (Some(7), None));
    let confirms = leader.counters.confirms.cumulative().last();
    assert!(
        confirms > Some(30),
        "{confirms:?} in 30 s, one in 0.67 s at least"
    );
    assert_eq!(
        leader.counters.confirms.sum(),
        Duration::from_millis(confirms.unwrap())
    );
    assert!(standby.counters.confirms.cumulative().last() == Some(0));
    assert!(standby.counters.renewals.cumulative().last() > Some(0));
    // What this Consul refuses: candidates, once.
    assert!(standby.counters.errors.named().all(|(_, count)| count == 0));

    consul.destroy_holder(D);
    first.until_absent().await;
    first.report(false);
    second.until_held().await;
    let term = |told: &Snapshot| told.term.is_some();
    let new = second.told.wait_for(term).await.unwrap().clone();
    assert!(new.term > leader.term);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let old = first.told.borrow().clone();
    let changes: Vec<_> = old
        .transitions
        .iter()
        .map(|change| (change.to, change.cause))
        .collect();
    assert_eq!(
        changes[..2],
        [
            (Role::Standby, Cause::Joined),
            (Role::Leader, Cause::Acquired)
        ]
    );
    assert!(
        changes[2..]
            .iter()
            .any(|(_, cause)| *cause == Cause::KeyDeleted || *cause == Cause::SessionGone)
    );
    assert_eq!(old.term, None);
}

#[tokio::test(start_paused = true)]
async fn a_driver_wakes_others_for_news_alone_and_goes_round_all_the_same() {
    let consul = MemoryConsul::with_released_key();
    let mut host = Host::start("web1", &consul);
    host.until_held().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    host.told.borrow_and_update();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!host.told.has_changed().unwrap(), "confirms are no news");
    let still = |host: &Host| PausedClock::new().now() - host.told.borrow().turned_at;
    assert!(still(&host) <= PULSE, "{:?}", still(&host));

    // Waiting for the kernel's word, a driver has nothing to do but to go round.
    let idle = Host::start("web2", &consul);
    idle.reports.send_replace(None);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(still(&idle) <= PULSE, "{:?}", still(&idle));

    host.driver.abort();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(
        still(&host) >= Duration::from_secs(60),
        "who is gone is seen to be"
    );
}

/// A VIP task whose driver is the test itself.
struct Hand {
    kernel: MemoryKernel,
    orders: watch::Sender<VipOrder>,
    reports: watch::Receiver<Option<VipReport>>,
    deeds: Arc<Deeds>,
    task: JoinHandle<()>,
}

impl Hand {
    fn start(first: VipTarget, turns: &Arc<Semaphore>) -> Self {
        let kernel = MemoryKernel::default();
        let (orders, orders_seen) = watch::channel(VipOrder::first(first));
        let (reports, reports_seen) = watch::channel(None);
        let deeds = Arc::new(Deeds::default());
        let ends = task::Link {
            orders: orders_seen,
            reports,
            deeds: Arc::clone(&deeds),
            turns: Arc::clone(turns),
        };
        let address = "192.0.2.1".parse().unwrap();
        let kernels = vec![(address, Announcing::of(address), kernel.clone())];
        let running = async move { task::run("key", kernels, PausedClock::new(), ends).await };
        Self {
            kernel,
            orders,
            reports: reports_seen,
            deeds,
            task: tokio::spawn(running),
        }
    }

    fn order(&self, version: u64, target: VipTarget) {
        self.orders.send_replace(VipOrder { version, target });
    }

    async fn is(&mut self, held: bool) {
        self.says(|report| report.held == held).await;
    }

    async fn says(&mut self, so: impl Fn(&VipReport) -> bool) {
        let so = |report: &Option<VipReport>| report.as_ref().is_some_and(&so);
        let said = tokio::time::timeout(LIMIT, self.reports.wait_for(so)).await;
        said.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn no_lease_waits_for_a_turn() {
    let turns = turns();
    let all_taken = turns.clone().acquire_owned().await.unwrap();
    let started = tokio::time::Instant::now();
    let mut hand = Hand::start(VipTarget::Absent, &turns);
    hand.is(false).await;
    hand.order(1, VipTarget::HeldUntil(memory::lease_from_now(D, T)));
    hand.is(true).await;
    assert_eq!(started.elapsed(), Duration::ZERO);

    // To be taken off, and wanted again before its turn has come.
    hand.order(2, VipTarget::Absent);
    tokio::time::sleep(D / 2).await;
    assert!(hand.kernel.is_up());
    let lease = memory::lease_from_now(D, T);
    hand.order(3, VipTarget::HeldUntil(lease));
    hand.says(|report| report.version == 3).await;
    assert!(hand.kernel.is_up());

    // The turn does not come before the lease ends.
    hand.order(4, VipTarget::Absent);
    hand.is(false).await;
    assert_eq!(PausedClock::new().now(), lease.end());
    assert!(!hand.kernel.is_up());
    drop(all_taken);
}

fn turns() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(1))
}

#[tokio::test(start_paused = true)]
async fn the_vip_task_follows_its_orders_and_takes_the_address_off_when_the_driver_is_gone() {
    let mut hand = Hand::start(VipTarget::Absent, &turns());
    hand.is(false).await;
    hand.order(1, VipTarget::HeldUntil(memory::lease_from_now(D, T)));
    hand.is(true).await;
    assert_eq!(hand.reports.borrow().as_ref().unwrap().version, 1);
    assert!(hand.kernel.is_up());

    drop(hand.orders);
    hand.task.await.unwrap();
    assert!(!hand.kernel.is_up());
    let steps = hand.kernel.steps();
    let announced = steps.iter().filter(|step| *step == "Announce").count() as u64;
    assert!(announced > 0);
    assert_eq!(hand.deeds.announcements.load(Ordering::Relaxed), announced);
    assert_eq!(
        steps.last().map(String::as_str),
        Some("Remove { prefix: 32 }")
    );
}

#[tokio::test(start_paused = true)]
async fn the_vip_task_ends_a_lease_that_nobody_prolongs() {
    let lease = memory::lease_from_now(Duration::from_secs(1), T);
    let started = tokio::time::Instant::now();
    let mut hand = Hand::start(VipTarget::HeldUntil(lease), &turns());
    hand.is(true).await;
    hand.is(false).await;
    let margin = Duration::from_millis(60);
    assert_eq!(
        started.elapsed().as_millis(),
        (Duration::from_secs(1) - margin).as_millis()
    );
    drop(hand.orders);
    hand.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_an_address_to_be_off_goes_on_before_the_next_one_is_taken_off() {
    let turns = turns();
    let held = VipTarget::HeldUntil(memory::lease_from_now(D, T));
    let mut hands: Vec<_> = (0..5).map(|_| Hand::start(held, &turns)).collect();
    for hand in &mut hands {
        hand.is(true).await;
    }
    for hand in &hands {
        hand.order(1, VipTarget::Absent);
    }
    let kernels: Vec<_> = hands.iter().map(|hand| hand.kernel.clone()).collect();
    let waiting = hands.iter_mut().map(|hand| async {
        hand.is(false).await;
        kernels.iter().filter(|kernel| kernel.is_up()).count()
    });
    let left: Vec<_> = waiting.collect::<FuturesUnordered<_>>().collect().await;
    assert_eq!(left, [4, 3, 2, 1, 0]);
}
