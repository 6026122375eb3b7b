//! What can go wrong, in the operator's words.

use std::fmt;
use std::io;
use std::net::IpAddr;

use crate::address::Vip;

/// A step that the kernel did not carry out.
///
/// The kernel's known answers have a variant each; [`Error::Refused`] has the rest.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The process lacks a capability.
    #[error("{operation}: {capability} is missing; run as root or grant it")]
    Permission {
        /// What was being done.
        operation: Operation,
        /// What it takes.
        capability: &'static str,
    },
    /// The interface does not exist, or no more.
    #[error(
        "{operation}: the interface does not exist any more; bring it back, or configure another"
    )]
    NoInterface {
        /// What was being done.
        operation: Operation,
    },
    /// The interface has the address already, from whomever.
    #[error("{operation}: the address is there already; remove it, or stop what adds it")]
    AlreadyThere {
        /// What was being done.
        operation: Operation,
    },
    /// The address to refresh is not there: it has expired, or somebody has removed it.
    #[error("{operation}: the address is not there any more")]
    NotThere {
        /// What was being done.
        operation: Operation,
    },
    /// The interface takes no IPv6 addresses.
    #[error(
        "{operation}: IPv6 is disabled there; set net.ipv6.conf.<interface>.disable_ipv6 to 0, \
         or take the IPv6 address out of the configuration"
    )]
    Ipv6Disabled {
        /// What was being done.
        operation: Operation,
    },
    /// The interface is down, so nothing can be sent.
    #[error("{operation}: the interface is down; set it up")]
    InterfaceDown {
        /// What was being done.
        operation: Operation,
    },
    /// The interface has no Ethernet address, or its neighbours ask for none.
    #[error("{operation}: the interface does not use ARP or has no Ethernet address")]
    NotEthernet {
        /// What was being done.
        operation: Operation,
    },
    /// The kernel said no for another reason.
    #[error("{operation}")]
    Refused {
        /// What was being done.
        operation: Operation,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The kernel gave no answer that could be read. The step may have been carried out.
    #[error(
        "{operation}: no answer from the kernel; see whether this machine is overloaded or out of memory"
    )]
    NoAnswer {
        /// What was being done.
        operation: Operation,
    },
    /// The netlink socket is closed, for good. The step may have been carried out.
    #[error("{operation}: the netlink connection is closed; open a new one")]
    Disconnected {
        /// What was being done.
        operation: Operation,
    },
}

impl Error {
    /// Says whether a capability is missing, so that trying again is of no use.
    pub fn is_permission(&self) -> bool {
        matches!(self, Self::Permission { .. })
    }

    /// Says whether the connection is gone, so that a new one has to be opened.
    pub fn is_disconnected(&self) -> bool {
        matches!(self, Self::Disconnected { .. })
    }

    /// Translates the kernel's answer to `operation`.
    pub(crate) fn refused(operation: Operation, source: io::Error) -> Self {
        match (source.raw_os_error(), operation.capability()) {
            // IPv6 switched off on the interface, and in the whole kernel.
            (Some(libc::EACCES | libc::EOPNOTSUPP), _) if operation.adds_ipv6() => {
                Self::Ipv6Disabled { operation }
            }
            // EACCES is a security module's way to say it.
            (Some(libc::EPERM | libc::EACCES), Some(capability)) => Self::Permission {
                operation,
                capability,
            },
            (Some(libc::EINVAL | libc::EOPNOTSUPP), _) if operation.is_refresh() => {
                Self::NotThere { operation }
            }
            (Some(libc::ENODEV | libc::ENXIO), _) => Self::NoInterface { operation },
            (Some(libc::EEXIST), _) => Self::AlreadyThere { operation },
            (Some(libc::ENETDOWN), _) => Self::InterfaceDown { operation },
            _ => Self::Refused { operation, source },
        }
    }
}

/// What was being done, with the interface by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Opening the sockets of [`crate::Netlink`].
    Open,
    /// Waiting for changes.
    Watch,
    /// Listing links and addresses.
    Look,
    /// Adding an address to an interface.
    Add(Vip, String),
    /// Refreshing an address on an interface.
    Refresh(Vip, String),
    /// Removing an address from an interface.
    Remove(Vip, String),
    /// Opening the socket of [`crate::Announcer`].
    OpenAnnouncer,
    /// Announcing an address on an interface.
    Announce(IpAddr, String),
    /// Asking on an interface whether somebody has an address.
    Probe(IpAddr, String),
    /// Opening or reading the socket of [`crate::Listener`].
    OpenListener,
}

