//! Pure: the kinds of faults, what each consists of, and when.

use std::fmt;
use std::time::Duration;

use crate::cluster::Trouble;
use crate::netns::Losses;

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
}

/// What is done at one moment: to one host, unless it says otherwise.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Deed {
    /// Kill the daemon where its supervisor sees it.
    Strike,
    /// Kill the daemon for good.
    Kill,
    /// Start the daemon.
    Start,
    /// Stop the daemon in mid-air.
    Freeze,
    /// Let the daemon go on.
    Thaw,
    /// Make the health endpoint answer 503.
    FailCheck,
    /// Make the health endpoint answer 200.
    HealCheck,
    /// Cut the host's power.
    Crash,
    /// Boot the host.
    Reboot,
    /// Move the host to the island.
    Partition,
    /// Make its cable lose packets.
    Degrade(Losses),
    /// Move the host back, with a good cable.
    Reconnect,
    /// Stop the agent.
    StopConsul,
    /// Have the agent leave.
    DismissConsul,
    /// Start the agent.
    StartConsul,
    /// Set what happens between daemon and agent.
    Trouble(Trouble),
    /// Fill the runtime directory.
    FillDisk,
    /// Make room in it.
    EmptyDisk,
    /// Set the wall clock off by so many seconds.
    StepClock(i64),
    /// Stop and start the agent of the host with this number.
    RestartConsul(usize),
    /// Kill all agents.
    KillEveryConsul,
    /// Start all agents.
    StartEveryConsul,
    /// Do to the lock what an operator can do.
    Meddle(Meddling),
    /// Nothing: what was done takes its time to show.
    Wait,
}

/// What an operator can do to the lock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Meddling {
    /// Delete the key.
    Delete,
    /// Write over the key.
    Overwrite,
    /// Destroy the session.
    Destroy,
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
    Lock,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 31] = [
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
    ];

    /// Returns what is done, and how many milliseconds after the beginning: from the fault to the
    /// last thing that heals it. The times suit a lock-delay of 3 s and a TTL of 10 s, which Consul
    /// stretches to 20 s.
    pub fn script(self) -> Vec<(u64, Deed)> {
        let way = |trouble| {
            vec![
                (0, Deed::Trouble(trouble)),
                (6_000, Deed::Trouble(Trouble::None)),
            ]
        };
        let cable = |deed| vec![(0, deed), (12_000, Deed::Reconnect)];
        let meddling = |what| vec![(0, Deed::Meddle(what)), (3_000, Deed::Wait)];
        let unheard = |what| {
            vec![
                (0, Deed::Trouble(Trouble::Silence)),
                (100, Deed::Meddle(what)),
                (8_000, Deed::Trouble(Trouble::None)),
            ]
        };
        match self {
            Self::KillSupervised => vec![(0, Deed::Strike), (3_000, Deed::Wait)],
            Self::Kill => vec![(0, Deed::Kill), (6_000, Deed::Start)],
            Self::FreezePastLease => vec![(0, Deed::Freeze), (5_000, Deed::Thaw)],
            Self::FreezePastSession => vec![(0, Deed::Freeze), (32_000, Deed::Thaw)],
            Self::Crash => vec![(0, Deed::Crash), (12_000, Deed::Reboot)],
            Self::Partition | Self::PartitionOfBothLeaders => cable(Deed::Partition),
            Self::Deaf => cable(Deed::Degrade(Losses::DEAF)),
            Self::Mute => cable(Deed::Degrade(Losses::MUTE)),
            Self::PacketLoss => cable(Deed::Degrade(Losses::HEAVY)),
            Self::AgentRestart => vec![(0, Deed::StopConsul), (1_500, Deed::StartConsul)],
            Self::AgentLeave => vec![(0, Deed::DismissConsul), (1_500, Deed::StartConsul)],
            Self::ServersTogether => {
                vec![(0, Deed::KillEveryConsul), (2_000, Deed::StartEveryConsul)]
            }
            Self::ServersInTurn => vec![
                (0, Deed::RestartConsul(0)),
                (5_000, Deed::RestartConsul(1)),
                (10_000, Deed::RestartConsul(2)),
            ],
            // Later than the shortest time-outs, and than the longest.
            Self::LateRequests => way(Trouble::LateRequests(Duration::from_millis(1_400))),
            Self::LateAnswers => way(Trouble::LateAnswers(Duration::from_millis(2_600))),
            Self::LostRequests => way(Trouble::LostRequests),
            Self::LostAnswers => way(Trouble::LostAnswers),
            Self::CutAnswers => way(Trouble::CutAnswers),
            Self::Resets => way(Trouble::Reset),
            Self::ServerErrors => way(Trouble::Refused(500)),
            Self::TooManyRequests => way(Trouble::Refused(429)),
            Self::DiskFull => vec![
                (0, Deed::FillDisk),
                (1_000, Deed::Strike),
                (6_000, Deed::EmptyDisk),
            ],
            Self::ClockSteps => vec![
                (0, Deed::StepClock(3_600)),
                (2_000, Deed::StepClock(-7_200)),
                (4_000, Deed::StepClock(0)),
            ],
            Self::CheckFlaps => vec![
                (0, Deed::FailCheck),
                (1_300, Deed::HealCheck),
                (2_600, Deed::FailCheck),
                (3_900, Deed::HealCheck),
            ],
            Self::KeyDeleted => meddling(Meddling::Delete),
            Self::KeyOverwritten => meddling(Meddling::Overwrite),
            Self::SessionDestroyed => meddling(Meddling::Destroy),
            Self::SessionDestroyedUnheard => unheard(Meddling::Destroy),
            Self::KeyDeletedUnheard => unheard(Meddling::Delete),
            Self::SessionDestroyedFrozen => vec![
                (0, Deed::Freeze),
                (100, Deed::Meddle(Meddling::Destroy)),
                (8_000, Deed::Thaw),
            ],
        }
    }

    /// Returns whether it is done to one host, and not to all or to the lock.
    pub fn is_of_one_host(self) -> bool {
        !matches!(
            self,
            Self::ServersTogether
                | Self::ServersInTurn
                | Self::KeyDeleted
                | Self::KeyOverwritten
                | Self::SessionDestroyed
        )
    }

    /// Returns whether it makes no sense but for the leader.
    pub(super) fn is_of_the_leader(self) -> bool {
        matches!(
            self,
            Self::PartitionOfBothLeaders
                | Self::SessionDestroyedUnheard
                | Self::KeyDeletedUnheard
                | Self::SessionDestroyedFrozen
        )
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
            // It takes leave of the others, so they must be there.
            Self::AgentLeave => &[Part::Agent, Part::Cable],
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
            // It needs an agent that answers.
            Self::KeyDeleted | Self::KeyOverwritten | Self::SessionDestroyed => {
                &[Part::Lock, Part::Agent, Part::Cable]
            }
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
        })
    }
}
