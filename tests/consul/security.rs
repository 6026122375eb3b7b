//! TLS with a private CA and client certificates, and an ACL that denies by default.

use std::path::Path;
use std::time::Duration;

use libtest_mimic::Trial;
use secrecy::SecretString;
use serde_json::{Value, json};
use vip_elector::consul::access::{Access, Identity};
use vip_elector::consul::{Client, WATCH_TIMEOUT};
use vip_elector::election::call::{Answer, Call, FailureKind, SessionId};

use crate::agent::{Agent, GENEROUS, Ports, eventually, tls_tool};
use crate::{Host, KEY, access, trial};

const LOCK_DELAY: Duration = Duration::from_secs(1);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "tls_with_a_private_ca_and_a_client_certificate",
            tls_with_a_private_ca,
        ),
        trial("tls_troubles_are_told_apart", tls_troubles_are_told_apart),
        trial("an_acl_denies_and_says_what_is_needed", an_acl_denies),
        trial(
            "the_documented_policy_is_enough",
            the_documented_policy_is_enough,
        ),
    ]
}

async fn tls_with_a_private_ca() {
    let (agent, pki) = tls_agent();
    for change in [
        |_: &mut Access| {},
        |access: &mut Access| access.tls.server_name = Some("server.dc1.consul".to_owned()),
        |access: &mut Access| {
            access.tls.verify = false;
            access.tls.roots.clear();
        },
    ] {
        let mut access = pki.access(&agent);
        change(&mut access);
        let host = Host::new(&access, "host1", LOCK_DELAY);
        let session = host.session("one").await;
        host.lead(&session).await;
        host.done(crate::release(session)).await;
    }
}

/// What is wrong, what follows, and what must be said.
type Case<'a> = (&'a dyn Fn(&mut Access), FailureKind, &'a str);

async fn tls_troubles_are_told_apart() {
    let (agent, pki) = tls_agent();
    let unknown_ca = |access: &mut Access| access.tls.roots = vec![pki.other_ca.clone()];
    let no_identity = |access: &mut Access| access.tls.identity = None;
    let wrong_name = |access: &mut Access| access.tls.server_name = Some("db.example".to_owned());
    let plain_to_tls = |access: &mut Access| {
        access.endpoints =
            crate::access(&[format!("http://127.0.0.1:{}", agent.ports.https())]).endpoints;
    };
    let tls_to_plain = |access: &mut Access| {
        access.endpoints =
            crate::access(&[format!("https://127.0.0.1:{}", agent.ports.http())]).endpoints;
    };
    let cases: [Case<'_>; 5] = [
        (
            &unknown_ca,
            FailureKind::Unavailable,
            "name it in CONSUL_CACERT",
        ),
        (&no_identity, FailureKind::Unavailable, "CONSUL_CLIENT_CERT"),
        (
            &wrong_name,
            FailureKind::Unavailable,
            "set CONSUL_TLS_SERVER_NAME",
        ),
        (
            &plain_to_tls,
            FailureKind::Refused,
            "write https:// in front of it",
        ),
        (
            &tls_to_plain,
            FailureKind::Unavailable,
            "write http:// in front of it",
        ),
    ];
    for (change, kind, says) in cases {
        let mut access = pki.access(&agent);
        change(&mut access);
        let message = Host::new(&access, "host1", LOCK_DELAY)
            .fails(Call::Read, kind)
            .await;
        assert!(message.contains(says), "{message}");
    }
}

async fn an_acl_denies() {
    let (agent, _) = acl_agent();
    let id = SessionId::new("00000000-0000-0000-0000-000000000000");
    for (token, says) in [
        (None, "the token needs "),
        (Some("s3cret"), "does not know this token"),
    ] {
        let mut access = access(&[agent.url()]);
        access.token = token.map(SecretString::from);
        let host = Host::new(&access, "host1", LOCK_DELAY);
        for call in [
            Call::CreateSession {
                name: "one".to_owned(),
                liveness: false,
            },
            Call::Read,
            Call::Watch { index: 1 },
            Call::MarkVacant,
            Call::Acquire {
                session: id.clone(),
                index: 7,
            },
        ] {
            let message = host.fails(call.clone(), FailureKind::Denied).await;
            assert!(message.contains(says), "{call:?}: {message}");
            assert!(!message.contains("s3cret"), "{message}");
        }
        let client = Client::new(&access).unwrap();
        assert_eq!(
            client.agent(GENEROUS).await.unwrap_err().kind,
            FailureKind::Denied
        );
    }
}

