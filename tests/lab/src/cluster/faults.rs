//! Applier: what can go wrong with a host, and how it gets well again.

mod consul;
mod heartbeats;
mod host;
mod network;
mod operator;

use std::fmt;
use std::time::Duration;

use super::{Cluster, Error};

/// How long a program may take to end when asked to.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// A fault that another host must make up for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The daemon is asked to stop.
    Stop,
    /// An operator asks for another host.
    Switchover,
    /// What the virtual IP is for fails, and the daemon finds out itself, at [`LOCAL_URL`](super::LOCAL_URL).
    LocalHealth,
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
    pub const ALL: [Self; 8] = [
        Self::Stop,
        Self::Switchover,
        Self::LocalHealth,
        Self::CheckFailure,
        Self::Kill,
        Self::Crash,
        Self::Partition,
        Self::Freeze,
    ];

    /// Returns whether the leader gives the lock to the next one itself.
    pub fn is_handed_over(self) -> bool {
        match self {
            Self::Stop | Self::Switchover | Self::LocalHealth => true,
            Self::CheckFailure | Self::Kill | Self::Crash | Self::Partition | Self::Freeze => false,
        }
    }

    /// Returns whether the leader says nothing any more.
    pub fn is_silent(self) -> bool {
        match self {
            Self::Stop | Self::Switchover | Self::LocalHealth | Self::CheckFailure => false,
            Self::Kill | Self::Crash | Self::Partition | Self::Freeze => true,
        }
    }

    /// Returns how long the takeover may take, with the daemon's default times (TTL 10 s, which
    /// Consul may stretch to twice that, and lock-delay 3 s).
    pub fn limit(self) -> Duration {
        match self {
            Self::Stop | Self::Switchover | Self::LocalHealth => Duration::from_secs(10),
            Self::CheckFailure => Duration::from_secs(15),
            Self::Kill | Self::Crash | Self::Partition | Self::Freeze => Duration::from_secs(45),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Stop => "graceful stop",
            Self::Switchover => "switchover",
            Self::LocalHealth => "local health failure",
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
            Fault::Switchover => self.switch_over(""),
            Fault::LocalHealth => self.fail_local_health(host),
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
            Fault::Switchover => Ok(()),
            Fault::LocalHealth => self.heal_local_health(host),
            Fault::CheckFailure => self.heal_check(host),
            Fault::Crash => self.reboot(host),
            Fault::Partition => self.reconnect(host),
            Fault::Freeze => self.thaw_daemon(host),
        }
    }
}
