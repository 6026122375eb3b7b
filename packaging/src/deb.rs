//! Applier: the package for Debian and Ubuntu.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use clap_complete::Shell;

use crate::release::Release;
use crate::tree::{CONFIGURATION, DOC, files, put, put_compressed, root};
use crate::{completions, elf, tool};

/// What happens on the host, by Debian's name for the script.
const SCRIPTS: [(&str, &str); 3] = [
    ("postinst", include_str!("../scripts/after-install.sh")),
    ("prerm", include_str!("../scripts/before-remove.sh")),
    ("postrm", include_str!("../scripts/after-remove.sh")),
];

/// Makes a package of the tree, below `out`, and returns its path.
pub fn build(release: &Release, tree: &Path, out: &Path) -> anyhow::Result<PathBuf> {
    let version = format!("{}-1", release.version);
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => bail!("Debian's name for {other} is not known here"),
    };
    put(
        tree,
        "usr/share/zsh/vendor-completions/_vip-elector",
        completions::script(Shell::Zsh)?.as_bytes(),
    )?;
    documents(release, &version, tree)?;
    let mut control = include_str!("../debian/control").to_owned();
    for (mark, value) in [
        ("@version@", &version),
        ("@architecture@", &architecture.to_owned()),
        ("@maintainer@", &release.maintainer.to_owned()),
        ("@homepage@", &release.homepage.to_owned()),
        ("@size@", &kibibytes(tree)?.to_string()),
        (
            "@depends@",
            &elf::debian_dependencies(&tree.join("usr/bin/vip-elector"))?,
        ),
    ] {
        control = control.replace(mark, value);
    }
    // Before there is a DEBIAN/, which is not of the tree.
    let sums = sums(tree)?;
    put(tree, "DEBIAN/control", control.as_bytes())?;
    put(tree, "DEBIAN/md5sums", sums.as_bytes())?;
    put(
        tree,
        "DEBIAN/conffiles",
        format!("/{CONFIGURATION}\n").as_bytes(),
    )?;
    for (name, script) in SCRIPTS {
        let place = format!("DEBIAN/{name}");
        put(tree, &place, script.as_bytes())?;
        fs::set_permissions(tree.join(&place), fs::Permissions::from_mode(0o755))?;
    }
    let package = out.join(format!("vip-elector_{version}_{architecture}.deb"));
    tool::run(
        Command::new("dpkg-deb")
            .args(["--root-owner-group", "-Zxz", "--build"])
            .args([tree, &package])
            .env("SOURCE_DATE_EPOCH", release.epoch.to_string()),
        "dpkg",
    )?;
    Ok(package)
}

fn documents(release: &Release, version: &str, tree: &Path) -> anyhow::Result<()> {
    let license = fs::read_to_string(root().join("LICENSE")).context("cannot read LICENSE")?;
    let copyright = include_str!("../debian/copyright")
        .replace("@homepage@", release.homepage)
        .replace("@license@", &indented(&license));
    put(tree, &format!("{DOC}/copyright"), copyright.as_bytes())?;
    let changes =
        fs::read_to_string(root().join("CHANGELOG.md")).context("cannot read CHANGELOG.md")?;
    put_compressed(tree, &format!("{DOC}/changelog"), &changes)?;
    let date = release.date("%a, %d %b %Y %H:%M:%S +0000")?;
    let entry = format!(
        "vip-elector ({version}) unstable; urgency=medium\n\n  * Version {} of vip-elector: see changelog.gz.\n\n \
         -- {}  {date}\n",
        release.version, release.maintainer
    );
    put_compressed(tree, &format!("{DOC}/changelog.Debian"), &entry)
}

/// As the copyright format wants a paragraph: each line indented, and an empty one a dot.
fn indented(text: &str) -> String {
    let line = |line: &str| match line {
        "" => " .\n".to_owned(),
        line => format!(" {line}\n"),
    };
    text.lines().skip(4).map(line).collect()
}

/// `Installed-Size`: what the files take, each rounded up (Debian Policy 5.6.20).
fn kibibytes(tree: &Path) -> anyhow::Result<u64> {
    let mut sum = 0;
    for file in files(tree)? {
        sum += fs::metadata(tree.join(file))?.len().div_ceil(1024);
    }
    Ok(sum)
}

fn sums(tree: &Path) -> anyhow::Result<String> {
    tool::run(
        Command::new("md5sum").args(files(tree)?).current_dir(tree),
        "coreutils",
    )
}
