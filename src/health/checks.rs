//! Applier: follows the checks that Consul has for this host's node.
//!
//! While Consul cannot be asked, what it said last stays: a Consul that is away is the business of the
//! session and the lease.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, warn};

use super::judge;
use super::probe::report_change;
use crate::config::CheckMode;
use crate::consul::Client;
use crate::election::call::{Failure, FailureKind};
use crate::election::health::Health;

/// What of the checks matters.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) check_id: Option<String>,
    pub(super) mode: CheckMode,
}

const CALL_TIMEOUT: Duration = Duration::from_secs(2);
const WATCH_WAIT: Duration = Duration::from_secs(20);
/// Consul may add a sixteenth to the wait, and the answer has to travel.
const WATCH_TIMEOUT: Duration = Duration::from_secs(23);

/// The least time between two reads: some checks print something new every time.
const PACE: Duration = Duration::from_millis(200);

/// The pause after Consul could not be asked.
const PAUSE: Duration = Duration::from_secs(1);

/// How often the first answer is tried for before this host goes on without: where the session is bound to
/// the check, only maintenance would be overlooked.
const TRIES: u32 = 3;

/// The pause after it refused to answer. Tokens are mended by people.
const LONG_PAUSE: Duration = Duration::from_secs(5);

/// Follows them for ever. Aborted at any point it loses nothing.
pub(super) async fn follow(
    group: &str,
    wanted: &Wanted,
    client: &Client,
    report: &watch::Sender<Health>,
) {
    let mut warned = false;
    let mut node = None;
    let mut tries = 0;
    loop {
        let read = read_on(wanted, client, report, &mut node, &mut warned).await;
        let Failure { kind, message } = read;
        match kind {
            FailureKind::Denied | FailureKind::Refused => {
                if !warned {
                    warn!(
                        group,
                        error = message,
                        "consul does not show the checks of this host, so its maintenance is not noticed"
                    );
                }
                warned = true;
                report_change(report, judge::hidden(wanted));
                sleep(LONG_PAUSE).await;
            }
            FailureKind::SessionGone
            | FailureKind::CheckMissing
            | FailureKind::CheckCritical
            | FailureKind::Held
            | FailureKind::LockDelayed
            | FailureKind::Changed
            | FailureKind::Unavailable => {
                debug!(
                    group,
                    error = message,
                    "cannot look at the checks of this host"
                );
                tries += 1;
                let unknown = *report.borrow() == Health::Unknown;
                if unknown && tries >= TRIES && wanted.mode == CheckMode::Session {
                    warn!(
                        group,
                        error = message,
                        "consul does not show the checks of this host, so its maintenance is not noticed"
                    );
                    report_change(report, judge::hidden(wanted));
                }
                sleep(PAUSE).await;
            }
        }
    }
}

/// Reads until that fails. The node is that of the agent that answered first, and is kept: another
/// endpoint may be another node's agent.
async fn read_on(
    wanted: &Wanted,
    client: &Client,
    report: &watch::Sender<Health>,
    known: &mut Option<String>,
    warned: &mut bool,
) -> Failure {
    let asked_before = known.is_some();
    let node = match known {
        Some(node) => node.clone(),
        None => match client.own_node(CALL_TIMEOUT).await {
            Ok(node) => known.insert(node).clone(),
            Err(failure) => return failure,
        },
    };
    let (mut index, mut timeout) = (0, CALL_TIMEOUT);
    loop {
        let next = Instant::now() + PACE;
        let read = client.node_checks(&node, index, WATCH_WAIT, timeout);
        let seen = match read.await {
            Ok(seen) => seen,
            Err(failure) => return failure,
        };
        if seen.checks.is_empty() && asked_before && index == 0 {
            *known = None;
            return Failure {
                kind: FailureKind::Unavailable,
                message: format!("node '{node}' has no checks any more"),
            };
        }
        *warned = false;
        report_change(report, judge::checks(&seen.checks, wanted));
        (index, timeout) = (seen.index, WATCH_TIMEOUT);
        sleep_until(next).await;
    }
}
