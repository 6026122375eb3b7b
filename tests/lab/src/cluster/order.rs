//! Applier: commands of the daemon's program, as operators run them on a host.

use std::time::Duration;

use super::{Cluster, Error};
use crate::process::{Log, Process};

/// The file in a host's directory that has what all commands said there.
pub const ORDERS: &str = "orders.log";

/// How long a command may take: it bounds every request and every wait of its own.
const LIMIT: Duration = Duration::from_secs(60);

/// A command that runs.
#[derive(Debug)]
pub(super) struct Order {
    words: String,
    process: Process,
    log: Log,
}

impl Cluster {
    /// Starts the daemon's program on a host with these words, once the orders before have ended.
    ///
    /// # Errors
    /// When it does not start, or one before has not ended in time.
    pub fn order(&mut self, host: &str, words: &[&str]) -> Result<(), Error> {
        for order in &mut self.orders {
            order.process.wait(LIMIT)?;
        }
        let log = Log::default();
        let group = self.probes[self.subject].group;
        let host = self.host(host)?;
        let config = &host.place().configurations()[group];
        let config = format!("--vip-manager-config={}", config.display());
        let arguments = words.iter().copied().chain([config.as_str()]);
        let daemon = host.daemon();
        let process = daemon.run_aside(arguments, &log, ORDERS)?;
        self.orders.push(Order {
            words: words.join(" "),
            process,
            log,
        });
        Ok(())
    }

    /// Waits for the end of all orders, and returns what those said that failed.
    ///
    /// # Errors
    /// When one has not ended in time.
    pub fn finish_orders(&mut self) -> Result<Vec<String>, Error> {
        let mut refused = Vec::new();
        for mut order in self.orders.drain(..) {
            let status = order.process.wait(LIMIT)?;
            if !status.success() {
                let said = order.log.tail(1);
                refused.push(format!("{}: {status}: {}", order.words, said.trim()));
            }
        }
        Ok(refused)
    }
}
