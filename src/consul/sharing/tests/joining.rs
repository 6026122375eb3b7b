//! Which group gets which session, and what the agent is told of the service.

use super::*;

#[test]
fn a_group_that_comes_later_gets_the_session_of_its_bond() {
    let mut bench = Bench::sharing(&[A], "s1");
    bench.sharing.enter(B, ONE, &Before::Nothing);
    bench.sharing.enter(C, TWO, &Before::Nothing);
    assert_eq!(bench.at_once(B, create()), created("s1"));
    bench.by_request(C, create(), created("s2"));
    let bound = Call::CreateSession {
        name: "p-1".to_owned(),
        liveness: true,
    };
    bench.sharing.enter(Seat(9), ONE, &Before::Nothing);
    bench.by_request(Seat(9), bound, created("s3"));
}

#[test]
fn the_newest_session_is_given() {
    let mut bench = Bench::sharing(&[A, B], "s1");
    bench.leaves(A, "s1", None);
    bench.by_request(A, create(), created("s2"));
    bench.sharing.enter(C, ONE, &Before::Nothing);
    assert_eq!(bench.at_once(C, create()), created("s2"));
}

#[test]
fn a_group_is_never_given_a_session_that_it_has_left() {
    let mut bench = Bench::sharing(&[A, B], "s1");
    bench.leaves(A, "s1", None);
    bench.by_request(A, create(), created("s2"));
    let mut broken = Bench::sharing(&[A, B], "s1").breaking(Rule::LeftSessionIsNotReturned);
    broken.leaves(A, "s1", None);
    assert_eq!(broken.at_once(A, create()), created("s1"));
}

#[test]
fn nor_is_it_when_it_comes_back_as_another() {
    // Whether it has left the session in order, or was ended in the middle.
    for in_order in [true, false] {
        let mut bench = Bench::sharing(&[A, B], "s1");
        if in_order {
            bench.leaves(A, "s1", None);
        }
        bench.sharing.depart(A);
        if !in_order {
            bench.lets_go(A, "s1", Some(key(Some("s1"), 4)));
        }
        // Its release may be on its way yet.
        bench.sharing.enter(C, ONE, &Before::Nothing);
        bench.by_request(C, create(), created("s2"));
        // The others go on with theirs.
        assert!(!bench.sharing.pool.is_others(B, &id("s1")));
        bench.by_request(B, renew("s1"), Ok(Answer::Done));
    }
}

#[test]
fn a_session_of_the_process_before_is_given_to_those_who_adopt_it() {
    let adoptable = Before::Adoptable {
        name: "old".to_owned(),
        session: id("s0"),
    };
    let mut bench = Bench::default();
    bench.sharing.enter(A, ONE, &adoptable);
    bench.sharing.enter(B, ONE, &adoptable);
    bench.sharing.enter(C, ONE, &Before::Nothing);
    let tickets = [A, B].map(|seat| bench.ask(seat, find("s0")));
    let errand = bench.only();
    bench.done(&errand, vec![found("s0")]);
    for ticket in tickets {
        assert_eq!(bench.answer(ticket), Some(found("s0")));
    }
    // It may be spent, as far as anybody else knows.
    bench.by_request(C, create(), created("s1"));
    // A gives it up alone.
    bench.leaves(A, "s0", Some(key(Some("s0"), 5)));
    assert_eq!(bench.at_once(A, create()), created("s1"));
    bench.by_request(B, destroy("s0"), Ok(Answer::Done));
}

#[test]
fn a_leftover_that_others_adopt_is_left_and_not_ended() {
    let (name, session) = ("old".to_owned(), id("s0"));
    let leftover = Before::Leftover {
        name: name.clone(),
        session: Some(session.clone()),
    };
    let mut bench = Bench::default();
    bench.sharing.enter(A, ONE, &leftover);
    bench
        .sharing
        .enter(B, ONE, &Before::Adoptable { name, session });
    bench.by_request(A, find("s0"), found("s0"));
    bench.leaves(A, "s0", Some(key(Some("s0"), 5)));
    // One that nobody adopts is ended.
    let mut alone = Bench::default();
    alone.sharing.enter(A, ONE, &leftover);
    alone.by_request(A, find("s0"), found("s0"));
    alone.by_request(A, destroy("s0"), Ok(Answer::Done));
}

