//! Pure: what was seen of many groups, as it is written down in `groups.json`, and whether that is good.
//! All times are in milliseconds.

use serde::Serialize;
use vip_lab::exodus::{Ending, Exodus};
use vip_lab::usage::Usage;

use super::carrier::Carrier;
use crate::bench::record::{Machine, milliseconds};
use crate::bench::statistics::{median, typical};

/// How much resident memory each further group may take, in KiB.
const MEMORY: f64 = 32.0;
/// How many connections to its agent a process may have.
const CONNECTIONS: usize = 32;
/// How many times as long as a bare client a handover may take.
const RATIO: f64 = 5.0;
/// From so many groups on. For few, a bare client needs so little that its noise is larger than what is judged.
const MANY: u16 = 1000;

/// A whole bench.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    /// Where and when.
    pub(super) machine: Machine,
    /// One for each carrier and number of groups.
    pub(super) rows: Vec<Row>,
}

/// One carrier with so many groups.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    /// What carries them.
    pub(super) carrier: &'static str,
    /// How many on each host.
    pub(super) groups: u16,
    /// The host that leads all of them.
    pub(super) leading: Option<Weight>,
    /// A host that leads none.
    pub(super) standing_by: Option<Weight>,
    /// Requests to all agents together, in a second.
    pub(super) requests: Option<f64>,
    /// Processor time of all agents together in a minute, in seconds.
    pub(super) consul_seconds: Option<f64>,
    /// What a bare client needs.
    pub(super) floor: Option<Floor>,
    /// The leader is asked to stop: each time.
    pub(super) stops: Vec<Times>,
    /// The leader is killed.
    pub(super) kill: Option<Times>,
    /// The leader's host loses power.
    pub(super) crash: Option<Times>,
    /// What was not measured, and why.
    pub(super) missing: Vec<String>,
}

/// What a host's processes use in a time without events.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Weight {
    /// How many processes.
    pub(super) processes: usize,
    /// Their threads.
    pub(super) threads: u64,
    /// Their open files.
    pub(super) files: usize,
    /// Resident memory, in KiB; what two of them share counts twice.
    pub(super) resident_kib: u64,
    /// The same, but of what they share only their part.
    pub(super) proportional_kib: u64,
    /// Processor time in a minute, in seconds.
    pub(super) cpu_seconds: f64,
    /// The most connections to the agent at a time.
    pub(super) connections: usize,
}

/// What a bare client needs to hand as many locks over.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Floor {
    /// How many locks a transaction hands over.
    pub(super) at_once: usize,
    /// Each run.
    pub(super) runs: Vec<f64>,
    /// Their median.
    pub(super) median: Option<f64>,
}

/// How long all groups took to another host.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Times {
    /// From the ending to the last address on another host.
    pub(super) took: Option<f64>,
    /// From the first address off to the last one on another host.
    pub(super) between: Option<f64>,
    /// The longest time in which an address was nowhere.
    pub(super) gap: Option<f64>,
    /// How many have arrived.
    pub(super) moved: usize,
    /// How many have not.
    pub(super) lost: usize,
    /// For how long at most two living hosts had the same address.
    pub(super) overlap: f64,
}

/// Which of a row's weights.
pub(super) type Of = fn(&Row) -> Option<&Weight>;

/// Whether something is as it should be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Verdict {
    pub(super) good: bool,
    pub(super) text: String,
}

impl Figures {
    /// Figures without any rows yet.
    pub(super) fn new(machine: Machine) -> Self {
        Self {
            machine,
            rows: Vec::new(),
        }
    }

    /// Returns how much memory each further group takes from the row before on, in KiB.
    pub(super) fn slope(&self, row: &Row, of: Of) -> Option<f64> {
        let smaller = |other: &&Row| other.carrier == row.carrier && other.groups < row.groups;
        let before = self.rows.iter().filter(smaller);
        slope(before.max_by_key(|other| other.groups)?, row, of)
    }

