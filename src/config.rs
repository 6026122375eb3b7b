//! Pure: what the daemon is asked to do, from vip-manager's file, the environment and the flags.
//!
//! Two levels: what was written, each value with its [`Origin`], and [`Config`], what it means.
//! Everything that is wrong is reported at once. Reading files and looking at interfaces is done
//! through [`Sources`], so that a test needs neither.

mod access;
mod address;
mod announce;
pub mod change;
mod conduct;
mod credentials;
mod describe;
pub mod duration;
mod file;
mod files;
mod group;
mod hooks;
mod levels;
mod option;
mod origin;
mod peers;
mod probe;
mod process;
mod relations;
mod report;
mod terms;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use tracing::Level;

pub use self::conduct::Conduct;
use self::describe::Lines;
pub use self::hooks::Hooks;
use self::levels::Levels;
pub use self::origin::Origin;
pub use self::peers::Peers;
pub use self::probe::{Probe, ProbeOf};
use self::process::Process;
use self::report::Findings;
pub use self::report::{Caution, Fault, Problem, Problems, Report, Warning};
use crate::cli::Cli;
use crate::consul::access::Access;
use crate::vip::announce::Announcing;

/// A configuration that can be used.
#[derive(Clone, Debug)]
pub struct Config {
    /// One for each file, in the order of the flags, and then of the names in the directory; at least one where
    /// there is no directory.
    pub groups: Vec<Arc<Group>>,
    /// Where files may come and go, if so.
    pub directory: Option<PathBuf>,
    /// How to reach Consul.
    pub access: Access,
    /// Of no meaning without [`Session::check_id`].
    pub check_mode: CheckMode,
    /// Whether addresses are held here; without it no address is ever touched.
    pub manage_vip: bool,
    /// Of no meaning without [`Config::manage_vip`].
    pub kernel_lease: KernelLease,
    /// Of no meaning without [`Config::manage_vip`].
    pub conduct: Conduct,
    /// What tells whether this host is fit to lead, beside Consul's checks.
    pub probe: Option<Probe>,
    /// The commands that are told how this host stands.
    pub hooks: Hooks,
    /// How hosts watch one another, if they do.
    pub peers: Option<Peers>,
    /// Where the daemon says over HTTP how it is, if it does; the port is never 0.
    pub listen: Option<SocketAddr>,
    /// How to log.
    pub log: Log,
    /// What is probably not meant, although it can be used.
    pub warnings: Vec<Warning>,
    lines: Lines,
}

/// One trigger key, and the addresses that follow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The file that describes it.
    pub file: PathBuf,
    /// Without a leading slash.
    pub trigger_key: String,
    /// What a leading host writes into the key.
    pub trigger_value: String,
    /// They move together; some exactly with [`Config::manage_vip`], and vip-manager's first.
    pub vips: Vec<Vip>,
    /// What the session is created with.
    pub session: Session,
    /// The TTL of the check that tells Consul that this daemon lives; at least 1 s.
    pub liveness_ttl: Option<Duration>,
    /// Among candidates, higher is better; -1000 to 1000.
    pub priority: i32,
    /// After how long a better candidate gets the lock, if at all.
    pub preempt_after: Option<Duration>,
}

/// A virtual IP and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vip {
    /// The address.
    pub address: IpAddr,
    /// The prefix length of the network it is in.
    pub prefix: u8,
    /// The interface; where the group is the only one, one that existed when the configuration was read.
    pub interface: String,
    /// What the kernel calls it (`IFA_LABEL`), if not by the interface's name. IPv4 only.
    pub label: Option<String>,
    /// How often the neighbours are told where it is.
    pub announcing: Announcing,
}

/// What the Consul session is created with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// 10 s to 24 h.
    pub ttl: Duration,
    /// At most 60 s; with [`Config::manage_vip`] at least 1 s.
    pub lock_delay: Duration,
    /// The check that must pass for this host to lead.
    pub check_id: Option<String>,
}

/// What the check does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckMode {
    /// Consul binds it to the session: when it is critical, the session dies, and the lock-delay follows.
    Session,
    /// The daemon follows it: when it is critical, the lock is handed over.
    Watch,
}

/// Whether the kernel ends the address by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelLease {
    /// It does, as far as the lease allows.
    Auto,
    /// It does not, and a daemon that is killed or frozen leaves its address up.
    Off,
}

/// How to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// The shape of a line.
    pub format: LogFormat,
    /// The least important level that is written.
    pub level: Level,
}

/// The shape of a log line, and where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// To the journal where standard output leads there, else for people.
    Auto,
    /// For people.
    Text,
    /// One object a line.
    Json,
    /// Entries of the journal, with fields.
    Journald,
}

