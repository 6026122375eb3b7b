//! The service of our own, whose check a session dies with.

use std::path::Path;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::{Value, json};
use vip_elector::consul::access::Access;
use vip_elector::consul::{Terms, WATCH_TIMEOUT};
use vip_elector::election::call::{Answer, Call, FailureKind, SessionId};

use crate::agent::{Agent, GENEROUS, Ports, eventually};
use crate::{Host, access, trial};

const LOCK_DELAY: Duration = Duration::from_secs(1);

/// Nothing here takes so long that it would need another feed.
const LONG: Duration = Duration::from_secs(600);

const SERVICE: &str = "vip-elector/service/pg cluster/leader/host1";
const CHECK: &str = "service:vip-elector/service/pg cluster/leader/host1";

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "a_session_dies_with_a_liveness_check_that_is_not_fed",
            a_session_dies_unfed,
        ),
        trial(
            "a_session_outlives_what_its_service_says",
            a_session_outlives_what_its_service_says,
        ),
        trial(
            "an_agent_that_has_forgotten_ends_no_session",
            an_agent_that_has_forgotten_ends_no_session,
        ),
        trial(
            "an_agent_restarts_below_the_liveness_check",
            an_agent_restarts,
        ),
    ]
}

async fn a_session_dies_unfed() {
    let ttl = Duration::from_secs(1);
    let agent = Agent::server();
    let host = host(&access(&[agent.url()]), ttl);
    host.fails(Call::Feed, FailureKind::CheckMissing).await;
    host.done(Call::RegisterService { leads: false }).await;
    let session = session(&host, "a").await;
    host.lead(&session).await;
    let mut read = host.read().await;

    let fed = Instant::now();
    host.done(Call::Feed).await;
    while read.entry.is_some() {
        assert!(
            fed.elapsed() < GENEROUS,
            "the check did not end the session"
        );
        let watch = Call::Watch { index: read.index };
        match host.binding.call(watch, WATCH_TIMEOUT).await {
            Ok(Answer::Key(newer)) => read = newer,
            other => panic!("{other:?}"),
        }
    }
    assert!(fed.elapsed() >= ttl, "dead after {:?}", fed.elapsed());
    host.fails(Call::RenewSession(session), FailureKind::SessionGone)
        .await;

    // To create one is to say that we live, whatever the check was before.
    eventually("critical", || state_is(&agent, "critical"));
    self::session(&host, "b").await;
    // To register it again is, too: by itself that would leave it as it is.
    agent.ask("PUT", &format!("agent/check/fail/{}", encoded(CHECK)), "");
    host.done(Call::RegisterService { leads: false }).await;
    eventually("passing", || state_is(&agent, "passing"));
}

async fn a_session_outlives_what_its_service_says() {
    let agent = Agent::server();
    agent.ask(
        "PUT",
        "agent/service/register",
        r#"{"Name":"s","Check":{"CheckID":"of-s","TTL":"1h","Status":"passing"}}"#,
    );
    let terms = Terms {
        check_id: Some("of-s".to_owned()),
        ..terms(LONG)
    };
    let host = Host::of(&access(&[agent.url()]), terms);
    host.done(Call::RegisterService { leads: false }).await;
    let session = session(&host, "a").await;
    let seen = &agent.get(&format!("session/info/{session}"))[0];
    let bound: Vec<_> = seen["ServiceChecks"].as_array().unwrap().iter().collect();
    let ids: Vec<_> = bound.iter().map(|check| &check["ID"]).collect();
    assert_eq!(ids, ["of-s", CHECK]);

    for leads in [true, false].into_iter().cycle().take(20) {
        host.done(Call::RegisterService { leads }).await;
        let tag = if leads { "leader" } else { "standby" };
        // The change has gone all the way to the servers.
        eventually("the tag is in the catalog", || says(&agent, tag));
        host.done(Call::RenewSession(session.clone())).await;
        state_is(&agent, "passing").unwrap();
    }

    host.done(Call::DeregisterService).await;
    eventually("the service is gone from the catalog", || {
        let services = agent.get("catalog/service/vip-elector");
        if services == json!([]) {
            Ok(())
        } else {
            Err(services.to_string())
        }
    });
    host.fails(Call::RenewSession(session), FailureKind::SessionGone)
        .await;
    host.done(Call::DeregisterService).await;
    host.fails(Call::Feed, FailureKind::CheckMissing).await;
    let create = Call::CreateSession {
        name: "b".to_owned(),
        liveness: true,
    };
    let short = Duration::from_millis(500);
    let failure = host.binding.call(create, short).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::CheckMissing);
    assert!(failure.message.contains(CHECK), "{}", failure.message);
    // A check that is on its way is waited for.
    tokio::join!(self::session(&host, "c"), async {
        tokio::task::yield_now().await;
        host.done(Call::RegisterService { leads: false }).await;
    });
}

