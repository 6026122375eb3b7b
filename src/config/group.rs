//! Pure: what one file says about its group: trigger key and value, and the address.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use super::describe::Lines;
use super::file::File;
use super::levels::{Levels, OF_ONE_GROUP, filled_flag};
use super::origin::{Origin, Sourced, Written};
use super::report::{Caution, Fault, Findings};
use super::{Group, Vip};

/// The longest trigger value, in bytes: it is part of a candidate's key.
const MAX_VALUE: usize = 256;

/// A group as far as it is known. A missing field has been reported if it is needed.
pub(super) struct Draft {
    path: PathBuf,
    pub(super) file: Origin,
    pub(super) key: Option<Sourced<String>>,
    value: Option<Sourced<String>>,
    pub(super) address: Option<Sourced<IpAddr>>,
    prefix: Option<Sourced<u8>>,
    interface: Option<Sourced<String>>,
}

/// One draft for each file.
pub(super) fn resolve(
    levels: &Levels<'_>,
    manage_vip: bool,
    findings: &mut Findings,
) -> Vec<Draft> {
    let named = levels.flags.vip_manager_config.iter();
    let count = named.filter(|path| !path.as_os_str().is_empty()).count();
    if count > 1 {
        for setting in OF_ONE_GROUP {
            if let Some(written) = levels.vip_environment(setting, findings) {
                let fault = Fault::SeveralGroups {
                    files: count,
                    key: setting,
                };
                findings.problem(setting, &written, fault);
            }
        }
    }
    let mut drafts = Vec::new();
    for file in levels.files {
        let mut reader = Reader {
            levels,
            file,
            alone: count == 1,
            manage_vip,
            findings,
        };
        drafts.push(reader.draft());
    }
    drafts
}

impl Draft {
    /// The group, if nothing that it needs is missing.
    pub(super) fn finish(self, manage_vip: bool, lines: &mut Lines) -> Option<Group> {
        lines.add("trigger-key", self.key.as_ref(), Clone::clone);
        lines.add("  trigger-value", self.value.as_ref(), Clone::clone);
        lines.add("  ip", self.address.as_ref(), IpAddr::to_string);
        lines.add("  netmask", self.prefix.as_ref(), u8::to_string);
        lines.add("  interface", self.interface.as_ref(), Clone::clone);
        let vip = if manage_vip {
            Some(Vip {
                address: self.address?.value,
                prefix: self.prefix?.value,
                interface: self.interface?.value,
            })
        } else {
            None
        };
        let (trigger_key, trigger_value) = (self.key?.value, self.value?.value);
        Some(Group {
            file: self.path,
            trigger_key,
            trigger_value,
            vip,
        })
    }
}

struct Reader<'a> {
    levels: &'a Levels<'a>,
    file: &'a File,
    /// Whether this is the only file, so that the environment may speak for it.
    alone: bool,
    manage_vip: bool,
    findings: &'a mut Findings,
}