    /// Judges what vip-elector promises.
    pub(super) fn verdicts(&self) -> Vec<Verdict> {
        let ours = self
            .rows
            .iter()
            .filter(|row| row.carrier == Carrier::One.name());
        let ours: Vec<&Row> = ours.collect();
        let from = ours.iter().find(|row| row.groups >= 10);
        let to = ours
            .last()
            .filter(|last| from.is_some_and(|from| last.groups > from.groups));
        let memory = from.zip(to).into_iter().flat_map(|(from, to)| {
            [("leading", leading as Of), ("standing by", standing_by)].map(|(role, of)| {
                let each = slope(from, to, of);
                Verdict {
                    good: each.is_some_and(|each| each <= MEMORY),
                    text: format!(
                        "memory of each group from {} to {}, {role}: {} KiB, of {MEMORY:.0} at most",
                        from.groups,
                        to.groups,
                        each.map_or("unknown".to_owned(), |each| format!("{each:.1}"))
                    ),
                }
            })
        });
        memory
            .chain(ours.iter().flat_map(|row| row.verdicts()))
            .collect()
    }
}

impl Row {
    /// A row of which nothing is known yet.
    pub(super) fn new(carrier: &'static str, groups: u16) -> Self {
        Self {
            carrier,
            groups,
            leading: None,
            standing_by: None,
            requests: None,
            consul_seconds: None,
            floor: None,
            stops: Vec::new(),
            kill: None,
            crash: None,
            missing: Vec::new(),
        }
    }

    /// Adds what an ending came to.
    pub(super) fn add(&mut self, ending: Ending, seen: &Exodus) {
        let times = Times {
            took: seen.took.map(milliseconds),
            between: seen.between.map(milliseconds),
            gap: seen.gap.map(milliseconds),
            moved: seen.moved,
            lost: seen.lost.len(),
            overlap: milliseconds(seen.overlap),
        };
        match ending {
            Ending::Stop => self.stops.push(times),
            Ending::Kill => self.kill = Some(times),
            Ending::Crash => self.crash = Some(times),
        }
    }

    /// Returns the planned handover that stands for all: one that took as long as the median.
    pub(super) fn stop(&self) -> Option<&Times> {
        let took: Vec<_> = self.stops.iter().map(Times::arrived).collect();
        self.stops.get(typical(&took)?)
    }

    /// Returns every ending with its name, planned handovers first; nothing for what was not measured.
    pub(super) fn endings(&self) -> impl Iterator<Item = (&'static str, Option<&Times>)> {
        let stops = self.stops.iter().map(Some);
        let none = self.stops.is_empty().then_some(None);
        let stops = stops.chain(none).map(|times| ("stop", times));
        let unclean = [("kill", &self.kill), ("crash", &self.crash)];
        stops.chain(unclean.map(|(name, times)| (name, times.as_ref())))
    }

    /// Returns a planned handover as a multiple of what a bare client needs.
    pub(super) fn ratio(&self) -> Option<f64> {
        Some(self.stop()?.arrived()? / self.floor.as_ref()?.median?)
    }

    fn verdicts(&self) -> Vec<Verdict> {
        let groups = self.groups;
        let endings = self.endings().map(|(name, times)| match times {
            Some(times) => Verdict {
                good: times.lost == 0 && times.overlap == 0.0,
                text: format!(
                    "{groups} groups, {name}: {} moved, {} lost, overlap {} ms at most",
                    times.moved, times.lost, times.overlap
                ),
            },
            None => Verdict {
                good: false,
                text: format!("{groups} groups, {name}: not measured"),
            },
        });
        let weights = [&self.leading, &self.standing_by].into_iter().flatten();
        let connections = weights.map(|weight| weight.connections).max();
        let connections = connections.map(|connections| Verdict {
            good: connections <= CONNECTIONS,
            text: format!("{groups} groups: {connections} connections, of {CONNECTIONS} at most"),
        });
        let ratio = self.ratio().filter(|_| groups >= MANY).map(|ratio| Verdict {
            good: ratio <= RATIO,
            text: format!(
                "{groups} groups: handed over in {ratio:.1} times what a bare client needs, of {RATIO:.0} at most"
            ),
        });
        endings.chain(connections).chain(ratio).collect()
    }
}