/// The servers remember the service longer than an agent that has lost its memory, and a session that
/// hangs on it must not die of being registered again.
async fn an_agent_that_has_forgotten_ends_no_session() {
    let agent = Agent::server();
    let host = host(&access(&[agent.url()]), LONG);
    let remembered = json!({
        "Node": "n1", "Address": "127.0.0.1", "SkipNodeUpdate": true,
        "Service": { "ID": SERVICE, "Service": "vip-elector" },
        "Check": {
            "Node": "n1", "CheckID": CHECK, "Name": "n", "ServiceID": SERVICE, "Status": "passing",
        },
    });
    let said = agent.ask("PUT", "catalog/register", &remembered.to_string());
    assert_eq!(said.trim(), "true");
    let session = session(&host, "a").await;
    host.fails(Call::Feed, FailureKind::CheckMissing).await;
    host.done(Call::RegisterService { leads: true }).await;
    eventually("the tag is in the catalog", || says(&agent, "leader"));
    host.done(Call::RenewSession(session)).await;
    state_is(&agent, "passing").unwrap();
}

/// The first agent is this host's own, and the only one that the service may be at.
async fn an_agent_restarts() {
    // Gossip must not take the moment for the agent's death.
    let patient = json!({ "gossip_lan": {
        "probe_interval": "1s", "probe_timeout": "500ms", "suspicion_mult": 100,
    }});
    let server = Agent::start("n1", Ports::take(), &patient);
    let data = tempfile::tempdir().unwrap();
    let ports = Ports::take();
    let mut here = client(&server, ports, data.path());
    let access = access(&[here.url(), server.url()]);
    let host = host(&access, LONG);
    host.done(Call::RegisterService { leads: true }).await;
    let session = session(&host, "one").await;
    assert_eq!(node(&server, &session), "here");
    host.lead(&session).await;

    here.kill();
    // The other agent does not know the check, which says nothing about us.
    host.fails(Call::Feed, FailureKind::Unavailable).await;
    // Nor would a process that took up the session put it there.
    let next = self::host(&access, LONG);
    assert_eq!(next.find("one").await, Some(session.clone()));
    next.fails(
        Call::RegisterService { leads: true },
        FailureKind::Unavailable,
    )
    .await;
    assert_eq!(server.get("agent/services"), json!({}));

    // The agent remembers the check and how it was.
    let mut here = client(&server, ports, data.path());
    host.done(Call::Feed).await;
    next.done(Call::RegisterService { leads: true }).await;
    next.done(Call::Feed).await;
    host.done(Call::RenewSession(session.clone())).await;
    assert_eq!(host.entry().await.session, Some(session.clone()));

    // It does not.
    here.kill();
    host.fails(Call::Feed, FailureKind::Unavailable).await;
    for memory in ["services", "checks", "check"] {
        let _ = std::fs::remove_dir_all(data.path().join(memory));
    }
    let _here = client(&server, ports, data.path());
    host.fails(Call::Feed, FailureKind::CheckMissing).await;
    host.done(Call::RegisterService { leads: false }).await;
    host.done(Call::Feed).await;
    let again = self::session(&host, "two").await;
    assert_eq!(node(&server, &again), "here");
}

fn terms(ttl: Duration) -> Terms {
    Terms {
        liveness_ttl: Some(ttl),
        ..crate::terms("host1", LOCK_DELAY)
    }
}

fn host(access: &Access, ttl: Duration) -> Host {
    Host::of(access, terms(ttl))
}

async fn session(host: &Host, name: &str) -> SessionId {
    let create = Call::CreateSession {
        name: name.to_owned(),
        liveness: true,
    };
    match host.call(create).await {
        Ok(Answer::Created(id)) => id,
        other => panic!("{other:?}"),
    }
}

/// Starts an agent without a server, which keeps its name, its place and its memory.
fn client(server: &Agent, ports: Ports, data: &Path) -> Agent {
    Agent::client_of(server, ports, &json!({ "data_dir": data }))
}

fn node(agent: &Agent, session: &SessionId) -> Value {
    agent.get(&format!("session/info/{session}"))[0]["Node"].clone()
}

/// Says whether the servers know the service to say this of us, and no other.
fn says(agent: &Agent, tag: &str) -> Result<(), String> {
    let services = agent.get("catalog/service/vip-elector");
    let [only] = services.as_array().unwrap().as_slice() else {
        return Err(services.to_string());
    };
    if only["ServiceTags"] == json!([tag]) && only["ServiceID"] == SERVICE {
        Ok(())
    } else {
        Err(services.to_string())
    }
}

/// Says whether the servers know the check to be in this state.
fn state_is(agent: &Agent, state: &str) -> Result<(), String> {
    let checks = agent.get("health/node/n1");
    let is = |check: &&Value| check["CheckID"] == CHECK && check["Status"] == state;
    let found = checks.as_array().unwrap().iter().find(is);
    found.map(drop).ok_or(checks.to_string())
}

fn encoded(segment: &str) -> String {
    segment.replace(' ', "%20").replace('/', "%2F")
}
