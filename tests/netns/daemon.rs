//! One host with a real Consul and a real kernel: what the daemon does to the address, to the key,
//! and to its operator.

use std::error::Error;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use vip_lab::cluster::{Cluster, Host};
use vip_lab::process::{Log, Process};
use vip_lab::time::until;

use crate::alone::{LIMIT, Test, command, ends_with, lead, run, shown, start, until_up};
use crate::{DAEMON, LOCK_FLAG};

pub(crate) fn trials() -> Vec<Trial> {
    let tests: [(&str, Test); 15] = [
        (
            "a_missing_capability_is_named_before_consul_is_touched",
            missing_capability,
        ),
        (
            "bad_input_is_refused_all_at_once_and_nothing_is_touched",
            bad_input,
        ),
        (
            "check_config_prints_the_result_and_touches_nothing",
            check_config,
        ),
        ("a_key_that_is_no_lock_is_refused", not_a_lock),
        ("an_address_of_somebody_else_is_left_alone", foreign_address),
        (
            "the_leftover_of_a_killed_process_is_taken_off_first",
            leftover,
        ),
        ("an_address_that_somebody_removes_is_put_back", put_back),
        ("the_interfaces_last_address_is_removed_too", last_address),
        (
            "an_interface_that_goes_down_costs_the_lock_until_it_is_back",
            interface_down,
        ),
        ("an_interface_that_is_gone_is_waited_for", interface_gone),
        (
            "an_address_on_a_renamed_interface_is_taken_off_there",
            interface_renamed,
        ),
        ("a_key_that_somebody_writes_over_is_set_right", overwritten),
        ("a_key_that_somebody_deletes_costs_a_lock_delay", deleted),
        (
            "a_consul_that_falls_silent_costs_the_address_and_comes_back",
            silent_consul,
        ),
        ("a_second_signal_ends_it_at_once", second_signal),
    ];
    tests
        .map(|(name, test)| Trial::test(name, move || run(test)))
        .into()
}

fn output(mut command: Command) -> Result<(Output, String), Box<dyn Error>> {
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok((output, said))
}

fn nothing_is_touched(cluster: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    assert_eq!(host.agent().sessions()?, []);
    assert_eq!(host.agent().key(cluster.key())?, None);
    assert_eq!(shown(host)?, Vec::<String>::new());
    Ok(())
}

