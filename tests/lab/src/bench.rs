//! Driver: `cargo lab bench`: the same faults many times, to vip-elector and to others, in figures
//! and pictures.

mod fault;
mod floor;
mod keepalived;
mod machine;
mod record;
mod run;
mod scale;
mod series;
mod stack;
mod statistics;
mod table;
mod timeline;
mod weight;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use vip_lab::{chain, parts, sandbox};

use crate::compile::{self, Profile};
use crate::screen::Screen;
use fault::Fault;
use record::{Report, StackReport};
use series::Plan;
use stack::{Programs, Stack};

/// What the command line says.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// How often each fault is done; 0 for none at all
    #[arg(long, value_name = "N", default_value_t = 20)]
    runs: usize,
    /// How often each fault is done that takes most of a minute to recover from (never more than --runs)
    #[arg(long, value_name = "N", default_value_t = 5)]
    slow_runs: usize,
    /// What is measured [default: ours,ours-tuned; with --peers everything]
    #[arg(long, value_name = "NAMES", value_enum, value_delimiter = ',')]
    stacks: Vec<Stack>,
    /// What is done to it [default: everything]
    #[arg(long, value_name = "NAMES", value_enum, value_delimiter = ',')]
    faults: Vec<Fault>,
    /// Measure the others as well, as far as they are installed; what is missing is said
    #[arg(long)]
    peers: bool,
    /// Weigh each as well: memory, processor time and requests to Consul in a time without events, ours
    /// with TLS
    #[arg(long)]
    weight: bool,
    /// How long that time is
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u64,
    /// Measure one process with so many groups instead, each number in a cluster of its own; with --peers
    /// also a process for each group, and keepalived
    #[arg(
        long,
        value_name = "N",
        value_delimiter = ',',
        num_args = 0..=1,
        default_missing_value = "1,10,100,1000",
        value_parser = clap::value_parser!(u16).range(1..=4000)
    )]
    groups: Option<Vec<u16>>,
    /// Where bench.json and the timelines go [default: target/lab/bench]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Run this program instead of building the daemon, as released
    #[arg(long, value_name = "PATH")]
    daemon: Option<PathBuf>,
}

/// What is below the list of options.
pub(super) const HELP: &str = "\
Three virtual hosts, each with a Consul server, and a client that asks the virtual IP every \
millisecond who it is. All faults of a stack are done in one cluster, to the host that has the address.

Takeover: from the fault to the first answer of another host. Outage: the longest time without an \
answer. Overlap: how long more than one living host had the address. Floor: what one commit and one \
wake-up take in the same cluster, by the quicker of two ways to watch a key.

To try it (2 minutes):
  cargo lab bench --runs 2 --faults stop,crash --stacks ours
Memory, processor time and requests:
  cargo lab bench --runs 0 --weight --peers
Many groups (15 minutes; with --peers 40), into groups.json and groups.md:
  cargo lab bench --groups
Everything (hours), on a machine that does nothing else:
  cargo lab bench --peers --weight

keepalived takes part if it is installed (apt-get install keepalived); vip-manager 1.0.1 is fetched \
into the lab's cache where it is not there yet.";

/// Measures; returns whether all of ours was measured, and never two of its hosts had the address.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let screen = Screen::new();
    // What needs the machine comes before the sandbox.
    let consul = parts::consul()?;
    let programs = programs(arguments)?;
    let machine = machine::look(&consul, &programs);
    let out = out(arguments)?;
    sandbox::enter()?;
    if let Some(groups) = &arguments.groups {
        let plan = scale::Plan {
            groups,
            time: Duration::from_secs(arguments.seconds),
            peers: arguments.peers,
        };
        return scale::run(&plan, &programs, machine, screen, &out);
    }

    let rhythm = record::milliseconds(stack::RHYTHM);
    for line in table::header(&machine, rhythm) {
        screen.plain(&line);
    }
    let plan = plan(arguments);
    let mut report = Report {
        machine,
        rhythm,
        stacks: Vec::new(),
    };
    let mut good = true;
    for stack in stacks(arguments) {
        screen.title(&stack.name());
        let mut seen = StackReport::new(stack.name());
        if let Err(error) = measure(arguments, stack, &programs, &plan, screen, &mut seen) {
            screen.bad(&format!("{error:#}"));
            seen.missing.push(first_line(&error));
            good &= !stack.promises();
        }
        good &= !stack.promises() || seen.faults.iter().all(|fault| fault.overlap_max == 0.0);
        report.stacks.push(seen);
        // After each, so that an end in between loses little.
        keep(&report, &out).with_context(|| format!("cannot write to {}", out.display()))?;
    }
    show(screen, &report, &out);
    Ok(good)
}

