//! Applier: the command `cargo lab`.

mod bench;
mod compile;
mod demo;
mod pictures;
mod rounds;
mod screen;
mod simulate;
mod soak;
mod svg;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use vip_lab::sandbox::Sandbox;
use vip_lab::{parts, sandbox};

/// Virtual hosts with a real Consul and the real daemon. Works as root and, where the kernel allows
/// user namespaces, without; leaves nothing behind.
#[derive(Parser)]
#[command(name = "cargo lab", bin_name = "cargo lab")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Do one fault after another to a cluster of three, and print what each one cost (about a minute)
    Demo {
        /// Leave the cluster up afterwards, until Ctrl-C
        #[arg(long)]
        keep: bool,
        /// Run this program instead of building the daemon
        #[arg(long, value_name = "PATH")]
        daemon: Option<PathBuf>,
    },
    /// Do the same faults many times, to this and to other programs, and print what they cost: a table,
    /// bench.json, and a timeline of each fault
    #[command(after_help = bench::HELP)]
    Bench(bench::Arguments),
    /// Play the election on simulated hosts, with faults drawn from a seed, and watch the promise
    Simulate(simulate::Arguments),
    /// Do faults of every kind to a cluster of three, in an order of chance; fail if ever two hosts had
    /// an address, or nobody had it in the end
    Chaos {
        /// Decides on the order, the victims and the times [default: the clock does]
        #[arg(long)]
        seed: Option<u64>,
        /// How long new faults come
        #[arg(long, default_value_t = 10)]
        minutes: u64,
        /// How many groups each host carries, of both families; what is about one group is about one of ten
        /// that clients ask
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=4000))]
        groups: u16,
        /// Run this program instead of building the daemon
        #[arg(long, value_name = "PATH")]
        daemon: Option<PathBuf>,
    },
    /// Have elections as fast as they come, and fail if anything grows with them: memory, open files,
    /// threads, sessions, services, keys, or the log of an election
    #[command(after_help = soak::HELP)]
    Soak(soak::Arguments),
    /// Draw the pictures of the README (about two minutes)
    Pictures(pictures::Arguments),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Demo { keep, daemon } => demo(keep, daemon),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Simulate(arguments) => simulate::run(&arguments),
        Command::Chaos {
            seed,
            minutes,
            groups,
            daemon,
        } => chaos(seed, minutes, groups, daemon),
        Command::Soak(arguments) => soak(&arguments),
        Command::Pictures(arguments) => pictures(&arguments).map(|()| true),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn demo(keep: bool, daemon: Option<PathBuf>) -> anyhow::Result<bool> {
    let (sandbox, daemon) = prepare(daemon)?;
    demo::run(
        sandbox,
        &daemon,
        if keep {
            demo::After::Keep
        } else {
            demo::After::Leave
        },
    )
}

fn chaos(
    seed: Option<u64>,
    minutes: u64,
    groups: u16,
    daemon: Option<PathBuf>,
) -> anyhow::Result<bool> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = seed.unwrap_or(now.map_or(0, |since| since.as_secs()));
    let (_, daemon) = prepare(daemon)?;
    let time = Duration::from_secs(60 * minutes);
    rounds::run(&daemon, rounds::Plan { seed, groups, time })
}

fn soak(arguments: &soak::Arguments) -> anyhow::Result<bool> {
    let (_, daemon) = prepare(arguments.daemon.clone())?;
    soak::run(arguments, daemon)
}

fn pictures(arguments: &pictures::Arguments) -> anyhow::Result<()> {
    let daemon = daemon(arguments.daemon())?;
    arguments.draw_demo(&daemon)?;
    let (_, daemon) = prepare(Some(daemon))?;
    arguments.draw_status(&daemon)
}

/// What needs the machine (its compiler, its network) comes before the sandbox.
fn prepare(daemon: Option<PathBuf>) -> anyhow::Result<(Sandbox, PathBuf)> {
    let daemon = self::daemon(daemon)?;
    parts::consul()?;
    Ok((sandbox::enter()?, daemon))
}

fn daemon(path: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    match path {
        Some(path) => Ok(std::path::absolute(path)?),
        None => compile::daemon(compile::Profile::Development),
    }
}
