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
#[derive(Debug, PartialEq, Eq)]
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
    let mut known = Known::default();
    let mut tries = 0;
    loop {
        let read = read_on(group, wanted, client, report, &mut known).await;
        let Failure { kind, message } = read;
        match kind {
            FailureKind::Denied | FailureKind::Refused => {
                if !known.warned {
                    warn_hidden(group, &message);
                }
                known.warned = true;
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
                    warn_hidden(group, &message);
                    report_change(report, judge::hidden(wanted));
                }
                sleep(PAUSE).await;
            }
        }
    }
}

fn warn_hidden(group: &str, error: &str) {
    warn!(
        group,
        error,
        "consul does not show the checks of this host, so its maintenance is not noticed until it does"
    );
}

/// What is kept from one read to the next.
#[derive(Debug, Default)]
struct Known {
    /// That of the agent that answered first: another endpoint may be another node's agent.
    node: Option<String>,
    /// Whether it was said that Consul refuses.
    warned: bool,
    unseen: Unseen,
}

/// Reads until that fails.
async fn read_on(
    group: &str,
    wanted: &Wanted,
    client: &Client,
    report: &watch::Sender<Health>,
    known: &mut Known,
) -> Failure {
    let asked_before = known.node.is_some();
    let node = match &known.node {
        Some(node) => node.clone(),
        None => match own_node(wanted, client, report).await {
            Ok(node) => known.node.insert(node).clone(),
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
            known.node = None;
            return Failure {
                kind: FailureKind::Unavailable,
                message: format!("node '{node}' has no checks any more"),
            };
        }
        known.warned = false;
        report_change(report, judge::checks(&seen.checks, wanted));
        let unseen = judge::unseen(&seen.checks, wanted);
        if known.unseen.look_again(group, unseen) {
            sleep(PAUSE).await;
            continue;
        }
        (index, timeout) = (seen.index, WATCH_TIMEOUT);
        sleep_until(next).await;
    }
}

/// The agent says to few tokens who it is. But where a check of this host is on its way to the agent, that
/// says it soon: our own, say.
async fn own_node(
    wanted: &Wanted,
    client: &Client,
    report: &watch::Sender<Health>,
) -> Result<String, Failure> {
    if let Some(node) = client.node_of_checks(CALL_TIMEOUT).await? {
        return Ok(node);
    }
    let failure = match client.agent(CALL_TIMEOUT).await {
        Ok(agent) => return Ok(agent.node),
        Err(failure) => failure,
    };
    if failure.kind == FailureKind::Denied {
        report_change(report, judge::hidden(wanted));
        sleep(PAUSE).await;
        if let Some(node) = client.node_of_checks(CALL_TIMEOUT).await? {
            return Ok(node);
        }
    }
    Err(failure)
}

/// Something that should be among the checks and is not. It may be on its way, and so it is said only when
/// it was missed twice, a pause apart; and once, for as long as it is missed.
#[derive(Debug, Default)]
struct Unseen {
    what: Option<String>,
    warned: bool,
}

impl Unseen {
    /// Returns whether it has to be looked for again, soon.
    fn look_again(&mut self, group: &str, what: Option<String>) -> bool {
        let again = self.what == what;
        if !again {
            self.what = what;
            self.warned = false;
            return self.what.is_some();
        }
        if let (Some(error), false) = (&self.what, self.warned) {
            warn!(
                group,
                error,
                "consul does not show all checks of this host, so maintenance may not be noticed until it does"
            );
            self.warned = true;
        }
        false
    }
}
