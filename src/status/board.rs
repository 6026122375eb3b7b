//! Pure: everything that a daemon may say of itself, gathered from its groups.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::watch;

use crate::election::time::Timestamp;
use crate::status::Report;
use crate::status::snapshot::Snapshot;
use crate::status::time::rfc3339;

/// One daemon, for whoever answers questions about it.
#[derive(Clone, Debug)]
pub struct Board {
    started_at: SystemTime,
    groups: Arc<[watch::Receiver<Snapshot>]>,
}

impl Board {
    /// Gathers the groups, in the order of the configuration.
    pub fn new(started_at: SystemTime, groups: Vec<watch::Receiver<Snapshot>>) -> Self {
        Self {
            started_at,
            groups: groups.into(),
        }
    }

    /// Copies what is known of the groups now; of one alone where it is named.
    pub fn read(&self, group: Option<&str>) -> Vec<Snapshot> {
        let wanted = |snapshot: &Snapshot| group.is_none_or(|group| snapshot.about.group == group);
        let copied = self.groups.iter().map(|seen| seen.borrow().clone());
        copied.filter(wanted).collect()
    }

    /// Returns when the daemon was started.
    pub const fn started_at(&self) -> SystemTime {
        self.started_at
    }

    /// Returns what is published of these groups.
    pub fn report(&self, groups: &[Snapshot], now: Timestamp) -> Report {
        Report {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started_at: rfc3339(self.started_at),
            groups: groups.iter().map(|group| group.report(now)).collect(),
        }
    }
}