#[test]
fn a_leftover_is_let_go_of_also_where_the_group_ends_before_it_looks() {
    let (name, session) = ("old".to_owned(), id("s0"));
    for before in [
        Before::Leftover {
            name: name.clone(),
            session: Some(session.clone()),
        },
        Before::Adoptable {
            name: name.clone(),
            session: session.clone(),
        },
    ] {
        let mut bench = Bench::default();
        bench.sharing.enter(A, ONE, &before);
        let (name, session) = (name.clone(), session.clone());
        bench
            .sharing
            .enter(B, ONE, &Before::Adoptable { name, session });
        bench.sharing.depart(A);
        assert!(bench.sharing.is_leaving(A));
        bench.lets_go(A, "s0", Some(key(Some("s0"), 5)));
        assert!(!bench.sharing.is_leaving(A));
    }
}

#[test]
fn what_is_not_found_is_used_by_nobody() {
    let adoptable = Before::Adoptable {
        name: "old".to_owned(),
        session: id("s0"),
    };
    let mut bench = Bench::default();
    for seat in [A, B] {
        bench.sharing.enter(seat, ONE, &adoptable);
    }
    for seat in [A, B] {
        bench.ask(seat, find("s0"));
    }
    let errand = bench.only();
    bench.done(&errand, vec![Ok(Answer::Found(None))]);
    assert!(bench.sharing.pool.is_empty());
}

#[test]
fn a_session_that_was_found_by_its_name_is_the_finders_alone() {
    let mut bench = Bench::of(&[A, B]);
    let named = Call::FindSession {
        name: "p-0".to_owned(),
        id: None,
    };
    bench.by_request(A, named, found("s1"));
    bench.by_request(B, create(), created("s2"));
    bench.by_request(A, destroy("s1"), Ok(Answer::Done));
}

#[test]
fn news_that_a_session_is_gone_are_news_to_all_who_use_it() {
    let mut bench = Bench::sharing(&[A, B, C], "s1");
    bench.by_request(A, renew("s1"), failed(FailureKind::SessionGone));
    let Err(failure) = bench.at_once(B, renew("s1")) else {
        panic!("renewed")
    };
    assert_eq!(failure.kind, FailureKind::SessionGone);
    // It is destroyed all the same, once for all who use it; and nobody is given it any more.
    let tickets = [A, B].map(|seat| bench.ask(seat, destroy("s1")));
    let errand = bench.only();
    assert_eq!(errand.what, What::One(A, destroy("s1")));
    bench.sharing.enter(Seat(9), ONE, &Before::Nothing);
    bench.by_request(Seat(9), create(), created("s2"));
    bench.done(&errand, vec![Ok(Answer::Done)]);
    for ticket in tickets {
        assert_eq!(bench.answer(ticket), Some(Ok(Answer::Done)));
    }
    assert_eq!(bench.at_once(C, destroy("s1")), Ok(Answer::Done));
    assert_eq!(bench.at_once(A, create()), created("s2"));
}

#[test]
fn what_is_being_ended_is_given_to_nobody() {
    let mut bench = Bench::sharing(&[A], "s1");
    let ticket = bench.ask(A, destroy("s1"));
    let errand = bench.only();
    bench.sharing.enter(B, ONE, &Before::Nothing);
    bench.by_request(B, create(), created("s2"));
    bench.done(&errand, vec![failed(FailureKind::Unavailable)]);
    assert_eq!(bench.answer(ticket), Some(failed(FailureKind::Unavailable)));
    bench.by_request(A, destroy("s1"), Ok(Answer::Done));
    // Once more is none too many.
    assert_eq!(bench.at_once(A, destroy("s1")), Ok(Answer::Done));
}

#[test]
fn one_service_says_of_all_groups_whether_any_leads() {
    let says = |leads| Call::RegisterService { leads };
    let done = || Ok(Answer::Done);
    let mut bench = Bench::of(&[A, B]);
    bench.by_request(A, says(false), done());
    assert_eq!(bench.at_once(B, says(false)), done());
    bench.by_request(A, says(true), done());
    assert_eq!(bench.at_once(B, says(true)), done());
    assert_eq!(bench.at_once(A, says(false)), done());
    bench.by_request(B, says(false), done());
    // One that ends as a leader leads no more.
    bench.by_request(B, says(true), done());
    let ticket = bench.ask(B, Call::DeregisterService);
    let errand = bench.only();
    assert_eq!(errand.what, What::One(B, says(false)));
    bench.done(&errand, vec![done()]);
    assert_eq!(bench.answer(ticket), Some(done()));
    bench.by_request(A, Call::DeregisterService, done());
}

