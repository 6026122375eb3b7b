//! Driver: one round: one fault or two on a healthy cluster, until it is healthy again.

use std::time::{Duration, Instant};

use super::deck::{Fault, Target};
use super::deed::{Deed, Meddling};
use super::kind::Kind;
use crate::cluster::{Cluster, Error, SETTLE_LIMIT};
use crate::time::{Timeout, until};

/// How long after the last fault is healed somebody must answer at last. A session may live twice its
/// TTL of 10 s, and as long again where Consul has changed its leader; then comes the lock-delay.
pub const RETURN_LIMIT: Duration = Duration::from_secs(60);

/// How long a daemon may take to find out that it is no candidate any more, or that its agent has
/// forgotten it, and to make up for it. Most need seconds; a Consul agent whose network has lost much may answer
/// nothing for more than a minute.
const READY_LIMIT: Duration = Duration::from_secs(150);

/// What a round came to.
#[derive(Debug)]
pub struct Outcome {
    /// The faults, and to whom they were done.
    pub faults: Vec<(Kind, String)>,
    /// Why a fault could not be done.
    pub impossible: Vec<(Kind, String)>,
    /// What the commands of operators said that did not get what they asked for.
    pub refused: Vec<String>,
    /// The longest time without an answer, until all was well again.
    pub outage: Duration,
    /// How long it may be: the sum of what its faults may cost.
    pub limit: Duration,
    /// For how long more than one living host had the address, until all was well again.
    pub overlap: Duration,
    /// The host that led when all was well again, or what was not well in the end.
    pub settled: Result<String, Timeout>,
    /// From the first fault until all was well again.
    pub took: Duration,
}

impl Outcome {
    /// Returns whether never two hosts had the address, somebody answered in time, all was well in the
    /// end, and operators got what they asked for where nothing else went wrong.
    pub fn is_good(&self) -> bool {
        let followed = self.refused.is_empty() || self.faults.len() > 1;
        self.overlap.is_zero() && self.outage <= self.limit && self.settled.is_ok() && followed
    }
}

/// Does `faults` to a settled cluster with this `leader`, each by its script, and waits until it is
/// well again. `tell` hears to whom, and who leads, when that is known.
pub fn run(
    cluster: &mut Cluster,
    faults: &[Fault],
    leader: &str,
    tell: impl FnOnce(&[(Kind, String)], &str),
) -> Result<Outcome, Error> {
    let both = |fault: &Fault| fault.kind == Kind::PartitionOfBothLeaders;
    let leader = if faults.iter().any(both) {
        lead_with_consul(cluster, leader)?
    } else {
        leader.to_owned()
    };
    let named: Vec<(Kind, String)> = faults
        .iter()
        .map(|fault| (fault.kind, name(cluster, fault.target, &leader)))
        .collect();
    tell(&named, &leader);
    let start = Instant::now();
    let impossible = carry_out(cluster, &timetable(faults), &named, &leader, start)?;
    let refused = cluster.finish_orders()?;
    let settled = recover(cluster);
    let window = start..Instant::now();
    let (outage, overlap) = (cluster.outage(window.clone()), cluster.overlap(window)?);
    let took = start.elapsed();
    Ok(Outcome {
        faults: named,
        impossible,
        refused,
        outage,
        limit: faults.iter().map(|fault| fault.kind.limit()).sum(),
        overlap,
        settled,
        took,
    })
}

/// What is to be done, by which fault, and when.
type Timetable = Vec<(Duration, usize, Deed)>;

fn timetable(faults: &[Fault]) -> Timetable {
    let mut table: Timetable = Vec::new();
    for (number, fault) in faults.iter().enumerate() {
        let deeds = fault.kind.script().into_iter();
        table.extend(deeds.map(|(at, deed)| {
            let at = fault.after + at * fault.pace / 100;
            (Duration::from_millis(at), number, deed)
        }));
    }
    table.sort_by_key(|(at, ..)| *at);
    table
}

/// Returns what was impossible.
fn carry_out(
    cluster: &mut Cluster,
    timetable: &Timetable,
    named: &[(Kind, String)],
    leader: &str,
    start: Instant,
) -> Result<Vec<(Kind, String)>, Error> {
    let mut impossible: Vec<(Kind, String)> = Vec::new();
    for (at, number, deed) in timetable {
        std::thread::sleep((start + *at).saturating_duration_since(Instant::now()));
        let (kind, host) = &named[*number];
        match act(cluster, *deed, host, leader) {
            Err(Error::Impossible(reason)) => {
                if impossible.iter().all(|(known, _)| known != kind) {
                    impossible.push((*kind, reason));
                }
            }
            result => result?,
        }
    }
    Ok(impossible)
}

