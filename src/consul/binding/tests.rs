use std::time::Duration;

use super::*;
use crate::consul::tests::scripted::{Behavior, Server, access, answer};
use crate::election::call::SessionId;

const GENEROUS: Duration = Duration::from_secs(10);

/// The lease counts from reads that a quorum has confirmed, and a watch must not need one.
#[tokio::test]
async fn a_read_is_consistent_and_a_watch_is_stale() {
    let absent = "HTTP/1.1 404 x\r\nX-Consul-Index: 7\r\nContent-Length: 0\r\n\r\n";
    for (call, timeout, line) in [
        (Call::Read, GENEROUS, "GET /v1/kv/a/k?consistent HTTP/1.1"),
        (
            Call::Watch { index: 7 },
            WATCH_TIMEOUT,
            "GET /v1/kv/a/k?stale&index=7&wait=10000ms HTTP/1.1",
        ),
        (
            Call::Watch { index: 0 },
            Duration::from_millis(4_400),
            "GET /v1/kv/a/k?stale&index=1&wait=3200ms HTTP/1.1",
        ),
        (
            Call::WatchGroup { index: 7 },
            WATCH_TIMEOUT,
            "GET /v1/kv/a/k/?recurse&stale&index=7&wait=10000ms HTTP/1.1",
        ),
        (
            Call::WatchGroup { index: 0 },
            WATCH_TIMEOUT,
            "GET /v1/kv/a/k/?recurse HTTP/1.1",
        ),
    ] {
        let server = Server::start(Behavior::KeepAlive(absent.to_owned()));
        binding(&server).call(call, timeout).await.unwrap();
        let head = server.last_head();
        assert_eq!(head.lines().next(), Some(line));
    }
}

/// A lease begins with the answer to an acquire, so that a bare 200 is not enough.
#[tokio::test]
async fn a_lock_that_the_answer_does_not_show_is_not_ours() {
    let session = SessionId::new("s1");
    let calls = [
        (
            Call::Acquire {
                session: session.clone(),
                index: 7,
            },
            "a/k",
        ),
        (Call::Restore(session.clone()), "a/k"),
        (Call::Register(session), "a/k/candidates/host1"),
    ];
    for (call, key) in calls {
        let shown = |key: &str, session: &str| {
            format!(
                r#"{{"Results":[{{"KV":{{"Key":"{key}","Flags":0,"Value":null,{session}"ModifyIndex":8}}}}]}}"#
            )
        };
        for (body, ours) in [
            (shown(key, r#""Session":"s1","#), true),
            (shown(key, r#""Session":"s2","#), false),
            (shown(key, ""), false),
            (shown("a/another", r#""Session":"s1","#), false),
            (r#"{"Results":[],"Errors":null}"#.to_owned(), false),
            (r#"{"Results":null,"Errors":null}"#.to_owned(), false),
        ] {
            let server = Server::start(Behavior::KeepAlive(answer(200, &body)));
            match binding(&server).call(call.clone(), GENEROUS).await {
                Ok(answer) => assert!(ours && answer == Answer::Done, "{body}"),
                Err(failure) => {
                    assert!(!ours, "{}", failure.message);
                    assert_eq!(failure.kind, FailureKind::Unavailable);
                }
            }
        }
    }
}

/// Consul says `true` to a renewal or destruction; anything else is no answer.
#[tokio::test]
async fn sessions_are_renewed_and_destroyed_only_by_an_answer_that_says_so() {
    let session = SessionId::new("s1");
    for (call, body) in [
        (Call::RenewSession(session.clone()), "[]"),
        (Call::RenewSession(session.clone()), "true"),
        (Call::DestroySession(session.clone()), "false"),
        (Call::DestroySession(session.clone()), ""),
        (
            Call::CreateSession {
                name: "n".to_owned(),
                liveness: false,
            },
            r#"{"ID":""}"#,
        ),
        (
            Call::CreateSession {
                name: "n".to_owned(),
                liveness: false,
            },
            "{}",
        ),
        (
            Call::FindSession {
                name: "n".to_owned(),
                id: None,
            },
            "{}",
        ),
        (Call::SessionLockDelay(session.clone()), "null"),
    ] {
        let server = Server::start(Behavior::KeepAlive(answer(200, body)));
        let failure = binding(&server)
            .call(call.clone(), GENEROUS)
            .await
            .unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unavailable, "{call:?} {body}");
    }
}

fn binding(server: &Server) -> Binding {
    let terms = Terms {
        key: "a/k".to_owned(),
        value: "host1".to_owned(),
        ttl: Duration::from_secs(10),
        lock_delay: Duration::from_secs(3),
        check_id: None,
        priority: 0,
        contact: None,
        liveness_ttl: None,
    };
    Binding::new(Client::new(&access(&[server.url()])).unwrap(), terms)
}
