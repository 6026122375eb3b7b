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
    vec![trial(
        "conformance::a_lock_under_way_overtakes_a_death_unless_it_checks_the_index",
        a_lock_under_way_overtakes_a_death_unless_it_checks_the_index,
    )]
}

async fn a_lock_under_way_overtakes_a_death_unless_it_checks_the_index() {
    assert_eq!(refusal_of_the_model(false), None);
    assert_eq!(refusal_of_the_model(true), Some(FailureKind::Changed));
    let mut real = Real::start();
    let other = real.create(&session("other")).await.unwrap();
    let mut needed = None;
    for attempt in 1..=ATTEMPTS {
        if race(&mut real, &other, attempt, false).await {
            needed = Some(attempt);
            break;
        }
    }
    let needed = needed.expect("no lock overtook a death");
    for attempt in 1..=(10 * needed).max(50) {
        let won = race(&mut real, &other, ATTEMPTS + attempt, true).await;
        assert!(!won, "in spite of the index, attempt {attempt}");
    }
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
            session: session(id.as_str()),
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
async fn race(real: &mut Real, other: &SessionId, attempt: u32, guarded: bool) -> bool {
    let key = format!("overtaken/{attempt}");
    let holder = real.create(&session("holder")).await.unwrap();
    real.write(&Command::Put(write(&key))).await.unwrap();
    let free = real.read(&key).await.index;
    let first = Op::Lock(write(&key), holder.clone());
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
    let entry = real.read(&key).await.entry;
    entry.is_some_and(|entry| entry.session.as_ref() == Some(other))
}

fn session(name: &str) -> Session {
    Session {
        name: name.to_owned(),
        node: NODE.to_owned(),
        ttl: LONG,
        lock_delay: LONG,
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
