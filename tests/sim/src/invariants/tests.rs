use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn off() -> Seen {
    Seen {
        up: false,
        since: Duration::ZERO,
        running_since: Some(Duration::ZERO),
        gone: Duration::ZERO,
        told: Duration::ZERO,
        kernel_lease: true,
    }
}

fn up(since: Duration) -> Seen {
    Seen {
        up: true,
        since,
        ..off()
    }
}

/// Two hosts whose last proofs were sent 10 s after the beginning.
fn proven(lock_delays: [Duration; 2]) -> Invariants {
    let mut invariants = Invariants::new(2);
    for (host, lock_delay) in lock_delays.into_iter().enumerate() {
        invariants.proven(host, 10 * SECOND, lock_delay);
    }
    invariants
}

#[test]
fn two_holders_are_seen_and_one_is_none() {
    let (invariants, now) = (proven([3 * SECOND; 2]), 11 * SECOND);
    let check = |hosts: [Seen; 2]| invariants.check(now, &hosts, Heed::All);
    assert_eq!(check([off(), up(10 * SECOND)]), Ok(Excused::Nothing));
    assert_eq!(
        check([up(10 * SECOND), up(11 * SECOND)]),
        Err(Violation::TwoHolders(0, 1))
    );
}

#[test]
fn a_lease_ends_a_lock_delay_after_its_proof() {
    let invariants = proven([3 * SECOND; 2]);
    let hosts = [up(10 * SECOND), off()];
    let check = |now| invariants.check(now, &hosts, Heed::All);
    assert_eq!(check(13 * SECOND), Ok(Excused::Nothing));
    let late = Duration::from_millis(1);
    assert_eq!(check(13 * SECOND + late), Err(Violation::NoLease(0, late)));
}

#[test]
fn the_kernel_alone_is_excused_only_below_the_strict_lock_delay_and_without_a_daemon() {
    let dead = Seen {
        running_since: None,
        ..up(10 * SECOND)
    };
    let after = |lock_delay: Duration| 10 * SECOND + lock_delay + SECOND;
    let check = |lock_delay: Duration, seen| {
        let invariants = proven([lock_delay; 2]);
        let hosts = [seen, up(after(lock_delay))];
        invariants
            .check(after(lock_delay), &hosts, Heed::Overlap)
            .is_ok()
    };
    assert!(check(2 * SECOND, dead));
    assert!(!check(2 * SECOND, up(10 * SECOND)), "its daemon runs");
    assert!(!check(STRICT_LOCK_DELAY, dead), "the kernel alone suffices");
}

#[test]
fn the_kernel_alone_is_not_excused_where_its_daemons_silence_ended_the_session() {
    let (lock_delay, gone) = (2 * SECOND, 10 * SECOND + SECOND / 10);
    let now = 10 * SECOND + lock_delay + SECOND;
    let dead = Seen {
        running_since: None,
        gone,
        ..up(10 * SECOND)
    };
    let check = |cause: Option<Cause>| {
        let mut invariants = proven([lock_delay; 2]);
        let session = SessionId::new("s");
        invariants.owners.insert(
            session.clone(),
            Owner {
                host: 0,
                process: 1,
                taken_up: true,
                renewed: Duration::ZERO,
                orphan: false,
            },
        );
        if let Some(cause) = cause {
            invariants.died(now - lock_delay, &session, cause);
        }
        invariants
            .check(now, &[dead, up(now)], Heed::Overlap)
            .is_ok()
    };
    assert!(check(None));
    assert!(check(Some(Cause::Other)), "somebody else ended it");
    let silent = Cause::silence(10 * SECOND, SECOND);
    assert!(!check(Some(silent)), "it was missed, and too soon");
    let before = Cause::silence(8 * SECOND, SECOND);
    assert!(check(Some(before)), "it was silent before it died");
}

#[test]
fn an_unknown_lock_delay_is_excused_only_after_the_key_was_deleted() {
    let mut invariants = proven([10 * SECOND, 3 * SECOND]);
    let younger = |told| Seen {
        told,
        ..up(12 * SECOND)
    };
    let check = |invariants: &Invariants, told| {
        invariants.check(12 * SECOND, &[up(10 * SECOND), younger(told)], Heed::All)
    };
    assert!(check(&invariants, 3 * SECOND).is_err(), "nobody deleted it");
    invariants.deleted(11 * SECOND);
    assert_eq!(
        check(&invariants, 3 * SECOND),
        Ok(Excused::LockDelayUnknown)
    );
    assert!(check(&invariants, 10 * SECOND).is_err(), "it was told");
}
