//! What can be wrong between this host and Consul: each is said, and told from the others.

use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::json;
use vip_elector::consul::access::{Access, Identity};
use vip_elector::election::call::{Call, FailureKind};

use super::pki::{FIXTURES, agent_with};
use crate::agent::Agent;
use crate::{Host, access, trial};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("what_is_wrong_with_consuls_certificate_is_said", of_consul),
        trial("what_is_wrong_with_our_certificate_is_said", of_ours),
        trial("tls_and_plain_http_are_told_apart", mixed_up),
    ]
}

const UNTRUSTED: &str = "the CA that signed consul's certificate is not trusted";
const EXPIRED: &str = "consul's certificate has expired";
const ANOTHER_NAME: &str = "consul's certificate is for another name";
const WANTED: &str = "consul wants a client certificate";
const NOT_TAKEN: &str = "consul does not take this host's client certificate";
/// A newer Consul says that it has expired, an older one only that it is bad.
const OURS: &str = "this host's client certificate";

/// What is changed, and what must be said.
type Case<'a> = (&'a dyn Fn(&mut Access), &'a str);

async fn of_consul() {
    let agent = agent_with(
        "server.pem",
        &json!({ "addresses": { "https": "127.0.0.1 127.0.0.2" } }),
    );
    let port = agent.ports.https();
    let cases: [Case<'_>; 5] = [
        (
            &|access| access.tls.roots = vec![file("stranger.pem")],
            UNTRUSTED,
        ),
        // The system's CAs, where there are any, have not signed it either.
        (&|access| access.tls.roots.clear(), UNTRUSTED),
        (
            &|access| access.endpoints = at("https", "127.0.0.2", port),
            ANOTHER_NAME,
        ),
        (
            &|access| access.tls.server_name = Some("db.example".to_owned()),
            ANOTHER_NAME,
        ),
        (
            &|access| access.tls.server_name = Some("consul".to_owned()),
            ANOTHER_NAME,
        ),
    ];
    for (change, says) in cases {
        fails(&agent, change, FailureKind::Unavailable, says).await;
    }
    works(&agent).await;
    let expired = agent_with("server-expired.pem", &json!({}));
    fails(&expired, &|_| {}, FailureKind::Unavailable, EXPIRED).await;
}

async fn of_ours() {
    let agent = agent_with("server.pem", &json!({}));
    let cases: [Case<'_>; 3] = [
        (&|access| access.tls.identity = None, WANTED),
        (
            &|access| access.tls.identity = identity("stranger.pem", "key-rsa.pem"),
            NOT_TAKEN,
        ),
        (
            &|access| access.tls.identity = identity("client-expired.pem", "key.pem"),
            OURS,
        ),
    ];
    for (change, says) in cases {
        fails(&agent, change, FailureKind::Unavailable, says).await;
    }
    works(&agent).await;
}

async fn mixed_up() {
    let agent = agent_with("server.pem", &json!({}));
    let (plain, tls) = (agent.ports.http(), agent.ports.https());
    fails(
        &agent,
        &|access| access.endpoints = at("http", "127.0.0.1", tls),
        FailureKind::Refused,
        "this port speaks TLS: write https:// in front of it",
    )
    .await;
    fails(
        &agent,
        &|access| access.endpoints = at("https", "127.0.0.1", plain),
        FailureKind::Unavailable,
        "this port does not speak TLS: write http:// in front of it",
    )
    .await;
}

/// The certificates would do: what fails otherwise, fails for what was changed.
async fn works(agent: &Agent) {
    Host::new(&good(agent), "host1", Duration::ZERO)
        .read()
        .await;
}

async fn fails(agent: &Agent, change: &dyn Fn(&mut Access), kind: FailureKind, says: &str) {
    let mut access = good(agent);
    change(&mut access);
    let message = Host::new(&access, "host1", Duration::ZERO)
        .fails(Call::Read, kind)
        .await;
    assert!(message.contains(says), "{says:?} is not in: {message}");
    for other in [UNTRUSTED, EXPIRED, ANOTHER_NAME, WANTED, NOT_TAKEN] {
        assert!(
            other.contains(says) || !message.contains(other),
            "{message}"
        );
    }
}

fn good(agent: &Agent) -> Access {
    let mut access = access(&[]);
    access.endpoints = at("https", "127.0.0.1", agent.ports.https());
    access.tls.roots = vec![file("ca.pem")];
    access.tls.identity = identity("client.pem", "key.pem");
    access
}

fn at(scheme: &str, address: &str, port: u16) -> Vec<vip_elector::consul::access::Endpoint> {
    access(&[format!("{scheme}://{address}:{port}")]).endpoints
}

fn identity(certificate: &str, key: &str) -> Option<Identity> {
    Some(Identity {
        certificate: file(certificate),
        key: String::from_utf8(file(key)).unwrap().into(),
    })
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(format!("{FIXTURES}/{name}")).unwrap()
}
