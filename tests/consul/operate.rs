//! What operators do, on a real Consul that denies by default: `status`, `switchover`, `drain`, `resume`.

use std::process::Output;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::acl::token_for;
use crate::agent::{Agent, Ports, eventually};
use crate::daemon::Site;
use crate::security::acl_agent;
use crate::trial;

const KEY: &str = "service/op/leader";

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "a_group_is_operated_from_a_host_that_takes_no_part",
            a_group_is_operated_from_elsewhere,
        ),
        trial(
            "a_host_says_in_consul_why_it_would_not_lead_and_since_when",
            a_host_says_why_it_would_not_lead,
        ),
        trial(
            "without_the_right_the_order_is_refused_and_named",
            without_the_right_it_is_named,
        ),
    ]
}

/// A Consul, and what two hosts and one without a daemon have in common there.
struct Place {
    agent: Agent,
    root: String,
    token: String,
}

impl Place {
    fn new() -> Self {
        Self::with(|site| site)
    }

    /// With the rights that a host takes that is configured so.
    fn with(configured: impl FnOnce(Site) -> Site) -> Self {
        let (agent, root) = acl_agent();
        let site = configured(site(&agent, "host1"));
        let token = token_for(&agent, &root, &site);
        Self { agent, root, token }
    }

    fn host(&self, value: &str) -> Site {
        site(&self.agent, value).variable("CONSUL_HTTP_TOKEN", &self.token)
    }

    fn elsewhere(&self) -> Site {
        Site::elsewhere(KEY)
            .flag(&format!("--addr={}", self.agent.url()))
            .variable("CONSUL_HTTP_TOKEN", &self.token)
    }

    fn get(&self, path: &str) -> String {
        self.agent.ask_as(&self.root, "GET", path, "")
    }

    /// The witness: what stands in the key.
    fn holder(&self) -> String {
        self.get(&format!("kv/{KEY}?raw"))
    }

    fn stands(&self, value: &str) {
        let path = format!("kv/{KEY}/candidates/{value}");
        eventually("to stand as a candidate", || match self.get(&path) {
            entry if entry.contains("Session") => Ok(()),
            nothing => Err(nothing),
        });
    }
}

