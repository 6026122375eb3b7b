//! What operators do on a cluster: a drain that outlives what it is asked of, and a switchover from a host
//! without a daemon.

use std::error::Error;
use std::process::Output;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use serde_json::Value;
use vip_lab::cluster::{Cluster, Program, SETTLE_LIMIT, Setup};
use vip_lab::time::until;

use crate::DAEMON;

type Test = fn(&mut Cluster, &str, [&str; 2]) -> Result<(), Box<dyn Error>>;

const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn trials() -> Vec<Trial> {
    let tests: [(&str, Test); 2] = [
        ("a_drain_outlives_the_daemon_and_the_agent", drained),
        (
            "a_switchover_from_a_host_without_a_daemon_says_what_came_of_it",
            switched_over,
        ),
    ];
    tests
        .map(|(name, test)| Trial::test(name, move || run(test)))
        .into()
}

fn run(test: Test) -> Result<(), Failed> {
    // Where the machine is busy, heartbeats would move the lock as well.
    let program = Program::manager(DAEMON).args(["--peer-watch=off"]);
    let test = |cluster: &mut Cluster, leader: &str| {
        let others: Vec<String> = cluster
            .others(leader)
            .map(|host| host.name().to_owned())
            .collect();
        for other in &others {
            until_stands(cluster, other)?;
        }
        let [second, third] = others.as_slice() else {
            return Err(format!("{others:?}").into());
        };
        let start = Instant::now();
        test(cluster, leader, [second, third])?;
        assert_eq!(cluster.overlap(start..Instant::now())?, Duration::ZERO);
        Ok(())
    };
    Setup::new().daemon(program).run(test).map_err(Failed::from)
}

/// Runs a command on a host, which knows the key of the group and nothing else of it.
fn command(cluster: &Cluster, on: &str, words: &[&str]) -> Result<Output, Box<dyn Error>> {
    let mut command = cluster.host(on)?.command(DAEMON);
    let key = format!("--trigger-key={}", cluster.key());
    Ok(command.args(words).arg(key).output()?)
}

/// Runs one that must succeed, and returns what it printed.
fn done(cluster: &Cluster, on: &str, words: &[&str]) -> Result<String, Box<dyn Error>> {
    let output = command(cluster, on, words)?;
    assert_eq!(output.status.code(), Some(0), "{words:?}: {output:?}");
    assert!(output.stderr.is_empty(), "{words:?}: {output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

/// Runs one that must be refused, before it says or does anything.
fn refused(cluster: &Cluster, on: &str, words: &[&str], why: &str) -> Result<(), Box<dyn Error>> {
    let output = command(cluster, on, words)?;
    assert_eq!(output.status.code(), Some(1), "{words:?}: {output:?}");
    assert!(output.stdout.is_empty(), "{words:?}: {output:?}");
    let said = String::from_utf8(output.stderr)?;
    assert!(said.contains(why), "{words:?}: {why}: {said}");
    let request = format!("{}/switchover", cluster.key());
    assert!(cluster.host(on)?.agent().key(&request)?.is_none());
    Ok(())
}

/// What `status --json`, asked on one host, says of another.
fn status(cluster: &Cluster, on: &str, of: &str) -> Result<Value, String> {
    let output = command(cluster, on, &["status", "--json"]).map_err(|error| error.to_string())?;
    let shown: Value =
        serde_json::from_slice(&output.stdout).map_err(|error| format!("{error}: {output:?}"))?;
    let hosts = shown["groups"][0]["hosts"].as_array();
    let mut hosts = hosts.into_iter().flatten();
    hosts
        .find(|host| host["host"] == of)
        .cloned()
        .ok_or_else(|| format!("no {of} in {shown}"))
}

fn until_stands(cluster: &Cluster, host: &str) -> Result<(), Box<dyn Error>> {
    Ok(until("a host to be a candidate", LIMIT, || {
        let seen = status(cluster, host, host)?;
        let stands = seen["role"] == "candidate" && seen["fit"] == true;
        stands.then_some(()).ok_or_else(|| seen.to_string())
    })?)
}

fn drained(
    cluster: &mut Cluster,
    leader: &str,
    [second, third]: [&str; 2],
) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let said = done(cluster, second, &["drain", leader])?;
    assert!(said.contains(&format!("{leader} is drained\n")), "{said}");
    assert!(said.contains("leads now, after"), "{said}");
    cluster.wait_for_successor(start, leader, LIMIT)?;

    let from = cluster.host(leader)?.log().len();
    cluster.stop_daemon(leader)?;
    cluster.start_daemon(leader)?;
    let log = cluster.host(leader)?.log();
    log.wait_for("this host is drained", from, LIMIT)?;

    cluster.stop_consul(leader)?;
    cluster.start_consul(leader)?;
    // A session that is not the agent's former one, perhaps, and does not stand.
    until("the drained host to stand by", LIMIT, || {
        let seen = status(cluster, leader, leader)?;
        let stands_by = seen["role"] == "standby" && seen["drained"] == true;
        stands_by.then_some(()).ok_or_else(|| seen.to_string())
    })?;
    let now = cluster.settle(SETTLE_LIMIT)?;
    assert_ne!(now, leader);
    assert_eq!(status(cluster, leader, leader)?["drained"], true);

    let said = done(cluster, third, &["resume", leader])?;
    assert!(
        said.contains("is drained no more, and would lead"),
        "{said}"
    );
    let key = format!("{}/drain/{leader}", cluster.key());
    assert!(cluster.host(leader)?.agent().key(&key)?.is_none());
    until_stands(cluster, leader)?;
    assert_eq!(cluster.settle(LIMIT)?, now, "nobody moves back by itself");
    Ok(())
}

fn switched_over(
    cluster: &mut Cluster,
    leader: &str,
    [idle, third]: [&str; 2],
) -> Result<(), Box<dyn Error>> {
    cluster.stop_daemon(idle)?;
    let said = done(cluster, idle, &["drain", third])?;
    assert!(said.contains(&format!("{third} is drained")), "{said}");
    let no_candidate = "there is no other candidate that is fit to lead";
    refused(cluster, idle, &["switchover"], no_candidate)?;
    let is_drained = format!("{third} is drained; end that first with: vip-elector resume {third}");
    refused(cluster, idle, &["switchover", third], &is_drained)?;
    let mut there = [leader, third];
    there.sort_unstable();
    let unknown = format!(
        "no host web9 takes part in {}; there are: {}",
        cluster.key(),
        there.join(", ")
    );
    refused(cluster, idle, &["switchover", "--to=web9"], &unknown)?;

    done(cluster, idle, &["resume", third])?;
    let start = Instant::now();
    let said = done(cluster, idle, &["switchover"])?;
    let asked = format!("{leader} is asked to hand over to the best candidate\n");
    let passed = format!("{third} leads now, after ");
    let lines: Vec<&str> = said.split_inclusive('\n').collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(lines[0].ends_with(&asked), "{said}");
    assert!(lines[1].contains(&passed), "{said}");
    let outage = "the lock went from hand to hand in one commit\n";
    assert!(lines[1].ends_with(outage), "{said}");
    let answer = cluster.wait_for_successor(start, leader, LIMIT)?;
    assert_eq!(*answer.by, *third);

    cluster.stop_daemon(leader)?;
    cluster.stop_daemon(third)?;
    let nobody = "nobody leads service/demo/leader, so that nobody can hand over";
    refused(cluster, idle, &["switchover"], nobody)
}
