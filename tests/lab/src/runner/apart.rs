//! Applier: one test in a process, and so in a sandbox, of its own.

use std::io::{self, Read};
use std::process::{Command, Stdio};

use libtest_mimic::{Failed, Trial};
use nix::sys::signal::Signal;

use super::{instead, said};
use crate::netns::before_exec;

/// Returns a trial that runs this binary once more, for `trial` alone.
pub(super) fn trial(trial: &Trial) -> Trial {
    let name = trial.name().to_owned();
    instead(trial, move || run(&name))
}

fn run(name: &str) -> Result<(), Failed> {
    // One pipe for both streams, so that what was said stays in its order.
    let (mut output, end) = io::pipe()?;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args([name, "--exact", "--include-ignored", "--color=never"])
        .stdin(Stdio::null())
        .stdout(end.try_clone()?)
        .stderr(end);
    // A thread that runs a test lives as long as it, and dies with this process.
    before_exec(&mut command, || {
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(io::Error::from)
    });
    let mut process = command.spawn()?;
    drop(command);
    let mut printed = Vec::new();
    // Ends when nobody is left inside.
    output.read_to_end(&mut printed)?;
    let status = process.wait()?;
    let printed = String::from_utf8_lossy(&printed);
    if status.success() && said::passed(&printed) {
        return Ok(());
    }
    Err(match said::of_failed(name, &printed) {
        Some(said) => said.into(),
        None => format!("{printed}\nits process ended with {status}, and without a verdict").into(),
    })
}
