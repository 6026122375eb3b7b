use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use super::*;
use crate::consul::kv::Consistency;
use crate::consul::tests::scripted::{Behavior, Server, access, answer};
use crate::election::call::{FailureKind, KeyRead};

/// What a call gets; it must be back before [`GENEROUS`], which leaves a busy machine its time.
const TIMEOUT: Duration = Duration::from_millis(300);
const GENEROUS: Duration = Duration::from_secs(10);

const ABSENT: &str = "HTTP/1.1 404 Not Found\r\nX-Consul-Index: 7\r\nContent-Length: 0\r\n\r\n";

/// Answers that are none, each of them a failure in bounded time that says what came back.
#[tokio::test]
async fn bad_answers_are_failures_in_bounded_time() {
    let ok = "HTTP/1.1 200 OK\r\nX-Consul-Index: 7\r\n";
    for (name, behavior, kind, says) in [
        (
            "silence",
            Behavior::Silence,
            FailureKind::Unavailable,
            "no answer from",
        ),
        (
            "half a header",
            Behavior::Hold("HTTP/1.1 200 OK\r\nX-Cons".into()),
            FailureKind::Unavailable,
            "no answer from",
        ),
        (
            "half a body, then silence",
            Behavior::Hold(format!("{ok}Content-Length: 100\r\n\r\n[{{")),
            FailureKind::Unavailable,
            "no answer from",
        ),
        (
            "half a body, then the end",
            Behavior::Answer(format!("{ok}Content-Length: 100\r\n\r\n[{{")),
            FailureKind::Unavailable,
            "broke off its answer",
        ),
        (
            "another protocol",
            Behavior::Answer("220 mail.example ESMTP\r\n".into()),
            FailureKind::Unavailable,
            "http://127.0.0.1",
        ),
        (
            "garbage for JSON",
            Behavior::Answer(format!("{ok}Content-Length: 6\r\n\r\n<html>")),
            FailureKind::Unavailable,
            "cannot be read",
        ),
        (
            "JSON of another shape",
            Behavior::Answer(format!("{ok}Content-Length: 2\r\n\r\n{{}}")),
            FailureKind::Unavailable,
            "cannot be read",
        ),
        (
            "no index",
            Behavior::Answer("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".into()),
            FailureKind::Unavailable,
            "no X-Consul-Index",
        ),
        (
            "an endless body",
            Behavior::Endless,
            FailureKind::Unavailable,
            "is longer than",
        ),
        (
            "a closed connection",
            Behavior::Reset,
            FailureKind::Unavailable,
            "http://127.0.0.1",
        ),
        (
            "500",
            Behavior::Answer(answer(500, "rpc error making call: EOF")),
            FailureKind::Unavailable,
            "answered 500: rpc error making call: EOF",
        ),
        (
            "403",
            Behavior::Answer(answer(403, "Permission denied")),
            FailureKind::Denied,
            "the token needs key \"k\" {",
        ),
        (
            "429",
            Behavior::Answer(answer(429, "Resource Exhausted")),
            FailureKind::Unavailable,
            "answered 429",
        ),
        (
            "a redirect",
            Behavior::Answer(
                "HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
                    .into(),
            ),
            FailureKind::Unavailable,
            "answered 301",
        ),
    ] {
        let server = Server::start(behavior);
        // A body that never ends must be cut by its size, not by the clock.
        let timeout = if name == "an endless body" {
            GENEROUS
        } else {
            TIMEOUT
        };
        let started = Instant::now();
        let failure = read(&client(&[server.url()]), timeout)
            .await
            .expect_err(name);
        assert!(
            started.elapsed() < GENEROUS,
            "{name} took {:?}",
            started.elapsed()
        );
        assert_eq!(failure.kind, kind, "{name}: {}", failure.message);
        assert!(
            failure.message.starts_with("cannot read key 'k': "),
            "{name}: {}",
            failure.message
        );
        assert!(
            failure.message.contains(says),
            "{name}: {}",
            failure.message
        );
    }
}

#[tokio::test]
async fn a_dead_endpoint_is_passed_over_within_the_call() {
    let dead = dead_address();
    let server = Server::start(Behavior::Answer(ABSENT.into()));
    let client = client(&[format!("http://{dead}"), server.url()]);
    let absent = KeyRead {
        index: 7,
        entry: None,
    };
    assert_eq!(read(&client, GENEROUS).await.unwrap(), absent);
    assert_eq!(client.way().preferred(), 1, "stays with what worked");
}

/// A connection that never comes up costs its share of the call's time, not all of it. A TLS
/// handshake without an answer is one.
#[tokio::test]
async fn an_endpoint_that_swallows_connections_costs_its_share() {
    let swallowing = Server::start(Behavior::Silence);
    let server = Server::start(Behavior::Answer(ABSENT.into()));
    let mut access = access(&[format!("https://{}", swallowing.address), server.url()]);
    access.tls.verify = false;
    let client = Client::new(&access).unwrap();
    let started = Instant::now();
    read(&client, Duration::from_secs(4)).await.unwrap();
    assert!(
        started.elapsed() >= Duration::from_secs(2),
        "half the time was its share"
    );
    assert_eq!(client.way().preferred(), 1);
}

