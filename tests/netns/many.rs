//! Many groups in one process: what goes wrong for a host, or for one of its groups, leaves each address on
//! one host at most, and each group is led again; and what many groups cost Consul.

use std::error::Error;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use nix::sys::signal::Signal;
use vip_lab::chaos::{self, Fault, Kind, Target};
use vip_lab::cluster::{Cluster, Group, Host, LOCAL_URL, Program, SETTLE_LIMIT, Setup};
use vip_lab::exodus::{self, Ending};
use vip_lab::time::until;
use vip_lab::usage::{self, connections, requests};
use vip_lab::witness::AddressEvent;

use crate::DAEMON;

/// How long a group may take to get a leader, or to lose it in good order.
const LIMIT: Duration = Duration::from_secs(20);
/// How many connections to its agent a process may have.
const CONNECTIONS: usize = 32;
/// How many groups are many.
const MANY: u16 = 20;
/// How long requests are counted.
const REST: Duration = Duration::from_secs(3);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("many_groups_bear_what_goes_wrong", || {
            borne().map_err(|error| Failed::from(error.to_string()))
        }),
        Trial::test("a_group_comes_and_goes_and_the_others_lose_nothing", || {
            reloaded().map_err(|error| Failed::from(error.to_string()))
        }),
        Trial::test("many_groups_cost_consul_little_more_than_one", || {
            cost().map_err(|error| Failed::from(error.to_string()))
        }),
    ]
}

/// What `cargo lab chaos --groups 200` does, in small.
fn borne() -> Result<(), Box<dyn Error>> {
    let faults = [
        (Kind::KillSupervised, Target::Leader),
        (Kind::SessionDestroyed, Target::Leader),
        (Kind::Drain, Target::Leader),
        (Kind::AgentRestart, Target::Other(0)),
    ];
    let program = Program::manager(DAEMON).args([
        format!("--health-url={LOCAL_URL}"),
        "--health-interval=100ms".to_owned(),
    ]);
    let setup = Setup::new().groups(12).daemon(program);
    let setup = setup.supervised(Duration::from_millis(200));
    Ok(setup.run(|cluster, _| {
        let start = Instant::now();
        for (number, (kind, target)) in faults.into_iter().enumerate() {
            // Another group each time, of the other family.
            cluster.turn_to(number);
            let leader = cluster.settle(SETTLE_LIMIT)?;
            let fault = Fault {
                kind,
                target,
                after: 0,
                pace: 100,
            };
            let outcome = chaos::run(cluster, &[fault], &leader, |_, _| {})?;
            if !outcome.is_good() {
                return Err(format!("{kind}: {outcome:?}").into());
            }
        }
        assert_eq!(cluster.overlaps(start..Instant::now())?, []);
        Ok(())
    })?)
}

/// A file more in the directory, and SIGHUP to every daemon; and a file less again.
fn reloaded() -> Result<(), Box<dyn Error>> {
    let setup = Setup::new().groups(4).daemon(Program::manager(DAEMON));
    Ok(setup.run(|cluster, _| {
        let news = Group::numbered(5);
        let holders = || cluster.addresses().holders(news.address());
        let start = Instant::now();
        for host in cluster.hosts() {
            let file = host.directory().join(news.file());
            std::fs::write(file, news.yaml(host.name()))?;
        }
        hang_up(cluster)?;
        until(
            "somebody to lead the new group",
            LIMIT,
            || match &*holders() {
                [_] => Ok(()),
                holders => Err(format!("its address is on {holders:?}")),
            },
        )?;
        for host in cluster.hosts() {
            std::fs::remove_file(host.directory().join(news.file()))?;
        }
        hang_up(cluster)?;
        until("nobody to lead it", LIMIT, || match &*holders() {
            [] => Ok(()),
            holders => Err(format!("its address is on {holders:?}")),
        })?;
        // Whoever would be disturbed late has a moment for it.
        std::thread::sleep(Duration::from_secs(1));
        assert_eq!(cluster.outage(start..Instant::now()), Duration::ZERO);
        let others: Vec<IpAddr> = cluster.groups().iter().map(Group::address).collect();
        let moved = |event: &&AddressEvent| event.at >= start && others.contains(&event.address);
        let events = cluster.addresses().events()?;
        assert_eq!(events.iter().find(moved), None);
        Ok(())
    })?)
}

fn hang_up(cluster: &Cluster) -> Result<(), Box<dyn Error>> {
    for host in cluster.hosts() {
        host.daemon().signal(Signal::SIGHUP)?;
    }
    Ok(())
}

/// What `cargo lab bench --groups` does, in small; how long it takes is the bench's to say.
fn cost() -> Result<(), Box<dyn Error>> {
    let (one, many) = (costs_of(1)?, costs_of(MANY)?);
    // Waits, renewals and proofs are shared, or each group would cost what the only one does.
    assert!(
        many.asked < f64::from(MANY) * one.asked / 3.0,
        "{} requests a second, and {} with {MANY} groups",
        one.asked,
        many.asked
    );
    assert!(many.connections <= CONNECTIONS, "{}", many.connections);
    Ok(())
}

struct Costs {
    connections: usize,
    /// Requests to all agents, in a second.
    asked: f64,
}

fn costs_of(groups: u16) -> Result<Costs, Box<dyn Error>> {
    let counters = serde_json::from_str(usage::COUNTERS)?;
    let setup = Setup::new().groups(groups).consul(counters);
    let mut costs = None;
    setup
        .daemon(Program::manager(DAEMON))
        .run(|cluster, leader| {
            exodus::gather(cluster, leader)?;
            let (start, before) = (Instant::now(), asked(cluster)?);
            std::thread::sleep(REST);
            let asked = (asked(cluster)? - before) / start.elapsed().as_secs_f64();
            let connections = cluster.hosts().iter().map(connections);
            let connections = connections.collect::<Result<Vec<_>, _>>()?;
            let exodus = exodus::run(cluster, leader, Ending::Stop)?;
            let all = usize::from(groups);
            assert_eq!((exodus.moved, exodus.lost.len()), (all, 0), "{exodus:?}");
            assert_eq!(exodus.overlap, Duration::ZERO);
            let connections = connections.into_iter().max().unwrap_or_default();
            costs = Some(Costs { connections, asked });
            Ok(())
        })?;
    costs.ok_or_else(|| "nothing was measured".into())
}

fn asked(cluster: &Cluster) -> Result<f64, Box<dyn Error>> {
    let asked = cluster.hosts().iter().map(Host::agent);
    let asked = asked.map(|agent| requests(&agent));
    Ok(asked.sum::<Result<f64, _>>()?)
}
