//! The policy that the daemon prints for itself, under an ACL that denies by default.

use std::io::Write;
use std::process::{Command, Stdio};

use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::agent::{Agent, Ports, consul, eventually};
use crate::daemon::{Daemon, Site};
use crate::security::acl_agent;
use crate::trial;

const KEY: &str = "service/pg/leader";

/// What the daemon says wherever it lacks a right.
const LACKS: &str = "the token needs";

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "the_printed_policy_is_enough_for_a_whole_election",
            printed_policy_is_enough,
        ),
        trial("each_missing_rule_is_named", each_missing_rule_is_named),
    ]
}

async fn printed_policy_is_enough() {
    let (agent, root) = acl_agent();
    for id in ["c1", "c2"] {
        register_check(&agent, &root, id);
    }
    let site = |value, check, mode| {
        site(&agent, KEY, value)
            .flag(&format!("--check-id={check}"))
            .flag(&format!("--check-mode={mode}"))
    };
    let (one, two) = (site("host1", "c1", "session"), site("host2", "c2", "watch"));
    let policy = policy(&one);
    assert_eq!(rules(&policy), rules(&self::policy(&two)));
    create_policy_as_documented(&root, &agent, &policy);
    let token = token_of(&agent, &root, "vip-elector");
    let (one, two) = (
        one.variable("CONSUL_HTTP_TOKEN", &token),
        two.variable("CONSUL_HTTP_TOKEN", &token),
    );
    let stands = |value: &str| {
        let path = format!("kv/{KEY}/candidates/{value}");
        eventually("to stand as a candidate", || {
            match agent.ask_as(&root, "GET", &path, "") {
                entry if entry.contains("Session") => Ok(()),
                nothing => Err(nothing),
            }
        });
    };
    let request = |to: &str| {
        agent.ask_as(&root, "PUT", &format!("kv/{KEY}/switchover"), to);
    };
    let request_is_gone = || {
        eventually("the request to be deleted", || {
            match agent.ask_as(&root, "GET", &format!("kv/{KEY}/switchover"), "") {
                nothing if nothing.is_empty() => Ok(()),
                still => Err(still),
            }
        });
    };
    let check = |what: &str| agent.ask_as(&root, "PUT", &format!("agent/check/{what}"), "");

    let one = one.start();
    leads(&one, 1);
    let two = two.start();
    stands("host2");
    hears_heartbeats();
    // The silent leader's session is ended by the other.
    one.signal(Signal::SIGSTOP);
    two.says("its session was ended", 1);
    leads(&two, 1);
    one.signal(Signal::SIGCONT);
    one.says("LOCK LOST", 1);
    stands("host1");
    // The daemon hands over with its check.
    check("fail/c2");
    leads(&one, 2);
    two.says("check 'c2' is critical", 1);
    check("pass/c2");
    stands("host2");
    request("nobody");
    one.says("the switchover that was asked for is not possible", 1);
    request_is_gone();
    request("host2");
    leads(&two, 2);
    request_is_gone();
    stands("host1");
    request("host1");
    leads(&one, 3);
    stands("host2");
    // Consul ends the session with its check.
    check("fail/c1");
    leads(&two, 3);

    eventually("each liveness service to say what its host is", || {
        let services = get(&agent, &root, "agent/services");
        let tag = |host| services[format!("vip-elector/{KEY}/{host}")]["Tags"][0].clone();
        match [tag("host1"), tag("host2")] {
            tags if tags == ["standby", "leader"] => Ok(()),
            others => Err(format!("{others:?}")),
        }
    });
    for said in [two.stop(), one.stop()] {
        for words in [LACKS, "going on without", "not noticed"] {
            assert!(!said.contains(words), "{words}:\n{said}");
        }
    }
    assert_eq!(get(&agent, &root, "session/list"), json!([]));
    assert_eq!(get(&agent, &root, "kv/?keys"), json!([KEY]));
    let services = get(&agent, &root, "agent/services");
    assert_eq!(services[format!("vip-elector/{KEY}/host2")], Value::Null);
}

async fn each_missing_rule_is_named() {
    let (agent, root) = acl_agent();
    register_check(&agent, &root, "c1");
    let usual: &[&str] = &["--check-id=c1"];
    let bare: &[&str] = &["--liveness-ttl=0s"];
    let all = rules(&policy(&of(&agent, "x", usual)));
    let without = |flags| move |rule| (flags, Some(rule));
    let cases = [
        (usual, None),
        (bare, None),
        (bare, Some("agent_prefix".to_owned())),
    ]
    .into_iter()
    .chain(
        all.iter()
            .map(|rule| resource(rule).to_owned())
            .map(without(usual)),
    );
    let daemons: Vec<_> = cases
        .enumerate()
        .map(|(number, (flags, without))| {
            let name = format!("g{number}");
            let site = of(&agent, &name, flags);
            let (missing, granted): (Vec<_>, Vec<_>) = rules(&policy(&site))
                .into_iter()
                .partition(|rule| Some(resource(rule)) == without.as_deref());
            assert_eq!(missing.len(), usize::from(without.is_some()));
            let policy = json!({ "Name": name, "Rules": granted.join("\n") });
            agent.ask_as(&root, "PUT", "acl/policy", &policy.to_string());
            let token = token_of(&agent, &root, &name);
            let site = site.variable("CONSUL_HTTP_TOKEN", &token);
            (missing, site.start(), site)
        })
        .collect();
    for (missing, daemon, _site) in daemons {
        let Some(rule) = missing.first() else {
            leads(&daemon, 1);
            let said = daemon.stop();
            assert!(!said.contains(LACKS), "{said}");
            continue;
        };
        let costs = match resource(rule) {
            "key" => "consul does not answer as it should",
            "key_prefix" => "cannot be a candidate",
            "session_prefix" => "Failed to create session",
            "service" => "cannot register the liveness check",
            "service_prefix" | "node_prefix" => "maintenance may not be noticed",
            "agent_prefix" => "maintenance is not noticed",
            other => panic!("{other} is a new kind of rule"),
        };
        // Of all nodes, this one is missed first.
        let named = rule.replace("session_prefix \"\"", "session \"n1\"");
        daemon.says(&format!("{LACKS} {named}"), 1);
        daemon.says(costs, 1);
    }
}