fn missing_capability(cluster: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    let without = ["--bounding-set=-net_admin,-net_raw", DAEMON, "--manage-vip"];
    let (output, said) = output(command(host, "setpriv", &without))?;
    assert_eq!(output.status.code(), Some(77), "{said}");
    assert!(said.contains("CAP_NET_ADMIN and CAP_NET_RAW"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    nothing_is_touched(cluster, host)
}

fn bad_input(cluster: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    let file = host.directory().join("bad.yml");
    std::fs::write(
        &file,
        "dcs-type: etcd\ndcs-endpoints: []\nip: 10.77.0.300\nnetmask: 255.255.255.0\ninterface: eth7\n",
    )?;
    let mut command = host.command(DAEMON);
    command.arg(format!("--vip-manager-config={}", file.display()));
    command.args([
        "--manage-vip",
        "--ttl=9s",
        "--lock-delay=61s",
        "--token-file=/nowhere",
    ]);
    let (output, said) = output(command)?;
    assert_eq!(output.status.code(), Some(64), "{said}");
    let wrong = [
        "dcs-type",
        "dcs-endpoints",
        "10.77.0.300",
        "255.255.255.0",
        "eth7",
        "9s",
        "61s",
        "/nowhere",
        "trigger-key",
    ];
    for wrong in wrong {
        assert!(said.contains(wrong), "{wrong} is not in:\n{said}");
    }
    nothing_is_touched(cluster, host)
}

fn check_config(cluster: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    let (output, said) = output(command(host, DAEMON, &["check-config", "--manage-vip"]))?;
    assert_eq!(output.status.code(), Some(0), "{said}");
    let printed = String::from_utf8(output.stdout)?;
    for value in [
        "10.77.0.200",
        "eth0",
        "service/demo/leader",
        "vip-manager.yml line 4",
        "3s",
    ] {
        assert!(printed.contains(value), "{value} is not in:\n{printed}");
    }
    nothing_is_touched(cluster, host)
}

fn not_a_lock(cluster: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    host.agent()
        .put(&format!("/v1/kv/{}", cluster.key()), "settings")?;
    let mut daemon = start(host, &["--manage-vip"])?;
    ends_with(&mut daemon, 1)?;
    let said = daemon.log.tail(20);
    let words = "trigger-key pre-flight check failed: existing key at 'service/demo/leader' is a \
                 regular KV entry (Flags=0), not a lock key (expected Flags=3304740253564472344)";
    for words in [
        words,
        "consul kv delete service/demo/leader",
        "restart",
        "consul kv put",
    ] {
        assert!(said.contains(words), "{words} is not in:\n{said}");
    }
    assert_eq!(host.agent().sessions()?, []);
    let key = host.agent().key(cluster.key())?.ok_or("the key is gone")?;
    assert_eq!(key.value.as_deref(), Some("settings"));
    Ok(())
}

fn foreign_address(cluster: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    host.namespace()
        .ip(&["address", "add", "10.77.0.200/24", "dev", "eth0"])?;
    let mut daemon = start(host, &["--manage-vip", "--lock-delay=1s"])?;
    daemon
        .log
        .wait_for("this host cannot hold the address", 0, LIMIT)?;
    daemon
        .log
        .wait_for("remove it, or stop what adds it", 0, LIMIT)?;
    daemon.log.wait_for("standing by", 0, LIMIT)?;
    // Nobody else is here, so the lock stays free: with the address gone, it is taken.
    let shown_before = shown(host)?;
    assert!(shown_before[0].contains("10.77.0.200/24") && shown_before[0].contains("forever"));
    let free = host
        .agent()
        .key(cluster.key())?
        .is_none_or(|key| key.session.is_none());
    assert!(free, "it leads without being able to hold the address");
    host.namespace()
        .ip(&["address", "del", "10.77.0.200/24", "dev", "eth0"])?;
    daemon.log.wait_for("*** LOCK ACQUIRED ***", 0, LIMIT)?;
    until_up(host, true)?;
    daemon.process.signal(Signal::SIGTERM)?;
    ends_with(&mut daemon, 0)
}

fn leftover(_: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    // The kernel would keep it for 15 s.
    let mut daemon = lead(host, &["--lock-delay=20s", "--ttl=20s"])?;
    daemon.process.signal(Signal::SIGKILL)?;
    let _ = daemon.process.wait(LIMIT)?;
    assert_eq!(shown(host)?.len(), 1, "the kernel keeps it for a while");
    // Consul is out of reach: what happens now does not wait for it.
    host.namespace().ip(&["link", "set", "lo", "down"])?;
    let killed = Instant::now();
    let next = start(host, &["--manage-vip"])?;
    next.log.wait_for("address removed", 0, LIMIT)?;
    assert_eq!(shown(host)?, Vec::<String>::new());
    assert!(
        killed.elapsed() < Duration::from_secs(10),
        "the kernel may have done it"
    );
    Ok(())
}

fn put_back(_: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    let daemon = lead(host, &["--lock-delay=20s", "--ttl=20s"])?;
    let mark = daemon.log.len();
    host.namespace()
        .ip(&["address", "del", "10.77.0.200/32", "dev", "eth0"])?;
    let removed = Instant::now();
    daemon.log.wait_for("address added", mark, LIMIT)?;
    until_up(host, true)?;
    // The next confirm, which would find it missing as well, is 2.5 s away at the most.
    assert!(
        removed.elapsed() < Duration::from_secs(1),
        "{:?}",
        removed.elapsed()
    );
    Ok(())
}

fn last_address(_: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    host.namespace().ip(&["address", "flush", "dev", "eth0"])?;
    let mut daemon = lead(host, &[])?;
    // Nothing else covers it here, so it has the configured prefix length.
    assert!(
        shown(host)?[0].contains("10.77.0.200/24"),
        "{:?}",
        shown(host)?
    );
    daemon.process.signal(Signal::SIGTERM)?;
    ends_with(&mut daemon, 0)?;
    assert_eq!(shown(host)?, Vec::<String>::new());
    Ok(())
}

fn interface_down(cluster: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    let daemon = lead(host, &["--lock-delay=1s"])?;
    let mark = daemon.log.len();
    host.namespace().ip(&["link", "set", "eth0", "down"])?;
    daemon.log.wait_for("*** LOCK LOST ***", mark, LIMIT)?;
    until_up(host, false)?;
    until("the lock to be given up", LIMIT, || {
        match host.agent().key(cluster.key()) {
            Ok(Some(key)) if key.session.is_none() && key.value.is_none() => Ok(()),
            key => Err(format!("{key:?}")),
        }
    })?;
    let mark = daemon.log.len();
    host.namespace().ip(&["link", "set", "eth0", "up"])?;
    daemon.log.wait_for("*** LOCK ACQUIRED ***", mark, LIMIT)?;
    until_up(host, true)
}

fn interface_gone(_: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    host.namespace().ip(&[
        "link", "add", "eth9", "type", "veth", "peer", "name", "eth8",
    ])?;
    host.namespace().ip(&["link", "set", "eth9", "up"])?;
    host.namespace().ip(&["link", "set", "eth8", "up"])?;
    let file = host.directory().join("eth9.yml");
    let text = std::fs::read_to_string(host.directory().join("vip-manager.yml"))?;
    std::fs::write(&file, text.replace("eth0", "eth9"))?;
    let mut command = host.command(DAEMON);
    command
        .args(["--manage-vip", "--lock-delay=1s", "--vip-manager-config"])
        .arg(&file);
    let log = Log::default();
    let _process = Process::start(command, &log, &host.directory().join("daemon.log"))?;
    until_up(host, true)?;
    let mark = log.len();
    host.namespace().ip(&["link", "del", "eth9"])?;
    log.wait_for("the interface does not exist", mark, LIMIT)?;
    log.wait_for("*** LOCK LOST ***", mark, LIMIT)?;
    host.namespace().ip(&[
        "link", "add", "eth9", "type", "veth", "peer", "name", "eth8",
    ])?;
    host.namespace().ip(&["link", "set", "eth9", "up"])?;
    host.namespace().ip(&["link", "set", "eth8", "up"])?;
    until_up(host, true)
}

fn interface_renamed(cluster: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    let daemon = lead(host, &["--lock-delay=20s", "--ttl=20s"])?;
    let mark = daemon.log.len();
    // The kernel would keep it for 15 s, and the lock is given up cleanly.
    host.namespace().ip(&["link", "set", "eth0", "down"])?;
    daemon.log.wait_for("address removed", mark, LIMIT)?;
    let mark = daemon.log.len();
    host.namespace().ip(&["link", "set", "eth0", "up"])?;
    daemon.log.wait_for("address added", mark, LIMIT)?;
    let mark = daemon.log.len();
    host.namespace()
        .ip(&["link", "set", "eth0", "name", "lan0"])?;
    daemon.log.wait_for("address removed", mark, LIMIT)?;
    assert_eq!(shown(host)?, Vec::<String>::new());
    daemon
        .log
        .wait_for("the interface does not exist", mark, LIMIT)?;
    until("the lock to be given up", LIMIT, || {
        match host.agent().key(cluster.key()) {
            Ok(Some(key)) if key.session.is_none() && key.value.is_none() => Ok(()),
            key => Err(format!("{key:?}")),
        }
    })?;
    Ok(())
}

fn overwritten(cluster: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    let daemon = lead(host, &["--lock-delay=1s"])?;
    let mark = daemon.log.len();
    host.agent()
        .put(&format!("/v1/kv/{}", cluster.key()), "vandal")?;
    daemon
        .log
        .wait_for("somebody wrote over the trigger key", mark, LIMIT)?;
    until("the key to be set right", LIMIT, || {
        match host.agent().key(cluster.key()) {
            Ok(Some(key)) if key.value.as_deref() == Some("web1") && key.flags == LOCK_FLAG => {
                Ok(())
            }
            key => Err(format!("{key:?}")),
        }
    })?;
    let lost = daemon
        .log
        .read(|lines| lines.iter().any(|line| line.text.contains("LOCK LOST")));
    assert!(!lost, "the lock was ours all the time");
    Ok(())
}

fn deleted(cluster: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    let daemon = lead(host, &["--lock-delay=3s"])?;
    let mark = daemon.log.len();
    let delete = [serde_json::json!({ "KV": { "Verb": "delete", "Key": cluster.key() } })];
    let deleted_at = Instant::now();
    host.agent()
        .put("/v1/txn", &serde_json::to_string(&delete)?)?;
    daemon
        .log
        .wait_for("the trigger key is gone", mark, LIMIT)?;
    until_up(host, false)?;
    let again = daemon.log.wait_for("*** LOCK ACQUIRED ***", mark, LIMIT)?;
    let waited = again.at - deleted_at;
    assert!(
        waited >= Duration::from_secs(3),
        "taken again after {waited:?}"
    );
    until_up(host, true)
}

fn silent_consul(cluster: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    // The check would end the session that is to be gone on with.
    let daemon = lead(host, &["--lock-delay=3s", "--liveness-ttl=0s"])?;
    let session = host.agent().key(cluster.key())?.and_then(|key| key.session);
    let mark = daemon.log.len();
    host.namespace().ip(&["link", "set", "lo", "down"])?;
    let cut = Instant::now();
    until_up(host, false)?;
    let gone = cut.elapsed();
    let lost = daemon.log.wait_for("*** LOCK LOST ***", mark, LIMIT)?;
    assert!(lost.text.contains("the lease ran out"), "{}", lost.text);
    host.namespace().ip(&["link", "set", "lo", "up"])?;
    daemon.log.wait_for("*** LOCK ACQUIRED ***", mark, LIMIT)?;
    until_up(host, true)?;
    let now = host.agent().key(cluster.key())?.and_then(|key| key.session);
    assert_eq!(
        session, now,
        "the session outlived the silence, so the same one leads on"
    );
    // The lease is 3 s less its margin; the rest is this machine.
    assert!(
        gone < Duration::from_secs(5),
        "the address went after {gone:?}"
    );
    let troubles = daemon.log.read(|lines| {
        let says = |line: &&vip_lab::process::Line| line.text.contains("trying again");
        lines.iter().skip(mark).filter(says).count()
    });
    assert_eq!(
        troubles,
        1,
        "one line a change of state:\n{}",
        daemon.log.tail(20)
    );
    Ok(())
}

fn second_signal(_: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    let mut daemon = lead(host, &["--lock-delay=20s", "--ttl=20s"])?;
    // Nothing that is sent is answered, so giving the session up takes its time.
    let consul = host.consul();
    consul.signal(Signal::SIGSTOP)?;
    daemon.process.signal(Signal::SIGTERM)?;
    daemon.log.wait_for("address removed", 0, LIMIT)?;
    assert_eq!(
        shown(host)?,
        Vec::<String>::new(),
        "the address does not wait for consul"
    );
    daemon.process.signal(Signal::SIGINT)?;
    let signalled = Instant::now();
    ends_with(&mut daemon, 1)?;
    assert!(
        signalled.elapsed() < Duration::from_millis(900),
        "{:?}",
        signalled.elapsed()
    );
    Ok(())
}
