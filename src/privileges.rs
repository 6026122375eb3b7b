//! What the process may do: the two capabilities that holding an address takes, or none.

use caps::{CapSet, Capability, CapsHashSet};
use thiserror::Error;

/// Why the process may not do its work, or may do too much.
#[derive(Debug, Error)]
pub enum Error {
    /// Capabilities that `--manage-vip` needs and the process has not.
    #[error(
        "holding the address with --manage-vip needs {0}: run as root, or give the service \
         AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW"
    )]
    Missing(String),
    /// The kernel refused to show or change the capabilities.
    #[error("restricting the process to the capabilities it needs")]
    Caps(#[from] caps::errors::CapsError),
}

/// Keeps `CAP_NET_ADMIN` and `CAP_NET_RAW` for `manage_vip`, nothing without, and drops the rest.
///
/// Capabilities belong to threads: call it before the first thread is started.
///
/// # Errors
///
/// When a capability that is needed is not there; nothing has been changed then.
pub fn restrict(manage_vip: bool) -> Result<(), Error> {
    let needed: CapsHashSet = if manage_vip {
        [Capability::CAP_NET_ADMIN, Capability::CAP_NET_RAW].into()
    } else {
        CapsHashSet::new()
    };
    let permitted = caps::read(None, CapSet::Permitted)?;
    let mut missing: Vec<String> = needed
        .difference(&permitted)
        .map(ToString::to_string)
        .collect();
    if !missing.is_empty() {
        missing.sort();
        return Err(Error::Missing(missing.join(" and ")));
    }
    // A child started later gets nothing either.
    caps::clear(None, CapSet::Ambient)?;
    caps::clear(None, CapSet::Inheritable)?;
    // The bounding set may only be changed with CAP_SETPCAP, which is dropped right after.
    if permitted.contains(&Capability::CAP_SETPCAP) {
        for spare in caps::read(None, CapSet::Bounding)?.difference(&needed) {
            caps::drop(None, CapSet::Bounding, *spare)?;
        }
    }
    caps::set(None, CapSet::Effective, &needed)?;
    caps::set(None, CapSet::Permitted, &needed)?;
    Ok(())
}
