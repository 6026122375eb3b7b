//! Applier: runs a program that the machine must have.

use std::io;
use std::process::Command;

use anyhow::{Context, bail, ensure};

/// Runs `command` to its end, and returns what it printed. Where it is missing, the error says what it
/// comes with.
pub fn run(command: &mut Command, comes_with: &str) -> anyhow::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = match command.output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!("{name} is not installed: it comes with {comes_with}")
        }
        other => other.with_context(|| format!("cannot run {name}"))?,
    };
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} failed: {}", said.trim());
    String::from_utf8(output.stdout).with_context(|| format!("{name} printed no text"))
}
