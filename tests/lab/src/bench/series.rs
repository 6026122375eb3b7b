//! Driver: all faults of one stack, one after the other in one cluster.

use anyhow::Context;
use vip_lab::cluster::{Cluster, SETTLE_LIMIT, Setup};

use super::fault::Fault;
use super::floor::{self, Watch};
use super::record::{FaultReport, Run, StackReport, milliseconds};
use super::run::run;
use super::stack::{Programs, Purpose, Stack};
use super::table;
use crate::screen::Screen;

/// How often the floor is measured before each fault, so that it is that of the same minutes.
const FLOOR_RUNS: usize = 20;
/// After so many runs on end in which nobody took over, nobody will.
const HOPELESS: usize = 2;
/// How many clusters that no longer get well are replaced.
const REPLACEMENTS: usize = 3;

/// What is to be done.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// The faults, in order.
    pub(super) faults: Vec<Fault>,
    /// Runs of each fault.
    pub(super) runs: usize,
    /// Runs of each fault that is slow.
    pub(super) slow_runs: usize,
}

/// Does what is planned to `stack`, and writes into `report` what was seen, also where it ends early.
pub(super) fn run_all(
    stack: Stack,
    programs: &Programs,
    plan: &Plan,
    screen: Screen,
    report: &mut StackReport,
) -> anyhow::Result<()> {
    let purpose = if plan.faults.contains(&Fault::LocalHealth) {
        Purpose::FaultsWithLocalHealth
    } else {
        Purpose::Faults
    };
    let setup = stack.setup(programs, purpose).map_err(anyhow::Error::msg)?;
    let mut stage = Stage::build(setup)?;
    for fault in &plan.faults {
        if let Some(reason) = stack.cannot(*fault, programs) {
            screen.note(&format!("{fault}: not done: {reason}"));
            report.missing.push(format!("{fault}: {reason}"));
            continue;
        }
        for (watch, times) in [
            (Watch::Led, &mut report.floor_led),
            (Watch::Stale, &mut report.floor_stale),
        ] {
            let floor = floor::measure(&stage.cluster, watch, FLOOR_RUNS)?;
            times.extend(floor.into_iter().map(milliseconds));
        }
        let runs = if fault.is_slow() {
            plan.slow_runs
        } else {
            plan.runs
        };
        let mut seen = Vec::new();
        let ended = stage.repeat(*fault, runs, screen, &mut seen);
        let row = FaultReport::of(fault.name(), fault.to_string(), seen);
        screen.good(&table::line(&row));
        report.faults.push(row);
        stage = ended?;
    }
    Ok(())
}

/// A cluster that is well, and another one when it no longer is.
struct Stage {
    setup: Setup,
    cluster: Cluster,
    leader: String,
    replaced: usize,
}

impl Stage {
    fn build(setup: Setup) -> anyhow::Result<Self> {
        let cluster = setup.start().context("the cluster did not start")?;
        let settled = cluster.settle(SETTLE_LIMIT);
        let leader = settled.with_context(|| cluster.logs())?;
        Ok(Self {
            setup,
            cluster,
            leader,
            replaced: 0,
        })
    }

    /// Does `fault` so many times; returns a stage that is well.
    fn repeat(
        mut self,
        fault: Fault,
        runs: usize,
        screen: Screen,
        seen: &mut Vec<Run>,
    ) -> anyhow::Result<Self> {
        for number in 1..=runs {
            let (run, leader) = run(&mut self.cluster, fault, &self.leader)
                .with_context(|| format!("{fault}\n{}", self.cluster.logs()))?;
            screen.note(&format!(
                "{fault} {number} of {runs}: {}",
                table::sentence(&run)
            ));
            seen.push(run);
            match leader {
                Some(leader) => self.leader = leader,
                None => {
                    screen.bad("the cluster does not get well; another one takes its place");
                    self = self.replace()?;
                }
            }
            let hopeless = |runs: &[Run]| runs.iter().all(|run| run.takeover.is_none());
            if seen.len() >= HOPELESS && hopeless(&seen[seen.len() - HOPELESS..]) {
                break;
            }
        }
        Ok(self)
    }

    fn replace(self) -> anyhow::Result<Self> {
        let replaced = self.replaced + 1;
        anyhow::ensure!(
            replaced <= REPLACEMENTS,
            "{REPLACEMENTS} clusters did not get well again"
        );
        // Two at a time would have hosts of the same names.
        drop(self.cluster);
        let stage = Self::build(self.setup)?;
        Ok(Self { replaced, ..stage })
    }
}
