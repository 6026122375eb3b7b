//! What a daemon leaves in the runtime directory, and what the next one makes of it.

use std::error::Error;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use serde_json::Value;
use vip_lab::cluster::{Cluster, Host};
use vip_lab::time::until;
use vip_lab::witness::Change;

use crate::LOCK_FLAG;
use crate::alone::{Daemon, LIMIT, Test, ends_with, lead, run, shown, start, until_up};

/// The session lives on for at least its TTL, and the address for 15 s: nothing here waits for either.
const LONG: [&str; 3] = ["--manage-vip", "--lock-delay=20s", "--ttl=20s"];

const SHORT: [&str; 3] = ["--manage-vip", "--lock-delay=3s", "--ttl=20s"];

pub(crate) fn trials() -> Vec<Trial> {
    let tests: [(&str, Test); 11] = [
        ("a_killed_leader_leads_on_with_its_session", adopted),
        (
            "a_killed_standby_stands_by_with_its_session",
            standby_adopted,
        ),
        ("a_dead_session_is_not_adopted", dead),
        ("a_session_of_somebody_else_is_not_adopted", foreign),
        ("a_session_of_another_boot_is_destroyed", other_boot),
        ("a_spent_session_is_destroyed", spent),
        ("a_session_on_other_terms_is_destroyed", other_terms),
        (
            "an_address_on_the_interface_of_an_earlier_configuration_is_taken_off",
            other_interface,
        ),
        ("a_garbled_record_is_no_record", garbage),
        ("a_second_daemon_for_the_group_is_refused", second),
        (
            "without_a_kernel_lease_the_address_has_no_lifetime_and_the_daemon_ends_it",
            no_kernel_lease,
        ),
    ];
    tests
        .map(|(name, test)| Trial::test(name, move || run(test)))
        .into()
}

fn record(host: &Host) -> PathBuf {
    host.directory().join("run/service_2fdemo_2fleader.session")
}

fn kill(daemon: &mut Daemon) -> Result<(), Box<dyn Error>> {
    daemon.process.signal(Signal::SIGKILL)?;
    daemon.process.wait(LIMIT)?;
    Ok(())
}

/// Rewrites a part of the record.
fn rewrite(host: &Host, change: fn(&mut Value)) -> Result<(), Box<dyn Error>> {
    let mut value: Value = serde_json::from_slice(&fs::read(record(host))?)?;
    change(&mut value);
    fs::write(record(host), value.to_string())?;
    Ok(())
}

fn holder(cluster: &Cluster, host: &Host) -> Result<Option<String>, Box<dyn Error>> {
    Ok(host.agent().key(cluster.key())?.and_then(|key| key.session))
}

fn sessions(host: &Host) -> Result<Vec<String>, Box<dyn Error>> {
    let sessions = host.agent().sessions()?;
    Ok(sessions.into_iter().map(|session| session.id).collect())
}

/// Waits until exactly one session lives, and returns it.
fn only_session(host: &Host) -> Result<String, Box<dyn Error>> {
    Ok(until("one session to be left", LIMIT, || {
        match sessions(host) {
            Ok(ids) if ids.len() == 1 => Ok(ids.concat()),
            Ok(ids) => Err(format!("{ids:?}")),
            Err(error) => Err(error.to_string()),
        }
    })?)
}

/// How often the address has come and gone, by the kernel's own events.
fn changes(cluster: &Cluster) -> Result<Vec<Change>, Box<dyn Error>> {
    let events = cluster.addresses().events()?;
    let ours = events.iter().filter(|event| event.address == cluster.vip());
    Ok(ours.map(|event| event.change).collect())
}

/// Makes a session that no daemon knows of.
fn somebody_else(host: &Host) -> Result<String, Box<dyn Error>> {
    let body = r#"{"Name":"somebody else"}"#;
    let made: Value = serde_json::from_str(&host.agent().put("/v1/session/create", body)?)?;
    Ok(made["ID"].as_str().ok_or("no id")?.to_owned())
}

/// The path that takes the lock with a session.
fn acquire(cluster: &Cluster, session: &str) -> String {
    let key = cluster.key();
    format!("/v1/kv/{key}?acquire={session}&flags={LOCK_FLAG}")
}

