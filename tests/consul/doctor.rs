//! `vip-elector doctor` beside a real Consul: it finds what is wrong there, and changes nothing.

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::acl::token_of;
use crate::agent::Agent;
use crate::daemon::Site;
use crate::security::acl_agent;
use crate::trial;

const KEY: &str = "service/pg/leader";

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("the_doctor_names_each_right_that_is_missing", rights),
        trial("the_doctor_finds_what_is_wrong_in_consul", consul),
    ]
}

/// What one run found.
struct Found {
    code: Option<i32>,
    findings: Vec<Value>,
}

impl Found {
    fn by(site: &Site) -> Self {
        let output = site.output(&["doctor", "--json"]);
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        Self {
            code: output.status.code(),
            findings: report["findings"].as_array().unwrap().clone(),
        }
    }

    /// The sentences of a level and a word.
    fn of(&self, level: &str, about: &str) -> Vec<&str> {
        let wanted = |finding: &&Value| finding["level"] == level && finding["about"] == about;
        let found = self.findings.iter().filter(wanted);
        found
            .map(|finding| finding["what"].as_str().unwrap())
            .collect()
    }

    fn has(&self, level: &str, about: &str, words: &str) {
        let found = self.of(level, about);
        assert!(
            found.iter().any(|what| what.contains(words)),
            "{level} {about} {words}: {:#?}",
            self.findings
        );
    }
}

fn site(agent: &Agent) -> Site {
    Site::new(KEY, "host1").flag(&format!("--addr={}", agent.url()))
}

/// Everything that a group could leave in Consul, with the index of the last change.
fn state(agent: &Agent, root: &str) -> [String; 4] {
    let all = [
        "kv/?recurse",
        "session/list",
        "agent/services",
        "health/node/n1",
    ];
    all.map(|path| agent.ask_as(root, "GET", path, ""))
}

async fn rights() {
    let (agent, root) = acl_agent();
    let service =
        json!({ "Name": "guard", "Check": { "CheckID": "c1", "TTL": "1h", "Status": "passing" } });
    agent.ask_as(&root, "PUT", "agent/service/register", &service.to_string());
    agent.ask_as(&root, "PUT", "kv/other", "x");
    let checked = || site(&agent).flag("--check-id=c1");
    let printed = checked().output(&["acl-policy"]).stdout;
    let printed = String::from_utf8(printed).unwrap();
    let is_rule = |line: &&str| !line.is_empty() && !line.starts_with('#');
    let rules: Vec<&str> = printed.lines().filter(is_rule).collect();
    assert!(rules.len() > 4, "{printed}");
    let with = |name: &str, rules: &[&str]| {
        let policy = json!({ "Name": name, "Rules": rules.join("\n") });
        agent.ask_as(&root, "PUT", "acl/policy", &policy.to_string());
        let token = token_of(&agent, &root, name);
        checked().variable("CONSUL_HTTP_TOKEN", &token)
    };
    let everything = with("all", &rules);
    let before = state(&agent, &root);
    let found = Found::by(&everything);
    for rule in &rules {
        assert!(
            found.of("ok", "acl").contains(rule),
            "{rule}: {:#?}",
            found.findings
        );
    }
    found.has("ok", "token", "knows the token");
    // It may not ask the agent.
    found.has("unknown", "agent", "Permission denied");
    found.has("ok", "ttl", "take 10s to 24h");
    for (number, missing) in rules.iter().enumerate() {
        let rest: Vec<_> = rules
            .iter()
            .copied()
            .filter(|rule| rule != missing)
            .collect();
        let found = Found::by(&with(&format!("without{number}"), &rest));
        let vital = ["key ", "session_prefix "]
            .iter()
            .any(|kind| missing.starts_with(kind));
        let level = if vital { "problem" } else { "warning" };
        found.has(level, "acl", &format!("the token lacks {missing}"));
        assert_eq!(
            found.of("ok", "acl").len(),
            rules.len() - 1,
            "{:#?}",
            found.findings
        );
        if vital {
            assert_eq!(found.code, Some(1));
        }
    }
    assert_eq!(state(&agent, &root), before);
    let found =
        Found::by(&checked().variable("CONSUL_HTTP_TOKEN", "11111111-2222-3333-4444-555555555555"));
    found.has("problem", "token", "ACL not found");
    assert_eq!(found.code, Some(1));
}

async fn consul() {
    let agent = Agent::server();
    let root = "";
    let before = state(&agent, root);
    let found = Found::by(&site(&agent));
    found.has("ok", "consul", "the raft leader is");
    found.has("ok", "token", "no ACL");
    found.has("warning", "servers", "1 server(s)");
    found.has("ok", "agent", "node n1, consul 1.");
    found.has("ok", "lock", "is not there yet");
    found.has("warning", "rivals", "nobody moves the address");
    assert_eq!(found.code, Some(0), "{:#?}", found.findings);

    let missing = Found::by(&site(&agent).flag("--check-id=nosuch"));
    missing.has("problem", "check", "no check with the id 'nosuch'");
    let short = Found::by(&site(&agent).flag("--addr=http://127.0.0.1:1"));
    short.has("problem", "consul", "Connection refused");
    assert_eq!(short.code, Some(1));
    assert_eq!(state(&agent, root), before);

    agent.ask_as(root, "PUT", &format!("kv/{KEY}"), "settings");
    let found = Found::by(&site(&agent));
    found.has("problem", "lock", "is a regular key (flags 0)");
    assert_eq!(found.code, Some(1));
}
