//! What makes a takeover fast: candidates, handover, health, liveness.

use std::net::{Ipv4Addr, SocketAddr};

use super::*;
use crate::election::candidate::{Candidate, Request, Secret};

pub(super) fn options() -> Options {
    Options {
        candidates: true,
        ..Options::default()
    }
}

pub(super) fn candidate(value: &str, priority: i32) -> Candidate {
    Candidate {
        value: value.to_owned(),
        session: SessionId::new(format!("of {value}")),
        priority,
        lock_delay: D,
        contact: Some(Contact {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 8547)),
            secret: Secret([0; 32]),
        }),
    }
}

pub(super) fn ours() -> Candidate {
    Candidate {
        session: SessionId::new("ours"),
        ..candidate("web1", 0)
    }
}

pub(super) fn others() -> Vec<Candidate> {
    vec![ours(), candidate("web2", 0), candidate("web3", 5)]
}

pub(super) fn successor(bench: &Bench) -> Option<String> {
    bench.under_way.iter().find_map(|(_, call)| {
        if let Call::HandOver { successor, .. } = call {
            Some(successor.value.clone())
        } else {
            None
        }
    })
}

#[test]
fn a_healthy_host_is_a_candidate_and_one_that_is_not_leaves() {
    let mut bench = Bench::with(options(), vec![]);
    bench.answer("Register(", Ok(Answer::Done));
    assert!(bench.machine.status().candidate);
    bench.step(Event::Health(Health::Bad("disk full".into())));
    bench.answer("Unregister", Ok(Answer::Done));
    assert!(!bench.machine.status().candidate);
    bench.step(Event::Health(Health::Good));
    assert!(bench.asks("Register("));
}

#[test]
fn an_entry_that_somebody_deleted_is_written_again() {
    let mut bench = Bench::with(options(), vec![]);
    bench.answer("Register(", Ok(Answer::Done));
    bench.pass(ms(200));
    bench.answer_group(8, vec![ours()], None);
    assert!(!bench.asks("Register("));
    bench.answer_group(9, vec![candidate("web2", 0)], None);
    bench.pass(ms(100));
    assert!(bench.asks("Register("));
}

#[test]
fn without_the_right_to_it_everything_else_goes_on() {
    let mut bench = Bench::with(options(), vec![]);
    bench.answer("Register(", Err(failure(FailureKind::Denied)));
    let lost = bench.machine.status().lost;
    assert!(lost.contains_key(&Feature::Candidates), "{lost:?}");
    bench.answer("Watch {", Ok(Answer::Key(released(7))));
    bench.answer("Acquire", Ok(Answer::Done));
    bench.on();
    bench.step(Event::Stop);
    bench.off();
    assert!(bench.asks("Release"));
    bench.pass(T);
    assert!(!bench.asks("Register("));
}

#[test]
fn a_candidate_that_is_never_listed_does_not_write_all_the_time() {
    let mut bench = Bench::with(options(), vec![]);
    let mut writes = 0;
    for index in 10..1000 {
        bench.pass(ms(20));
        if bench.asks("Register(") {
            bench.answer("Register(", Ok(Answer::Done));
            writes += 1;
        }
        if bench.asks("WatchGroup") {
            bench.answer_group(index, vec![candidate("web2", 0)], None);
        }
    }
    assert!(writes < 20, "{writes} in 20 s");
}

#[test]
fn a_server_that_has_fallen_behind_takes_no_candidate_away() {
    let mut bench = Bench::leading(options(), others());
    bench.answer_group(3, vec![], None);
    bench.step(Event::Stop);
    bench.off();
    assert_eq!(successor(&bench).as_deref(), Some("web3"));
}

#[test]
fn a_leader_hands_over_to_the_best_candidate_when_its_address_is_off() {
    let mut bench = Bench::leading(options(), others());
    bench.step(Event::Stop);
    assert_eq!(successor(&bench), None);
    bench.off();
    assert_eq!(successor(&bench).as_deref(), Some("web3"));
    bench.answer("HandOver", Ok(Answer::Done));
    assert_eq!(bench.machine.status().handed_to.as_deref(), Some("web3"));
    assert!(!bench.asks("Release"));
    bench.answer("DestroySession", Ok(Answer::Done));
    assert_eq!(
        bench.machine.status().phase,
        Phase::Stopped(Outcome::Stopped)
    );
}

