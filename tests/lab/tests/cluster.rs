//! Applier: the cluster and its faults, without a daemon: each fault does what it says, and can be
//! undone.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use vip_lab::cluster::{Cluster, SETTLE_LIMIT, Setup};
use vip_lab::parts::Part;
use vip_lab::time::until;
use vip_lab::{chain, runner};

const LIMIT: Duration = Duration::from_secs(30);

type Test = fn(&mut Cluster) -> Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    let tests: [(&str, Test); 5] = [
        (
            "a_failed_check_is_critical_until_it_is_healed",
            check_failure,
        ),
        ("a_crashed_host_is_missed_until_it_has_rebooted", crash),
        (
            "a_partitioned_host_is_missed_until_it_is_reconnected",
            partition,
        ),
        ("a_killed_agent_is_missed_until_it_is_started", kill_consul),
        (
            "hosts_have_their_own_name_and_runtime_directory",
            own_things,
        ),
    ];
    let trials = tests.map(|(name, test)| Trial::test(name, move || run(test)));
    runner::main(&[Part::Consul], trials.into())
}

fn run(test: Test) -> Result<(), Failed> {
    let mut cluster = Setup::new().start().map_err(|error| chain(&error))?;
    test(&mut cluster).map_err(|error| chain(error.as_ref()).into())
}

fn check_failure(cluster: &mut Cluster) -> Result<(), Box<dyn Error>> {
    cluster.fail_check("web2")?;
    expect_check(cluster, "web2", "vip-http", "critical")?;
    cluster.heal_check("web2")?;
    Ok(cluster.wait_for_consul(SETTLE_LIMIT)?)
}

fn crash(cluster: &mut Cluster) -> Result<(), Box<dyn Error>> {
    let vip = format!("{}/32", cluster.vip());
    let host = cluster.host("web2")?;
    host.namespace()
        .ip(&["address", "add", &vip, "dev", "eth0"])?;
    // Neither in the host's process group nor a child of the lab.
    host.command("sh")
        .args(["-c", "setsid sleep 1000 &"])
        .spawn()?
        .wait()?;
    cluster.crash("web2")?;
    let ours = cluster.host("web2")?.namespace().inode()?;
    assert_eq!(processes_in(ours)?, 0);
    expect_check(cluster, "web2", "serfHealth", "critical")?;
    cluster.reboot("web2")?;
    cluster.wait_for_consul(SETTLE_LIMIT)?;
    Ok(cluster.wait_for_removal("web2", LIMIT)?)
}

fn partition(cluster: &mut Cluster) -> Result<(), Box<dyn Error>> {
    cluster.partition("web2")?;
    expect_check(cluster, "web2", "serfHealth", "critical")?;
    // It lives, and knows that it is alone.
    let agent = cluster.host("web2")?.agent();
    until("the lonely server to notice", LIMIT, || {
        match agent.get::<String>("/v1/status/leader") {
            Ok(leader) if leader.is_empty() => Ok(()),
            Ok(leader) => Err(format!("it believes in {leader}")),
            Err(error) => Err(chain(&error)),
        }
    })?;
    cluster.reconnect("web2")?;
    Ok(cluster.wait_for_consul(SETTLE_LIMIT)?)
}

fn kill_consul(cluster: &mut Cluster) -> Result<(), Box<dyn Error>> {
    cluster.kill_consul("web2")?;
    assert!(cluster.host("web2")?.agent().sessions().is_err());
    expect_check(cluster, "web2", "serfHealth", "critical")?;
    cluster.start_consul("web2")?;
    cluster.wait_for_consul(SETTLE_LIMIT)?;
    cluster.stop_consul("web3")?;
    cluster.start_consul("web3")?;
    Ok(cluster.wait_for_consul(SETTLE_LIMIT)?)
}

fn own_things(cluster: &mut Cluster) -> Result<(), Box<dyn Error>> {
    for host in cluster.hosts() {
        let script = "uname -n > /run/vip-elector/name";
        assert!(host.command("sh").args(["-c", script]).status()?.success());
    }
    for host in cluster.hosts() {
        let name = std::fs::read_to_string(host.directory().join("run/name"))?;
        assert_eq!(name.trim(), host.name());
    }
    Ok(())
}

/// Waits until the others see a check of `host` in a state.
fn expect_check(
    cluster: &Cluster,
    host: &str,
    id: &str,
    state: &str,
) -> Result<(), Box<dyn Error>> {
    let agent = cluster
        .others(host)
        .next()
        .ok_or("there is no other host")?
        .agent();
    let path = format!("/v1/health/node/{host}");
    until(&format!("{id} of {host} to be {state}"), LIMIT, || {
        let checks: Vec<serde_json::Value> = agent.get(&path).map_err(|error| chain(&error))?;
        let check = checks.iter().find(|check| check["CheckID"] == id);
        let found = check
            .map(|check| check["Status"].clone())
            .unwrap_or_default();
        if found == state {
            Ok(())
        } else {
            Err(format!("it is {found}"))
        }
    })?;
    Ok(())
}

fn processes_in(inode: u64) -> Result<usize, Box<dyn Error>> {
    use std::os::unix::fs::MetadataExt;
    let is_inside = |entry: &std::fs::DirEntry| {
        std::fs::metadata(entry.path().join("ns/net")).is_ok_and(|data| data.ino() == inode)
    };
    Ok(std::fs::read_dir("/proc")?
        .filter_map(Result::ok)
        .filter(is_inside)
        .count())
}
