//! What is remembered for the next process, and what that one makes of it.

use super::*;

#[test]
fn a_session_of_the_process_before_is_found_proven_and_leads_on() {
    let mut bench = Bench::after(Terms::managed(D, T), adoptable());
    let target = |bench: &Bench| bench.machine.vip_order().unwrap().target;
    assert_eq!(target(&bench), VipTarget::Kept);
    bench.on();
    let found = Ok(Answer::Found(Some(SessionId::new("ours"))));
    bench.answer("FindSession { name: \"before-0\"", found);
    assert!(bench.asks("Renew") && !bench.leads());
    assert_eq!(target(&bench), VipTarget::Kept);
    bench.now = bench.now + ms(20);
    bench.answer_read(held(9, "ours"));
    assert!(bench.leads());
    assert_eq!(bench.lease().confirmed_at(), bench.now.before(ms(20)));
    assert_eq!(bench.notes, [], "the note before says it all");
}

#[test]
fn an_adopted_session_that_does_not_hold_the_lock_costs_the_address() {
    for answer in [held(9, "theirs"), missing(9), abandoned(9), released(9)] {
        let mut bench = Bench::after(Terms::managed(D, T), adoptable());
        bench.on();
        bench.answer("Find", Ok(Answer::Found(Some(SessionId::new("ours")))));
        bench.answer_read(answer.clone());
        let target = bench.machine.vip_order().unwrap().target;
        assert_eq!(target, VipTarget::Absent, "{answer:?}");
    }
}

#[test]
fn a_recorded_session_that_is_another_one_is_left_alone() {
    for found in [None, Some(SessionId::new("somebody's"))] {
        let mut bench = Bench::after(Terms::managed(D, T), adoptable());
        bench.on();
        bench.answer("Find", Ok(Answer::Found(found)));
        let target = bench.machine.vip_order().unwrap().target;
        assert_eq!(target, VipTarget::Absent);
        bench.off();
        assert!(bench.asks("Read") && !bench.asks("Destroy"));
    }
}

#[test]
fn an_address_that_the_kernel_might_not_end_in_time_is_off_before_adopting() {
    for terms in [
        Terms::managed(ms(1000), T),
        Terms::managed(D, T).without_kernel_lease(),
    ] {
        let bench = Bench::after(terms, adoptable());
        let target = bench.machine.vip_order().unwrap().target;
        assert_eq!(target, VipTarget::Absent);
        assert!(bench.asks("Find"));
    }
}

#[test]
fn a_leftover_is_destroyed_before_another_session_is_made() {
    let name = || "before-0".to_owned();
    let before = Before::Leftover {
        name: name(),
        session: Some(SessionId::new("old")),
    };
    let mut bench = Bench::after(Terms::managed(D, T), before);
    bench.off();
    bench.answer_read(missing(5));
    assert!(bench.asks("FindSession { name: \"before-0\", id: Some(old)") && !bench.asks("Create"));
    bench.answer("Find", Err(failure(FailureKind::Unavailable)));
    bench.pass(ms(1000));
    bench.answer("Find", Ok(Answer::Found(Some(SessionId::new("old")))));
    bench.answer("DestroySession(old)", Ok(Answer::Done));
    assert!(bench.asks("Create"));
}

#[test]
fn a_session_is_remembered_before_it_is_asked_for_and_spent_before_its_release() {
    let mut bench = Bench::leader(Terms::managed(D, T));
    bench.step(Event::Stop);
    bench.off();
    assert!(bench.asks("Release"));
    bench.answer("Release", Ok(Answer::Done));
    bench.answer("Destroy", Ok(Answer::Done));
    let name = || "vip-elector key-0".to_owned();
    let session = || SessionId::new("ours");
    assert_eq!(
        bench.notes,
        [
            Note::Creating { name: name() },
            Note::Live {
                name: name(),
                session: session()
            },
            Note::Spent {
                name: name(),
                session: session()
            },
            Note::Nothing,
        ]
    );
}

#[test]
fn where_spent_cannot_be_remembered_nothing_is_released_but_the_session_destroyed() {
    let mut bench = Bench::leader(Terms::managed(D, T));
    bench.remembers = false;
    bench.step(Event::Stop);
    bench.off();
    assert!(!bench.asks("Release"));
    assert!(bench.asks("Destroy"));
}
