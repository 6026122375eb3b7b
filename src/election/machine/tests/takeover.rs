//! What makes a takeover fast: candidates, handover, health, liveness, and missing a silent leader.

use std::net::{Ipv4Addr, SocketAddr};

use super::*;
use crate::election::candidate::{Candidate, Request, Secret};
use crate::election::peer::Message;

const INTERVAL: Duration = Duration::from_millis(100);

fn options() -> Options {
    Options {
        candidates: true,
        ..Options::default()
    }
}

fn listening() -> Options {
    Options {
        peer_interval: Some(INTERVAL),
        ..options()
    }
}

fn candidate(value: &str, priority: i32) -> Candidate {
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

fn ours() -> Candidate {
    Candidate {
        session: SessionId::new("ours"),
        ..candidate("web1", 0)
    }
}

fn others() -> Vec<Candidate> {
    vec![ours(), candidate("web2", 0), candidate("web3", 5)]
}

fn successor(bench: &Bench) -> Option<String> {
    bench.under_way.iter().find_map(|(_, call)| {
        if let Call::HandOver { successor, .. } = call {
            Some(successor.value.clone())
        } else {
            None
        }
    })
}

fn said(from: &str, sequence: u64, message: Message) -> Event {
    Event::Heard(Datagram {
        from: SessionId::new(from),
        leader: SessionId::new("theirs"),
        sequence,
        message,
    })
}

fn heartbeat(sequence: u64) -> Event {
    let patience = Duration::ZERO;
    said("theirs", sequence, Message::Heartbeat { patience })
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
fn a_standby_that_may_not_be_a_candidate_any_more_waits_for_no_heartbeat() {
    let mut bench = Bench::with(listening(), others());
    bench.step(heartbeat(1));
    bench.answer("WatchGroup", Err(failure(FailureKind::Denied)));
    bench.pass(ms(400));
    let (at, reason) = bench.machine.deadline().unwrap();
    assert!(at > bench.now, "{reason:?} is due for ever");
    assert!(!bench.asks("Depose"), "it is not sent any");
}

#[test]
fn a_leader_that_may_not_be_a_candidate_any_more_is_heard_all_the_same() {
    let mut bench = Bench::leading(listening(), others());
    bench.answer("WatchGroup", Err(failure(FailureKind::Denied)));
    bench.sent.clear();
    bench.pass(ms(300));
    assert_eq!(bench.sent.len(), 6);
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

#[test]
fn a_leader_is_heard_by_the_others_at_every_interval() {
    let mut bench = Bench::leading(listening(), others());
    bench.sent.clear();
    bench.pass(ms(300));
    let beats = |name: &str| {
        let (to, leader) = (SessionId::new("ours"), SessionId::new("ours"));
        bench
            .sent
            .iter()
            .filter(|said| said.from == to && said.leader == leader)
            .filter(|said| format!("{:?}", said.message).starts_with(name))
            .count()
    };
    assert_eq!(beats("Heartbeat"), 6, "three to each of two");
}

#[test]
fn who_may_not_know_that_its_entry_is_gone_is_spoken_to_for_a_while() {
    let mut bench = Bench::leading(listening(), others());
    bench.answer_group(9, vec![ours()], None);
    bench.sent.clear();
    bench.pass(ms(300));
    assert_eq!(bench.sent.len(), 6);
    bench.pass(ms(5_000));
    bench.sent.clear();
    bench.pass(ms(300));
    assert!(bench.sent.is_empty());
}

#[test]
fn a_leader_that_falls_silent_is_deposed_when_nobody_else_hears_it() {
    let mut bench = Bench::with(listening(), others());
    bench.step(heartbeat(1));
    bench.pass(ms(199));
    assert!(bench.sent.is_empty());
    bench.pass(ms(1));
    let asked = bench
        .sent
        .iter()
        .map(|said| said.message)
        .collect::<Vec<_>>();
    assert_eq!(asked, [Message::Question, Message::Question]);
    bench.answer_read(held(6, "theirs"));
    bench.pass(ms(99));
    assert!(!bench.asks("Depose"));
    bench.pass(ms(1));
    assert!(bench.asks("Depose(theirs)"));
    bench.answer("Depose", Ok(Answer::Done));
    assert!(bench.machine.status().deposed.is_some());
    assert!(bench.asks("Read"), "it looks at once");
}

#[test]
fn a_leader_that_another_candidate_hears_is_left_alone() {
    let mut bench = Bench::with(listening(), others());
    bench.step(heartbeat(1));
    bench.pass(ms(200));
    bench.answer_read(held(6, "theirs"));
    let question = bench.sent[0].sequence;
    let heard = |question, ago| {
        let message = Message::Heard { question, ago };
        said("of web2", 1, message)
    };
    bench.step(heard(question + 1, ms(0)));
    bench.step(heard(question, ms(200)));
    bench.pass(ms(99));
    bench.step(heard(question, ms(50)));
    bench.pass(ms(250));
    assert!(!bench.asks("Depose"));
    bench.answer_read(held(6, "theirs"));
    bench.pass(ms(60));
    assert!(bench.asks("Depose"), "nobody says so any more");
}

#[test]
fn who_never_heard_the_leader_or_was_not_there_suspects_nobody() {
    let mut bench = Bench::with(listening(), others());
    bench.pass(Duration::from_secs(60));
    assert!(!bench.asks("Depose") && bench.sent.is_empty());

    bench.step(heartbeat(1));
    // Frozen: nothing is done at the deadlines on the way.
    bench.now = bench.now + Duration::from_secs(30);
    bench.step(Event::DeadlineReached);
    assert!(!bench.asks("Depose") && bench.sent.is_empty());
    bench.step(heartbeat(2));
    bench.pass(ms(199));
    assert!(bench.sent.is_empty());
}

#[test]
fn an_old_heartbeat_sent_again_keeps_no_leader_alive() {
    let mut bench = Bench::with(listening(), others());
    bench.step(heartbeat(7));
    for _ in 0..2 {
        bench.pass(ms(100));
        bench.step(heartbeat(7));
        bench.step(heartbeat(6));
    }
    bench.answer_read(held(6, "theirs"));
    bench.pass(ms(100));
    assert!(bench.asks("Depose"));
}

#[test]
fn a_candidate_answers_whoever_misses_the_leader_that_it_hears() {
    let mut bench = Bench::with(listening(), others());
    bench.step(said("of web2", 3, Message::Question));
    assert!(bench.sent.is_empty(), "it does not hear it");
    bench.step(heartbeat(1));
    bench.pass(ms(40));
    bench.step(said("of web2", 4, Message::Question));
    bench.step(said("of web2", 4, Message::Question));
    bench.step(said("of nobody", 5, Message::Question));
    let answers = bench
        .sent
        .iter()
        .map(|said| said.message)
        .collect::<Vec<_>>();
    let (question, ago) = (4, ms(40));
    assert_eq!(answers, [Message::Heard { question, ago }]);
}

#[test]
fn who_has_ended_a_session_suspects_nobody_for_a_while() {
    let mut bench = Bench::with(listening(), others());
    bench.step(heartbeat(1));
    bench.pass(ms(200));
    bench.answer_read(held(6, "theirs"));
    bench.pass(ms(100));
    bench.answer("Depose", Ok(Answer::Done));
    bench.answer_read(held(12, "theirs"));
    bench.step(heartbeat(2));
    bench.pass(ms(200));
    bench.answer_read(held(12, "theirs"));
    bench.pass(ms(8_800));
    assert!(!bench.asks("Depose"));
    bench.pass(Duration::from_secs(2));
    assert!(bench.asks("Depose"));
}

#[test]
fn who_is_cut_off_from_consul_ends_no_session() {
    let mut bench = Bench::with(listening(), others());
    bench.step(heartbeat(1));
    for _ in 0..20 {
        bench.pass(ms(500));
        if bench.asks("Read") {
            bench.answer("Read", Err(failure(FailureKind::Unavailable)));
        }
        assert!(!bench.asks("Depose"));
    }
    // Consul answers again: the leader leads, and is still not heard.
    bench.pass(ms(5_000));
    bench.answer_read(held(6, "theirs"));
    bench.pass(ms(300));
    assert!(bench.asks("Depose"));
}
