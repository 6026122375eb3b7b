//! Applier: what the process may do: the two capabilities that holding an address takes, or none.

use caps::{CapSet, Capability, CapsHashSet};
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
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
    /// The kernel refused another restriction.
    #[error("{what}")]
    Refused {
        /// What was not to be had.
        what: &'static str,
        /// Why.
        #[source]
        source: Errno,
    },
}

/// Keeps the process's memory, which holds secrets, from core dumps, and from other processes of the same
/// user (`PR_SET_DUMPABLE`, prctl(2)).
///
/// What is below `/proc/self` belongs to root from now on, and is still to be had: the kernel lets a process
/// look at itself (ptrace(2), access mode checking), and we read `ns/net`, in a directory that all may
/// search. A program that is started is an ordinary one again (execve(2)).
///
/// Call it before the first secret is read.
///
/// # Errors
///
/// When the kernel refuses.
pub fn conceal_memory() -> Result<(), Error> {
    prctl::set_dumpable(false).map_err(refused("keeping the memory from others"))?;
    // Only the soft limit: it passes to a health command, which may raise it for itself.
    let what = "turning core dumps off";
    let (_, hard) = getrlimit(Resource::RLIMIT_CORE).map_err(refused(what))?;
    setrlimit(Resource::RLIMIT_CORE, 0, hard).map_err(refused(what))
}

/// Keeps `CAP_NET_ADMIN` and `CAP_NET_RAW` for `manage_vip`, nothing without, drops the rest, and lets
/// no program that is started have more (`PR_SET_NO_NEW_PRIVS`).
///
/// Capabilities belong to threads: call it before the first thread is started, and so before anything
/// comes from the network.
///
/// # Errors
///
/// When a capability that is needed is not there; nothing has been changed then.
pub fn restrict(manage_vip: bool) -> Result<(), Error> {
    let needed = needed(manage_vip);
    let missing = missing(manage_vip)?;
    if !missing.is_empty() {
        return Err(Error::Missing(missing.join(" and ")));
    }
    let permitted = caps::read(None, CapSet::Permitted)?;
    prctl::set_no_new_privs().map_err(refused("giving up new privileges"))?;
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

/// Names the capabilities that are needed and that this thread could not have.
///
/// # Errors
///
/// When the kernel does not show them.
pub fn missing(manage_vip: bool) -> Result<Vec<String>, Error> {
    let permitted = caps::read(None, CapSet::Permitted)?;
    let needed = needed(manage_vip);
    let mut missing: Vec<_> = needed
        .difference(&permitted)
        .map(ToString::to_string)
        .collect();
    missing.sort();
    Ok(missing)
}

/// Drops the capabilities of the calling thread, and so of what it starts: after [`restrict`], a program
/// that root starts gets no more than the starting thread has (capabilities(7), no_new_privs).
///
/// # Errors
///
/// When the kernel refuses.
pub fn renounce() -> Result<(), Error> {
    caps::clear(None, CapSet::Effective)?;
    caps::clear(None, CapSet::Permitted)?;
    Ok(())
}

fn needed(manage_vip: bool) -> CapsHashSet {
    if manage_vip {
        [Capability::CAP_NET_ADMIN, Capability::CAP_NET_RAW].into()
    } else {
        CapsHashSet::new()
    }
}

fn refused(what: &'static str) -> impl Fn(Errno) -> Error {
    move |source| Error::Refused { what, source }
}
