//! Leaving a session that others go on with.

use super::*;

#[test]
fn the_last_one_ends_the_session() {
    let mut bench = Bench::sharing(&[A, B], "s1");
    bench.leaves(A, "s1", None);
    bench.by_request(B, destroy("s1"), Ok(Answer::Done));
    assert!(bench.sharing.pool.is_empty());
}

#[test]
fn of_two_that_leave_at_once_one_ends_it() {
    let mut bench = Bench::sharing(&[A, B], "s1");
    let tickets = [A, B].map(|seat| bench.ask(seat, destroy("s1")));
    let errand = bench.only();
    assert_eq!(errand.what, What::Read(vec![A, B]));
    bench.done(&errand, vec![shown(None), shown(Some(key(None, 4)))]);
    let errand = bench.only();
    let expected = [
        (A, let_go("s1", None)),
        (B, let_go("s1", Some(key(None, 4)))),
    ];
    assert_eq!(errand.what, What::Change(expected.to_vec()));
    bench.done(&errand, vec![Ok(Answer::Done), Ok(Answer::Done)]);
    assert_eq!(bench.answer(tickets[0]), Some(Ok(Answer::Done)));
    assert_eq!(bench.answer(tickets[1]), None);
    let errand = bench.only();
    assert_eq!(errand.what, What::One(B, destroy("s1")));
    bench.done(&errand, vec![Ok(Answer::Done)]);
    assert_eq!(bench.answer(tickets[1]), Some(Ok(Answer::Done)));
    assert!(bench.sharing.pool.is_empty());
}

#[test]
fn where_that_rule_is_broken_the_first_one_ends_it() {
    let mut bench = Bench::sharing(&[A, B], "s1").breaking(Rule::OneGroupEndsNoOther);
    bench.by_request(A, destroy("s1"), Ok(Answer::Done));
}

#[test]
fn where_leaving_needs_no_proof_it_is_a_word() {
    let mut bench = Bench::sharing(&[A, B], "s1").breaking(Rule::LeavingIsProven);
    assert_eq!(bench.at_once(A, destroy("s1")), Ok(Answer::Done));
}

/// What was asked before, whether it was done, and whether that is proof enough.
#[test]
fn what_took_the_entry_along_and_was_answered_is_proof_enough() {
    let successor = || crate::election::call::Successor {
        session: id("t1"),
        value: "other".to_owned(),
    };
    let release = |registered| Call::Release {
        session: id("s1"),
        registered,
    };
    let hand_over = |registered| Call::HandOver {
        session: id("s1"),
        registered,
        successor: successor(),
        request: None,
    };
    let refused = || failed(FailureKind::Changed);
    let lost = || failed(FailureKind::Unavailable);
    for (call, result, clean) in [
        (release(true), Ok(Answer::Done), true),
        (release(true), refused(), false),
        (release(true), lost(), false),
        (release(false), Ok(Answer::Done), false),
        (hand_over(true), Ok(Answer::Done), true),
        (hand_over(true), refused(), false),
        (hand_over(false), Ok(Answer::Done), false),
        (Call::Unregister(id("s1")), Ok(Answer::Done), false),
    ] {
        let mut bench = Bench::sharing(&[A, B], "s1");
        bench.by_request(A, call.clone(), result.clone());
        if clean {
            assert_eq!(bench.at_once(A, destroy("s1")), Ok(Answer::Done));
        } else {
            bench.leaves(A, "s1", Some(key(Some("s1"), 4)));
        }
        // It is of no importance to B.
        bench.by_request(B, destroy("s1"), Ok(Answer::Done));
    }
}

#[test]
fn a_release_that_nobody_waits_for_any_more_is_no_proof() {
    let mut bench = Bench::sharing(&[A, B], "s1");
    let ticket = bench.ask(A, release("s1"));
    let errand = bench.only();
    bench.sharing.forget(ticket);
    bench.done(&errand, vec![Ok(Answer::Done)]);
    bench.leaves(A, "s1", None);
}

#[test]
fn a_key_that_changes_meanwhile_is_read_again_so_many_times() {
    let mut bench = Bench::sharing(&[A, B], "s1");
    let ticket = bench.ask(A, destroy("s1"));
    for index in 1..=3 {
        let errand = bench.only();
        bench.done(&errand, vec![shown(Some(key(None, index)))]);
        let (errand, call) = bench.only_change();
        assert_eq!(call, let_go("s1", Some(key(None, index))));
        assert_eq!(bench.answer(ticket), None);
        bench.done(&errand, vec![failed(FailureKind::Changed)]);
    }
    assert_eq!(bench.answer(ticket), Some(failed(FailureKind::Changed)));
    assert_eq!(bench.sent(), []);
    assert!(bench.sharing.is_leaving(A));
    // Whoever asks again need not wait.
    bench.leaves(A, "s1", None);
    assert!(!bench.sharing.is_leaving(A));
}

