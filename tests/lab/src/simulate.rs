//! Applier: `cargo lab simulate`. Any number of simulations, or one of them line by line.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;
use vip_elector::election::rules::Rule;
use vip_sim::many;
use vip_sim::replay;
use vip_sim::schedule::Schedule;
use vip_sim::shrink::shrink;
use vip_sim::sweep::sweep;
use vip_sim::tally::Tally;
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
    /// Play several groups in one process of each host
    #[arg(long)]
    many: bool,
    /// Print everything that happens in it
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Break a safety rule, by name, to see that somebody notices
    #[arg(long = "break", value_name = "RULE", value_parser = rule)]
    broken: Option<Rule>,
}

/// Plays, prints, and returns whether the promise was kept.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    if let Some(rule) = arguments.broken
        && Rule::SHARED.contains(&rule) != arguments.many
    {
        bail!(
            "{rule:?} is a rule of {}",
            if arguments.many {
                "one group alone: leave --many out"
            } else {
                "what several groups share: add --many"
            }
        );
    }
    match arguments.seed {
        Some(seed) => one(&played(arguments, seed)),
        None => all(arguments),
    }
}

/// One schedule, in words, and what came of it.
struct Played {
    schedule: String,
    trace: Vec<String>,
    violation: Option<(Duration, String)>,
}

fn played(arguments: &Arguments, seed: u64) -> Played {
    let (broken, without) = (arguments.broken, &arguments.without);
    let trace = if arguments.trace {
        Trace::kept()
    } else {
        Trace::default()
    };
    if arguments.many {
        let schedule = many::Schedule::draw(seed).without(without);
        let ended = many::run(&schedule, broken, trace);
        return Played {
            schedule: schedule.to_string(),
            trace: ended.trace,
            violation: ended.violation.map(|(at, seen)| (at, seen.to_string())),
        };
    }
    let schedule = Schedule::draw(seed).without(without);
    let ended = world::run(&schedule, game(arguments), trace);
    Played {
        schedule: schedule.to_string(),
        trace: ended.trace,
        violation: ended.violation.map(|(at, seen)| (at, seen.to_string())),
    }
}

fn game(arguments: &Arguments) -> Game {
    Game {
        broken: arguments.broken,
        ..Game::default()
    }
}

fn one(played: &Played) -> anyhow::Result<bool> {
    let mut out = io::stdout().lock();
    write!(out, "{}", played.schedule)?;
    for line in &played.trace {
        writeln!(out, "{line}")?;
    }
    match &played.violation {
        Some((at, violation)) => writeln!(out, "at {:.4} s: {violation}", at.as_secs_f64())?,
        None => writeln!(out, "no violation")?,
    }
    Ok(played.violation.is_none())
}

/// A seed that found something, and what is left of its schedule.
struct Found {
    seed: u64,
    violation: String,
    shrunk: Option<[String; 3]>,
}

fn swept(arguments: &Arguments) -> (Tally, Vec<Found>) {
    let seeds = arguments.from..arguments.from.saturating_add(arguments.seeds);
    let broken = arguments.broken;
    if arguments.many {
        let swept = many::sweep(seeds, broken, PATIENCE);
        let found = swept.failures.into_iter().map(|failed| {
            let whole = many::Schedule::draw(failed.seed);
            let shrunk = many::shrink(&whole, broken).map(|(without, seen)| {
                let line = replay::line_of_many(failed.seed, &without, broken);
                [whole.without(&without).to_string(), seen.to_string(), line]
            });
            Found {
                seed: failed.seed,
                violation: failed.violation.to_string(),
                shrunk,
            }
        });
        return (swept.tally, found.collect());
    }
    let game = game(arguments);
    let swept = sweep(seeds, game, PATIENCE);
    let found = swept.failures.into_iter().map(|failed| {
        let shrunk = shrink(&Schedule::draw(failed.seed), game).map(|shrunk| {
            let line = replay::line(failed.seed, &shrunk.without, broken);
            [
                shrunk.schedule.to_string(),
                shrunk.violation.to_string(),
                line,
            ]
        });
        Found {
            seed: failed.seed,
            violation: failed.violation.to_string(),
            shrunk,
        }
    });
    (swept.tally, found.collect())
}

fn all(arguments: &Arguments) -> anyhow::Result<bool> {
    let begun = Instant::now();
    let (tally, found) = swept(arguments);
    let seconds = begun.elapsed().as_secs_f64();
    let mut out = io::stdout().lock();
    write!(out, "{tally}")?;
    #[expect(
        clippy::cast_precision_loss,
        reason = "a rate, printed without a fraction"
    )]
    let rate = tally.schedules as f64 / seconds;
    writeln!(out, "{seconds:.1} s, {rate:.0} schedules/s")?;
    for Found {
        seed,
        violation,
        shrunk,
    } in &found
    {
        writeln!(out, "\nseed {seed}: {violation}")?;
        if let Some([schedule, violation, line]) = shrunk {
            write!(out, "{schedule}")?;
            writeln!(out, "{violation}\nreplay: {line}")?;
        }
    }
    writeln!(out, "violations: {}", found.len())?;
    Ok(found.is_empty())
}

fn rule(name: &str) -> Result<Rule, String> {
    let mut rules = Rule::ALL.into_iter().chain(Rule::SHARED);
    let rule = rules.find(|rule| format!("{rule:?}") == name);
    rule.ok_or_else(|| {
        let rules = Rule::ALL.into_iter().chain(Rule::SHARED);
        let names: Vec<String> = rules.map(|rule| format!("{rule:?}")).collect();
        format!("one of {}", names.join(", "))
    })
}
