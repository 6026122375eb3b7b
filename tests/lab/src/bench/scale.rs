//! Driver: `cargo lab bench --groups`: what many groups on one host cost, and how fast they move.

mod bare;
mod carrier;
mod figures;
mod report;
mod scene;

use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use self::carrier::Carrier;
use self::figures::{Figures, Row};
use super::record::Machine;
use super::stack::Programs;
use super::table;
use crate::screen::Screen;

/// What is measured.
pub(super) struct Plan<'a> {
    /// Numbers of groups in one process.
    pub(super) groups: &'a [u16],
    /// How long each is weighed.
    pub(super) time: Duration,
    /// Whether others are measured as well.
    pub(super) peers: bool,
}

/// Measures, and writes `groups.json` and `groups.md` into `out`; returns whether every verdict is good.
pub(super) fn run(
    plan: &Plan<'_>,
    programs: &Programs,
    machine: Machine,
    screen: Screen,
    out: &Path,
) -> anyhow::Result<bool> {
    for line in table::header(&machine, super::record::milliseconds(scene::RHYTHM)) {
        screen.plain(&line);
    }
    let mut figures = Figures::new(machine);
    let mut good = true;
    for (carrier, groups) in rows(plan) {
        screen.title(&format!("{}, {groups} groups", carrier.name()));
        let mut row = Row::new(carrier.name(), groups);
        if let Err(error) = scene::measure(carrier, groups, plan.time, programs, screen, &mut row) {
            screen.bad(&format!("{error:#}"));
            row.missing.push(super::first_line(&error));
            good &= carrier != Carrier::One;
        }
        figures.rows.push(row);
        // After each, so that an end in between loses little.
        keep(&figures, out).with_context(|| format!("cannot write to {}", out.display()))?;
    }
    screen.table(&report::text(&figures));
    screen.plain("");
    for verdict in figures.verdicts() {
        good &= verdict.good;
        if verdict.good {
            screen.good(&verdict.text);
        } else {
            screen.bad(&verdict.text);
        }
    }
    for note in report::notes(&figures) {
        screen.plain(&note);
    }
    screen.plain(&format!("groups.json and groups.md: {}", out.display()));
    Ok(good)
}

fn rows(plan: &Plan<'_>) -> Vec<(Carrier, u16)> {
    let mut carriers = vec![Carrier::One];
    if plan.peers {
        carriers.extend([Carrier::Each, Carrier::Keepalived]);
    }
    carriers
        .into_iter()
        .flat_map(|carrier| {
            let groups = carrier.groups().unwrap_or(plan.groups);
            groups.iter().map(move |groups| (carrier, *groups))
        })
        .collect()
}

fn keep(figures: &Figures, out: &Path) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(figures)?;
    std::fs::write(out.join("groups.json"), json)?;
    std::fs::write(out.join("groups.md"), report::markdown(figures))?;
    Ok(())
}
