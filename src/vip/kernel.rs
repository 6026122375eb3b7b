//! Applier: one virtual IP on one interface, through `vip-netlink`.

use std::sync::Arc;

use tracing::{debug, warn};
use vip_netlink::{Address, Announcer, Changes, Lifetime, Link, Netlink, NodeKind, prefix_for};

use crate::config;
use crate::record::{Record, RecordFile};
use crate::vip::reconcile::{LinkSeen, Observed, Step, VipSeen};
use crate::vip::task::Kernel;

/// The address, the interface by its name, and what is kept open for them.
pub struct LinkKernel {
    vip: config::Vip,
    netlink: Arc<Netlink>,
    changes: Changes,
    record: RecordFile,
    /// Whether an earlier process of this boot has recorded that it added the address here.
    recorded: bool,
    link: Option<Link>,
    announcer: Option<Announcer>,
}

impl LinkKernel {
    /// Watches the interface and the address; touches nothing.
    pub fn new(vip: config::Vip, netlink: Arc<Netlink>, record: RecordFile) -> Self {
        let recorded = Record::now(&vip.interface, vip.address)
            .is_ok_and(|own| record.read().is_some_and(|record| record == own));
        let changes = netlink.changes();
        Self {
            vip,
            netlink,
            changes,
            record,
            recorded,
            link: None,
            announcer: None,
        }
    }

    /// An unmarked address is ours only where the kernel marks none: by our record, and by the
    /// lifetime that an administrator's address has not.
    fn is_ours(&self, address: &Address) -> bool {
        address.is_ours()
            || (address.protocol.is_none() && self.recorded && address.valid.is_some())
    }

    /// Opens the packet socket ahead of time, and anew when the interface is another.
    fn prepare(&mut self, link: Option<Link>) {
        if link == self.link && (self.announcer.is_some() || link.is_none()) {
            return;
        }
        let same_way = |old: &Link, new: &Link| old.index == new.index && old.mac == new.mac;
        let reopen = match (&self.link, &link) {
            (Some(old), Some(new)) => !same_way(old, new) || self.announcer.is_none(),
            (None, _) | (_, None) => true,
        };
        if reopen {
            self.announcer = link.as_ref().and_then(|link| {
                Announcer::open(link)
                    .inspect_err(|error| debug!(%error, "the address will not be announced"))
                    .ok()
            });
        }
        self.link = link;
    }

    fn remember(&mut self) {
        if self.recorded {
            return;
        }
        let written = Record::now(&self.vip.interface, self.vip.address)
            .and_then(|record| self.record.write(&record));
        match written {
            Ok(()) => self.recorded = true,
            Err(error) => warn!(
                path = %self.record.path().display(),
                %error,
                "recording the address failed; on a kernel before 5.18 a restart after a crash will \
                 take it for somebody else's"
            ),
        }
    }
}

impl Kernel for LinkKernel {
    async fn observe(&mut self) -> Result<Observed, String> {
        let link = self
            .netlink
            .link(&self.vip.interface)
            .await
            .map_err(describe)?;
        let Some(found) = link.clone() else {
            self.prepare(None);
            return Ok(Observed::default());
        };
        self.prepare(link);
        let addresses = self.netlink.addresses(&found).await.map_err(describe)?;
        let (vips, others): (Vec<Address>, Vec<Address>) = addresses
            .into_iter()
            .partition(|address| address.address == self.vip.address);
        Ok(Observed {
            link: Some(LinkSeen {
                up: found.up && found.carrier,
                mac: found.mac.map(|mac| mac.0),
            }),
            vips: vips
                .iter()
                .map(|vip| VipSeen {
                    prefix: vip.prefix,
                    ours: self.is_ours(vip),
                })
                .collect(),
            prefix: prefix_for(self.vip.address, self.vip.prefix, &others),
        })
    }

    async fn apply(&mut self, step: Step) -> Result<(), String> {
        if matches!(step, Step::Add { .. }) {
            self.remember();
        }
        let Some(link) = &self.link else {
            return Err(format!(
                "the interface {} does not exist",
                self.vip.interface
            ));
        };
        let vip = |prefix| {
            vip_netlink::Vip::new(self.vip.address, prefix)
                .ok_or_else(|| format!("{} has no prefix length {prefix}", self.vip.address))
        };
        let lease = |seconds| {
            Lifetime::seconds(seconds).ok_or_else(|| format!("{seconds} s is no lifetime"))
        };
        match step {
            Step::Add { prefix, lifetime } => self
                .netlink
                .add(link, vip(prefix)?, lease(lifetime)?)
                .await
                .map_err(describe),
            Step::Refresh { prefix, lifetime } => self
                .netlink
                .refresh(link, vip(prefix)?, lease(lifetime)?)
                .await
                .map_err(describe),
            Step::Remove { prefix } => self
                .netlink
                .remove(link, vip(prefix)?)
                .await
                .map(|_| ())
                .map_err(describe),
            Step::Announce => match &self.announcer {
                Some(announcer) => announcer
                    .announce(self.vip.address, self.node_kind())
                    .map_err(describe),
                // Loopback, tunnels: nobody listens.
                None => Ok(()),
            },
        }
    }

    async fn changed(&mut self) {
        if self.changes.next().await.is_err() {
            // The connection is gone: looking will say so.
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    }
}

impl LinkKernel {
    fn node_kind(&self) -> NodeKind {
        match vip_netlink::ipv6_forwarding(&self.vip.interface) {
            Some(true) => NodeKind::Router,
            Some(false) | None => NodeKind::Host,
        }
    }
}

/// The whole chain in one line.
fn describe(error: vip_netlink::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
