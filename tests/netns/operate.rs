//! What operators do, on a cluster of virtual hosts: from a host without a daemon, and over restarts.

use std::error::Error;
use std::process::Output;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use vip_lab::cluster::{Cluster, Program, Setup};
use vip_lab::time::until;

use crate::DAEMON;

const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn trials() -> Vec<Trial> {
    vec![Trial::test(
        "a_drain_outlives_the_daemon_and_a_switchover_comes_from_elsewhere",
        run,
    )]
}

fn run() -> Result<(), Failed> {
    let program = Program::manager(DAEMON).args(["--peer-watch=off"]);
    Setup::new()
        .daemon(program)
        .run(operated)
        .map_err(Failed::from)
}

/// Runs a command on a host, which knows the key of the group and nothing else.
fn command(cluster: &Cluster, on: &str, words: &[&str]) -> Result<Output, Box<dyn Error>> {
    let mut command = cluster.host(on)?.command(DAEMON);
    let key = format!("--trigger-key={}", cluster.key());
    // No daemon has its files there.
    command.env("RUNTIME_DIRECTORY", "/nowhere");
    Ok(command.args(words).arg(key).output()?)
}

fn done(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits until every other host would lead.
fn until_all_stand(cluster: &Cluster, leader: &str) -> Result<(), Box<dyn Error>> {
    Ok(until("all others to be candidates", LIMIT, || {
        let shown = command(cluster, leader, &["status", "--json"]).map_err(|e| e.to_string())?;
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        match shown.matches(r#""role": "candidate""#).count() {
            2 => Ok(()),
            _ => Err(shown),
        }
    })?)
}

fn operated(cluster: &mut Cluster, leader: &str) -> Result<(), Box<dyn Error>> {
    until_all_stand(cluster, leader)?;
    let start = Instant::now();
    let others: Vec<String> = cluster
        .others(leader)
        .map(|host| host.name().to_owned())
        .collect();
    let [second, third] = others.as_slice() else {
        return Err(format!("{others:?}").into());
    };

    // A leader is drained, from another host, and stays so when its daemon is another one.
    let said = done(&command(cluster, second, &["drain", leader])?);
    assert!(said.contains("leads now, after"), "{said}");
    let answer = cluster.wait_for_successor(start, leader, LIMIT)?;
    cluster.stop_daemon(leader)?;
    let from = cluster.host(leader)?.log().len();
    cluster.start_daemon(leader)?;
    let log = cluster.host(leader)?.log();
    log.wait_for("this host is drained", from, LIMIT)?;
    let refused = command(cluster, second, &["switchover", "--to", leader])?;
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");

    // The switchover comes from a host whose daemon is stopped.
    let now = answer.by.to_string();
    let idle = if now == *second { third } else { second };
    done(&command(cluster, idle, &["resume", leader])?);
    cluster.stop_daemon(idle)?;
    let moved = Instant::now();
    let said = done(&command(cluster, idle, &["switchover", "--to", leader])?);
    assert!(
        said.contains(&format!("{leader} leads now, after")),
        "{said}"
    );
    let answer = cluster.wait_for_successor(moved, &now, LIMIT)?;
    assert_eq!(*answer.by, *leader);
    assert_eq!(cluster.overlap(start..Instant::now())?, Duration::ZERO);
    Ok(())
}