impl Times {
    /// Returns how long it took until all had arrived; nothing where some have not.
    pub(super) fn arrived(&self) -> Option<f64> {
        self.took.filter(|_| self.lost == 0)
    }
}

impl Weight {
    /// Returns what was used between two looks, `minutes` apart.
    pub(super) fn of(before: &Usage, after: &Usage, minutes: f64, connections: usize) -> Self {
        let seconds = |usage: &Usage| usage.own_seconds + usage.children_seconds;
        Self {
            processes: after.processes,
            threads: after.threads,
            files: after.files,
            resident_kib: after.resident_kib,
            proportional_kib: after.proportional_kib,
            cpu_seconds: (seconds(after) - seconds(before)) / minutes,
            connections,
        }
    }
}

impl Floor {
    /// Sums some runs up.
    pub(super) fn new(runs: Vec<f64>, at_once: usize) -> Self {
        Self {
            at_once,
            median: median(&runs),
            runs,
        }
    }
}

/// Returns the weight of the host that leads.
pub(super) fn leading(row: &Row) -> Option<&Weight> {
    row.leading.as_ref()
}

/// Returns the weight of the host that stands by.
pub(super) fn standing_by(row: &Row) -> Option<&Weight> {
    row.standing_by.as_ref()
}

fn slope(from: &Row, to: &Row, of: Of) -> Option<f64> {
    let more = of(to)?.resident_kib as f64 - of(from)?.resident_kib as f64;
    Some(
        more / f64::from(
            to.groups
                .checked_sub(from.groups)
                .filter(|more| *more > 0)?,
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(groups: u16, resident_kib: u64, took: f64) -> Row {
        let weight = Weight {
            processes: 1,
            threads: 1,
            files: 20,
            resident_kib,
            proportional_kib: resident_kib,
            cpu_seconds: 1.0,
            connections: 9,
        };
        let times = Times {
            took: Some(took),
            between: Some(took),
            gap: Some(1.0),
            moved: usize::from(groups),
            lost: 0,
            overlap: 0.0,
        };
        Row {
            leading: Some(weight.clone()),
            standing_by: Some(weight),
            floor: Some(Floor::new(vec![90.0, 100.0, 300.0], 16)),
            stops: vec![times.clone()],
            kill: Some(times.clone()),
            crash: Some(times),
            ..Row::new(Carrier::One.name(), groups)
        }
    }

    fn bad(rows: Vec<Row>) -> Vec<String> {
        let machine = Machine::default();
        let figures = Figures { machine, rows };
        let verdicts = figures.verdicts().into_iter();
        verdicts
            .filter(|one| !one.good)
            .map(|one| one.text)
            .collect()
    }

    #[test]
    fn slopes_and_ratios_have_limits() {
        assert_eq!(
            bad(vec![row(10, 9_000, 900.0), row(1000, 40_680, 500.0)]),
            Vec::<String>::new()
        );
        let found = bad(vec![row(10, 9_000, 5.0), row(1000, 40_790, 501.0)]);
        assert_eq!(
            found,
            [
                "memory of each group from 10 to 1000, leading: 32.1 KiB, of 32 at most",
                "memory of each group from 10 to 1000, standing by: 32.1 KiB, of 32 at most",
                "1000 groups: handed over in 5.0 times what a bare client needs, of 5 at most",
            ]
        );
    }

    #[test]
    fn whatever_is_lost_or_twice_or_not_measured_is_bad() {
        let mut one = row(1, 8_000, 5.0);
        one.kill.as_mut().unwrap().lost = 1;
        one.stops[0].overlap = 0.5;
        one.crash = None;
        one.leading.as_mut().unwrap().connections = 33;
        assert_eq!(bad(vec![one]).len(), 4);
    }
}