#[test]
fn the_agent_is_told_in_order_also_while_it_is_being_told() {
    let says = |leads| Call::RegisterService { leads };
    let mut bench = Bench::of(&[A]);
    bench.by_request(A, says(false), Ok(Answer::Done));
    let first = bench.ask(A, says(true));
    let errand = bench.only();
    // Not known already: what is on its way says something else.
    let second = bench.ask(A, says(false));
    bench.ask(A, Call::Feed);
    assert_eq!(bench.sent(), []);
    bench.done(&errand, vec![Ok(Answer::Done)]);
    assert_eq!(bench.answer(first), Some(Ok(Answer::Done)));
    let errand = bench.only();
    assert_eq!(errand.what, What::One(A, says(false)));
    bench.done(&errand, vec![failed(FailureKind::Unavailable)]);
    assert_eq!(bench.answer(second), Some(failed(FailureKind::Unavailable)));
    let errand = bench.only();
    assert_eq!(errand.what, What::One(A, Call::Feed));
    bench.done(&errand, vec![Ok(Answer::Done)]);
    // What has failed is said again.
    bench.by_request(A, says(false), Ok(Answer::Done));
}

#[test]
fn a_check_that_was_passed_is_not_passed_again_at_once() {
    let says = |leads| Call::RegisterService { leads };
    let mut bench = Bench::of(&[A, B]);
    bench.by_request(A, says(false), Ok(Answer::Done));
    bench.by_request(A, Call::Feed, Ok(Answer::Done));
    bench.passes(SECOND / 4 - Duration::from_millis(1));
    assert_eq!(bench.at_once(B, Call::Feed), Ok(Answer::Done));
    bench.passes(Duration::from_millis(1));
    bench.by_request(B, Call::Feed, failed(FailureKind::CheckMissing));
    // The agent was started anew.
    bench.by_request(A, says(false), Ok(Answer::Done));
}

#[test]
fn a_check_that_is_missing_is_missing_for_all_groups_for_a_moment() {
    for kind in [FailureKind::CheckMissing, FailureKind::CheckCritical] {
        let mut bench = Bench::default();
        for (seat, bond) in [(A, ONE), (B, ONE), (C, TWO)] {
            bench.sharing.enter(seat, bond, &Before::Nothing);
        }
        bench.by_request(A, create(), failed(kind));
        assert_eq!(bench.at_once(B, create()), failed(kind));
        bench.by_request(C, create(), created("s1"));
        bench.passes(Duration::from_millis(500));
        bench.by_request(B, create(), failed(kind));
        // Whoever has just registered the check is not told that it is missing.
        bench.by_request(A, Call::RegisterService { leads: false }, Ok(Answer::Done));
        bench.by_request(A, create(), created("s2"));
        assert_eq!(bench.at_once(B, create()), created("s2"));
    }
}

#[test]
fn what_else_a_session_is_refused_for_is_asked_anew() {
    let mut bench = Bench::default();
    for seat in [A, B] {
        bench.sharing.enter(seat, ONE, &Before::Nothing);
    }
    bench.by_request(A, create(), failed(FailureKind::Unavailable));
    bench.by_request(B, create(), created("s1"));
}

#[test]
fn where_no_session_is_to_be_had_without_the_check_it_is_registered_again() {
    let says = || Call::RegisterService { leads: false };
    let mut bench = Bench::of(&[A, B]);
    bench.by_request(A, says(), Ok(Answer::Done));
    assert_eq!(bench.at_once(B, says()), Ok(Answer::Done));
    bench.by_request(A, create(), failed(FailureKind::CheckMissing));
    bench.by_request(B, says(), Ok(Answer::Done));
    assert_eq!(bench.at_once(A, says()), Ok(Answer::Done));
    bench.by_request(A, create(), created("s1"));
}