fn adopted(cluster: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    let mut daemon = lead(host, &LONG)?;
    let session = holder(cluster, host)?.ok_or("no holder")?;
    let text = fs::read_to_string(record(host))?;
    assert!(text.contains(&session), "{text}");
    let mode = fs::metadata(record(host))?.permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    kill(&mut daemon)?;
    let next = start(host, &LONG)?;
    next.log.wait_for("went on with the session", 0, LIMIT)?;
    next.log.wait_for("*** LOCK ACQUIRED ***", 0, LIMIT)?;
    let said = next.log.tail(100);
    assert!(!said.contains("not to be had"), "{said}");
    assert_eq!(holder(cluster, host)?, Some(session.clone()));
    assert_eq!(sessions(host)?, [session]);
    assert_eq!(shown(host)?.len(), 1);
    assert_eq!(changes(cluster)?, [Change::Appeared], "it never left");
    Ok(())
}

fn standby_adopted(cluster: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    let other = &somebody_else(host)?;
    let path = acquire(cluster, other);
    host.agent().put(&path, "web9")?;
    let mut daemon = start(host, &LONG)?;
    daemon.log.wait_for("standing by", 0, LIMIT)?;
    let before = sessions(host)?;
    kill(&mut daemon)?;
    let mut next = start(host, &LONG)?;
    next.log.wait_for("went on with the session", 0, LIMIT)?;
    assert_eq!(sessions(host)?, before);
    assert_eq!(holder(cluster, host)?.as_ref(), Some(other));
    assert_eq!(shown(host)?, Vec::<String>::new());
    next.process.signal(Signal::SIGTERM)?;
    ends_with(&mut next, 0)?;
    assert_eq!(
        sessions(host)?,
        [other.as_str()],
        "given back like one of its own"
    );
    assert!(!record(host).exists(), "and forgotten");
    Ok(())
}

fn dead(cluster: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    let mut daemon = lead(host, &SHORT)?;
    let old = holder(cluster, host)?.ok_or("no holder")?;
    kill(&mut daemon)?;
    host.agent()
        .put(&format!("/v1/session/destroy/{old}"), "")?;
    let next = start(host, &SHORT)?;
    next.log.wait_for("not to be had", 0, LIMIT)?;
    next.log.wait_for("*** LOCK ACQUIRED ***", 0, LIMIT)?;
    until_up(host, true)?;
    assert_ne!(only_session(host)?, old);
    Ok(())
}

fn foreign(cluster: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    let other = &somebody_else(host)?;
    let mut daemon = lead(host, &SHORT)?;
    let own = holder(cluster, host)?.ok_or("no holder")?;
    kill(&mut daemon)?;
    let text = fs::read_to_string(record(host))?;
    fs::write(record(host), text.replace(&own, other))?;
    // The lock is somebody else's now, and so is the session that the record names.
    host.agent()
        .put(&format!("/v1/session/destroy/{own}"), "")?;
    let free = format!("/v1/kv/{}?flags={LOCK_FLAG}", cluster.key());
    host.agent().put(&free, "")?;
    let path = acquire(cluster, other);
    until("somebody else to get the lock", LIMIT, || {
        match host.agent().put(&path, "web9") {
            Ok(said) if said.trim() == "true" => Ok(()),
            said => Err(format!("{said:?}")),
        }
    })?;
    let next = start(host, &SHORT)?;
    next.log.wait_for("standing by", 0, LIMIT)?;
    until_up(host, false)?;
    let now = sessions(host)?;
    assert!(now.iter().any(|id| id == other), "left alone: {now:?}");
    assert_eq!(now.len(), 2, "its own beside it: {now:?}");
    assert!(
        next.log
            .wait_for("ACQUIRED", 0, Duration::from_millis(1))
            .is_err()
    );
    Ok(())
}

fn other_boot(cluster: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    destroyed(cluster, host, &LONG, |record| {
        record["boot_id"] = "00000000-0000-0000-0000-000000000000".into();
    })
}

fn spent(cluster: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    destroyed(cluster, host, &LONG, |record| record["spent"] = true.into())
}

