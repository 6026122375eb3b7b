//! The reconciler over a small kernel: at its edges, and under anything that may happen.

use proptest::prelude::*;

use super::*;
use crate::election::lease::{KERNEL_LATENESS, Terms};

const ADDRESS: &str = "192.0.2.1";
const UP: Option<LinkSeen> = Some(LinkSeen {
    up: true,
    mac: Some([2, 0, 0, 0, 0, 1]),
});

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// One interface with one address, whole-second lifetimes, and removal as late as it may be.
struct World {
    now: Timestamp,
    reconciler: Reconciler,
    order: VipOrder,
    link: Option<LinkSeen>,
    /// When the kernel at the latest removes our address.
    ours_until: Option<Timestamp>,
    /// Somebody else's, with this prefix length.
    foreign: Option<u8>,
    refuses: bool,
    /// By how much it wakes up late.
    late: Duration,
    steps: Vec<Step>,
    looks: u32,
    /// The last report, and when to go on.
    rest: Option<(VipReport, Option<Timestamp>)>,
}

impl World {
    fn new() -> Self {
        Self {
            now: Timestamp::from_boot(Duration::from_secs(100)),
            reconciler: Reconciler::new(ADDRESS.parse().unwrap()),
            order: VipOrder {
                version: 0,
                target: VipTarget::Absent,
            },
            link: UP,
            ours_until: None,
            foreign: None,
            refuses: false,
            late: Duration::ZERO,
            steps: Vec::new(),
            looks: 0,
            rest: None,
        }
    }

    fn hold(&mut self, terms: Terms) -> Lease {
        let lease = Lease::new(terms, self.now);
        self.order.version += u64::from(matches!(self.order.target, VipTarget::Absent));
        self.order.target = VipTarget::HeldUntil(lease);
        self.settle();
        lease
    }

    fn let_go(&mut self) {
        self.order.version += u64::from(!matches!(self.order.target, VipTarget::Absent));
        self.order.target = VipTarget::Absent;
        self.settle();
    }

    fn seen_ours(&mut self) -> Option<VipSeen> {
        if self.ours_until.is_some_and(|until| until <= self.now) {
            self.ours_until = None;
        }
        self.ours_until.map(|_| VipSeen {
            prefix: 32,
            ours: true,
        })
    }

    fn seen(&mut self) -> Observed {
        let ours = self.seen_ours();
        let foreign = self.foreign.map(|prefix| VipSeen {
            prefix,
            ours: false,
        });
        Observed {
            link: self.link,
            vips: ours.into_iter().chain(foreign).collect(),
            prefix: 32,
        }
    }

    /// What the task does in one pass.
    fn settle(&mut self) {
        self.reconciler.begin();
        for _ in 0..20 {
            match self.reconciler.next(self.now, &self.order) {
                Next::Look => {
                    let seen = self.seen();
                    self.looks += 1;
                    self.reconciler.looked(seen);
                }
                Next::Do(step) => {
                    self.steps.push(step);
                    let result = self.carry_out(step);
                    self.reconciler.done(self.now, &self.order, step, result);
                }
                Next::Rest { report, wake_at } => {
                    assert!(wake_at.is_none_or(|at| at > self.now), "busy");
                    self.rest = Some((report, wake_at));
                    return;
                }
            }
        }
        panic!("never settles: {:?}", self.steps);
    }

    fn carry_out(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Add { .. } if self.refuses => return Err("no".to_owned()),
            Step::Add { prefix, .. } if self.foreign == Some(prefix) => {
                return Err("it is there".to_owned());
            }
            Step::Add { lifetime, .. } | Step::Refresh { lifetime, .. } => {
                let adds = matches!(step, Step::Add { .. });
                assert!(
                    !adds || self.foreign.is_none(),
                    "somebody else's address is never touched"
                );
                let KernelLifetime::Seconds(seconds) = lifetime else {
                    self.ours_until = Some(FOR_EVER);
                    return Ok(());
                };
                let lifetime = Duration::from_secs(seconds);
                self.ours_until = Some(self.now + lifetime + KERNEL_LATENESS);
            }
            Step::Remove { prefix } => {
                let theirs = self.foreign == Some(prefix) && self.seen_ours().is_none();
                assert!(
                    prefix == 32 && !theirs,
                    "somebody else's address is never touched"
                );
                self.ours_until = None;
            }
            Step::Announce => assert!(self.ours_until.is_some(), "announced and not there"),
        }
        Ok(())
    }

    fn report(&mut self) -> VipReport {
        self.settle();
        self.rest.clone().unwrap().0
    }

    /// Lets time pass, waking up when the reconciler asks for it.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let wake_at = self.rest.as_ref().and_then(|(_, wake_at)| *wake_at);
            match wake_at {
                Some(at) if at <= end => {
                    self.now = self.now.max(at) + self.late;
                    self.settle();
                }
                Some(_) | None => break,
            }
        }
        self.now = self.now.max(end);
        self.settle();
    }
}

