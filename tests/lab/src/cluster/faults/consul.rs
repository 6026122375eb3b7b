//! Applier: what can happen to Consul itself.

use nix::sys::signal::Signal;

use super::STOP_LIMIT;
use crate::cluster::{Cluster, Error};

impl Cluster {
    /// Asks the Consul agent to stop (SIGTERM), and waits for that; one that hangs is killed, as a supervisor would.
    /// It does not leave the cluster.
    pub fn stop_consul(&mut self, host: &str) -> Result<(), Error> {
        let consul = self.host(host)?.consul();
        consul
            .stop(Signal::SIGTERM, STOP_LIMIT)
            .or_else(|_| consul.stop(Signal::SIGKILL, STOP_LIMIT))
            .map(drop)
    }

    /// Kills the Consul agent.
    pub fn kill_consul(&mut self, host: &str) -> Result<(), Error> {
        self.host(host)?
            .consul()
            .stop(Signal::SIGKILL, STOP_LIMIT)
            .map(drop)
    }

    /// Has the Consul agent leave the cluster and end, and waits for that.
    pub fn dismiss_consul(&mut self, host: &str) -> Result<(), Error> {
        let host = self.host(host)?;
        // Leaving takes longer than the answer is waited for; the end is what counts.
        let _ = host.agent().put("/v1/agent/leave", "");
        host.consul().wait(STOP_LIMIT).map(drop)
    }

    /// Starts the Consul agent, after a stop or a kill.
    pub fn start_consul(&mut self, host: &str) -> Result<(), Error> {
        self.host(host)?.consul().start()
    }

    /// Kills every Consul agent at once.
    pub fn kill_every_consul(&mut self) -> Result<(), Error> {
        for host in self.hosts() {
            host.consul().signal(Signal::SIGKILL)?;
        }
        for host in self.hosts() {
            host.consul().wait(STOP_LIMIT)?;
        }
        Ok(())
    }

    /// Starts every Consul agent that does not run.
    pub fn start_every_consul(&mut self) -> Result<(), Error> {
        self.hosts()
            .iter()
            .try_for_each(|host| host.consul().start())
    }

    /// Returns the host whose Consul server leads the others, as one of them sees it.
    pub fn raft_leader(&self) -> Result<String, Error> {
        self.ask(|agent| agent.raft_leader()).and_then(|address| {
            let leads = |host: &&crate::cluster::Host| host.address() == address;
            let host = self.hosts().iter().find(leads);
            host.map(|host| host.name().to_owned())
                .ok_or_else(|| Error::NoHost(address.to_string()))
        })
    }
}
