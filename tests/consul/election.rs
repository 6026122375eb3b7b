//! Every call, every answer to it, and every failure that Consul itself decides.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::json;
use vip_elector::consul::WATCH_TIMEOUT;
use vip_elector::consul::agent::CheckState;
use vip_elector::election::call::{Answer, Call, Entry, FailureKind, LOCK_FLAG, SessionId};

use crate::agent::{Agent, GENEROUS, eventually};
use crate::{Host, KEY, access, trial};

/// Long enough for a test that waits for it by mistake to be seen to do so.
const LONG: Duration = Duration::from_secs(30);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a_session_lives_and_dies", a_session_lives_and_dies),
        trial(
            "a_session_depends_on_its_check",
            a_session_depends_on_its_check,
        ),
        trial(
            "a_session_is_refused_for_good",
            a_session_is_refused_for_good,
        ),
        trial("the_lock_has_one_holder", the_lock_has_one_holder),
        trial("a_clean_release_is_immediate", a_clean_release_is_immediate),
        trial("an_unclean_end_is_delayed", an_unclean_end_is_delayed),
        trial(
            "an_overwritten_value_is_restored",
            an_overwritten_value_is_restored,
        ),
        trial("a_watch_wakes_on_a_change", a_watch_wakes_on_a_change),
        trial(
            "a_watch_returns_when_its_wait_is_over",
            a_watch_returns_when_its_wait_is_over,
        ),
        trial("the_agent_says_who_it_is", the_agent_says_who_it_is),
        trial("a_node_s_checks_are_watched", a_node_s_checks_are_watched),
    ]
}

async fn a_session_lives_and_dies() {
    let agent = Agent::server();
    let host = Host::new(
        &access(&[agent.url()]),
        "host1",
        Duration::from_millis(1500),
    );
    let id = host.session("elector-1").await;

    let seen = &agent.get(&format!("session/info/{id}"))[0];
    assert_eq!(seen["Name"], "elector-1");
    assert_eq!(seen["Node"], "n1");
    assert_eq!(seen["LockDelay"].as_f64(), Some(1.5e9));
    assert_eq!(seen["Behavior"], "delete");
    assert_eq!(seen["TTL"], "10000ms");
    assert_eq!(seen["NodeChecks"], json!(["serfHealth"]));

    let other = host.session("elector-10").await;
    assert_eq!(host.find("elector-1").await, Some(id.clone()));
    assert_eq!(host.find("elector-10").await, Some(other));
    assert_eq!(host.find("elector").await, None);

    host.done(Call::RenewSession(id.clone())).await;
    let delay = host.call(Call::SessionLockDelay(id.clone())).await;
    assert_eq!(
        delay,
        Ok(Answer::LockDelay(Some(Duration::from_millis(1500))))
    );

    host.done(Call::DestroySession(id.clone())).await;
    host.done(Call::DestroySession(id.clone())).await;
    assert_eq!(agent.get(&format!("session/info/{id}")), json!([]));
    assert_eq!(host.find("elector-1").await, None);
    assert_eq!(
        host.call(Call::SessionLockDelay(id.clone())).await,
        Ok(Answer::LockDelay(None))
    );
    let message = host
        .fails(Call::RenewSession(id.clone()), FailureKind::SessionGone)
        .await;
    assert!(
        message.starts_with(&format!("cannot renew session {id}: ")),
        "{message}"
    );
}

