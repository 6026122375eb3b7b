//! Pure: one `vip-manager.yml`, as it was written: known settings under their present names, each
//! with its line, and remarks on the rest.

mod addresses;
mod yaml;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub(super) use self::addresses::AddressEntry;
use self::yaml::{Content, Node};
use super::announce;
use super::origin::{Origin, Written};
use super::report::{Caution, Fault, Findings};

/// vip-manager's settings that mean something to us, with the older spellings of each: those of
/// vip-manager 1.x, and `hosting-type` from the sample file that it has shipped since.
pub(super) const SETTINGS: [(&str, &[&str]); 9] = [
    ("dcs-type", &["type", "endpoint_type"]),
    ("dcs-endpoints", &["endpoint", "endpoints"]),
    ("trigger-key", &["key"]),
    ("trigger-value", &["nodename", "host"]),
    ("ip", &[]),
    ("netmask", &["mask"]),
    ("interface", &["iface"]),
    ("consul-token", &["consul_token"]),
    (
        "manager-type",
        &["hostingtype", "hosting_type", "hosting-type"],
    ),
];

/// vip-manager's settings that are its own business.
const NOT_OURS: [(&str, &[&str]); 9] = [
    ("interval", &[]),
    ("retry-after", &["retry_after"]),
    ("retry-num", &["retry_num"]),
    ("verbose", &[]),
    ("etcd-user", &["etcd_user"]),
    ("etcd-password", &["etcd_password"]),
    ("etcd-ca-file", &[]),
    ("etcd-cert-file", &[]),
    ("etcd-key-file", &[]),
];

/// The mapping that holds our own options; vip-manager ignores it.
const OWN: &str = "vip-elector";

/// In it, the addresses beside vip-manager's.
const ADDRESSES: &str = "addresses";

/// What may stand in it.
const OWN_OPTIONS: &[&str] = &[
    "addr",
    ADDRESSES,
    announce::COUNT,
    announce::INTERVAL,
    announce::REFRESH,
    "ca-file",
    "ca-path",
    "carrier-delay",
    "check-id",
    "check-mode",
    "client-cert",
    "client-key",
    "health-command",
    "health-fall",
    "health-interval",
    "health-rise",
    "health-timeout",
    "health-url",
    "hook-timeout",
    "http-auth-file",
    "ipv6-dad",
    "kernel-lease",
    "label",
    "listen",
    "liveness-ttl",
    "lock-delay",
    "log-format",
    "log-level",
    "manage-vip",
    "namespace",
    "on-fault",
    "on-leader",
    "on-standby",
    "partition",
    "peer-interval",
    "peer-listen",
    "peer-watch",
    "preempt",
    "preempt-delay",
    "priority",
    "probe-before-takeover",
    "ssl-verify",
    "tls-server-name",
    "token-file",
    "ttl",
    "vip-source",
];

/// A file's settings under their present names.
pub(super) struct File {
    pub(super) path: PathBuf,
    settings: BTreeMap<&'static str, Entry>,
    own: BTreeMap<&'static str, Entry>,
    addresses: Vec<AddressEntry>,
}

/// What a key holds: one text, or the texts of a list.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) origin: Origin,
    pub(super) items: Vec<Written>,
}

impl File {
    /// Sorts out the text of `path`; `None` if that is no mapping. What cannot be used is reported
    /// and left out.
    pub(super) fn parse(path: &Path, bytes: &[u8], findings: &mut Findings) -> Option<Self> {
        let mut file = Self {
            path: path.to_owned(),
            settings: BTreeMap::new(),
            own: BTreeMap::new(),
            addresses: Vec::new(),
        };
        match top_level(bytes) {
            Ok(nodes) => nodes.into_iter().for_each(|node| file.take(node, findings)),
            Err(fault) => {
                findings.problem_at("vip-manager-config", &file.origin(), fault);
                return None;
            }
        }
        Some(file)
    }

    pub(super) fn origin(&self) -> Origin {
        Origin::File(self.path.clone())
    }

    /// One of vip-manager's settings, by its present name.
    pub(super) fn setting(&self, name: &str) -> Option<&Entry> {
        self.settings.get(name)
    }

    /// One of our own options.
    pub(super) fn own(&self, name: &str) -> Option<&Entry> {
        self.own.get(name)
    }

    /// The addresses beside vip-manager's.
    pub(super) fn addresses(&self) -> &[AddressEntry] {
        &self.addresses
    }

    fn take(&mut self, node: Node, findings: &mut Findings) {
        // vip-manager's reader does not tell `IP` from `ip`.
        let lower = node.key.to_lowercase();
        if lower == OWN {
            return self.take_own(node, findings);
        }
        let written = self.key(&node, None);
        if let Some((present, older)) = find(&SETTINGS, &lower) {
            if older {
                findings.warning_at(
                    &lower,
                    &written,
                    Caution::OlderName {
                        new: present.into(),
                    },
                );
            }
            if let Some(entry) = self.entry(present, &node, written, findings) {
                put(&mut self.settings, present, entry, findings);
            }
        } else if let Some((present, older)) = find(&NOT_OURS, &lower) {
            if older {
                findings.warning_at(
                    &lower,
                    &written,
                    Caution::OlderName {
                        new: present.into(),
                    },
                );
            }
        } else {
            findings.warning_at(&node.key, &written, Caution::UnknownKey);
        }
    }

