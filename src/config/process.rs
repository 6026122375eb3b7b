//! Pure: the options that the whole process has once: session, log, and whether it holds addresses.

use std::time::Duration;

use tracing::Level;

use super::describe::Lines;
use super::duration::Go;
use super::levels::{Levels, filled_flag, flag};
use super::origin::{Sourced, Written};
use super::report::{Fault, Findings};
use super::{KernelLease, Log, LogFormat, duration};

/// What was asked for. A field is `None` only where a problem was reported.
pub(super) struct Process {
    pub(super) manage_vip: Option<Sourced<bool>>,
    pub(super) ttl: Option<Sourced<Time>>,
    pub(super) lock_delay: Option<Sourced<Time>>,
    pub(super) check_id: Option<Sourced<String>>,
    pub(super) kernel_lease: Option<Sourced<KernelLease>>,
    pub(super) log: Option<Log>,
}

/// A duration and how it was written.
pub(super) struct Time {
    pub(super) duration: Duration,
    pub(super) text: String,
}

const TTL: Duration = Duration::from_secs(10);
const LOCK_DELAY: Duration = Duration::from_secs(1);
/// Long enough for the kernel's hand alone to keep the promise.
const LOCK_DELAY_MANAGED: Duration = Duration::from_secs(3);

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
        let managed = manage_vip
            .as_ref()
            .is_some_and(|manage_vip| manage_vip.value);
        let ttl = resolver.option(
            flag("--ttl", flags.ttl.as_ref()),
            "ttl",
            Time::default(TTL),
            Time::parse,
        );
        let default_delay = if managed {
            LOCK_DELAY_MANAGED
        } else {
            LOCK_DELAY
        };
        let lock_delay = resolver.option(
            flag("--lock-delay", flags.lock_delay.as_ref()),
            "lock-delay",
            Time::default(default_delay),
            Time::parse,
        );
        let typed = filled_flag("--check-id", flags.check_id.as_ref());
        let check_id = levels.option(typed, "check-id", resolver.findings);
        let kernel_lease = resolver.option(
            flag("--kernel-lease", flags.kernel_lease.as_ref()),
            "kernel-lease",
            KernelLease::Auto,
            kernel_lease_mode,
        );
        let format = resolver.option(
            flag("--log-format", flags.log_format.as_ref()),
            "log-format",
            LogFormat::Text,
            log_format,
        );
        let level = resolver.option(
            flag("--log-level", flags.log_level.as_ref()),
            "log-level",
            Level::INFO,
            log_level,
        );

        lines.add("manage-vip", manage_vip.as_ref(), bool::to_string);
        lines.add("check-id", check_id.as_ref(), Clone::clone);
        lines.add("ttl", ttl.as_ref(), |ttl| Go(ttl.duration).to_string());
        lines.add("lock-delay", lock_delay.as_ref(), |delay| {
            Go(delay.duration).to_string()
        });
        if managed {
            lines.add("kernel-lease", kernel_lease.as_ref(), |lease| {
                lease.name().to_owned()
            });
        }
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
            ttl,
            lock_delay,
            check_id,
            kernel_lease,
            log,
        }
    }
}

/// Go's `strconv.ParseBool`, which Consul uses for its variables.
pub(super) fn boolean(text: &str) -> Result<bool, Fault> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err(Fault::NotOneOf {
            known: "true or false",
        }),
    }
}

struct Resolver<'a> {
    levels: &'a Levels<'a>,
    findings: &'a mut Findings,
}

impl Resolver<'_> {
    fn option<T>(
        &mut self,
        typed: Option<Written>,
        name: &'static str,
        default: T,
        meaning: fn(&str) -> Result<T, Fault>,
    ) -> Option<Sourced<T>> {
        match self.levels.option(typed, name, self.findings) {
            Some(written) => self
                .findings
                .accept(name, &written, meaning(&written.value)),
            None => Some(Sourced::default(default)),
        }
    }
}

impl Time {
    fn default(duration: Duration) -> Self {
        Self {
            duration,
            text: Go(duration).to_string(),
        }
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        let duration = duration::parse(text).map_err(Fault::Duration)?;
        Ok(Self {
            duration,
            text: text.to_owned(),
        })
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

fn log_format(text: &str) -> Result<LogFormat, Fault> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(Fault::NotOneOf {
            known: "text or json",
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
