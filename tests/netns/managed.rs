//! `--manage-vip`: another host takes over after every fault, and never do two have the address.

use std::error::Error;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use vip_lab::cluster::{Cluster, Fault, Program, Setup};
use vip_lab::drill;
use vip_lab::time::until;

use crate::{DAEMON, LOCK_FLAG};

type Test = fn(&mut Cluster, &str) -> Result<(), Box<dyn Error>>;

pub(crate) fn trials() -> Vec<Trial> {
    let tests: [(&str, u8, Test); 7] = [
        ("another_host_takes_over_after_a_stop", 3, |c, l| {
            takeover(c, l, Fault::Stop)
        }),
        (
            "another_host_takes_over_after_a_check_failure",
            3,
            |c, l| takeover(c, l, Fault::CheckFailure),
        ),
        ("another_host_takes_over_after_a_kill", 3, |c, l| {
            takeover(c, l, Fault::Kill)
        }),
        ("another_host_takes_over_after_a_crash", 3, |c, l| {
            takeover(c, l, Fault::Crash)
        }),
        ("another_host_takes_over_after_a_partition", 3, |c, l| {
            takeover(c, l, Fault::Partition)
        }),
        ("a_critical_check_ends_the_session", 3, critical_check),
        (
            "a_stop_leaves_an_empty_lock_and_nothing_else",
            1,
            clean_stop,
        ),
    ];
    tests
        .map(|(name, hosts, test)| Trial::test(name, move || run(hosts, test)))
        .into()
}

fn run(hosts: u8, test: Test) -> Result<(), Failed> {
    let setup = Setup::new().hosts(hosts).daemon(Program::manager(DAEMON));
    setup.run(test).map_err(Failed::from)
}

fn takeover(cluster: &mut Cluster, leader: &str, fault: Fault) -> Result<(), Box<dyn Error>> {
    let outcome = drill::run(cluster, fault, leader, |_| {})?;
    if outcome.is_good() {
        Ok(())
    } else {
        Err(format!("{outcome:?}").into())
    }
}

fn critical_check(cluster: &mut Cluster, leader: &str) -> Result<(), Box<dyn Error>> {
    let (agent, key) = (cluster.host(leader)?.agent(), cluster.key().to_owned());
    let session = agent
        .key(&key)?
        .and_then(|key| key.session)
        .ok_or("nobody holds the lock")?;
    let start = Instant::now();
    cluster.fail_check(leader)?;
    let limit = Fault::CheckFailure.limit();
    until("the session to end", limit, || match agent.sessions() {
        Ok(sessions) if sessions.iter().all(|other| other.id != session) => Ok(()),
        Ok(_) => Err("it is still there".to_owned()),
        Err(error) => Err(error.to_string()),
    })?;
    cluster.wait_for_removal(leader, limit)?;
    cluster.wait_for_successor(start, leader, limit)?;
    // Consul would rather not give the lock to anybody who is unwell.
    let value = agent
        .key(&key)?
        .and_then(|key| key.value)
        .ok_or("the key has no value")?;
    assert_ne!(value, leader);
    assert_eq!(cluster.overlap(start..Instant::now())?, Duration::ZERO);
    Ok(())
}

fn clean_stop(cluster: &mut Cluster, leader: &str) -> Result<(), Box<dyn Error>> {
    let (agent, key) = (cluster.host(leader)?.agent(), cluster.key().to_owned());
    assert_eq!(
        agent.key(&key)?.map(|key| key.value),
        Some(Some(leader.to_owned()))
    );
    let status = cluster.stop_daemon(leader)?;
    assert!(status.success(), "the daemon ended with {status}");
    // It has ended, so it is too late for anything to get better.
    cluster.wait_for_removal(leader, Duration::from_secs(1))?;
    let left = agent.key(&key)?.ok_or("the key is gone")?;
    assert_eq!(left.session, None);
    assert_eq!(left.value.unwrap_or_default(), "");
    assert_eq!(left.flags, LOCK_FLAG);
    assert_eq!(agent.sessions()?, []);
    Ok(())
}
