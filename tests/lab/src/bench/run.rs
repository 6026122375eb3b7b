//! Driver: one fault from a healthy cluster to a healthy cluster, and what the witnesses saw.

use std::ops::Range;
use std::time::{Duration, Instant};

use vip_lab::cluster::{Cluster, Error, SETTLE_LIMIT};
use vip_lab::witness::{Answer, measure};

use super::fault::{Fault, RaftLeader};
use super::record::{LEAD, Run, Silence, Stretch, milliseconds};

/// How long nothing is done before and after a run: a program that has just started is to be as ready as it gets,
/// and an overlap that comes late is to be seen.
const CALM: Duration = Duration::from_secs(1);

/// Does `fault` to the `leader` of a settled cluster, waits for another host to answer, heals the
/// fault and settles. Returns what was seen, and who leads in the end, if all is well.
pub(super) fn run(
    cluster: &mut Cluster,
    fault: Fault,
    leader: &str,
) -> Result<(Run, Option<String>), Error> {
    let leader = make_way(cluster, fault.raft_leader(), leader)?;
    let raft_leader = cluster.raft_leader().ok();
    let start = Instant::now();
    inject(cluster, fault, &leader)?;
    let next = cluster
        .wait_for_successor(start, &leader, fault.limit())
        .ok();
    // The fault is to last: nothing is waited for here.
    std::thread::sleep((start + fault.hold()).saturating_duration_since(Instant::now()));
    let healed = Instant::now();
    heal(cluster, fault, &leader)?;
    let settled = cluster.settle(SETTLE_LIMIT);
    let outage = cluster.outage(start..Instant::now());
    std::thread::sleep(CALM);
    let window = start..Instant::now();
    let (service, silences) = service(cluster, &window);
    let run = Run {
        takeover: next.as_ref().map(|next| milliseconds(next.at - start)),
        after: next.map(|next| next.by.to_string()),
        raft_leader,
        outage: settled.is_ok().then(|| milliseconds(outage)),
        overlap: milliseconds(cluster.overlap(window.clone())?),
        healed: milliseconds(healed - start),
        tenures: tenures(
            cluster,
            &window,
            fault.is_fatal().then_some((&leader, healed)),
        )?,
        service,
        silences,
        trouble: settled.as_ref().err().map(ToString::to_string),
        before: leader,
    };
    Ok((run, settled.ok()))
}

/// Moves the virtual IP to where it must be, as seen from the server that leads Consul; returns the
/// host that has it then.
fn make_way(cluster: &mut Cluster, wanted: RaftLeader, leader: &str) -> Result<String, Error> {
    let raft_leader = cluster.raft_leader()?;
    let stopped: Vec<String> = match wanted {
        RaftLeader::Elsewhere if raft_leader == leader => vec![leader.to_owned()],
        RaftLeader::Here if raft_leader != leader => {
            // The leader last, or the address would move to the others in turn.
            let hosts = cluster.others(leader).map(|host| host.name().to_owned());
            hosts
                .filter(|host| *host != raft_leader)
                .chain([leader.to_owned()])
                .collect()
        }
        RaftLeader::Anywhere | RaftLeader::Elsewhere | RaftLeader::Here => {
            return Ok(leader.to_owned());
        }
    };
    let start = Instant::now();
    for host in &stopped {
        cluster.stop_daemon(host)?;
    }
    cluster.wait_for_successor(start, leader, Fault::Stop.limit())?;
    for host in &stopped {
        cluster.start_daemon(host)?;
    }
    let leader = cluster.settle(SETTLE_LIMIT)?;
    std::thread::sleep(CALM);
    Ok(leader)
}

fn inject(cluster: &mut Cluster, fault: Fault, host: &str) -> Result<(), Error> {
    match fault {
        Fault::Stop => cluster.stop_daemon(host).map(drop),
        Fault::Switchover => {
            let next = cluster
                .others(host)
                .next()
                .map(|next| next.name().to_owned());
            cluster.switch_over(&next.unwrap_or_default())
        }
        Fault::LocalHealth => cluster.fail_local_health(host),
        Fault::Check => cluster.fail_check(host),
        Fault::Kill => cluster.kill_daemon(host),
        Fault::Freeze => cluster.freeze_daemon(host),
        Fault::Crash | Fault::CrashRaftLeader => cluster.crash(host),
        Fault::Partition => cluster.partition(host),
    }
}