fn resource(rule: &str) -> &str {
    rule.split(' ').next().unwrap()
}

fn of(agent: &Agent, name: &str, flags: &[&str]) -> Site {
    let site = site(agent, &format!("service/{name}/leader"), "host1");
    flags.iter().fold(site, |site, flag| site.flag(flag))
}

fn site(agent: &Agent, key: &str, value: &str) -> Site {
    Site::new(key, value)
        .flag(&format!("--addr={}", agent.url()))
        .flag(&format!("--peer-listen=127.0.0.1:{}", Ports::take().http()))
}

/// Waits until heartbeats have been received: nothing else here speaks UDP.
fn hears_heartbeats() {
    let received = || {
        let counters = std::fs::read_to_string("/proc/net/snmp").unwrap();
        let mut udp = counters.lines().filter(|line| line.starts_with("Udp: "));
        let (names, values) = (udp.next().unwrap(), udp.next().unwrap());
        let at = names
            .split(' ')
            .position(|name| name == "InDatagrams")
            .unwrap();
        values.split(' ').nth(at).unwrap().parse::<u64>().unwrap()
    };
    let before = received();
    eventually("heartbeats", || match received() - before {
        0..3 => Err(format!("{} are known", received())),
        _ => Ok(()),
    });
}

fn leads(daemon: &Daemon, count: usize) {
    daemon.says("LOCK ACQUIRED", count);
}

/// Gives a token of the policy that a site's daemon needs, and no more.
pub(crate) fn token_for(agent: &Agent, root: &str, site: &Site) -> String {
    create_policy_as_documented(root, agent, &policy(site));
    token_of(agent, root, "vip-elector")
}

/// What `acl-policy` prints for a site, without its token.
fn policy(site: &Site) -> String {
    let printed = site.output(&["acl-policy", "--token-file=/not/there/yet"]);
    assert!(printed.status.success(), "{printed:?}");
    assert_eq!(printed.stderr, b"");
    String::from_utf8(printed.stdout).unwrap()
}

fn rules(policy: &str) -> Vec<String> {
    let rule = |line: &&str| !line.is_empty() && !line.starts_with('#');
    policy.lines().filter(rule).map(str::to_owned).collect()
}

/// With Consul's own command line, as the comment in front of the rules has it.
fn create_policy_as_documented(root: &str, agent: &Agent, policy: &str) {
    let mut create = Command::new(consul())
        .args([
            "acl",
            "policy",
            "create",
            "-name",
            "vip-elector",
            "-rules",
            "-",
        ])
        .env("CONSUL_HTTP_ADDR", agent.url())
        .env("CONSUL_HTTP_TOKEN", root)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut rules = create.stdin.take().unwrap();
    rules.write_all(policy.as_bytes()).unwrap();
    drop(rules);
    assert!(create.wait().unwrap().success(), "{policy}");
}

/// Makes a token of a policy.
pub(crate) fn token_of(agent: &Agent, root: &str, policy: &str) -> String {
    let wanted = json!({ "Policies": [{ "Name": policy }] }).to_string();
    let made = agent.ask_as(root, "PUT", "acl/token", &wanted);
    let made: Value = serde_json::from_str(&made).unwrap_or_else(|_| panic!("{made}"));
    made["SecretID"].as_str().unwrap().to_owned()
}

/// A service and a check of it, which passes until it is told to fail.
fn register_check(agent: &Agent, root: &str, id: &str) {
    let service = json!({
        "Name": format!("guard-{id}"),
        "Check": { "CheckID": id, "TTL": "1h", "Status": "passing" },
    });
    agent.ask_as(root, "PUT", "agent/service/register", &service.to_string());
    eventually("the check to be in the catalog", || {
        match get(agent, root, "health/node/n1").to_string() {
            checks if checks.contains(&format!("\"{id}\"")) => Ok(()),
            checks => Err(checks),
        }
    });
}

fn get(agent: &Agent, root: &str, path: &str) -> Value {
    serde_json::from_str(&agent.ask_as(root, "GET", path, "")).unwrap()
}