/// The world that the configuration is read from.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// An environment variable; `None` if it is not set.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    /// The bytes of a file.
    pub read: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
    /// The files in a directory, in any order.
    pub list: &'a dyn Fn(&Path) -> io::Result<Vec<PathBuf>>,
    /// Whether this host has an interface of that name.
    pub interface_exists: &'a dyn Fn(&str) -> bool,
    /// The full name of this host, as the kernel has it.
    pub host_name: &'a str,
}

/// Reads everything, checks everything, and reports all problems together.
pub fn load(cli: &Cli, sources: &Sources<'_>) -> Result<Config, Problems> {
    let mut findings = Findings::default();
    let mut lines = Lines::default();
    let files = files::read(&cli.flags, sources, &mut findings);
    let levels = Levels {
        flags: &cli.flags,
        sources,
        files: &files,
    };

    let process = Process::resolve(&levels, &mut findings, &mut lines);
    let conduct = conduct::Asked::resolve(&levels, process.manages(), &mut findings, &mut lines);
    let peers = peers::resolve(&levels, &mut findings, &mut lines);
    let probe = probe::resolve(&levels, &mut findings, &mut lines);
    let hooks = hooks::resolve(&levels, &mut findings, &mut lines);
    let access = access::resolve(&levels, &mut findings, &mut lines);
    let manage_vip = process.manages();
    let groups = group::resolve(&levels, manage_vip, &mut findings);
    relations::check(&process, &groups, &mut findings);

    let groups = groups
        .into_iter()
        .map(|group| group.finish(manage_vip, &process, &mut lines))
        .map(|group| group.map(Arc::new));
    let groups = groups.collect::<Option<Vec<_>>>().map(|mut groups| {
        // It would keep the room of the drafts, which were much larger.
        groups.shrink_to_fit();
        groups
    });
    let kernel_lease = process.kernel_lease.as_ref().map(|lease| lease.value);
    let check_mode = process.check_mode.as_ref().map(|mode| mode.value);
    let Findings { problems, warnings } = findings.without_repetitions();
    let whole = (
        groups,
        access,
        check_mode,
        kernel_lease,
        conduct.conduct(),
        hooks,
        process.log,
    );
    match whole {
        (
            Some(groups),
            Some(access),
            Some(check_mode),
            Some(kernel_lease),
            Some(conduct),
            Some(hooks),
            Some(log),
        ) if problems.is_empty() => Ok(Config {
            groups,
            directory: files::directory(&cli.flags).map(Path::to_path_buf),
            access,
            check_mode,
            manage_vip,
            kernel_lease,
            conduct,
            probe,
            hooks,
            peers,
            listen: process.listen.and_then(|listen| listen.value),
            log,
            warnings,
            lines,
        }),
        _ => Err(Problems(problems)),
    }
}

impl Config {
    /// Whether there are several groups, or may be some time.
    pub fn has_many_groups(&self) -> bool {
        self.groups.len() > 1 || self.directory.is_some()
    }

    /// One value a line with where it comes from, secrets masked, and the warnings below.
    pub fn describe(&self) -> String {
        let mut text = self.lines.to_string();
        for warning in &self.warnings {
            text.push_str(&format!("warning: {warning}\n"));
        }
        text
    }

    /// The same without what [`Config::describe`] says, its warnings aside: of many groups, that is most of it.
    pub fn without_description(self) -> Self {
        Self {
            lines: Lines::default(),
            ..self
        }
    }

    /// The check that all groups have in common, if they have.
    pub fn common_check(&self) -> Option<&str> {
        let mut checks = self.groups.iter().map(|group| &group.session.check_id);
        let first = checks.next()?.as_deref()?;
        let same = checks.all(|other| other.as_deref() == Some(first));
        same.then_some(first)
    }
}

impl Group {
    /// What the group is called in logs and reports.
    pub fn name(&self) -> &str {
        &self.trigger_key
    }
}

/// As ip(8) writes it: `192.0.2.1/24 on eth0`.
impl fmt::Display for Vip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            address,
            prefix,
            interface,
            label,
            announcing: _,
        } = self;
        write!(f, "{address}/{prefix} on {interface}")?;
        match label {
            Some(label) => write!(f, " as {label}"),
            None => Ok(()),
        }
    }
}

impl CheckMode {
    /// As it is written in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Watch => "watch",
        }
    }
}

impl KernelLease {
    /// As it is written in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Off => "off",
        }
    }
}

impl LogFormat {
    /// As it is written in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Text => "text",
            Self::Json => "json",
            Self::Journald => "journald",
        }
    }
}

/// The environment of this process, for [`Sources::environment`].
///
/// A value that is not UTF-8 is kept with replacement characters, so that it is refused where it is
/// used and not overlooked.
pub fn process_environment(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// The files of a directory, for [`Sources::list`].
pub fn list_directory(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    Ok(files)
}
