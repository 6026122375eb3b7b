//! Pure: nodes and their checks.

use std::collections::BTreeMap;

use vip_elector::election::call::FailureKind;

/// What a check says. A warning is as good as passing for a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Sessions may be bound to it.
    Passing,
    /// No session lives with it.
    Critical,
}

/// All nodes, each with its checks.
#[derive(Clone, Debug, Default)]
pub(super) struct Catalog {
    nodes: BTreeMap<String, BTreeMap<String, Health>>,
}

impl Catalog {
    /// Says whether a session may be bound to these checks of a node.
    pub(super) fn admits(&self, node: &str, checks: &[String]) -> Result<(), FailureKind> {
        let known = self.nodes.get(node).ok_or(FailureKind::CheckMissing)?;
        checks.iter().try_for_each(|check| match known.get(check) {
            Some(Health::Passing) => Ok(()),
            Some(Health::Critical) => Err(FailureKind::CheckCritical),
            None => Err(FailureKind::CheckMissing),
        })
    }

    pub(super) fn check(&self, node: &str, check: &str) -> Option<Health> {
        self.nodes.get(node)?.get(check).copied()
    }

    pub(super) fn register(&mut self, node: &str) {
        self.nodes.entry(node.to_owned()).or_default();
    }

    pub(super) fn deregister(&mut self, node: &str) {
        self.nodes.remove(node);
    }

    pub(super) fn set(&mut self, node: &str, check: &str, health: Health) {
        let checks = self.nodes.entry(node.to_owned()).or_default();
        checks.insert(check.to_owned(), health);
    }

    pub(super) fn remove(&mut self, node: &str, check: &str) {
        if let Some(checks) = self.nodes.get_mut(node) {
            checks.remove(check);
        }
    }
}