fn heal(cluster: &mut Cluster, fault: Fault, host: &str) -> Result<(), Error> {
    match fault {
        Fault::Stop | Fault::Kill => cluster.start_daemon(host),
        Fault::Switchover => Ok(()),
        Fault::LocalHealth => cluster.heal_local_health(host),
        Fault::Check => cluster.heal_check(host),
        Fault::Freeze => cluster.thaw_daemon(host),
        Fault::Crash | Fault::CrashRaftLeader => cluster.reboot(host),
        Fault::Partition => cluster.reconnect(host),
    }
}

/// Returns who had the address in `window` and a little before. What a host has while it is `dead`,
/// from the window's beginning to an instant, does not count.
fn tenures(
    cluster: &Cluster,
    window: &Range<Instant>,
    dead: Option<(&String, Instant)>,
) -> Result<Vec<Stretch>, Error> {
    let events = cluster.addresses().events()?;
    let spans = measure::tenures(&events, cluster.vip());
    let lead = window.start.checked_sub(LEAD).unwrap_or(window.start);
    let mut stretches = Vec::new();
    for span in spans {
        let mut until = span.until.filter(|until| *until <= window.end);
        if let Some((host, back)) = dead
            && *host == *span.host
            && span.from < back
        {
            until = Some(until.map_or(window.start, |until| until.min(window.start)));
        }
        let from = span.from.max(lead);
        if from < window.end && until.is_none_or(|until| until > from) {
            stretches.push(Stretch {
                host: span.host.to_string(),
                from: offset(window.start, from),
                until: until.map(|until| offset(window.start, until)),
            });
        }
    }
    Ok(stretches)
}

/// Returns who answered the questions of `window` and a little before, and which ones nobody did.
fn service(cluster: &Cluster, window: &Range<Instant>) -> (Vec<Stretch>, Vec<Silence>) {
    let lead = window.start.checked_sub(LEAD).unwrap_or(window.start);
    let (first, questions) = cluster.probe().questions().read(|all| {
        let first = all.partition_point(|at| *at < lead);
        (first as u64, all[first..].to_vec())
    });
    let mut answers: Vec<Option<Answer>> = vec![None; questions.len()];
    cluster.probe().history().read(|all| {
        for answer in &all[all.partition_point(|it| it.at < lead)..] {
            let number = answer.to.checked_sub(first).map(usize::try_from);
            if let Some(Ok(number)) = number
                && let Some(slot) = answers.get_mut(number)
            {
                *slot = Some(answer.clone());
            }
        }
    });
    let (mut stretches, mut silences): (Vec<Stretch>, Vec<Silence>) = (Vec::new(), Vec::new());
    let mut silent = true;
    // The last ones may be answered yet.
    let over = questions.partition_point(|at| *at + measure::IN_FLIGHT < window.end);
    for (asked, answer) in questions.iter().zip(answers).take(over) {
        let asked = offset(window.start, *asked);
        match (answer, stretches.last_mut(), silences.last_mut()) {
            (Some(answer), Some(last), _) if !silent && *last.host == *answer.by => {
                last.until = Some(offset(window.start, answer.at));
            }
            (Some(answer), _, _) => {
                silent = false;
                stretches.push(Stretch {
                    host: answer.by.to_string(),
                    from: asked,
                    until: Some(offset(window.start, answer.at)),
                });
            }
            (None, Some(_), Some(last)) if silent => {
                last.until = asked;
                last.lost += 1;
            }
            (None, _, _) => {
                silent = true;
                silences.push(Silence {
                    from: asked,
                    until: asked,
                    lost: 1,
                });
            }
        }
    }
    (stretches, silences)
}

/// Returns how many milliseconds after `start` something was; before it, the number is negative.
fn offset(start: Instant, at: Instant) -> f64 {
    if at >= start {
        milliseconds(at - start)
    } else {
        -milliseconds(start - at)
    }
}