fn measure(
    arguments: &Arguments,
    stack: Stack,
    programs: &Programs,
    plan: &Plan,
    screen: Screen,
    seen: &mut StackReport,
) -> anyhow::Result<()> {
    if plan.runs > 0 {
        series::run_all(stack, programs, plan, screen, seen)?;
    }
    if arguments.weight {
        let time = Duration::from_secs(arguments.seconds);
        screen.note(&format!("weighing it for {} s", time.as_secs()));
        seen.weight = weight::measure(stack, programs, time)?;
    }
    Ok(())
}

fn show(screen: Screen, report: &Report, out: &Path) {
    screen.table(&table::results(report));
    let weights = table::weights(report);
    if !weights.is_empty() {
        screen.table(&weights);
    }
    screen.plain("");
    for line in table::header(&report.machine, report.rhythm)
        .into_iter()
        .chain(table::notes(report))
    {
        screen.plain(&line);
    }
    screen.plain(&format!("every run, and the timelines: {}", out.display()));
}

fn stacks(arguments: &Arguments) -> Vec<Stack> {
    match (&*arguments.stacks, arguments.peers) {
        ([], true) => Stack::value_variants().to_vec(),
        ([], false) => Stack::OURS.to_vec(),
        (named, _) => named.to_vec(),
    }
}

fn plan(arguments: &Arguments) -> Plan {
    Plan {
        faults: if arguments.faults.is_empty() {
            Fault::value_variants().to_vec()
        } else {
            arguments.faults.clone()
        },
        runs: arguments.runs,
        slow_runs: arguments.slow_runs.min(arguments.runs),
    }
}

/// Finds or builds what the stacks consist of.
fn programs(arguments: &Arguments) -> anyhow::Result<Programs> {
    let daemon = match &arguments.daemon {
        Some(path) => std::path::absolute(path)?,
        None => compile::daemon(Profile::Release)?,
    };
    let help = Command::new(&daemon).arg("--help").output();
    let help = help.with_context(|| format!("cannot run {}", daemon.display()))?;
    let wanted = |stack| stacks(arguments).contains(&stack);
    let unwanted = || Err("not asked for".to_owned());
    Ok(Programs {
        daemon,
        help: String::from_utf8_lossy(&help.stdout).into_owned(),
        keepalived: if wanted(Stack::Keepalived) || wanted(Stack::KeepalivedFast) {
            parts::keepalived().map_err(|error| chain(&error))
        } else {
            unwanted()
        },
        curl: curl(),
        vip_manager: if wanted(Stack::VipManager) {
            parts::vip_manager().map_err(|error| chain(&error))
        } else {
            unwanted()
        },
    })
}

/// keepalived runs its script without a `PATH`.
fn curl() -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|directory| directory.join("curl"))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            "curl is not installed, and keepalived's script needs it: apt-get install curl"
                .to_owned()
        })
}

fn out(arguments: &Arguments) -> anyhow::Result<PathBuf> {
    let out = arguments
        .out
        .clone()
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/lab/bench"));
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    out.canonicalize()
        .with_context(|| format!("cannot use {}", out.display()))
}

/// Writes `bench.json`, and a timeline of each fault's most typical run.
fn keep(report: &Report, out: &Path) -> anyhow::Result<()> {
    fs::write(
        out.join("bench.json"),
        serde_json::to_string_pretty(report)?,
    )?;
    let hosts: Vec<String> = (1..=3).map(|number| format!("web{number}")).collect();
    for stack in &report.stacks {
        for fault in &stack.faults {
            let takeovers: Vec<Option<f64>> = fault.runs.iter().map(|run| run.takeover).collect();
            if let Some(number) = statistics::typical(&takeovers) {
                let title = format!(
                    "{}: {} (run {} of {}, next to the median)",
                    stack.stack,
                    fault.title,
                    number + 1,
                    fault.runs.len()
                );
                let svg = timeline::draw(&title, &fault.runs[number], &hosts);
                fs::write(
                    out.join(format!("{}-{}.svg", stack.stack, fault.fault)),
                    svg,
                )?;
            }
        }
    }
    Ok(())
}

/// A message with logs in it is for the screen.
fn first_line(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    text.lines().next().unwrap_or_default().to_owned()
}
