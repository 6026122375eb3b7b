//! Applier: a release from HashiCorp's own download place, checked against the release's own sums.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{run, verify};

/// Consul for tests; any version from 1.7 on has what the product needs.
pub(super) const CONSUL: Release = Release {
    program: "consul",
    version: "1.21.2",
};

const PLACE: &str = "https://releases.hashicorp.com";

/// One version of one program.
pub(super) struct Release {
    pub(super) program: &'static str,
    pub(super) version: &'static str,
}

impl Release {
    /// Fetches the program for this platform into `work`.
    pub(super) fn fetch(&self, work: &Path) -> Result<PathBuf, String> {
        let Self { program, version } = self;
        let archive = format!("{program}_{version}_linux_{}.zip", platform()?);
        let place = format!("{PLACE}/{program}/{version}");
        let sums = work.join("sums");
        download(&format!("{place}/{program}_{version}_SHA256SUMS"), &sums)?;
        let sums = std::fs::read_to_string(sums).map_err(|error| error.to_string())?;
        let expected = sums
            .lines()
            .filter_map(|line| line.split_once(char::is_whitespace))
            .find(|(_, name)| name.trim() == archive)
            .map(|(sum, _)| sum)
            .ok_or_else(|| format!("the release has no {archive}"))?;
        let zip = work.join("archive.zip");
        download(&format!("{place}/{archive}"), &zip)?;
        verify(&zip, expected)?;
        unzip(&zip, program, work)?;
        Ok(work.join(program))
    }
}

/// Returns this platform by the name that Go gives it.
fn platform() -> Result<&'static str, String> {
    match std::env::consts::ARCH {
        "x86_64" => Ok("amd64"),
        "aarch64" => Ok("arm64"),
        "x86" => Ok("386"),
        other => Err(format!("there is none for {other}")),
    }
}

/// Gives up after a few seconds where there is no internet, and after some minutes where it is slow.
fn download(url: &str, to: &Path) -> Result<(), String> {
    let curl = run(Command::new("curl")
        .args([
            "--fail",
            "--silent",
            "--show-error",
            "--location",
            "--proto",
            "=https",
        ])
        .args(["--connect-timeout", "4", "--max-time", "300", "--output"])
        .arg(to)
        .arg(url));
    match curl {
        Err(reason) if reason.ends_with("is not installed") => run(Command::new("wget")
            .args([
                "--no-verbose",
                "--tries=1",
                "--dns-timeout=4",
                "--connect-timeout=4",
            ])
            .args(["--read-timeout=60", "-O"])
            .arg(to)
            .arg(url))
        .map_err(|wget| format!("{reason}, and {wget}"))
        .map(drop),
        other => other.map(drop),
    }
}

/// Machines differ in what they have for this.
fn unzip(archive: &Path, member: &str, into: &Path) -> Result<(), String> {
    let mut unzip = Command::new("unzip");
    unzip
        .arg("-oq")
        .arg(archive)
        .arg(member)
        .arg("-d")
        .arg(into);
    let mut bsdtar = Command::new("bsdtar");
    bsdtar
        .arg("-xf")
        .arg(archive)
        .arg("-C")
        .arg(into)
        .arg(member);
    let mut python = Command::new("python3");
    python.args(["-m", "zipfile", "-e"]).arg(archive).arg(into);
    let mut reasons = Vec::new();
    for tool in [&mut unzip, &mut bsdtar, &mut python] {
        match run(tool) {
            Ok(_) => return Ok(()),
            Err(reason) => reasons.push(reason),
        }
    }
    Err(reasons.join(", "))
}
