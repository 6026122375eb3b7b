//! Pure: what one file says about its group: trigger key and value, the addresses, and what is the group's own of our
//! options.

use std::path::PathBuf;

use super::address::{self, Spoken};
use super::describe::Lines;
use super::file::File;
use super::levels::{Levels, OF_ONE_GROUP, filled_flag};
use super::origin::{Origin, Sourced, Written};
use super::process::Process;
use super::report::{Caution, Fault, Findings};
use super::terms::Terms;
use super::{Group, announce, files};

/// The longest trigger value, in bytes: it is part of a candidate's key.
const MAX_VALUE: usize = 256;

/// A group as far as it is known. A missing field has been reported if it is needed.
pub(super) struct Draft {
    path: PathBuf,
    pub(super) file: Origin,
    pub(super) key: Option<Sourced<String>>,
    value: Option<Sourced<String>>,
    /// vip-manager's first.
    pub(super) addresses: Vec<address::Draft>,
    pub(super) terms: Terms,
}

/// One draft for each file.
pub(super) fn resolve(
    levels: &Levels<'_>,
    manage_vip: bool,
    findings: &mut Findings,
) -> Vec<Draft> {
    if levels.has_many_groups() {
        refuse_variables(levels, findings);
    }
    if levels.files.is_empty() {
        // What the flags say is looked at all the same.
        let _ = Terms::resolve(levels, manage_vip, findings);
    }
    let mut drafts = Vec::new();
    for file in levels.files {
        let mut reader = Reader {
            levels: &levels.of_group(file),
            file,
            alone: !levels.has_many_groups(),
            manage_vip,
            findings,
        };
        drafts.push(reader.draft());
    }
    drafts
}

fn refuse_variables(levels: &Levels<'_>, findings: &mut Findings) {
    let count = files::named(levels.flags).count();
    for key in OF_ONE_GROUP {
        if let Some(written) = levels.vip_environment(key, findings) {
            let fault = match files::directory(levels.flags) {
                Some(_) => Fault::GroupsOfADirectory { key },
                None => Fault::SeveralGroups { files: count, key },
            };
            findings.problem(key, &written, fault);
        }
    }
}

impl Draft {
    /// The group, if nothing that it needs is missing.
    pub(super) fn finish(
        self,
        manage_vip: bool,
        process: &Process,
        lines: &mut Lines,
    ) -> Option<Group> {
        lines.add("trigger-key", self.key.as_ref(), Clone::clone);
        lines.add("  trigger-value", self.value.as_ref(), Clone::clone);
        for (number, address) in self.addresses.iter().enumerate() {
            match number {
                0 => address.describe(lines),
                _ => address.describe_briefly(lines),
            }
        }
        self.terms.describe(process.check_mode.as_ref(), lines);
        let addresses = self.addresses.into_iter().filter(|_| manage_vip);
        let vips = addresses.map(address::Draft::finish);
        let mut vips = vips.collect::<Option<Vec<_>>>()?;
        // It would keep the room of the drafts.
        vips.shrink_to_fit();
        Some(Group {
            file: self.path,
            trigger_key: self.key?.value,
            trigger_value: self.value?.value,
            vips,
            session: self.terms.session()?,
            liveness_ttl: self.terms.liveness_ttl(),
            priority: self.terms.priority.as_ref()?.value,
            preempt_after: self.terms.preempt_after(),
        })
    }
}

struct Reader<'a> {
    levels: &'a Levels<'a>,
    file: &'a File,
    /// Whether there can be no other file, so that the environment may speak for it.
    alone: bool,
    manage_vip: bool,
    findings: &'a mut Findings,
}

impl Reader<'_> {
    fn draft(&mut self) -> Draft {
        self.check_dcs_type();
        self.check_manager_type();
        let terms = Terms::resolve(self.levels, self.manage_vip, self.findings);
        Draft {
            path: self.file.path.clone(),
            file: self.file.origin(),
            key: self.key(),
            value: self.value(),
            addresses: self.addresses(),
            terms,
        }
    }

    /// Those of our own list go where vip-manager's goes, and are announced as is said beside the list, if nothing else is
    /// said of them.
    fn addresses(&mut self) -> Vec<address::Draft> {
        let announcing =
            announce::Spoken::new(|name| self.levels.option(None, name, self.findings));
        if !self.manage_vip {
            announcing.warn_idle(self.findings);
        }
        let first = Spoken {
            ip: self.written("ip"),
            netmask: self.written("netmask"),
            interface: self.written("interface"),
            label: self.levels.option(None, "label", self.findings),
            announcing: announcing.clone(),
        };
        let more = self.file.addresses();
        if let (Some(one), false) = (more.first(), self.manage_vip) {
            let without = "manage-vip";
            self.findings
                .warning_at("addresses", &one.origin, Caution::Idle { without });
        }
        let mut reader = address::Reader {
            levels: self.levels,
            manage_vip: self.manage_vip,
            findings: self.findings,
        };
        let first = reader.read(first, &self.file.origin());
        let more = more.iter().map(|entry| {
            let said = |name| entry.setting(name).cloned();
            let spoken = Spoken {
                ip: said("ip"),
                netmask: said("netmask"),
                interface: said("interface").or_else(|| first.interface.clone()),
                label: said("label"),
                announcing: announce::Spoken::new(said).or(&announcing),
            };
            reader.read(spoken, &entry.origin)
        });
        let more: Vec<_> = more.collect();
        std::iter::once(first).chain(more).collect()
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
