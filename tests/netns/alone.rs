//! One host with a real Consul and a real kernel, and daemons that a test starts there by itself.

use std::error::Error;
use std::process::Command;
use std::time::Duration;

use libtest_mimic::Failed;
use vip_lab::chain;
use vip_lab::cluster::{Cluster, Host, Setup};
use vip_lab::process::{Log, Process};
use vip_lab::time::until;

use crate::{DAEMON, LOCK_FLAG};

pub(crate) type Test = fn(&Cluster, &Host) -> Result<(), Box<dyn Error>>;

/// Longer than anything takes on a busy machine; nothing waits it out.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

const VIP: &str = "10.77.0.200";

pub(crate) fn run(test: Test) -> Result<(), Failed> {
    run_on(Setup::new(), test)
}

/// Runs a test on one host of a cluster that is not the usual one.
pub(crate) fn run_on(setup: Setup, test: Test) -> Result<(), Failed> {
    let cluster = setup.hosts(1).start().map_err(|error| chain(&error))?;
    let host = cluster.host("web1").map_err(|error| chain(&error))?;
    test(&cluster, host).map_err(|error| Failed::from(chain(error.as_ref())))
}

/// A daemon, and what it says.
pub(crate) struct Daemon {
    pub(crate) process: Process,
    pub(crate) log: Log,
}

pub(crate) fn command(host: &Host, program: &str, arguments: &[&str]) -> Command {
    let mut command = host.command(program);
    command
        .args(arguments)
        .arg("--addr=127.0.0.1:8500")
        .arg(format!(
            "--vip-manager-config={}",
            host.directory().join("vip-manager.yml").display()
        ));
    command
}

pub(crate) fn start(host: &Host, arguments: &[&str]) -> Result<Daemon, Box<dyn Error>> {
    let log = Log::default();
    let command = command(host, DAEMON, arguments);
    let process = Process::start(command, &log, &host.directory().join("daemon.log"))?;
    Ok(Daemon { process, log })
}

/// Starts a daemon and waits until it has the address. The lock is free at once, as after a clean
/// stop, so that no lock-delay is waited out first.
pub(crate) fn lead(host: &Host, arguments: &[&str]) -> Result<Daemon, Box<dyn Error>> {
    let free = format!("/v1/kv/service/demo/leader?flags={LOCK_FLAG}");
    host.agent().put(&free, "")?;
    let daemon = start(host, &[&["--manage-vip"], arguments].concat())?;
    until_up(host, true)?;
    // The kernel shows it before the log does, and tests count lines from here on.
    daemon.log.wait_for("address added", 0, LIMIT)?;
    Ok(daemon)
}

pub(crate) fn ends_with(daemon: &mut Daemon, code: i32) -> Result<(), Box<dyn Error>> {
    let status = daemon.process.wait(LIMIT)?;
    assert_eq!(status.code(), Some(code), "{}", daemon.log.tail(20));
    Ok(())
}

/// The lines of `ip -o address` that show the virtual IP.
pub(crate) fn shown(host: &Host) -> Result<Vec<String>, Box<dyn Error>> {
    let all = host.namespace().ip(&["-o", "address", "show"])?;
    Ok(all
        .lines()
        .filter(|line| line.contains(VIP))
        .map(str::to_owned)
        .collect())
}

pub(crate) fn until_up(host: &Host, up: bool) -> Result<(), Box<dyn Error>> {
    let what = if up {
        "the address to come up"
    } else {
        "the address to go"
    };
    Ok(until(what, LIMIT, || match shown(host) {
        Ok(lines) if lines.is_empty() != up => Ok(()),
        Ok(lines) => Err(format!("{lines:?}")),
        Err(error) => Err(error.to_string()),
    })?)
}
