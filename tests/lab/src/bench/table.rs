//! Pure: the figures as people read them.

use super::record::{FaultReport, Machine, Report, Run, StackReport};
use super::statistics::{Summary, median};
use crate::table::align;

const RESULTS: [&str; 8] = [
    "stack", "fault", "N", "takeover", "outage", "overlap", "takeover", "outage",
];
/// What the columns of [`RESULTS`] are: times in milliseconds, and medians as multiples of the floor.
const UNITS: [&str; 8] = [
    "",
    "",
    "",
    "min/median/p99/max",
    "min/median/p99/max",
    "max",
    "x floor",
    "x floor",
];
const WEIGHTS: [&str; 9] = [
    "stack",
    "role",
    "processes",
    "threads",
    "resident",
    "peak",
    "CPU/min",
    "scripts/min",
    "requests/min",
];

/// Returns what was measured where, and when.
pub(super) fn header(machine: &Machine, rhythm: f64) -> Vec<String> {
    let Machine {
        date,
        kernel,
        processor,
        cores,
        memory_mib,
        load,
        versions,
    } = machine;
    vec![
        format!("{date}, Linux {kernel}, {cores} x {processor}, {memory_mib} MiB"),
        format!("load when it began: {load}; {}", versions.join("; ")),
        format!("the client asks every {rhythm} ms: nothing shorter can be told"),
    ]
}

/// Returns the table of all faults, headings first.
pub(super) fn results(report: &Report) -> Vec<String> {
    let rows = report.stacks.iter().flat_map(|stack| {
        let floor = stack.floor();
        stack.faults.iter().map(move |fault| {
            let ratio = |summary: &Option<Summary>| {
                let ratio = summary.and_then(|it| Some(it.median? / floor?));
                ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.1}"))
            };
            [
                stack.stack.clone(),
                fault.title.clone(),
                fault.runs.len().to_string(),
                four(fault.takeover.as_ref()),
                four(fault.outage.as_ref()),
                time(Some(fault.overlap_max)),
                ratio(&fault.takeover),
                ratio(&fault.outage),
            ]
        })
    });
    let headings = [RESULTS, UNITS].map(|line| line.map(str::to_owned));
    align(&headings.into_iter().chain(rows).collect::<Vec<_>>(), 2)
}

