//! Applier: a switch in a namespace of its own, and the ports that hosts are plugged into.

use std::net::Ipv4Addr;

use super::line::{Carriers, Losses};
use super::{Error, Namespace};

/// A namespace with two bridges: the network, and an island for whoever is cut off from it.
#[derive(Clone, Debug)]
pub struct Switch {
    namespace: Namespace,
}

/// Which of a switch's bridges a port is on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bridge {
    /// Where everybody is.
    Network,
    /// Where nobody else answers. Ports put here at the same time can hear each other.
    Island,
}

impl Bridge {
    fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Island => "island",
        }
    }
}

impl Switch {
    /// Makes a switch without ports.
    pub fn new(name: &str) -> Result<Self, Error> {
        let namespace = Namespace::new(name)?;
        for bridge in [Bridge::Network, Bridge::Island].map(Bridge::name) {
            // No spanning tree: a port forwards at once.
            namespace.ip(&["link", "add", bridge, "type", "bridge", "stp_state", "0"])?;
            namespace.ip(&["link", "set", bridge, "up"])?;
        }
        Ok(Self { namespace })
    }

    /// Plugs a host in: its `eth0` with `address`/24, and the port at the other end of the cable.
    pub fn plug(&self, host: &Namespace, address: Ipv4Addr) -> Result<Port, Error> {
        self.plug_with(host, &[format!("{address}/24")])
    }

    /// Plugs a host in: its `eth0` with these addresses, each with its prefix's length, and the port at
    /// the other end of the cable.
    pub fn plug_with(&self, host: &Namespace, addresses: &[String]) -> Result<Port, Error> {
        let port = format!("to-{}", host.name());
        self.namespace.ip(&[
            "link",
            "add",
            &port,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            host.name(),
        ])?;
        configure(host, addresses)?;
        host.ip(&["link", "set", "eth0", "up"])?;
        let port = Port {
            switch: self.namespace.clone(),
            name: port,
        };
        port.move_to(Bridge::Network)?;
        port.up()?;
        Ok(port)
    }
}

/// Gives a host's `eth0` these addresses, usable at once.
pub(crate) fn configure(host: &Namespace, addresses: &[String]) -> Result<(), Error> {
    for address in addresses {
        host.ip(&["address", "add", address, "dev", "eth0", "nodad"])?;
    }
    Ok(())
}

/// The switch's end of a host's cable.
#[derive(Clone, Debug)]
pub struct Port {
    switch: Namespace,
    name: String,
}

impl Port {
    /// Moves the port to a bridge; its carrier stays.
    pub fn move_to(&self, bridge: Bridge) -> Result<(), Error> {
        self.set(&["master", bridge.name()])
    }

    /// Gives the host a carrier.
    pub fn up(&self) -> Result<(), Error> {
        self.set(&["up"])
    }

    /// Takes the host's carrier away, as a pulled cable does.
    pub fn down(&self) -> Result<(), Error> {
        self.set(&["down"])
    }

    /// Makes the cable lose packets, until what is returned is dropped. The port must be on the
    /// network, and must not be moved meanwhile; the carrier stays.
    pub fn degrade(&self, losses: Losses) -> Result<LossyLine, Error> {
        let [near, far] = ["near", "far"].map(|end| self.name.replace("to", end));
        let peer = ["type", "veth", "peer", "name", &far];
        self.switch
            .ip(&[&["link", "add", &near][..], &peer].concat())?;
        let mut line = LossyLine {
            port: self.clone(),
            near: near.clone(),
            carriers: None,
        };
        for end in [&near, &far] {
            self.switch.ip(&["link", "set", end, "up"])?;
        }
        self.set(&["nomaster"])?;
        line.carriers = self
            .switch
            .enter(|| Carriers::start(&self.name, &near, losses))?
            .map(Some)
            .map_err(|cause| self.switch.failed("carry frames in", cause))?;
        let bridge = Bridge::Network.name();
        self.switch.ip(&["link", "set", &far, "master", bridge])?;
        Ok(line)
    }

    fn set(&self, what: &[&str]) -> Result<(), Error> {
        self.switch
            .ip(&[&["link", "set", &self.name], what].concat())
            .map(drop)
    }
}

/// A cable that loses packets; mended when dropped.
#[derive(Debug)]
pub struct LossyLine {
    port: Port,
    near: String,
    carriers: Option<Carriers>,
}

impl Drop for LossyLine {
    fn drop(&mut self) {
        self.carriers = None;
        let _ = self.port.switch.ip(&["link", "del", &self.near]);
        let _ = self.port.move_to(Bridge::Network);
    }
}
