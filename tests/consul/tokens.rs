//! Another token and another way to Consul, under a session that holds the lock.

use std::time::Duration;

use libtest_mimic::Trial;
use secrecy::SecretString;
use serde_json::json;
use vip_elector::consul::{Terms, Way};
use vip_elector::election::call::{Answer, Call, FailureKind};

use crate::agent::{Agent, Ports};
use crate::security::{acl_agent, election_policy};
use crate::{Host, access, terms, trial};

const LOCK_DELAY: Duration = Duration::from_secs(1);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "a_session_outlives_the_token_that_made_it",
            a_session_outlives_its_token,
        ),
        trial(
            "a_liveness_check_is_found_again_under_another_address",
            a_check_is_found_again,
        ),
    ]
}

async fn a_session_outlives_its_token() {
    let (agent, root) = acl_agent();
    let rules = election_policy();
    let create = ["acl", "policy", "create", "-name", "p", "-rules", &rules];
    agent.cli(&root, &create).unwrap();
    let ids = |number: u8| {
        ["a", "c"].map(|kind| format!("{kind}0000000-0000-0000-0000-00000000000{number}"))
    };
    for [accessor, secret] in [1, 2].map(ids) {
        let create = ["acl", "token", "create", "-policy-name", "p"];
        let named = ["-accessor", &accessor, "-secret", &secret];
        agent.cli(&root, &[&create[..], &named].concat()).unwrap();
    }
    let ([first_id, first], [_, second]) = (ids(1), ids(2));
    let mut access = access(&[agent.url()]);
    access.token = Some(SecretString::from(first));
    let host = Host::new(&access, "host1", LOCK_DELAY);
    let session = host.session("one").await;
    host.lead(&session).await;

    let delete = ["acl", "token", "delete", "-id", &first_id];
    agent.cli(&root, &delete).unwrap();
    let renew = Call::RenewSession(session.clone());
    let message = host.fails(renew.clone(), FailureKind::Denied).await;
    assert!(message.contains("does not know this token"), "{message}");

    access.token = Some(SecretString::from(second));
    host.client.take(Way::prepare(&access).unwrap());
    host.done(renew).await;
    assert_eq!(host.entry().await.session, Some(session.clone()));
    host.done(Call::Restore(session.clone())).await;
    host.done(crate::release(session.clone())).await;
    host.done(Call::DestroySession(session)).await;
}

/// The agent that has the check may not be the first one of the new configuration.
async fn a_check_is_found_again() {
    let server = Agent::server();
    let both = json!({ "client_addr": "127.0.0.1 127.0.0.2" });
    let here = Agent::client_of(&server, Ports::take(), &both);
    let terms = Terms {
        liveness_ttl: Some(Duration::from_secs(600)),
        ..terms("host1", LOCK_DELAY)
    };
    let host = Host::of(&access(&[here.url()]), terms);
    host.done(Call::RegisterService { leads: false }).await;
    let create = Call::CreateSession {
        name: "one".to_owned(),
        liveness: true,
    };
    let session = match host.call(create).await {
        Ok(Answer::Created(session)) => session,
        other => panic!("{other:?}"),
    };
    host.lead(&session).await;

    let moved = format!("http://127.0.0.2:{}", here.ports.http());
    let way = Way::prepare(&access(&[server.url(), moved])).unwrap();
    host.client.take(way);
    host.fails(Call::Feed, FailureKind::CheckMissing).await;
    host.done(Call::RegisterService { leads: true }).await;
    host.done(Call::Feed).await;
    host.done(Call::RenewSession(session.clone())).await;
    assert_eq!(host.entry().await.session, Some(session));
    let services = server.get("agent/services");
    assert_eq!(
        services,
        json!({}),
        "what was tried at the wrong agent is gone"
    );
}