fn other_terms(cluster: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    destroyed(cluster, host, &SHORT, |_| {})
}

fn other_interface(_: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    let mut daemon = lead(host, &LONG)?;
    kill(&mut daemon)?;
    let killed = Instant::now();
    let pair = ["type", "veth", "peer", "name", "other1"];
    host.namespace()
        .ip(&[&["link", "add", "other0"], &pair[..]].concat())?;
    let file = host.directory().join("vip-manager.yml");
    let text = fs::read_to_string(&file)?;
    fs::write(&file, text.replace("interface: eth0", "interface: other0"))?;
    let next = start(host, &LONG)?;
    next.log.wait_for("address removed", 0, LIMIT)?;
    assert_eq!(shown(host)?, Vec::<String>::new());
    let after = killed.elapsed();
    assert!(
        after < Duration::from_secs(10),
        "{after:?}: the kernel may have done it"
    );
    Ok(())
}

/// The old session goes at once, long before its TTL, and its address with it; nothing is left of
/// either.
fn destroyed(
    cluster: &Cluster,
    host: &Host,
    terms: &[&str],
    change: fn(&mut Value),
) -> Result<(), Box<dyn Error>> {
    let mut daemon = lead(host, &LONG)?;
    let old = holder(cluster, host)?.ok_or("no holder")?;
    kill(&mut daemon)?;
    rewrite(host, change)?;
    let next = start(host, terms)?;
    let joined = next.log.wait_for("session created", 0, LIMIT)?;
    assert!(!joined.text.contains(&old), "{}", joined.text);
    assert_ne!(only_session(host)?, old);
    assert_eq!(
        changes(cluster)?,
        [Change::Appeared, Change::Gone],
        "taken off, and not yet put back: the old lock-delay is not over"
    );
    Ok(())
}

fn garbage(cluster: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    let mut daemon = lead(host, &LONG)?;
    let old = holder(cluster, host)?.ok_or("no holder")?;
    kill(&mut daemon)?;
    fs::write(record(host), b"\x00\xff{\"session\":")?;
    let next = start(host, &LONG)?;
    next.log.wait_for("session created", 0, LIMIT)?;
    until_up(host, false)?;
    let now = sessions(host)?;
    assert!(now.contains(&old) && now.len() == 2, "{now:?}");
    let text = fs::read_to_string(record(host))?;
    assert!(
        now.iter().any(|id| text.contains(id)),
        "written anew: {text}"
    );
    Ok(())
}

fn second(cluster: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    let mut first = lead(host, &LONG)?;
    let session = holder(cluster, host)?;
    let mut second = start(host, &LONG)?;
    ends_with(&mut second, 1)?;
    let pid = first.process.id();
    let said = second.log.tail(20);
    let expected = format!(
        "another vip-elector (process {pid}) already runs for trigger key 'service/demo/leader' on \
         this host; stop that one first"
    );
    assert!(said.contains(&expected), "{said}");
    // Also while the first is frozen: it may go on at any time.
    first.process.signal(Signal::SIGSTOP)?;
    let mut third = start(host, &LONG)?;
    ends_with(&mut third, 1)?;
    first.process.signal(Signal::SIGCONT)?;
    assert_eq!(changes(cluster)?, [Change::Appeared]);
    assert_eq!(holder(cluster, host)?, session);
    first.process.signal(Signal::SIGTERM)?;
    ends_with(&mut first, 0)?;
    lead(host, &LONG)?;
    Ok(())
}

fn no_kernel_lease(_: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    let daemon = lead(host, &["--lock-delay=3s", "--kernel-lease=off"])?;
    let show = &shown(host)?[0];
    assert!(show.contains("valid_lft forever"), "{show}");
    daemon.log.wait_for("kernel-lease", 0, LIMIT)?;
    host.namespace().ip(&["link", "set", "lo", "down"])?;
    let cut = Instant::now();
    daemon.log.wait_for("address removed", 0, LIMIT)?;
    assert_eq!(shown(host)?, Vec::<String>::new());
    // The lease is 3 s less its margin; the rest is this machine.
    let gone = cut.elapsed();
    assert!(gone < Duration::from_secs(5), "{gone:?}");
    Ok(())
}
