//! What stands below the trigger key: candidates, the switchover request, and the handover between
//! them.

use std::net::SocketAddr;
use std::time::Duration;

use libtest_mimic::Trial;
use vip_elector::consul::access::Access;
use vip_elector::consul::{Terms, WATCH_TIMEOUT};
use vip_elector::election::call::{
    Answer, Call, Entry, FailureKind, LOCK_FLAG, SessionId, Successor,
};
use vip_elector::election::candidate::{Candidate, Contact, GroupRead, Request, Secret};

use crate::agent::Agent;
use crate::{Host, KEY, access, trial};

/// Long enough for a test that waits for it by mistake to be seen to do so.
const LONG: Duration = Duration::from_secs(30);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("candidates_are_seen_by_all", candidates_are_seen_by_all),
        trial(
            "a_candidate_goes_with_its_session",
            a_candidate_goes_with_its_session,
        ),
        trial("a_handover_is_one_commit", a_handover_is_one_commit),
        trial(
            "a_refused_handover_changes_nothing",
            a_refused_handover_changes_nothing,
        ),
    ]
}

async fn candidates_are_seen_by_all() {
    let agent = Agent::server();
    let access = access(&[agent.url()]);
    let (one, two) = (host(&access, "host 1", 7), host(&access, "host2", -7));
    let (s1, s2) = (one.session("one").await, two.session("two").await);

    let empty = group(&two, 0).await;
    assert_eq!((empty.candidates, empty.request), (Vec::new(), None));
    assert!(empty.index > 0);

    // Whoever watches is woken by the first.
    let watch = group(&two, empty.index);
    let register = async {
        tokio::task::yield_now().await;
        one.done(Call::Register(s1.clone())).await;
    };
    let (mut seen, ()) = tokio::join!(watch, register);
    // A missing prefix also wakes for others, so that the first wake-up need not be the one.
    while seen.candidates.is_empty() {
        seen = group(&two, seen.index).await;
    }
    assert_eq!(seen.candidates, [candidate("host 1", &s1, 7)]);

    two.done(Call::Register(s2.clone())).await;
    // Once more, as after an answer that was lost.
    two.done(Call::Register(s2.clone())).await;
    // What others write there is nothing to us.
    put(&agent, "candidates/stranger", "{}");
    put(&agent, "notes", "hello");
    let garbage = one.session("garbage").await;
    let path = format!("kv/{}/candidates/garbage?acquire={garbage}", encoded(KEY));
    assert_eq!(agent.ask("PUT", &path, "?").trim(), "true");
    put(&agent, "switchover", " host2\n");
    let seen = group(&one, 0).await;
    let both = [candidate("host 1", &s1, 7), candidate("host2", &s2, -7)];
    assert_eq!(seen.candidates, both);
    let request = seen.request.unwrap();
    assert_eq!(request.to.as_deref(), Some("host2"));

    let stale = Call::DropRequest {
        index: request.index - 1,
    };
    one.fails(stale, FailureKind::Changed).await;
    assert_eq!(group(&one, 0).await.request, Some(request.clone()));
    let seen = Call::DropRequest {
        index: request.index,
    };
    one.done(seen.clone()).await;
    assert_eq!(group(&one, 0).await.request, None);
    one.fails(seen, FailureKind::Changed).await;
}

async fn a_candidate_goes_with_its_session() {
    let agent = Agent::server();
    let access = access(&[agent.url()]);
    let host = host(&access, "host1", 0);
    let first = host.session("first").await;
    host.done(Call::Register(first.clone())).await;
    let second = host.session("second").await;
    host.fails(Call::Register(second.clone()), FailureKind::Held)
        .await;
    host.fails(Call::Unregister(second.clone()), FailureKind::Changed)
        .await;

    // Left in order, by itself or with the lock: the next session registers at once, in spite of a
    // lock-delay that would outlast this test.
    host.done(Call::Unregister(first.clone())).await;
    assert_eq!(group(&host, 0).await.candidates, []);
    host.done(Call::Register(second.clone())).await;
    host.lead(&second).await;
    host.done(Call::Release {
        session: second.clone(),
        registered: true,
    })
    .await;
    assert_eq!(group(&host, 0).await.candidates, []);
    assert_eq!(host.entry().await.session, None);
    host.done(Call::DestroySession(second)).await;
    host.done(Call::Register(first.clone())).await;

    // A session that dies takes the entry along, and the name is refused for a while.
    let before = group(&host, 0).await;
    assert_eq!(before.candidates.len(), 1);
    host.done(Call::DestroySession(first)).await;
    assert_eq!(group(&host, before.index).await.candidates, []);
    let third = host.session("third").await;
    host.fails(Call::Register(third), FailureKind::LockDelayed)
        .await;
}

