//! Pure: one virtual IP and where it goes.

use std::net::{IpAddr, Ipv4Addr};

use super::describe::Lines;
use super::levels::Levels;
use super::origin::{Origin, Sourced, Written};
use super::report::{Caution, Fault, Findings};
use super::{Vip, announce};

/// `IFNAMSIZ`, which bounds labels too (if_arp.h, rtnetlink(7)), less the NUL at the end.
const MAX_LABEL: usize = 15;

/// An address as far as it is known. A missing field has been reported if it is needed.
pub(super) struct Draft {
    pub(super) address: Option<Sourced<IpAddr>>,
    prefix: Option<Sourced<u8>>,
    pub(super) interface: Option<Sourced<String>>,
    label: Option<Sourced<String>>,
    announcing: announce::Draft,
}

/// An address as it was written.
pub(super) struct Spoken {
    pub(super) ip: Option<Written>,
    pub(super) netmask: Option<Written>,
    pub(super) interface: Option<Written>,
    pub(super) label: Option<Written>,
    pub(super) announcing: announce::Spoken,
}

/// Understands addresses, and says where one is missing that is needed.
pub(super) struct Reader<'a> {
    pub(super) levels: &'a Levels<'a>,
    /// Whether addresses are held here.
    pub(super) manage_vip: bool,
    pub(super) findings: &'a mut Findings,
}

impl Reader<'_> {
    /// Understands one. What is missing is missed at `place`.
    pub(super) fn read(&mut self, spoken: Spoken, place: &Origin) -> Draft {
        let Spoken {
            ip,
            netmask,
            interface,
            label,
            announcing,
        } = spoken;
        if ip.is_none() && self.manage_vip {
            self.missing("ip", place, "ip: 192.168.0.10");
        }
        if interface.is_none() && self.manage_vip {
            self.missing("interface", place, "interface: eth0");
        }
        let address = ip.and_then(|written| {
            let meaning = host_address(&written.value);
            self.findings.accept("ip", &written, meaning)
        });
        let wanted = address.as_ref().map(|address| address.value);
        let prefix = match netmask {
            Some(written) => {
                let meaning = prefix_length(&written.value, wanted);
                self.findings.accept("netmask", &written, meaning)
            }
            // A host route disturbs nobody.
            None => wanted.map(|address| Sourced::default(bits(Some(address)))),
        };
        if let Some(written) = &interface
            && self.manage_vip
            && !(self.levels.sources.interface_exists)(&written.value)
        {
            self.no_interface(written);
        }
        let named = interface.as_ref().map(|interface| interface.value.as_str());
        let label = label.and_then(|written| {
            let meaning = label_of(&written.value, wanted, named);
            self.findings.accept("label", &written, meaning)
        });
        Draft {
            address,
            prefix,
            interface,
            label,
            announcing: announcing.read(self.findings),
        }
    }

    fn missing(&mut self, setting: &'static str, place: &Origin, example: &'static str) {
        self.findings
            .problem_at(setting, place, Fault::Missing { example });
    }

    /// One group that has to wait for its interface keeps no other from its address.
    fn no_interface(&mut self, written: &Written) {
        if self.levels.has_many_groups() {
            self.findings
                .warning("interface", written, Caution::NoInterfaceYet);
        } else {
            self.findings
                .problem("interface", written, Fault::NoInterface);
        }
    }
}

impl Draft {
    /// The address, if nothing that it needs is missing.
    pub(super) fn finish(self) -> Option<Vip> {
        let address = self.address?.value;
        Some(Vip {
            address,
            prefix: self.prefix?.value,
            interface: self.interface?.value,
            label: self.label.map(|label| label.value),
            announcing: self.announcing.meant(address),
        })
    }

    /// The first of a group, in vip-manager's words.
    pub(super) fn describe(&self, lines: &mut Lines) {
        lines.add("  ip", self.address.as_ref(), IpAddr::to_string);
        lines.add("  netmask", self.prefix.as_ref(), u8::to_string);
        lines.add("  interface", self.interface.as_ref(), Clone::clone);
        lines.add("  label", self.label.as_ref(), Clone::clone);
        self.announcing.describe(lines);
    }

    /// Another one, on one line.
    pub(super) fn describe_briefly(&self, lines: &mut Lines) {
        lines.add("  address", self.address.as_ref(), |address| {
            let mut text = address.to_string();
            if let Some(prefix) = &self.prefix {
                text.push_str(&format!("/{}", prefix.value));
            }
            if let Some(interface) = &self.interface {
                text.push_str(&format!(" on {}", interface.value));
            }
            if let Some(label) = &self.label {
                text.push_str(&format!(" as {}", label.value));
            }
            text.push_str(&announce::unusual(
                *address,
                self.announcing.meant(*address),
            ));
            text
        });
    }
}

fn host_address(text: &str) -> Result<IpAddr, Fault> {
    if let Some((address, prefix)) = text.split_once('/')
        && address.parse::<IpAddr>().is_ok()
    {
        let (address, prefix) = (address.to_owned(), prefix.to_owned());
        return Err(Fault::AddressWithPrefix { address, prefix });
    }
    let address: IpAddr = text.parse().map_err(|_| Fault::NoAddress)?;
    let is_broadcast = address == IpAddr::V4(Ipv4Addr::BROADCAST);
    if address.is_unspecified() || address.is_multicast() || is_broadcast {
        return Err(Fault::NoHostAddress);
    }
    Ok(address)
}

fn prefix_length(text: &str, address: Option<IpAddr>) -> Result<u8, Fault> {
    if let Ok(mask) = text.parse::<Ipv4Addr>() {
        let bits = u32::from(mask);
        let is_mask = bits.leading_ones() + bits.trailing_zeros() >= u32::BITS && bits != 0;
        let prefix = bits.leading_ones();
        return Err(if is_mask {
            Fault::DottedNetmask { prefix }
        } else {
            Fault::Netmask { most: 32 }
        });
    }
    if let ("-1", Some(IpAddr::V4(address))) = (text, address) {
        return Ok(class_prefix(address));
    }
    let most = bits(address);
    text.parse()
        .ok()
        .filter(|prefix| (1..=most).contains(prefix))
        .ok_or(Fault::Netmask { most })
}

/// What vip-manager takes for `netmask: -1`: the network's class, as Go's `DefaultMask` has it.
fn class_prefix(address: Ipv4Addr) -> u8 {
    match address.octets()[0] {
        0..128 => 8,
        128..192 => 16,
        192.. => 24,
    }
}

const fn bits(address: Option<IpAddr>) -> u8 {
    match address {
        Some(IpAddr::V4(_)) => 32,
        Some(IpAddr::V6(_)) | None => 128,
    }
}

/// ip(8) takes none that does not begin with the interface's name: ifconfig(8) would take it for another interface.
fn label_of(text: &str, address: Option<IpAddr>, interface: Option<&str>) -> Result<String, Fault> {
    if matches!(address, Some(IpAddr::V6(_))) {
        return Err(Fault::LabelOfIpv6);
    }
    let interface = interface.unwrap_or_default();
    let fits = text.len() <= MAX_LABEL && text.chars().all(|c| c.is_ascii_graphic());
    if fits && text.starts_with(interface) {
        Ok(text.to_owned())
    } else {
        Err(Fault::Label {
            most: MAX_LABEL,
            interface: interface.to_owned(),
        })
    }
}