    fn take_own(&mut self, node: Node, findings: &mut Findings) {
        let found = node.content.kind();
        let options = match node.content {
            Content::Mapping(options) => options,
            Content::Nothing => return,
            Content::One(_) | Content::List(_) => {
                let origin = self.key(
                    &Node {
                        content: Content::Nothing,
                        ..node
                    },
                    None,
                );
                return findings.problem_at(
                    OWN,
                    &origin,
                    Fault::NotAMapping {
                        found,
                        example: "vip-elector: {ttl: 10s}",
                    },
                );
            }
        };
        for option in options {
            let origin = self.key(&option, Some(OWN));
            if option.key == ADDRESSES {
                self.addresses = addresses::read(option.content, &origin, findings);
                continue;
            }
            let Some(&name) = OWN_OPTIONS.iter().find(|known| **known == option.key) else {
                let known = OWN_OPTIONS.join(", ");
                findings.problem_at(&option.key, &origin, Fault::UnknownOption { known });
                continue;
            };
            if let Some(entry) = self.entry(name, &option, origin, findings) {
                self.own.insert(name, entry);
            }
        }
    }

    /// `None` where nothing is written, as in `ip:`, or too much.
    fn entry(
        &self,
        name: &str,
        node: &Node,
        origin: Origin,
        findings: &mut Findings,
    ) -> Option<Entry> {
        let may_be_list = matches!(name, "dcs-endpoints" | "addr");
        let items = match &node.content {
            Content::Nothing => return None,
            Content::One(text) => vec![Written::new(text.clone(), origin.clone())],
            Content::List(list) if may_be_list => {
                let items: Vec<_> = list
                    .iter()
                    .filter_map(|(line, content)| item(name, &origin, *line, content, findings))
                    .collect();
                if items.len() < list.len() {
                    return None;
                }
                items
            }
            Content::List(_) | Content::Mapping(_) => {
                let found = node.content.kind();
                findings.problem_at(name, &origin, Fault::NotOneValue { found });
                return None;
            }
        };
        Some(Entry { origin, items })
    }

    fn key(&self, node: &Node, parent: Option<&str>) -> Origin {
        let key = match parent {
            Some(parent) => format!("{parent}.{}", node.key),
            None => node.key.clone(),
        };
        Origin::Key {
            file: self.path.clone(),
            line: node.line,
            key,
        }
    }
}

impl Entry {
    /// Entries are equal when they say the same, wherever that is written.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        self.items
            .iter()
            .map(|item| &item.value)
            .eq(other.items.iter().map(|item| &item.value))
    }
}

fn top_level(bytes: &[u8]) -> Result<Vec<Node>, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|_| Fault::NotText)?;
    let content = yaml::parse(text).map_err(|reason| Fault::NotYaml { reason })?;
    let found = content.kind();
    match content {
        Content::Mapping(nodes) if nodes.is_empty() => Err(Fault::EmptyFile),
        Content::Mapping(nodes) => Ok(nodes),
        Content::Nothing => Err(Fault::EmptyFile),
        Content::One(_) | Content::List(_) => Err(Fault::NotAMapping {
            found,
            example: "trigger-key: service/db/leader",
        }),
    }
}

fn item(
    name: &str,
    list: &Origin,
    line: u64,
    content: &Content,
    findings: &mut Findings,
) -> Option<Written> {
    let origin = list.at_line(line);
    match content {
        Content::One(text) => Some(Written::new(text.clone(), origin)),
        Content::Nothing | Content::List(_) | Content::Mapping(_) => {
            let found = content.kind();
            findings.problem_at(name, &origin, Fault::NotOneValue { found });
            None
        }
    }
}

/// The present name of a spelling, and whether the spelling is an older one.
fn find(table: &[(&'static str, &[&'static str])], spelling: &str) -> Option<(&'static str, bool)> {
    table.iter().find_map(|&(present, older)| {
        if present == spelling {
            Some((present, false))
        } else {
            older.contains(&spelling).then_some((present, true))
        }
    })
}

/// Two spellings of one setting may stand side by side if they agree.
fn put(
    settings: &mut BTreeMap<&'static str, Entry>,
    name: &'static str,
    entry: Entry,
    findings: &mut Findings,
) {
    match settings.get(name) {
        Some(earlier) if !earlier.says_the_same(&entry) => {
            let other = earlier.origin.clone();
            findings.problem_at(
                name,
                &entry.origin,
                Fault::SpellingsDiffer { other, keep: name },
            );
        }
        Some(_) => {}
        None => {
            settings.insert(name, entry);
        }
    }
}
