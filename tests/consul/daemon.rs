//! The daemon itself, beside a Consul agent of a test's own: it elects, and touches no address.

use std::path::Path;
use std::process::{Command, Output};

use nix::sys::signal::Signal;
use tempfile::TempDir;
use vip_lab::process::{Log, Process};

use crate::agent::GENEROUS;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_vip-elector");

/// What one daemon is started with, and where it leaves what it remembers.
pub(crate) struct Site {
    directory: TempDir,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

/// A daemon, and what it says. Killed when dropped.
pub(crate) struct Daemon {
    process: Process,
    log: Log,
}

impl Site {
    /// A host `value` of the group `key`, with nothing else configured.
    pub(crate) fn new(key: &str, value: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("run")).unwrap();
        let site = Self {
            directory,
            arguments: Vec::new(),
            environment: Vec::new(),
        };
        let file = format!("dcs-type: consul\ntrigger-key: {key}\ntrigger-value: {value}\n");
        let file = site.file("vip-manager.yml", &file);
        let run = site.run().display().to_string();
        site.flag(&format!("--vip-manager-config={file}"))
            .variable("RUNTIME_DIRECTORY", &run)
    }

    /// A host where no daemon is, and that has nothing but the key of the group.
    pub(crate) fn elsewhere(key: &str) -> Self {
        let site = Self {
            directory: tempfile::tempdir().unwrap(),
            arguments: vec![format!("--trigger-key={key}")],
            environment: Vec::new(),
        };
        let run = site.run().display().to_string();
        site.variable("RUNTIME_DIRECTORY", &run)
    }

    pub(crate) fn flag(mut self, flag: &str) -> Self {
        self.arguments.push(flag.to_owned());
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds lines to its vip-manager's file.
    pub(crate) fn more(self, lines: &str) -> Self {
        let path = self.directory.path().join("vip-manager.yml");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text + lines).unwrap();
        self
    }

    /// Writes a file, and returns its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Its runtime directory.
    pub(crate) fn run(&self) -> std::path::PathBuf {
        self.directory.path().join("run")
    }

    /// Runs it as a command that ends by itself.
    pub(crate) fn output(&self, more: &[&str]) -> Output {
        self.command().args(more).output().unwrap()
    }

    /// Runs the daemon.
    pub(crate) fn start(&self) -> Daemon {
        let log = Log::default();
        let process = Process::start(self.command(), &log, Path::new("/dev/null")).unwrap();
        Daemon { process, log }
    }

    /// The daemon, as it is to be run.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .env_clear()
            .envs(self.environment.iter().cloned())
            .args(&self.arguments);
        command
    }
}

impl Daemon {
    /// Waits until it has said `text` for the `count`th time; a log writes a quote as `\"`.
    pub(crate) fn says(&self, text: &str, count: usize) {
        let what = format!("{text:?}, {count} times");
        let logged = text.replace('"', "\\\"");
        let waited = self.log.wait(&what, GENEROUS, |lines| {
            let says = lines.iter().filter(|line| line.text.contains(&logged));
            (says.count() >= count).then_some(())
        });
        assert!(waited.is_ok(), "{what} is awaited:\n{}", self.log.tail(50));
    }

    /// What it has said.
    pub(crate) fn said(&self) -> String {
        self.log.tail(usize::MAX)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal).unwrap();
    }

    /// Stops it, and returns all that it has said.
    pub(crate) fn stop(mut self) -> String {
        self.signal(Signal::SIGTERM);
        let status = self.process.wait(GENEROUS).unwrap();
        let said = self.said();
        assert!(status.success(), "{status}:\n{said}");
        said
    }
}
