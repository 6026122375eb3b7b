//! Pure: what an address on an interface is, and for how long.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// The protocol (`IFA_PROTO`, Linux 5.18 and later) that every address added by this crate carries.
///
/// It survives this process, so that the next one knows which addresses are its own to remove.
/// Older kernels drop it; there [`Address::is_ours`] is always false.
pub const PROTOCOL_MARK: u8 = 0x76;

/// An address to hold, with the prefix length it is added and removed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Vip {
    address: IpAddr,
    prefix: u8,
    label: Option<Label>,
    manner: Manner,
}

/// What the kernel calls an IPv4 address (`IFA_LABEL`), where that is not the interface's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Label([u8; libc::IFNAMSIZ - 1]);

impl Label {
    /// Takes 1 to 15 bytes without NUL; `None` for others.
    pub fn new(text: &str) -> Option<Self> {
        let mut bytes = [0; libc::IFNAMSIZ - 1];
        let room = bytes.get_mut(..text.len())?;
        if text.is_empty() || text.contains('\0') {
            return None;
        }
        room.copy_from_slice(text.as_bytes());
        Some(Self(bytes))
    }

    /// Returns the text.
    pub fn text(&self) -> String {
        let length = self.0.iter().position(|byte| *byte == 0);
        let bytes = &self.0[..length.unwrap_or(self.0.len())];
        String::from_utf8_lossy(bytes).into_owned()
    }
}

/// How an IPv6 address is added; IPv4 knows none of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Manner {
    /// The kernel looks for another holder first, and until then the address cannot be used (duplicate address
    /// detection, RFC 4862 section 5.4). Without it the address can be used at once.
    pub detects: bool,
    /// This host may use it for its own connections. Without it the address is deprecated, and any other comes before
    /// it (RFC 6724 section 5, rule 3).
    pub is_source: bool,
}

impl Vip {
    /// Pairs an address with a prefix length in bits; `None` if it is longer than the address.
    pub const fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        if prefix > address_bits(address) {
            None
        } else {
            Some(Self {
                address,
                prefix,
                label: None,
                manner: Manner::NONE,
            })
        }
    }

    /// Pairs an address with the prefix length of a single host: 32 or 128.
    pub const fn host(address: IpAddr) -> Self {
        Self {
            address,
            prefix: address_bits(address),
            label: None,
            manner: Manner::NONE,
        }
    }

    /// Has the kernel call it so from when it is added. IPv6 addresses have no label.
    pub const fn labelled(self, label: Option<Label>) -> Self {
        Self { label, ..self }
    }

    /// Returns the label it is added with.
    pub const fn label(&self) -> Option<Label> {
        match self.address {
            IpAddr::V4(_) => self.label,
            IpAddr::V6(_) => None,
        }
    }

    /// Returns the same, to be added in this manner.
    #[must_use]
    pub const fn in_manner(self, manner: Manner) -> Self {
        Self { manner, ..self }
    }

    /// Returns how it is added.
    pub const fn manner(&self) -> Manner {
        self.manner
    }

    /// Returns the address.
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// Returns the prefix length in bits.
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }
}

impl Manner {
    const NONE: Self = Self {
        detects: false,
        is_source: false,
    };
}

impl fmt::Display for Vip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// Returns the number of bits in an address of this family.
pub(crate) const fn address_bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// For how long the kernel keeps an address that is not refreshed.
///
/// The kernel counts whole seconds and is late: for lifetimes up to [`Lifetime::MAX`] by at most
/// 1.3 s, for longer ones by more. It counts in jiffies, which stop while the machine is suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime(Option<u32>);

impl Lifetime {
    /// The longest finite lifetime, 15 s: beyond it the kernel's lateness grows.
    pub const MAX: Self = Self(Some(MAX_SECONDS));

