//! Gathers what a daemon may say of itself from its drivers. Waits for nothing.

use std::time::SystemTime;

use tokio::sync::watch;

use crate::calendar::rfc3339;
use crate::election::time::Timestamp;
use crate::status::Report;
use crate::status::snapshot::Snapshot;

/// One daemon, for whoever looks at it.
#[derive(Clone, Debug)]
pub struct Board {
    started_at: SystemTime,
    groups: watch::Receiver<Seats>,
}

/// Where each group's driver says how it is, in the order of the configuration.
pub type Seats = Vec<watch::Receiver<Snapshot>>;

/// One daemon at an instant.
#[derive(Clone, Debug)]
pub struct View {
    /// When it was started.
    pub started_at: SystemTime,
    /// Its process.
    pub pid: u32,
    /// In the order of its configuration.
    pub groups: Vec<Snapshot>,
}

impl Board {
    /// Gathers groups, which may come and go.
    pub fn new(started_at: SystemTime, groups: watch::Receiver<Seats>) -> Self {
        Self { started_at, groups }
    }

    /// Returns which groups there are, now and later.
    pub fn groups(&self) -> watch::Receiver<Seats> {
        self.groups.clone()
    }

    /// Copies what is known now.
    pub fn look(&self) -> View {
        View {
            started_at: self.started_at,
            pid: std::process::id(),
            groups: self
                .groups
                .borrow()
                .iter()
                .map(|seen| seen.borrow().clone())
                .collect(),
        }
    }
}

impl View {
    /// Returns it as it is told to others.
    pub fn report(&self, now: Timestamp) -> Report {
        Report {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: self.pid,
            started_at: rfc3339(self.started_at),
            groups: self.groups.iter().map(|group| group.report(now)).collect(),
        }
    }
}
