//! Applier: notices that others say that they have an address of ours.
//!
//! One socket for each family, and only while this process has an address of that family up. Its tasks are spawned with
//! it and end with it; aborted, they lose nothing. Where it cannot listen, it says so once, and all goes on without.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tracing::{debug, warn};
use vip_netlink::{Claim, Interest, Listener, Netlink, Tables};

use crate::driver::clock;
use crate::logging::Chain;
use crate::status::counters::Deeds;
use crate::vip::conflict::{Guard, Verdict};
use crate::vip::herald::{Herald, Urgency};

/// How long to wait when listening fails.
const PAUSE: Duration = Duration::from_secs(1);

/// Watches over the addresses that are up.
pub struct Sentry {
    shared: Arc<Shared>,
    // Dropping this ends the tasks.
    _tasks: JoinSet<()>,
}

/// Whom a conflict is told to.
#[derive(Clone, Debug)]
pub struct Ward {
    /// The group's name.
    pub group: Arc<str>,
    /// What is counted of it.
    pub deeds: Arc<Deeds>,
}

struct Shared {
    netlink: Arc<Netlink>,
    herald: Arc<Herald>,
    wards: Mutex<BTreeMap<(u32, IpAddr), (Ward, Guard)>>,
    v4: Notify,
    v6: Notify,
}

impl Sentry {
    /// Spawns the tasks on the current tokio runtime.
    pub fn start(netlink: Arc<Netlink>, herald: Arc<Herald>) -> Self {
        let shared = Arc::new(Shared {
            netlink,
            herald,
            wards: Mutex::default(),
            v4: Notify::new(),
            v6: Notify::new(),
        });
        let mut tasks = JoinSet::new();
        for interest in [Interest::Arp, Interest::Advertisements] {
            let shared = Arc::clone(&shared);
            tasks.spawn(async move { shared.run(interest).await });
        }
        Self {
            shared,
            _tasks: tasks,
        }
    }

    /// Watches over an address that has come up on an interface.
    pub fn guard(&self, interface: u32, address: IpAddr, ward: Ward) {
        let guard = Guard::new(clock::now());
        let wards = &mut self.shared.wards();
        wards.insert((interface, address), (ward, guard));
        self.shared.bell(address.is_ipv4()).notify_one();
    }

    /// Ends that.
    pub fn leave(&self, interface: u32, address: IpAddr) {
        self.shared.wards().remove(&(interface, address));
        self.shared.bell(address.is_ipv4()).notify_one();
    }
}

impl Shared {
    async fn run(&self, interest: Interest) {
        let is_v4 = interest == Interest::Arp;
        loop {
            while !self.has_any(is_v4) {
                self.bell(is_v4).notified().await;
            }
            let listener = match Listener::open(interest) {
                Ok(listener) => listener,
                Err(error) => {
                    warn!(
                        error = %Chain(&error),
                        "nobody will notice if another machine uses an address of this host, going on without: grant \
                         CAP_NET_RAW, and let this process open packet sockets (AF_PACKET)"
                    );
                    return;
                }
            };
            loop {
                tokio::select! {
                    heard = listener.next() => match heard {
                        Ok((interface, claim)) => self.hear(interface, claim).await,
                        Err(error) => {
                            debug!(error = %Chain(&error), "listening failed");
                            tokio::time::sleep(PAUSE).await;
                        }
                    },
                    () = self.bell(is_v4).notified() => if !self.has_any(is_v4) { break },
                }
            }
        }
    }

    async fn hear(&self, interface: u32, claim: Claim) {
        let Claim { address, mac } = claim;
        let key = (interface, address);
        if !self.wards().contains_key(&key) {
            return;
        }
        // Our own frames come back through some switches, and other interfaces of this host answer too. And the
        // kernel may have ended the address meanwhile.
        let concerns =
            |tables: &Tables| !tables.is_own(mac) && tables.at(interface, address).next().is_some();
        if self.netlink.look(concerns).await.ok() != Some(true) {
            return;
        }
        let verdict = match self.wards().get_mut(&key) {
            Some((ward, guard)) => {
                let verdict = guard.hear(clock::now());
                if verdict != Verdict::Ignore {
                    ward.deeds.conflicts.fetch_add(1, Ordering::Relaxed);
                    warn!(
                        group = &*ward.group,
                        %address,
                        %mac,
                        "another machine says that it has the address; find the one with this MAC, and take the \
                         address off there"
                    );
                }
                verdict
            }
            None => Verdict::Ignore,
        };
        if verdict == Verdict::Defend {
            let told = self.herald.announce(interface, address, Urgency::News);
            if let Err(error) = told.await {
                debug!(%address, error = %Chain(&error), "announcing the address failed");
            }
        }
    }

    fn has_any(&self, is_v4: bool) -> bool {
        let wards = self.wards();
        wards.keys().any(|(_, address)| address.is_ipv4() == is_v4)
    }

    const fn bell(&self, is_v4: bool) -> &Notify {
        if is_v4 { &self.v4 } else { &self.v6 }
    }

    fn wards(&self) -> MutexGuard<'_, BTreeMap<(u32, IpAddr), (Ward, Guard)>> {
        self.wards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