const FOR_EVER: Timestamp = Timestamp::from_boot(Duration::MAX);

fn strict() -> Terms {
    Terms::managed(ms(3000), ms(10_000))
}

#[test]
fn the_address_comes_up_is_announced_and_goes() {
    let mut world = World::new();
    world.settle();
    assert_eq!(world.steps, []);
    world.hold(strict());
    assert_eq!(
        world.steps,
        [
            Step::Add {
                prefix: 32,
                lifetime: KernelLifetime::Seconds(1)
            },
            Step::Announce
        ]
    );
    assert!(world.report().held);
    world.steps.clear();
    world.let_go();
    assert_eq!(world.steps, [Step::Remove { prefix: 32 }]);
    assert_eq!(
        world.report(),
        VipReport {
            version: 2,
            held: false,
            blocker: None
        }
    );
}

#[test]
fn a_leftover_is_taken_off_before_anything_was_ordered() {
    let mut world = World::new();
    world.ours_until = Some(world.now + ms(10_000));
    world.settle();
    assert_eq!(world.steps, [Step::Remove { prefix: 32 }]);
}

#[test]
fn an_address_that_is_kept_is_neither_prolonged_nor_taken_off() {
    let mut world = World::new();
    world.order = VipOrder::first(VipTarget::Kept);
    world.ours_until = Some(world.now + ms(2000));
    world.settle();
    assert!(world.report().held);
    world.pass(ms(2001));
    assert_eq!(world.steps, [], "the kernel alone has ended it");
    assert!(!world.report().held);
}

#[test]
fn an_adopted_address_is_prolonged_in_place_and_announced() {
    let mut world = World::new();
    world.order = VipOrder::first(VipTarget::Kept);
    world.ours_until = Some(world.now + ms(2000));
    world.settle();
    world.hold(strict());
    assert_eq!(
        world.steps,
        [
            Step::Refresh {
                prefix: 32,
                lifetime: KernelLifetime::Seconds(1)
            },
            Step::Announce
        ]
    );
}

#[test]
fn without_a_kernel_lease_the_address_is_added_for_ever_and_the_daemon_takes_it_off() {
    let mut world = World::new();
    let terms = strict().without_kernel_lease();
    let lease = world.hold(terms);
    let add = Step::Add {
        prefix: 32,
        lifetime: KernelLifetime::Unlimited,
    };
    assert_eq!(world.steps, [add, Step::Announce]);
    world.steps.clear();
    for _ in 0..4 {
        world.pass(ms(500));
        world.hold(terms);
    }
    let quiet = |step: &Step| *step == Step::Announce;
    assert!(world.steps.iter().all(quiet), "{:?}", world.steps);
    assert!(world.now < lease.end());
    world.pass(ms(3000));
    assert_eq!(world.steps.last(), Some(&Step::Remove { prefix: 32 }));
}

#[test]
fn every_confirm_prolongs_the_address() {
    let mut world = World::new();
    world.hold(strict());
    world.steps.clear();
    world.pass(ms(333));
    world.hold(strict());
    assert_eq!(
        world.steps,
        [Step::Refresh {
            prefix: 32,
            lifetime: KernelLifetime::Seconds(1)
        }]
    );
}

/// About `D - margin - 1.3 s`, the kernel's part of the lease, though lifetimes are whole seconds and timers
/// are late.
#[test]
fn without_a_confirm_the_kernel_keeps_the_address_for_its_part_of_the_lease() {
    for late in [0, 1, 40] {
        for (lock_delay, last_refresh) in [(3000, 570), (10_000, 7500)] {
            let mut world = World::new();
            world.late = ms(late);
            let start = world.now;
            world.hold(Terms::managed(ms(lock_delay), ms(10_000)));
            world.pass(ms(last_refresh + late));
            let until = start + ms(last_refresh + late + 1000) + KERNEL_LATENESS;
            assert_eq!(
                world.ours_until,
                Some(until),
                "{lock_delay} ms, {late} ms late"
            );
        }
    }
}

