//! What a machine says of the lock-delay that it waits out.

use super::*;
use crate::election::status::LockDelay;

fn said(bench: &Bench) -> Option<LockDelay> {
    bench.machine.status().lock_delay
}

#[test]
fn it_says_until_when_it_waits_and_that_consul_refuses() {
    let mut bench = Bench::standby(Terms::managed(D, T));
    bench.answer_read(held(6, "theirs"));
    assert_eq!(said(&bench), None);
    bench.answer("Watch", Ok(Answer::Key(missing(7))));
    bench.answer_read(missing(7));
    assert_eq!(said(&bench), None, "marked first");
    bench.answer("MarkVacant", Ok(Answer::Done));
    bench.answer_read(abandoned(8));
    let Some(LockDelay::Until(until)) = said(&bench) else {
        panic!("{:?}", said(&bench));
    };
    let left = until.since(bench.now);
    bench.pass(left - ms(1));
    assert_eq!(said(&bench), Some(LockDelay::Until(until)));
    assert!(!bench.asks("Acquire"), "it asks no sooner than it said");
    bench.pass(ms(1));
    assert!(bench.asks("Acquire"));
    assert_eq!(said(&bench), None);

    // Consul has counted from later on, or for longer.
    for _ in 0..3 {
        bench.answer("Acquire", Err(failure(FailureKind::LockDelayed)));
        assert_eq!(said(&bench), Some(LockDelay::Refused));
        bench.pass(ms(200));
        assert_eq!(
            said(&bench),
            Some(LockDelay::Refused),
            "while it asks again"
        );
    }
    bench.answer("Acquire", Ok(Answer::Done));
    assert_eq!(said(&bench), None);
}

#[test]
fn who_could_not_lead_waits_for_no_lock_delay() {
    let mut bench = Bench::standby(Terms::managed(D, T));
    bench.answer_read(abandoned(6));
    assert!(said(&bench).is_some());
    bench.step(Event::Health(Health::Bad("disk full".into())));
    assert_eq!(said(&bench), None);
}
