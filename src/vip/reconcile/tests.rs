//! The reconciler over a small kernel, at its edges.

mod properties;
mod world;

use self::world::{UP, World};
use super::*;
use crate::election::lease::{KERNEL_LATENESS, Terms};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

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
        moves: 0,
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
        moves: 0,
    });
    world.settle();
    assert_eq!(world.steps, [Step::Announce]);
}

#[test]
fn a_way_that_has_changed_is_announced() {
    let mut world = World::new();
    world.hold(Terms::managed(ms(60_000), ms(60_000)));
    world.pass(ms(10_000));
    world.steps.clear();
    world.link = UP.map(|link| LinkSeen { moves: 1, ..link });
    world.settle();
    assert_eq!(world.steps, [Step::Announce]);
    world.pass(ms(4400));
    assert_eq!(world.steps, [Step::Announce; 5]);
}

#[test]
fn an_address_under_detection_is_announced_when_that_is_over() {
    let mut world = World::new();
    world.detects = true;
    world.state = VipState::Tentative;
    world.hold(Terms::managed(ms(10_000), ms(10_000)));
    world.pass(ms(1500));
    assert!(
        matches!(world.steps[..], [Step::Add { .. }]),
        "{:?}",
        world.steps
    );
    assert!(world.report().held);
    world.state = VipState::Usable;
    world.settle();
    assert_eq!(world.steps.last(), Some(&Step::Announce));
}

#[test]
fn an_address_of_another_machine_is_left_to_it_for_a_while() {
    let duplicate = |world: &mut World| {
        let Some(Blocker::Refused(why)) = world.report().blocker else {
            panic!("{:?}", world.report())
        };
        assert!(why.contains("another machine has the address"), "{why}");
        assert!(!world.report().held);
        world.let_go();
        world.pass(ms(5000));
        assert_eq!(world.report().blocker, None);
    };
    // The kernel takes off what it would have ended by itself, and marks what it would not.
    for marks in [false, true] {
        let mut world = World::new();
        world.detects = true;
        world.state = VipState::Tentative;
        world.hold(Terms::managed(ms(10_000), ms(10_000)));
        if marks {
            world.state = VipState::Duplicate;
        } else {
            world.ours_until = None;
            world.duplicates += 1;
        }
        world.settle();
        duplicate(&mut world);
        let removes = world
            .steps
            .iter()
            .any(|step| matches!(step, Step::Remove { .. }));
        assert_eq!(removes, marks, "{:?}", world.steps);
    }
}

#[test]
fn who_asks_first_looks_at_the_lease_again() {
    let mut world = World::new();
    world.asks = true;
    world.asking_takes = ms(200);
    world.hold(strict());
    let expected = Step::Add {
        prefix: 32,
        lifetime: KernelLifetime::Seconds(1),
    };
    assert_eq!(world.steps, [Step::Ask, expected, Step::Announce]);
    // Somebody has removed it: no reason to doubt.
    world.steps.clear();
    world.ours_until = None;
    world.settle();
    assert!(!world.steps.contains(&Step::Ask), "{:?}", world.steps);

    // An answer that takes longer than the lease.
    let mut world = World::new();
    world.asks = true;
    world.asking_takes = ms(4000);
    world.hold(strict());
    assert_eq!(world.steps, [Step::Ask]);
    assert!(!world.report().held);
}

#[test]
fn who_is_answered_leaves_the_address_to_others_for_a_while() {
    let mut world = World::new();
    world.asks = true;
    world.answered = true;
    world.hold(strict());
    assert_eq!(world.steps, [Step::Ask]);
    let report = world.report();
    assert_eq!(
        report.blocker,
        Some(Blocker::Refused("somebody has it".to_owned()))
    );
    world.let_go();
    world.pass(ms(5000));
    assert_eq!(world.report().blocker, None);
    world.answered = false;
    world.hold(strict());
    assert!(world.report().held);
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