/// Returns the table of weights, headings first; nothing where nothing was weighed.
pub(super) fn weights(report: &Report) -> Vec<String> {
    let rows = report.stacks.iter().flat_map(|stack| {
        stack.weight.iter().map(|weight| {
            [
                stack.stack.clone(),
                weight.role.to_owned(),
                weight.processes.to_string(),
                weight.threads.to_string(),
                megabytes(weight.resident_kib),
                megabytes(weight.peak_kib),
                format!("{:.2} s", weight.cpu_seconds),
                format!("{:.2} s", weight.script_seconds),
                weight
                    .requests
                    .map_or("-".to_owned(), |requests| format!("{requests:.0}")),
            ]
        })
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let headings = [WEIGHTS.map(str::to_owned)];
    align(&headings.into_iter().chain(rows).collect::<Vec<_>>(), 2)
}

/// Returns what stands below the tables: each stack's floor, and what was not measured.
pub(super) fn notes(report: &Report) -> Vec<String> {
    let note = |stack: &StackReport| {
        let floors = [
            ("through the raft leader", &stack.floor_led),
            ("at the own server", &stack.floor_stale),
        ];
        let floors = floors.into_iter().filter_map(|(way, times)| {
            let median = time(Some(median(times)?));
            let number = times.len();
            Some(format!(
                "{}: one commit and one wake-up of a watch {way}: {median} ms, median of {number}",
                stack.stack
            ))
        });
        let missing = stack.missing.iter();
        let missing = missing.map(|missing| format!("{}: not measured: {missing}", stack.stack));
        floors.chain(missing).collect::<Vec<_>>()
    };
    report.stacks.iter().flat_map(note).collect()
}

/// Returns one fault's figures in a line.
pub(super) fn line(fault: &FaultReport) -> String {
    format!(
        "{}: {} runs, takeover {} ms, outage {} ms, overlap {} ms at most",
        fault.title,
        fault.runs.len(),
        four(fault.takeover.as_ref()),
        four(fault.outage.as_ref()),
        time(Some(fault.overlap_max)),
    )
}

/// Returns one run's figures in a sentence.
pub(super) fn sentence(run: &Run) -> String {
    let after = match &run.after {
        Some(after) => format!("{} to {after} after {} ms", run.before, time(run.takeover)),
        None => format!("nobody took over from {}", run.before),
    };
    let trouble = run.trouble.as_ref();
    let trouble = trouble.map_or_else(String::new, |trouble| format!("; {trouble}"));
    format!(
        "{after}, outage {} ms, overlap {} ms{trouble}",
        time(run.outage),
        time(Some(run.overlap))
    )
}

/// Returns a time of so many milliseconds, with as much as can be told; never rounded down to 0.
pub(super) fn time(milliseconds: Option<f64>) -> String {
    match milliseconds {
        None => "never".to_owned(),
        Some(0.0) => "0".to_owned(),
        Some(time) if time < 100.0 => format!("{:.1}", time.max(0.1)),
        Some(time) => format!("{time:.0}"),
    }
}

fn four(summary: Option<&Summary>) -> String {
    match summary {
        None => "-".to_owned(),
        Some(Summary {
            min,
            median,
            p99,
            max,
        }) => [*min, *median, *p99, *max].map(time).join("/"),
    }
}

fn megabytes(kib: u64) -> String {
    format!(
        "{}.{} MB",
        kib * 1024 / 1_000_000,
        kib * 1024 / 100_000 % 10
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::record::Weight;

    fn run(takeover: Option<f64>, overlap: f64) -> Run {
        Run {
            before: "web1".to_owned(),
            after: takeover.map(|_| "web2".to_owned()),
            raft_leader: None,
            takeover,
            outage: takeover,
            overlap,
            healed: 0.0,
            trouble: None,
            tenures: Vec::new(),
            service: Vec::new(),
            silences: Vec::new(),
        }
    }

    fn report() -> Report {
        let fault = |name: &str, runs| FaultReport::of(name.to_owned(), name.to_owned(), runs);
        Report {
            machine: Machine::default(),
            rhythm: 1.0,
            stacks: vec![StackReport {
                floor_led: vec![4.0, 6.0, 5.0],
                floor_stale: vec![70.0, 90.0],
                faults: vec![
                    fault("stop", vec![run(Some(11.26), 0.0), run(Some(13.0), 0.01)]),
                    fault("freeze", vec![run(Some(6012.4), 0.0), run(None, 0.0)]),
                ],
                weight: vec![Weight {
                    role: "leader",
                    processes: 1,
                    resident_kib: 8_400,
                    peak_kib: 9_000,
                    threads: 2,
                    cpu_seconds: 0.31,
                    script_seconds: 0.0,
                    requests: None,
                }],
                missing: vec!["switchover: this daemon has none".to_owned()],
                ..StackReport::new("ours".to_owned())
            }],
        }
    }

    #[test]
    fn figures_stand_below_what_they_are() {
        assert_eq!(
            results(&report()),
            [
                "stack  fault   N                takeover                  outage  overlap  takeover   outage",
                "                      min/median/p99/max      min/median/p99/max      max   x floor  x floor",
                "ours   stop    2     11.3/12.1/13.0/13.0     11.3/12.1/13.0/13.0      0.1       2.4      2.4",
                "ours   freeze  2  6012/never/never/never  6012/never/never/never        0         -        -",
            ]
        );
    }

    #[test]
    fn weights_and_notes_say_what_is_missing() {
        assert_eq!(
            weights(&report()),
            [
                "stack  role    processes  threads  resident    peak  CPU/min  scripts/min  requests/min",
                "ours   leader          1        2    8.6 MB  9.2 MB   0.31 s       0.00 s             -",
            ]
        );
        assert_eq!(
            notes(&report()),
            [
                "ours: one commit and one wake-up of a watch through the raft leader: 5.0 ms, median of 3",
                "ours: one commit and one wake-up of a watch at the own server: 80.0 ms, median of 2",
                "ours: not measured: switchover: this daemon has none",
            ]
        );
    }
}
