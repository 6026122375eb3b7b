//! Driver: what a stack weighs in a time without events.

use std::time::{Duration, Instant};

use anyhow::Context;
use vip_lab::cluster::{Cluster, Host, SETTLE_LIMIT};
use vip_lab::usage::{Usage, requests, usage};

use super::record::Weight;
use super::stack::{Programs, Purpose, Stack};

/// How long after the cluster is well nothing is measured yet: first renewals, second announcements.
const CALM: Duration = Duration::from_secs(10);

/// Measures one leader and one standby of `stack` for `time`.
pub(super) fn measure(
    stack: Stack,
    programs: &Programs,
    time: Duration,
) -> anyhow::Result<Vec<Weight>> {
    let setup = stack
        .setup(programs, Purpose::Weight)
        .map_err(anyhow::Error::msg)?;
    let cluster = setup.start().context("the cluster did not start")?;
    let leader = cluster
        .settle(SETTLE_LIMIT)
        .with_context(|| cluster.logs())?;
    std::thread::sleep(CALM);
    let hosts = roles(&cluster, &leader)?;
    let before = hosts.map(|(_, host)| sample(host));
    let start = Instant::now();
    std::thread::sleep(time);
    let after = hosts.map(|(_, host)| sample(host));
    let minutes = start.elapsed().as_secs_f64() / 60.0;
    hosts
        .into_iter()
        .zip(before.into_iter().zip(after))
        .map(|((role, _), (before, after))| Ok(weight(role, &before?, &after?, minutes)))
        .collect()
}

fn roles<'a>(cluster: &'a Cluster, leader: &str) -> anyhow::Result<[(&'static str, &'a Host); 2]> {
    let standby = cluster.others(leader).next().context("no standby")?;
    Ok([("leader", cluster.host(leader)?), ("standby", standby)])
}

/// One look at a host.
struct Sample {
    usage: Usage,
    requests: Option<f64>,
}

fn sample(host: &Host) -> anyhow::Result<Sample> {
    let groups = [host.daemon().id(), host.companion().id()];
    let groups: Vec<u32> = groups.into_iter().flatten().collect();
    Ok(Sample {
        usage: usage(&groups)?,
        requests: requests(&host.agent()).ok(),
    })
}

fn weight(role: &'static str, before: &Sample, after: &Sample, minutes: f64) -> Weight {
    let (was, is) = (&before.usage, &after.usage);
    let rate = |was: f64, is: f64| (is - was) / minutes;
    Weight {
        role,
        processes: is.processes,
        resident_kib: is.resident_kib,
        peak_kib: is.peak_kib,
        threads: is.threads,
        cpu_seconds: rate(was.own_seconds, is.own_seconds),
        script_seconds: rate(was.children_seconds, is.children_seconds),
        requests: before
            .requests
            .zip(after.requests)
            .map(|(was, is)| rate(was, is)),
    }
}
