//! Applier: builds the daemon.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Context;

/// One line of `cargo build --message-format=json`, as far as it matters.
#[derive(serde::Deserialize)]
struct Message {
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(serde::Deserialize)]
struct Target {
    name: String,
}

/// How the daemon is built.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Profile {
    /// As the tests are, so that nothing is compiled twice.
    Development,
    /// As it is shipped.
    Release,
}

/// Returns the path of the daemon that was built. What cargo has to say goes to standard error.
pub(super) fn daemon(profile: Profile) -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let profile = match profile {
        Profile::Development => "dev",
        Profile::Release => "release",
    };
    let output = Command::new(cargo)
        .args(["build", "--package", "vip-elector", "--bin", "vip-elector"])
        .args(["--profile", profile])
        .arg("--message-format=json-render-diagnostics")
        .arg("--manifest-path")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml"))
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo to build the daemon; use --daemon")?;
    anyhow::ensure!(output.status.success(), "the daemon does not build");
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter(|message| {
            message
                .target
                .as_ref()
                .is_some_and(|it| it.name == "vip-elector")
        })
        .find_map(|message| message.executable)
        .context("cargo built the daemon and did not say where")
}
