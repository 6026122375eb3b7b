//! The daemon beside a Consul that means it harm: what that costs is bounded, and it is asked again.
//!
//! The server is polite about sessions, so that the daemon comes as far as to read keys, and answers
//! every read of a key with one trick.

mod server;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use server::{Server, Trick};

/// How much more memory a daemon may take than beside a server that only says no, in KiB: four requests
/// at once, each with an answer of a mebibyte on its way, read, and made something of.
const BOUND: u64 = 16 * 1024;

/// How often keys are read at least: by each request that does so, and again after that has failed.
const READS: usize = 8;

/// Some answers are waited for until they are too late.
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn a_hostile_consul_costs_a_bounded_amount_of_memory_and_a_retry() {
    let measured: Vec<(&str, u64)> = std::thread::scope(|scope| {
        let all: Vec<_> = Trick::ALL
            .map(|trick| scope.spawn(move || (trick.name(), peak_beside(trick))))
            .into_iter()
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let calm = measured
        .iter()
        .find(|(name, _)| *name == Trick::Refusal.name())
        .map(|(_, peak)| *peak)
        .unwrap();
    let most = measured.iter().map(|(_, peak)| *peak).max();
    assert!(most <= Some(calm + BOUND), "{measured:#?}");
}

/// The most memory that the daemon has had, in KiB, when it has asked often enough.
fn peak_beside(trick: Trick) -> u64 {
    let server = Server::start(trick);
    let directory = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(directory.path(), &server.url());
    let start = Instant::now();
    let name = trick.name();
    for number in 1..=READS {
        let left = LIMIT.saturating_sub(start.elapsed());
        assert!(
            server.is_read_within(left),
            "{name}: read {number} is missing"
        );
    }
    let peak = daemon.peak();
    assert!(peak > 0, "{name}: the daemon has ended");
    peak
}

/// A daemon that touches no address, and hears no other host.
struct Daemon(Child);

impl Daemon {
    fn start(directory: &Path, consul: &str) -> Self {
        let file = directory.join("vip-manager.yml");
        fs::write(
            &file,
            "dcs-type: consul\ntrigger-key: k\ntrigger-value: web1\n",
        )
        .unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_vip-elector"))
            .arg(format!("--vip-manager-config={}", file.display()))
            .arg(format!("--addr={consul}"))
            .args(["--peer-watch=off", "--log-level=debug"])
            .env_clear()
            .env("RUNTIME_DIRECTORY", directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    /// In KiB; 0 when it has ended.
    fn peak(&self) -> u64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak.map_or(0, |peak| {
            peak.trim().trim_end_matches(" kB").parse().unwrap()
        })
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
