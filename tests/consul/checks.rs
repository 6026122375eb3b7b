//! Who the agent is, and how its node's checks are.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use vip_elector::consul::Client;
use vip_elector::consul::agent::CheckState;

use crate::agent::{Agent, GENEROUS};
use crate::{access, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("the_agent_says_who_it_is", the_agent_says_who_it_is),
        trial("a_node_s_checks_are_watched", a_node_s_checks_are_watched),
    ]
}

async fn the_agent_says_who_it_is() {
    let agent = Agent::server();
    let client = Client::new(&access(&[agent.url()])).unwrap();
    let said = client.agent(GENEROUS).await.unwrap();
    assert_eq!(said.node, "n1");
    let printed = agent.cli("", &["version"]).unwrap();
    assert!(
        printed.contains(&said.version),
        "{} in {printed}",
        said.version
    );
    assert_eq!(said.session_ttl_min.as_deref(), Some("0s"));

    // By its checks: nothing is registered with this agent, and then something is.
    assert_eq!(client.node_of_checks(GENEROUS).await, Ok(None));
    agent.ask(
        "PUT",
        "agent/check/register",
        r#"{"ID":"c","Name":"n","TTL":"1h"}"#,
    );
    assert_eq!(
        client.node_of_checks(GENEROUS).await,
        Ok(Some("n1".to_owned()))
    );
}

async fn a_node_s_checks_are_watched() {
    let agent = Agent::server();
    let client = Client::new(&access(&[agent.url()])).unwrap();
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
