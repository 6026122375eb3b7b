//! Applier: one virtual host and its programs.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::health::Endpoint;
use super::setup::{Program, failed};
use super::{Agent, Error};
use crate::netns::{Bridge, Namespace, Port, before_exec};
use crate::process::{Log, Process};
use crate::time::until;
use crate::witness::Responder;

/// Where every host finds its own runtime directory.
const RUNTIME_DIRECTORY: &str = "/run/vip-elector";

/// A virtual host.
#[derive(Debug)]
pub struct Host {
    address: Ipv4Addr,
    directory: PathBuf,
    consul: Service,
    daemon: Service,
    companion: Service,
    health: Endpoint,
    _responder: Responder,
    port: Port,
    namespace: Namespace,
}

/// A program that may run or not, and what it said in all its lives.
#[derive(Debug)]
struct Service {
    name: &'static str,
    program: Option<Program>,
    process: Option<Process>,
    log: Log,
}

impl Host {
    pub(super) fn new(
        namespace: Namespace,
        port: Port,
        address: Ipv4Addr,
        directory: PathBuf,
        [consul, daemon, companion]: [Option<Program>; 3],
    ) -> Result<Self, Error> {
        let health = Endpoint::start(&namespace)?
            .map_err(|cause| failed("start the health endpoint of", namespace.name(), cause))?;
        let responder = Responder::start(&namespace)?;
        Ok(Self {
            address,
            directory,
            consul: Service::new("consul", consul),
            daemon: Service::new("the daemon", daemon),
            companion: Service::new("the companion", companion),
            health,
            _responder: responder,
            port,
            namespace,
        })
    }

    /// Returns its name, which is its host name and Consul's node name.
    pub fn name(&self) -> &str {
        self.namespace.name()
    }

    /// Returns its own address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Returns its namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Returns the directory with its configurations and logs; `run` is its runtime directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns a client of its Consul agent.
    pub fn agent(&self) -> Agent {
        Agent::new(self.namespace.clone())
    }

    /// Returns what the daemon said in all its lives.
    pub fn log(&self) -> &Log {
        &self.daemon.log
    }

    /// Returns what the Consul agent said in all its lives.
    pub fn consul_log(&self) -> &Log {
        &self.consul.log
    }

    /// Returns what the companion said in all its lives.
    pub fn companion_log(&self) -> &Log {
        &self.companion.log
    }

    /// Returns the daemon's process, if it was started and not waited for.
    pub fn daemon(&self) -> Option<&Process> {
        self.daemon.process.as_ref()
    }

    /// Returns the Consul agent's process, if it was started and not waited for.
    pub fn consul(&self) -> Option<&Process> {
        self.consul.process.as_ref()
    }

