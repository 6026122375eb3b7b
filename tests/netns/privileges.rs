//! What the daemon may do, and what it lets others have, as the kernel says.

use std::error::Error;
use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;
use vip_lab::cluster::{Cluster, Host};
use vip_lab::process::{Log, Process};
use vip_lab::time::until;

use crate::DAEMON;
use crate::alone::{LIMIT, Test, run};

/// linux/capability.h: 12 and 13.
const NET_ADMIN_AND_RAW: u64 = 1 << 12 | 1 << 13;

/// Everything that a health command must not inherit.
const SECRETS: [&str; 4] = [
    "CONSUL_HTTP_TOKEN",
    "CONSUL_HTTP_TOKEN_FILE",
    "CONSUL_HTTP_AUTH",
    "CREDENTIALS_DIRECTORY",
];

pub(crate) fn trials() -> Vec<Trial> {
    let tests: [(&str, Test); 1] = [(
        "a_process_keeps_what_its_work_takes_before_consul_says_a_word",
        little_from_the_start,
    )];
    tests
        .map(|(name, test)| Trial::test(name, move || run(test)))
        .into()
}

/// Consul is a socket that takes a connection and says nothing: so nothing has come from the network yet.
fn little_from_the_start(_: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    let elector = Asking::start(host, &[])?;
    elector.has(0)?;
    let pid = elector.process.id();
    assert!(
        !others_see(pid)?,
        "another process of the user sees its environment"
    );
    let ordinary = Process::start(unprivileged("sleep", &["60"]), &Log::default(), null())?;
    until(
        "the environment of an ordinary process",
        LIMIT,
        || match others_see(ordinary.id()) {
            Ok(true) => Ok(()),
            Ok(false) => Err("it is not to be seen".to_owned()),
            Err(error) => Err(error.to_string()),
        },
    )?;
    drop(elector);

    let seen = host.directory().join("seen");
    let look = format!(
        "{{ cat /proc/self/status; env; }} > {0}.new && mv {0}.new {0}",
        seen.display()
    );
    let manager = Asking::start(host, &["--manage-vip", &format!("--health-command={look}")])?;
    manager.has(NET_ADMIN_AND_RAW)?;
    let inherited = until("the health command", LIMIT, || {
        fs::read_to_string(&seen).map_err(|error| error.to_string())
    })?;
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(bits(&inherited, set)?, 0, "{set} of a health command");
    }
    assert!(inherited.contains("KEPT=kept"), "{inherited}");
    for secret in SECRETS {
        assert!(!inherited.contains(secret), "{inherited}");
    }
    Ok(())
}

/// A daemon that waits for Consul's first answer.
struct Asking {
    process: Process,
    _consul: std::os::unix::net::UnixStream,
}

impl Asking {
    fn start(host: &Host, arguments: &[&str]) -> Result<Self, Box<dyn Error>> {
        let socket = host.directory().join("silent.sock");
        let _ = fs::remove_file(&socket);
        let consul = UnixListener::bind(&socket)?;
        consul.set_nonblocking(true)?;
        let file = host.directory().join("vip-manager.yml");
        // With core dumps as large as may be, so that it has something to turn off.
        let script = "ulimit -S -c $(ulimit -H -c) && exec \"$0\" \"$@\"";
        let mut command = host.command("sh");
        command
            .args(["-c", script, DAEMON])
            .arg(format!("--vip-manager-config={}", file.display()))
            .arg(format!("--addr=unix://{}", socket.display()))
            .args(arguments)
            .envs(SECRETS.map(|name| (name, "none")))
            .env("KEPT", "kept");
        let log = Log::default();
        let process = Process::start(command, &log, &host.directory().join("daemon.log"))?;
        let (consul, _) = until("the daemon to ask", LIMIT, || {
            consul
                .accept()
                .map_err(|error| format!("{error}\n{}", log.tail(20)))
        })?;
        Ok(Self {
            process,
            _consul: consul,
        })
    }

    /// Asserts that it has these capabilities, cannot get or pass on any, and dumps no core.
    fn has(&self, capabilities: u64) -> Result<(), Box<dyn Error>> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        for (set, expected) in [
            ("CapEff", capabilities),
            ("CapPrm", capabilities),
            ("CapBnd", capabilities),
            ("CapInh", 0),
            ("CapAmb", 0),
            ("NoNewPrivs", 1),
        ] {
            assert_eq!(bits(&status, set)?, expected, "{set} in {status}");
        }
        let limits = fs::read_to_string(format!("/proc/{}/limits", self.process.id()))?;
        let core = limits
            .lines()
            .find_map(|line| line.strip_prefix("Max core file size"))
            .and_then(|line| line.split_whitespace().next());
        assert_eq!(core, Some("0"), "{limits}");
        Ok(())
    }
}

/// A hexadecimal line of `/proc/PID/status`.
fn bits(status: &str, name: &str) -> Result<u64, Box<dyn Error>> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .ok_or_else(|| format!("no {name} in {status}"))?;
    Ok(u64::from_str_radix(line.trim(), 16)?)
}

/// Whether a process of the same user, without capabilities, may read the process's environment.
fn others_see(pid: u32) -> Result<bool, Box<dyn Error>> {
    let environment = format!("/proc/{pid}/environ");
    Ok(unprivileged("cat", &[&environment])
        .output()?
        .status
        .success())
}

fn unprivileged(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--bounding-set=-all", "--inh-caps=-all", program])
        .args(arguments);
    command
}

fn null() -> &'static Path {
    Path::new("/dev/null")
}