#[tokio::test]
async fn all_endpoints_dead_is_said_of_each() {
    let (one, two) = (dead_address(), dead_address());
    let client = client(&[format!("http://{one}"), format!("http://{two}")]);
    let failure = read(&client, GENEROUS).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable);
    for address in [one, two] {
        let says = format!("http://{address}: Connection refused");
        assert!(failure.message.contains(&says), "{}", failure.message);
    }
}

/// Once a request may have reached a server, nobody else is asked the same: a second session could
/// come of it. The next call goes elsewhere.
#[tokio::test]
async fn nothing_is_sent_twice() {
    for behavior in [
        Behavior::Silence,
        Behavior::Reset,
        Behavior::Answer(answer(500, "No cluster leader")),
    ] {
        let bad = Server::start(behavior);
        let good = Server::start(Behavior::Answer(ABSENT.into()));
        let client = client(&[bad.url(), good.url()]);
        let failure = read(&client, TIMEOUT).await.unwrap_err();
        assert_eq!(
            failure.kind,
            FailureKind::Unavailable,
            "{}",
            failure.message
        );
        assert_eq!((bad.requests(), good.requests()), (1, 0));
        read(&client, GENEROUS).await.unwrap();
        assert_eq!((bad.requests(), good.requests()), (1, 1));
    }
}

/// What Consul decided, it decides everywhere: asking another server is no way round.
#[tokio::test]
async fn a_verdict_is_no_reason_to_go_elsewhere() {
    let denying = Server::start(Behavior::KeepAlive(answer(403, "Permission denied")));
    let other = Server::start(Behavior::Answer(ABSENT.into()));
    let client = client(&[denying.url(), other.url()]);
    for _ in 0..2 {
        assert_eq!(
            read(&client, GENEROUS).await.unwrap_err().kind,
            FailureKind::Denied
        );
    }
    assert_eq!(other.requests(), 0);
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let server = Server::start(Behavior::KeepAlive(ABSENT.into()));
    let client = client(&[server.url()]);
    for _ in 0..5 {
        read(&client, GENEROUS).await.unwrap();
    }
    assert_eq!((server.requests(), server.connections()), (5, 1));
}

#[tokio::test]
async fn credentials_are_sent_and_can_be_replaced() {
    let server = Server::start(Behavior::KeepAlive(ABSENT.into()));
    let mut access = access(&[server.url()]);
    access.token = Some("first".into());
    access.http_auth = Some("user".into());
    access.namespace = Some("team".into());
    let client = Client::new(&access).unwrap();
    read(&client, GENEROUS).await.unwrap();
    let head = server.last_head();
    assert!(
        head.starts_with("GET /v1/kv/k?consistent&ns=team HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(head.contains("x-consul-token: first\r\n"), "{head}");
    assert!(head.contains("authorization: Basic dXNlcjo=\r\n"), "{head}");

    access.token = Some("second".into());
    client.take(Way::prepare(&access).unwrap());
    read(&client, GENEROUS).await.unwrap();
    assert!(server.last_head().contains("x-consul-token: second\r\n"));

    access.token = Some("bad\n".into());
    Way::prepare(&access).err().unwrap();
    access.token = None;
    client.take(Way::prepare(&access).unwrap());
    read(&client, GENEROUS).await.unwrap();
    assert!(!server.last_head().contains("x-consul-token"));
}

#[test]
fn what_cannot_be_used_is_refused_at_once() {
    let build = |change: &dyn Fn(&mut Access)| {
        let mut access = access(&["https://user:secret@127.0.0.1:1".to_owned()]);
        change(&mut access);
        Client::new(&access).map(drop).unwrap_err().to_string()
    };
    insta::assert_snapshot!(
        [
            build(&|access| access.endpoints.clear()),
            build(&|access| access.token = Some("a\nb".into())),
            build(&|access| access.tls.roots = vec![b"no certificate".to_vec()]),
            build(&|access| access.tls.server_name = Some("10.0.0.1".to_owned())),
            build(&|access| {
                access.tls.identity = Some(crate::consul::access::Identity {
                    certificate: b"none".to_vec(),
                    key: "none".into(),
                });
            }),
        ]
        .join("\n"),
        @r#"
        no consul endpoint is configured
        the consul token contains characters that no HTTP header can carry
        the CA certificates (CONSUL_CACERT, CONSUL_CAPATH) contain no PEM block "CERTIFICATE"
        '10.0.0.1' is no host name that TLS can verify (CONSUL_TLS_SERVER_NAME)
        cannot read the client certificate and its key (CONSUL_CLIENT_CERT, CONSUL_CLIENT_KEY) as PEM
        "#
    );
}

async fn read(client: &Client, timeout: Duration) -> Result<KeyRead, Failure> {
    client.read("k", Consistency::Consistent, timeout).await
}

fn client(endpoints: &[String]) -> Client {
    Client::new(&access(endpoints)).unwrap()
}

/// An address where nobody listens.
fn dead_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}
