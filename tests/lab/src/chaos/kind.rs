//! Pure: the kinds of faults, to whom they can be done, and which go together.

use std::fmt;

/// A kind of fault.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// The daemon is killed, and started again by its supervisor.
    KillSupervised,
    /// The daemon is killed, and started again when its address is gone.
    Kill,
    /// The daemon stops in mid-air for longer than its lease.
    FreezePastLease,
    /// The daemon stops in mid-air for longer than its session can live.
    FreezePastSession,
    /// The host loses power, and boots again.
    Crash,
    /// The host is cut off.
    Partition,
    /// The host that leads is cut off, and with it the server that leads Consul.
    PartitionOfBothLeaders,
    /// The host hears nothing, and is heard.
    Deaf,
    /// The host is not heard, and hears.
    Mute,
    /// The host's cable loses packets.
    PacketLoss,
    /// The host's agent is stopped and started.
    AgentRestart,
    /// The host's agent leaves the cluster and comes back.
    AgentLeave,
    /// All servers are killed at once, and started again.
    ServersTogether,
    /// All servers are restarted one after the other.
    ServersInTurn,
    /// Requests reach the agent late.
    LateRequests,
    /// Answers of the agent arrive late.
    LateAnswers,
    /// Requests do not reach the agent.
    LostRequests,
    /// Requests are carried out, and not answered.
    LostAnswers,
    /// Answers are cut off in the middle.
    CutAnswers,
    /// Connections to the agent are reset.
    Resets,
    /// The agent answers 500.
    ServerErrors,
    /// The agent answers 429.
    TooManyRequests,
    /// The runtime directory is full, and the daemon is killed and started again.
    DiskFull,
    /// The wall clock jumps forth and back.
    ClockSteps,
    /// The health check fails and recovers, and again.
    CheckFlaps,
    /// Somebody deletes the trigger key.
    KeyDeleted,
    /// Somebody writes over the trigger key.
    KeyOverwritten,
    /// Somebody destroys the session that holds the lock.
    SessionDestroyed,
    /// The leader hears nothing from its agent any more, and then somebody destroys its session.
    SessionDestroyedUnheard,
    /// The leader hears nothing from its agent any more, and then somebody deletes the key.
    KeyDeletedUnheard,
    /// The leader stops in mid-air, and then somebody destroys its session.
    SessionDestroyedFrozen,
    /// What the virtual IP is for fails, as the daemon itself finds out, and recovers.
    LocalHealth,
    /// An operator asks for one of the others to lead.
    Switchover,
    /// An operator asks for a host to lead that there is not.
    SwitchoverToNobody,
    /// An operator asks for one of the others to lead, by the command, which waits for it.
    SwitchoverByCommand,
    /// An operator drains a host, and resumes it, by the commands.
    Drain,
    /// An operator deletes the entry of a candidate.
    CandidateDeleted,
    /// The node is in maintenance for a while.
    Maintenance,
    /// The agent forgets the service that tells of the daemon's life.
    ServiceForgotten,
    /// One of the others does not hear the leader's heartbeats.
    HeartbeatsOneWay,
    /// The leader and one of the others do not hear each other's heartbeats.
    HeartbeatsBothWays,
    /// Nobody hears the leader's heartbeats.
    HeartbeatsOfLeader,
}

/// To whom a fault can be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Victim {
    /// To any host.
    Anybody,
    /// To the leader: it makes no sense for another.
    Leader,
    /// To one of the others: it makes no sense for the leader.
    Other,
}

