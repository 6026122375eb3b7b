//! Applier: this machine's root with the tools, under a layer of its own into which everything is written, and
//! which vanishes with the sandbox.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MsFlags, mount};
use vip_pack::{tool, tree};

/// Where it is mounted: the sandbox has an empty `/run`.
const PLACE: &str = "/run/vip-pack";

/// Everything that dpkg, rpm and what they trigger write for themselves.
const BOOKS: [&str; 7] = [
    "var/lib/dpkg/",
    "var/lib/rpm/",
    "var/log/",
    "var/cache/",
    "root/.rpmdb/",
    "tmp/",
    "etc/ld.so.cache",
];

/// A root into which packages may be installed.
pub(crate) struct Root {
    path: PathBuf,
    layer: PathBuf,
}

impl Root {
    /// Mounts one. `tools` are as if they were installed.
    pub(crate) fn new(tools: &Path) -> Result<Self, String> {
        let place = Path::new(PLACE);
        let [path, layer, work] = ["root", "disk/layer", "disk/work"].map(|name| place.join(name));
        let made = || -> std::io::Result<()> {
            fs::create_dir_all(&path)?;
            fs::create_dir_all(place.join("disk"))?;
            mounted("tmpfs", "tmpfs", &place.join("disk"), "mode=0755")?;
            fs::create_dir_all(&layer)?;
            fs::create_dir_all(&work)?;
            // A user namespace may only use attributes of users.
            let options = |more: &str| {
                format!(
                    "lowerdir={}:/,upperdir={},workdir={}{more}",
                    tools.display(),
                    layer.display(),
                    work.display()
                )
            };
            mounted("overlay", "overlay", &path, &options(""))
                .or_else(|_| mounted("overlay", "overlay", &path, &options(",userxattr")))?;
            for directory in ["proc", "dev"] {
                bound(Path::new("/").join(directory), &path.join(directory))?;
            }
            // The source, which need not be on the file system of `/`.
            let source = tree::root();
            fs::create_dir_all(path.join(source.strip_prefix("/").unwrap()))?;
            bound(
                source.clone(),
                &path.join(source.strip_prefix("/").unwrap()),
            )
        };
        made().map_err(|error| {
            format!("cannot mount an overlay over / inside a namespace: {error}; as root it takes Linux 5.11, \
                     and for others 6.6")
        })?;
        Ok(Self { path, layer })
    }

    /// Runs a line of shell inside, and returns what it printed. No variable of the outside is there.
    pub(crate) fn run(&self, line: &str) -> Result<String, String> {
        tool::run(
            Command::new("chroot")
                .arg(&self.path)
                .args(["/bin/sh", "-euc", line])
                .env_clear()
                .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
                .env("HOME", "/root")
                .env("DEBIAN_FRONTEND", "noninteractive")
                .env("LC_ALL", "C.UTF-8")
                .current_dir("/"),
            "coreutils",
        )
        .map_err(|error| format!("{line}: {error:#}"))
    }

    /// Returns a path of the inside, as seen from here.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.path.join(inside.trim_start_matches('/'))
    }

    /// Returns all files that were made or changed since the beginning, but for the books of dpkg and rpm.
    pub(crate) fn changes(&self) -> Result<BTreeSet<PathBuf>, String> {
        let files = tree::files(&self.layer).map_err(|error| format!("{error:#}"))?;
        Ok(files
            .into_iter()
            .filter(|file| {
                let file = file.to_string_lossy();
                !BOOKS.iter().any(|book| file.starts_with(book))
            })
            .collect())
    }
}

fn mounted(kind: &str, source: &str, place: &Path, options: &str) -> std::io::Result<()> {
    Ok(mount(
        Some(source),
        place,
        Some(kind),
        MsFlags::empty(),
        Some(options),
    )?)
}

fn bound(from: PathBuf, to: &Path) -> std::io::Result<()> {
    let none = None::<&str>;
    Ok(mount(
        Some(&from),
        to,
        none,
        MsFlags::MS_BIND | MsFlags::MS_REC,
        none,
    )?)
}