fn site(agent: &Agent, value: &str) -> Site {
    Site::new(KEY, value)
        .flag(&format!("--addr={}", agent.url()))
        .flag(&format!("--peer-listen=127.0.0.1:{}", Ports::take().http()))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[track_caller]
fn done(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    text(&output.stdout)
}

#[track_caller]
fn refused(output: &Output, why: &str) {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = text(&output.stderr);
    assert!(said.contains(why), "{why}:\n{said}");
}

async fn a_group_is_operated_from_elsewhere() {
    let place = Place::new();
    let (one, two) = (place.host("host1"), place.host("host2"));
    let operator = place.elsewhere();
    let run = |words: &[&str]| operator.output(words);

    let nobody = run(&["status"]);
    assert_eq!(nobody.status.code(), Some(1), "{nobody:?}");
    let shown = text(&nobody.stdout);
    assert!(
        shown.contains("nobody leads: nobody has led yet"),
        "{shown}"
    );
    refused(&run(&["switchover"]), "nobody leads service/op/leader");

    let first = one.start();
    first.says("LOCK ACQUIRED", 1);
    place.stands("host1");
    refused(&run(&["switchover"]), "there is no other candidate");
    let second = two.start();
    place.stands("host2");

    let shown = done(&run(&["status"]));
    assert!(shown.contains("service/op/leader  host1 leads"), "{shown}");
    assert!(!shown.contains('\x1b'), "{shown}");
    let json: Value = serde_json::from_str(&done(&run(&["status", "--json"]))).unwrap();
    let group = &json["groups"][0];
    assert_eq!(group["leader"], "host1");
    let roles: Vec<_> = group["hosts"].as_array().unwrap().iter().collect();
    let role = |number: usize| {
        (
            roles[number]["host"].as_str(),
            roles[number]["role"].as_str(),
        )
    };
    assert_eq!(role(0), (Some("host1"), Some("leader")));
    assert_eq!(role(1), (Some("host2"), Some("candidate")));

    refused(
        &run(&["switchover", "host1"]),
        "host1 leads service/op/leader already",
    );
    refused(
        &run(&["switchover", "--to=host9"]),
        "there are: host1, host2",
    );
    let said = done(&run(&["switchover", "--to=host2"]));
    assert!(said.contains("host2 leads now, after"), "{said}");
    assert!(said.contains("in one commit"), "{said}");
    assert_eq!(place.holder(), "host2");
    second.says("LOCK ACQUIRED", 1);
    assert_eq!(place.get(&format!("kv/{KEY}/switchover")), "");

    // The leader is drained, and stays so over a restart.
    place.stands("host1");
    let said = done(&run(&["drain", "host2"]));
    assert!(said.contains("host2 is drained"), "{said}");
    assert!(said.contains("host1 leads now"), "{said}");
    second.says("drained", 1);
    first.says("LOCK ACQUIRED", 2);
    refused(&run(&["switchover", "host2"]), "host2 is drained");
    second.stop();
    let second = two.start();
    second.says("this host is drained", 1);
    let said = done(&two.output(&["drain"]));
    assert!(said.contains("host2 was drained before"), "{said}");
    first.stop();
    eventually("the lock to be free", || match place.holder() {
        free if free.is_empty() => Ok(()),
        held => Err(held),
    });
    let shown = text(&run(&["status"]).stdout);
    assert!(shown.contains("nobody leads"), "{shown}");
    assert!(shown.contains("drained by"), "{shown}");

    let said = done(&run(&["resume", "host2"]));
    assert!(
        said.contains("host2 is drained no more, and would lead"),
        "{said}"
    );
    second.says("LOCK ACQUIRED", 1);
    assert_eq!(place.get(&format!("kv/{KEY}/drain/host2")), "");
    assert!(done(&run(&["resume", "host2"])).contains("is not drained"));

    // With nobody else there, a drained leader gives the lock up all the same.
    let said = done(&two.output(&["drain"]));
    assert!(said.contains("nobody else is fit to lead"), "{said}");
    assert!(said.contains("nobody leads now"), "{said}");
    assert_eq!(place.holder(), "");
    second.stop();
}

async fn a_host_says_why_it_would_not_lead() {
    let checked = |site: Site| site.flag("--check-id=vip-http");
    let place = Place::with(checked);
    let one = place.host("host1").flag("--health-interval=100ms");
    let sick = one.file("sick", "");
    let one = one.flag(&format!("--health-command=! test -e {sick}"));
    let two = checked(place.host("host2"));
    let guard = r#"{"Name":"vip-guard","Check":{"CheckID":"vip-http","TTL":"1h"}}"#;
    for (path, body) in [
        ("agent/service/register", guard),
        ("agent/check/fail/vip-http?note=503", ""),
    ] {
        let said = place.agent.ask_as(&place.root, "PUT", path, body);
        assert_eq!(said, "", "{path}");
    }
    let (first, second) = (one.start(), two.start());
    first.says("this host is not healthy", 1);
    second.says("waiting for check", 1);

    // Who is elsewhere has it from Consul alone.
    let operator = place.elsewhere();
    let row = |words: &[&str], host: &str, expected: &[&str]| {
        eventually("to be shown", || {
            let shown = text(&operator.output(words).stdout);
            let row = shown.lines().find(|line| line.contains(host));
            match row {
                Some(row) if expected.iter().all(|text| row.contains(text)) => Ok(()),
                _ => Err(shown),
            }
        });
    };
    row(&["status"], "host1  standby", &["status 1", ", since 20"]);
    row(
        &["status", "--check-id=vip-http"],
        "host2  absent",
        &["check vip-http is critical since 20"],
    );

    let why = || {
        let services: serde_json::Value =
            serde_json::from_str(&place.get("catalog/service/vip-elector")).unwrap();
        let mut services = services.as_array().unwrap().clone();
        services.retain(|one| one["ServiceID"].as_str().unwrap().ends_with("/host1"));
        services[0]["ServiceMeta"]["why"].clone()
    };
    assert!(why().as_str().unwrap().contains("status 1"), "{}", why());
    std::fs::remove_file(sick).unwrap();
    first.says("LOCK ACQUIRED", 1);
    eventually("the reason to go", || {
        let why = why();
        why.is_null().then_some(()).ok_or_else(|| why.to_string())
    });

    first.stop();
    second.stop();
}

async fn without_the_right_it_is_named() {
    let place = Place::new();
    let host = place.host("host1");
    let daemon = host.start();
    daemon.says("LOCK ACQUIRED", 1);
    place.stands("host1");
    let rules = r#"{"Name":"look","Rules":"key_prefix \"service/\" { policy = \"read\" }"}"#;
    place.agent.ask_as(&place.root, "PUT", "acl/policy", rules);
    let token = crate::acl::token_of(&place.agent, &place.root, "look");
    let reader = Site::elsewhere(KEY)
        .flag(&format!("--addr={}", place.agent.url()))
        .variable("CONSUL_HTTP_TOKEN", &token);
    let shown = done(&reader.output(&["status"]));
    assert!(shown.contains("host1 leads"), "{shown}");
    assert!(shown.contains("not seen:"), "{shown}");
    let right = r#"the token needs key_prefix "service/op/leader/" { policy = "write" }"#;
    refused(&reader.output(&["drain", "host1"]), right);
    assert_eq!(place.get(&format!("kv/{KEY}/drain/host1")), "");
    daemon.stop();
}