#[test]
fn what_has_failed_is_tried_again_later_by_itself() {
    for fails_at_once in [true, false] {
        let mut bench = Bench::sharing(&[A, B], "s1");
        let ticket = bench.ask(A, destroy("s1"));
        let mut errand = bench.only();
        if !fails_at_once {
            bench.done(&errand, vec![shown(None)]);
            errand = bench.only_change().0;
        }
        bench.done(&errand, vec![failed(FailureKind::Unavailable)]);
        let lost = Some(failed(FailureKind::Unavailable));
        assert_eq!(bench.answer(ticket), lost);
        bench.passes(SECOND - Duration::from_millis(1));
        assert_eq!(bench.at_once(B, create()), created("s1"));
        bench.passes(Duration::from_millis(1));
        bench.ask(B, create());
        bench.lets_go(A, "s1", Some(key(Some("s1"), 4)));
        assert_eq!(bench.at_once(A, destroy("s1")), Ok(Answer::Done));
    }
}

#[test]
fn it_is_left_also_where_nobody_waits_for_the_answer() {
    let mut bench = Bench::sharing(&[A, B], "s1");
    let ticket = bench.ask(A, destroy("s1"));
    bench.sharing.forget(ticket);
    bench.lets_go(A, "s1", None);
    assert_eq!(bench.answer(ticket), None);
    assert_eq!(bench.at_once(A, destroy("s1")), Ok(Answer::Done));
}

#[test]
fn who_asks_twice_leaves_once() {
    let mut bench = Bench::sharing(&[A, B], "s1");
    let first = bench.ask(A, destroy("s1"));
    bench.sharing.forget(first);
    bench.leaves(A, "s1", None);
}

#[test]
fn without_the_right_to_the_entry_it_is_left_without() {
    let mut bench = Bench::sharing(&[A, B], "s1");
    let ticket = bench.ask(A, destroy("s1"));
    for registered in [true, false] {
        let errand = bench.only();
        bench.done(&errand, vec![shown(None)]);
        let (errand, call) = bench.only_change();
        let expected = Call::LetGo {
            session: id("s1"),
            seen: None,
            registered,
        };
        assert_eq!(call, expected);
        let result = if registered {
            failed(FailureKind::Denied)
        } else {
            Ok(Answer::Done)
        };
        bench.done(&errand, vec![result]);
    }
    assert_eq!(bench.answer(ticket), Some(Ok(Answer::Done)));
}

#[test]
fn a_group_that_ends_lets_go_of_what_others_use() {
    let mut bench = Bench::sharing(&[A, B], "s1");
    bench.ask(A, Call::Read);
    bench.ask(A, Call::MarkVacant);
    bench.sharing.depart(A);
    // It asks nothing more but that.
    bench.lets_go(A, "s1", Some(key(Some("s1"), 7)));
    assert!(!bench.sharing.is_leaving(A));
    assert!(bench.sharing.calls.is_empty());
    bench.by_request(B, destroy("s1"), Ok(Answer::Done));
}

#[test]
fn what_it_was_leaving_when_it_ended_it_goes_on_leaving() {
    let mut bench = Bench::sharing(&[A, B], "s1");
    bench.ask(A, destroy("s1"));
    let errand = bench.only();
    bench.done(&errand, vec![failed(FailureKind::Unavailable)]);
    bench.sharing.depart(A);
    assert!(bench.sharing.is_leaving(A));
    bench.lets_go(A, "s1", None);
    assert!(!bench.sharing.is_leaving(A));
}

#[test]
fn a_session_that_nobody_else_uses_is_left_to_its_ttl() {
    let mut bench = Bench::sharing(&[A], "s1");
    bench.sharing.depart(A);
    assert_eq!(bench.sent(), []);
    assert!(bench.sharing.pool.is_empty());
    assert!(!bench.sharing.is_leaving(A));
}

