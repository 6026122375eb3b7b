//! Wires what all groups of the process have in common into a member for each.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::watch;
use tracing::{info, warn};

use super::claims::{Claim, Claims};
use super::member::Member;
use super::neighbours::Neighbours;
use super::{Error, setup};
use crate::config::{CheckMode, Config, Group, Hooks, KernelLease, Session};
use crate::consul::{self, Binding, Client, Hub};
use crate::driver::clock::BootClock;
use crate::election::health::Health;
use crate::election::lease::Terms;
use crate::election::machine::Options;
use crate::election::note::Before;
use crate::logging::Chain;
use crate::runtime::RuntimeDirectory;
use crate::runtime::lock::{self, GroupLock};
use crate::runtime::session::SessionFile;
use crate::status::board::Board;
use crate::status::snapshot::Snapshot;
use crate::vip::hands::Hands;

/// What no reload changes, and what is told to every group.
pub(super) struct Common {
    /// That of the start: of it counts only what stays until a restart.
    pub(super) config: Config,
    pub(super) directory: RuntimeDirectory,
    pub(super) client: Client,
    pub(super) hub: Hub,
    /// What no other process names its sessions by.
    pub(super) process: u64,
    pub(super) hands: Option<Arc<Hands>>,
    pub(super) clock: BootClock,
    pub(super) neighbours: Neighbours,
    pub(super) health: watch::Receiver<Health>,
    pub(super) hooks: watch::Receiver<Hooks>,
    pub(super) claims: Claims,
    pub(super) board: Board,
}

impl Common {
    /// Makes a member, which has not begun. What it says is told to `told`.
    pub(super) async fn member(
        &self,
        group: &Arc<Group>,
        claim: Claim,
        alone: Option<&GroupLock>,
        told: &watch::Sender<Snapshot>,
    ) -> Result<Member, Error> {
        let netlink = self.hands.as_ref().map(|hands| &*hands.netlink);
        let (contact, peers) = self.neighbours.of(group, netlink).await;
        let bound = self.config.check_mode == CheckMode::Session;
        let session = &group.session;
        let seen = told.subscribe();
        info!(
            group = group.name(),
            value = group.trigger_value,
            check_id = session.check_id,
            ttl = ?session.ttl,
            lock_delay = ?session.lock_delay,
            manage_vip = self.config.manage_vip,
            "taking part in the election"
        );
        let memory = match alone {
            Some(_) => Some(self.session_file(group)?),
            None => None,
        };
        let before = memory.as_ref().map_or(Before::Nothing, SessionFile::before);
        let terms_of_session = consul::Terms {
            key: group.trigger_key.clone(),
            value: group.trigger_value.clone(),
            ttl: session.ttl,
            lock_delay: session.lock_delay,
            check_id: session.check_id.clone().filter(|_| bound),
            priority: group.priority,
            contact,
            liveness_ttl: group.liveness_ttl,
        };
        let binding = Binding::new(self.client.clone(), terms_of_session)
            .saying(move || seen.borrow().word());
        Ok(Member {
            group: Arc::clone(group),
            terms: terms(&self.config, group),
            options: self.options(group),
            peers,
            health: self.health.clone(),
            consul: self.hub.enter(binding, &before),
            memory,
            before,
            process: self.process,
            directory: self.directory.clone(),
            hands: self.hands.clone(),
            clock: self.clock.clone(),
            claim,
            told: told.clone(),
        })
    }

    /// Refuses to be the second process of a group; where that cannot be known, goes on.
    pub(super) fn lock(&self, group: &str) -> Result<Option<GroupLock>, Error> {
        match GroupLock::take(&self.directory, group) {
            Ok(lock) => Ok(Some(lock)),
            Err(taken @ lock::Error::Taken { .. }) => Err(Error::AlreadyRunning(taken)),
            Err(error @ lock::Error::Unusable { .. }) => {
                warn!(
                    group,
                    error = %Chain(&error),
                    "nothing can be remembered here: a second process for this group would not be noticed, \
                     and after a crash, the next one waits for the session's end instead of going on with \
                     it; make the directory writable, or set RUNTIME_DIRECTORY"
                );
                Ok(None)
            }
        }
    }

    fn options(&self, group: &Group) -> Options {
        Options {
            candidates: true,
            priority: group.priority,
            preempt_after: group.preempt_after,
            liveness_ttl: group.liveness_ttl,
            peer_interval: self.config.peers.map(|peers| peers.interval),
            one_of_many: self.config.has_many_groups(),
            health: Health::Unknown,
        }
    }

    /// A session that was made for something else is not adopted, and an address that went with it is taken
    /// off, or ends by itself, while the old lock-delay runs.
    fn session_file(&self, group: &Group) -> Result<SessionFile, Error> {
        let Session {
            ttl,
            lock_delay,
            check_id,
        } = &group.session;
        let vips = group.vips.iter();
        let vips: Vec<_> = vips.map(|vip| (vip.address, &vip.interface)).collect();
        let terms = format!(
            "ttl={ttl:?} lock-delay={lock_delay:?} check-id={check_id:?} check-mode={} vips={vips:?} \
             kernel-lease={} liveness-ttl={:?}",
            self.config.check_mode.name(),
            self.config.kernel_lease.name(),
            group.liveness_ttl
        );
        SessionFile::of(&self.directory, group.name(), &group.trigger_value, terms)
            .map_err(setup("the record of the session"))
    }
}

/// What a lease is made from.
pub(crate) fn terms(config: &Config, group: &Group) -> Terms {
    let Session {
        lock_delay, ttl, ..
    } = group.session;
    match (config.manage_vip, config.kernel_lease) {
        (false, _) => Terms::companion(lock_delay, ttl),
        (true, KernelLease::Auto) => Terms::managed(lock_delay, ttl),
        (true, KernelLease::Off) => Terms::managed(lock_delay, ttl).without_kernel_lease(),
    }
}

/// What a group has to do with.
pub(super) fn addresses(group: &Group) -> Vec<IpAddr> {
    group.vips.iter().map(|vip| vip.address).collect()
}
