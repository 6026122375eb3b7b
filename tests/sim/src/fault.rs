//! Pure: what may go wrong.

use std::fmt;
use std::time::Duration;

/// Whom a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The host that has the address when the fault strikes; any, where none has it.
    Leader,
    /// This one.
    Host(usize),
}

/// Which way a cut stops messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ways {
    /// Both.
    Both,
    /// Only those that go out.
    Out,
    /// Only those that come in.
    In,
}

/// What a killed daemon's successor finds in the runtime directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// What its predecessor left.
    Kept,
    /// Nothing.
    Lost,
    /// Something that cannot be read.
    Garbage,
    /// What an earlier boot left.
    OtherBoot,
}

/// How messages fare.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Weather {
    /// The share that is lost.
    pub loss: f64,
    /// The share that is delivered twice.
    pub twice: f64,
    /// The share that is late.
    pub late: f64,
    /// By up to how much.
    pub by: Duration,
}

/// One fault, which begins at an instant and ends after a while.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// SIGKILL to the daemon; at the end another is started.
    Kill { whom: Target, record: Record },
    /// SIGSTOP to the daemon; at the end SIGCONT.
    Freeze { whom: Target },
    /// SIGSTOP to the daemon and to the Consul server beside it.
    FreezeBoth { whom: Target },
    /// SIGSTOP to the Consul server.
    FreezeServer { whom: Target },
    /// SIGSTOP to the Consul server that is raft leader.
    FreezeRaftLeader,
    /// The host loses power; at the end it boots.
    Crash { whom: Target },
    /// SIGTERM to the daemon; at the end another is started.
    Stop { whom: Target },
    /// SIGTERM to the daemon; at the end one with another lock-delay is started.
    Reconfigure { whom: Target, lock_delay: Duration },
    /// The daemon does not reach its agent.
    CutAgent { whom: Target, ways: Ways },
    /// The host reaches no other.
    Isolate { whom: Target, ways: Ways },
    /// Two hosts do not reach each other.
    CutPair {
        whom: Target,
        with: usize,
        ways: Ways,
    },
    /// Messages between daemons and Consul are lost, late or doubled.
    Weather(Weather),
    /// The agent restarts, with or without leaving the cluster, and may have forgotten what was registered
    /// with it.
    RestartAgent {
        whom: Target,
        leave: bool,
        forgets: bool,
    },
    /// The raft leader hands over to another server, and believes for a while that it has not.
    ChangeRaftLeader,
    /// The check that the session is bound to is critical.
    FlapCheck { whom: Target },
    /// A server applies what was committed only after a while.
    Lag { whom: Target },
    /// Somebody deletes the trigger key.
    DeleteKey,
    /// Somebody destroys the session that holds the lock.
    DestroySession,
    /// Somebody writes over the key without flag or session; one that holds it stays.
    Overwrite,
    /// Somebody writes a value with the lock flag and without a session.
    WriteValue,
    /// The interface is down; it may lose the address with that, as IPv6 does.
    LinkDown { whom: Target, flushes: bool },
    /// Somebody removes the address.
    RemoveAddress { whom: Target },
    /// The host is not fit to lead, by its own probe or because somebody maintains it.
    Unfit { whom: Target },
    /// Somebody asks for another leader: this host, or the best.
    Switchover { to: Option<usize> },
    /// Somebody drains the host; at the end, resumes it.
    Drain { whom: Target },
    /// Heartbeats between two hosts are dropped; nothing else is.
    CutPeers {
        whom: Target,
        with: usize,
        ways: Ways,
    },
    /// Somebody sends old datagrams again.
    Replay,
    /// Somebody deletes a host's entry among the candidates.
    DeleteEntry { whom: Target },
    /// The runtime directory cannot be written; where it is only full, files can be removed.
    NoMemory { whom: Target, full: bool },
}

impl Fault {
    /// Names every kind, as [`kind`](Self::kind) does.
    pub const KINDS: [&str; 29] = [
        "kill",
        "freeze",
        "freeze daemon and server",
        "freeze server",
        "freeze raft leader",
        "host crash",
        "clean stop",
        "daemon cut from agent",
        "host isolated",
        "pair of hosts cut",
        "bad weather",
        "agent restart",
        "raft leader change",
        "check flap",
        "replication lag",
        "key deleted",
        "session destroyed",
        "key overwritten",
        "value without session",
        "interface down",
        "address removed",
        "runtime directory broken",
        "reconfiguration",
        "host unfit",
        "switchover request",
        "heartbeats cut",
        "old datagrams again",
        "candidate's entry deleted",
        "host drained",
    ];

    /// Names the kind.
    pub const fn kind(&self) -> &'static str {
        Self::KINDS[match self {
            Self::Kill { .. } => 0,
            Self::Freeze { .. } => 1,
            Self::FreezeBoth { .. } => 2,
            Self::FreezeServer { .. } => 3,
            Self::FreezeRaftLeader => 4,
            Self::Crash { .. } => 5,
            Self::Stop { .. } => 6,
            Self::CutAgent { .. } => 7,
            Self::Isolate { .. } => 8,
            Self::CutPair { .. } => 9,
            Self::Weather(_) => 10,
            Self::RestartAgent { .. } => 11,
            Self::ChangeRaftLeader => 12,
            Self::FlapCheck { .. } => 13,
            Self::Lag { .. } => 14,
            Self::DeleteKey => 15,
            Self::DestroySession => 16,
            Self::Overwrite => 17,
            Self::WriteValue => 18,
            Self::LinkDown { .. } => 19,
            Self::RemoveAddress { .. } => 20,
            Self::NoMemory { .. } => 21,
            Self::Reconfigure { .. } => 22,
            Self::Unfit { .. } => 23,
            Self::Switchover { .. } => 24,
            Self::CutPeers { .. } => 25,
            Self::Replay => 26,
            Self::DeleteEntry { .. } => 27,
            Self::Drain { .. } => 28,
        }]
    }

    /// Returns whom it hits, where it hits one host.
    pub const fn whom(&self) -> Option<Target> {
        match self {
            Self::Kill { whom, .. }
            | Self::Freeze { whom }
            | Self::FreezeBoth { whom }
            | Self::FreezeServer { whom }
            | Self::Crash { whom }
            | Self::Stop { whom }
            | Self::Reconfigure { whom, .. }
            | Self::CutAgent { whom, .. }
            | Self::Isolate { whom, .. }
            | Self::CutPair { whom, .. }
            | Self::RestartAgent { whom, .. }
            | Self::FlapCheck { whom }
            | Self::Lag { whom }
            | Self::LinkDown { whom, .. }
            | Self::RemoveAddress { whom }
            | Self::Unfit { whom }
            | Self::CutPeers { whom, .. }
            | Self::DeleteEntry { whom }
            | Self::Drain { whom }
            | Self::NoMemory { whom, .. } => Some(*whom),
            Self::FreezeRaftLeader
            | Self::Weather(_)
            | Self::ChangeRaftLeader
            | Self::DeleteKey
            | Self::DestroySession
            | Self::Overwrite
            | Self::WriteValue
            | Self::Switchover { .. }
            | Self::Replay => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