/// A registration, or an answer to one, may be late enough to bring a session back that was left.
#[test]
fn a_session_that_turns_up_again_is_left_again() {
    let held = || Some(key(Some("s1"), 8));
    let mut bench = Bench::sharing(&[A, B], "s1");
    bench.leaves(A, "s1", None);
    bench.by_request(A, create(), created("s2"));
    // In the key, as a proof shows it.
    bench.by_request(A, Call::Read, shown(held()));
    bench.lets_go(A, "s1", held());
    // As a watch shows it: whoever sees another holder asks for its lock-delay.
    bench.ask(A, Call::SessionLockDelay(id("s1")));
    let sent = bench.sent();
    let [read, question] = &sent[..] else {
        panic!("{sent:?}")
    };
    assert_eq!(read.what, What::Read(vec![A]));
    let asked = What::One(A, Call::SessionLockDelay(id("s1")));
    assert_eq!(question.what, asked);
    bench.done(question, vec![Ok(Answer::LockDelay(Some(SECOND)))]);
    bench.done(read, vec![shown(held())]);
    let (errand, call) = bench.only_change();
    assert_eq!(call, let_go("s1", held()));
    bench.done(&errand, vec![Ok(Answer::Done)]);
    // In the entry, which keeps another from being written.
    let register = Call::Register(id("s2"));
    bench.by_request(A, register.clone(), failed(FailureKind::Held));
    bench.lets_go(A, "s1", None);
    bench.by_request(A, register, Ok(Answer::Done));
    // It is nothing to B, who uses it.
    bench.by_request(B, Call::Read, shown(held()));
    assert_eq!(bench.sent(), []);
}

#[test]
fn what_a_group_had_before_it_came_is_let_go_of_too() {
    let held = || Some(key(Some("s1"), 8));
    let mut bench = Bench::sharing(&[A], "s1");
    bench.sharing.enter(B, ONE, &Before::Nothing);
    // Its key is locked by what A keeps alive: its last process had both.
    bench.by_request(B, Call::Read, shown(held()));
    bench.lets_go(B, "s1", held());
    // What is nobody's here ends by itself, or is another host's.
    bench.by_request(B, Call::Read, shown(Some(key(Some("t1"), 9))));
    assert_eq!(bench.sent(), []);
}

/// Handovers, ends and beginnings of groups without number.
#[test]
fn nothing_grows() {
    let mut bench = Bench::sharing(&[A, B, C], "s0");
    bench.sharing.depart(C);
    bench.lets_go(C, "s0", None);
    let size = |bench: &Bench| {
        let Sharing {
            bonds,
            pool,
            services,
            refusals,
            leavings,
            joint,
            calls,
            reads,
            changes,
            under_way,
            answers,
            numbers: _,
            broken: _,
            old,
        } = &bench.sharing;
        format!(
            "{} {} {} {} {} {} {} {} {} {} {} {}",
            bonds.len(),
            pool.size(),
            services.len(),
            refusals.len(),
            leavings.size(),
            joint.size(),
            calls.len(),
            reads.len(),
            changes.len(),
            under_way.len(),
            answers.len(),
            old.len(),
        )
    };
    let mut sizes = Vec::new();
    let (mut session, mut seat) = ("s0".to_owned(), A);
    for round in 1..1_000_u64 {
        // One gives its session up, which the other uses in the first round.
        if round == 1 {
            bench.leaves(A, "s0", None);
        } else {
            bench.by_request(seat, release(&session), Ok(Answer::Done));
            bench.by_request(seat, destroy(&session), Ok(Answer::Done));
        }
        // Another group comes, uses what B uses or a session of its own, and goes in the middle of it.
        let guest = Seat(100 + round);
        bench.sharing.enter(guest, ONE, &Before::Nothing);
        session = format!("s{round}");
        bench.by_request(guest, create(), created(&session));
        assert_eq!(bench.at_once(seat, create()), created(&session));
        bench.ask(guest, Call::Read);
        bench.sharing.depart(guest);
        bench.lets_go(guest, &session, None);
        // And one takes another's place.
        bench.by_request(seat, destroy(&session), Ok(Answer::Done));
        bench.sharing.depart(seat);
        seat = Seat(10_000 + round);
        bench.sharing.enter(seat, ONE, &Before::Nothing);
        session = format!("t{round}");
        bench.by_request(seat, create(), created(&session));
        bench.by_request(B, renew("s0"), Ok(Answer::Done));
        bench.passes(2 * SECOND);
        bench.answered.clear();
        sizes.push(size(&bench));
    }
    assert_eq!(sizes[100], sizes[998]);
}
