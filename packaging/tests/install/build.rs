//! The packages under test, built inside the root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use vip_pack::{tool, tree};

use crate::root::Root;

/// A time that every build is told.
const EPOCH: u64 = 1_767_225_599;

/// Both packages, by their paths inside the root.
pub(crate) struct Built {
    pub(crate) deb: String,
    pub(crate) rpm: String,
    daemon: PathBuf,
}

impl Built {
    /// Builds both with the command that an operator uses.
    pub(crate) fn new(root: &Root, daemon: &Path) -> Result<Self, String> {
        Self::at(root, daemon, "/srv/packages")
    }

    fn at(root: &Root, daemon: &Path, out: &str) -> Result<Self, String> {
        let printed = root.run(&format!(
            "SOURCE_DATE_EPOCH={EPOCH} {} --daemon {} --out {out}",
            env!("CARGO_BIN_EXE_vip-pack"),
            daemon.display()
        ))?;
        let [deb, rpm] = printed.lines().collect::<Vec<_>>()[..] else {
            return Err(format!("two packages were wanted, not {printed:?}"));
        };
        Ok(Self {
            deb: deb.to_owned(),
            rpm: rpm.to_owned(),
            daemon: daemon.to_owned(),
        })
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

/// Built again, elsewhere and later.
pub(crate) fn the_same_bytes(root: &Root, built: &Built) -> Result<(), String> {
    let again = Built::at(root, &built.daemon, "/srv/again")?;
    for (first, second) in [(&built.deb, &again.deb), (&built.rpm, &again.rpm)] {
        assert_ne!(first, second);
        let [first, second] = [first, second].map(|path| fs::read(root.path(path)).unwrap());
        assert!(first.len() > 1 << 20, "only {} bytes", first.len());
        assert!(first == second, "two builds differ");
    }
    Ok(())
}
