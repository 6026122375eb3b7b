//! Applier: a root of its own for each test. Its `/usr`, `/etc` and `/var` are this machine's, and those of the
//! tools, under a layer into which everything is written and which vanishes with the sandbox; else it is empty.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MsFlags, mount};
use vip_pack::{tool, tree};

/// Where it is mounted: the sandbox has an empty `/run`.
const PLACE: &str = "/run/vip-pack";

/// What dpkg, rpm and what they trigger write for themselves.
const BOOKS: [&str; 5] = [
    "etc/ld.so.cache",
    "var/cache/",
    "var/lib/dpkg/",
    "var/lib/rpm/",
    "var/log/",
];

/// A root into which packages may be installed.
pub(crate) struct Root {
    path: PathBuf,
    layer: PathBuf,
}

impl Root {
    /// Makes one. `tools` are as if they were installed.
    pub(crate) fn new(tools: &Path) -> Result<Self, String> {
        let root = Self {
            path: Path::new(PLACE).join("root"),
            layer: Path::new(PLACE).join("layer"),
        };
        root.furnish(tools).map_err(|error| {
            format!(
                "cannot mount a layer over this machine's /usr inside a namespace: {error}; it takes Linux \
                 5.11, and for another user than root 6.6"
            )
        })?;
        Ok(root)
    }

    fn furnish(&self, tools: &Path) -> io::Result<()> {
        fs::create_dir(PLACE)?;
        mounted("tmpfs", PLACE, "mode=0755")?;
        for name in ["usr", "etc", "var"] {
            let [upper, work] = [
                self.layer.join(name),
                Path::new(PLACE).join("work").join(name),
            ];
            for directory in [&upper, &work, &self.path.join(name)] {
                fs::create_dir_all(directory)?;
            }
            let lower = match tools.join(name) {
                with if with.exists() => format!("{}:/{name}", with.display()),
                _ => format!("/{name}"),
            };
            let options = format!(
                "lowerdir={lower},upperdir={},workdir={}",
                upper.display(),
                work.display()
            );
            let place = self.path(name);
            // Without root only attributes of users may be set.
            mounted("overlay", &place, &options)
                .or_else(|_| mounted("overlay", &place, &format!("{options},userxattr")))?;
        }
        for name in ["bin", "lib", "lib32", "lib64", "libx32", "sbin"] {
            let outside = Path::new("/").join(name);
            match fs::read_link(&outside) {
                Ok(target) => symlink(target, self.path(name))?,
                Err(_) if outside.is_dir() => self.bind(&outside)?,
                Err(_) => {}
            }
        }
        for name in ["root", "run", "srv", "tmp"] {
            fs::create_dir(self.path(name))?;
        }
        self.bind(Path::new("/proc"))?;
        self.bind(Path::new("/dev"))?;
        self.bind(&tree::root())?;
        // Where CARGO_TARGET_DIR has it, what was built is not below the source.
        self.bind(Path::new(env!("CARGO_TARGET_TMPDIR")))?;
        self.bind(Path::new(env!("CARGO_BIN_EXE_vip-pack")).parent().unwrap())
    }

    /// Shows a directory of the outside in its own place.
    fn bind(&self, directory: &Path) -> io::Result<()> {
        let place = self.path(&directory.to_string_lossy());
        fs::create_dir_all(&place)?;
        let none = None::<&str>;
        let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
        Ok(mount(Some(directory), &place, none, flags, none)?)
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

    /// Returns all files that were made, changed or removed since the beginning, but for the books of dpkg
    /// and rpm.
    pub(crate) fn changes(&self) -> Result<BTreeSet<PathBuf>, String> {
        let files = tree::files(&self.layer).map_err(|error| format!("{error:#}"))?;
        let ours = |file: &PathBuf| {
            let file = file.to_string_lossy();
            !BOOKS.iter().any(|book| file.starts_with(book))
        };
        Ok(files.into_iter().filter(ours).collect())
    }
}

fn mounted(kind: &str, place: impl AsRef<Path>, options: &str) -> io::Result<()> {
    let flags = MsFlags::empty();
    Ok(mount(
        Some(kind),
        place.as_ref(),
        Some(kind),
        flags,
        Some(options),
    )?)
}
