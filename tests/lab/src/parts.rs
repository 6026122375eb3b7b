//! Applier: the programs that the lab runs and a machine may not have, found or fetched.
//!
//! Order: the program's environment variable, `PATH`, the cache, and then the network, whose
//! bounty is verified and put into the cache. Fetching must happen outside the sandbox, which has
//! no network.

mod debian;
mod hashicorp;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

/// A program that the lab needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// Consul: HashiCorp's release, or Debian's package.
    Consul,
    /// vip-manager with its Consul support, which only older builds have: Debian's package.
    VipManager,
    /// keepalived, for comparison: only where the machine has it.
    Keepalived,
    /// Prometheus's own judge of metrics and rules: Debian's package.
    Promtool,
    /// HAProxy, which sends clients to a leader: only where the machine has it.
    Haproxy,
    /// systemd-nspawn, which boots a systemd in a container: only where the machine has it.
    Nspawn,
}

/// A part that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The environment variable points nowhere.
    #[error("{variable} is {path}, which is no executable file; correct or unset it")]
    NotThere {
        /// The variable.
        variable: &'static str,
        /// Its value.
        path: String,
    },
    /// The cache cannot be used.
    #[error("cannot use the cache for fetched programs, {path}")]
    Cache {
        /// Its directory.
        path: String,
        #[source]
        cause: io::Error,
    },
    /// The lab does not fetch it.
    #[error("{program} is not installed: {how}, or set {variable} to its path")]
    NotInstalled {
        /// The program.
        program: &'static str,
        /// How to install it.
        how: &'static str,
        /// The variable that would name it.
        variable: &'static str,
    },
    /// No source has it.
    #[error(
        "cannot get {program}: it is not on PATH, and {tried}; install it and set {variable} to its \
         path, or run only what needs nothing: cargo test --workspace --lib --test hermetic"
    )]
    Unavailable {
        /// The program.
        program: &'static str,
        /// The variable that would name it.
        variable: &'static str,
        /// What was tried, with what came of it.
        tried: String,
    },
}

/// Finds or fetches Consul.
pub fn consul() -> Result<PathBuf, Error> {
    Part::Consul.path()
}

/// Finds or fetches a vip-manager that speaks Consul.
pub fn vip_manager() -> Result<PathBuf, Error> {
    Part::VipManager.path()
}

/// Finds keepalived.
pub fn keepalived() -> Result<PathBuf, Error> {
    Part::Keepalived.path()
}

/// Finds HAProxy.
pub fn haproxy() -> Result<PathBuf, Error> {
    Part::Haproxy.path()
}

/// Finds or fetches promtool.
pub fn promtool() -> Result<PathBuf, Error> {
    Part::Promtool.path()
}

impl Part {
    /// Returns whether most tests of a suite do without it: those that do not fail for its sake.
    pub(crate) const fn is_of_few(self) -> bool {
        matches!(self, Self::Promtool)
    }

    /// Returns the path of the program; fetches it if need be.
    pub fn path(self) -> Result<PathBuf, Error> {
        if let Some(path) = std::env::var_os(self.variable()) {
            let path = PathBuf::from(path);
            return if is_executable(&path) {
                Ok(path)
            } else {
                let path = path.display().to_string();
                Err(Error::NotThere {
                    variable: self.variable(),
                    path,
                })
            };
        }
        if let Some(path) = self.on_path() {
            return Ok(path);
        }
        if let Some(how) = self.how_to_install() {
            return Err(Error::NotInstalled {
                program: self.program(),
                how,
                variable: self.variable(),
            });
        }
        let cache = cache_directory();
        let failed = |cause| Error::Cache {
            path: cache.display().to_string(),
            cause,
        };
        fs::create_dir_all(&cache).map_err(failed)?;
        // Two test binaries may want the same part at the same time.
        let lock = File::create(cache.join("lock")).map_err(failed)?;
        lock.lock().map_err(failed)?;
        let sources = self.sources();
        let cached = sources.iter().map(|source| cache.join(source.file_name()));
        if let Some(path) = cached.into_iter().find(|path| is_executable(path)) {
            return Ok(path);
        }
        let mut tried = Vec::new();
        for source in sources {
            match source.fetch_into(&cache) {
                Ok(path) => return Ok(path),
                Err(reason) => {
                    let failure = format!("{}: {reason}", source.name());
                    announce(&failure);
                    tried.push(failure);
                }
            }
        }
        let tried = tried.join("; ");
        Err(Error::Unavailable {
            program: self.program(),
            variable: self.variable(),
            tried,
        })
    }

