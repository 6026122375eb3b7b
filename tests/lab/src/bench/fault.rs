//! Pure: the faults of the bench, how long each lasts, and how long is waited for somebody else.

use std::fmt;
use std::time::Duration;

use clap::ValueEnum;

/// A fault that is done to the host that has the virtual IP.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum Fault {
    /// The program is asked to stop (SIGTERM)
    Stop,
    /// An operator asks for another host
    Switchover,
    /// What the virtual IP is for fails, and the program looks at it itself
    LocalHealth,
    /// What the virtual IP is for fails, and Consul's check says so
    Check,
    /// The program is killed (SIGKILL), and nobody starts it again
    Kill,
    /// The program stops in mid-air (SIGSTOP)
    Freeze,
    /// The host loses power; the server that leads Consul is another one
    Crash,
    /// The host is cut off; the server that leads Consul is another one
    Partition,
    /// The host loses power, and with it the server that leads Consul
    CrashRaftLeader,
}

/// Where the server that leads Consul must be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum RaftLeader {
    /// Wherever it is.
    Anywhere,
    /// Not on the host that has the virtual IP.
    Elsewhere,
    /// On the host that has the virtual IP.
    Here,
}

impl Fault {
    /// Returns where the server that leads Consul must be before the fault.
    pub(super) fn raft_leader(self) -> RaftLeader {
        match self {
            Self::Stop
            | Self::Switchover
            | Self::LocalHealth
            | Self::Check
            | Self::Kill
            | Self::Freeze => RaftLeader::Anywhere,
            Self::Crash | Self::Partition => RaftLeader::Elsewhere,
            Self::CrashRaftLeader => RaftLeader::Here,
        }
    }

    /// Returns whether a run takes so long that a few must do.
    pub(super) fn is_slow(self) -> bool {
        match self {
            Self::Stop | Self::Switchover | Self::LocalHealth | Self::Check => false,
            Self::Kill | Self::Freeze | Self::Crash | Self::Partition | Self::CrashRaftLeader => {
                true
            }
        }
    }

    /// Returns how long another host is waited for, before the fault is healed all the same.
    pub(super) fn limit(self) -> Duration {
        Duration::from_secs(if self.is_slow() { 60 } else { 20 })
    }

    /// Returns how long the fault lasts at least. An overlap that only ends with the fault must have
    /// time to show.
    pub(super) fn hold(self) -> Duration {
        Duration::from_secs(if self.is_slow() { 10 } else { 0 })
    }

    /// Returns whether the host is gone while the fault lasts.
    pub(super) fn is_fatal(self) -> bool {
        matches!(self, Self::Crash | Self::CrashRaftLeader)
    }

    /// Returns its name on the command line, and in the names of files.
    pub(super) fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Stop => "stop",
            Self::Switchover => "switchover",
            Self::LocalHealth => "local health",
            Self::Check => "check critical",
            Self::Kill => "SIGKILL",
            Self::Freeze => "freeze",
            Self::Crash => "host crash",
            Self::Partition => "partition",
            Self::CrashRaftLeader => "crash of raft leader",
        })
    }
}
