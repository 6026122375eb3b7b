//! Driver: one carrier with so many groups: weighed at rest, and then its leader ends in every way.

use std::iter::repeat_n;
use std::time::{Duration, Instant};

use anyhow::Context;
use vip_lab::cluster::{Cluster, Host, SETTLE_LIMIT};
use vip_lab::exodus::{self, Ending};
use vip_lab::usage::{Usage, connections, requests, usage};

use super::bare;
use super::carrier::Carrier;
use super::figures::{Floor, Row, Weight};
use crate::bench::record::milliseconds;
use crate::bench::stack::Programs;
use crate::screen::Screen;

/// The time between two questions of a client: the kernels' words count here.
pub(super) const RHYTHM: Duration = Duration::from_millis(20);

/// How long after all is well nothing is measured yet: first renewals, second announcements.
const CALM: Duration = Duration::from_secs(10);

/// How often the leader is asked to stop. The median counts.
const STOPS: usize = 3;

/// How often connections are counted.
const LOOKS: u32 = 10;

/// Measures `carrier` with so many groups, and writes into `row` what was seen, also where it ends early.
pub(super) fn measure(
    carrier: Carrier,
    groups: u16,
    time: Duration,
    programs: &Programs,
    screen: Screen,
    row: &mut Row,
) -> anyhow::Result<()> {
    let setup = carrier.setup(groups, programs);
    let setup = setup.map_err(anyhow::Error::msg)?;
    let mut cluster = setup.start().context("the cluster did not start")?;
    if let Err(error) = cluster.settle(SETTLE_LIMIT) {
        row.missing.push(half_way(&cluster)?);
        return Err(explained(&error, &cluster));
    }
    let leader = gather(&mut cluster)?;
    let seconds = time.as_secs();
    screen.note(&format!(
        "{leader} leads them all; weighing for {seconds} s"
    ));
    weigh(&cluster, &leader, time, row)?;
    if cluster.elects() {
        let times = bare::measure(&cluster, &leader, usize::from(groups))?;
        let times = times.into_iter().map(milliseconds).collect();
        row.floor = Some(Floor::new(times, bare::AT_ONCE));
    }
    let stops = repeat_n(Ending::Stop, STOPS);
    for ending in stops.chain([Ending::Kill, Ending::Crash]) {
        if ending == Ending::Kill && !carrier.promises() {
            // Its address stays for ever.
            continue;
        }
        let leader = gather(&mut cluster)?;
        let seen = exodus::run(&mut cluster, &leader, ending);
        let seen = seen.map_err(|error| explained(&error, &cluster))?;
        screen.note(&format!("{ending:?}: {seen:?}"));
        row.add(ending, &seen);
        match ending {
            Ending::Stop | Ending::Kill => cluster.start_daemon(&leader)?,
            Ending::Crash => cluster.reboot(&leader)?,
        }
        let settled = cluster.settle(SETTLE_LIMIT);
        settled.map_err(|error| explained(&error, &cluster))?;
    }
    Ok(())
}

/// Has a host lead every group whose server does not lead Consul: whoever takes both along costs an
/// election of Consul's as well. Returns it.
fn gather(cluster: &mut Cluster) -> anyhow::Result<String> {
    let raft_leader = cluster.raft_leader()?;
    let host = cluster.others(&raft_leader).next().context("one host")?;
    let host = host.name().to_owned();
    exodus::gather(cluster, &host).map_err(|error| explained(&error, cluster))?;
    Ok(host)
}

/// The first line says what is wrong, the others what every daemon said.
fn explained(error: &dyn std::error::Error, cluster: &Cluster) -> anyhow::Error {
    anyhow::anyhow!("{}\n{}", vip_lab::chain(error), cluster.logs())
}

/// Says how far a cluster has come that does not get well.
fn half_way(cluster: &Cluster) -> anyhow::Result<String> {
    let present = cluster.addresses().present();
    let groups = cluster.groups();
    let led = groups
        .iter()
        .filter(|group| present.contains_key(&group.address()));
    let connections: Vec<String> = cluster
        .hosts()
        .iter()
        .map(|host| Ok(connections(host)?.to_string()))
        .collect::<anyhow::Result<_>>()?;
    Ok(format!(
        "{} of {} groups have a leader, and hosts hold {} connections to their agents",
        led.count(),
        groups.len(),
        connections.join(", ")
    ))
}

fn weigh(cluster: &Cluster, leader: &str, time: Duration, row: &mut Row) -> anyhow::Result<()> {
    let standby = cluster.others(leader).next().context("no standby")?;
    let hosts = [cluster.host(leader)?, standby];
    std::thread::sleep(CALM);
    let (start, asked) = (Instant::now(), asked(cluster));
    let consul = use_of_consul(cluster)?;
    let before = [use_of(hosts[0])?, use_of(hosts[1])?];
    let mut most = [0, 0];
    for _ in 0..LOOKS {
        std::thread::sleep(time / LOOKS);
        for (most, host) in most.iter_mut().zip(hosts) {
            *most = connections(host)?.max(*most);
        }
    }
    let after = [use_of(hosts[0])?, use_of(hosts[1])?];
    let seconds = start.elapsed().as_secs_f64();
    let weight = |host: usize| Weight::of(&before[host], &after[host], seconds / 60.0, most[host]);
    row.leading = Some(weight(0));
    row.standing_by = Some(weight(1));
    if cluster.elects() {
        let spent = use_of_consul(cluster)?.own_seconds - consul.own_seconds;
        row.consul_seconds = Some(spent * 60.0 / seconds);
        row.requests = asked
            .zip(self::asked(cluster))
            .map(|(before, after)| (after - before) / seconds);
    }
    Ok(())
}

fn use_of(host: &Host) -> anyhow::Result<Usage> {
    let group = host.daemon().id().context("the daemon does not run")?;
    Ok(usage(&[group])?)
}

fn use_of_consul(cluster: &Cluster) -> anyhow::Result<Usage> {
    let agents = cluster.hosts().iter().filter_map(|host| host.consul().id());
    Ok(usage(&agents.collect::<Vec<_>>())?)
}

/// Returns how many requests all agents have answered so far; nothing where they do not count.
fn asked(cluster: &Cluster) -> Option<f64> {
    let agents = cluster.hosts().iter().map(Host::agent);
    agents.map(|agent| requests(&agent).ok()).sum()
}
