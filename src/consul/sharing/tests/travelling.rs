//! What travels together, what is asked once, and what is asked by itself.

use super::*;

#[test]
fn what_is_read_at_one_instant_is_read_in_one_request() {
    let mut bench = Bench::of(&[A, B, C]);
    let tickets = [A, B, C].map(|seat| bench.ask(seat, Call::Read));
    let errand = bench.only();
    assert_eq!(errand.what, What::Read(vec![A, B, C]));
    let results: Vec<Outcome> = (1..=3).map(|index| shown(Some(key(None, index)))).collect();
    bench.done(&errand, results.clone());
    for (ticket, result) in tickets.into_iter().zip(results) {
        assert_eq!(bench.answer(ticket), Some(result));
    }
}

#[test]
fn a_read_answers_nobody_who_asked_after_it_was_sent() {
    let mut bench = Bench::of(&[A, B]);
    let first = bench.ask(A, Call::Read);
    let errand = bench.only();
    let again = bench.ask(A, Call::Read);
    let other = bench.ask(B, Call::Read);
    bench.done(&errand, vec![shown(None)]);
    assert_eq!(bench.answer(first), Some(shown(None)));
    assert_eq!((bench.answer(again), bench.answer(other)), (None, None));
    assert_eq!(bench.only().what, What::Read(vec![A, B]));
    let late = bench.ask(A, Call::Read);
    assert_eq!(bench.answer(late), None);
}

#[test]
fn where_that_rule_is_broken_an_old_read_answers() {
    let mut bench = Bench::of(&[A]).breaking(Rule::ReadAnswersEarlierCalls);
    bench.by_request(A, Call::Read, shown(Some(key(None, 3))));
    bench.by_request(A, release("s1"), Ok(Answer::Done));
    bench.passes(SECOND / 2);
    assert_eq!(bench.at_once(A, Call::Read), shown(Some(key(None, 3))));
    bench.passes(SECOND);
    bench.by_request(A, Call::Read, shown(None));
}

#[test]
fn so_many_requests_are_under_way_and_no_more() {
    let mut bench = Bench::of(&[A]);
    for number in 0..40 {
        bench.ask(A, Call::Read);
        bench.ask(A, Call::DropRequest { index: number });
        bench.ask(A, destroy(&format!("t{number}")));
        // Each goes out by itself, as long as it may.
        if number < 20 {
            let sent = bench.sent();
            let under_way = bench.sharing.under_way.len();
            assert!(under_way <= READS + CHANGES + OTHERS, "{under_way}");
            assert_eq!(sent.is_empty(), number >= OTHERS as u64, "{sent:?}");
        }
    }
    let under_way = bench.sharing.under_way.values();
    let reads = under_way.filter(|kind| matches!(kind, Kind::Read(_)));
    assert_eq!(reads.count(), READS);
    assert_eq!(bench.sharing.under_way.len(), READS + CHANGES + OTHERS);
}

#[test]
fn a_request_that_is_over_makes_room_for_what_has_come_meanwhile() {
    let mut bench = Bench::of(&[A]);
    let mut errands = Vec::new();
    for _ in 0..READS {
        bench.ask(A, Call::Read);
        errands.push(bench.only());
    }
    for seat in [A, A, A] {
        bench.ask(seat, Call::Read);
    }
    assert_eq!(bench.sent(), []);
    bench.done(&errands[0], vec![shown(None)]);
    assert_eq!(bench.only().what, What::Read(vec![A, A, A]));
}

