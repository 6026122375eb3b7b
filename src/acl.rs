//! Pure: the rights that the daemon's token needs in Consul, as the rules of an ACL policy.
//!
//! The language: <https://developer.hashicorp.com/consul/docs/reference/acl/rule>. No page says which
//! request needs which of them; these were found by taking each away.

use std::fmt;

use crate::config::{CheckMode, Config};
use crate::consul::LIVENESS_SERVICE;

/// Returns the policy for all hosts of a configuration, as `consul acl policy create -rules -` reads it:
/// the rules that it needs and no others, each below a comment that says what for.
pub fn policy(config: &Config) -> String {
    let mut text = String::from(HEADER);
    for Need { rule, comment } in needs(config) {
        text.push('\n');
        for line in comment {
            text.push_str(&format!("# {line}\n"));
        }
        text.push_str(&format!("{rule}\n"));
    }
    text
}

/// One rule; displayed as HCL, on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    resource: &'static str,
    name: String,
    access: &'static str,
}

impl Rule {
    /// Allows to read what is called `name`, or what begins with it, as `resource` says.
    pub(crate) fn read(resource: &'static str, name: impl Into<String>) -> Self {
        Self {
            resource,
            name: name.into(),
            access: "read",
        }
    }

    /// What it is about: the first word in a policy.
    pub(crate) fn resource(&self) -> &'static str {
        self.resource
    }

    /// The name behind it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Allows to change it, and to read it.
    pub(crate) fn write(resource: &'static str, name: impl Into<String>) -> Self {
        Self {
            access: "write",
            ..Self::read(resource, name)
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            resource,
            name,
            access,
        } = self;
        // No name that gets here, a trigger key say, may contain a quote.
        write!(f, "{resource} \"{name}\" {{ policy = \"{access}\" }}")
    }
}

const HEADER: &str = "\
# What the token of vip-elector needs for this configuration, on every host:
#
#   vip-elector acl-policy ... | consul acl policy create -name vip-elector -rules -
";

/// A rule with what it is for, and what happens without it.
pub(crate) struct Need {
    pub(crate) rule: Rule,
    comment: &'static [&'static str],
}

impl Need {
    /// What happens without it, as a sentence.
    pub(crate) fn without(&self) -> String {
        let text = self.comment.join(" ");
        match text.find("Without this rule") {
            Some(start) => text[start..].to_owned(),
            None => text,
        }
    }
}

/// Returns every rule that a configuration needs.
pub(crate) fn needs(config: &Config) -> Vec<Need> {
    let mut needs = Vec::new();
    for group in &config.groups {
        let key = &group.trigger_key;
        needs.push(Need {
            rule: Rule::write("key", key),
            comment: &["The lock. Without this rule nobody leads."],
        });
        needs.push(Need {
            rule: Rule::write("key_prefix", format!("{key}/")),
            comment: &[
                "Below it, candidates, drains and switchover requests. Without this rule there are none of these, no",
                "handover, no priorities and no heartbeats: a leader that stops only releases the lock, and a lost",
                "host is replaced when Consul has noticed.",
            ],
        });
    }
    needs.push(Need {
        rule: Rule::write("session_prefix", ""),
        comment: about_sessions(config),
    });
    let liveness = config
        .groups
        .iter()
        .any(|group| group.liveness_ttl.is_some());
    if liveness {
        needs.push(Need {
            rule: Rule::write("service", LIVENESS_SERVICE),
            comment: &[
                "--liveness-ttl. Without this rule a daemon that is killed or frozen is replaced when the other",
                "hosts miss it, else after up to twice the session's TTL.",
            ],
        });
    }
    if names_a_check(config) {
        needs.push(Need {
            rule: Rule::read("service_prefix", ""),
            comment: about_check(config.check_mode),
        });
    }
    needs.push(Need {
        rule: Rule::read("node_prefix", ""),
        comment: about_node(config),
    });
    if !names_a_check(config) && !liveness {
        needs.push(Need {
            rule: Rule::read("agent_prefix", ""),
            comment: &[
                "The name of this host's node, which with --check-id or --liveness-ttl a check would tell.",
                "Without this rule the node's maintenance is not noticed.",
            ],
        });
    }
    needs
}

fn names_a_check(config: &Config) -> bool {
    let mut groups = config.groups.iter();
    groups.any(|group| group.session.check_id.is_some())
}

fn about_sessions(config: &Config) -> &'static [&'static str] {
    match config.peers {
        Some(_) => &[
            "The session that holds the lock, and --peer-watch, which ends that of a silent leader. Without",
            "this rule nobody leads. With session \"NODE\" instead, each host with the name of its own Consul",
            "node, a lost host is replaced when Consul has noticed.",
        ],
        None => &[
            "The session that holds the lock. Without this rule nobody leads. session \"NODE\", each host with",
            "the name of its own Consul node, is enough where all hosts have the same --lock-delay.",
        ],
    }
}

fn about_check(mode: CheckMode) -> &'static [&'static str] {
    match mode {
        CheckMode::Session => &[
            "The maintenance of the service that owns the check of --check-id (consul maint -service). Without",
            "this rule that is not noticed. service \"NAME\", with the name of that service, is enough.",
        ],
        CheckMode::Watch => &[
            "The check of --check-id, which --check-mode=watch reads. Without this rule nobody leads. service",
            "\"NAME\", with the name of the service that owns the check, is enough.",
        ],
    }
}

fn about_node(config: &Config) -> &'static [&'static str] {
    match (names_a_check(config), config.check_mode) {
        (true, CheckMode::Watch) => &[
            "The checks of this host's node, which --check-mode=watch reads, and maintenance (consul maint).",
            "Without this rule nobody leads.",
        ],
        (true, CheckMode::Session) | (false, _) => &[
            "The checks of this host's node, and among them its maintenance (consul maint). Without this rule",
            "maintenance is not noticed.",
        ],
    }
}
