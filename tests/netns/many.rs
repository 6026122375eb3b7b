//! Many groups in one process: what goes wrong for a host, or for one of its groups, leaves each address on
//! one host at most, and each group is led again.

use std::error::Error;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use nix::sys::signal::Signal;
use vip_lab::chaos::{self, Fault, Kind, Target};
use vip_lab::cluster::{Cluster, Group, LOCAL_URL, Program, SETTLE_LIMIT, Setup};
use vip_lab::time::until;
use vip_lab::witness::AddressEvent;

use crate::DAEMON;

/// How long a group may take to get a leader, or to lose it in good order.
const LIMIT: Duration = Duration::from_secs(20);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("many_groups_bear_what_goes_wrong", || {
            borne().map_err(|error| Failed::from(error.to_string()))
        }),
        Trial::test("a_group_comes_and_goes_and_the_others_lose_nothing", || {
            reloaded().map_err(|error| Failed::from(error.to_string()))
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
