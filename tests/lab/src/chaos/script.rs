//! Pure: what each kind of fault consists of, when, and for how long nobody may answer because of it.

use std::time::Duration;

use super::deed::{Deed, Meddling};
use super::kind::Kind;
use crate::cluster::Trouble;
use crate::netns::Losses;

/// Nothing moves, or the lock is handed over: the lock-delay of 3 s is not waited for.
const AT_ONCE: Duration = Duration::from_secs(3);
/// The lock-delay has to be waited for, after something that everybody sees at once.
const LOST: Duration = Duration::from_secs(8);
/// Somebody has to be missed first: by other hosts, or by the check of its liveness, in 3 s.
const MISSED: Duration = Duration::from_secs(12);
/// Consul itself has to find its way back, or a leader hangs on by what gets through.
const SHAKEN: Duration = Duration::from_secs(30);

impl Kind {
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
            Self::LocalHealth => vec![(0, Deed::FailLocalHealth), (4_000, Deed::HealLocalHealth)],
            Self::Switchover => vec![(0, Deed::Elect), (3_000, Deed::Wait)],
            Self::SwitchoverToNobody => vec![(0, Deed::ElectNobody), (3_000, Deed::Wait)],
            Self::SwitchoverByCommand => vec![(0, Deed::SwitchOver), (3_000, Deed::Wait)],
            Self::Drain => vec![(0, Deed::Drain), (4_000, Deed::Resume)],
            Self::CandidateDeleted => vec![(0, Deed::DeleteCandidate), (3_000, Deed::Wait)],
            Self::Maintenance => vec![(0, Deed::Maintain), (4_000, Deed::Release)],
            Self::ServiceForgotten => vec![(0, Deed::ForgetService), (3_000, Deed::Wait)],
            // Longer than any silence is borne, and the lock-delay after it.
            Self::HeartbeatsOneWay => vec![(0, Deed::Deafen), (8_000, Deed::HealHeartbeats)],
            Self::HeartbeatsBothWays => vec![
                (0, Deed::Deafen),
                (0, Deed::Silence),
                (8_000, Deed::HealHeartbeats),
            ],
            Self::HeartbeatsOfLeader => vec![(0, Deed::Gag), (8_000, Deed::HealHeartbeats)],
        }
    }

    /// Returns for how long nobody may answer because of it, with the same times and a liveness TTL of
    /// 3 s, on a machine that has other things to do as well.
    pub fn limit(self) -> Duration {
        match self {
            Self::KillSupervised
            | Self::KeyOverwritten
            | Self::ClockSteps
            | Self::LocalHealth
            | Self::Switchover
            | Self::SwitchoverToNobody
            | Self::SwitchoverByCommand
            | Self::Drain
            | Self::CandidateDeleted
            | Self::Maintenance
            | Self::HeartbeatsOneWay
            | Self::HeartbeatsBothWays => AT_ONCE,
            Self::CheckFlaps
            | Self::KeyDeleted
            | Self::SessionDestroyed
            | Self::SessionDestroyedUnheard
            | Self::KeyDeletedUnheard
            | Self::SessionDestroyedFrozen
            | Self::ServiceForgotten
            | Self::HeartbeatsOfLeader => LOST,
            Self::Kill
            | Self::FreezePastLease
            | Self::FreezePastSession
            | Self::DiskFull
            | Self::LateRequests
            | Self::LateAnswers
            | Self::LostRequests
            | Self::LostAnswers
            | Self::CutAnswers
            | Self::Resets
            | Self::ServerErrors
            | Self::TooManyRequests => MISSED,
            Self::Crash
            | Self::Partition
            | Self::PartitionOfBothLeaders
            | Self::Deaf
            | Self::Mute
            | Self::PacketLoss
            | Self::AgentRestart
            | Self::AgentLeave
            | Self::ServersTogether
            | Self::ServersInTurn => SHAKEN,
        }
    }
}
