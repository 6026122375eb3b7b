//! Pure: looks a setting up: flags, then the environment, then the files.

use super::file::{Entry, File, SETTINGS};
use super::origin::{Origin, Written};
use super::report::{Caution, Fault, Findings};
use super::{Sources, files};
use crate::cli::Flags;

/// Everything that was written, by level.
pub(super) struct Levels<'a> {
    pub(super) flags: &'a Flags,
    pub(super) sources: &'a Sources<'a>,
    pub(super) files: &'a [File],
}

/// The settings that describe one group, so that one variable cannot hold them for several.
pub(super) const OF_ONE_GROUP: [&str; 5] =
    ["ip", "netmask", "interface", "trigger-key", "trigger-value"];

/// A flag that was typed.
pub(super) fn flag(name: &'static str, typed: Option<&String>) -> Option<Written> {
    typed.map(|text| Written::new(text.clone(), Origin::Flag(name)))
}

/// A flag that was typed and not left empty, as in `--check-id=$CHECK_ID` without the variable.
pub(super) fn filled_flag(name: &'static str, typed: Option<&String>) -> Option<Written> {
    flag(name, typed).filter(|written| !written.value.is_empty())
}

impl<'a> Levels<'a> {
    /// As one group sees them: what other files say is none of its business.
    pub(super) fn of_group(&self, file: &'a File) -> Self {
        Self {
            files: std::slice::from_ref(file),
            ..*self
        }
    }

    /// Whether this process has, or may come to have, more than one group.
    pub(super) fn has_many_groups(&self) -> bool {
        files::named(self.flags).nth(1).is_some() || files::directory(self.flags).is_some()
    }

    /// An environment variable; an empty one counts as not set, as in Consul and vip-manager.
    pub(super) fn environment(&self, name: &str) -> Option<Written> {
        (self.sources.environment)(name)
            .filter(|text| !text.is_empty())
            .map(|text| Written::new(text, Origin::Environment(name.to_owned())))
    }

    /// vip-manager's variable for one of its settings. vip-manager 1.x takes its older names too.
    pub(super) fn vip_environment(
        &self,
        setting: &'static str,
        findings: &mut Findings,
    ) -> Option<Written> {
        let present = variable(setting);
        let mut chosen = self.environment(&present);
        let older = SETTINGS
            .iter()
            .find(|(name, _)| *name == setting)
            .map_or(&[][..], |(_, o)| *o);
        let mut seen = vec![present.clone()];
        for name in older.iter().map(|name| variable(name)) {
            if seen.contains(&name) {
                continue; // consul_token and consul-token are one variable
            }
            seen.push(name.clone());
            let Some(written) = self.environment(&name) else {
                continue;
            };
            findings.warning_at(
                &name,
                &written.origin,
                Caution::OlderName {
                    new: present.clone(),
                },
            );
            match &chosen {
                Some(first) if first.value != written.value => {
                    let other = first.origin.clone();
                    let fault = Fault::SpellingsDiffer {
                        other,
                        keep: setting,
                    };
                    findings.problem_at(setting, &written.origin, fault);
                }
                Some(_) => {}
                None => chosen = Some(written),
            }
        }
        chosen
    }

    /// A setting that Consul's own tools read from a variable: flag, then that variable, then the files'
    /// `vip-elector:` mappings.
    pub(super) fn consul(
        &self,
        typed: Option<Written>,
        variable: &str,
        name: &'static str,
        findings: &mut Findings,
    ) -> Option<Written> {
        typed
            .or_else(|| self.environment(variable))
            .or_else(|| self.option(None, name, findings))
    }

    /// One of our own options: flag, then the files' `vip-elector:` mappings.
    pub(super) fn option(
        &self,
        typed: Option<Written>,
        name: &'static str,
        findings: &mut Findings,
    ) -> Option<Written> {
        typed.or_else(|| self.agreed(name, |file| file.own(name), findings)?.one())
    }

    /// What all files that say something say; one process has one of it.
    pub(super) fn agreed<'f>(
        &'f self,
        setting: &str,
        select: impl Fn(&'f File) -> Option<&'f Entry>,
        findings: &mut Findings,
    ) -> Option<&'f Entry> {
        let mut said = self.files.iter().filter_map(select);
        let first = said.next()?;
        for other in said.filter(|other| !other.says_the_same(first)) {
            let fault = Fault::FilesDiffer {
                other: first.origin.clone(),
            };
            findings.problem_at(setting, &other.origin, fault);
        }
        Some(first)
    }
}

impl Entry {
    /// The value of a key that holds one; nothing where it is empty.
    pub(super) fn one(&self) -> Option<Written> {
        self.items
            .first()
            .filter(|written| !written.value.is_empty())
            .cloned()
    }
}

/// How vip-manager names the variable of a setting.
fn variable(setting: &str) -> String {
    format!("VIP_{}", setting.replace('-', "_").to_uppercase())
}
