//! What is packed: which version, of when, by whom.

use std::process::Command;

use anyhow::Context;

use crate::{tool, tree};

/// One version of the program.
#[derive(Clone, Debug)]
pub struct Release {
    /// As in Cargo.toml.
    pub version: String,
    /// Seconds since 1970: every file's time, and every date.
    pub epoch: u64,
    /// Who answers for the packages: a name, and an address in angle brackets. As in Cargo.toml.
    pub maintainer: &'static str,
    /// Where the project is. As in Cargo.toml.
    pub homepage: &'static str,
}

impl Release {
    /// The version of this source; the time is `$SOURCE_DATE_EPOCH`, else that of the last commit.
    pub fn of_this_source() -> anyhow::Result<Self> {
        let epoch = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(text) => text,
            Err(_) => tool::run(
                Command::new("git")
                    .arg("-C")
                    .arg(tree::root())
                    .args(["log", "-1", "--format=%ct"]),
                "git",
            )
            .context("cannot ask for the time of the last commit; set SOURCE_DATE_EPOCH")?,
        };
        let epoch = epoch.trim();
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            epoch: epoch
                .parse()
                .with_context(|| format!("SOURCE_DATE_EPOCH is {epoch:?}, and must be seconds"))?,
            maintainer: env!("CARGO_PKG_AUTHORS"),
            homepage: env!("CARGO_PKG_REPOSITORY"),
        })
    }

    /// The date in UTC, by a format of date(1).
    pub fn date(&self, format: &str) -> anyhow::Result<String> {
        let date = tool::run(
            Command::new("date")
                .env("LC_ALL", "C")
                .arg("--utc")
                .arg(format!("--date=@{}", self.epoch))
                .arg(format!("+{format}")),
            "coreutils",
        )?;
        Ok(date.trim().to_owned())
    }
}
