//! Pure: the options that the whole process has once: how it follows checks, its log, and whether it holds addresses.

use std::net::SocketAddr;

use tracing::Level;

use super::describe::Lines;
use super::levels::{Levels, flag};
use super::option::{Resolver, boolean};
use super::origin::Sourced;
use super::report::{Caution, Fault, Findings};
use super::{CheckMode, KernelLease, Log, LogFormat};

/// What was asked for. A field is `None` only where a problem was reported.
pub(super) struct Process {
    pub(super) manage_vip: Option<Sourced<bool>>,
    pub(super) check_mode: Option<Sourced<CheckMode>>,
    pub(super) kernel_lease: Option<Sourced<KernelLease>>,
    /// `None` in it for nowhere.
    pub(super) listen: Option<Sourced<Option<SocketAddr>>>,
    pub(super) log: Option<Log>,
}

impl Process {
    pub(super) fn resolve(levels: &Levels<'_>, findings: &mut Findings, lines: &mut Lines) -> Self {
        let flags = levels.flags;
        let mut resolver = Resolver { levels, findings };
        let manage_vip = resolver.option(
            flag("--manage-vip", flags.manage_vip.as_ref()),
            "manage-vip",
            false,
            boolean,
        );
        let check_mode = resolver.option(
            flag("--check-mode", flags.check_mode.as_ref()),
            "check-mode",
            CheckMode::Session,
            check_mode,
        );
        let kernel_lease = resolver.option(
            flag("--kernel-lease", flags.kernel_lease.as_ref()),
            "kernel-lease",
            KernelLease::Auto,
            kernel_lease_mode,
        );
        let listen = resolver.option(
            flag("--listen", flags.listen.as_ref()),
            "listen",
            None,
            listen_address,
        );
        if let Some(listen) = &listen
            && let Some(address) = listen.value.filter(|address| !address.ip().is_loopback())
        {
            let written = listen.means(address.to_string());
            resolver
                .findings
                .warning("listen", &written, Caution::ListensBeyond);
        }
        let format = resolver.option(
            flag("--log-format", flags.log_format.as_ref()),
            "log-format",
            LogFormat::Auto,
            log_format,
        );
        let level = resolver.option(
            flag("--log-level", flags.log_level.as_ref()),
            "log-level",
            Level::INFO,
            log_level,
        );

        lines.add("manage-vip", manage_vip.as_ref(), bool::to_string);
        if manage_vip.as_ref().is_some_and(|managed| managed.value) {
            lines.add("kernel-lease", kernel_lease.as_ref(), |lease| {
                lease.name().to_owned()
            });
        }
        lines.add("listen", listen.as_ref(), |listen| match listen {
            Some(address) => address.to_string(),
            None => "off".to_owned(),
        });
        lines.add("log-format", format.as_ref(), |format| {
            format.name().to_owned()
        });
        lines.add("log-level", level.as_ref(), |level| {
            level.to_string().to_lowercase()
        });
        let log = format.zip(level).map(|(format, level)| Log {
            format: format.value,
            level: level.value,
        });
        Self {
            manage_vip,
            check_mode,
            kernel_lease,
            listen,
            log,
        }
    }

    /// The mode, where the daemon itself follows checks.
    pub(super) fn watched(&self) -> Option<&Sourced<CheckMode>> {
        let mode = self.check_mode.as_ref();
        mode.filter(|mode| mode.value == CheckMode::Watch)
    }

    /// Whether addresses are held here, as far as that is known.
    pub(super) fn manages(&self) -> bool {
        self.manage_vip
            .as_ref()
            .is_some_and(|managed| managed.value)
    }
}

fn check_mode(text: &str) -> Result<CheckMode, Fault> {
    match text {
        "session" => Ok(CheckMode::Session),
        "watch" => Ok(CheckMode::Watch),
        _ => Err(Fault::NotOneOf {
            known: "session or watch",
        }),
    }
}

fn kernel_lease_mode(text: &str) -> Result<KernelLease, Fault> {
    match text {
        "auto" => Ok(KernelLease::Auto),
        "off" => Ok(KernelLease::Off),
        _ => Err(Fault::NotOneOf {
            known: "auto or off",
        }),
    }
}

fn listen_address(text: &str) -> Result<Option<SocketAddr>, Fault> {
    if text == "off" {
        return Ok(None);
    }
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() != 0 && !address.ip().is_multicast() => Ok(Some(address)),
        Ok(_) | Err(_) => Err(Fault::Listen),
    }
}

fn log_format(text: &str) -> Result<LogFormat, Fault> {
    match text {
        "auto" => Ok(LogFormat::Auto),
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        "journald" => Ok(LogFormat::Journald),
        _ => Err(Fault::NotOneOf {
            known: "auto, text, json or journald",
        }),
    }
}

fn log_level(text: &str) -> Result<Level, Fault> {
    match text {
        "error" => Ok(Level::ERROR),
        "warn" => Ok(Level::WARN),
        "info" => Ok(Level::INFO),
        "debug" => Ok(Level::DEBUG),
        "trace" => Ok(Level::TRACE),
        _ => Err(Fault::NotOneOf {
            known: "error, warn, info, debug or trace",
        }),
    }
}
