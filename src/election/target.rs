//! Pure: what the election wants of the virtual IP, and what it is told about it.
//!
//! Level-triggered: only the newest order counts, and the address is made to match it.

use std::fmt;

use crate::election::lease::Lease;

/// What should be true of the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VipTarget {
    /// The address is off.
    Absent,
    /// The address stays as it is: up until the kernel's lifetime of it ends, or off. Only while it is
    /// being found out whether the session of the process before is still ours, and only where the
    /// kernel takes the address off in time by itself.
    Kept,
    /// The address is up, and off again when the lease ends.
    HeldUntil(Lease),
}

/// A target and its place in the row of targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VipOrder {
    /// Rises whenever the target turns into one of another kind, not when a lease is prolonged.
    pub version: u64,
    /// What should be true.
    pub target: VipTarget,
}

impl VipOrder {
    /// Returns the order that nothing came before.
    pub const fn first(target: VipTarget) -> Self {
        Self { version: 0, target }
    }
}

/// What is true of the address, as the kernel says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VipReport {
    /// The order that this answers.
    pub version: u64,
    /// Whether our address is up. `false` is the kernel's word, not a hope.
    pub held: bool,
    /// Why the address cannot be held here, if so.
    pub blocker: Option<Blocker>,
}

/// Why this host cannot hold the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blocker {
    /// There is no such interface.
    InterfaceMissing,
    /// The interface is down or has no carrier.
    InterfaceDown,
    /// The address is there, and somebody else put it there.
    Foreign,
    /// The kernel refused the address, with its words.
    Refused(String),
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InterfaceMissing => f.write_str("the interface does not exist"),
            Self::InterfaceDown => f.write_str("the interface is down or has no carrier"),
            Self::Foreign => f.write_str(
                "the address is already on this host and was not put there by vip-elector; \
                 remove it, or stop what adds it",
            ),
            Self::Refused(message) => f.write_str(message),
        }
    }
}
