//! Applier: the files of a package, laid out below a directory as they will be below `/`. What the formats
//! differ in, each adds itself.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use clap_complete::Shell;

use crate::release::Release;
use crate::{completions, man, tool};

/// Where documents go.
pub const DOC: &str = "usr/share/doc/vip-elector";

/// The file that is the operator's once it is installed.
pub const CONFIGURATION: &str = "etc/vip-elector/vip.yml";

/// Returns the directory of the source.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Lays out everything that both formats have in the same place.
pub fn lay_out(release: &Release, daemon: &Path, tree: &Path) -> anyhow::Result<()> {
    let root = root();
    let program = fs::read(daemon).with_context(|| format!("cannot read {}", daemon.display()))?;
    put(tree, "usr/bin/vip-elector", &program)?;
    fs::set_permissions(
        tree.join("usr/bin/vip-elector"),
        fs::Permissions::from_mode(0o755),
    )?;
    put(tree, CONFIGURATION, include_bytes!("../vip.yml"))?;
    for file in files(&root.join("systemd"))? {
        let text = read(&root.join("systemd").join(&file))?;
        // What is installed by hand is below /usr/local.
        let text = text.replace("/usr/local/bin/", "/usr/bin/");
        let place = match file.extension() {
            Some(kind) if kind == "service" => format!("usr/lib/systemd/system/{}", file.display()),
            _ => format!("{DOC}/examples/{}", file.display()),
        };
        put(tree, &place, text.as_bytes())?;
    }
    for file in files(&root.join("docs/monitoring"))? {
        let text = read(&root.join("docs/monitoring").join(&file))?;
        let place = format!("{DOC}/examples/monitoring/{}", file.display());
        put(tree, &place, text.as_bytes())?;
    }
    put_compressed(
        tree,
        "usr/share/man/man8/vip-elector.8",
        &man::page(release),
    )?;
    for (shell, place) in [
        (
            Shell::Bash,
            "usr/share/bash-completion/completions/vip-elector",
        ),
        (
            Shell::Fish,
            "usr/share/fish/vendor_completions.d/vip-elector.fish",
        ),
    ] {
        put(tree, place, completions::script(shell)?.as_bytes())?;
    }
    put(
        tree,
        &format!("{DOC}/README.md"),
        &fs::read(root.join("README.md"))?,
    )
}

/// Writes a file that everybody may read, whatever the umask says.
pub fn put(tree: &Path, place: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let path = tree.join(place);
    let failed = || format!("cannot write {}", path.display());
    for directory in path.ancestors().skip(1).collect::<Vec<_>>().iter().rev() {
        if directory.starts_with(tree) && !directory.exists() {
            fs::create_dir_all(directory).with_context(failed)?;
            fs::set_permissions(directory, fs::Permissions::from_mode(0o755))?;
        }
    }
    fs::write(&path, bytes).with_context(failed)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).with_context(failed)
}

/// Writes a text as `place` and `.gz`, without a time or a name inside.
pub fn put_compressed(tree: &Path, place: &str, text: &str) -> anyhow::Result<()> {
    put(tree, place, text.as_bytes())?;
    tool::run(
        Command::new("gzip").arg("-9n").arg(tree.join(place)),
        "gzip",
    )?;
    Ok(())
}

/// Returns the paths of all files below a directory, relative to it and in order.
pub fn files(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut left = vec![directory.to_owned()];
    while let Some(next) = left.pop() {
        let entries =
            fs::read_dir(&next).with_context(|| format!("cannot list {}", next.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                left.push(path);
            } else {
                found.push(path.strip_prefix(directory)?.to_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
