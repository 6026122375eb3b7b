//! Applier: what can go wrong with a host, and how it gets well again.

use std::fmt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::host::Host;
use super::{Cluster, Error};
use crate::netns::Bridge;
use crate::witness::measure::Span;

/// How long a program may take to end when asked to.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// A fault that another host must make up for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The daemon is asked to stop.
    Stop,
    /// The host's health check fails.
    CheckFailure,
    /// The daemon is killed.
    Kill,
    /// The whole host loses power.
    Crash,
    /// The host is cut off from the network.
    Partition,
    /// The daemon stops in mid-air and goes on later, none the wiser.
    Freeze,
}

impl Fault {
    /// All of them, in an order that does not have two long waits in a row.
    pub const ALL: [Self; 6] = [
        Self::Stop,
        Self::CheckFailure,
        Self::Kill,
        Self::Crash,
        Self::Partition,
        Self::Freeze,
    ];

    /// Returns how long the takeover may take, with the daemon's default times (TTL 10 s, which
    /// Consul may stretch to twice that, and lock-delay 3 s).
    pub fn limit(self) -> Duration {
        match self {
            Self::Stop => Duration::from_secs(10),
            Self::CheckFailure => Duration::from_secs(15),
            Self::Kill | Self::Crash | Self::Partition | Self::Freeze => Duration::from_secs(45),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Stop => "graceful stop",
            Self::CheckFailure => "health check failure",
            Self::Kill => "SIGKILL",
            Self::Crash => "host crash",
            Self::Partition => "partition",
            Self::Freeze => "freeze",
        })
    }
}

impl Cluster {
    /// Does a fault to a host.
    pub fn inject(&mut self, fault: Fault, host: &str) -> Result<(), Error> {
        match fault {
            Fault::Stop => self.stop_daemon(host).map(drop),
            Fault::CheckFailure => self.fail_check(host),
            Fault::Kill => self.kill_daemon(host),
            Fault::Crash => self.crash(host),
            Fault::Partition => self.partition(host),
            Fault::Freeze => self.freeze_daemon(host),
        }
    }

    /// Undoes a fault.
    pub fn repair(&mut self, fault: Fault, host: &str) -> Result<(), Error> {
        match fault {
            Fault::Stop | Fault::Kill => self.start_daemon(host),
            Fault::CheckFailure => self.heal_check(host),
            Fault::Crash => self.reboot(host),
            Fault::Partition => self.reconnect(host),
            Fault::Freeze => self.thaw_daemon(host),
        }
    }

    /// Asks the daemon to stop (SIGTERM), and waits for that.
    pub fn stop_daemon(&mut self, host: &str) -> Result<ExitStatus, Error> {
        let host = self.host_mut(host)?;
        host.signal_daemon(Signal::SIGTERM)?;
        host.wait_daemon(STOP_LIMIT)
    }

    /// Kills the daemon.
    pub fn kill_daemon(&mut self, host: &str) -> Result<(), Error> {
        let host = self.host_mut(host)?;
        host.signal_daemon(Signal::SIGKILL)?;
        host.wait_daemon(STOP_LIMIT).map(drop)
    }

    /// Starts the daemon, after a stop or a kill.
    pub fn start_daemon(&mut self, host: &str) -> Result<(), Error> {
        self.host_mut(host)?.start_daemon()
    }

    /// Stops the daemon in mid-air (SIGSTOP).
    pub fn freeze_daemon(&mut self, host: &str) -> Result<(), Error> {
        self.host_mut(host)?.signal_daemon(Signal::SIGSTOP)
    }

    /// Lets the daemon go on (SIGCONT).
    pub fn thaw_daemon(&mut self, host: &str) -> Result<(), Error> {
        self.host_mut(host)?.signal_daemon(Signal::SIGCONT)
    }

    /// Stops the companion in mid-air (SIGSTOP).
    pub fn freeze_companion(&mut self, host: &str) -> Result<(), Error> {
        self.host_mut(host)?.signal_companion(Signal::SIGSTOP)
    }

    /// Lets the companion go on (SIGCONT).
    pub fn thaw_companion(&mut self, host: &str) -> Result<(), Error> {
        self.host_mut(host)?.signal_companion(Signal::SIGCONT)
    }

    /// Makes the host's health endpoint answer 503.
    pub fn fail_check(&mut self, host: &str) -> Result<(), Error> {
        self.host_mut(host).map(|host| host.set_healthy(false))
    }

    /// Makes the host's health endpoint answer 200 again.
    pub fn heal_check(&mut self, host: &str) -> Result<(), Error> {
        self.host_mut(host).map(|host| host.set_healthy(true))
    }

    /// Cuts the host's power: no carrier, no process. What it had does not count from here on.
    pub fn crash(&mut self, host: &str) -> Result<(), Error> {
        let (name, host) = (host.into(), self.host_mut(host)?);
        host.unplug()?;
        let from = Instant::now();
        let ended = host.kill_everything();
        self.dead.push(Span {
            host: name,
            from,
            until: None,
        });
        ended
    }

    /// Boots a crashed host: its disk is there, its memory is not.
    pub fn reboot(&mut self, host: &str) -> Result<(), Error> {
        self.host_mut(host)?.forget()?;
        if let Some(span) = self.dead.iter_mut().rfind(|span| *span.host == *host) {
            span.until = Some(Instant::now());
        }
        self.host_mut(host)?.boot()
    }

    /// Moves the host's port to the island.
    pub fn partition(&mut self, host: &str) -> Result<(), Error> {
        self.host_mut(host)?.plug_into(Bridge::Island)
    }

    /// Moves the host's port back to the network, and has its Consul look for the others at once,
    /// as an operator would: by itself it may take half a minute to do so.
    pub fn reconnect(&mut self, host: &str) -> Result<(), Error> {
        self.host_mut(host)?.plug_into(Bridge::Network)?;
        let agent = self.host(host)?.agent();
        // Where the first try comes too early, gossip will find them.
        for other in self.others(host) {
            let _ = agent.put(&format!("/v1/agent/join/{}", other.address()), "");
        }
        Ok(())
    }

    /// Asks the Consul agent to stop (SIGTERM), and waits for that.
    pub fn stop_consul(&mut self, host: &str) -> Result<(), Error> {
        let host = self.host_mut(host)?;
        host.signal_consul(Signal::SIGTERM)?;
        host.wait_consul(STOP_LIMIT).map(drop)
    }

    /// Kills the Consul agent.
    pub fn kill_consul(&mut self, host: &str) -> Result<(), Error> {
        let host = self.host_mut(host)?;
        host.signal_consul(Signal::SIGKILL)?;
        host.wait_consul(STOP_LIMIT).map(drop)
    }

    /// Starts the Consul agent, after a stop or a kill.
    pub fn start_consul(&mut self, host: &str) -> Result<(), Error> {
        self.host_mut(host)?.start_consul()
    }

    fn host_mut(&mut self, name: &str) -> Result<&mut Host, Error> {
        let found = self.hosts.iter_mut().find(|host| host.name() == name);
        found.ok_or_else(|| Error::NoHost(name.to_owned()))
    }
}