#[test]
fn a_handover_that_is_refused_is_a_release_and_one_that_may_be_under_way_is_neither() {
    for kind in [
        FailureKind::Changed,
        FailureKind::SessionGone,
        FailureKind::Denied,
    ] {
        let mut bench = Bench::leading(options(), others());
        bench.step(Event::Stop);
        bench.off();
        bench.answer("HandOver", Err(failure(kind)));
        assert!(bench.asks("Release"), "{kind:?}");
    }
    let mut bench = Bench::leading(options(), others());
    bench.step(Event::Stop);
    bench.off();
    bench.answer("HandOver", Err(failure(FailureKind::Unavailable)));
    assert!(!bench.asks("Release") && bench.asks("DestroySession"));
}

#[test]
fn a_host_that_is_not_healthy_hands_over_and_does_not_ask_for_the_lock() {
    let mut bench = Bench::leading(options(), others());
    bench.step(Event::Health(Health::Bad("no answer".into())));
    bench.off();
    bench.answer("HandOver", Ok(Answer::Done));
    assert_eq!(
        bench.machine.status().ending,
        Some(Ending::Unhealthy("no answer".into()))
    );
    bench.answer("DestroySession", Ok(Answer::Done));
    bench.answer("CreateSession", Ok(Answer::Created(SessionId::new("next"))));
    bench.answer_read(released(20));
    bench.answer_group(21, vec![], None);
    bench.pass(Duration::from_secs(60));
    assert!(!bench.asks("Acquire"), "not fit to lead");
    bench.step(Event::Health(Health::Good));
    assert!(bench.asks("Acquire"));
}

#[test]
fn what_is_not_yet_known_of_health_makes_no_leader_and_ends_none() {
    let unknown = Options {
        health: Health::Unknown,
        ..options()
    };
    let mut bench = Bench::with(unknown, vec![]);
    bench.answer("Watch {", Ok(Answer::Key(released(7))));
    assert!(!bench.asks("Acquire") && !bench.asks("Register("));
    bench.step(Event::Health(Health::Good));
    bench.answer("Acquire", Ok(Answer::Done));
    bench.on();
    bench.step(Event::Health(Health::Unknown));
    assert!(bench.leads());
}

#[test]
fn a_successor_proves_the_lock_once_and_leads() {
    let mut bench = Bench::with(options(), vec![]);
    bench.pass(ms(50));
    bench.answer("Watch {", Ok(Answer::Key(held(9, "ours"))));
    assert!(!bench.leads(), "a watch is no proof");
    bench.answer_read(held(9, "ours"));
    assert!(bench.leads());
}

#[test]
fn a_switchover_that_was_asked_of_this_leader_is_followed() {
    let request = |index, to: Option<&str>| {
        Some(Request {
            index,
            to: to.map(str::to_owned),
        })
    };
    let mut bench = Bench::leading(options(), others());
    bench.pass(ms(400));
    bench.answer_read(held(30, "ours"));
    bench.answer_group(32, others(), request(29, Some("web2")));
    bench.pass(ms(100));
    assert!(
        !bench.asks("DropRequest"),
        "the handover to us may have deleted it"
    );
    bench.pass(ms(900));
    assert!(bench.leads(), "it was not asked of us");
    bench.answer("DropRequest", Ok(Answer::Done));
    bench.answer_group(34, others(), request(33, Some("web9")));
    assert!(bench.leads());
    let refused = bench.machine.status().refused_request;
    assert_eq!(refused.as_deref(), Some("there is no candidate web9"));
    bench.answer("DropRequest", Ok(Answer::Done));
    bench.answer_group(36, others(), request(35, Some("web2")));
    bench.off();
    assert_eq!(successor(&bench).as_deref(), Some("web2"));
    assert!(
        bench.under_way.iter().any(|(_, call)| matches!(
            call,
            Call::HandOver {
                request: Some(35),
                ..
            }
        )),
        "it is deleted with it"
    );
}

