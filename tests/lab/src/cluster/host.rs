//! Applier: one virtual host and its programs.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::health::{self, Endpoint};
use super::place::Place;
use super::setup::{AGENT_PORT, PROXY_PORT, Program, failed};
use super::unit::Unit;
use super::{Agent, Error, Proxy};
use crate::netns::{self, Bridge, Losses, LossyLine, Namespace, Port};
use crate::process::Log;
use crate::time::until;
use crate::witness::Responder;

/// A virtual host.
#[derive(Debug)]
pub struct Host {
    address: Ipv4Addr,
    networks: Vec<String>,
    consul: Unit,
    daemon: Unit,
    companion: Unit,
    proxy: Proxy,
    health: Endpoint,
    local_health: Endpoint,
    _responder: Responder,
    line: Option<LossyLine>,
    port: Port,
    place: Arc<Place>,
}

impl Host {
    pub(super) fn new(
        place: Place,
        port: Port,
        (address, networks): (Ipv4Addr, Vec<String>),
        [consul, daemon, companion]: [Option<Program>; 3],
    ) -> Result<Self, Error> {
        let namespace = place.namespace();
        let endpoint = |port| {
            let started = Endpoint::start(namespace, port)?;
            started.map_err(|cause| failed("start the health endpoint of", namespace.name(), cause))
        };
        let (health, local_health) = (endpoint(health::PORT)?, endpoint(health::LOCAL_PORT)?);
        let proxy = Proxy::start(namespace, PROXY_PORT, AGENT_PORT)?;
        let responder = Responder::start(namespace)?;
        let place = Arc::new(place);
        Ok(Self {
            address,
            networks,
            consul: Unit::new("consul", consul, &place),
            daemon: Unit::new("the daemon", daemon, &place),
            companion: Unit::new("the companion", companion, &place),
            proxy,
            health,
            local_health,
            _responder: responder,
            line: None,
            port,
            place,
        })
    }

    /// Returns its name, which is its host name and Consul's node name.
    pub fn name(&self) -> &str {
        self.namespace().name()
    }

    /// Returns its own address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Returns its namespace.
    pub fn namespace(&self) -> &Namespace {
        self.place.namespace()
    }

    /// Returns the directory with its configurations and logs; `run` is its runtime directory.
    pub fn directory(&self) -> &Path {
        self.place.directory()
    }

    /// Returns a client of its Consul agent.
    pub fn agent(&self) -> Agent {
        Agent::new(self.namespace().clone())
    }

    /// Returns what stands between the daemon and the agent, where [`Program::proxied`] says so.
    pub fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// Returns what the daemon said in all its lives.
    pub fn log(&self) -> &Log {
        self.daemon.log()
    }

    /// Returns the daemon.
    pub fn daemon(&self) -> &Unit {
        &self.daemon
    }

    /// Returns the Consul agent.
    pub fn consul(&self) -> &Unit {
        &self.consul
    }

    /// Returns the companion.
    pub fn companion(&self) -> &Unit {
        &self.companion
    }

    /// Returns a command that will run on this host.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        self.place.command(program)
    }

    pub(super) fn start_daemon(&self) -> Result<(), Error> {
        self.companion.start()?;
        self.daemon.start()
    }

    pub(super) fn set_healthy(&self, healthy: bool) {
        self.health.set(healthy);
    }

    pub(super) fn set_locally_healthy(&self, healthy: bool) {
        self.local_health.set(healthy);
    }

    /// Moves the cable, and mends it.
    pub(super) fn plug_into(&mut self, bridge: Bridge) -> Result<(), Error> {
        self.line = None;
        Ok(self.port.move_to(bridge)?)
    }

    /// Makes the cable lose packets until it is moved.
    pub(super) fn degrade(&mut self, losses: Losses) -> Result<(), Error> {
        self.line = None;
        self.line = Some(self.port.degrade(losses)?);
        Ok(())
    }

    /// Takes the carrier away.
    pub(super) fn unplug(&self) -> Result<(), Error> {
        Ok(self.port.down()?)
    }

    /// Kills whatever runs here, whoever started it.
    pub(super) fn kill_everything(&self) -> Result<(), Error> {
        // Ours are reaped by forgetting them, others by process 1.
        for unit in [&self.daemon, &self.companion, &self.consul] {
            unit.annihilate();
        }
        let inode = self.namespace().inode()?;
        until(
            "every process of a host to end",
            Duration::from_secs(10),
            || {
                let left = processes_in(inode);
                for process in &left {
                    let _ = kill(*process, Signal::SIGKILL);
                }
                if left.is_empty() {
                    Ok(())
                } else {
                    Err(format!("{} are left", left.len()))
                }
            },
        )?;
        Ok(())
    }

    /// Loses what is in memory: addresses and the runtime directory.
    pub(super) fn forget(&self) -> Result<(), Error> {
        self.namespace().ip(&["address", "flush", "dev", "eth0"])?;
        netns::configure(self.namespace(), &self.networks)?;
        self.place.clear()
    }

    /// Switches the power on.
    pub(super) fn boot(&self) -> Result<(), Error> {
        self.port.up()?;
        self.consul.start()?;
        self.start_daemon()
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }
}

/// Returns the processes whose network namespace has this inode number.
fn processes_in(inode: u64) -> Vec<Pid> {
    use std::os::unix::fs::MetadataExt;
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let inside = |number: &i32| {
        std::fs::metadata(format!("/proc/{number}/ns/net")).is_ok_and(|data| data.ino() == inode)
    };
    numbers.filter(inside).map(Pid::from_raw).collect()
}
