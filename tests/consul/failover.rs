//! Agents that die, hang and come back, and more than one endpoint.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::json;
use vip_elector::consul::WATCH_TIMEOUT;
use vip_elector::election::call::{Answer, Call, FailureKind};

use crate::agent::{Agent, GENEROUS, Ports};
use crate::{Host, access, trial};

const LOCK_DELAY: Duration = Duration::from_secs(1);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "an_agent_killed_under_a_watch_ends_it",
            an_agent_killed_under_a_watch_ends_it,
        ),
        trial(
            "an_agent_that_comes_back_is_used_again",
            an_agent_that_comes_back_is_used_again,
        ),
        trial(
            "a_dead_first_endpoint_is_passed_over",
            a_dead_first_endpoint_is_passed_over,
        ),
        trial(
            "a_session_stays_with_its_host",
            a_session_stays_with_its_host,
        ),
    ]
}

async fn an_agent_killed_under_a_watch_ends_it() {
    let mut agent = Agent::server();
    let host = Host::new(&access(&[agent.url()]), "host1", LOCK_DELAY);
    let session = host.session("one").await;
    host.lead(&session).await;
    let index = host.read().await.index;

    let watch = host.binding.call(Call::Watch { index }, WATCH_TIMEOUT);
    let kill = async {
        // A second request proves that the first is on its way, on a connection of its own.
        host.done(Call::RenewSession(session.clone())).await;
        agent.kill();
        Instant::now()
    };
    let (answer, killed) = tokio::join!(watch, kill);
    assert_eq!(answer.unwrap_err().kind, FailureKind::Unavailable);
    assert!(
        killed.elapsed() < Duration::from_secs(5),
        "{:?}",
        killed.elapsed()
    );
    let message = host.fails(Call::Read, FailureKind::Unavailable).await;
    assert!(message.contains("Connection refused"), "{message}");
}

async fn an_agent_that_comes_back_is_used_again() {
    let mut agent = Agent::server();
    let ports = agent.ports;
    let host = Host::new(&access(&[agent.url()]), "host1", LOCK_DELAY);
    host.session("one").await;
    agent.kill();
    host.fails(Call::Read, FailureKind::Unavailable).await;
    let _again = Agent::start("n1", ports, &json!({}));
    host.session("two").await;
}

async fn a_dead_first_endpoint_is_passed_over() {
    let agent = Agent::server();
    let dead = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let host = Host::new(
        &access(&[format!("http://{dead}"), agent.url()]),
        "host1",
        LOCK_DELAY,
    );
    let session = host.session("one").await;
    host.lead(&session).await;
    assert_eq!(host.entry().await.session, Some(session));
}

/// A session that is made through another host's agent must not depend on that host's health.
async fn a_session_stays_with_its_host() {
    let server = Agent::server();
    let here = Agent::client_of(&server, Ports::take(), &json!({}));
    let access = access(&[here.url(), server.url()]);
    let host = Host::new(&access, "host1", LOCK_DELAY);
    let session = host.session("one").await;
    assert_eq!(
        server.get(&format!("session/info/{session}"))[0]["Node"],
        "here"
    );

    // One call that is not answered, and the next goes to the other agent.
    here.freeze();
    let failure = host
        .binding
        .call(Call::Read, Duration::from_millis(50))
        .await
        .unwrap_err();
    here.thaw();
    assert_eq!(
        failure.kind,
        FailureKind::Unavailable,
        "{}",
        failure.message
    );
    let started = Instant::now();
    let session = loop {
        match host
            .call(Call::CreateSession {
                name: "two".to_owned(),
                liveness: false,
            })
            .await
        {
            Ok(Answer::Created(session)) => break session,
            // Gossip may take the moment for the agent's death.
            Err(failure) if failure.kind == FailureKind::CheckCritical => {
                assert!(started.elapsed() < GENEROUS, "{}", failure.message);
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        server.get(&format!("session/info/{session}"))[0]["Node"],
        "here"
    );
    assert_eq!(host.find("two").await, Some(session));
}
