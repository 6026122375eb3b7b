//! Driver: one fault from a healthy cluster to a healthy cluster, with what the witnesses saw.

use std::time::{Duration, Instant};

use crate::cluster::{Cluster, Error, Fault, SETTLE_LIMIT};
use crate::time::Timeout;

/// What a fault cost.
#[derive(Debug)]
pub struct Outcome {
    /// The fault.
    pub fault: Fault,
    /// The host that led, and that it was done to.
    pub before: String,
    /// Who answered next, and how long after the fault; nothing where nobody else did in time.
    pub after: Option<(String, Duration)>,
    /// The longest time without an answer, until all was well again.
    pub outage: Duration,
    /// For how long more than one living host had the address, until all was well again.
    pub overlap: Duration,
    /// The host that led when all was well again, or what was not well in the end.
    pub settled: Result<String, Timeout>,
}

impl Outcome {
    /// Returns whether another host took over, never two had the address, and all was well in the
    /// end.
    pub fn is_good(&self) -> bool {
        self.after.is_some() && self.overlap.is_zero() && self.settled.is_ok()
    }
}

/// How far a drill has come.
#[derive(Clone, Debug)]
pub enum Step<'a> {
    /// The fault is about to be done to this host.
    Inject(&'a str),
    /// Waiting for another host to answer, for the given time at most.
    Await(Duration),
    /// Another host answers.
    TakenOver(&'a str, Duration),
    /// Nobody else answers in time.
    NotTakenOver,
    /// The fault is about to be undone.
    Repair(&'a str),
    /// Waiting until everything is well, for the given time at most.
    Settle(Duration),
}

/// Does `fault` to the `leader` of a settled cluster, waits for another host to answer, undoes the
/// fault and settles. The witnesses watch all the time.
pub fn run(
    cluster: &mut Cluster,
    fault: Fault,
    leader: &str,
    mut tell: impl FnMut(Step<'_>),
) -> Result<Outcome, Error> {
    let before = leader.to_owned();
    tell(Step::Inject(&before));
    let start = Instant::now();
    cluster.inject(fault, &before)?;
    tell(Step::Await(fault.limit()));
    let after = cluster
        .wait_for_successor(start, &before, fault.limit())
        .ok()
        .map(|answer| (answer.by.to_string(), answer.at - start));
    match &after {
        Some((host, takeover)) => tell(Step::TakenOver(host, *takeover)),
        None => tell(Step::NotTakenOver),
    }
    tell(Step::Repair(&before));
    cluster.repair(fault, &before)?;
    tell(Step::Settle(SETTLE_LIMIT));
    let settled = cluster.settle(SETTLE_LIMIT);
    let window = start..Instant::now();
    let (outage, overlap) = (cluster.outage(window.clone()), cluster.overlap(window)?);
    Ok(Outcome {
        fault,
        before,
        after,
        outage,
        overlap,
        settled,
    })
}
