//! Applier: rpm, lintian and mandoc, fetched as Debian's packages and unpacked beside the system, which does
//! not notice. What the machine has already is not fetched again.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use vip_pack::tool;

const WANTED: [&str; 3] = ["rpm", "lintian", "mandoc"];

/// Returns the directory below which they are unpacked.
pub(crate) fn fetch() -> Result<PathBuf, String> {
    fetched().map_err(|error| {
        format!(
            "cannot fetch {} as Debian's packages: {error:#}; these tests want a Debian with a network, and \
             `cargo test --workspace -- --skip without_a_trace` is for others",
            WANTED.join(", ")
        )
    })
}

fn fetched() -> anyhow::Result<PathBuf> {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (unpacked, work) = (cache.join("package-tools"), cache.join("package-tools.new"));
    // Another process of this binary may be at it.
    let lock = File::create(cache.join("package-tools.lock"))?;
    lock.lock()?;
    if unpacked.exists() {
        return Ok(unpacked);
    }
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    for directory in ["apt/lists/partial", "apt/cache/archives/partial", "tree"] {
        fs::create_dir_all(work.join(directory))?;
    }
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("LC_ALL", "C").args(["--quiet", "--quiet"]);
        for (name, value) in [
            ("Dir::State::lists", work.join("apt/lists")),
            ("Dir::Cache", work.join("apt/cache")),
            ("Debug::NoLocking", "1".into()),
            ("Acquire::Languages", "none".into()),
            ("APT::Sandbox::User", "root".into()),
        ] {
            command.arg("-o").arg(format!("{name}={}", value.display()));
        }
        tool::run(command.args(arguments), "apt")
    };
    apt(&["update"])?;
    let download = [
        "install",
        "--yes",
        "--download-only",
        "--no-install-recommends",
    ];
    apt(&[&download[..], &WANTED].concat())?;
    for entry in fs::read_dir(work.join("apt/cache/archives"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            let unpack = [path.as_path(), &work.join("tree")];
            tool::run(Command::new("dpkg-deb").arg("-x").args(unpack), "dpkg")?;
        }
    }
    // Over a root where `/lib` is a link to `/usr/lib`, a directory of that name would hide all that is in it.
    let tree = work.join("tree");
    for apart in ["bin", "lib", "lib64", "sbin"].map(|name| tree.join(name)) {
        if apart.exists() {
            let usr = tree.join("usr");
            tool::run(
                Command::new("cp").arg("-a").arg(&apart).arg(&usr),
                "coreutils",
            )?;
            fs::remove_dir_all(&apart)?;
        }
    }
    fs::rename(tree, &unpacked)?;
    fs::remove_dir_all(&work)?;
    Ok(unpacked)
}
