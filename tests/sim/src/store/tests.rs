use fastrand::Rng;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const D: Duration = Duration::from_secs(3);

fn id(name: &str) -> SessionId {
    SessionId::new(name)
}

fn create(name: &str, lock_delay: Duration) -> Command {
    Command::CreateSession {
        id: id(name),
        session: Session {
            name: name.to_owned(),
            node: "n".to_owned(),
            ttl: 10 * SECOND,
            lock_delay,
            checks: Vec::new(),
        },
    }
}

fn lock(name: &str) -> Command {
    let write = Write {
        key: "k".to_owned(),
        value: name.as_bytes().to_vec(),
        flags: 0,
    };
    Command::Txn(vec![Op::Lock(write, id(name))])
}

/// A server on which `a` holds the lock and `b` lives.
fn held(lock_delay: Duration) -> Store {
    let mut store = Store::new();
    for command in [
        Command::RegisterNode("n".to_owned()),
        create("a", lock_delay),
        create("b", D),
        lock("a"),
    ] {
        store.apply(Duration::ZERO, &command).unwrap();
    }
    store
}

fn destroy(name: &str) -> Command {
    Command::DestroySession(id(name))
}

#[test]
fn each_server_counts_the_lock_delay_from_when_it_saw_the_death() {
    let mut early = held(D);
    let mut late = early.clone();
    early.apply(SECOND, &destroy("a")).unwrap();
    late.apply(5 * SECOND, &destroy("a")).unwrap();
    for (store, end) in [(&early, SECOND + D), (&late, 5 * SECOND + D)] {
        let before = end - Duration::from_nanos(1);
        assert_eq!(
            store.admit(before, &lock("b")),
            Err(FailureKind::LockDelayed)
        );
        assert_eq!(store.admit(end, &lock("b")), Ok(()));
    }
}

#[test]
fn what_the_log_holds_is_carried_out_alike_whatever_the_clocks_say() {
    let mut early = held(D);
    let mut late = early.clone();
    for (at, command) in [(1, destroy("a")), (2, lock("b")), (3, create("c", D))] {
        let reply = early.apply(at * SECOND, &command);
        assert_eq!(late.apply(10 * at * SECOND, &command), reply);
    }
    assert_eq!(early.read("k"), late.read("k"));
    assert!(early.sessions().eq(late.sessions()));
    assert_eq!(early.index(), late.index());
    assert_eq!(early.held_by(&id("b")), ["k"]);
}

#[test]
fn no_lock_delay_is_longer_than_a_minute() {
    let mut store = held(10 * MAX_LOCK_DELAY);
    store.apply(Duration::ZERO, &destroy("a")).unwrap();
    let before = MAX_LOCK_DELAY - Duration::from_nanos(1);
    assert_eq!(
        store.admit(before, &lock("b")),
        Err(FailureKind::LockDelayed)
    );
    assert_eq!(store.admit(MAX_LOCK_DELAY, &lock("b")), Ok(()));
}

#[test]
fn a_restored_server_knows_of_no_lock_delay() {
    let mut store = held(D);
    store.apply(Duration::ZERO, &destroy("a")).unwrap();
    assert_eq!(
        store.admit(SECOND, &lock("b")),
        Err(FailureKind::LockDelayed)
    );
    let restored = store.restored();
    assert_eq!(restored.admit(SECOND, &lock("b")), Ok(()));
    assert_eq!(restored.read("k"), store.read("k"));
}

#[test]
fn the_first_of_two_lock_delays_ends_both() {
    let mut store = held(D);
    // Under way when the first holder dies, and so not refused.
    assert_eq!(store.admit(SECOND, &lock("b")), Ok(()));
    store.apply(SECOND, &destroy("a")).unwrap();
    store.apply(SECOND, &lock("b")).unwrap();
    store.apply(2 * SECOND, &destroy("b")).unwrap();
    store.apply(2 * SECOND, &create("c", D)).unwrap();
    let early = SECOND + D - Duration::from_nanos(1);
    assert_eq!(
        store.admit(early, &lock("c")),
        Err(FailureKind::LockDelayed)
    );
    assert_eq!(store.admit(SECOND + D, &lock("c")), Ok(()));
    // A later one counts for itself.
    store.apply(10 * SECOND, &lock("c")).unwrap();
    store.apply(10 * SECOND, &destroy("c")).unwrap();
    store.apply(10 * SECOND, &create("e", D)).unwrap();
    assert_eq!(
        store.admit(12 * SECOND, &lock("e")),
        Err(FailureKind::LockDelayed)
    );
}

#[test]
fn a_ttl_is_over_between_once_and_twice_its_length() {
    let store = held(D);
    let mut draw = Rng::with_seed(1);
    let (mut shortest, mut longest) = (Duration::MAX, Duration::ZERO);
    for _ in 0..1_000 {
        let mut timers = Timers::take_over(SECOND, &store, &mut draw);
        assert_eq!(timers.expired(11 * SECOND - Duration::from_nanos(1)), []);
        timers
            .renew(5 * SECOND, &store, &id("b"), &mut draw)
            .unwrap();
        timers.disarm(&id("a"));
        let life = timers.next().unwrap() - 5 * SECOND;
        assert_eq!(timers.expired(5 * SECOND + life), [id("b")]);
        assert_eq!(timers.next(), None);
        (shortest, longest) = (shortest.min(life), longest.max(life));
    }
    assert!(
        (10 * SECOND..11 * SECOND).contains(&shortest),
        "{shortest:?}"
    );
    assert!(
        (19 * SECOND..=20 * SECOND).contains(&longest),
        "{longest:?}"
    );
}

#[test]
fn only_its_own_server_decides_whether_a_session_is_renewed() {
    let behind = held(D);
    let mut ahead = behind.clone();
    ahead.apply(SECOND, &destroy("a")).unwrap();
    let (mut timers, mut draw) = (Timers::default(), Rng::with_seed(1));
    let mut renew = |store| timers.renew(SECOND, store, &id("a"), &mut draw);
    assert_eq!(renew(&behind), Ok(()));
    assert_eq!(renew(&ahead), Err(FailureKind::SessionGone));
}

#[test]
fn the_index_of_a_prefix_is_that_of_the_last_change_below_it() {
    let put = |key: &str| {
        Command::Put(Write {
            key: key.to_owned(),
            value: b"v".to_vec(),
            flags: 0,
        })
    };
    let mut store = Store::new();
    let mut apply = |command: &Command| {
        store.apply(Duration::ZERO, command).unwrap();
        (store.index(), store.index_below("k/"))
    };
    let (index, below) = apply(&put("other"));
    assert_eq!(index, below, "nothing ever was there: as of all keys");
    let (index, below) = apply(&put("k/a"));
    assert_eq!(index, below);
    let (index, below) = apply(&put("k"));
    assert!(below < index, "the key itself is not below itself");
    let (index, below) = apply(&Command::Delete("k/a".to_owned()));
    assert_eq!(index, below, "a deletion is a change");
    let (index, below) = apply(&put("other/b"));
    assert!(below < index, "what is elsewhere is none");
}