    fn program(self) -> &'static str {
        match self {
            Self::Consul => "consul",
            Self::VipManager => "vip-manager",
            Self::Keepalived => "keepalived",
            Self::Promtool => "promtool",
            Self::Haproxy => "haproxy",
            Self::Nspawn => "systemd-nspawn",
        }
    }

    /// Where the lab does not fetch it.
    fn how_to_install(self) -> Option<&'static str> {
        match self {
            Self::Consul | Self::VipManager | Self::Promtool => None,
            Self::Keepalived => Some("apt-get install keepalived"),
            Self::Haproxy => Some("apt-get install haproxy"),
            Self::Nspawn => Some("apt-get install systemd-container"),
        }
    }

    fn variable(self) -> &'static str {
        match self {
            Self::Consul => "CONSUL_BIN",
            Self::VipManager => "VIP_MANAGER_BIN",
            Self::Keepalived => "KEEPALIVED_BIN",
            Self::Promtool => "PROMTOOL_BIN",
            Self::Haproxy => "HAPROXY_BIN",
            Self::Nspawn => "NSPAWN_BIN",
        }
    }

    /// A vip-manager on `PATH` does not count: most builds have no Consul support. What is for root
    /// may be where only root's `PATH` goes.
    fn on_path(self) -> Option<PathBuf> {
        match self {
            Self::Consul | Self::Keepalived | Self::Promtool | Self::Haproxy | Self::Nspawn => {
                std::env::split_paths(&std::env::var_os("PATH")?)
                    .chain([PathBuf::from("/usr/sbin")])
                    .map(|directory| directory.join(self.program()))
                    .find(|path| is_executable(path))
            }
            Self::VipManager => None,
        }
    }

    fn sources(self) -> Vec<Source> {
        match self {
            Self::Consul => {
                vec![
                    Source::HashiCorp(hashicorp::CONSUL),
                    Source::Debian(debian::CONSUL),
                ]
            }
            Self::VipManager => vec![Source::Debian(debian::VIP_MANAGER)],
            Self::Promtool => vec![Source::Debian(debian::PROMTOOL)],
            Self::Keepalived | Self::Haproxy | Self::Nspawn => Vec::new(),
        }
    }
}

/// Where a part can be fetched.
enum Source {
    HashiCorp(hashicorp::Release),
    Debian(debian::Package),
}

impl Source {
    fn name(&self) -> &'static str {
        match self {
            Self::HashiCorp(_) => "HashiCorp's release",
            Self::Debian(_) => "Debian's package",
        }
    }

    fn file_name(&self) -> String {
        match self {
            Self::HashiCorp(release) => format!("{}-{}", release.program, release.version),
            Self::Debian(package) => format!("{}-{}", package.program, package.version),
        }
    }

    /// Fetches the program and puts it into the cache under its final name in one step, so that a
    /// half of it is never there.
    fn fetch_into(&self, cache: &Path) -> Result<PathBuf, String> {
        announce(&format!("fetching {} ({})", self.file_name(), self.name()));
        let work = tempfile::tempdir_in(cache).map_err(|error| error.to_string())?;
        let program = match self {
            Self::HashiCorp(release) => release.fetch(work.path())?,
            Self::Debian(package) => package.fetch(work.path())?,
        };
        let path = cache.join(self.file_name());
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
            .and_then(|()| fs::rename(&program, &path))
            .map_err(|error| error.to_string())?;
        Ok(path)
    }
}

/// Returns the per-user cache, or a place below `target/` for users without a home.
fn cache_directory() -> PathBuf {
    let set = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let home = || {
        set("HOME")
            .filter(|home| home.is_dir())
            .map(|home| home.join(".cache"))
    };
    set("XDG_CACHE_HOME").or_else(home).map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/vip-lab-parts"),
        |cache| cache.join("vip-elector"),
    )
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// Returns the SHA-256 of a file in hexadecimal.
fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let mut block = vec![0; 1 << 16];
    loop {
        match file.read(&mut block)? {
            0 => break,
            length => digest.update(&block[..length]),
        }
    }
    Ok(digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// Compares the sum of a file with what it must be.
fn verify(path: &Path, expected: &str) -> Result<(), String> {
    let found = sha256(path).map_err(|error| error.to_string())?;
    if found == expected {
        return Ok(());
    }
    Err(format!(
        "what arrived has SHA-256 {found}, and should have {expected}"
    ))
}

/// Runs a tool; its last line of standard error is the reason for a failure.
fn run(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            format!("{name} is not installed")
        } else {
            format!("cannot run {name}: {error}")
        }
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let message = String::from_utf8_lossy(&output.stderr);
    let last = message
        .lines()
        .rfind(|line| !line.trim().is_empty())
        .unwrap_or_default();
    Err(format!(
        "{name} ended with {}: {}",
        output.status,
        last.trim()
    ))
}

/// Fetching may take a while, and a silent test looks like one that hangs.
fn announce(what: &str) {
    let _ = writeln!(io::stderr(), "lab: {what}");
}