#[test]
fn the_last_prolonging_is_the_last() {
    let mut world = World::new();
    world.hold(strict());
    world.steps.clear();
    world.pass(ms(570));
    // Looked at again and again, as after each event of the kernel.
    for _ in 0..50 {
        world.pass(ms(1));
    }
    let refreshes = world
        .steps
        .iter()
        .filter(|step| matches!(step, Step::Refresh { .. }));
    assert_eq!(refreshes.count(), 1, "{:?}", world.steps);
}

#[test]
fn below_the_strict_lock_delay_the_daemon_removes_what_the_kernel_would_keep() {
    let mut world = World::new();
    let lease = world.hold(Terms::managed(ms(1000), ms(10_000)));
    world.pass(lease.end().since(world.now) - ms(1));
    assert!(world.ours_until.is_some());
    world.pass(ms(1));
    assert!(world.ours_until.is_none());
    assert!(
        matches!(world.order.target, VipTarget::HeldUntil(_)),
        "nobody had to say so"
    );
}

#[test]
fn an_address_that_somebody_removes_is_put_back_and_announced() {
    let mut world = World::new();
    world.hold(Terms::managed(ms(10_000), ms(10_000)));
    world.steps.clear();
    world.ours_until = None;
    world.pass(ms(10));
    assert_eq!(
        world.steps,
        [
            Step::Add {
                prefix: 32,
                lifetime: KernelLifetime::Seconds(8)
            },
            Step::Announce
        ]
    );
}

#[test]
fn a_refresh_that_was_late_is_followed_by_a_removal() {
    let mut world = World::new();
    let lease = world.hold(strict());
    // Frozen between the check and the refresh, past the lease, while the kernel removed it.
    world.now = lease.end() + ms(1);
    world.ours_until = Some(world.now + ms(2300));
    world.steps.clear();
    world.settle();
    assert_eq!(world.steps, [Step::Remove { prefix: 32 }]);
}

#[test]
fn what_blocks_the_address_is_reported_and_ours_taken_off() {
    let mut world = World::new();
    world.hold(strict());
    world.steps.clear();
    world.link = Some(LinkSeen {
        up: false,
        mac: None,
    });
    world.settle();
    assert_eq!(world.steps, [Step::Remove { prefix: 32 }]);
    let report = world.report();
    assert!(!report.held && report.blocker == Some(Blocker::InterfaceDown));
    world.link = None;
    assert_eq!(world.report().blocker, Some(Blocker::InterfaceMissing));
    world.link = UP;
    world.foreign = Some(24);
    world.settle();
    assert_eq!(world.report().blocker, Some(Blocker::Foreign));
}

#[test]
fn a_copy_by_somebody_else_is_no_reason_to_let_another_host_have_it_too() {
    let mut world = World::new();
    world.hold(strict());
    world.foreign = Some(24);
    world.settle();
    assert!(world.report().held && world.report().blocker.is_none());
    // Somebody has replaced ours.
    world.ours_until = None;
    world.pass(ms(100));
    assert_eq!(world.report().blocker, None);
    world.let_go();
    assert_eq!(
        world.report().blocker,
        Some(Blocker::Foreign),
        "but no reason to campaign"
    );
}

#[test]
fn a_refused_add_is_tried_three_times_and_then_reported_for_a_while() {
    let mut world = World::new();
    world.refuses = true;
    world.hold(strict());
    assert_eq!(world.report().blocker, None);
    world.pass(ms(200));
    assert_eq!(
        world.steps,
        [Step::Add {
            prefix: 32,
            lifetime: KernelLifetime::Seconds(1)
        }; 3]
    );
    assert_eq!(
        world.report().blocker,
        Some(Blocker::Refused("no".to_owned()))
    );
    world.let_go();
    world.pass(ms(5000));
    assert_eq!(world.report().blocker, None);
}