/// What a fault meddles with: two faults at a time have nothing in common.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Part {
    Daemon,
    Cable,
    Agent,
    Way,
    Clock,
    Check,
    Health,
    Lock,
    Heartbeats,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 42] = [
        Self::KillSupervised,
        Self::Kill,
        Self::FreezePastLease,
        Self::FreezePastSession,
        Self::Crash,
        Self::Partition,
        Self::PartitionOfBothLeaders,
        Self::Deaf,
        Self::Mute,
        Self::PacketLoss,
        Self::AgentRestart,
        Self::AgentLeave,
        Self::ServersTogether,
        Self::ServersInTurn,
        Self::LateRequests,
        Self::LateAnswers,
        Self::LostRequests,
        Self::LostAnswers,
        Self::CutAnswers,
        Self::Resets,
        Self::ServerErrors,
        Self::TooManyRequests,
        Self::DiskFull,
        Self::ClockSteps,
        Self::CheckFlaps,
        Self::KeyDeleted,
        Self::KeyOverwritten,
        Self::SessionDestroyed,
        Self::SessionDestroyedUnheard,
        Self::KeyDeletedUnheard,
        Self::SessionDestroyedFrozen,
        Self::LocalHealth,
        Self::Switchover,
        Self::SwitchoverToNobody,
        Self::SwitchoverByCommand,
        Self::Drain,
        Self::CandidateDeleted,
        Self::Maintenance,
        Self::ServiceForgotten,
        Self::HeartbeatsOneWay,
        Self::HeartbeatsBothWays,
        Self::HeartbeatsOfLeader,
    ];

    /// Returns whether it is done to one host, and not to all or to the lock.
    pub fn is_of_one_host(self) -> bool {
        !matches!(
            self,
            Self::ServersTogether
                | Self::ServersInTurn
                | Self::KeyDeleted
                | Self::KeyOverwritten
                | Self::SessionDestroyed
                | Self::SwitchoverToNobody
        )
    }

    /// Returns to whom it can be done.
    pub(super) fn victim(self) -> Victim {
        match self {
            Self::PartitionOfBothLeaders
            | Self::SessionDestroyedUnheard
            | Self::KeyDeletedUnheard
            | Self::SessionDestroyedFrozen
            | Self::HeartbeatsOfLeader => Victim::Leader,
            Self::Switchover
            | Self::SwitchoverByCommand
            | Self::CandidateDeleted
            | Self::HeartbeatsOneWay
            | Self::HeartbeatsBothWays => Victim::Other,
            Self::KillSupervised
            | Self::Kill
            | Self::FreezePastLease
            | Self::FreezePastSession
            | Self::Crash
            | Self::Partition
            | Self::Deaf
            | Self::Mute
            | Self::PacketLoss
            | Self::AgentRestart
            | Self::AgentLeave
            | Self::ServersTogether
            | Self::ServersInTurn
            | Self::LateRequests
            | Self::LateAnswers
            | Self::LostRequests
            | Self::LostAnswers
            | Self::CutAnswers
            | Self::Resets
            | Self::ServerErrors
            | Self::TooManyRequests
            | Self::DiskFull
            | Self::ClockSteps
            | Self::CheckFlaps
            | Self::KeyDeleted
            | Self::KeyOverwritten
            | Self::SessionDestroyed
            | Self::LocalHealth
            | Self::SwitchoverToNobody
            | Self::Drain
            | Self::Maintenance
            | Self::ServiceForgotten => Victim::Anybody,
        }
    }

    pub(super) fn meddles_with(self) -> &'static [Part] {
        match self {
            Self::KillSupervised
            | Self::Kill
            | Self::FreezePastLease
            | Self::FreezePastSession
            | Self::DiskFull => &[Part::Daemon],
            Self::Crash => &[
                Part::Daemon,
                Part::Cable,
                Part::Agent,
                Part::Way,
                Part::Clock,
            ],
            Self::Partition
            | Self::PartitionOfBothLeaders
            | Self::Deaf
            | Self::Mute
            | Self::PacketLoss => &[Part::Cable],
            Self::AgentRestart | Self::ServersTogether | Self::ServersInTurn => &[Part::Agent],
            // The agent tells the others before it answers, so they must be there.
            Self::AgentLeave | Self::Maintenance | Self::ServiceForgotten => {
                &[Part::Agent, Part::Cable]
            }
            Self::LateRequests
            | Self::LateAnswers
            | Self::LostRequests
            | Self::LostAnswers
            | Self::CutAnswers
            | Self::Resets
            | Self::ServerErrors
            | Self::TooManyRequests => &[Part::Way],
            Self::ClockSteps => &[Part::Clock],
            Self::CheckFlaps => &[Part::Check],
            Self::LocalHealth => &[Part::Health],
            Self::HeartbeatsOneWay | Self::HeartbeatsBothWays | Self::HeartbeatsOfLeader => {
                &[Part::Heartbeats]
            }
            // It needs an agent that answers.
            Self::KeyDeleted
            | Self::KeyOverwritten
            | Self::SessionDestroyed
            | Self::Switchover
            | Self::SwitchoverToNobody
            | Self::SwitchoverByCommand
            | Self::Drain
            | Self::CandidateDeleted => &[Part::Lock, Part::Agent, Part::Cable],
            Self::SessionDestroyedUnheard | Self::KeyDeletedUnheard => {
                &[Part::Lock, Part::Agent, Part::Cable, Part::Way]
            }
            Self::SessionDestroyedFrozen => &[Part::Lock, Part::Agent, Part::Cable, Part::Daemon],
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::KillSupervised => "SIGKILL, supervised",
            Self::Kill => "SIGKILL, started by hand",
            Self::FreezePastLease => "freeze past the lease",
            Self::FreezePastSession => "freeze past the session",
            Self::Crash => "host crash",
            Self::Partition => "partition",
            Self::PartitionOfBothLeaders => "partition with raft leader",
            Self::Deaf => "hears nobody",
            Self::Mute => "nobody hears it",
            Self::PacketLoss => "30 % packet loss",
            Self::AgentRestart => "agent restart",
            Self::AgentLeave => "agent leaves",
            Self::ServersTogether => "all servers at once",
            Self::ServersInTurn => "all servers in turn",
            Self::LateRequests => "late requests",
            Self::LateAnswers => "late answers",
            Self::LostRequests => "lost requests",
            Self::LostAnswers => "lost answers",
            Self::CutAnswers => "answers cut off",
            Self::Resets => "connections reset",
            Self::ServerErrors => "consul answers 500",
            Self::TooManyRequests => "consul answers 429",
            Self::DiskFull => "disk full, and SIGKILL",
            Self::ClockSteps => "clock steps",
            Self::CheckFlaps => "check flaps",
            Self::KeyDeleted => "key deleted",
            Self::KeyOverwritten => "key overwritten",
            Self::SessionDestroyed => "session destroyed",
            Self::SessionDestroyedUnheard => "session destroyed, unheard",
            Self::KeyDeletedUnheard => "key deleted, unheard",
            Self::SessionDestroyedFrozen => "session destroyed, frozen",
            Self::LocalHealth => "local health fails",
            Self::Switchover => "switchover",
            Self::SwitchoverToNobody => "switchover to nobody",
            Self::SwitchoverByCommand => "switchover by command",
            Self::Drain => "drain and resume",
            Self::CandidateDeleted => "candidate deleted",
            Self::Maintenance => "node maintenance",
            Self::ServiceForgotten => "liveness service forgotten",
            Self::HeartbeatsOneWay => "heartbeats cut one way",
            Self::HeartbeatsBothWays => "heartbeats cut both ways",
            Self::HeartbeatsOfLeader => "all heartbeats cut",
        })
    }
}
