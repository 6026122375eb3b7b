use super::*;
use crate::doctor::report::Level;
use crate::doctor::tests::{self, Bad, assert_alone};
use crate::election::call::FailureKind;

fn failure(kind: FailureKind, message: &str) -> Failure {
    Failure {
        kind,
        message: message.to_owned(),
    }
}

/// A cluster with which nothing is wrong.
fn good() -> Facts {
    Facts {
        endpoints: vec![Endpoint {
            label: "http://127.0.0.1:8500".to_owned(),
            local: Some(true),
            answer: Ok(Some("10.0.0.1:8300".to_owned())),
            took: Duration::from_millis(2),
        }],
        peers: Some(3),
        token: Ok(None),
        token_from_file: false,
        rights: Vec::new(),
        agent: Ok(AgentSettings {
            node: "n1".to_owned(),
            version: "1.8.7".to_owned(),
            server: false,
            leaves_on_terminate: Some(false),
            checks: vec![definition("2s", "1s", "passing")],
        }),
        ttl_bounds: Some(("10s".to_owned(), "24h0m0s".to_owned())),
        checks: checked(Ok(Some(check(CheckState::Passing)))),
    }
}

fn definition(interval: &str, timeout: &str, status: &str) -> CheckSettings {
    CheckSettings {
        id: "web".to_owned(),
        interval: interval.to_owned(),
        timeout: timeout.to_owned(),
        status: status.to_owned(),
    }
}

fn check(state: CheckState) -> Check {
    Check {
        id: "web".to_owned(),
        node: "n1".to_owned(),
        service: None,
        state,
        output: "it broke\n".to_owned(),
        notes: String::new(),
    }
}

fn right(verdict: Verdict, vital: bool) -> Right {
    Right {
        rule: "key \"k\" { policy = \"write\" }".to_owned(),
        without: "Without this rule it is bad.".to_owned(),
        verdict,
        vital,
    }
}

type Checked = Result<Option<Check>, Failure>;

fn checked(check: Checked) -> Vec<(String, Checked)> {
    vec![("web".to_owned(), check)]
}

fn bad(facts: &Facts) -> Vec<Bad> {
    let wanted = Wanted {
        ttls: vec![Duration::from_secs(10)],
        confirm_interval: Duration::from_millis(333),
    };
    tests::bad(|findings| judge(facts, &wanted, findings))
}

#[test]
fn nothing_is_wrong() {
    assert_eq!(bad(&good()), []);
}

#[test]
fn what_is_wrong_and_how_much() {
    let agent = || good().agent.unwrap();
    let with_agent = |agent| Facts {
        agent: Ok(agent),
        ..good()
    };
    let with_check = |definition| {
        with_agent(AgentSettings {
            checks: vec![definition],
            ..agent()
        })
    };
    let with_endpoint = |change: fn(&mut Endpoint)| {
        let mut facts = good();
        change(&mut facts.endpoints[0]);
        facts
    };
    let token = |expiration_time: Option<&str>, from_file, rights| Facts {
        token: Ok(Some(Token {
            expiration_time: expiration_time.map(str::to_owned),
        })),
        token_from_file: from_file,
        rights,
        ..good()
    };
    let denied = || Verdict::Denied("no".to_owned());
    let unknown = || Verdict::Unknown("no answer".to_owned());
    let (problem, warning) = (Level::Problem, Level::Warning);
    let rows: Vec<(Facts, Level, &str, &str)> = vec![
        (
            with_endpoint(|one| one.answer = Err("Connection refused".to_owned())),
            problem,
            "consul",
            "Connection refused",
        ),
        (
            with_endpoint(|one| one.answer = Ok(None)),
            problem,
            "consul",
            "knows of no raft leader",
        ),
        (
            with_endpoint(|one| one.took = Duration::from_millis(334)),
            warning,
            "consul",
            "answers after 334 ms, and a leader asks every 333 ms",
        ),
        (
            with_endpoint(|one| one.local = Some(false)),
            warning,
            "consul",
            "not on this host",
        ),
        (
            Facts {
                peers: Some(2),
                ..good()
            },
            warning,
            "servers",
            "2 server(s)",
        ),
        (
            Facts {
                peers: None,
                ..good()
            },
            Level::Unknown,
            "servers",
            "did not say",
        ),
        (
            Facts {
                token: Err(failure(FailureKind::Denied, "ACL not found")),
                ..good()
            },
            problem,
            "token",
            "ACL not found",
        ),
        (
            token(Some("2027-01-01T00:00:00Z"), false, vec![]),
            warning,
            "token",
            "until 2027-01-01",
        ),
        (
            token(None, false, vec![right(denied(), true)]),
            problem,
            "acl",
            "lacks key \"k\" { policy = \"write\" }. Without this rule it is bad.",
        ),
        (
            token(None, false, vec![right(denied(), false)]),
            warning,
            "acl",
            "lacks key",
        ),
        (
            token(None, false, vec![right(unknown(), true)]),
            Level::Unknown,
            "acl",
            "no answer",
        ),
        (
            Facts {
                ttl_bounds: Some(("15s".to_owned(), "24h".to_owned())),
                ..good()
            },
            problem,
            "ttl",
            "refuse --ttl=10s: they take 15s to 24h",
        ),
        (
            Facts {
                ttl_bounds: None,
                ..good()
            },
            Level::Unknown,
            "ttl",
            "did not say",
        ),
        (
            with_agent(AgentSettings {
                leaves_on_terminate: Some(true),
                ..agent()
            }),
            warning,
            "agent",
            "leaves the cluster when it is stopped",
        ),
        (
            Facts {
                checks: checked(Ok(None)),
                ..good()
            },
            problem,
            "check",
            "no check with the id 'web'",
        ),
        (
            Facts {
                checks: checked(Ok(Some(check(CheckState::Critical)))),
                ..good()
            },
            problem,
            "check",
            "critical: it broke",
        ),
        (
            with_check(definition("30s", "1s", "passing")),
            warning,
            "check",
            "noticed within 31s",
        ),
        (
            with_check(definition("10s", "0s", "passing")),
            warning,
            "check",
            "noticed within 20s",
        ),
        (
            with_check(definition("2s", "1s", "")),
            warning,
            "check",
            "critical from the agent's start",
        ),
    ];
    for (facts, level, about, words) in rows {
        let found = bad(&facts);
        assert_alone(&found, level, about, words);
    }
}

#[test]
fn what_is_well_although_it_looks_otherwise() {
    let silent = Facts {
        token: Ok(Some(Token {
            expiration_time: Some("2027-01-01T00:00:00Z".to_owned()),
        })),
        token_from_file: true,
        checks: checked(Ok(Some(check(CheckState::Warning)))),
        ..good()
    };
    assert_eq!(bad(&silent), []);
}

#[test]
fn an_agent_that_tells_nothing_costs_no_more_than_that() {
    let silent = Facts {
        agent: Err(failure(FailureKind::Denied, "Permission denied")),
        ..good()
    };
    let found = bad(&silent);
    let levels: Vec<_> = found
        .iter()
        .map(|(level, about, _)| (*level, *about))
        .collect();
    assert_eq!(
        levels,
        [(Level::Unknown, "agent"), (Level::Unknown, "check")]
    );
}

#[test]
fn one_of_two_endpoints_is_enough() {
    let mut facts = good();
    facts.endpoints.push(Endpoint {
        label: "http://10.0.0.9:8500".to_owned(),
        local: None,
        answer: Err("Connection refused".to_owned()),
        took: Duration::ZERO,
    });
    let found = bad(&facts);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].0, found[0].1), (Level::Warning, "consul"));
}