fn act(cluster: &mut Cluster, deed: Deed, host: &str, leader: &str) -> Result<(), Error> {
    match deed {
        Deed::Strike => cluster.strike_daemon(host),
        Deed::Kill => cluster.kill_daemon(host),
        Deed::Start => cluster.start_daemon(host),
        Deed::Freeze => cluster.freeze_daemon(host),
        Deed::Thaw => cluster.thaw_daemon(host),
        Deed::FailCheck => cluster.fail_check(host),
        Deed::HealCheck => cluster.heal_check(host),
        Deed::Crash => cluster.crash(host),
        Deed::Reboot => cluster.reboot(host),
        Deed::Partition => cluster.partition(host),
        Deed::Degrade(losses) => cluster.degrade(host, losses),
        Deed::Reconnect => cluster.reconnect(host),
        Deed::StopConsul => cluster.stop_consul(host),
        Deed::DismissConsul => cluster.dismiss_consul(host),
        Deed::StartConsul => cluster.start_consul(host),
        Deed::Trouble(trouble) => cluster.trouble(host, trouble),
        Deed::FillDisk => cluster.fill_disk(host),
        Deed::EmptyDisk => cluster.empty_disk(host),
        Deed::StepClock(seconds) => cluster.step_clock(host, seconds),
        Deed::RestartConsul(number) => {
            let host = cluster.hosts()[number].name().to_owned();
            cluster.stop_consul(&host)?;
            cluster.start_consul(&host)
        }
        Deed::KillEveryConsul => cluster.kill_every_consul(),
        Deed::StartEveryConsul => cluster.start_every_consul(),
        Deed::Meddle(Meddling::Delete) => cluster.delete_key(),
        Deed::Meddle(Meddling::Overwrite) => cluster.overwrite_key(),
        Deed::Meddle(Meddling::Destroy) => cluster.destroy_session(),
        Deed::FailLocalHealth => cluster.fail_local_health(host),
        Deed::HealLocalHealth => cluster.heal_local_health(host),
        Deed::Elect => cluster.switch_over(host),
        Deed::ElectNobody => cluster.switch_over("nobody"),
        Deed::SwitchOver => cluster.order(host, &["switchover", "--to", host]),
        Deed::Drain => cluster.order(host, &["drain", host]),
        Deed::Resume => cluster.order(host, &["resume", host]),
        Deed::DeleteCandidate => cluster.delete_candidate(host),
        Deed::Maintain => cluster.begin_maintenance(host),
        Deed::Release => cluster.end_maintenance(host),
        Deed::ForgetService => cluster.forget_service(host),
        Deed::Deafen => cluster.cut_heartbeats(leader, host),
        Deed::Silence => cluster.cut_heartbeats(host, leader),
        Deed::Gag => cluster.cut_all_heartbeats(host),
        Deed::HealHeartbeats => cluster.heal_heartbeats(),
        Deed::Wait => Ok(()),
    }
}

/// Waits until somebody answers, and then until everything is well, and as ready for the next fault as
/// it was for this one.
fn recover(cluster: &Cluster) -> Result<String, Timeout> {
    cluster.wait_for_answers(Instant::now(), RETURN_LIMIT)?;
    cluster.settle(SETTLE_LIMIT)?;
    until("every host to stand ready", READY_LIMIT, || cluster.ready())?;
    cluster.settle(SETTLE_LIMIT)
}

fn name(cluster: &Cluster, target: Target, leader: &str) -> String {
    match target {
        Target::Leader => leader.to_owned(),
        Target::Other(number) => cluster
            .others(leader)
            .nth(number)
            .map_or(leader, |host| host.name())
            .to_owned(),
    }
}

/// Has the lock move to the host whose server leads Consul: all other daemons are stopped for a
/// moment, in good order.
fn lead_with_consul(cluster: &mut Cluster, leader: &str) -> Result<String, Error> {
    let raft = cluster.raft_leader()?;
    if raft == leader {
        return Ok(raft);
    }
    let start = Instant::now();
    let others: Vec<String> = cluster
        .others(&raft)
        .map(|host| host.name().to_owned())
        .collect();
    for other in &others {
        cluster.stop_daemon(other)?;
    }
    cluster.wait_for_successor(start, leader, RETURN_LIMIT)?;
    for other in &others {
        cluster.start_daemon(other)?;
    }
    Ok(cluster.settle(SETTLE_LIMIT)?)
}
