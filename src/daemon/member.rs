//! Wires one group's driver and VIP task together.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tracing::warn;

use super::Error;
use super::claims::Claim;
use crate::config::Group;
use crate::consul::GroupLine;
use crate::driver::clock::BootClock;
use crate::driver::{self, World, journal};
use crate::election::health::Health;
use crate::election::lease::Terms;
use crate::election::machine::{Options, Params};
use crate::election::note::Before;
use crate::election::status::Outcome;
use crate::peers::post::Letterbox;
use crate::peers::wire::group_id;
use crate::runtime::RuntimeDirectory;
use crate::runtime::address::AddressFile;
use crate::runtime::session::SessionFile;
use crate::status::snapshot::Snapshot;
use crate::vip::hands::Hands;
use crate::vip::kernel::LinkKernel;
use crate::vip::sentry::Ward;
use crate::vip::task;

/// Returns a number that no process has ever had, and no other member either.
pub(super) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// One group on this host.
pub(super) struct Member {
    pub(super) group: Arc<Group>,
    pub(super) terms: Terms,
    pub(super) options: Options,
    pub(super) peers: Option<Letterbox>,
    pub(super) health: watch::Receiver<Health>,
    pub(super) consul: GroupLine,
    pub(super) memory: Option<SessionFile>,
    /// What it has found of the process before.
    pub(super) before: Before,
    /// What no other process names its sessions by.
    pub(super) process: u64,
    pub(super) directory: RuntimeDirectory,
    pub(super) hands: Option<Arc<Hands>>,
    pub(super) clock: BootClock,
    pub(super) claim: Claim,
    pub(super) told: watch::Sender<Snapshot>,
}

impl Member {
    /// Runs until it is told to stop, and everything is given up; or until something is wrong.
    pub(super) fn run(
        self,
        stopping: oneshot::Receiver<()>,
    ) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        let Self {
            group,
            terms,
            options,
            peers,
            health,
            consul,
            memory,
            before,
            process,
            directory,
            hands,
            clock,
            claim,
            told,
        } = self;
        let name = group.name().to_owned();
        let seed = random();
        let params = Params {
            terms,
            session_name: format!(
                "vip-elector {name} {} {:016x}-{seed:016x}",
                group.trigger_value, process
            ),
            group: group_id(&name),
            value: group.trigger_value.clone(),
            options,
            before,
        };
        let mut tasks = JoinSet::new();
        let link = match hands {
            Some(hands) => {
                let (orders, orders_seen) = watch::channel(params.first_order());
                let (reports, reports_seen) = watch::channel(None);
                let deeds = Arc::clone(&told.borrow().about.deeds);
                let of = name.as_str().into();
                let ward = Ward { group: of, deeds };
                let kernels = group.vips.iter().cloned().map(|vip| {
                    let (address, announcing) = (vip.address, vip.announcing);
                    let hands = Arc::clone(&hands);
                    let file = AddressFile::of(&directory, &name, address);
                    let kernel = LinkKernel::new(vip, hands, file, ward.clone());
                    (address, announcing, kernel)
                });
                let kernels = kernels.collect();
                let turns = Arc::clone(&hands.turns);
                let ends = task::Link {
                    orders: orders_seen,
                    reports,
                    deeds: Arc::clone(&told.borrow().about.deeds),
                    turns,
                };
                let (name, clock) = (name.clone(), clock.clone());
                tasks.spawn(async move { task::run(&name, kernels, clock, ends).await });
                Some(driver::Link {
                    orders,
                    reports: reports_seen,
                })
            }
            None => None,
        };
        let world = World {
            consul: Arc::new(consul),
            clock,
            memory,
            link,
            peers,
            health,
            stop: stopping,
            told,
        };
        let mut driver = Box::pin(driver::run(&name, params, seed, world));
        async move {
            let outcome = tokio::select! {
                outcome = &mut driver => outcome,
                // Without it nothing would be known of the address: better to start over.
                Some(_) = tasks.join_next() => return Err(Error::Crashed(name)),
            };
            // With the driver's end of the order channel gone, the VIP task takes the address off, if that is
            // still to be done, and ends.
            drop(driver);
            while let Some(done) = tasks.join_next().await {
                if done.is_err() {
                    return Err(Error::Crashed(name));
                }
            }
            drop(claim);
            match outcome {
                Outcome::Stopped => Ok(()),
                Outcome::SessionLeft => {
                    warn!(
                        group = name,
                        "consul did not take the session back; it ends with its ttl"
                    );
                    Ok(())
                }
                Outcome::NotALock { flags } => {
                    Err(Error::NotALock(journal::not_a_lock(&name, flags)))
                }
            }
        }
    }
}
