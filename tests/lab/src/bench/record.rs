//! Pure: everything that was seen, as it is written down in `bench.json`. All times are in
//! milliseconds, those of a run from its fault on.

use std::time::Duration;

use serde::Serialize;

use super::statistics::{Summary, median};

/// How much of the time before a fault is written down.
pub(super) const LEAD: Duration = Duration::from_secs(5);

/// A whole bench.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Where and when.
    pub(super) machine: Machine,
    /// The client's time between two questions.
    pub(super) rhythm: f64,
    /// What was compared.
    pub(super) stacks: Vec<StackReport>,
}

/// Where and when.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Machine {
    /// The date, in UTC.
    pub(super) date: String,
    /// The kernel's release.
    pub(super) kernel: String,
    /// The processor's name.
    pub(super) processor: String,
    /// How many of them.
    pub(super) cores: usize,
    /// Memory, in MiB.
    pub(super) memory_mib: u64,
    /// How many tasks wanted to run in the minute before: whether the machine had other work.
    pub(super) load: String,
    /// What every program that takes part says it is.
    pub(super) versions: Vec<String>,
}

/// What was seen of one stack.
#[derive(Debug, Serialize)]
pub(super) struct StackReport {
    /// Its name.
    pub(super) stack: String,
    /// The time of every bare commit and wake-up in its cluster, of a watch through the raft leader.
    pub(super) floor_led: Vec<f64>,
    /// The same, of a watch at the reader's own server.
    pub(super) floor_stale: Vec<f64>,
    /// Its faults.
    pub(super) faults: Vec<FaultReport>,
    /// What it weighs.
    pub(super) weight: Vec<Weight>,
    /// What was not measured, and why.
    pub(super) missing: Vec<String>,
}

impl StackReport {
    /// A report of which nothing is known yet.
    pub(super) fn new(stack: String) -> Self {
        Self {
            stack,
            floor_led: Vec::new(),
            floor_stale: Vec::new(),
            faults: Vec::new(),
            weight: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// Returns what a planned move cannot be faster than: the median of the quicker way to watch.
    pub(super) fn floor(&self) -> Option<f64> {
        let medians = [&self.floor_led, &self.floor_stale].map(|times| median(times));
        medians.into_iter().flatten().min_by(f64::total_cmp)
    }
}

/// What was seen of one fault.
#[derive(Debug, Serialize)]
pub(super) struct FaultReport {
    /// The fault, as on the command line.
    pub(super) fault: String,
    /// The fault, as people say.
    pub(super) title: String,
    /// From the fault to another host's first answer.
    pub(super) takeover: Option<Summary>,
    /// The longest time without an answer.
    pub(super) outage: Option<Summary>,
    /// For how long at most more than one living host had the address.
    pub(super) overlap_max: f64,
    /// Every run.
    pub(super) runs: Vec<Run>,
}

/// One run, from a healthy cluster to a healthy cluster.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Run {
    /// The host that it was done to.
    pub(super) before: String,
    /// The host that answered next.
    pub(super) after: Option<String>,
    /// The host whose server led Consul.
    pub(super) raft_leader: Option<String>,
    /// From the fault to the first answer of the next host; nothing stands for never.
    pub(super) takeover: Option<f64>,
    /// The longest time without an answer, until all was well again; nothing where it never was.
    pub(super) outage: Option<f64>,
    /// For how long more than one living host had the address, until all was well again.
    pub(super) overlap: f64,
    /// When the fault was healed.
    pub(super) healed: f64,
    /// What was not well in the end.
    pub(super) trouble: Option<String>,
    /// Which host had the address when; a host without power has none.
    pub(super) tenures: Vec<Stretch>,
    /// Which host answered the client: from the first question in a row to the last answer.
    pub(super) service: Vec<Stretch>,
    /// When the client asked and nobody answered.
    pub(super) silences: Vec<Silence>,
}

/// A time during which a host did something.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Stretch {
    /// The host.
    pub(super) host: String,
    /// Its beginning.
    pub(super) from: f64,
    /// Its end; nothing where it had none.
    pub(super) until: Option<f64>,
}

/// Questions in a row that nobody answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Silence {
    /// When the first of them was asked.
    pub(super) from: f64,
    /// When the last of them was asked.
    pub(super) until: f64,
    /// How many they are.
    pub(super) lost: usize,
}

/// What a stack weighs on one host in a time without events.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Weight {
    /// Whether the host had the virtual IP.
    pub(super) role: &'static str,
    /// How many processes it is.
    pub(super) processes: usize,
    /// Their resident memory at the end, in KiB.
    pub(super) resident_kib: u64,
    /// Their largest resident memory so far, in KiB.
    pub(super) peak_kib: u64,
    /// Their threads.
    pub(super) threads: u64,
    /// Processor time per minute, in seconds, without that of children that ended meanwhile.
    pub(super) cpu_seconds: f64,
    /// Processor time of those children per minute, in seconds: scripts.
    pub(super) script_seconds: f64,
    /// Requests to the host's Consul agent per minute; nothing where there was no counter.
    pub(super) requests: Option<f64>,
}

impl FaultReport {
    /// Sums up some runs.
    pub(super) fn of(fault: String, title: String, runs: Vec<Run>) -> Self {
        let summary =
            |time: fn(&Run) -> Option<f64>| Summary::of(&runs.iter().map(time).collect::<Vec<_>>());
        Self {
            fault,
            title,
            takeover: summary(|run| run.takeover),
            outage: summary(|run| run.outage),
            overlap_max: runs.iter().map(|run| run.overlap).fold(0.0, f64::max),
            runs,
        }
    }
}

/// Returns a time in milliseconds, to the microsecond.
pub(super) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(takeover: Option<f64>, overlap: f64) -> Run {
        Run {
            before: "web1".to_owned(),
            after: takeover.map(|_| "web2".to_owned()),
            raft_leader: None,
            takeover,
            outage: Some(3.5),
            overlap,
            healed: 20.0,
            trouble: None,
            tenures: vec![Stretch {
                host: "web1".to_owned(),
                from: -5_000.0,
                until: Some(1.25),
            }],
            service: Vec::new(),
            silences: Vec::new(),
        }
    }

    #[test]
    fn every_run_is_written_down_beside_the_summary() {
        let runs = vec![run(Some(10.0), 0.0), run(None, 2.0)];
        let report = FaultReport::of("stop".to_owned(), "stop".to_owned(), runs);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["takeover"]["min"], 10.0);
        assert_eq!(json["takeover"]["max"], serde_json::Value::Null);
        assert_eq!(json["outage"]["median"], 3.5);
        assert_eq!(json["overlap_max"], 2.0);
        assert_eq!(json["runs"].as_array().unwrap().len(), 2);
        assert_eq!(json["runs"][0]["tenures"][0]["until"], 1.25);
    }

    #[test]
    fn microseconds_are_not_lost() {
        assert_eq!(milliseconds(Duration::from_nanos(1_234_567)), 1.235);
    }
}
