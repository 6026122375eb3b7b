//! Pure: the command line, as it was typed. What it means is decided in [`crate::config`].
//!
//! Values stay text here, so that a wrong duration and a wrong file are reported together.

mod help;

use std::convert::Infallible;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, ValueEnum};
use secrecy::SecretString;

/// `EX_USAGE`: the status of a process that was started with flags or a configuration it cannot use.
pub const EXIT_USAGE: u8 = 64;

/// What was typed after `vip-elector`.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "vip-elector",
    version,
    about = "Decides through Consul which host holds a virtual IP, and moves it there",
    args_override_self = true
)]
pub struct Cli {
    /// What to do instead of running the daemon
    // A word among the flags and no clap subcommand: flags before and after it count alike.
    #[arg(value_enum, value_name = "COMMAND", hide = true)]
    pub command: Option<Command>,
    /// Of switchover, drain and resume: a trigger value
    #[arg(value_name = "HOST", hide = true)]
    pub host: Option<String>,
    /// The flags, wherever they stood.
    #[command(flatten)]
    pub flags: Flags,
}

/// What to do instead of running the daemon. The words are lines of the help and of the manual page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Command {
    /// Show who leads, who would, and why not; the exit status is 0 if there is a leader
    Status,
    /// Have the leader hand over: to HOST, or to the best
    Switchover,
    /// Have HOST, or this host, not lead, also after a restart
    Drain,
    /// Let HOST, or this host, lead again
    Resume,
    /// Look for what will go wrong, and say what to do; the exit status is 1 if something will
    Doctor,
    /// Validate everything, and print each value with its source
    CheckConfig,
    /// Print the rules that the token needs in Consul
    AclPolicy,
}

impl Command {
    /// Whether a host may be named behind it.
    const fn takes_host(self) -> bool {
        match self {
            Self::Switchover | Self::Drain | Self::Resume => true,
            Self::CheckConfig | Self::AclPolicy | Self::Doctor | Self::Status => false,
        }
    }
}

/// Every flag.
#[derive(Clone, Debug, Default, Args)]
pub struct Flags {
    /// vip-manager's file; repeat it for more than one group
    #[arg(long, value_name = "FILE", action = ArgAction::Append)]
    pub vip_manager_config: Vec<PathBuf>,

    /// Directory of such files, *.yml and *.yaml, a group each; they may come and go (SIGHUP)
    #[arg(long, value_name = "DIR")]
    pub config_dir: Option<PathBuf>,

    /// Value written into the trigger key [default: trigger-value, else the short host name]
    #[arg(long, value_name = "NAME", help_heading = "Election")]
    pub hostname: Option<String>,

    /// Consul check that must pass for this host to lead
    #[arg(long, value_name = "ID", help_heading = "Election")]
    pub check_id: Option<String>,

    /// session: the check ends the Consul session; watch: it is followed, and the lock handed over
    /// without the lock-delay [default: session]
    #[arg(long, value_name = "MODE", help_heading = "Election")]
    pub check_mode: Option<String>,

    /// TTL of the Consul session, 10s to 24h [default: 10s]
    #[arg(long, value_name = "DURATION", help_heading = "Election")]
    pub ttl: Option<String>,

    /// Pause after a leader is lost, 60s at most [default: 1s, with --manage-vip 3s]
    #[arg(long, value_name = "DURATION", help_heading = "Election")]
    pub lock_delay: Option<String>,

