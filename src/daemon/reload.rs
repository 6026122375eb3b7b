//! Applier: puts another configuration into force while the elections run, as a whole or not at all.
//!
//! What may change is which groups there are, how Consul is reached, what this host's health is, who is told how it
//! stands, where it is asked, and how the log looks. Session, lock and address of a group that has not changed go on.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::signal::unix::Signal;
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::config::{Config, Group, Hooks};
use crate::consul::{BuildError, Client, Way};
use crate::health;
use crate::logging::{Chain, Logging};
use crate::systemd::{Systemd, Word};

/// Reads the configuration from where it was read at the start. May take its time.
pub type Reread = Arc<dyn Fn() -> Result<Config, Box<dyn Error + Send + Sync>> + Send + Sync>;

/// What a reload works on.
pub(super) struct Reloading {
    pub(super) reread: Reread,
    pub(super) in_force: Config,
    pub(super) client: Client,
    pub(super) groups: watch::Sender<Vec<Arc<Group>>>,
    pub(super) health: watch::Sender<health::Sources>,
    pub(super) hooks: watch::Sender<Hooks>,
    pub(super) listen: watch::Sender<Option<SocketAddr>>,
    pub(super) logging: Logging,
    pub(super) systemd: Systemd,
}

impl Reloading {
    /// Reloads at every signal, one after the other, for ever. Aborted at any point it leaves one
    /// configuration in force as a whole.
    pub(super) async fn run(mut self, mut hangup: Signal) {
        while hangup.recv().await.is_some() {
            info!("reading the configuration again");
            self.systemd.reloading();
            let reread = Arc::clone(&self.reread);
            // A disk may be slow, and a lease does not wait: another thread reads.
            let reading = tokio::task::spawn_blocking(move || read(&reread));
            match reading.await {
                Ok(Ok((config, way))) => self.put_into_force(config, way),
                Ok(Err(refused)) => refused.log(),
                Err(error) => {
                    error!(%error, "reading the configuration failed");
                    stays();
                }
            }
            self.systemd.tell(&Word::Ready);
        }
    }

    fn put_into_force(&mut self, config: Config, way: Way) {
        let changes = self.in_force.restart_for(&config);
        if !changes.is_empty() {
            for change in changes {
                error!("this needs a restart: {change}");
            }
            return stays();
        }
        self.logging.change(&config.log);
        self.client.take(way);
        self.groups.send_replace(config.groups.clone());
        self.health.send_replace(health::Sources::of(&config));
        self.hooks.send_replace(config.hooks.clone());
        // One that stays goes on with its connections.
        self.listen
            .send_if_modified(|last| std::mem::replace(last, config.listen) != config.listen);
        for warning in &config.warnings {
            warn!("{warning}");
        }
        self.in_force = config;
        info!("the configuration was reloaded");
    }
}

/// Why a configuration cannot be used at all.
enum Refused {
    Problems(Box<dyn Error + Send + Sync>),
    Way(BuildError),
}

impl Refused {
    fn log(&self) {
        match self {
            // One line for each problem.
            Self::Problems(problems) => {
                for problem in Chain(problems.as_ref()).to_string().lines() {
                    error!("{problem}");
                }
            }
            Self::Way(error) => error!("{}", Chain(error)),
        }
        stays();
    }
}

fn stays() {
    error!(
        "not reloaded; nothing has changed, and the configuration that was in force stays; mend it and \
         reload again, or restart"
    );
}

fn read(reread: &Reread) -> Result<(Config, Way), Refused> {
    let config = reread().map_err(Refused::Problems)?;
    let way = Way::prepare(&config.access).map_err(Refused::Way)?;
    Ok((config, way))
}
