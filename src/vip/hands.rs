//! What the groups of a process share of this host's kernel.

use std::sync::Arc;

use vip_netlink::{Error, Netlink};

use crate::vip::herald::Herald;

/// One connection to the kernel, and one packet socket, however many addresses there are.
pub struct Hands {
    /// Links and addresses.
    pub netlink: Arc<Netlink>,
    /// Announcements.
    pub herald: Herald,
}

impl Hands {
    /// Opens them on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// [`Error::Permission`] without `CAP_NET_RAW`, [`Error::Refused`].
    pub fn open() -> Result<Self, Error> {
        let netlink = Arc::new(Netlink::open()?);
        let herald = Herald::open(Arc::clone(&netlink))?;
        Ok(Self { netlink, herald })
    }
}