    /// Hold the address on the interface, instead of leaving that to vip-manager
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_possible_values = true,
        help_heading = "Election"
    )]
    pub manage_vip: Option<String>,

    /// auto: the kernel ends the address if the daemon is killed or frozen; off: it does not [default: auto]
    #[arg(long, value_name = "MODE", help_heading = "Election")]
    pub kernel_lease: Option<String>,

    /// on: the kernel looks for another holder of an IPv6 address before it may be used [default: off]
    #[arg(long, value_name = "MODE", help_heading = "Address")]
    pub ipv6_dad: Option<String>,

    /// Whether this host uses an IPv6 address for its own connections: avoid or allow [default: avoid]
    #[arg(long, value_name = "MODE", help_heading = "Address")]
    pub vip_source: Option<String>,

    /// How long a lost carrier is borne before another host gets its turn, up to 60s [default: 300ms]
    #[arg(long, value_name = "DURATION", help_heading = "Address")]
    pub carrier_delay: Option<String>,

    /// How long others are asked for the address before it is added, up to 2s; 0s: not at all [default: 0s]
    #[arg(long, value_name = "DURATION", help_heading = "Address")]
    pub probe_before_takeover: Option<String>,

    /// Among candidates, the highest gets the lock next; -1000 to 1000 [default: 0]
    #[arg(
        long,
        value_name = "NUMBER",
        allow_negative_numbers = true,
        help_heading = "Election"
    )]
    pub priority: Option<String>,

    /// Hand the lock to a candidate of higher priority, even while this host is healthy
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_possible_values = true,
        help_heading = "Election"
    )]
    pub preempt: Option<String>,

    /// For how long that candidate must have stood before [default: 60s]
    #[arg(long, value_name = "DURATION", help_heading = "Election")]
    pub preempt_delay: Option<String>,

    /// http:// or https://; this host leads only while it answers 2xx
    #[arg(long, value_name = "URL", help_heading = "Health")]
    pub health_url: Option<String>,

    /// For /bin/sh -c; this host leads only while it exits with 0
    #[arg(long, value_name = "COMMAND", help_heading = "Health")]
    pub health_command: Option<String>,

    /// From one try to the next, 50ms to 1h [default: 1s]
    #[arg(long, value_name = "DURATION", help_heading = "Health")]
    pub health_interval: Option<String>,

    /// What a try may take; a command that takes longer is killed [default: 1s]
    #[arg(long, value_name = "DURATION", help_heading = "Health")]
    pub health_timeout: Option<String>,

    /// Failures in a row that make this host unhealthy, 1 to 100 [default: 3]
    #[arg(long, value_name = "NUMBER", help_heading = "Health")]
    pub health_fall: Option<String>,

    /// Successes in a row that make it healthy again, 1 to 100 [default: 2]
    #[arg(long, value_name = "NUMBER", help_heading = "Health")]
    pub health_rise: Option<String>,

    /// For /bin/sh -c, when this host leads, and has the address
    #[arg(long, value_name = "COMMAND", help_heading = "Hooks")]
    pub on_leader: Option<String>,

    /// When it leads no longer, or another host leads
    #[arg(long, value_name = "COMMAND", help_heading = "Hooks")]
    pub on_standby: Option<String>,

    /// When it could not lead: not healthy, no Consul, the address blocked
    #[arg(long, value_name = "COMMAND", help_heading = "Hooks")]
    pub on_fault: Option<String>,

    /// What each may take; it is killed then [default: 10s]
    #[arg(long, value_name = "DURATION", help_heading = "Hooks")]
    pub hook_timeout: Option<String>,

    /// TTL of the Consul check that tells that the daemon lives; 0s: none [default: 3s]
    #[arg(long, value_name = "DURATION", help_heading = "Failure detection")]
    pub liveness_ttl: Option<String>,

    /// on: hosts notice by heartbeats that a leader is silent; off: only Consul does [default: on]
    #[arg(long, value_name = "MODE", help_heading = "Failure detection")]
    pub peer_watch: Option<String>,

    /// Where heartbeats are received, over UDP [default: 0.0.0.0:8547]
    #[arg(long, value_name = "ADDR:PORT", help_heading = "Failure detection")]
    pub peer_listen: Option<String>,

    /// From one heartbeat to the next, 10ms to 10s [default: 100ms]
    #[arg(long, value_name = "DURATION", help_heading = "Failure detection")]
    pub peer_interval: Option<String>,

    /// Of switchover: the host that shall lead, as switchover HOST
    #[arg(long, value_name = "HOST", help_heading = "Operation")]
    pub to: Option<String>,

    /// Of status and doctor: as JSON
    #[arg(long, help_heading = "Operation")]
    pub json: bool,

    /// Of status: show it again whenever it changes
    #[arg(long, help_heading = "Operation")]
    pub watch: bool,

    /// Of status, switchover, drain and resume, on a host without vip-manager's file
    #[arg(long, value_name = "KEY", help_heading = "Operation")]
    pub trigger_key: Option<String>,

    /// Consul's address, or several with commas [default: the file's, else http://127.0.0.1:8500]
    #[arg(long, value_name = "URL", help_heading = "Consul")]
    pub addr: Option<String>,

    /// ACL token; every user of this host can read it here, so better use --token-file
    #[arg(long, value_name = "TOKEN", value_parser = secret, help_heading = "Consul")]
    pub token: Option<SecretString>,

    /// File that holds the ACL token
    #[arg(long, value_name = "FILE", help_heading = "Consul")]
    pub token_file: Option<String>,

    /// File that holds user:password for HTTP basic authentication
    #[arg(long, value_name = "FILE", help_heading = "Consul")]
    pub http_auth_file: Option<String>,

    /// CA that Consul's certificate must be of, PEM [default: those of the system]
    #[arg(long, value_name = "FILE", help_heading = "Consul")]
    pub ca_file: Option<String>,

    /// Directory of such CAs
    #[arg(long, value_name = "DIR", help_heading = "Consul")]
    pub ca_path: Option<String>,

    /// Certificate to show to Consul, PEM; with --client-key
    #[arg(long, value_name = "FILE", help_heading = "Consul")]
    pub client_cert: Option<String>,

    /// Its private key, PEM
    #[arg(long, value_name = "FILE", help_heading = "Consul")]
    pub client_key: Option<String>,

    /// Name that Consul's certificate must carry [default: the host in --addr]
    #[arg(long, value_name = "NAME", help_heading = "Consul")]
    pub tls_server_name: Option<String>,

    /// false: Consul's certificate is not verified, for a test at most [default: true]
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_possible_values = true,
        help_heading = "Consul"
    )]
    pub ssl_verify: Option<String>,

    /// Namespace of everything asked of Consul (Enterprise)
    #[arg(long, value_name = "NAME", help_heading = "Consul")]
    pub namespace: Option<String>,

    /// Admin partition of everything asked of Consul (Enterprise)
    #[arg(long, value_name = "NAME", help_heading = "Consul")]
    pub partition: Option<String>,

    /// Answer over HTTP how this daemon is: /metrics, /livez, /readyz, /leader, /status; better on
    /// 127.0.0.1 alone [default: off]
    #[arg(long, value_name = "ADDR:PORT", help_heading = "Monitoring")]
    pub listen: Option<String>,

    /// text, json, or journald; auto: journald where standard output is its own, else text [default: auto]
    #[arg(long, value_name = "FORMAT", help_heading = "Logging")]
    pub log_format: Option<String>,

    /// error, warn, info, debug or trace [default: info]
    #[arg(long, value_name = "LEVEL", help_heading = "Logging")]
    pub log_level: Option<String>,
}

