//! Applier: looks for what will go wrong before it does, each finding with its remedy.
//!
//! `gather` finds facts and changes nothing; what follows from them is said by pure files, one for each thing:
//! [`consul`], [`group`], [`address`], [`host`]. A daemon may run meanwhile, or none.

pub mod address;
pub mod consul;
mod gather;
pub mod group;
pub mod host;
pub mod report;

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use thiserror::Error;

use self::consul::Wanted;
use self::report::{Findings, Report};
use crate::config::Config;
use crate::consul::{BuildError, Client};
use crate::daemon::terms;

/// Why nothing could be looked at.
#[derive(Debug, Error)]
pub enum Error {
    /// The client could not be made from the configuration.
    #[error("preparing the connection to consul")]
    Client(#[from] BuildError),
    /// No runtime.
    #[error("preparing to look around")]
    Runtime(#[source] io::Error),
}

/// Looks at everything that the daemon of this configuration would stand on.
///
/// # Errors
///
/// When it cannot even begin.
pub fn run(config: &Config, host_name: &str) -> Result<Report, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Runtime)?;
    let client = Client::new(&config.access)?;
    let facts = runtime.block_on(gather::look(config, &client, host_name));
    runtime.shutdown_background();
    let groups = config.groups.iter();
    let ttls: BTreeSet<_> = groups.clone().map(|group| group.session.ttl).collect();
    let confirm_interval = groups.map(|group| terms(config, group).confirm_interval());
    let wanted = Wanted {
        ttls: ttls.into_iter().collect(),
        confirm_interval: confirm_interval.min().unwrap_or(Duration::MAX),
    };
    let mut shared = Findings::of(None);
    judge_configuration(config, &mut shared);
    consul::judge(&facts.consul, &wanted, &mut shared);
    host::judge(&facts.host, &mut shared);
    let mut findings = shared.done();
    for (group, addresses) in &facts.groups {
        let mut own = Findings::of(Some(&group.key));
        group::judge(group, &mut own);
        for address in addresses {
            address::judge(address, &mut own);
        }
        findings.extend(own.done());
    }
    Ok(Report {
        version: env!("CARGO_PKG_VERSION"),
        findings,
    })
}

fn judge_configuration(config: &Config, findings: &mut Findings) {
    if config.warnings.is_empty() {
        findings.ok("configuration", "it can be used");
    }
    for warning in &config.warnings {
        findings.warning(
            "configuration",
            warning.to_string(),
            "vip-elector check-config shows where each value comes from",
        );
    }
}

#[cfg(test)]
mod tests;