async fn the_documented_policy_is_enough() {
    let (agent, root) = acl_agent();
    let policy = format!(
        r#"key "{KEY}" {{ policy = "write" }}
           session_prefix "" {{ policy = "write" }}
           node_prefix "" {{ policy = "read" }}
           service_prefix "" {{ policy = "read" }}"#
    );
    agent
        .cli(
            &root,
            &[
                "acl", "policy", "create", "-name", "elector", "-rules", &policy,
            ],
        )
        .unwrap();
    let token = token(
        &agent
            .cli(
                &root,
                &["acl", "token", "create", "-policy-name", "elector"],
            )
            .unwrap(),
    );
    let service = agent.path().join("service.json");
    let definition = json!({ "service": {
        "name": "vip-guard",
        "check": { "id": "vip-http", "ttl": "1h", "status": "passing" },
    }});
    std::fs::write(&service, definition.to_string()).unwrap();
    agent
        .cli(
            &root,
            &["services", "register", &service.display().to_string()],
        )
        .unwrap();
    eventually("the check is in the catalog", || {
        agent
            .cli(&root, &["catalog", "services"])
            .and_then(|printed| {
                if printed.contains("vip-guard") {
                    Ok(())
                } else {
                    Err(printed)
                }
            })
    });

    let access = access(&[agent.url()]);
    let host = Host::with_check(&access, "host1", LOCK_DELAY, Some("vip-http"));
    host.fails(Call::Read, FailureKind::Denied).await;
    host.client
        .set_token(Some(&SecretString::from(token)))
        .unwrap();

    let session = host.session("one").await;
    assert_eq!(host.find("one").await, Some(session.clone()));
    host.done(Call::RenewSession(session.clone())).await;
    let delay = host.call(Call::SessionLockDelay(session.clone())).await;
    assert_eq!(delay, Ok(Answer::LockDelay(Some(LOCK_DELAY))));
    host.lead(&session).await;
    host.done(Call::Restore(session.clone())).await;
    host.binding
        .call(Call::Watch { index: 1 }, WATCH_TIMEOUT)
        .await
        .unwrap();
    host.done(crate::release(session.clone())).await;
    host.done(Call::DestroySession(session)).await;
}

/// A private CA, a client certificate of it (SEC1 key), and another CA.
struct Pki {
    ca: Vec<u8>,
    other_ca: Vec<u8>,
    certificate: Vec<u8>,
    key: String,
}

impl Pki {
    fn access(&self, agent: &Agent) -> Access {
        let mut access = access(&[format!("https://127.0.0.1:{}", agent.ports.https())]);
        access.tls.roots = vec![self.ca.clone()];
        access.tls.identity = Some(Identity {
            certificate: self.certificate.clone(),
            key: self.key.clone().into(),
        });
        access
    }
}

fn tls_agent() -> (Agent, Pki) {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    tls_tool(at, &["ca", "create"]);
    tls_tool(at, &["cert", "create", "-server"]);
    tls_tool(at, &["cert", "create", "-client"]);
    tls_tool(at, &["ca", "create", "-domain", "other"]);
    let read = |name: &str| std::fs::read(at.join(name)).unwrap();
    let pki = Pki {
        ca: read("consul-agent-ca.pem"),
        other_ca: read("other-agent-ca.pem"),
        certificate: read("dc1-client-consul-0.pem"),
        key: String::from_utf8(read("dc1-client-consul-0-key.pem")).unwrap(),
    };
    assert!(
        pki.key.contains("EC PRIVATE KEY"),
        "the test wants a SEC1 key"
    );
    let agent = Agent::start("n1", Ports::take(), &tls_config(at));
    (agent, pki)
}

fn tls_config(at: &Path) -> Value {
    json!({
        "verify_incoming": true,
        "ca_file": at.join("consul-agent-ca.pem"),
        "cert_file": at.join("dc1-server-consul-0.pem"),
        "key_file": at.join("dc1-server-consul-0-key.pem"),
    })
}

/// Returns an agent that denies by default, and a token that may do everything.
fn acl_agent() -> (Agent, String) {
    let agent = Agent::start(
        "n1",
        Ports::take(),
        &json!({
            "acl": { "enabled": true, "default_policy": "deny" },
        }),
    );
    let root = token(&eventually("the ACL's bootstrap", || {
        agent.cli("", &["acl", "bootstrap"])
    }));
    agent
        .cli(&root, &["acl", "set-agent-token", "agent", &root])
        .unwrap();
    agent.wait_for_health(&root, "n1");
    (agent, root)
}

fn token(printed: &str) -> String {
    let line = printed
        .lines()
        .find(|line| line.starts_with("SecretID:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().to_owned()
}
