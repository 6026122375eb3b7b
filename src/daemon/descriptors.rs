//! Applier: how many files this process may have open.

use std::sync::Arc;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tracing::{debug, warn};

use crate::config::Group;

/// What is open whatever the groups are: connections to Consul, the kernel, whoever asks.
const OF_THE_PROCESS: u64 = 256;

/// What is open for a group: its lock and its socket.
const OF_A_GROUP: u64 = 2;

/// Raises the soft limit to the hard one, which is meant for those who know (systemd.exec(5)).
pub(super) fn raise() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        if soft < hard {
            setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        }
        Ok((soft, hard))
    });
    match raised {
        Ok((from, to)) => debug!(from, to, "this process may have more files open"),
        Err(error) => debug!(%error, "this process may have no more files open"),
    }
}

/// Warns where that is too low.
pub(super) fn suffice(groups: &[Arc<Group>]) {
    let needs = needed(groups);
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((has, _)) if has < needs => warn!(
            needs,
            has,
            "this process may have too few files open for its groups, some of which will fail; raise \
             LimitNOFILE=, or the hard limit of ulimit -n"
        ),
        Ok(_) | Err(_) => {}
    }
}

fn needed(groups: &[Arc<Group>]) -> u64 {
    OF_THE_PROCESS + OF_A_GROUP * groups.len() as u64
}
