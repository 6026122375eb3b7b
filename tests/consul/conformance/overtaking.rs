//! Two requests at once: a lock that was admitted before a death, and is carried out after it.
//!
//! The raft leader looks at the lock-delay when a request comes in, and nobody looks again when it
//! comes out of the log. So a lock-delay does not stop a lock that was already under way; only its
//! own check of the key's index does. The election never asks for a lock without one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::{Value, json};
use vip_elector::election::call::{FailureKind, SessionId};
use vip_sim::store::{Command, Health, Op, Session, Store, Write};

use super::interface::{Consul, NODE};
use super::real::Real;
use crate::trial;

/// About every fifth attempt overtakes a death.
const ATTEMPTS: u32 = 1_000;

const LONG: Duration = Duration::from_secs(60);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "conformance::a_lock_under_way_overtakes_a_death_unless_it_checks_the_index",
            a_lock_under_way_overtakes_a_death_unless_it_checks_the_index,
        ),
        trial(
            "conformance::the_first_of_two_lock_delays_ends_both",
            the_first_of_two_lock_delays_ends_both,
        ),
    ]
}

async fn a_lock_under_way_overtakes_a_death_unless_it_checks_the_index() {
    assert_eq!(refusal_of_the_model(false), None);
    assert_eq!(refusal_of_the_model(true), Some(FailureKind::Changed));
    let mut real = Real::start();
    let other = real.create(&session("other", LONG)).await.unwrap();
    let needed = overtake(&mut real, &other, LONG).await;
    for attempt in 1..=(10 * needed).max(50) {
        let key = format!("guarded/{attempt}");
        let won = race(&mut real, &other, &key, LONG, true).await;
        assert!(!won, "in spite of the index, attempt {attempt}");
    }
}

/// Where a second holder dies during the first one's lock-delay, the key is free when that is over,
/// however long its own should last. What the model makes of it is checked beside the model.
async fn the_first_of_two_lock_delays_ends_both() {
    let short = Duration::from_secs(4);
    let mut real = Real::start();
    let second = real.create(&session("second", LONG)).await.unwrap();
    let third = real.create(&session("third", LONG)).await.unwrap();
    let attempt = overtake(&mut real, &second, short).await;
    let died = real.now();
    real.write(&Command::DestroySession(second)).await.unwrap();
    let lock = Op::Lock(write(&format!("overtaken/{attempt}")), third);
    let lock = Command::Txn(vec![lock]);
    let mut refused = 0;
    while let Err(kind) = real.write(&lock).await {
        assert_eq!(kind, FailureKind::LockDelayed);
        assert!(real.now() - died < LONG / 2, "it lasts");
        refused += 1;
        real.pass(Duration::from_millis(20)).await;
    }
    assert!(refused > 0, "no lock-delay at all");
}

/// Tries until `other` holds `overtaken/N` after its holder's death; returns that N.
async fn overtake(real: &mut Real, other: &SessionId, lock_delay: Duration) -> u32 {
    for attempt in 1..=ATTEMPTS {
        let key = format!("overtaken/{attempt}");
        if race(real, other, &key, lock_delay, false).await {
            return attempt;
        }
    }
    panic!("no lock overtook a death in {ATTEMPTS} attempts");
}

fn refusal_of_the_model(guarded: bool) -> Option<FailureKind> {
    let mut store = Store::new();
    let now = Duration::ZERO;
    let (holder, other) = (SessionId::new("holder"), SessionId::new("other"));
    let healthy = Command::SetCheck {
        node: NODE.to_owned(),
        check: "serfHealth".to_owned(),
        health: Health::Passing,
    };
    store.apply(now, &healthy).unwrap();
    for id in [&holder, &other] {
        let create = Command::CreateSession {
            id: id.clone(),
            session: session(id.as_str(), LONG),
        };
        store.apply(now, &create).unwrap();
    }
    store.apply(now, &Command::Put(write("k"))).unwrap();
    let free = store.read("k").index;
    let first = Op::Lock(write("k"), holder.clone());
    store.apply(now, &Command::Txn(vec![first])).unwrap();

    let mut operations = vec![Op::Lock(write("k"), other)];
    if guarded {
        operations.insert(0, Op::CheckIndex("k".to_owned(), free));
    }
    let overtakes = Command::Txn(operations);
    store.admit(now, &overtakes).unwrap();
    store.apply(now, &Command::DestroySession(holder)).unwrap();
    assert_eq!(store.admit(now, &overtakes), Err(FailureKind::LockDelayed));
    store.apply(now, &overtakes).err()
}

/// Destroys the holder of a key under the requests of others for its lock; says whether one of them
/// got it.
async fn race(
    real: &mut Real,
    other: &SessionId,
    key: &str,
    lock_delay: Duration,
    guarded: bool,
) -> bool {
    let holder = real.create(&session("holder", lock_delay)).await.unwrap();
    real.write(&Command::Put(write(key))).await.unwrap();
    let free = real.read(key).await.index;
    let first = Op::Lock(write(key), holder.clone());
    real.write(&Command::Txn(vec![first])).await.unwrap();

    let mut body = vec![json!({ "KV": {
        "Verb": "lock", "Key": key, "Value": "eA==", "Session": other.as_str(),
    } })];
    if guarded {
        let check = json!({ "KV": { "Verb": "check-index", "Key": key, "Index": free } });
        body.insert(0, check);
    }
    let body = Value::from(body).to_string();
    let (agent, dead) = (real.agent(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !dead.load(Ordering::Relaxed) {
                    agent.ask("PUT", "txn", &body);
                }
            });
        }
        agent.ask("PUT", &format!("session/destroy/{holder}"), "");
        dead.store(true, Ordering::Relaxed);
    });
    let entry = real.read(key).await.entry;
    entry.is_some_and(|entry| entry.session.as_ref() == Some(other))
}

fn session(name: &str, lock_delay: Duration) -> Session {
    Session {
        name: name.to_owned(),
        node: NODE.to_owned(),
        ttl: 10 * LONG,
        lock_delay,
        checks: vec!["serfHealth".to_owned()],
    }
}

fn write(key: &str) -> Write {
    Write {
        key: key.to_owned(),
        value: b"x".to_vec(),
        flags: 0,
    }
}