#[test]
fn a_new_hardware_address_is_announced() {
    let mut world = World::new();
    world.hold(Terms::managed(ms(60_000), ms(60_000)));
    world.pass(ms(10_000));
    world.steps.clear();
    world.link = Some(LinkSeen {
        up: true,
        mac: Some([2, 0, 0, 0, 0, 2]),
    });
    world.settle();
    assert_eq!(world.steps, [Step::Announce]);
}

#[test]
fn a_takeover_waits_for_no_look_and_what_is_off_is_looked_at() {
    let mut world = World::new();
    world.settle();
    world.looks = 0;
    world.hold(strict());
    assert_eq!((world.steps.len(), world.looks), (2, 0));
    world.let_go();
    assert_eq!((world.steps.len(), world.looks), (3, 1));
    // An old look is not enough to say that nothing has changed, nor to prolong what may not be there.
    world.settle();
    assert_eq!(world.looks, 2);
    world.hold(strict());
    world.now = world.now + ms(333);
    world.hold(strict());
    assert_eq!(world.looks, 3);
}

#[test]
fn an_add_where_the_kernel_is_not_as_it_was_is_followed_by_a_look() {
    let mut world = World::new();
    world.settle();
    world.foreign = Some(32);
    world.hold(strict());
    assert_eq!(world.steps.len(), 1);
    assert_eq!(world.report().blocker, Some(Blocker::Foreign));
}

#[test]
fn what_has_come_in_the_place_of_an_address_that_ran_out_is_left_alone() {
    let mut world = World::new();
    let lease = world.hold(strict());
    world.steps.clear();
    // Frozen past the lifetime and the lease, while somebody adds the address by hand.
    world.now = lease.end() + ms(1);
    world.ours_until = None;
    world.foreign = Some(32);
    world.settle();
    assert_eq!(world.steps, []);
    assert_eq!(world.report().blocker, Some(Blocker::Foreign));
}

#[derive(Clone, Debug)]
enum Happening {
    Confirm,
    LetGo,
    Pass(u16),
    Freeze(u16),
    Removed,
    Link(bool),
    Foreign(Option<u8>),
    Refuse(bool),
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let happening = prop_oneof![
        8 => Just(Happening::Confirm),
        2 => Just(Happening::LetGo),
        8 => (0u16..3000).prop_map(Happening::Pass),
        1 => (0u16..20_000).prop_map(Happening::Freeze),
        1 => Just(Happening::Removed),
        1 => any::<bool>().prop_map(Happening::Link),
        1 => prop_oneof![Just(None), Just(Some(24)), Just(Some(32))].prop_map(Happening::Foreign),
        1 => any::<bool>().prop_map(Happening::Refuse),
    ];
    prop::collection::vec(happening, 1..100)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// The two hands, each alone: the kernel's ends what it was given before the span is over, and
    /// an awake daemon has nothing up without a live lease.
    #[test]
    fn the_address_never_outlives_the_span_of_its_lease(
        happenings in happenings(),
        lock_delay in prop_oneof![Just(2500u64), Just(3000), Just(5000), Just(10_000), Just(20_000)],
    ) {
        let terms = Terms::managed(ms(lock_delay), ms(10_000));
        let mut world = World::new();
        let mut span_ends = world.now;
        for happening in happenings {
            match happening {
                Happening::Confirm => {
                    span_ends = world.now + terms.span();
                    world.hold(terms);
                }
                Happening::LetGo => world.let_go(),
                Happening::Pass(millis) => world.pass(ms(u64::from(millis))),
                Happening::Freeze(millis) => world.now = world.now + ms(u64::from(millis)),
                Happening::Removed => world.ours_until = None,
                Happening::Link(up) => world.link = UP.filter(|_| up),
                Happening::Foreign(prefix) => world.foreign = prefix,
                Happening::Refuse(refuses) => world.refuses = refuses,
            }
            if let Some(until) = world.ours_until {
                prop_assert!(until <= span_ends, "the kernel has it until {until:?}, past {span_ends:?}");
            }
            // The kernel tells of its addresses at once; the others are found out sooner or later.
            if !matches!(happening, Happening::Freeze(_) | Happening::Link(_)) {
                world.settle();
                let live = match world.order.target {
                    VipTarget::HeldUntil(lease) => lease.is_live(world.now),
                    VipTarget::Kept | VipTarget::Absent => false,
                };
                prop_assert!(live || world.ours_until.is_none(), "up without a live lease");
            }
        }
    }
}
