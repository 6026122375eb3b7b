//! An ACL that denies by default.

use std::time::Duration;

use libtest_mimic::Trial;
use secrecy::SecretString;
use serde_json::json;
use vip_elector::consul::{Client, Terms, WATCH_TIMEOUT, Way};
use vip_elector::election::call::{Answer, Call, FailureKind, SessionId, Successor};

use crate::agent::{Agent, GENEROUS, Ports, eventually};
use crate::{Host, KEY, access, trial};

const LOCK_DELAY: Duration = Duration::from_secs(1);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("an_acl_denies_and_says_what_is_needed", an_acl_denies),
        trial(
            "the_documented_policy_is_enough",
            the_documented_policy_is_enough,
        ),
        trial(
            "an_old_policy_is_enough_for_an_election",
            an_old_policy_is_enough,
        ),
    ]
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
            Call::Register(id.clone()),
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
    let token = token_for(&agent, &root, "elector", &election_policy());
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
    act_as(&host, &agent, &token);

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

/// Of what makes a takeover faster, each part is denied by itself, and the election goes on.
async fn an_old_policy_is_enough() {
    let (agent, root) = acl_agent();
    let old = token_for(&agent, &root, "old", &election_policy());
    let more = format!(
        r#"{}
           key_prefix "{KEY}/" {{ policy = "write" }}
           service "vip-elector" {{ policy = "write" }}"#,
        election_policy()
    );
    let new = token_for(&agent, &root, "new", &more);
    let terms = Terms {
        liveness_ttl: Some(Duration::from_secs(600)),
        ..crate::terms("host1", LOCK_DELAY)
    };
    let host = Host::of(&access(&[agent.url()]), terms);

    // What a newer policy allowed once is there, and must not be touched with the old one.
    act_as(&host, &agent, &new);
    host.done(Call::RegisterService { leads: false }).await;
    let session = host.session("one").await;
    host.lead(&session).await;
    host.done(Call::Register(session.clone())).await;
    act_as(&host, &agent, &old);
    let register = Call::Register(session.clone());
    let hand_over = Call::HandOver {
        session: session.clone(),
        registered: false,
        successor: Successor {
            session: session.clone(),
            value: "host1".to_owned(),
        },
        request: None,
    };
    let release = Call::Release {
        session: session.clone(),
        registered: true,
    };
    let needs_keys = format!(r#"needs key_prefix "{KEY}/" {{ policy = "write" }}"#);
    let needs_keys = needs_keys.as_str();
    let needs_service = r#"needs service "vip-elector" { policy = "write" }"#;
    for (call, says) in [
        (Call::RegisterService { leads: true }, needs_service),
        (Call::Feed, needs_service),
        (Call::DeregisterService, needs_service),
        (register.clone(), needs_keys),
        (Call::Unregister(session.clone()), needs_keys),
        (Call::DropRequest { index: 1 }, needs_keys),
        (hand_over.clone(), needs_keys),
        (release, needs_keys),
    ] {
        let message = host.fails(call.clone(), FailureKind::Denied).await;
        assert!(message.contains(says), "{call:?}: {message}");
    }
    // Before 1.11 Consul only hides what may not be read.
    let watch = Call::WatchGroup { index: 0 };
    match host.call(watch.clone()).await {
        Ok(Answer::Group(read)) => assert_eq!(read.candidates, []),
        other => assert_eq!(other.unwrap_err().kind, FailureKind::Denied),
    }
    act_as(&host, &agent, "");
    let message = host
        .fails(Call::Depose(session.clone()), FailureKind::Denied)
        .await;
    assert!(message.contains(r#"needs session_prefix """#), "{message}");

    act_as(&host, &agent, &old);
    assert_eq!(host.entry().await.session, Some(session.clone()));
    host.done(crate::release(session.clone())).await;
    host.lead(&session).await;

    act_as(&host, &agent, &new);
    match host.call(watch).await {
        Ok(Answer::Group(read)) => assert_eq!(read.candidates.len(), 1),
        other => panic!("{other:?}"),
    }
    host.done(hand_over).await;
    host.done(Call::Feed).await;
    host.done(Call::Unregister(session.clone())).await;
    host.done(register).await;
    host.done(Call::RegisterService { leads: true }).await;
    host.done(Call::DeregisterService).await;
    host.fails(Call::Feed, FailureKind::CheckMissing).await;
    host.done(Call::DeregisterService).await;
    host.done(Call::Depose(session.clone())).await;
    host.done(Call::Depose(session)).await;
    assert_eq!(host.read().await.entry, None);
}

/// What an election needs and nothing more.
pub(crate) fn election_policy() -> String {
    format!(
        r#"key "{KEY}" {{ policy = "write" }}
           session_prefix "" {{ policy = "write" }}
           node_prefix "" {{ policy = "read" }}
           service_prefix "" {{ policy = "read" }}"#
    )
}

/// Makes a policy and a token of it.
pub(crate) fn token_for(agent: &Agent, root: &str, name: &str, policy: &str) -> String {
    let create = ["acl", "policy", "create", "-name", name, "-rules", policy];
    agent.cli(root, &create).unwrap();
    let create = ["acl", "token", "create", "-policy-name", name];
    token(&agent.cli(root, &create).unwrap())
}

fn act_as(host: &Host, agent: &Agent, token: &str) {
    let mut access = access(&[agent.url()]);
    access.token = Some(SecretString::from(token));
    host.client.take(Way::prepare(&access).unwrap());
}

/// Returns an agent that denies by default, and a token that may do everything.
pub(crate) fn acl_agent() -> (Agent, String) {
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
