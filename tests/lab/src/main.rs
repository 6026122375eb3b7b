//! Applier: the command `cargo lab`.

mod compile;
mod demo;
mod simulate;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
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
    /// Do one fault after another to a cluster of three, and print what each one cost (about 2 minutes)
    Demo {
        /// Leave the cluster up afterwards, until Ctrl-C
        #[arg(long)]
        keep: bool,
        /// Run this program instead of building the daemon
        #[arg(long, value_name = "PATH")]
        daemon: Option<PathBuf>,
    },
    /// Play the election on simulated hosts, with faults drawn from a seed, and watch the promise
    Simulate(simulate::Arguments),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Demo { keep, daemon } => demo(keep, daemon),
        Command::Simulate(arguments) => simulate::run(&arguments),
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

/// What needs the machine (its compiler, its network) comes before the sandbox.
fn demo(keep: bool, daemon: Option<PathBuf>) -> anyhow::Result<bool> {
    let daemon = match daemon {
        Some(path) => std::path::absolute(path)?,
        None => compile::daemon()?,
    };
    parts::consul()?;
    let sandbox = sandbox::enter()?;
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
