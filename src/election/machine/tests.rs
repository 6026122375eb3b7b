//! The machine at its edges, its transition table, and its invariants under any events.

mod adoption;
mod answers;
mod bench;
mod drain;
mod lock_delay;
mod peers;
mod properties;
mod table;
mod takeover;

use std::time::Duration;

use self::answers::{abandoned, failure, held, key, missing, released};
use self::bench::Bench;
use super::*;
use crate::election::call::{Call, FailureKind, KeyRead, SessionId};
use crate::election::candidate::Contact;
use crate::election::health::Health;
use crate::election::lease::{Lease, Terms};
use crate::election::note::Note;
use crate::election::peer::{Datagram, GroupId};
use crate::election::status::{Ending, Feature};
use crate::election::target::{Blocker, VipReport, VipTarget};

const D: Duration = Duration::from_secs(3);
const T: Duration = Duration::from_secs(10);

pub(super) fn params(terms: Terms) -> Params {
    Params {
        terms,
        value: "web1".into(),
        session_name: "vip-elector key".into(),
        group: GroupId(1),
        before: Before::Nothing,
        options: Options::default(),
    }
}

pub(super) fn adoptable() -> Before {
    Before::Adoptable {
        name: "before-0".into(),
        session: SessionId::new("ours"),
    }
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn nothing_is_asked_of_consul_before_the_address_is_known_to_be_off() {
    let mut bench = Bench::start(Terms::managed(D, T));
    assert!(bench.under_way.is_empty());
    bench.on();
    assert!(
        bench.under_way.is_empty(),
        "a leftover of an earlier process is still up"
    );
    bench.off();
    assert!(bench.asks("Read"));
}

#[test]
fn a_key_that_is_no_lock_ends_the_machine_before_a_session_is_made() {
    let mut bench = Bench::start(Terms::companion(D, T));
    bench.answer_read(key(5, None, "settings", 0));
    assert_eq!(
        bench.machine.status().phase,
        Phase::Stopped(Outcome::NotALock { flags: 0 })
    );
    assert!(bench.under_way.is_empty());
}

#[test]
fn the_lease_counts_from_the_request_not_from_the_answer() {
    let mut bench = Bench::standby(Terms::managed(D, T));
    bench.answer_read(released(6));
    let asked_at = bench.now;
    bench.pass(ms(400));
    bench.answer("Acquire", Ok(Answer::Done));
    assert_eq!(bench.lease().confirmed_at(), asked_at);

    bench.pass(ms(1));
    let asked_at = bench.now;
    assert!(bench.asks("Read"), "a confirm is overdue");
    bench.pass(ms(300));
    bench.answer_read(held(7, "ours"));
    assert!(bench.lease().confirmed_at() <= asked_at);
}

#[test]
fn an_acquire_that_is_answered_after_its_lease_makes_no_leader() {
    let mut bench = Bench::standby(Terms::managed(ms(1000), T));
    bench.answer_read(released(6));
    bench.pass(ms(941));
    bench.answer("Acquire", Ok(Answer::Done));
    assert!(!bench.leads());
    bench.pass(ms(100));
    bench.answer_read(held(7, "ours"));
    assert!(bench.leads(), "a fresh proof makes it lead");
}

#[test]
fn the_address_is_ordered_off_at_the_leases_end_and_not_before() {
    let mut bench = Bench::leader(Terms::managed(D, T));
    let end = bench.lease().end();
    assert_eq!(end, bench.now + (D - ms(80)), "margin: 50 ms and 1 %");
    bench.pass(end.since(bench.now) - ms(1));
    assert!(bench.leads());
    bench.pass(ms(1));
    assert!(!bench.leads());
    assert_eq!(bench.machine.vip_order().unwrap().target, VipTarget::Absent);
    assert_eq!(bench.machine.status().ending, Some(Ending::LeaseExpired));
    assert!(
        bench.machine.status().session.is_some(),
        "the session may still hold the lock"
    );
}

#[test]
fn a_leader_whose_lease_ran_out_leads_again_on_a_proof() {
    let mut bench = Bench::leader(Terms::managed(D, T));
    while bench.leads() {
        bench.pass(ms(100));
        if let Some(op) = bench.remove("Read") {
            let result = Err(failure(FailureKind::Unavailable));
            bench.step(Event::Completed { op, result });
        }
    }
    bench.pass(ms(5000));
    bench.answer_read(held(7, "ours"));
    assert!(
        !bench.leads(),
        "an answer to a question from before the lease's end"
    );
    bench.pass(ms(200));
    bench.answer_read(held(7, "ours"));
    assert!(bench.leads());
}

#[test]
fn a_confirm_is_asked_for_three_times_within_the_kernels_lifetime() {
    let mut bench = Bench::leader(Terms::managed(D, T));
    let mut confirms = 0;
    for _ in 0..1000 {
        bench.pass(ms(1));
        if bench.asks("Read") {
            confirms += 1;
            bench.answer_read(held(7, "ours"));
        }
    }
    assert_eq!(confirms, 3);
}

#[test]
fn the_lock_is_released_only_on_the_kernels_word_for_the_newest_order() {
    let mut bench = Bench::leader(Terms::managed(D, T));
    let stale = bench.machine.vip_order().unwrap().version;
    bench.step(Event::Stop);
    assert!(!bench.asks("Release"));
    let report = VipReport {
        version: stale,
        held: false,
        blocker: None,
    };
    bench.step(Event::Vip(report));
    assert!(
        !bench.asks("Release"),
        "an old report says nothing about the new order"
    );
    bench.on();
    assert!(!bench.asks("Release"));
    bench.off();
    assert!(bench.asks("Release"));
    bench.answer("Release", Ok(Answer::Done));
    bench.answer("DestroySession", Ok(Answer::Done));
    assert_eq!(
        bench.machine.status().phase,
        Phase::Stopped(Outcome::Stopped)
    );
}

#[test]
fn a_released_key_is_taken_at_once_on_a_mere_hint() {
    let mut bench = Bench::standby(Terms::managed(D, T));
    bench.answer_read(held(6, "theirs"));
    bench.answer("Watch", Ok(Answer::Key(released(7))));
    assert!(bench.asks("Acquire"));
}

#[test]
fn an_unclean_ending_is_waited_out_from_the_answer_of_the_proof() {
    let mut bench = Bench::standby(Terms::managed(D, T));
    bench.answer_read(held(6, "theirs"));
    bench.answer("SessionLockDelay", Ok(Answer::LockDelay(Some(D))));
    bench.answer("Watch", Ok(Answer::Key(abandoned(7))));
    assert!(!bench.asks("Acquire"), "a hint is no proof");
    bench.pass(ms(500));
    bench.answer_read(abandoned(7));
    bench.pass(D + ms(9));
    assert!(!bench.asks("Acquire"));
    bench.pass(ms(1));
    assert!(bench.asks("Acquire"));
}

#[test]
fn the_wait_starts_over_when_the_key_has_changed() {
    let mut bench = Bench::standby(Terms::managed(D, T));
    bench.answer_read(abandoned(6));
    bench.pass(D - ms(100));
    bench.answer("Watch", Ok(Answer::Key(abandoned(8))));
    bench.answer_read(abandoned(8));
    bench.pass(D);
    assert!(!bench.asks("Acquire"));
    bench.pass(ms(10));
    assert!(bench.asks("Acquire"));
}

#[test]
fn writes_to_other_keys_do_not_keep_a_standby_from_looking() {
    let mut bench = Bench::standby(Terms::managed(D, T));
    bench.answer_read(held(6, "theirs"));
    bench.answer("Watch", Ok(Answer::Key(missing(7))));
    for index in 8..20 {
        bench.pass(ms(200));
        bench.answer("Watch", Ok(Answer::Key(missing(index))));
    }
    let reads = bench
        .under_way
        .iter()
        .filter(|(_, call)| *call == Call::Read)
        .count();
    assert_eq!(
        reads, 1,
        "one proof is under way, and is not given up for another"
    );
    bench.answer_read(missing(7));
    bench.answer_read(missing(20));
    assert!(bench.asks("MarkVacant"));
}

#[test]
fn a_lock_delay_that_was_asked_for_in_vain_is_asked_for_again() {
    let mut bench = Bench::standby(Terms::managed(D, T));
    bench.answer_read(held(6, "theirs"));
    bench.answer("SessionLockDelay", Err(failure(FailureKind::Unavailable)));
    bench.answer("Watch", Ok(Answer::Key(missing(7))));
    bench.pass(ms(1000));
    bench.answer("SessionLockDelay", Ok(Answer::LockDelay(Some(ms(8000)))));
    bench.answer_read(missing(7));
    bench.answer("MarkVacant", Ok(Answer::Done));
    bench.answer_read(abandoned(8));
    bench.pass(ms(8000));
    assert!(!bench.asks("Acquire"));
}

#[test]
fn the_wait_is_the_longer_of_both_lock_delays() {
    let mut bench = Bench::standby(Terms::managed(D, T));
    bench.answer_read(held(6, "theirs"));
    bench.answer("SessionLockDelay", Ok(Answer::LockDelay(Some(ms(8000)))));
    bench.answer("Watch", Ok(Answer::Key(missing(7))));
    bench.answer_read(missing(7));
    bench.answer("MarkVacant", Ok(Answer::Done));
    bench.answer_read(abandoned(8));
    bench.pass(ms(8009));
    assert!(!bench.asks("Acquire"));
    bench.pass(ms(1));
    assert!(bench.asks("Acquire"));
}

#[test]
fn a_missing_key_gets_an_index_before_the_wait_begins() {
    let mut bench = Bench::standby(Terms::managed(D, T));
    bench.answer_read(missing(6));
    assert!(bench.asks("MarkVacant"));
    bench.answer("MarkVacant", Err(failure(FailureKind::Changed)));
    bench.answer_read(abandoned(7));
    bench.pass(D + ms(10));
    assert!(
        bench
            .under_way
            .iter()
            .any(|(_, call)| { matches!(call, Call::Acquire { index: 7, .. }) })
    );
}

#[test]
fn an_acquire_that_was_never_answered_is_looked_after() {
    let mut bench = Bench::standby(Terms::managed(D, T));
    bench.answer_read(released(6));
    bench.answer("Acquire", Err(failure(FailureKind::Unavailable)));
    bench.pass(ms(100));
    bench.answer_read(released(6));
    bench.remove("Acquire").expect("it is free still");
    bench.step(Event::Stop);
    assert!(
        bench.asks("Release"),
        "either acquire may be carried out yet"
    );
}

#[test]
fn a_late_acquire_is_found_by_the_watch() {
    let mut bench = Bench::standby(Terms::managed(D, T));
    bench.answer_read(released(6));
    bench.answer("Acquire", Err(failure(FailureKind::Unavailable)));
    bench.pass(ms(100));
    bench.answer_read(held(7, "theirs"));
    bench.answer("Watch", Ok(Answer::Key(held(8, "ours"))));
    assert!(!bench.leads(), "a hint is no proof");
    bench.answer_read(held(8, "ours"));
    assert!(bench.leads());
}

#[test]
fn an_answer_nobody_waits_for_changes_nothing() {
    let mut bench = Bench::leader(Terms::managed(D, T));
    bench.pass(ms(334));
    let confirm = bench.remove("Read").unwrap();
    bench.step(Event::Completed {
        op: confirm,
        result: Err(failure(FailureKind::Unavailable)),
    });
    bench.pass(ms(1000));
    let lease = bench.lease();
    let late = Ok(Answer::Key(held(9, "ours")));
    bench.step(Event::Completed {
        op: confirm,
        result: late,
    });
    assert_eq!(
        bench.lease(),
        lease,
        "the late answer must not prolong the lease"
    );
}

#[test]
fn a_renewal_proves_nothing() {
    let mut bench = Bench::leader(Terms::managed(ms(9000), T));
    bench.pass(ms(3400));
    let lease = bench.lease();
    bench.answer("RenewSession", Ok(Answer::Done));
    assert_eq!(bench.lease(), lease);
}

#[test]
fn a_session_gone_is_the_end_of_leading_at_once() {
    let mut bench = Bench::leader(Terms::managed(ms(9000), T));
    bench.pass(ms(3400));
    bench.answer("RenewSession", Err(failure(FailureKind::SessionGone)));
    assert_eq!(bench.machine.status().phase, Phase::Resigning);
    assert!(
        bench.asks("DestroySession"),
        "should the news be false, it must not keep the lock"
    );
    assert_eq!(bench.machine.status().ending, Some(Ending::SessionGone));
    assert_eq!(bench.machine.vip_order().unwrap().target, VipTarget::Absent);
}

#[test]
fn a_session_whose_creation_was_not_answered_is_looked_for_before_another_is_made() {
    let mut bench = Bench::start(Terms::companion(D, T));
    bench.answer_read(missing(5));
    bench.answer("CreateSession", Err(failure(FailureKind::Unavailable)));
    bench.pass(ms(100));
    assert!(bench.asks("FindSession") && !bench.asks("CreateSession"));
    bench.answer(
        "FindSession",
        Ok(Answer::Found(Some(SessionId::new("ours")))),
    );
    assert_eq!(bench.machine.status().session, Some(SessionId::new("ours")));
    assert!(bench.asks("RenewSession"), "nobody knows how old it is");
}

#[test]
fn a_missing_or_critical_check_is_waited_for() {
    let mut bench = Bench::start(Terms::companion(D, T));
    bench.answer_read(missing(5));
    for kind in [FailureKind::CheckMissing, FailureKind::CheckCritical] {
        bench.answer("CreateSession", Err(failure(kind)));
        assert_eq!(bench.machine.status().trouble.unwrap().kind, kind);
        bench.pass(ms(1000));
    }
    bench.answer("CreateSession", Ok(Answer::Created(SessionId::new("ours"))));
    assert_eq!(bench.machine.status().phase, Phase::Standby);
    assert_eq!(bench.machine.status().trouble, None);
}

#[test]
fn a_host_that_cannot_hold_the_address_does_not_campaign() {
    let mut bench = Bench::standby(Terms::managed(D, T));
    bench.blocked();
    bench.answer_read(released(6));
    assert!(!bench.asks("Acquire"));
    bench.off();
    assert!(bench.asks("Acquire"));
}

#[test]
fn a_leader_that_cannot_hold_the_address_releases_and_lets_others_go_first() {
    let mut bench = Bench::leader(Terms::managed(D, T));
    bench.blocked();
    bench.off();
    bench.answer("Release", Ok(Answer::Done));
    bench.answer("DestroySession", Ok(Answer::Done));
    bench.answer("CreateSession", Ok(Answer::Created(SessionId::new("next"))));
    bench.answer_read(released(9));
    assert!(!bench.asks("Acquire"));
    bench.pass(ms(2000));
    assert!(bench.asks("Acquire"));
}

#[test]
fn a_key_written_over_is_set_right_once() {
    let mut bench = Bench::leader(Terms::managed(D, T));
    bench.answer("Watch", Ok(Answer::Key(key(9, Some("ours"), "vandal", 0))));
    bench.answer_read(key(9, Some("ours"), "vandal", 0));
    assert!(bench.leads(), "the lock is still ours");
    assert!(bench.asks("Restore"));
    bench.answer("Restore", Ok(Answer::Done));
    bench.pass(ms(334));
    bench.answer_read(held(10, "ours"));
    bench.pass(ms(330));
    assert!(!bench.asks("Restore"));
    assert_eq!(bench.machine.status().overwritten, 1);
}

#[test]
fn a_key_deleted_under_a_leader_ends_its_term_and_is_waited_out_even_by_itself() {
    let mut bench = Bench::leader(Terms::managed(D, T));
    bench.answer("Watch", Ok(Answer::Key(missing(9))));
    bench.answer_read(missing(9));
    assert!(!bench.leads());
    assert_eq!(bench.machine.status().ending, Some(Ending::KeyDeleted));
    assert_eq!(bench.machine.vip_order().unwrap().target, VipTarget::Absent);
}

#[test]
fn a_companion_leads_for_the_ttl_without_any_address() {
    let mut bench = Bench::leader(Terms::companion(Duration::ZERO, T));
    assert_eq!(bench.machine.vip_order(), None);
    assert_eq!(bench.lease().end(), bench.now + (T - ms(150)));
    bench.step(Event::Stop);
    assert!(bench.asks("Release"), "there is no address to wait for");
}

#[test]
fn a_stop_that_cannot_reach_consul_ends_by_itself() {
    let mut bench = Bench::standby(Terms::companion(D, T));
    bench.step(Event::Stop);
    for _ in 0..2 {
        bench.answer("DestroySession", Err(failure(FailureKind::Unavailable)));
        bench.pass(ms(200));
    }
    assert_eq!(
        bench.machine.status().phase,
        Phase::Stopped(Outcome::SessionLeft)
    );
}