    /// Returns a command that will run on this host.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = self.namespace.command(program);
        let text = |path: PathBuf| path.into_os_string().into_encoded_bytes();
        let own = std::ffi::CString::new(text(self.directory.join("run"))).unwrap_or_default();
        command.env("RUNTIME_DIRECTORY", RUNTIME_DIRECTORY);
        // The command has a mount namespace of its own already.
        before_exec(&mut command, move || {
            let none = None::<&str>;
            mount(
                Some(own.as_c_str()),
                RUNTIME_DIRECTORY,
                none,
                MsFlags::MS_BIND,
                none,
            )?;
            Ok(())
        });
        command
    }

    pub(super) fn start_consul(&mut self) -> Result<(), Error> {
        self.start(|host| &mut host.consul, "consul.log")
    }

    pub(super) fn start_daemon(&mut self) -> Result<(), Error> {
        self.start(|host| &mut host.companion, "companion.log")?;
        self.start(|host| &mut host.daemon, "daemon.log")
    }

    pub(super) fn signal_daemon(&mut self, signal: Signal) -> Result<(), Error> {
        signal_service(&self.daemon, signal, self.namespace.name())
    }

    pub(super) fn signal_companion(&mut self, signal: Signal) -> Result<(), Error> {
        signal_service(&self.companion, signal, self.namespace.name())
    }

    pub(super) fn signal_consul(&mut self, signal: Signal) -> Result<(), Error> {
        signal_service(&self.consul, signal, self.namespace.name())
    }

    /// Waits for the daemon's end, and forgets the process.
    pub(super) fn wait_daemon(&mut self, limit: Duration) -> Result<ExitStatus, Error> {
        wait_service(&mut self.daemon, limit, self.namespace.name())
    }

    /// Waits for the agent's end, and forgets the process.
    pub(super) fn wait_consul(&mut self, limit: Duration) -> Result<ExitStatus, Error> {
        wait_service(&mut self.consul, limit, self.namespace.name())
    }

    pub(super) fn set_healthy(&self, healthy: bool) {
        self.health.set(healthy);
    }

    pub(super) fn plug_into(&self, bridge: Bridge) -> Result<(), Error> {
        Ok(self.port.move_to(bridge)?)
    }

    /// Takes the carrier away.
    pub(super) fn unplug(&self) -> Result<(), Error> {
        Ok(self.port.down()?)
    }

    /// Kills whatever runs here, whoever started it.
    pub(super) fn kill_everything(&mut self) -> Result<(), Error> {
        // Ours are reaped by forgetting them, others by process 1.
        for service in [&mut self.daemon, &mut self.companion, &mut self.consul] {
            service.process = None;
        }
        let inode = self.namespace.inode()?;
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
        self.namespace.ip(&["address", "flush", "dev", "eth0"])?;
        self.namespace.ip(&[
            "address",
            "add",
            &format!("{}/24", self.address),
            "dev",
            "eth0",
        ])?;
        let run = self.directory.join("run");
        std::fs::remove_dir_all(&run)
            .and_then(|()| std::fs::create_dir(&run))
            .map_err(|cause| failed("clear the runtime directory of", self.name(), cause))
    }

    /// Switches the power on.
    pub(super) fn boot(&mut self) -> Result<(), Error> {
        self.port.up()?;
        self.start_consul()?;
        self.start_daemon()
    }

    fn start(
        &mut self,
        service: impl Fn(&mut Self) -> &mut Service,
        log_file: &str,
    ) -> Result<(), Error> {
        let Some(program) = service(self).program.clone() else {
            return Ok(());
        };
        let fail = |host: &Self, cause| Error::Start {
            program: program.path.display().to_string(),
            host: host.name().to_owned(),
            cause,
        };
        std::fs::create_dir_all(RUNTIME_DIRECTORY).map_err(|cause| fail(self, cause))?;
        let directory = self.directory.display().to_string();
        let arguments = program.arguments.iter().map(|argument| {
            argument
                .replace("{config}", &format!("{directory}/vip-manager.yml"))
                .replace("{directory}", &directory)
                .replace("{host}", self.name())
        });
        let mut command = self.command(&program.path);
        command.args(arguments);
        let log = service(self).log.clone();
        let process = Process::start(command, &log, &self.directory.join(log_file))
            .map_err(|cause| fail(self, cause))?;
        service(self).process = Some(process);
        Ok(())
    }
}

impl Service {
    fn new(name: &'static str, program: Option<Program>) -> Self {
        Self {
            name,
            program,
            process: None,
            log: Log::default(),
        }
    }
}

fn signal_service(service: &Service, signal: Signal, host: &str) -> Result<(), Error> {
    let process = service.process.as_ref().ok_or_else(|| Error::NotRunning {
        program: service.name,
        host: host.to_owned(),
    })?;
    process
        .signal(signal)
        .map_err(|cause| failed("send a signal to a program on", host, cause))
}

fn wait_service(service: &mut Service, limit: Duration, host: &str) -> Result<ExitStatus, Error> {
    let process = service.process.as_mut().ok_or_else(|| Error::NotRunning {
        program: service.name,
        host: host.to_owned(),
    })?;
    let status = process.wait(limit)?;
    service.process = None;
    Ok(status)
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