impl Reader<'_> {
    fn draft(&mut self) -> Draft {
        self.check_dcs_type();
        self.check_manager_type();
        let address = self.address();
        let prefix = self.prefix(address.as_ref());
        Draft {
            path: self.file.path.clone(),
            file: self.file.origin(),
            key: self.key(),
            value: self.value(),
            address,
            prefix,
            interface: self.interface(),
        }
    }

    /// vip-manager's variable, then the file.
    fn written(&mut self, setting: &'static str) -> Option<Written> {
        let by_environment = if self.alone || !OF_ONE_GROUP.contains(&setting) {
            self.levels.vip_environment(setting, self.findings)
        } else {
            None
        };
        by_environment.or_else(|| self.file.setting(setting)?.one())
    }

    fn missing(&mut self, setting: &'static str, example: &'static str) {
        self.findings
            .problem_at(setting, &self.file.origin(), Fault::Missing { example });
    }

    fn check_dcs_type(&mut self) {
        match self.written("dcs-type") {
            Some(written) if written.value == "consul" => {}
            Some(written) => self.findings.problem("dcs-type", &written, Fault::DcsType),
            // vip-manager would take etcd.
            None => self.missing("dcs-type", "dcs-type: consul"),
        }
    }

    fn check_manager_type(&mut self) {
        let Some(written) = self.written("manager-type") else {
            return;
        };
        let fault = match written.value.as_str() {
            "basic" => return,
            "hetzner" if self.manage_vip => Fault::Hetzner,
            "hetzner" => return,
            _ => Fault::NotOneOf { known: "basic" },
        };
        self.findings.problem("manager-type", &written, fault);
    }

    fn key(&mut self) -> Option<Sourced<String>> {
        let example = "trigger-key: service/db/leader";
        let Some(written) = self.written("trigger-key") else {
            self.missing("trigger-key", example);
            return None;
        };
        self.findings.accept(
            "trigger-key",
            &written,
            trigger_key(&written.value, example),
        )
    }

    fn value(&mut self) -> Option<Sourced<String>> {
        let compared = self.written("trigger-value");
        let typed = filled_flag("--hostname", self.levels.flags.hostname.as_ref());
        if let (Some(typed), Some(compared)) = (&typed, &compared)
            && typed.value != compared.value
        {
            let other = format!("{:?} ({})", compared.value, compared.origin);
            self.findings
                .warning("hostname", typed, Caution::NotTheTriggerValue { other });
        }
        let written = typed.or(compared).or_else(|| self.host_name())?;
        let meaning = trigger_value(&written.value);
        self.findings.accept("trigger-value", &written, meaning)
    }

    fn host_name(&mut self) -> Option<Sourced<String>> {
        let full = self.levels.sources.host_name;
        let short = full.split('.').next().unwrap_or_default();
        let written = Written::new(short.to_owned(), Origin::HostName);
        if short.is_empty() {
            self.findings
                .problem_at("hostname", &written.origin, Fault::NoHostName);
            return None;
        }
        // With the address in our own hands, nobody compares.
        if short != full && !self.manage_vip {
            let (short, full) = (short.to_owned(), full.to_owned());
            let caution = Caution::ShortHostName { short, full };
            self.findings.warning("trigger-value", &written, caution);
        }
        Some(written)
    }

    fn address(&mut self) -> Option<Sourced<IpAddr>> {
        let Some(written) = self.written("ip") else {
            if self.manage_vip {
                self.missing("ip", "ip: 192.168.0.10");
            }
            return None;
        };
        self.findings
            .accept("ip", &written, host_address(&written.value))
    }

    fn prefix(&mut self, address: Option<&Sourced<IpAddr>>) -> Option<Sourced<u8>> {
        let address = address.map(|address| address.value);
        match self.written("netmask") {
            Some(written) => {
                let meaning = prefix_length(&written.value, address);
                self.findings.accept("netmask", &written, meaning)
            }
            // A host route disturbs nobody.
            None => address.map(|address| Sourced::default(bits(Some(address)))),
        }
    }

    fn interface(&mut self) -> Option<Sourced<String>> {
        match self.written("interface") {
            Some(written) => {
                if self.manage_vip && !(self.levels.sources.interface_exists)(&written.value) {
                    self.findings
                        .problem("interface", &written, Fault::NoInterface);
                }
                Some(written)
            }
            None => {
                if self.manage_vip {
                    self.missing("interface", "interface: eth0");
                }
                None
            }
        }
    }
}

/// The characters are those of Consul 1.21.5, the strictest release; `..` is refused by all since.
fn trigger_key(text: &str, example: &'static str) -> Result<String, Fault> {
    // Consul's Go client strips the slash when reading, and Consul refuses it when writing.
    let key = text.trim_start_matches('/');
    let taken = |c: char| c.is_ascii_alphanumeric() || ",_./-?&=".contains(c);
    if key.is_empty() {
        Err(Fault::NoKey { example })
    } else if let Some(found) = key.chars().find(|c| !taken(*c)) {
        Err(Fault::KeyCharacter { found })
    } else if key.contains("..") {
        Err(Fault::KeyDots)
    } else {
        Ok(key.to_owned())
    }
}

fn trigger_value(text: &str) -> Result<String, Fault> {
    if text.len() > MAX_VALUE || text.chars().any(char::is_control) {
        return Err(Fault::TriggerValue { most: MAX_VALUE });
    }
    Ok(text.to_owned())
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
