//! Pure: what a look at the kernel shows.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

use super::Step;

/// The interface and the address on it, as the kernel shows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// `None` where the interface is missing.
    pub link: Option<LinkSeen>,
    /// Every appearance of the virtual IP on the interface.
    pub vips: Vec<VipSeen>,
    /// The prefix length to add the address with, now.
    pub prefix: u8,
    /// Whether the others are asked for the address before it is added.
    pub asks: bool,
    /// Whether the kernel asks them before it lets the address be used.
    pub detects: bool,
    /// How often the kernel has found that another machine has the address.
    pub duplicates: u32,
}

impl Observed {
    /// Whether our address is up.
    pub fn is_held(&self) -> bool {
        self.vips.iter().any(|vip| vip.ours)
    }

    /// Returns what is to be seen after a step that the kernel has acknowledged, where that is good enough.
    pub(super) fn after(mut self, step: Step) -> Option<Self> {
        match step {
            Step::Add { prefix, .. } if !self.detects => self.vips.push(VipSeen {
                prefix,
                ours: true,
                state: VipState::Usable,
            }),
            Step::Refresh { .. } | Step::Announce => {}
            // To ask takes time, in which anything may happen.
            Step::Add { .. } | Step::Remove { .. } | Step::Ask => return None,
        }
        Some(self)
    }
}

/// The interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkSeen {
    /// Whether it is up and has a carrier, or has lost that only just now.
    pub up: bool,
    /// Its hardware address, which announcements carry.
    pub mac: Option<[u8; 6]>,
    /// How often the way to it has changed: another port of a bond, a carrier that came back.
    pub moves: u32,
}

/// The virtual IP on the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VipSeen {
    /// Its prefix length.
    pub prefix: u8,
    /// Whether we put it there.
    pub ours: bool,
    /// Whether it can be used.
    pub state: VipState,
}

/// Whether an address can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VipState {
    /// It can.
    Usable,
    /// Not yet: the kernel looks whether another machine has it.
    Tentative,
    /// Another machine has it.
    Duplicate,
}
