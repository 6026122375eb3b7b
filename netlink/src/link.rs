//! Pure: what is known of an interface.

use std::fmt;
use std::iter;

/// An Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// An interface, as the kernel reports it.
///
/// A snapshot: an interface that is removed and made again under the same name has another index,
/// and a bond may change its Ethernet address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number for it.
    pub index: u32,
    /// Its name; the real one, where it was looked up by an alternative name.
    pub name: String,
    /// Its alternative names.
    pub other_names: Vec<String>,
    /// Its Ethernet address; `None` if it is no Ethernet interface (loopback, tunnels).
    pub mac: Option<Mac>,
    /// Somebody has set it up (`IFF_UP`).
    pub up: bool,
    /// It has a carrier (`IFF_LOWER_UP`). What is stacked upon others, as VLANs and bonds are, has none where
    /// they have none.
    pub carrier: bool,
    /// Its neighbours are found by ARP and NDP (no `IFF_NOARP`).
    pub arp: bool,
    /// How often the kernel has asked, since this connection was opened, that the neighbours be told anew who is
    /// here (`NETDEV_NOTIFY_PEERS`): another port of a bond has taken over, or the machine was moved.
    pub moves: u32,
}

impl Link {
    /// Returns its name and then its alternative ones.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        iter::once(&self.name)
            .chain(&self.other_names)
            .map(String::as_str)
    }
}
