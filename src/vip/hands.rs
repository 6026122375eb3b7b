//! What the groups of a process share of this host's kernel.

use std::sync::Arc;

use tokio::sync::Semaphore;
use vip_netlink::{Error, Netlink};

use crate::config::Conduct;
use crate::consul::sharing::OPERATIONS;
use crate::vip::herald::Herald;
use crate::vip::sentry::Sentry;

/// How many groups take their addresses off before those who wait for that have their turn: as many as one transaction
/// hands over, where nothing was asked for. For each it checks the successor's entry, gives the lock up, has the successor
/// take it, and deletes our own entry.
const AT_ONCE: usize = OPERATIONS / 4;

/// One connection to the kernel, and a few packet sockets, however many addresses there are.
pub struct Hands {
    /// Links and addresses.
    pub netlink: Arc<Netlink>,
    /// Announcements.
    pub herald: Arc<Herald>,
    /// Conflicts.
    pub sentry: Sentry,
    /// How the addresses behave.
    pub conduct: Conduct,
    /// Permits to take addresses off.
    pub turns: Arc<Semaphore>,
}

impl Hands {
    /// Opens them on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// [`Error::Permission`] without `CAP_NET_RAW`, [`Error::Refused`].
    pub fn open(conduct: Conduct) -> Result<Self, Error> {
        let netlink = Arc::new(Netlink::open()?);
        let herald = Arc::new(Herald::open(Arc::clone(&netlink))?);
        let sentry = Sentry::start(Arc::clone(&netlink), Arc::clone(&herald));
        Ok(Self {
            netlink,
            herald,
            sentry,
            conduct,
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        })
    }
}