async fn a_handover_is_one_commit() {
    let agent = Agent::server();
    let access = access(&[agent.url()]);
    let (one, two) = (host(&access, "host1", 0), host(&access, "host 2", 0));
    let (s1, s2) = (one.session("one").await, two.session("two").await);
    one.lead(&s1).await;
    one.done(Call::Register(s1.clone())).await;
    two.done(Call::Register(s2.clone())).await;
    put(&agent, "switchover", "host 2");
    let before = group(&one, 0).await;

    let read = two.read().await;
    let watch = two
        .binding
        .call(Call::Watch { index: read.index }, WATCH_TIMEOUT);
    let hand_over = async {
        tokio::task::yield_now().await;
        one.done(Call::HandOver {
            session: s1.clone(),
            registered: true,
            successor: successor("host 2", &s2),
            request: Some(before.request.unwrap().index),
        })
        .await;
    };
    let (woken, ()) = tokio::join!(watch, hand_over);
    let held = two.entry().await;
    assert_eq!(
        held,
        Entry {
            value: Some(b"host 2".to_vec()),
            flags: LOCK_FLAG,
            session: Some(s2.clone()),
            modify_index: held.modify_index,
        }
    );
    match woken {
        Ok(Answer::Key(seen)) => assert_eq!(seen.entry, Some(held.clone())),
        other => panic!("{other:?}"),
    }
    // The deletions below the key happened at the same index.
    let after = group(&two, 0).await;
    assert_eq!(
        after,
        GroupRead {
            index: held.modify_index,
            candidates: vec![candidate("host 2", &s2, 0)],
            request: None,
            drained: Vec::new(),
        }
    );

    // Who gave it can neither restore nor give it again, and its end is nothing to anybody.
    one.fails(Call::Restore(s1.clone()), FailureKind::Held)
        .await;
    one.fails(crate::release(s1.clone()), FailureKind::Changed)
        .await;
    one.done(Call::DestroySession(s1)).await;
    assert_eq!(two.entry().await, held);
    // It may come back as a candidate and get the lock back, all at once.
    let s3 = one.session("three").await;
    one.done(Call::Register(s3.clone())).await;
    two.done(Call::HandOver {
        session: s2,
        registered: false,
        successor: successor("host1", &s3),
        request: None,
    })
    .await;
    assert_eq!(two.entry().await.session, Some(s3));
    assert_eq!(group(&two, 0).await.candidates.len(), 2);
}

async fn a_refused_handover_changes_nothing() {
    let agent = Agent::server();
    let access = access(&[agent.url()]);
    let (one, two) = (host(&access, "host1", 0), host(&access, "host2", 0));
    let (s1, s2) = (one.session("one").await, two.session("two").await);
    let (other, dead) = (two.session("other").await, two.session("dead").await);
    let ghost = host(&access, "ghost", 0);
    ghost.done(Call::Register(dead.clone())).await;
    ghost.done(Call::DestroySession(dead.clone())).await;
    one.lead(&s1).await;
    one.done(Call::Register(s1.clone())).await;
    two.done(Call::Register(s2.clone())).await;
    put(&agent, "switchover", "host2");
    let seen = group(&one, 0).await.request.unwrap();
    put(&agent, "switchover", "ghost");
    let newer = group(&one, 0).await.request.unwrap();

    let from = |session: &SessionId, successor, request: Option<&Request>| Call::HandOver {
        session: session.clone(),
        registered: true,
        successor,
        request: request.map(|request| request.index),
    };
    let (to_two, request) = (successor("host2", &s2), Some(&newer));
    let all = || agent.get(&format!("kv/{}?recurse", encoded(KEY)));
    let before = all();
    assert_eq!(before.as_array().map(Vec::len), Some(4), "{before}");
    for (what, call, kind) in [
        (
            "an entry of another session",
            from(&s1, successor("host2", &other), request),
            FailureKind::Changed,
        ),
        (
            "no entry",
            from(&s1, successor("host3", &other), request),
            FailureKind::Changed,
        ),
        // The dead session is not the giver's, whose it would seem to be.
        (
            "a dead session",
            from(&s1, successor("ghost", &dead), request),
            FailureKind::Changed,
        ),
        (
            "not the holder's",
            from(&other, to_two.clone(), request),
            FailureKind::Held,
        ),
        (
            "another request",
            from(&s1, to_two.clone(), Some(&seen)),
            FailureKind::Changed,
        ),
    ] {
        one.fails(call, kind).await;
        assert_eq!(all(), before, "{what}");
    }

    // What was refused is possible as soon as it is right.
    one.done(from(&s1, to_two.clone(), request)).await;
    assert_ne!(all(), before);
    // After the giver's death it is not, also where it was nobody's fault.
    let s3 = one.session("three").await;
    one.done(Call::Register(s3.clone())).await;
    two.done(Call::DestroySession(s2.clone())).await;
    let late = from(&s2, successor("host1", &s3), None);
    two.fails(late, FailureKind::LockDelayed).await;
    assert_eq!(two.read().await.entry, None);
}

fn host(access: &Access, value: &str, priority: i32) -> Host {
    Host::of(
        access,
        Terms {
            priority,
            contact: Some(contact(value)),
            ..crate::terms(value, LONG)
        },
    )
}

fn candidate(value: &str, session: &SessionId, priority: i32) -> Candidate {
    Candidate {
        value: value.to_owned(),
        session: session.clone(),
        priority,
        lock_delay: LONG,
        contact: Some(contact(value)),
    }
}

/// A contact that no other host has.
fn contact(value: &str) -> Contact {
    let byte = value.bytes().fold(0, u8::wrapping_add);
    Contact {
        address: SocketAddr::from(([10, 0, 0, byte], 8547)),
        secret: Secret([byte; 32]),
    }
}

fn successor(value: &str, session: &SessionId) -> Successor {
    Successor {
        session: session.clone(),
        value: value.to_owned(),
    }
}

async fn group(host: &Host, index: u64) -> GroupRead {
    let watch = Call::WatchGroup { index };
    match host.binding.call(watch, WATCH_TIMEOUT).await {
        Ok(Answer::Group(read)) => read,
        other => panic!("{other:?}"),
    }
}

/// Writes a key below the trigger key, as an operator does.
fn put(agent: &Agent, name: &str, value: &str) {
    let key = format!("{KEY}/{name}");
    agent.cli("", &["kv", "put", &key, value]).unwrap();
}

fn encoded(key: &str) -> String {
    key.replace(' ', "%20")
}