/// Reads the arguments, the program's name first.
///
/// The error is also how clap asks for `--help` and `--version` to be printed: print it, and leave
/// with [`exit_code`].
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let arguments = two_dashes(arguments);
    let mut command = if arguments.iter().any(|argument| argument == "-h") {
        help::brief(Cli::command())
    } else {
        command()
    };
    let mut matches = command.try_get_matches_from_mut(arguments)?;
    let cli =
        Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))?;
    misplaced(&cli).map_or(Ok(cli), |why| {
        Err(command.error(ErrorKind::ArgumentConflict, why))
    })
}

/// Returns the definitions of all flags and commands, with the help as `--help` shows it.
pub fn command() -> clap::Command {
    help::full(Cli::command())
}

/// What was typed that this command does nothing with.
fn misplaced(cli: &Cli) -> Option<String> {
    let Cli {
        command,
        host,
        flags,
    } = cli;
    let is = |wanted| *command == Some(wanted);
    let operates = is(Command::Status) || command.is_some_and(Command::takes_host);
    if let Some(host) = host
        .as_ref()
        .filter(|_| !command.is_some_and(Command::takes_host))
    {
        return Some(format!("'{host}' is not expected here"));
    }
    if flags.to.is_some() && !is(Command::Switchover) {
        return Some("--to belongs to switchover".to_owned());
    }
    if flags.to.is_some() && host.is_some() {
        return Some("switchover HOST and --to say the same: leave one out".to_owned());
    }
    if flags.json && !is(Command::Status) && !is(Command::Doctor) {
        return Some("--json belongs to status and doctor".to_owned());
    }
    if flags.watch && !is(Command::Status) {
        return Some("--watch belongs to status".to_owned());
    }
    if flags.trigger_key.is_some() && !operates {
        return Some("--trigger-key belongs to status, switchover, drain and resume".to_owned());
    }
    let has_files = !flags.vip_manager_config.is_empty() || flags.config_dir.is_some();
    if flags.trigger_key.is_some() && has_files {
        let why = "--trigger-key is for where there is no --vip-manager-config and no --config-dir";
        return Some(why.to_owned());
    }
    None
}

/// The status to leave with after [`parse`] failed: 0 for `--help` and `--version`.
pub fn exit_code(error: &clap::Error) -> u8 {
    if error.use_stderr() { EXIT_USAGE } else { 0 }
}

/// Go's flag package takes a long name after one dash. No short flag of ours has more than one
/// letter, so a second dash is never wrong. What follows `--` is left alone.
fn two_dashes(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut only_values = false;
    arguments
        .into_iter()
        .map(|argument| {
            only_values |= argument == "--";
            match argument.to_str() {
                Some(text) if !only_values && is_long_after_one_dash(text) => {
                    format!("-{text}").into()
                }
                Some(_) | None => argument,
            }
        })
        .collect()
}

fn is_long_after_one_dash(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next() == Some('-')
        && letters
            .next()
            .is_some_and(|first| first.is_ascii_alphabetic())
        && letters.next().is_some_and(|second| second != '=')
}

fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(text.into())
}
