//! Applier: `cargo lab simulate`. Any number of simulations, or one of them line by line.

use std::io::{self, Write};
use std::time::Instant;

use clap::Args;
use vip_elector::election::rules::Rule;
use vip_sim::replay;
use vip_sim::schedule::Schedule;
use vip_sim::shrink::shrink;
use vip_sim::sweep::sweep;
use vip_sim::trace::Trace;
use vip_sim::world::{self, Game};

/// How many failing seeds are enough for each thread.
const PATIENCE: usize = 5;

/// The words after `cargo lab simulate`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Play this many schedules
    #[arg(
        long,
        value_name = "N",
        default_value_t = 10_000,
        conflicts_with = "seed"
    )]
    seeds: u64,
    /// Begin with this seed
    #[arg(long, value_name = "S", default_value_t = 0, conflicts_with = "seed")]
    from: u64,
    /// Play one schedule
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Leave these of its faults out, by number
    #[arg(long, value_name = "N,N", value_delimiter = ',', requires = "seed")]
    without: Vec<usize>,
    /// Print everything that happens in it
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Break a safety rule, by name, to see that somebody notices
    #[arg(long = "break", value_name = "RULE", value_parser = rule)]
    broken: Option<Rule>,
}

/// Plays, prints, and returns whether the promise was kept.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let game = Game {
        broken: arguments.broken,
        ..Game::default()
    };
    match arguments.seed {
        Some(seed) => one(arguments, seed, game),
        None => many(arguments, game),
    }
}

fn one(arguments: &Arguments, seed: u64, game: Game) -> anyhow::Result<bool> {
    let schedule = Schedule::draw(seed).without(&arguments.without);
    let trace = if arguments.trace {
        Trace::kept()
    } else {
        Trace::default()
    };
    let ended = world::run(&schedule, game, trace);
    let mut out = io::stdout().lock();
    write!(out, "{schedule}")?;
    for line in &ended.trace {
        writeln!(out, "{line}")?;
    }
    match &ended.violation {
        Some((at, violation)) => writeln!(out, "at {:.4} s: {violation}", at.as_secs_f64())?,
        None => writeln!(out, "no violation")?,
    }
    Ok(ended.violation.is_none())
}

fn many(arguments: &Arguments, game: Game) -> anyhow::Result<bool> {
    let begun = Instant::now();
    let seeds = arguments.from..arguments.from.saturating_add(arguments.seeds);
    let swept = sweep(seeds, game, PATIENCE);
    let seconds = begun.elapsed().as_secs_f64();
    let mut out = io::stdout().lock();
    write!(out, "{}", swept.tally)?;
    #[expect(
        clippy::cast_precision_loss,
        reason = "a rate, printed without a fraction"
    )]
    let rate = swept.tally.schedules as f64 / seconds;
    writeln!(out, "{seconds:.1} s, {rate:.0} schedules/s")?;
    for failed in &swept.failures {
        writeln!(out, "\nseed {}: {}", failed.seed, failed.violation)?;
        let whole = Schedule::draw(failed.seed);
        if let Some(shrunk) = shrink(&whole, game) {
            write!(out, "{}", shrunk.schedule)?;
            let line = replay::line(failed.seed, &shrunk.without, game.broken);
            writeln!(out, "{}\nreplay: {line}", shrunk.violation)?;
        }
    }
    writeln!(out, "violations: {}", swept.failures.len())?;
    Ok(swept.failures.is_empty())
}

fn rule(name: &str) -> Result<Rule, String> {
    let rule = Rule::ALL
        .into_iter()
        .find(|rule| format!("{rule:?}") == name);
    rule.ok_or_else(|| {
        let names: Vec<String> = Rule::ALL.iter().map(|rule| format!("{rule:?}")).collect();
        format!("one of {}", names.join(", "))
    })
}
