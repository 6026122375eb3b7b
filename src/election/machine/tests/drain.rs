//! A host that somebody has drained, at the edges.

use super::takeover::{candidate, options, others, ours, successor};
use super::*;
use crate::election::candidate::Request;

/// A host that is fit but for what it has not seen yet, with the lock free.
fn before_the_first_look() -> Bench {
    let mut bench = Bench::of(Params {
        options: options(),
        ..params(Terms::managed(D, T))
    });
    bench.off();
    bench.answer_read(released(5));
    bench.answer("CreateSession", Ok(Answer::Created(SessionId::new("ours"))));
    bench.answer_read(released(5));
    bench
}

#[test]
fn a_drained_leader_hands_over_and_says_why() {
    let mut bench = Bench::leading(options(), others());
    bench.pass(ms(200));
    bench.answer_drained(8, others(), &["web1"]);
    assert!(!bench.leads());
    let status = bench.machine.status();
    assert_eq!(status.ending, Some(Ending::Drained));
    assert_eq!(status.ending.unwrap().to_string(), "drained");
    assert!(status.drained);
    bench.off();
    assert_eq!(successor(&bench).as_deref(), Some("web3"));
}

#[test]
fn a_drained_leader_gives_the_lock_up_where_nobody_else_is() {
    let mut bench = Bench::leading(options(), vec![ours()]);
    bench.answer("Register(", Ok(Answer::Done));
    bench.pass(ms(200));
    bench.answer_drained(8, vec![ours()], &["web1"]);
    bench.off();
    bench.answer("Release", Ok(Answer::Done));
    bench.answer("DestroySession", Ok(Answer::Done));
    bench.answer("CreateSession", Ok(Answer::Created(SessionId::new("next"))));
    bench.answer_read(released(20));
    bench.answer_drained(21, vec![], &["web1"]);
    bench.pass(Duration::from_secs(60));
    assert!(!bench.asks("Acquire") && !bench.asks("Register("));
    bench.answer_drained(22, vec![], &[]);
    assert!(bench.asks("Acquire") && bench.asks("Register("), "resumed");
    assert!(!bench.machine.status().drained);
}

#[test]
fn a_drained_standby_leaves_the_candidates_and_comes_back() {
    let mut bench = Bench::with(options(), vec![]);
    bench.answer("Register(", Ok(Answer::Done));
    bench.pass(ms(200));
    bench.answer_drained(7, others(), &["web1"]);
    bench.answer("Unregister", Ok(Answer::Done));
    let status = bench.machine.status();
    assert_eq!(status.health, Health::Bad("drained".into()));
    assert!(status.drained && !status.candidate);
    bench.pass(ms(200));
    bench.answer_drained(9, others(), &[]);
    assert!(bench.asks("Register("));
}

#[test]
fn nobody_asks_for_a_free_lock_before_it_has_looked() {
    let mut bench = before_the_first_look();
    assert!(bench.asks("WatchGroup { index: 0"));
    bench.pass(ms(500));
    assert!(!bench.asks("Acquire") && !bench.asks("Register("));
    assert_eq!(bench.machine.status().health, Health::Unknown);
    let mut drained = before_the_first_look();
    drained.answer_drained(6, vec![], &["web1"]);
    drained.pass(Duration::from_secs(60));
    assert!(!drained.asks("Acquire") && !drained.asks("Register("));
    bench.answer_drained(6, vec![], &["web2"]);
    assert!(bench.asks("Acquire") && bench.asks("Register("));
}

#[test]
fn a_session_that_is_new_looks_again_before_it_asks() {
    let mut bench = Bench::leading(options(), others());
    bench.step(Event::Health(Health::Bad("no answer".into())));
    bench.off();
    bench.answer("HandOver", Ok(Answer::Done));
    bench.answer("DestroySession", Ok(Answer::Done));
    bench.step(Event::Health(Health::Good));
    bench.answer("CreateSession", Ok(Answer::Created(SessionId::new("next"))));
    bench.answer_read(released(20));
    bench.pass(Duration::from_secs(5));
    assert!(
        !bench.asks("Acquire"),
        "drained meanwhile, for all it knows"
    );
    bench.answer_drained(21, vec![], &[]);
    assert!(bench.asks("Acquire"));
}

#[test]
fn a_look_that_fails_again_and_again_keeps_nobody_from_leading() {
    let mut bench = before_the_first_look();
    for tries in 1..=3 {
        assert!(!bench.asks("Acquire"), "before try {tries}");
        while !bench.asks("WatchGroup") {
            bench.pass(ms(100));
        }
        bench.answer("WatchGroup", Err(failure(FailureKind::Unavailable)));
    }
    assert!(bench.asks("Acquire"));
}

#[test]
fn without_the_right_to_look_nobody_is_drained() {
    let mut bench = before_the_first_look();
    bench.answer("WatchGroup", Err(failure(FailureKind::Denied)));
    assert!(bench.asks("Acquire"));
    assert!(!bench.machine.status().drained);
}

#[test]
fn a_leader_that_was_taken_up_leads_on_until_it_has_looked() {
    let mut bench = Bench::of(Params {
        options: options(),
        before: adoptable(),
        ..params(Terms::managed(D, T))
    });
    bench.on();
    bench.answer("Find", Ok(Answer::Found(Some(SessionId::new("ours")))));
    bench.answer_read(held(9, "ours"));
    assert!(bench.leads());
    bench.answer_drained(10, others(), &["web1"]);
    assert_eq!(bench.machine.status().ending, Some(Ending::Drained));
}

#[test]
fn a_drained_candidate_gets_nothing() {
    let drained = ["web3"];
    let mut bench = Bench::leading(options(), others());
    bench.pass(ms(200));
    bench.answer_drained(8, others(), &drained);
    bench.step(Event::Stop);
    bench.off();
    assert_eq!(successor(&bench).as_deref(), Some("web2"));

    let preempting = Options {
        preempt_after: Some(ms(300)),
        ..options()
    };
    let mut bench = Bench::leading(preempting, others());
    bench.pass(ms(200));
    bench.answer_drained(8, others(), &drained);
    bench.pass(ms(500));
    assert!(bench.leads(), "the better one is drained");
}

#[test]
fn a_switchover_to_a_drained_host_is_refused_with_the_reason() {
    let mut bench = Bench::leading(options(), others());
    bench.pass(ms(1200));
    bench.answer_read(held(30, "ours"));
    let request = Request {
        index: 33,
        to: Some("web3".to_owned()),
    };
    let read = crate::election::candidate::GroupRead {
        index: 34,
        candidates: vec![ours(), candidate("web2", 0)],
        request: Some(request),
        drained: vec!["web3".to_owned()],
    };
    bench.answer("WatchGroup", Ok(Answer::Group(read)));
    assert!(bench.leads());
    let refused = bench.machine.status().refused_request;
    assert_eq!(refused.as_deref(), Some("web3 is drained"));
}
