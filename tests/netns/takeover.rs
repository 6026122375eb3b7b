//! What makes a takeover fast: handover, local health, the liveness check, and hosts that hear one
//! another. How fast is the bench's business: here it is shown by what happened, and in which order.

use std::error::Error;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use vip_lab::cluster::{Cluster, Fault, Host, Program, Setup};
use vip_lab::drill;
use vip_lab::time::until;

use crate::DAEMON;

type Test = fn(&mut Cluster, &str) -> Result<(), Box<dyn Error>>;

const LIMIT: Duration = Duration::from_secs(30);

/// The daemon's default beside an address, which no planned move waits for.
const LOCK_DELAY: Duration = Duration::from_secs(3);

/// Not what these tests are about, where the machine is busy.
const DEAF: &str = "--peer-watch=off";

/// What is asked of a host that may fall ill.
const SICK: &str = "--health-command=test ! -e {directory}/sick";

/// What a candidate says that has not heard the leader for too long.
const SILENT: &str = "the leader is silent";

pub(crate) fn trials() -> Vec<Trial> {
    let tests: [(&str, &'static [&str], Test); 5] = [
        (
            "a_stop_and_a_switchover_are_handed_over",
            &[DEAF],
            handed_over,
        ),
        (
            "a_host_that_finds_itself_ill_hands_over",
            &[DEAF, "--health-interval=50ms", "--health-fall=2", SICK],
            ill,
        ),
        (
            "a_killed_daemon_is_missed_by_its_liveness_check",
            &[DEAF, "--liveness-ttl=2s"],
            killed,
        ),
        ("a_lost_host_is_missed_by_the_others", &[], lost),
        (
            "a_link_that_is_broken_one_way_moves_nothing",
            &["--peer-interval=200ms"],
            one_way,
        ),
    ];
    tests
        .map(|(name, arguments, test)| Trial::test(name, move || run(arguments, test)))
        .into()
}

fn run(arguments: &[&str], test: Test) -> Result<(), Failed> {
    let program = Program::manager(DAEMON).args(arguments.iter().copied());
    Setup::new().daemon(program).run(test).map_err(Failed::from)
}

/// Waits until every host but the leader stands as a candidate.
fn until_all_stand(cluster: &Cluster, leader: &str) -> Result<(), Box<dyn Error>> {
    let agent = cluster.host(leader)?.agent();
    Ok(until("all others to be candidates", LIMIT, || {
        for host in cluster.others(leader) {
            let key = format!("{}/candidates/{}", cluster.key(), host.name());
            match agent.key(&key) {
                Ok(Some(key)) if key.session.is_some() => {}
                Ok(_) => return Err(format!("{} is none", host.name())),
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    })?)
}

fn holder(cluster: &Cluster, through: &str) -> Result<Option<String>, Box<dyn Error>> {
    let key = cluster.host(through)?.agent().key(cluster.key())?;
    Ok(key.and_then(|key| key.value))
}

fn handed_over(cluster: &mut Cluster, leader: &str) -> Result<(), Box<dyn Error>> {
    until_all_stand(cluster, leader)?;
    let from = cluster.host(leader)?.log().len();
    let outcome = drill::run(cluster, Fault::Stop, leader, |_| {})?;
    assert!(outcome.is_good(), "{outcome:?}");
    let log = cluster.host(leader)?.log();
    log.wait_for("lock handed over", from, LIMIT)?;

    let leader = cluster.settle(LIMIT)?;
    until_all_stand(cluster, &leader)?;
    let to = cluster
        .others(&leader)
        .last()
        .ok_or("nobody")?
        .name()
        .to_owned();
    let request = format!("{}/switchover", cluster.key());
    let start = Instant::now();
    let agent = cluster.host(&leader)?.agent();
    ask_for(cluster, &leader, &to)?;
    let answer = cluster.wait_for_successor(start, &leader, LIMIT)?;
    let taken = answer.at.duration_since(start);
    assert!(taken < LOCK_DELAY, "{taken:?}");
    assert_eq!(holder(cluster, &leader)?, Some(to));
    assert!(agent.key(&request)?.is_none(), "it was carried out");
    assert_eq!(cluster.overlap(start..Instant::now())?, Duration::ZERO);

    // One that cannot be followed is deleted, and moves nothing.
    let leader = cluster.settle(LIMIT)?;
    let log = cluster.host(&leader)?.log();
    let from = log.len();
    ask_for(cluster, &leader, "nobody")?;
    log.wait_for("there is no candidate nobody", from, LIMIT)?;
    until("the request to go", LIMIT, || match agent.key(&request) {
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err("it is there".to_owned()),
        Err(error) => Err(error.to_string()),
    })?;
    assert_eq!(holder(cluster, &leader)?, Some(leader));
    Ok(())
}

fn ill(cluster: &mut Cluster, leader: &str) -> Result<(), Box<dyn Error>> {
    until_all_stand(cluster, leader)?;
    let host = cluster.host(leader)?;
    let start = Instant::now();
    std::fs::write(host.directory().join("sick"), "")?;
    let answer = cluster.wait_for_successor(start, leader, LIMIT)?;
    let taken = answer.at.duration_since(start);
    assert!(taken < LOCK_DELAY, "{taken:?}");
    host.log().wait_for("lock handed over", 0, LIMIT)?;
    assert_eq!(cluster.overlap(start..Instant::now())?, Duration::ZERO);
    // It comes back as a candidate when it is well, and not before.
    let key = format!("{}/candidates/{leader}", cluster.key());
    let sessions = host.agent().sessions()?;
    assert!(!sessions.is_empty());
    assert!(host.agent().key(&key)?.is_none());
    std::fs::remove_file(host.directory().join("sick"))?;
    let now = cluster.settle(LIMIT)?;
    assert_ne!(now, leader, "nobody moves back by itself");
    until_all_stand(cluster, &now)
}

fn killed(cluster: &mut Cluster, leader: &str) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    cluster.kill_daemon(leader)?;
    let answer = cluster.wait_for_successor(start, leader, LIMIT)?;
    let taken = answer.at.duration_since(start);
    // Its session alone would not have died before its TTL of 10 s.
    assert!(taken < Duration::from_secs(10), "{taken:?}");
    assert!(taken > LOCK_DELAY, "{taken:?}");
    assert_eq!(cluster.overlap(start..Instant::now())?, Duration::ZERO);
    Ok(())
}

/// Not the host of the raft leader, whose election takes longer than Consul's own way.
fn lost(cluster: &mut Cluster, leader: &str) -> Result<(), Box<dyn Error>> {
    until_all_stand(cluster, leader)?;
    let raft = cluster.raft_leader()?;
    let start = Instant::now();
    let leader = if leader == raft {
        ask_for(cluster, leader, "")?;
        cluster.wait_for_successor(start, leader, LIMIT)?;
        cluster.settle(LIMIT)?
    } else {
        leader.to_owned()
    };
    until_all_stand(cluster, &leader)?;
    let outcome = drill::run(cluster, Fault::Crash, &leader, |_| {})?;
    assert!(outcome.is_good(), "{outcome:?}");
    let missed = |host: &Host| host.log().tail(200).contains(SILENT);
    assert!(cluster.others(&leader).any(missed), "{}", cluster.logs());
    Ok(())
}

/// Asks for another leader.
fn ask_for(cluster: &Cluster, leader: &str, to: &str) -> Result<(), Box<dyn Error>> {
    let agent = cluster.host(leader)?.agent();
    agent.put(&format!("/v1/kv/{}/switchover", cluster.key()), to)?;
    Ok(())
}

/// The leader's heartbeats do not reach one of the others, which asks the third.
fn one_way(cluster: &mut Cluster, leader: &str) -> Result<(), Box<dyn Error>> {
    until_all_stand(cluster, leader)?;
    let deaf = cluster.others(leader).next().ok_or("nobody")?;
    let address = deaf.address().to_string();
    let start = Instant::now();
    let rule = [
        "rule",
        "add",
        "to",
        &address,
        "ipproto",
        "udp",
        "dport",
        "8547",
        "blackhole",
    ];
    cluster.host(leader)?.namespace().ip(&rule)?;
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(holder(cluster, leader)?.as_deref(), Some(leader));
    let missed = |host: &Host| host.log().tail(200).contains(SILENT);
    assert!(!cluster.others(leader).any(missed), "{}", cluster.logs());
    assert_eq!(cluster.overlap(start..Instant::now())?, Duration::ZERO);
    Ok(())
}