#[test]
fn sixty_four_operations_travel_together() {
    let seats: Vec<Seat> = (0..100).map(Seat).collect();
    // Each call, how many operations it has, and so how many fit.
    let calls = [
        (Call::Register(id("s1")), 64),
        (Call::MarkVacant, 32),
        (release("s1"), 21),
        (let_go("s1", None), 16),
        (
            Call::HandOver {
                session: id("s1"),
                registered: true,
                successor: crate::election::call::Successor {
                    session: id("t1"),
                    value: "other".to_owned(),
                },
                request: Some(3),
            },
            10,
        ),
    ];
    for (call, fit) in calls {
        let mut bench = Bench::of(&seats);
        for seat in &seats {
            bench.ask(*seat, call.clone());
        }
        let Some(What::Change(changes)) = bench.sharing.next_errand().map(|errand| errand.what)
        else {
            panic!("no change")
        };
        assert_eq!(changes.len(), fit, "{call}");
        let operations: usize = changes.iter().map(|(_, call)| call.operations()).sum();
        assert!(operations <= OPERATIONS);
    }
    let mut bench = Bench::of(&seats);
    for seat in &seats {
        bench.ask(*seat, Call::Read);
    }
    let counts: Vec<usize> = (bench.sent().into_iter())
        .map(|errand| match errand.what {
            What::Read(seats) => seats.len(),
            What::Change(_) | What::One(..) => 0,
        })
        .collect();
    assert_eq!(counts, [64, 36]);
}

#[test]
fn two_changes_of_one_group_do_not_travel_together() {
    let mut bench = Bench::of(&[A, B]);
    bench.ask(A, Call::Register(id("s1")));
    bench.ask(B, Call::MarkVacant);
    bench.ask(A, Call::MarkVacant);
    bench.ask(B, Call::Register(id("s1")));
    let sent = bench.sent().into_iter().map(|errand| errand.what);
    let expected = [
        What::Change(vec![(A, Call::Register(id("s1"))), (B, Call::MarkVacant)]),
        What::Change(vec![(A, Call::MarkVacant), (B, Call::Register(id("s1")))]),
    ];
    assert_eq!(sent.collect::<Vec<_>>(), expected);
}

#[test]
fn every_group_gets_its_own_result_of_a_change() {
    let mut bench = Bench::of(&[A, B]);
    let tickets = [A, B].map(|seat| bench.ask(seat, Call::MarkVacant));
    let errand = bench.only();
    let results = [Ok(Answer::Done), failed(FailureKind::Changed)];
    bench.done(&errand, results.to_vec());
    assert_eq!(
        tickets.map(|ticket| bench.answer(ticket)),
        results.map(Some)
    );
}

#[test]
fn what_is_forgotten_is_not_sent() {
    let mut bench = Bench::of(&[A, B]);
    for call in [Call::Read, Call::MarkVacant, create(), destroy("t")] {
        let ticket = bench.ask(A, call);
        bench.sharing.forget(ticket);
    }
    assert_eq!(bench.sent(), []);
    // Of what was joined, the one who still waits is served.
    let (first, second) = (bench.ask(A, create()), bench.ask(B, create()));
    bench.sharing.forget(first);
    let errand = bench.only();
    bench.done(&errand, vec![created("s1")]);
    assert_eq!(bench.answer(first), None);
    assert_eq!(bench.answer(second), Some(created("s1")));
    assert!(bench.sharing.calls.is_empty());
}

#[test]
fn what_is_forgotten_on_its_way_is_answered_to_nobody() {
    let mut bench = Bench::of(&[A]);
    for (call, result) in [
        (Call::Read, shown(None)),
        (Call::MarkVacant, Ok(Answer::Done)),
        (create(), created("s1")),
    ] {
        let ticket = bench.ask(A, call);
        let errand = bench.only();
        bench.sharing.forget(ticket);
        bench.done(&errand, vec![result]);
        assert_eq!(bench.answer(ticket), None);
    }
    // Whoever wants a session has not been given that one: it looks for it by its name.
    bench.by_request(A, create(), created("s2"));
}

#[test]
fn an_answer_that_comes_twice_is_nobodys() {
    let mut bench = Bench::of(&[A]);
    let ticket = bench.ask(A, Call::Read);
    let errand = bench.only();
    bench.done(&errand, vec![shown(None)]);
    bench.done(&errand, vec![shown(Some(key(None, 3)))]);
    assert_eq!(bench.sharing.answers(), [(ticket, shown(None))]);
}

