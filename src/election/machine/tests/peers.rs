//! Being heard as a leader, and missing a leader that is not heard any more.

use super::takeover::{options, others, ours};
use super::*;
use crate::election::peer::Message;

const INTERVAL: Duration = Duration::from_millis(100);

fn listening() -> Options {
    Options {
        peer_interval: Some(INTERVAL),
        ..options()
    }
}

fn said(from: &str, sequence: u64, message: Message) -> Event {
    Event::Heard {
        // When it is taken in.
        at: Timestamp::from_boot(Duration::MAX),
        said: Datagram {
            from: SessionId::new(from),
            leader: SessionId::new("theirs"),
            sequence,
            message,
        },
    }
}

fn heartbeat(sequence: u64) -> Event {
    let patience = Duration::ZERO;
    said("theirs", sequence, Message::Heartbeat { patience })
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

#[test]
fn silence_is_waited_out_for_a_restart_and_for_the_kernel() {
    for (lock_delay, patience, liveness_ttl) in [
        // 1 s of lifetime, 1.3 s of lateness and one interval, less the lock-delay.
        (1_000, 1_400, 2_000),
        (1_500, 900, 1_500),
        (2_400, 600, 600),
        // From here on the kernel is in time whatever ends the session.
        (2_500, 600, 500),
        (3_000, 600, 0),
        (10_000, 600, 0),
    ] {
        let terms = Terms::managed(ms(lock_delay), T);
        assert_eq!(terms.patience(INTERVAL), ms(patience), "{lock_delay} ms");
        assert_eq!(
            terms.least_liveness_ttl(),
            ms(liveness_ttl),
            "{lock_delay} ms"
        );
    }
    assert_eq!(Terms::managed(D, T).patience(ms(50)), ms(300));
    assert_eq!(Terms::managed(D, T).patience(ms(500)), ms(3_000));
}

#[test]
fn who_is_given_the_lock_looks_at_once_and_leads_on_that_proof_alone() {
    let given = |from: &str, to: &str, group| Event::Heard {
        at: Timestamp::from_boot(Duration::MAX),
        said: Datagram {
            from: SessionId::new(from),
            leader: SessionId::new(to),
            sequence: 9,
            message: Message::Given {
                group: GroupId(group),
            },
        },
    };
    let mut bench = Bench::with(listening(), others());
    for said in [
        given("theirs", "ours", 2),
        given("theirs", "of web2", 1),
        given("of web2", "ours", 1),
    ] {
        bench.step(said.clone());
        assert!(!bench.asks("Read"), "{said:?}");
    }
    bench.step(given("theirs", "ours", 1));
    assert!(!bench.leads());
    bench.answer_read(held(9, "ours"));
    assert!(bench.leads());
    bench.step(given("theirs", "ours", 1));
    assert!(!bench.asks("Read"), "it was heard before");
}

#[test]
fn a_leader_tells_whom_it_has_given_the_lock_to() {
    let mut bench = Bench::leading(listening(), others());
    bench.step(Event::Stop);
    bench.off();
    bench.sent.clear();
    bench.answer("HandOver", Ok(Answer::Done));
    let said: Vec<_> = bench
        .sent
        .iter()
        .map(|said| (said.leader.as_str(), said.message))
        .collect();
    let group = GroupId(1);
    assert_eq!(said, [("of web3", Message::Given { group })]);
}

#[test]
fn one_of_many_is_heard_while_it_gives_its_lock_away_and_not_for_ever() {
    let beats = |bench: &Bench| {
        let beat = |said: &&Datagram| matches!(said.message, Message::Heartbeat { .. });
        bench.sent.iter().filter(beat).count()
    };
    for one_of_many in [true, false] {
        let options = Options {
            one_of_many,
            ..listening()
        };
        let mut bench = Bench::leading(options, others());
        bench.step(Event::Stop);
        bench.sent.clear();
        bench.pass(ms(1_000));
        let first = beats(&bench);
        assert_eq!(first > 0, one_of_many);
        bench.off();
        bench.pass(ms(1_500));
        assert!(!one_of_many || beats(&bench) > first);
        bench.pass(ms(500));
        bench.sent.clear();
        bench.pass(ms(3_000));
        assert_eq!(beats(&bench), 0, "it may be cut off");
    }
}