impl Operation {
    /// Returns the capability that it takes; looking takes none.
    fn capability(&self) -> Option<&'static str> {
        match self {
            Self::OpenAnnouncer | Self::OpenListener | Self::Announce(..) | Self::Probe(..) => {
                Some("CAP_NET_RAW")
            }
            Self::Add(..) | Self::Refresh(..) | Self::Remove(..) => Some("CAP_NET_ADMIN"),
            Self::Open | Self::Watch | Self::Look => None,
        }
    }

    fn is_refresh(&self) -> bool {
        matches!(self, Self::Refresh(..))
    }

    fn adds_ipv6(&self) -> bool {
        match self {
            Self::Add(vip, _) | Self::Refresh(vip, _) => vip.address().is_ipv6(),
            Self::Open
            | Self::Watch
            | Self::Look
            | Self::Remove(..)
            | Self::OpenAnnouncer
            | Self::OpenListener
            | Self::Probe(..)
            | Self::Announce(..) => false,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => write!(f, "opening a netlink socket"),
            Self::Watch => write!(f, "watching links and addresses"),
            Self::Look => write!(f, "listing links and addresses"),
            Self::Add(vip, interface) => write!(f, "adding {vip} to {interface}"),
            Self::Refresh(vip, interface) => write!(f, "refreshing {vip} on {interface}"),
            Self::Remove(vip, interface) => write!(f, "removing {vip} from {interface}"),
            Self::OpenAnnouncer => write!(f, "opening a packet socket for announcements"),
            Self::OpenListener => write!(f, "hearing what others say of their addresses"),
            Self::Probe(address, interface) => {
                write!(f, "asking on {interface} whether somebody has {address}")
            }
            Self::Announce(address, interface) => write!(f, "announcing {address} on {interface}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(operation: Operation, errno: i32) -> String {
        Error::refused(operation, io::Error::from_raw_os_error(errno)).to_string()
    }

    #[test]
    fn known_answers_of_the_kernel_are_sentences() {
        let v4 = Vip::host("192.0.2.9".parse().unwrap());
        let v6 = Vip::host("2001:db8::9".parse().unwrap());
        let eth0 = || "eth0".to_owned();
        let cases = [
            (
                Operation::Add(v4, eth0()),
                libc::EPERM,
                "adding 192.0.2.9/32 to eth0: CAP_NET_ADMIN is missing; run as root or grant it",
            ),
            (
                Operation::OpenAnnouncer,
                libc::EPERM,
                "opening a packet socket for announcements: CAP_NET_RAW is missing; run as root or grant it",
            ),
            (
                Operation::Add(v4, eth0()),
                libc::EACCES,
                "adding 192.0.2.9/32 to eth0: CAP_NET_ADMIN is missing; run as root or grant it",
            ),
            (
                Operation::Add(v6, eth0()),
                libc::EACCES,
                "adding 2001:db8::9/128 to eth0: IPv6 is disabled there; set \
                 net.ipv6.conf.<interface>.disable_ipv6 to 0, or take the IPv6 address out of the \
                 configuration",
            ),
            (
                Operation::Add(v4, eth0()),
                libc::EEXIST,
                "adding 192.0.2.9/32 to eth0: the address is there already; remove it, or stop what adds it",
            ),
            (
                Operation::Refresh(v4, eth0()),
                libc::ENODEV,
                "refreshing 192.0.2.9/32 on eth0: the interface does not exist any more; bring it back, or \
                 configure another",
            ),
            (
                Operation::Announce(v4.address(), eth0()),
                libc::ENETDOWN,
                "announcing 192.0.2.9 on eth0: the interface is down; set it up",
            ),
            // A filter of system calls, not a capability.
            (Operation::Open, libc::EPERM, "opening a netlink socket"),
            // The cause is the source's to tell.
            (
                Operation::Remove(v4, eth0()),
                libc::EINVAL,
                "removing 192.0.2.9/32 from eth0",
            ),
        ];
        for (operation, errno, expected) in cases {
            assert_eq!(message(operation, errno), expected);
        }
    }
}