/// The calls that are asked as they are, and whether another group's, of the same bond, and of another, joins it.
#[test]
fn who_wants_the_same_has_it_asked_once() {
    let named = |name: &str| Call::FindSession {
        name: name.to_owned(),
        id: None,
    };
    let (yes, no) = (true, false);
    for (call, other, joins, joins_other_bond) in [
        (create(), create(), yes, no),
        (
            create(),
            Call::CreateSession {
                name: "q-7".to_owned(),
                liveness: false,
            },
            yes,
            no,
        ),
        (
            create(),
            Call::CreateSession {
                name: "p-0".to_owned(),
                liveness: true,
            },
            no,
            no,
        ),
        (find("s1"), find("s1"), yes, no),
        (find("s1"), find("s2"), no, no),
        (named("p-0"), named("p-0"), no, no),
        (renew("s1"), renew("s1"), yes, no),
        (renew("s1"), renew("s2"), no, no),
        (destroy("s1"), destroy("s1"), yes, no),
        (
            Call::SessionLockDelay(id("x")),
            Call::SessionLockDelay(id("x")),
            yes,
            no,
        ),
        (Call::Depose(id("x")), Call::Depose(id("x")), yes, no),
        (Call::Feed, Call::Feed, yes, no),
        (Call::Watch { index: 3 }, Call::Watch { index: 3 }, no, no),
        (
            Call::WatchThroughLeader { index: 3 },
            Call::WatchThroughLeader { index: 3 },
            no,
            no,
        ),
        (
            Call::WatchGroup { index: 3 },
            Call::WatchGroup { index: 3 },
            no,
            no,
        ),
    ] {
        for under_way in [false, true] {
            let mut bench = Bench::of(&[A, B]);
            bench.sharing.enter(C, TWO, &Before::Nothing);
            bench.ask(A, call.clone());
            let mut sent = 0;
            if under_way {
                sent += bench.sent().len();
            }
            bench.ask(B, other.clone());
            sent += bench.sent().len();
            assert_eq!(sent == 1, joins, "{call:?} {other:?}, {under_way}");
            bench.ask(C, other.clone());
            let third = bench.sent().len();
            assert_eq!(third == 0, joins_other_bond, "{call:?}, other bond");
        }
    }
}

#[test]
fn what_was_joined_is_answered_to_all_also_where_it_fails() {
    for result in [created("s1"), failed(FailureKind::CheckCritical)] {
        let mut bench = Bench::of(&[A, B, C]);
        let tickets = [A, B, C].map(|seat| bench.ask(seat, create()));
        let errand = bench.only();
        bench.done(&errand, vec![result.clone()]);
        for ticket in tickets {
            assert_eq!(bench.answer(ticket), Some(result.clone()));
        }
    }
}

#[test]
fn a_request_may_take_as_long_as_the_most_patient_waits() {
    let mut bench = Bench::of(&[A, B]);
    for (seat, patience) in [(A, SECOND), (B, 3 * SECOND)] {
        let now = bench.now;
        bench.sharing.ask(now, seat, create(), patience);
        bench.sharing.ask(now, seat, Call::Read, patience);
        bench.sharing.ask(now, seat, Call::MarkVacant, patience);
    }
    let sent = bench.sent();
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|errand| errand.timeout == 3 * SECOND));
}

#[test]
fn a_renewal_counts_for_whoever_wants_one_soon_after() {
    let mut bench = Bench::sharing(&[A, B], "s1");
    bench.by_request(A, renew("s1"), Ok(Answer::Done));
    bench.passes(SECOND - Duration::from_millis(1));
    assert_eq!(bench.at_once(B, renew("s1")), Ok(Answer::Done));
    bench.passes(Duration::from_millis(1));
    bench.by_request(B, renew("s1"), failed(FailureKind::Unavailable));
    // One that failed counts for nobody.
    bench.by_request(A, renew("s1"), Ok(Answer::Done));
}
