//! Applier: one virtual IP on one interface, through `vip-netlink`.

use std::sync::Arc;

use tracing::{debug, warn};
use vip_netlink::{
    Address, Announcer, Changes, Label, Lifetime, Link, Netlink, NodeKind, prefix_for,
};

use crate::config;
use crate::election::lease::KernelLifetime;
use crate::logging::Chain;
use crate::runtime::address::{AddressFile, AddressRecord};
use crate::vip::reconcile::{LinkSeen, Observed, Step, VipSeen};
use crate::vip::task::Kernel;

/// The address, the interface by its name, and what is kept open for them.
pub struct LinkKernel {
    vip: config::Vip,
    netlink: Arc<Netlink>,
    changes: Changes,
    record: AddressFile,
    /// Where the kernel does not mark addresses: whether an earlier process of this boot, or this
    /// one, has added the address here.
    added: bool,
    marks: bool,
    link: Option<Link>,
    /// Where the address was put: the interface may be renamed, or be another one by now.
    placed: Option<Link>,
    /// Whether it is known where an earlier process has put it.
    looked: bool,
    announcer: Option<Announcer>,
}

impl LinkKernel {
    /// Watches the interface and the address; touches nothing.
    pub fn new(vip: config::Vip, netlink: Arc<Netlink>, record: AddressFile) -> Self {
        let marks = marks_addresses();
        let added = !marks
            && AddressRecord::now(&vip.interface, vip.address)
                .is_ok_and(|own| record.read().is_some_and(|record| record == own));
        let changes = netlink.changes();
        let kernel = Self {
            vip,
            netlink,
            changes,
            record,
            added,
            marks,
            link: None,
            placed: None,
            looked: !marks,
            announcer: None,
        };
        if !marks {
            kernel.remember();
        }
        kernel
    }

    /// An unmarked address is ours only where the kernel marks none: by our record, and by the
    /// lifetime that an administrator's address has not.
    fn is_ours(&self, address: &Address) -> bool {
        address.is_ours() || (!self.marks && self.added && address.valid.is_some())
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

    /// For the next process. Written ahead, because a disk may be slow, and a lease does not wait.
    fn remember(&self) {
        let written = AddressRecord::now(&self.vip.interface, self.vip.address)
            .and_then(|record| self.record.write(&record));
        if let Err(error) = written {
            warn!(
                path = %self.record.path().display(),
                %error,
                "recording the address failed, and this kernel (before 5.18) does not mark it: after \
                 a crash, the next process will take it for somebody else's until it expires; make the \
                 directory writable, and see that it is not full"
            );
        }
    }

    /// Our address on the interface that it was put on, if that is not the one of the name now.
    async fn stray(&self, link: Option<&Link>) -> Result<Option<(Link, Vec<Address>)>, String> {
        let Some(placed) = &self.placed else {
            return Ok(None);
        };
        if link.is_some_and(|link| link.index == placed.index) {
            return Ok(None);
        }
        let mut addresses = self.netlink.addresses(placed).await.map_err(describe)?;
        addresses.retain(|address| address.address == self.vip.address && self.is_ours(address));
        Ok((!addresses.is_empty()).then(|| (placed.clone(), addresses)))
    }
}

impl Kernel for LinkKernel {
    async fn observe(&mut self) -> Result<Observed, String> {
        let (named, addresses) = self.look().await.map_err(describe)?;
        if !self.looked {
            let carriers = self.netlink.carriers_of(self.vip.address).await;
            let elsewhere =
                |link: &Link| named.as_ref().is_none_or(|named| named.index != link.index);
            self.placed = carriers.map_err(describe)?.into_iter().find(elsewhere);
            self.looked = true;
        }
        if let Some((placed, strays)) = self.stray(named.as_ref()).await? {
            // Not to be held there any more, and first of all to be taken off there.
            self.prepare(Some(placed));
            let ours = |address: &Address| VipSeen {
                prefix: address.prefix,
                ours: true,
            };
            let vips = strays.iter().map(ours).collect();
            return Ok(Observed {
                link: None,
                vips,
                prefix: self.vip.prefix,
            });
        }
        let Some(found) = named.clone() else {
            self.prepare(None);
            return Ok(Observed::default());
        };
        self.prepare(named);
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
        if matches!(step, Step::Announce) && self.announcer.is_none() {
            // It may have been refused for a passing reason.
            self.prepare(self.link.clone());
        }
        if matches!(step, Step::Add { .. }) {
            // Before the kernel's answer, which may be lost.
            self.placed = self.link.clone();
            self.added = true;
        }
        let Some(link) = &self.link else {
            return Err(format!(
                "the interface {} does not exist",
                self.vip.interface
            ));
        };
        let vip = |prefix| {
            vip_netlink::Vip::new(self.vip.address, prefix)
                .map(|vip| vip.labelled(self.vip.label.as_deref().and_then(Label::new)))
                .ok_or_else(|| format!("{} has no prefix length {prefix}", self.vip.address))
        };
        let lease = |lifetime| match lifetime {
            KernelLifetime::Seconds(seconds) => {
                Lifetime::seconds(seconds).ok_or_else(|| format!("{seconds} s is no lifetime"))
            }
            KernelLifetime::Unlimited => Ok(Lifetime::unlimited()),
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
    /// The interface of the name, and its addresses. Both are asked for at once, on the guess that it is the
    /// one that it was.
    async fn look(&self) -> Result<(Option<Link>, Vec<Address>), vip_netlink::Error> {
        let name = &self.vip.interface;
        let (named, guessed) = match &self.link {
            Some(link) => {
                let (named, addresses) =
                    tokio::join!(self.netlink.link(name), self.netlink.addresses(link));
                (named?, Some((link.index, addresses?)))
            }
            None => (self.netlink.link(name).await?, None),
        };
        let addresses = match (&named, guessed) {
            (Some(link), Some((index, addresses))) if link.index == index => addresses,
            (Some(link), _) => self.netlink.addresses(link).await?,
            (None, _) => Vec::new(),
        };
        Ok((named, addresses))
    }

    fn node_kind(&self) -> NodeKind {
        if self.vip.address.is_ipv4() {
            // An ARP does not say it.
            return NodeKind::Host;
        }
        match vip_netlink::ipv6_forwarding(&self.vip.interface) {
            Some(true) => NodeKind::Router,
            Some(false) | None => NodeKind::Host,
        }
    }
}

/// Whether the kernel keeps `IFA_PROTO` (Linux 5.18). Where it does, no record is believed.
pub fn marks_addresses() -> bool {
    let Ok(kernel) = nix::sys::utsname::uname() else {
        return false;
    };
    let release = kernel.release().to_string_lossy();
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= (5, 18),
        (_, _) => false,
    }
}

fn describe(error: vip_netlink::Error) -> String {
    Chain(&error).to_string()
}
