//! Applier: what can happen to a host's cable.

use crate::cluster::{Cluster, Error};
use crate::netns::{Bridge, Losses};

impl Cluster {
    /// Moves the host's port to the island.
    pub fn partition(&mut self, host: &str) -> Result<(), Error> {
        self.host_mut(host)?.plug_into(Bridge::Island)
    }

    /// Makes the host's cable lose packets; everything in one direction, if need be.
    pub fn degrade(&mut self, host: &str, losses: Losses) -> Result<(), Error> {
        self.host_mut(host)?.degrade(losses)
    }

    /// Moves the host's port back to the network, with a cable that loses nothing, and has its Consul
    /// look for the others at once, as an operator would: by itself it may take half a minute to do
    /// so.
    pub fn reconnect(&mut self, host: &str) -> Result<(), Error> {
        self.host_mut(host)?.plug_into(Bridge::Network)?;
        let agent = self.host(host)?.agent();
        // Where the first try comes too early, gossip will find them.
        for other in self.others(host) {
            let _ = agent.put(&format!("/v1/agent/join/{}", other.address()), "");
        }
        Ok(())
    }
}
