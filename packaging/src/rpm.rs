//! Applier: the package for Fedora, RHEL and openSUSE.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use clap_complete::Shell;

use crate::release::Release;
use crate::tree::{DOC, put, root};
use crate::{completions, tool};

/// Makes a package of the tree, below `out`, and returns its path.
pub fn build(release: &Release, tree: &Path, out: &Path) -> anyhow::Result<PathBuf> {
    put(
        tree,
        "usr/share/zsh/site-functions/_vip-elector",
        completions::script(Shell::Zsh)?.as_bytes(),
    )?;
    for file in ["CHANGELOG.md", "LICENSE"] {
        let text = fs::read(root().join(file)).with_context(|| format!("cannot read {file}"))?;
        put(tree, &format!("{DOC}/{file}"), &text)?;
    }
    let work = tempfile::tempdir().context("cannot make a directory to work in")?;
    let mut spec = include_str!("../rpm/vip-elector.spec").to_owned();
    for (mark, value) in [
        ("@version@", release.version.as_str()),
        ("@maintainer@", release.maintainer),
        ("@homepage@", release.homepage),
        ("@date@", &release.date("%a %b %d %Y")?),
        ("@tree@", &tree.display().to_string()),
        (
            "@after-install@",
            include_str!("../scripts/after-install.sh"),
        ),
        (
            "@before-remove@",
            include_str!("../scripts/before-remove.sh"),
        ),
        ("@after-remove@", include_str!("../scripts/after-remove.sh")),
    ] {
        spec = spec.replace(mark, value);
    }
    put(work.path(), "vip-elector.spec", spec.as_bytes())?;
    let out = fs::canonicalize(out).with_context(|| format!("cannot find {}", out.display()))?;
    let define = |name: &str, value: &Path| format!("{name} {}", value.display());
    tool::run(
        Command::new("rpmbuild")
            .arg("-bb")
            .args(["--define", &define("_topdir", work.path())])
            .args(["--define", &define("_rpmdir", &out)])
            .arg(work.path().join("vip-elector.spec"))
            .env("SOURCE_DATE_EPOCH", release.epoch.to_string()),
        "the package rpm of Debian, or rpm-build of Fedora",
    )?;
    Ok(out.join(format!(
        "vip-elector-{}-1.{}.rpm",
        release.version,
        std::env::consts::ARCH
    )))
}