async fn a_session_depends_on_its_check() {
    let agent = Agent::server();
    for (register, id, bound) in [
        (
            (
                "agent/service/register",
                r#"{"Name":"s","Check":{"CheckID":"of-s","TTL":"1h"}}"#,
            ),
            "of-s",
            ("ServiceChecks", json!([{ "ID": "of-s", "Namespace": "" }])),
        ),
        (
            (
                "agent/check/register",
                r#"{"ID":"of-n","Name":"n","TTL":"1h"}"#,
            ),
            "of-n",
            ("NodeChecks", json!(["serfHealth", "of-n"])),
        ),
    ] {
        let access = access(&[agent.url()]);
        let host = Host::with_check(&access, "host1", Duration::from_secs(1), Some(id));
        let create = || Call::CreateSession {
            name: "a".to_owned(),
            liveness: false,
        };
        let message = host.fails(create(), FailureKind::CheckMissing).await;
        assert!(
            message.contains(&format!("Missing check '{id}' registration")),
            "{message}"
        );

        agent.ask("PUT", register.0, register.1);
        in_catalog(&agent, id, "critical");
        let message = host.fails(create(), FailureKind::CheckCritical).await;
        assert!(
            message.contains(&format!("Check '{id}' is in critical state")),
            "{message}"
        );

        agent.ask("PUT", &format!("agent/check/warn/{id}"), "");
        in_catalog(&agent, id, "warning");
        let session = host.session("a").await;
        let seen = &agent.get(&format!("session/info/{session}"))[0];
        let mut checks = seen[bound.0].clone();
        for check in checks.as_array_mut().unwrap() {
            // Newer versions leave the empty namespace out.
            if let Some(check) = check.as_object_mut() {
                check.entry("Namespace").or_insert("".into());
            }
        }
        assert_eq!(checks, bound.1, "{seen}");

        host.lead(&session).await;
        agent.ask("PUT", &format!("agent/check/fail/{id}"), "");
        // The death of the session takes the key along, which wakes the watch.
        let mut read = host.read().await;
        let started = Instant::now();
        while read.entry.is_some() {
            assert!(
                started.elapsed() < GENEROUS,
                "the check did not end the session"
            );
            match host
                .binding
                .call(Call::Watch { index: read.index }, WATCH_TIMEOUT)
                .await
            {
                Ok(Answer::Key(newer)) => read = newer,
                other => panic!("{other:?}"),
            }
        }
        host.fails(Call::RenewSession(session), FailureKind::SessionGone)
            .await;
        eventually("lock-delay over", || free_again(&agent));
    }
}

async fn a_session_is_refused_for_good() {
    let agent = Agent::server();
    let access = access(&[agent.url()]);
    let client = vip_elector::consul::Client::new(&access).unwrap();
    let new = vip_elector::consul::session::NewSession {
        name: "a",
        ttl: Duration::from_secs(5),
        lock_delay: Duration::from_secs(1),
        node: None,
        checks: &[],
    };
    let failure = client.create_session(new, GENEROUS).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(
        failure.message.contains("Invalid Session TTL"),
        "{}",
        failure.message
    );

    let elsewhere = vip_elector::consul::session::NewSession {
        ttl: Duration::from_secs(10),
        node: Some("nobody"),
        ..new
    };
    let failure = client
        .create_session(elsewhere, GENEROUS)
        .await
        .unwrap_err();
    assert_eq!(
        failure.kind,
        FailureKind::CheckMissing,
        "{}",
        failure.message
    );
}

async fn the_lock_has_one_holder() {
    let agent = Agent::server();
    let access = access(&[agent.url()]);
    let one = Host::new(&access, "host1", LONG);
    let two = Host::new(&access, "host2", LONG);
    let (s1, s2) = (one.session("one").await, two.session("two").await);

    assert_eq!(one.read().await.entry, None);
    one.done(Call::MarkVacant).await;
    two.fails(Call::MarkVacant, FailureKind::Changed).await;
    let vacant = one.entry().await;
    assert_eq!(vacant.value.as_deref(), Some(b"(vacant)".as_slice()));
    assert_eq!((vacant.flags, &vacant.session), (LOCK_FLAG, &None));

    let acquire = |session: &SessionId, index| Call::Acquire {
        session: session.clone(),
        index,
    };
    let index = vacant.modify_index;
    one.fails(acquire(&s1, index + 1), FailureKind::Changed)
        .await;
    let unknown = SessionId::new("00000000-0000-0000-0000-000000000000");
    one.fails(acquire(&unknown, index), FailureKind::SessionGone)
        .await;
    one.done(acquire(&s1, index)).await;
    let held = two.entry().await;
    assert_eq!(
        held,
        Entry {
            value: Some(b"host1".to_vec()),
            flags: LOCK_FLAG,
            session: Some(s1.clone()),
            modify_index: held.modify_index,
        }
    );
    let printed = agent.cli("", &["kv", "get", "-detailed", KEY]).unwrap();
    assert!(
        printed.contains(s1.as_str()) && printed.contains("host1"),
        "{printed}"
    );

    let message = two
        .fails(acquire(&s2, held.modify_index), FailureKind::Held)
        .await;
    assert!(
        message.contains(KEY) && message.contains(s2.as_str()),
        "{message}"
    );
    two.fails(Call::Restore(s2.clone()), FailureKind::Held)
        .await;
    two.fails(crate::release(s2.clone()), FailureKind::Changed)
        .await;
    two.fails(acquire(&s2, index), FailureKind::Held).await;
    // An acquire whose answer was lost may be asked again.
    one.done(acquire(&s1, held.modify_index)).await;
    assert_eq!(two.entry().await.session, Some(s1));

    agent.cli("", &["kv", "delete", KEY]).unwrap();
    two.fails(acquire(&s2, held.modify_index), FailureKind::Changed)
        .await;
}

