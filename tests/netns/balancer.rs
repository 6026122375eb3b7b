//! A real HAProxy, as the README sets it up: its clients follow the leader.

use std::error::Error;
use std::fs;
use std::path::Path;

use libtest_mimic::{Failed, Trial};
use vip_elector::status::Report;
use vip_lab::cluster::{Cluster, Fault, Program, Setup};
use vip_lab::parts::Part;
use vip_lab::process::{Log, Process};
use vip_lab::time::until;
use vip_lab::{drill, parts};

use crate::DAEMON;
use crate::alone::LIMIT;
use crate::answers::curl;

/// Where no HAProxy is, the test is listed as ignored, and its kind says why.
pub(crate) fn trials() -> Vec<Trial> {
    let follows = Trial::test("clients_of_haproxy_follow_the_leader", || {
        let program = Program::manager(DAEMON).args(["--listen=0.0.0.0:8548"]);
        Setup::new()
            .daemon(program)
            .run(follows)
            .map_err(Failed::from)
    });
    let missing = Part::Haproxy.path().is_err();
    vec![
        follows
            .with_kind("needs haproxy")
            .with_ignored_flag(missing),
    ]
}

fn follows(cluster: &mut Cluster, leader: &str) -> Result<(), Box<dyn Error>> {
    let directory = cluster.host(leader)?.directory().to_owned();
    let file = directory.join("haproxy.cfg");
    fs::write(&file, configuration(cluster)?)?;
    let mut haproxy = cluster.client().command(parts::haproxy()?);
    haproxy.arg("-db").arg("-f").arg(&file);
    let log = Log::default();
    let _haproxy = Process::start(haproxy, &log, &directory.join("haproxy.log"))?;
    until_led(cluster, leader, &log)?;

    let outcome = drill::run(cluster, Fault::Stop, leader, |_| {})?;
    assert!(outcome.is_good(), "{outcome:?}");
    let next = cluster.settle(LIMIT)?;
    assert_ne!(next, leader);
    until_led(cluster, &next, &log)
}

/// The README's lines that say how to check, and a server for each host: the daemon itself, because it says
/// on which host it is.
fn configuration(cluster: &Cluster) -> Result<String, Box<dyn Error>> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(readme)?;
    let line = |begin: &str| {
        let found = readme.lines().find(|line| line.trim().starts_with(begin));
        found.ok_or_else(|| format!("the README has no {begin:?}"))
    };
    let mut text = format!(
        "global\n    nbthread 1\n\
         defaults\n    mode http\n    timeout connect 5s\n    timeout client 5s\n    timeout server 5s\n\
         frontend in\n    bind 127.0.0.1:8000\n    default_backend web\n\
         backend web\n{}\n{}\n",
        line("option httpchk")?,
        line("default-server check")?
    );
    for host in cluster.hosts() {
        text += &format!("    server {} {}:8548\n", host.name(), host.address());
    }
    Ok(text)
}

/// Waits until a client of the balancer gets to this host, and to no other.
fn until_led(cluster: &Cluster, leader: &str, log: &Log) -> Result<(), Box<dyn Error>> {
    let waited = until("a client to get to the leader", LIMIT, || {
        let answer = curl(
            cluster.client().command("curl"),
            &["http://127.0.0.1:8000/status"],
        );
        let answer = answer.map_err(|error| error.to_string())?;
        let report: Report = serde_json::from_str(&answer.body)
            .map_err(|_| format!("{}: {}", answer.code, answer.body))?;
        match report.groups.as_slice() {
            [group] if group.value == leader => Ok(()),
            groups => Err(format!("{groups:?}")),
        }
    });
    Ok(waited.map_err(|error| format!("{error}\n{}", log.tail(20)))?)
}
