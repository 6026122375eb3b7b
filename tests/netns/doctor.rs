//! `vip-elector doctor` on a host with a real Consul and a real kernel, before a daemon runs and beside it.

use std::error::Error;

use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use serde_json::Value;
use vip_lab::cluster::{Cluster, Host};

use crate::DAEMON;
use crate::alone::{Test, command, ends_with, lead, run, shown};

pub(crate) fn trials() -> Vec<Trial> {
    let tests: [(&str, Test); 1] = [(
        "the_doctor_finds_what_is_wrong_and_changes_nothing",
        examined,
    )];
    tests
        .map(|(name, test)| Trial::test(name, move || run(test)))
        .into()
}

fn examined(cluster: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    let before = state(cluster, host)?;
    let (code, found) = doctor(host)?;
    has(&found, "ok", "address", "nobody has 10.77.0.200");
    has(
        &found,
        "ok",
        "network",
        "10.77.0.200/24 is in the network of",
    );
    has(&found, "ok", "interface", "eth0 is up");
    has(&found, "ok", "privileges", "are to be had");
    has(&found, "ok", "heartbeats", "is free");
    has(&found, "ok", "daemon", "none runs");
    assert_eq!(code, Some(0), "{found:#?}");
    assert_eq!(state(cluster, host)?, before);

    let address = |word: &str| {
        let arguments = ["address", word, "10.77.0.200/24", "dev", "eth0"];
        host.namespace().ip(&arguments)
    };
    address("add")?;
    let (code, found) = doctor(host)?;
    has(
        &found,
        "problem",
        "address",
        "vip-elector did not put it there",
    );
    assert_eq!(code, Some(1), "{found:#?}");
    address("del")?;

    let mut daemon = lead(host, &["--lock-delay=20s", "--ttl=20s"])?;
    let before = (shown(host)?.len(), host.agent().key(cluster.key())?);
    let (code, found) = doctor(host)?;
    let held = format!("is on eth0, held by process {}", daemon.process.id());
    has(&found, "ok", "address", &held);
    has(&found, "ok", "lock", "is held by web1");
    has(&found, "ok", "heartbeats", "is the daemon's");
    assert_eq!(code, Some(0), "{found:#?}");
    let after = (shown(host)?.len(), host.agent().key(cluster.key())?);
    assert_eq!(after, before);
    assert_eq!(host.agent().sessions()?.len(), 1);
    daemon.process.signal(Signal::SIGTERM)?;
    ends_with(&mut daemon, 0)?;
    let said = daemon.log.tail(usize::MAX);
    assert!(
        !said.contains("LOST") || said.contains("reason=stopping"),
        "{said}"
    );
    Ok(())
}

/// What the kernel and Consul have.
fn state(cluster: &Cluster, host: &Host) -> Result<String, Box<dyn Error>> {
    let addresses = host.namespace().ip(&["-o", "address", "show"])?;
    let routes = host
        .namespace()
        .ip(&["-o", "route", "show", "table", "all"])?;
    let key = host.agent().key(cluster.key())?;
    let sessions = host.agent().sessions()?;
    let services = host.agent().text("/v1/agent/services")?;
    Ok(format!("{addresses}{routes}{key:?}{sessions:?}{services}"))
}

fn doctor(host: &Host) -> Result<(Option<i32>, Vec<Value>), Box<dyn Error>> {
    let output = command(host, DAEMON, &["doctor", "--json", "--manage-vip"]).output()?;
    let report: Value =
        serde_json::from_slice(&output.stdout).map_err(|error| format!("{error}: {output:?}"))?;
    let findings = report["findings"].as_array().ok_or("no findings")?;
    Ok((output.status.code(), findings.clone()))
}

fn has(found: &[Value], level: &str, about: &str, words: &str) {
    let is = |finding: &Value| {
        finding["level"] == level
            && finding["about"] == about
            && finding["what"]
                .as_str()
                .is_some_and(|what| what.contains(words))
    };
    assert!(found.iter().any(is), "{level} {about} {words}: {found:#?}");
}