    /// A lifetime of `seconds`, cut down to [`Lifetime::MAX`], or `None` for 0.
    ///
    /// Cutting down is always safe: the address only wants its refresh earlier. There is no
    /// rounding up to 1, because a lifetime that the lease does not cover must not be asked for.
    pub fn seconds(seconds: u64) -> Option<Self> {
        let capped = u32::try_from(seconds).unwrap_or(u32::MAX).min(MAX_SECONDS);
        (capped > 0).then_some(Self(Some(capped)))
    }

    /// No end: the address outlives this process, however that dies.
    pub const fn unlimited() -> Self {
        Self(None)
    }

    /// Returns the lifetime in seconds; `None` for [`Lifetime::unlimited`].
    pub const fn as_secs(&self) -> Option<u32> {
        self.0
    }
}

const MAX_SECONDS: u32 = 15;

/// An address that an interface has, as the kernel reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The interface's own address (not the peer's, on a point-to-point link).
    pub address: IpAddr,
    /// The prefix length in bits.
    pub prefix: u8,
    /// The time left, in whole seconds, when the kernel last said so; `None` is for ever. Zero is an address
    /// that the kernel is about to take away.
    pub valid: Option<Duration>,
    /// Who added it (`IFA_PROTO`), where that was said.
    pub protocol: Option<u8>,
    /// IPv6 duplicate address detection is under way: the address cannot be used yet.
    pub tentative: bool,
    /// IPv6 duplicate address detection found another owner.
    pub dad_failed: bool,
}

impl Address {
    /// Says whether this crate added it, in this process or an earlier one.
    pub fn is_ours(&self) -> bool {
        self.protocol == Some(PROTOCOL_MARK)
    }

    /// Says whether it is this VIP, with this prefix length.
    pub fn is(&self, vip: Vip) -> bool {
        self.address == vip.address && self.prefix == vip.prefix
    }

    /// Says whether nothing sets it apart from `other` but how much time is left.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let without_time = |one: &Self| Self {
            valid: one.valid.map(|_| Duration::ZERO),
            ..one.clone()
        };
        without_time(self) == without_time(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_longer_than_the_address_is_no_vip() {
        let cases = [
            ("192.0.2.1", 0, true),
            ("192.0.2.1", 32, true),
            ("192.0.2.1", 33, false),
            ("2001:db8::1", 33, true),
            ("2001:db8::1", 128, true),
            ("2001:db8::1", 129, false),
        ];
        for (address, prefix, valid) in cases {
            let vip = Vip::new(address.parse().unwrap(), prefix);
            assert_eq!(vip.is_some(), valid, "{address}/{prefix}");
        }
        assert_eq!(
            Vip::host("192.0.2.1".parse().unwrap()).to_string(),
            "192.0.2.1/32"
        );
        assert_eq!(
            Vip::host("2001:db8::1".parse().unwrap()).to_string(),
            "2001:db8::1/128"
        );
    }

    #[test]
    fn a_label_is_as_long_as_the_name_of_an_interface() {
        for (text, valid) in [
            ("", false),
            ("eth0", true),
            ("eth0:vip", true),
            ("enp0s31f6:vip12", true),
            ("enp0s31f6:vip123", false),
            ("eth0\0", false),
        ] {
            let label = Label::new(text).map(|label| label.text());
            assert_eq!(label.as_deref(), valid.then_some(text));
        }
        let label = Label::new("eth0:vip");
        let labelled = |text: &str| Vip::host(text.parse().unwrap()).labelled(label);
        assert_eq!(labelled("192.0.2.1").label(), label);
        assert_eq!(labelled("2001:db8::1").label(), None);
    }

    #[test]
    fn a_lifetime_is_between_one_second_and_the_longest() {
        let cases = [
            (0, None),
            (1, Some(1)),
            (15, Some(15)),
            (16, Some(15)),
            (u64::from(u32::MAX) + 1, Some(15)),
        ];
        for (asked, got) in cases {
            assert_eq!(
                Lifetime::seconds(asked).and_then(|l| l.as_secs()),
                got,
                "{asked} s"
            );
        }
        assert_eq!(Lifetime::unlimited().as_secs(), None);
    }
}
