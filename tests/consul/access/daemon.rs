//! The daemon as an operator starts it.

use std::process::Command;

use nix::sys::signal::Signal;
use tempfile::TempDir;
use vip_lab::process::{Log, Process};

use crate::agent::{Agent, GENEROUS};

/// The trigger key, which vip-manager's file could not hold with a space.
pub(super) const KEY: &str = "service/pg/leader";

const DAEMON: &str = env!("CARGO_BIN_EXE_vip-elector");

/// What an operator wrote, and where.
pub(super) struct Way {
    name: String,
    flags: Vec<String>,
    variables: Vec<(String, String)>,
    lines: Vec<String>,
    options: Vec<String>,
}

impl Way {
    /// Nothing but what every host has. The name goes into the key.
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            flags: Vec::new(),
            variables: Vec::new(),
            lines: Vec::new(),
            options: Vec::new(),
        }
    }

    pub(super) fn flag(mut self, name: &str, value: &str) -> Self {
        self.flags.push(format!("--{name}={value}"));
        self
    }

    pub(super) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A line of vip-manager's file.
    pub(super) fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    /// One of our own options in that file.
    pub(super) fn option(mut self, name: &str, value: &str) -> Self {
        self.options.push(format!("  {name}: {value:?}"));
        self
    }
}

/// Starts the daemon, waits until Consul says that it has the lock, and stops it. Returns what it said.
pub(super) fn goes(agent: &Agent, token: &str, way: &Way) -> String {
    let mut running = Running::start(way);
    running.wait_for("LOCK ACQUIRED");
    let key = agent.cli(token, &["kv", "get", "-detailed", KEY]).unwrap();
    let field = |name: &str| {
        let line = key.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].trim().to_owned()
    };
    assert_eq!(field("Value"), way.name, "{key}");
    assert_eq!(field("Session").len(), 36, "{key}");
    running.stop()
}

/// Starts the daemon, waits until it says `why` it cannot, and stops it.
pub(super) fn refused(way: &Way, why: &str) {
    let mut running = Running::start(way);
    running.wait_for(why);
    let said = running.stop();
    assert!(!said.contains("LOCK ACQUIRED"), "{said}");
}

struct Running {
    process: Process,
    log: Log,
    _directory: TempDir,
}

impl Running {
    fn start(way: &Way) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("vip-manager.yml");
        let mut text = format!(
            "dcs-type: consul\ntrigger-key: {KEY}\ntrigger-value: {}\n",
            way.name
        );
        for line in &way.lines {
            text.push_str(&format!("{line}\n"));
        }
        text.push_str("vip-elector:\n  lock-delay: 0s\n");
        for option in &way.options {
            text.push_str(&format!("{option}\n"));
        }
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(DAEMON);
        command
            .env_clear()
            .env("RUNTIME_DIRECTORY", directory.path())
            .envs(way.variables.iter().cloned())
            .arg(format!("--vip-manager-config={}", file.display()))
            .args(&way.flags);
        let log = Log::default();
        let process = Process::start(command, &log, &directory.path().join("log")).unwrap();
        Self {
            process,
            log,
            _directory: directory,
        }
    }

    fn wait_for(&self, words: &str) {
        let found = self.log.wait_for(words, 0, GENEROUS);
        assert!(found.is_ok(), "no {words:?} in\n{}", self.log.tail(20));
    }

    fn stop(&mut self) -> String {
        self.process.signal(Signal::SIGTERM).unwrap();
        let status = self.process.wait(GENEROUS).unwrap();
        let said = self.log.tail(usize::MAX);
        assert_eq!(status.code(), Some(0), "{said}");
        said
    }
}