async fn a_clean_release_is_immediate() {
    let agent = Agent::server();
    let access = access(&[agent.url()]);
    let one = Host::new(&access, "host1", LONG);
    let two = Host::new(&access, "host2", LONG);
    let (s1, s2) = (one.session("one").await, two.session("two").await);
    one.lead(&s1).await;

    one.done(crate::release(s1.clone())).await;
    let left = two.entry().await;
    assert_eq!(left.value.unwrap_or_default(), b"");
    assert_eq!((left.flags, left.session), (LOCK_FLAG, None));
    one.fails(crate::release(s1.clone()), FailureKind::Changed)
        .await;
    one.fails(Call::Restore(s1.clone()), FailureKind::Changed)
        .await;
    one.done(Call::DestroySession(s1)).await;

    // At once, in spite of a lock-delay that would outlast this test.
    two.done(Call::Acquire {
        session: s2.clone(),
        index: left.modify_index,
    })
    .await;
    assert_eq!(one.entry().await.session, Some(s2));
}

async fn an_unclean_end_is_delayed() {
    let lock_delay = Duration::from_secs(1);
    let agent = Agent::server();
    let access = access(&[agent.url()]);
    let one = Host::new(&access, "host1", lock_delay);
    // The holder's delay counts, not the one of who comes next.
    let two = Host::new(&access, "host2", LONG);
    let (s1, s2) = (one.session("one").await, two.session("two").await);
    one.lead(&s1).await;

    let before = Instant::now();
    one.done(Call::DestroySession(s1.clone())).await;
    assert_eq!(two.read().await.entry, None);
    one.call(Call::Restore(s1.clone())).await.unwrap_err();
    assert_eq!(two.read().await.entry, None, "nobody restores what is lost");

    two.done(Call::MarkVacant).await;
    let index = two.entry().await.modify_index;
    let acquire = || Call::Acquire {
        session: s2.clone(),
        index,
    };
    two.fails(acquire(), FailureKind::LockDelayed).await;
    loop {
        match two.call(acquire()).await {
            Ok(answer) => break assert_eq!(answer, Answer::Done),
            Err(failure) => {
                assert_eq!(
                    failure.kind,
                    FailureKind::LockDelayed,
                    "{}",
                    failure.message
                );
                assert!(before.elapsed() < GENEROUS, "{}", failure.message);
            }
        }
    }
    // The promise stands on this.
    assert!(
        before.elapsed() >= lock_delay,
        "free after {:?}",
        before.elapsed()
    );
}

async fn an_overwritten_value_is_restored() {
    let agent = Agent::server();
    let host = Host::new(&access(&[agent.url()]), "host1", LONG);
    let session = host.session("one").await;
    host.lead(&session).await;

    agent.cli("", &["kv", "put", KEY, "mine"]).unwrap();
    let overwritten = host.entry().await;
    assert_eq!(overwritten.value.as_deref(), Some(b"mine".as_slice()));
    assert_eq!(
        (overwritten.flags, overwritten.session.as_ref()),
        (0, Some(&session))
    );

    host.done(Call::Restore(session.clone())).await;
    let restored = host.entry().await;
    assert_eq!(restored.value.as_deref(), Some(b"host1".as_slice()));
    assert_eq!(
        (restored.flags, restored.session),
        (LOCK_FLAG, Some(session))
    );
}

async fn a_watch_wakes_on_a_change() {
    let agent = Agent::server();
    let host = Host::new(&access(&[agent.url()]), "host1", LONG);
    let session = host.session("one").await;
    host.lead(&session).await;
    let read = host.read().await;

    let watch = host
        .binding
        .call(Call::Watch { index: read.index }, WATCH_TIMEOUT);
    let release = async {
        // The watch is under way once the other future has been polled.
        tokio::task::yield_now().await;
        let started = Instant::now();
        host.done(crate::release(session.clone())).await;
        started
    };
    let (answer, released) = tokio::join!(watch, release);
    // An unchanged key would have kept it for ten seconds.
    assert!(
        released.elapsed() < Duration::from_secs(5),
        "{:?}",
        released.elapsed()
    );
    match answer {
        Ok(Answer::Key(newer)) => {
            assert!(newer.index > read.index);
            assert_eq!(newer.entry.unwrap().session, None);
        }
        other => panic!("{other:?}"),
    }
}

