//! Wires the socket that hosts hear one another by. Where there is none to be had, the daemon goes on
//! without: only how soon a lost host is missed hangs on it.

use std::future::Future;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tracing::{debug, info, warn};
use vip_netlink::Netlink;

use crate::config::{Config, Group, Vip};
use crate::election::candidate::{Contact, Secret};
use crate::logging::Chain;
use crate::peers::contact::{self, Own};
use crate::peers::own;
use crate::peers::post::{Letterbox, Post};
use crate::peers::wire::group_id;

/// The process's socket, and what is not to be published as its address.
pub(super) struct Neighbours {
    post: Option<Post>,
    /// How often heartbeats go out, and what those to this host are signed with, where several groups share them.
    shared: Option<(Duration, OnceLock<Secret>)>,
    vips: Mutex<Vec<IpAddr>>,
    consul: Vec<IpAddr>,
}

impl Neighbours {
    pub(super) async fn open(config: &Config) -> Self {
        let post = match config.peers {
            None => None,
            Some(peers) => Post::bind(peers.listen)
                .await
                .inspect_err(|error| {
                    warn!(
                        error = %Chain(error),
                        "hosts cannot hear one another here, going on without: a host that is lost is \
                         replaced when consul has noticed; free the port, or set --peer-listen"
                    );
                })
                .ok(),
        };
        let consul = config.access.endpoints.iter();
        let interval = config.peers.map(|peers| peers.interval);
        Self {
            post,
            shared: interval
                .filter(|_| config.has_many_groups())
                .map(|interval| (interval, OnceLock::new())),
            vips: Mutex::default(),
            consul: consul.filter_map(|endpoint| endpoint.ip()).collect(),
        }
    }

    /// Takes in whose virtual IPs there are on this host from now on.
    pub(super) fn know(&self, groups: &[Arc<Group>]) {
        let vips = groups.iter().flat_map(|group| &group.vips);
        *self.vips() = vips.map(|vip| vip.address).collect();
    }

    fn vips(&self) -> MutexGuard<'_, Vec<IpAddr>> {
        self.vips.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what to publish for a group, and its way to the other hosts.
    pub(super) async fn of(
        &self,
        group: &Group,
        netlink: Option<&Netlink>,
    ) -> (Option<Contact>, Option<Letterbox>) {
        let Some(post) = &self.post else {
            return (None, None);
        };
        let listen = post.listen();
        let address = match (group.vips.first(), netlink) {
            (Some(vip), Some(netlink)) => {
                let own = own_addresses(netlink, vip).await;
                contact::on_interface(listen, vip.address, &self.vips(), &own)
            }
            (_, _) => contact::on_route(listen, &own::sources(&self.consul)),
        };
        let name = group.name();
        let Some(address) = address else {
            info!(
                group = name,
                "this host has no address that others could reach it by, and is not heard by them; set \
                 --peer-listen to one"
            );
            return (None, None);
        };
        let known = self.shared.as_ref().and_then(|(_, secret)| secret.get());
        let secret = match known.copied().map_or_else(own::fresh_secret, Ok) {
            Ok(secret) => secret,
            Err(error) => {
                warn!(
                    group = name,
                    %error,
                    "no secret can be made by which others would know this host, and it is not heard by them, going \
                     on without; let this process call getrandom(2)"
                );
                return (None, None);
            }
        };
        let letterbox = match &self.shared {
            Some((interval, shared)) => {
                let secret = shared.get_or_init(|| secret);
                post.open_shared(secret, *interval, group_id(name))
            }
            None => post.open(&secret),
        };
        debug!(group = name, %address, "other hosts are heard");
        (Some(Contact { address, secret }), Some(letterbox))
    }

    /// Returns what fills the letterboxes, for as long as it is polled.
    pub(super) fn deliver(&self) -> Option<impl Future<Output = ()> + Send + use<>> {
        self.post.clone().map(Post::deliver)
    }
}

async fn own_addresses(netlink: &Netlink, vip: &Vip) -> Vec<Own> {
    let link = netlink.link(&vip.interface).await.ok().flatten();
    let Some(link) = link else { return Vec::new() };
    let addresses = netlink.addresses(&link).await.unwrap_or_default();
    addresses
        .into_iter()
        .filter(|address| !address.tentative && !address.dad_failed && !address.is_ours())
        .map(|address| Own {
            address: address.address,
            prefix: address.prefix,
        })
        .collect()
}
