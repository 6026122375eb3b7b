//! Applier: finds out how fit this host is to lead, and says so on a `watch` channel.
//!
//! Two sources are followed side by side, and both must be good: the local probe ([`Probe`]), and what
//! Consul says of this host's node ([`CheckMode`], maintenance). Until one has been heard for the first
//! time, nothing is known.
//!
//! A failure of the probe is noticed within `interval * fall` and what the last try takes. Tries that
//! run into a timeout longer than the interval take that, each.

mod checks;
mod command;
mod judge;
mod probe;
mod rise;
mod url;

use std::future;

use tokio::sync::watch;
use tracing::{debug, info, warn};

use self::checks::Wanted;
use self::command::CommandProbe;
use self::probe::report_change;
use self::url::UrlProbe;
use crate::config::{CheckMode, Config, Probe, ProbeOf};
use crate::consul::Client;
use crate::election::health::Health;
use crate::logging::TRANSITION;

/// What is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    /// What is asked on this host.
    pub probe: Option<Probe>,
    /// The check that must pass; the service that owns it may be in maintenance.
    pub check_id: Option<String>,
    /// Whether that check itself is looked at, too.
    pub check_mode: CheckMode,
}

impl Sources {
    /// Takes them from a configuration.
    pub fn of(config: &Config) -> Self {
        Self {
            probe: config.probe.clone(),
            check_id: config.common_check().map(str::to_owned),
            check_mode: config.check_mode,
        }
    }
}

/// Runs until all receivers are gone. Aborted at any point it leaves no process behind.
///
/// Sources may change meanwhile. Another probe goes on from what is believed by then, so that its first answer alone
/// decides nothing.
pub async fn run(
    group: &str,
    sources: watch::Receiver<Sources>,
    client: Client,
    sender: watch::Sender<Health>,
) {
    let (probed, probe) = watch::channel(Health::Unknown);
    let (told, checks) = watch::channel(Health::Unknown);
    tokio::select! {
        () = follow_probes(sources.clone(), &probed) => {}
        () = follow_checks(group, sources, &client, &told) => {}
        () = publish_sum(group, probe, checks, &sender) => {}
        () = sender.closed() => {}
    }
}

async fn follow_probes(mut sources: watch::Receiver<Sources>, report: &watch::Sender<Health>) {
    loop {
        let probe = sources.borrow_and_update().probe.clone();
        tokio::select! {
            () = follow_probe(probe.as_ref(), report) => {}
            () = until(&mut sources, |sources| sources.probe != probe) => {}
        }
    }
}

async fn follow_checks(
    group: &str,
    mut sources: watch::Receiver<Sources>,
    client: &Client,
    report: &watch::Sender<Health>,
) {
    let wanted = |sources: &Sources| Wanted {
        check_id: sources.check_id.clone(),
        mode: sources.check_mode,
    };
    loop {
        let now = wanted(&sources.borrow_and_update());
        tokio::select! {
            () = checks::follow(group, &now, client, report) => {}
            () = until(&mut sources, |sources| wanted(sources) != now) => {}
        }
    }
}

/// Waits for other sources; for ever, where nobody is left to name them.
async fn until(sources: &mut watch::Receiver<Sources>, differ: impl FnMut(&Sources) -> bool) {
    if sources.wait_for(differ).await.is_err() {
        future::pending().await
    }
}

async fn follow_probe(probe: Option<&Probe>, report: &watch::Sender<Health>) {
    let Some(probe) = probe else {
        report.send_replace(Health::Good);
        return future::pending().await;
    };
    match &probe.what {
        ProbeOf::Url(url) => {
            let asking = UrlProbe::new(url.clone(), probe.timeout);
            probe::follow(probe, asking, report).await;
        }
        ProbeOf::Command(command) => {
            let asking = CommandProbe::new(command.clone(), probe.timeout);
            probe::follow(probe, asking, report).await;
        }
    }
}

async fn publish_sum(
    group: &str,
    mut probe: watch::Receiver<Health>,
    mut checks: watch::Receiver<Health>,
    sender: &watch::Sender<Health>,
) {
    loop {
        let parts = [
            probe.borrow_and_update().clone(),
            checks.borrow_and_update().clone(),
        ];
        publish(group, judge::sum(parts), sender);
        // Neither sender is dropped before this future.
        tokio::select! {
            _ = probe.changed() => {}
            _ = checks.changed() => {}
        }
    }
}

fn publish(group: &str, health: Health, sender: &watch::Sender<Health>) {
    let before = sender.borrow().clone();
    report_change(sender, health.clone());
    match (before, health) {
        (Health::Good, Health::Good) | (Health::Unknown, Health::Unknown) => {}
        (Health::Unknown | Health::Bad(_), Health::Good) => info!(group, "this host is healthy"),
        (Health::Unknown | Health::Good, Health::Bad(reason)) => {
            warn!(target: TRANSITION, group, reason, "this host is not healthy, and does not lead until it is");
        }
        (Health::Bad(_), Health::Bad(reason)) => debug!(group, reason, "still not healthy"),
        (Health::Good | Health::Bad(_), Health::Unknown) => {
            debug!(group, "how healthy this host is has to be found out");
        }
    }
}
