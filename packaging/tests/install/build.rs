//! Applier: the packages under test, built inside the root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use vip_pack::{tool, tree};

use crate::root::Root;

/// A time that every build is told.
const EPOCH: u64 = 1_767_225_599;

/// What makes packages.
pub(crate) struct Builder {
    /// The program to pack.
    pub(crate) daemon: PathBuf,
}

impl Builder {
    /// Builds a package (`deb`, `rpm`) with the command that an operator uses, and returns its path inside
    /// the root.
    pub(crate) fn build(&self, root: &Root, kind: &str, out: &str) -> Result<String, String> {
        let printed = root.run(&format!(
            "SOURCE_DATE_EPOCH={EPOCH} {} {kind} --daemon {} --out {out}",
            env!("CARGO_BIN_EXE_vip-pack"),
            self.daemon.display()
        ))?;
        Ok(printed.trim().to_owned())
    }

    /// Builds one twice, in two places, and fails where they differ.
    pub(crate) fn build_twice(&self, root: &Root, kind: &str) -> Result<String, String> {
        let [first, second] = ["/srv/first", "/srv/second"].map(|out| self.build(root, kind, out));
        let (first, second) = (first?, second?);
        assert_ne!(first, second);
        let [one, two] = [&first, &second].map(|path| fs::read(root.path(path)).unwrap());
        assert!(one.len() > 1 << 20, "only {} bytes", one.len());
        assert!(one == two, "two builds of one source differ");
        Ok(first)
    }
}

/// Builds the daemon as the other tests do, and returns a copy without what only a debugger reads.
pub(crate) fn daemon() -> Result<PathBuf, String> {
    let built = || {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        tool::run(
            Command::new(cargo)
                .args([
                    "build",
                    "--quiet",
                    "--package",
                    "vip-elector",
                    "--bin",
                    "vip-elector",
                ])
                .arg("--manifest-path")
                .arg(tree::root().join("Cargo.toml")),
            "a Rust toolchain",
        )?;
        // Beside the directory of the tests' own programs.
        let program = Path::new(env!("CARGO_BIN_EXE_vip-pack")).with_file_name("vip-elector");
        let id = std::process::id();
        let stripped = Path::new(env!("CARGO_TARGET_TMPDIR")).join("vip-elector-stripped");
        let own = stripped.with_extension(id.to_string());
        let strip = ["-o".as_ref(), own.as_os_str(), program.as_os_str()];
        tool::run(Command::new("strip").args(strip), "binutils")?;
        fs::rename(&own, &stripped)?;
        Ok(stripped)
    };
    built().map_err(|error: anyhow::Error| format!("{error:#}"))
}
