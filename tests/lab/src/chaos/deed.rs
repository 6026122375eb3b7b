//! Pure: what faults consist of.

use crate::cluster::Trouble;
use crate::netns::Losses;

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
    /// Make the host's own health endpoint answer 503.
    FailLocalHealth,
    /// Make the host's own health endpoint answer 200.
    HealLocalHealth,
    /// Ask for the host to lead.
    Elect,
    /// Ask for a host to lead that there is not.
    ElectNobody,
    /// Have an operator's command ask for the host to lead.
    SwitchOver,
    /// Have an operator's command drain the host.
    Drain,
    /// Have an operator's command end that.
    Resume,
    /// Delete the host's entry among the candidates.
    DeleteCandidate,
    /// Put the node into maintenance.
    Maintain,
    /// End the node's maintenance.
    Release,
    /// Have the agent forget the daemon's service.
    ForgetService,
    /// Have the host not hear the leader's heartbeats.
    Deafen,
    /// Have the leader not hear the host's heartbeats.
    Silence,
    /// Have nobody hear the host's heartbeats.
    Gag,
    /// Have everybody hear everybody's heartbeats.
    HealHeartbeats,
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
