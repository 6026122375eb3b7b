//! Pure: what is compared, and how each of it is set up.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use serde_json::json;
use vip_lab::cluster::{LOCAL_URL, Program, Setup};

use super::fault::Fault;
use super::keepalived::{self, Adverts};

/// The flags of `ours-tuned`, beyond those of `ours`.
const TUNED: [&str; 4] = [
    "--lock-delay=2.5s",
    "--peer-interval=50ms",
    "--liveness-ttl=2s",
    "--health-interval=50ms",
];
/// The flag with which the daemon looks at the service itself.
const HEALTH_URL: &str = "--health-url";

/// The time between two questions of the client.
pub(super) const RHYTHM: Duration = Duration::from_millis(1);

/// A way to hold a virtual IP.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum Stack {
    /// vip-elector, with the address in its own hands and every default
    Ours,
    /// The same, as fast as its promise allows
    OursTuned,
    /// keepalived with every default
    Keepalived,
    /// keepalived with an advert every 100 ms
    KeepalivedFast,
    /// vip-manager 1.0.1, with vip-elector as its elector
    VipManager,
}

/// The programs that stacks consist of.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    /// The daemon.
    pub(super) daemon: PathBuf,
    /// What the daemon's `--help` says: which flags it knows.
    pub(super) help: String,
    /// keepalived, or why there is none.
    pub(super) keepalived: Result<PathBuf, String>,
    /// What keepalived's script asks with, or why there is none.
    pub(super) curl: Result<PathBuf, String>,
    /// vip-manager, or why there is none.
    pub(super) vip_manager: Result<PathBuf, String>,
}

/// What else a cluster is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    /// Faults; the service is looked at without Consul as well.
    FaultsWithLocalHealth,
    /// Faults; only Consul looks at the service.
    Faults,
    /// Nothing happens; Consul counts requests, and speaks TLS where the stack can.
    Weight,
}

impl Stack {
    /// Those that are always there.
    pub(super) const OURS: [Self; 2] = [Self::Ours, Self::OursTuned];

    /// Returns its name on the command line, and everywhere else.
    pub(super) fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Returns whether it makes the promise that never two hosts have the address.
    pub(super) fn promises(self) -> bool {
        Self::OURS.contains(&self)
    }

    /// Returns why `fault` says nothing about it, where that is so.
    pub(super) fn cannot(self, fault: Fault, programs: &Programs) -> Option<String> {
        let peer = match self {
            Self::Ours | Self::OursTuned => None,
            Self::Keepalived | Self::KeepalivedFast => Some("keepalived"),
            Self::VipManager => Some("vip-manager"),
        };
        match fault {
            Fault::Switchover => peer.map(|peer| format!("{peer} cannot be asked to hand over")),
            Fault::Check if peer == Some("keepalived") => {
                Some("keepalived does not look at Consul's checks".to_owned())
            }
            Fault::LocalHealth if peer != Some("keepalived") && !programs.know(HEALTH_URL) => {
                Some(unknown(HEALTH_URL))
            }
            Fault::Stop
            | Fault::LocalHealth
            | Fault::Check
            | Fault::Kill
            | Fault::Freeze
            | Fault::Crash
            | Fault::Partition
            | Fault::CrashRaftLeader => None,
        }
    }

    /// Returns the description of its cluster.
    ///
    /// # Errors
    /// What is missing, and how to get it.
    pub(super) fn setup(self, programs: &Programs, purpose: Purpose) -> Result<Setup, String> {
        let setup = Setup::new().probe_every(RHYTHM);
        let setup = match purpose {
            Purpose::Faults | Purpose::FaultsWithLocalHealth => setup,
            // Counters that only grow.
            Purpose::Weight => setup
                .tls()
                .consul(json!({ "telemetry": { "prometheus_retention_time": "1h" } })),
        };
        let ours = |program: Program| match purpose {
            Purpose::Weight => program.encrypted(),
            Purpose::FaultsWithLocalHealth if programs.know(HEALTH_URL) => {
                program.args([format!("{HEALTH_URL}={LOCAL_URL}")])
            }
            Purpose::Faults | Purpose::FaultsWithLocalHealth => program,
        };
        let manager = || Program::manager(&programs.daemon);
        match self {
            Self::Ours => Ok(setup.daemon(ours(manager()))),
            Self::OursTuned => {
                programs.know_all(&TUNED)?;
                Ok(setup.daemon(ours(manager().args(TUNED))))
            }
            Self::Keepalived => with_keepalived(setup, programs, Adverts::Default),
            Self::KeepalivedFast => with_keepalived(setup, programs, Adverts::Fast),
            Self::VipManager => {
                let companion = Program::new(programs.vip_manager.clone()?);
                Ok(setup
                    .daemon(ours(Program::elector(&programs.daemon)))
                    .companion(companion.args(["--config={config}"])))
            }
        }
    }
}

impl Programs {
    fn know(&self, flag: &str) -> bool {
        self.help
            .split(|end: char| end.is_whitespace() || "=[,".contains(end))
            .any(|word| word == flag)
    }

    fn know_all(&self, flags: &[&str]) -> Result<(), String> {
        let names = flags.iter().map(|flag| flag.split('=').next());
        match names.flatten().find(|name| !self.know(name)) {
            Some(name) => Err(unknown(name)),
            None => Ok(()),
        }
    }
}

fn unknown(flag: &str) -> String {
    format!("this daemon does not know {flag}")
}

fn with_keepalived(setup: Setup, programs: &Programs, adverts: Adverts) -> Result<Setup, String> {
    let configuration = keepalived::configuration(adverts, &programs.curl.clone()?);
    let program = Program::new(programs.keepalived.clone()?).args([
        "--dont-fork",
        "--log-console",
        "--vrrp",
        "--use-file={directory}/keepalived.conf",
        "--pid={directory}/keepalived.pid",
        "--vrrp_pid={directory}/vrrp.pid",
    ]);
    Ok(setup
        .lockless()
        .file("keepalived.conf", configuration)
        .daemon(program))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn programs(help: &str) -> Programs {
        Programs {
            daemon: "/bin/vip-elector".into(),
            help: help.to_owned(),
            keepalived: Err("there is none".to_owned()),
            curl: Ok("/bin/curl".into()),
            vip_manager: Ok("/bin/vip-manager".into()),
        }
    }

    #[test]
    fn flags_are_known_by_their_whole_name() {
        let programs = programs("  --health-url-x <URL>\n  --manage-vip[=<BOOL>]  Hold");
        assert!(programs.know("--manage-vip"));
        assert!(programs.know("--health-url-x"));
        assert!(!programs.know("--health-url"));
    }

    #[test]
    fn what_is_missing_is_said() {
        let programs = programs("--lock-delay <D> --peer-interval <D> --health-interval <D>");
        let missing = |stack: Stack| stack.setup(&programs, Purpose::Faults).err();
        assert_eq!(missing(Stack::Ours), None);
        assert_eq!(
            missing(Stack::OursTuned).as_deref(),
            Some("this daemon does not know --liveness-ttl")
        );
        assert_eq!(
            missing(Stack::KeepalivedFast).as_deref(),
            Some("there is none")
        );
        assert_eq!(missing(Stack::VipManager), None);
        assert!(Stack::Ours.cannot(Fault::LocalHealth, &programs).is_some());
        assert_eq!(
            Stack::Keepalived.cannot(Fault::LocalHealth, &programs),
            None
        );
    }
}