async fn a_watch_returns_when_its_wait_is_over() {
    let agent = Agent::server();
    let host = Host::new(&access(&[agent.url()]), "host1", LONG);
    // Absent, and then there.
    for _ in 0..2 {
        let read = host.read().await;
        let started = Instant::now();
        let watch = Call::Watch { index: read.index };
        match host.binding.call(watch, Duration::from_secs(2)).await {
            Ok(Answer::Key(same)) => assert_eq!(same.entry, read.entry),
            other => panic!("{other:?}"),
        }
        assert!(
            started.elapsed() > Duration::from_secs(1),
            "{:?}",
            started.elapsed()
        );
        agent.cli("", &["kv", "put", KEY, "x"]).unwrap();
    }
}

async fn the_agent_says_who_it_is() {
    let agent = Agent::server();
    let client = vip_elector::consul::Client::new(&access(&[agent.url()])).unwrap();
    let said = client.agent(GENEROUS).await.unwrap();
    assert_eq!(said.node, "n1");
    let printed = agent.cli("", &["version"]).unwrap();
    assert!(
        printed.contains(&said.version),
        "{} in {printed}",
        said.version
    );
    assert_eq!(said.session_ttl_min.as_deref(), Some("0s"));

    // By whatever shows it: nothing is registered with this agent, and then something is.
    assert_eq!(client.own_node(GENEROUS).await.unwrap(), "n1");
    agent.ask(
        "PUT",
        "agent/check/register",
        r#"{"ID":"c","Name":"n","TTL":"1h"}"#,
    );
    assert_eq!(client.own_node(GENEROUS).await.unwrap(), "n1");
}

async fn a_node_s_checks_are_watched() {
    let agent = Agent::server();
    let client = vip_elector::consul::Client::new(&access(&[agent.url()])).unwrap();
    let watch = |node: &'static str, index| {
        let client = client.clone();
        async move {
            let wait = Duration::from_secs(10);
            client
                .node_checks(node, index, wait, GENEROUS)
                .await
                .unwrap()
        }
    };
    assert_eq!(watch("nobody", 0).await.checks, []);
    let mut seen = watch("n1", 0).await;
    for (path, body, state) in [
        (
            "agent/service/register",
            r#"{"Name":"s","Check":{"CheckID":"of-s","TTL":"1h"}}"#,
            CheckState::Critical,
        ),
        (
            "agent/check/warn/of-s?note=so%20so",
            "",
            CheckState::Warning,
        ),
        ("agent/check/pass/of-s", "", CheckState::Passing),
    ] {
        let started = Instant::now();
        let (woken, _) = tokio::join!(watch("n1", seen.index), async {
            tokio::task::yield_now().await;
            agent.ask("PUT", path, body)
        });
        seen = woken;
        // The service comes before its check.
        while seen
            .checks
            .iter()
            .find(|check| check.id == "of-s")
            .map(|check| check.state)
            != Some(state)
        {
            assert!(started.elapsed() < GENEROUS, "{seen:?}");
            seen = watch("n1", seen.index).await;
        }
        let check = seen.checks.iter().find(|check| check.id == "of-s").unwrap();
        assert_eq!(
            (check.node.as_str(), check.service.as_deref()),
            ("n1", Some("s"))
        );
        assert!(
            state != CheckState::Warning || check.output == "so so",
            "{check:?}"
        );
    }
}

fn in_catalog(agent: &Agent, check: &str, state: &str) {
    eventually(&format!("check '{check}' {state} in the catalog"), || {
        let checks = agent.get("health/node/n1");
        let is = |c: &&serde_json::Value| c["CheckID"] == check && c["Status"] == state;
        checks
            .as_array()
            .unwrap()
            .iter()
            .find(is)
            .map(drop)
            .ok_or(checks.to_string())
    });
}

/// Takes and gives back the lock with a session of Consul's own defaults.
fn free_again(agent: &Agent) -> Result<(), String> {
    let key = KEY.replace(' ', "%20");
    let created = agent.ask("PUT", "session/create", "{}");
    let id = created.split('"').nth(3).ok_or(created.as_str())?;
    let taken = agent.ask("PUT", &format!("kv/{key}?acquire={id}"), "");
    if taken.trim() == "true" {
        agent.ask("PUT", &format!("kv/{key}?release={id}"), "");
        agent.ask("DELETE", &format!("kv/{key}"), "");
    }
    agent.ask("PUT", &format!("session/destroy/{id}"), "");
    if taken.trim() == "true" {
        Ok(())
    } else {
        Err(taken)
    }
}