#[test]
fn a_better_candidate_gets_the_lock_only_where_that_is_wanted_and_after_a_while() {
    let patient = Bench::leading(options(), others());
    assert_ne!(
        patient.machine.deadline().map(|(_, why)| why),
        Some(DeadlineReason::Preempt)
    );
    let preempting = Options {
        preempt_after: Some(ms(300)),
        ..options()
    };
    let mut bench = Bench::leading(preempting.clone(), others());
    bench.pass(ms(290));
    assert!(bench.leads());
    bench.pass(ms(20));
    bench.off();
    assert_eq!(successor(&bench).as_deref(), Some("web3"));

    // Of two that have been there for long enough, the better one.
    let mut three = others();
    three.insert(0, candidate("web4", 3));
    let mut bench = Bench::leading(preempting, three);
    bench.pass(ms(310));
    bench.off();
    assert_eq!(successor(&bench).as_deref(), Some("web3"));
}

#[test]
fn after_an_unclean_ending_the_better_ones_go_first() {
    let acquires_after = |candidates| {
        let mut bench = Bench::with(options(), candidates);
        bench.answer("Watch {", Ok(Answer::Key(abandoned(8))));
        bench.answer_read(abandoned(8));
        let since = bench.now;
        while !bench.asks("Acquire") {
            bench.pass(ms(1));
        }
        bench.now.since(since)
    };
    let (first, second) = (acquires_after(vec![]), acquires_after(others()));
    assert!(
        first >= D && second >= first + ms(20),
        "{first:?} {second:?}"
    );
    assert!(second <= first + ms(50), "{second:?}");
}

#[test]
fn the_liveness_check_is_there_before_the_session_and_passed_by_proofs_alone() {
    let alive = Options {
        liveness_ttl: Some(D),
        ..options()
    };
    let mut bench = Bench::with(alive.clone(), vec![]);
    bench.pass(ms(1001));
    assert!(!bench.asks("Feed"), "no renewal was answered");
    bench.answer("RenewSession", Ok(Answer::Done));
    bench.answer("Feed", Ok(Answer::Done));
    bench.pass(ms(1100));
    bench.answer("RenewSession", Ok(Answer::Done));
    bench.answer("Feed", Err(failure(FailureKind::CheckMissing)));
    bench.pass(ms(1100));
    bench.answer("RenewSession", Ok(Answer::Done));
    bench.answer("RegisterService", Ok(Answer::Done));

    let mut leader = Bench::leading(alive, vec![]);
    leader.pass(ms(400));
    leader.answer_read(held(9, "ours"));
    leader.answer("RegisterService { leads: true", Ok(Answer::Done));
    leader.step(Event::Stop);
    leader.off();
    leader.answer("Release", Ok(Answer::Done));
    leader.answer("DestroySession", Ok(Answer::Done));
    leader.answer("DeregisterService", Ok(Answer::Done));
    assert_eq!(
        leader.machine.status().phase,
        Phase::Stopped(Outcome::Stopped)
    );
}

#[test]
fn a_session_is_made_without_a_liveness_check_that_is_denied() {
    let mut bench = Bench::of(Params {
        options: Options {
            liveness_ttl: Some(D),
            ..options()
        },
        ..params(Terms::managed(D, T))
    });
    bench.off();
    bench.answer_read(held(5, "theirs"));
    bench.answer("RegisterService", Err(failure(FailureKind::Denied)));
    assert!(bench.asks("CreateSession { name: \"vip-elector key-0\", liveness: false"));
}

/// So that the reads of many groups travel together.
#[test]
fn one_of_many_groups_confirms_at_instants_that_all_have_in_common() {
    let many = Options {
        one_of_many: true,
        ..options()
    };
    let interval = Terms::managed(D, T).confirm_interval();
    for late in [0, 7, 61, 139] {
        let mut bench = Bench::with(many.clone(), vec![]);
        bench.pass(ms(late));
        bench.answer("Watch {", Ok(Answer::Key(released(7))));
        bench.answer("Acquire", Ok(Answer::Done));
        bench.on();
        let mut confirmed_at = bench.now;
        for _ in 0..3 {
            let asked = bench.now;
            while !bench.asks("Read") {
                bench.pass(ms(1));
                assert!(
                    bench.now.since(asked) <= interval + ms(1),
                    "later than it may be"
                );
            }
            assert!(bench.now.since(confirmed_at) >= interval / 2);
            confirmed_at = bench.now;
            let past = bench.now.since_boot().as_nanos() % (interval / 4).as_nanos();
            assert!(past < 1_000_000, "{past} ns beside it");
            bench.answer_read(held(9, "ours"));
        }
    }
}
