//! Applier: the cluster and its faults, without a daemon: each fault does what it says, and can be
//! undone.

use std::error::Error;
use std::net::IpAddr;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use vip_lab::clock::Clock;
use vip_lab::cluster::Error::Impossible;
use vip_lab::cluster::{Cluster, Group, Program, SETTLE_LIMIT, Setup};
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
    let alone: [(&str, Test); 3] = [
        (
            "a_supervisor_starts_what_died_and_not_what_was_stopped",
            supervisor,
        ),
        ("a_full_runtime_directory_takes_nothing", full_disk),
        ("a_clock_is_stepped_for_one_host", stepped_clock),
    ];
    let mut trials: Vec<Trial> = tests
        .map(|(name, test)| Trial::test(name, move || run(test)))
        .into();
    trials.extend(alone.map(|(name, test)| Trial::test(name, move || run_alone(test))));
    trials.push(Trial::test(
        "of_many_addresses_the_one_on_two_hosts_is_told",
        || many_groups().map_err(|error| chain(error.as_ref()).into()),
    ));
    runner::main(&[Part::Consul], trials)
}

fn run(test: Test) -> Result<(), Failed> {
    let mut cluster = Setup::new().start().map_err(|error| chain(&error))?;
    test(&mut cluster).map_err(|error| chain(error.as_ref()).into())
}

/// One host, and a program that can die.
fn run_alone(test: Test) -> Result<(), Failed> {
    let mut cluster = Setup::new()
        .hosts(1)
        .daemon(Program::new("sleep").args(["1000"]))
        .supervised(Duration::from_millis(200))
        .start()
        .map_err(|error| chain(&error))?;
    test(&mut cluster).map_err(|error| chain(error.as_ref()).into())
}

/// Addresses of both families, given to hosts by hand.
fn many_groups() -> Result<(), Box<dyn Error>> {
    let cluster = Setup::new().hosts(2).groups(4).start()?;
    let start = Instant::now();
    let give = |host: &str, group: &Group| -> Result<(), Box<dyn Error>> {
        let address = group.address().to_string();
        let host = cluster.host(host)?;
        assert!(std::fs::read_to_string(host.directory().join(group.file()))?.contains(&address));
        let command = ["address", "add", &address, "dev", "eth0", "nodad"];
        host.namespace().ip(&command)?;
        Ok(())
    };
    for group in cluster.groups() {
        give("web1", group)?;
    }
    let asked: Vec<IpAddr> = cluster.probes().map(|(address, _)| address).collect();
    let all: Vec<IpAddr> = cluster.groups().iter().map(Group::address).collect();
    assert_eq!(asked, all);
    cluster.wait_for_answers(Instant::now(), LIMIT)?;
    for (address, probe) in cluster.probes() {
        assert_eq!(probe.now().as_deref(), Some("web1"), "{address}");
    }
    assert_eq!(cluster.overlaps(start..Instant::now())?, []);
    let twice = &cluster.groups()[1];
    give("web2", twice)?;
    until("two hosts to have it", LIMIT, || {
        match &*cluster.addresses().holders(twice.address()) {
            [_, _] => Ok(()),
            holders => Err(format!("{holders:?}")),
        }
    })?;
    let overlaps = cluster.overlaps(start..Instant::now())?;
    let [(address, time)] = overlaps[..] else {
        return Err(format!("{overlaps:?}").into());
    };
    assert!(address == twice.address() && address.is_ipv6() && !time.is_zero());
    assert_eq!(cluster.overlap(start..start)?, Duration::ZERO);
    Ok(())
}

fn supervisor(cluster: &mut Cluster) -> Result<(), Box<dyn Error>> {
    for restarts in 1..=2 {
        let old = cluster.host("web1")?.daemon().id();
        cluster.strike_daemon("web1")?;
        let daemon = cluster.host("web1")?.daemon();
        until("another life", LIMIT, || match daemon.restarts() {
            found if found == restarts => Ok(()),
            found => Err(format!("it was started again {found} times")),
        })?;
        assert!(daemon.id().is_some() && daemon.id() != old);
    }
    cluster.kill_daemon("web1")?;
    // Longer than the supervisor would take.
    std::thread::sleep(Duration::from_millis(400));
    let daemon = cluster.host("web1")?.daemon();
    assert_eq!((daemon.id(), daemon.restarts()), (None, 2));
    cluster.start_daemon("web1")?;
    assert!(cluster.host("web1")?.daemon().id().is_some());
    Ok(())
}

fn full_disk(cluster: &mut Cluster) -> Result<(), Box<dyn Error>> {
    let write = |cluster: &Cluster| -> Result<bool, Box<dyn Error>> {
        let script = "echo x > /run/vip-elector/file";
        let mut command = cluster.host("web1")?.command("sh");
        command.args(["-c", script]).stderr(Stdio::null());
        Ok(command.status()?.success())
    };
    assert!(write(cluster)?);
    cluster.fill_disk("web1")?;
    // What was there has its room already.
    std::fs::remove_file(cluster.host("web1")?.directory().join("run/file"))?;
    cluster.fill_disk("web1")?;
    assert!(!write(cluster)?);
    cluster.empty_disk("web1")?;
    assert!(write(cluster)?);
    Ok(())
}

fn stepped_clock(cluster: &mut Cluster) -> Result<(), Box<dyn Error>> {
    // This one was started without the library.
    let refused = cluster.step_clock("web1", 3600);
    assert!(matches!(refused, Err(Impossible(_))), "{refused:?}");
    let host = cluster.host("web1")?;
    let clock = Clock::build(host.directory())?;
    let file = host.directory().join("clock");
    let now = || -> Result<i64, Box<dyn Error>> {
        let mut command = host.command("date");
        command.envs(clock.environment(&file.display().to_string()));
        let output = command.arg("+%s").output()?;
        Ok(String::from_utf8(output.stdout)?.trim().parse()?)
    };
    let before = now()?;
    std::fs::write(&file, 3600_i64.to_ne_bytes())?;
    let after = now()?;
    assert!((3600..3660).contains(&(after - before)), "{before} {after}");
    Ok(())
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
