//! Pure: the list of a group's further addresses, as it was written.

use super::super::announce;
use super::super::origin::{Origin, Written};
use super::super::report::{Fault, Findings};
use super::yaml::{Content, Node};

/// What may be said of an address.
const SETTINGS: [&str; 7] = [
    "ip",
    "netmask",
    "interface",
    "label",
    announce::COUNT,
    announce::INTERVAL,
    announce::REFRESH,
];

type Settings = [Option<Written>; SETTINGS.len()];

const EXAMPLE: &str = "addresses: [192.168.0.11, 2001:db8::10]";

/// One address of the list, with its line.
pub(in crate::config) struct AddressEntry {
    pub(in crate::config) origin: Origin,
    settings: Settings,
}

impl AddressEntry {
    /// What is said of it; nothing where that is empty.
    pub(in crate::config) fn setting(&self, name: &str) -> Option<&Written> {
        let number = SETTINGS.iter().position(|known| *known == name)?;
        self.settings[number].as_ref()
    }
}

/// Reads the list that stands at `list`. What cannot be used is reported and left out.
pub(super) fn read(content: Content, list: &Origin, findings: &mut Findings) -> Vec<AddressEntry> {
    let found = content.kind();
    match content {
        Content::Nothing => Vec::new(),
        Content::List(items) => items
            .into_iter()
            .filter_map(|(line, content)| item(content, list.at_line(line), findings))
            .collect(),
        one @ Content::One(_) => item(one, list.clone(), findings).into_iter().collect(),
        Content::Mapping(_) => {
            let fault = Fault::NotAList {
                found,
                example: EXAMPLE,
            };
            findings.problem_at("addresses", list, fault);
            Vec::new()
        }
    }
}

fn item(content: Content, origin: Origin, findings: &mut Findings) -> Option<AddressEntry> {
    let found = content.kind();
    let mut settings = Settings::default();
    match content {
        Content::One(text) => settings[0] = Some(Written::new(text, origin.clone())),
        Content::Mapping(nodes) => {
            for node in nodes {
                take(node, &origin, &mut settings, findings);
            }
        }
        Content::Nothing | Content::List(_) => {
            let fault = Fault::NotAnAddress { found };
            findings.problem_at("addresses", &origin, fault);
            return None;
        }
    }
    Some(AddressEntry { origin, settings })
}

fn take(node: Node, item: &Origin, settings: &mut Settings, findings: &mut Findings) {
    let origin = item.at_line(node.line);
    let Some(number) = SETTINGS.iter().position(|known| *known == node.key) else {
        let known = SETTINGS.join(", ");
        return findings.problem_at(&node.key, &origin, Fault::UnknownOption { known });
    };
    let found = node.content.kind();
    match node.content {
        Content::One(text) => {
            settings[number] = Some(Written::new(text, origin)).filter(|one| !one.value.is_empty());
        }
        Content::Nothing => {}
        Content::List(_) | Content::Mapping(_) => {
            findings.problem_at(&node.key, &origin, Fault::NotOneValue { found });
        }
    }
}
