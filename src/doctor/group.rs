//! Pure: what the doctor thinks of one group's keys: the lock, and who else takes part.

use super::report::Findings;
use crate::election::call::{Entry, Failure, LOCK_FLAG};

/// What stands in Consul.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The trigger key.
    pub key: String,
    /// What this host writes into it.
    pub value: String,
    /// The name of this host, as the kernel has it.
    pub host_name: String,
    /// This host's node; `None` where that is not known.
    pub node: Option<String>,
    /// What the key holds, and on which node's session.
    pub lock: Result<Option<(Entry, Option<String>)>, Failure>,
    /// Every candidate, with the node of its session.
    pub candidates: Result<Vec<Candidate>, Failure>,
}

/// A host that stands ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its trigger value.
    pub value: String,
    /// The node of its session, where that may be read.
    pub node: Option<String>,
}

impl Facts {
    /// The trigger value of the leader, where there is one.
    pub fn leader(&self) -> Option<String> {
        let Ok(Some((entry, _))) = &self.lock else {
            return None;
        };
        entry.session.as_ref()?;
        let value = entry.value.as_deref().unwrap_or_default();
        Some(String::from_utf8_lossy(value).into_owned())
    }
}

/// Says what follows from the facts.
pub fn judge(facts: &Facts, findings: &mut Findings) {
    judge_lock(facts, findings);
    match &facts.candidates {
        Ok(candidates) => judge_candidates(facts, candidates, findings),
        Err(failure) => findings.unknown(
            "candidates",
            &failure.message,
            "see what is said of the token above",
        ),
    }
}

fn judge_lock(facts: &Facts, findings: &mut Findings) {
    let key = &facts.key;
    let (entry, node) = match &facts.lock {
        Err(failure) => {
            return findings.problem(
                "lock",
                &failure.message,
                "see what is said of consul and of the token above",
            );
        }
        Ok(None) => {
            return findings.ok(
                "lock",
                format!("{key} is not there yet, the daemon makes it"),
            );
        }
        Ok(Some((entry, node))) => (entry, node),
    };
    if entry.flags != LOCK_FLAG {
        return findings.problem(
            "lock",
            format!(
                "{key} is a regular key (flags {}), and no lock (flags {LOCK_FLAG})",
                entry.flags
            ),
            format!("consul kv delete {key}, and never make it with consul kv put"),
        );
    }
    let Some(leader) = facts.leader() else {
        return findings.ok("lock", format!("{key} is a lock, and free"));
    };
    findings.ok("lock", format!("{key} is held by {leader}"));
    if leader == facts.value && is_elsewhere(facts, node.as_ref()) {
        twin(facts, node.as_ref(), findings);
    }
}

fn judge_candidates(facts: &Facts, candidates: &[Candidate], findings: &mut Findings) {
    let twins = candidates.iter().filter(|candidate| {
        candidate.value == facts.value && is_elsewhere(facts, candidate.node.as_ref())
    });
    let mut alone = true;
    for candidate in twins {
        alone = false;
        twin(facts, candidate.node.as_ref(), findings);
    }
    let values: Vec<_> = candidates
        .iter()
        .map(|candidate| candidate.value.as_str())
        .collect();
    match values.as_slice() {
        [] => findings.ok("candidates", "no host stands ready yet"),
        values => findings.ok("candidates", format!("ready: {}", values.join(", "))),
    }
    if alone {
        judge_name(facts, &values, findings);
    }
}

fn twin(facts: &Facts, node: Option<&String>, findings: &mut Findings) {
    let Facts { value, .. } = facts;
    let node = node.map_or("another node", String::as_str);
    findings.problem(
        "name",
        format!("{node} takes part as {value}, too: nobody could tell the two hosts apart"),
        "give each host a trigger-value, or --hostname, of its own",
    );
}

/// Whether a session is certainly not this host's.
fn is_elsewhere(facts: &Facts, node: Option<&String>) -> bool {
    match (&facts.node, node) {
        (Some(own), Some(node)) => own != node,
        (_, _) => false,
    }
}

/// Short names among full ones, or the other way round: one of the two is not what it is compared with.
fn judge_name(facts: &Facts, others: &[&str], findings: &mut Findings) {
    let Facts {
        value, host_name, ..
    } = facts;
    let is_full = |name: &str| name.contains('.') && name.parse::<std::net::IpAddr>().is_err();
    let short = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    let mut others = others.iter().filter(|other| **other != value);
    if let Some(other) = others.clone().find(|other| short(other) == short(value)) {
        findings.warning(
            "name",
            format!(
                "{other} stands ready, and this host is {value}: are they one host with two names?"
            ),
            "write the same trigger-value, or --hostname, wherever this host is named",
        );
    } else if let Some(other) = others.find(|other| is_full(other) != is_full(value)) {
        findings.warning(
            "name",
            format!("this host is {value}, and another one {other}: one name is short and the other full"),
            "use one kind on all hosts; vip-manager compares with the full host name unless told otherwise",
        );
    } else if value == host_name || *value == short(host_name) {
        findings.ok("name", format!("this host is {value}"));
    } else {
        findings.ok(
            "name",
            format!("this host is {value}, and its kernel calls it {host_name}"),
        );
    }
}

#[cfg(test)]
mod tests;
