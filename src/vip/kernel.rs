//! Applier: one virtual IP on one interface, through `vip-netlink`.

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;
use vip_netlink::{Address, Changes, Label, Lifetime, Link, Manner, Tables, prefix_for};

use crate::config;
use crate::driver::clock;
use crate::election::lease::KernelLifetime;
use crate::logging::Chain;
use crate::runtime::address::{AddressFile, AddressRecord};
use crate::vip::carrier::Carrier;
use crate::vip::hands::Hands;
use crate::vip::herald::Urgency;
use crate::vip::reconcile::{LinkSeen, Observed, Step, VipSeen, VipState};
use crate::vip::sentry::Ward;
use crate::vip::task::Kernel;

/// The address, the interface by its name, and what is known of them.
pub struct LinkKernel {
    vip: config::Vip,
    hands: Arc<Hands>,
    changes: Changes,
    /// What the next process knows the address by, where the kernel does not mark it.
    record: Option<AddressFile>,
    /// Where the kernel does not mark addresses: whether an earlier process of this boot, or this
    /// one, has added the address here.
    added: bool,
    link: Option<Link>,
    /// Where the address was put: the interface may be renamed, or be another one by now.
    placed: Option<u32>,
    /// Whether it is known where an earlier process has put it.
    looked: bool,
    /// Whether the neighbours look for the address elsewhere.
    urgency: Urgency,
    carrier: Carrier,
    ward: Ward,
    /// The interface on which conflicts are listened for.
    guarded: Option<u32>,
}

impl LinkKernel {
    /// Watches the interface and the address; touches nothing.
    pub fn new(vip: config::Vip, hands: Arc<Hands>, record: AddressFile, ward: Ward) -> Self {
        let marks = marks_addresses();
        let added = !marks
            && AddressRecord::now(&vip.interface, vip.address)
                .is_ok_and(|own| record.read().is_some_and(|record| record == own));
        let changes = hands.netlink.changes(&vip.interface, vip.address);
        let carrier = Carrier::new(hands.conduct.carrier_delay);
        let kernel = Self {
            vip,
            hands,
            changes,
            record: (!marks).then_some(record),
            added,
            link: None,
            placed: None,
            looked: !marks,
            urgency: Urgency::News,
            carrier,
            ward,
            guarded: None,
        };
        kernel.remember();
        kernel
    }

    /// An unmarked address is ours only where the kernel marks none: by our record, and by the
    /// lifetime that an administrator's address has not.
    fn is_ours(&self, address: &Address) -> bool {
        address.is_ours() || (self.record.is_some() && self.added && address.valid.is_some())
    }

    /// For the next process. Written ahead, because a disk may be slow, and a lease does not wait.
    fn remember(&self) {
        let Some(file) = &self.record else { return };
        let written = AddressRecord::now(&self.vip.interface, self.vip.address)
            .and_then(|record| file.write(&record));
        if let Err(error) = written {
            warn!(
                path = %file.path().display(),
                %error,
                "recording the address failed, and this kernel (before 5.18) does not mark it: after \
                 a crash, the next process will take it for somebody else's until it expires; make the \
                 directory writable, and see that it is not full"
            );
        }
    }

    /// Looks at the interface of the name; where our address is on another one, at that.
    fn read(&self, tables: &Tables) -> Sight {
        let address = self.vip.address;
        let named = tables.link(&self.vip.interface);
        let elsewhere = |index: u32| named.is_none_or(|named| named.index != index);
        let carriers = || tables.carriers_of(address).map(|link| link.index);
        let placed = match self.looked {
            true => self.placed,
            false => carriers().find(|index| elsewhere(*index)),
        };
        let seen_at = |index| {
            let vips = tables.at(index, address).map(|vip| VipSeen {
                prefix: vip.prefix,
                ours: self.is_ours(vip),
                state: match (vip.dad_failed, vip.tentative) {
                    (true, _) => VipState::Duplicate,
                    (false, true) => VipState::Tentative,
                    (false, false) => VipState::Usable,
                },
            });
            vips.collect::<Vec<_>>()
        };
        if let Some(index) = placed.filter(|index| elsewhere(*index)) {
            let mut vips = seen_at(index);
            vips.retain(|vip| vip.ours);
            if !vips.is_empty() {
                // Not to be held there any more, and first of all to be taken off there.
                return Sight {
                    placed,
                    link: tables.link_at(index).cloned(),
                    has_carrier: false,
                    observed: Observed {
                        vips,
                        prefix: self.vip.prefix,
                        ..Observed::default()
                    },
                };
            }
        }
        let observed = match named {
            None => Observed::default(),
            Some(link) => Observed {
                link: Some(LinkSeen {
                    up: link.up,
                    mac: link.mac.map(|mac| mac.0),
                    moves: link.moves,
                }),
                vips: seen_at(link.index),
                prefix: prefix_for(address, self.vip.prefix, tables.networks(link.index)),
                asks: self.hands.conduct.probe.is_some(),
                detects: address.is_ipv6() && self.hands.conduct.ipv6_dad,
                duplicates: tables.duplicates(address),
            },
        };
        Sight {
            placed,
            has_carrier: named.is_some_and(|link| link.carrier),
            link: named.cloned(),
            observed,
        }
    }
}

/// What is seen at one look.
struct Sight {
    placed: Option<u32>,
    /// The interface to act on.
    link: Option<Link>,
    has_carrier: bool,
    observed: Observed,
}

impl Kernel for LinkKernel {
    async fn observe(&mut self) -> Result<Observed, String> {
        let sight = self.hands.netlink.look(|tables| self.read(tables)).await;
        let Sight {
            placed,
            link,
            has_carrier,
            mut observed,
        } = sight.map_err(describe)?;
        // Without the address there is nothing to lose by another host's having it.
        let bears = self.carrier.seen(clock::now(), has_carrier) && observed.is_held();
        if let Some(link) = &mut observed.link {
            link.up &= has_carrier || bears;
            link.moves = link.moves.wrapping_add(self.carrier.returns());
        }
        if self.link != link {
            self.urgency = Urgency::News;
        }
        self.looked = true;
        self.placed = placed;
        self.link = link;
        Ok(observed)
    }

    async fn apply(&mut self, step: Step) -> Result<(), String> {
        if matches!(step, Step::Add { .. }) {
            // Before the kernel's answer, which may be lost.
            self.placed = self.link.as_ref().map(|link| link.index);
            self.added = true;
            self.urgency = Urgency::News;
        }
        let Some(link) = self.link.clone() else {
            return Err(format!(
                "the interface {} does not exist",
                self.vip.interface
            ));
        };
        let done = self.carry_out(step, &link).await;
        match (step, &done) {
            (Step::Add { .. } | Step::Refresh { .. }, Ok(())) => self.guard(link.index),
            (Step::Remove { .. }, Ok(())) => self.leave(),
            (Step::Announce | Step::Ask, Ok(())) | (_, Err(_)) => {}
        }
        done
    }

    async fn changed(&mut self) {
        let now = clock::now();
        let changed = match self.carrier.deadline(now) {
            None => self.changes.next().await,
            // In a box, because it is rare.
            Some(deadline) => {
                let borne = tokio::time::timeout(deadline.since(now), self.changes.next());
                Box::pin(borne).await.unwrap_or(Ok(()))
            }
        };
        if changed.is_err() {
            // The connection is gone: looking will say so.
            Box::pin(tokio::time::sleep(Duration::from_millis(200))).await;
        }
    }
}

impl LinkKernel {
    async fn carry_out(&mut self, step: Step, link: &Link) -> Result<(), String> {
        let conduct = self.hands.conduct;
        let manner = Manner {
            detects: conduct.ipv6_dad,
            is_source: conduct.is_source,
        };
        let vip = |prefix| {
            vip_netlink::Vip::new(self.vip.address, prefix)
                .map(|vip| vip.labelled(self.vip.label.as_deref().and_then(Label::new)))
                .map(|vip| vip.in_manner(manner))
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
                .hands
                .netlink
                .add(link, vip(prefix)?, lease(lifetime)?)
                .map_err(describe),
            Step::Refresh { prefix, lifetime } => self
                .hands
                .netlink
                .refresh(link, vip(prefix)?, lease(lifetime)?)
                .map_err(describe),
            Step::Remove { prefix } => self
                .hands
                .netlink
                .remove(link, vip(prefix)?)
                .map(|_| ())
                .map_err(describe),
            Step::Announce => {
                let urgency = std::mem::replace(&mut self.urgency, Urgency::Again);
                let told = self
                    .hands
                    .herald
                    .announce(link.index, self.vip.address, urgency);
                told.await.map_err(describe)
            }
            Step::Ask => self.ask(link, conduct.probe.unwrap_or_default()).await,
        }
    }

    /// Fails only where somebody answers: who cannot be asked does not keep the address from this host.
    async fn ask(&self, link: &Link, within: Duration) -> Result<(), String> {
        let address = self.vip.address;
        match self.hands.herald.ask(link, address, within).await {
            Ok(None) => Ok(()),
            Ok(Some(mac)) => Err(format!(
                "another machine ({mac}) answers for {address} on {}; find it, and take the address off there",
                link.name
            )),
            Err(error) => {
                warn!(
                    %address,
                    error = %Chain(&error),
                    "cannot ask whether another machine has the address, going on without; see that the interface is \
                     an Ethernet one, and that this process may open packet sockets"
                );
                Ok(())
            }
        }
    }

    fn guard(&mut self, interface: u32) {
        if self.guarded == Some(interface) {
            return;
        }
        self.leave();
        let sentry = &self.hands.sentry;
        sentry.guard(interface, self.vip.address, self.ward.clone());
        self.guarded = Some(interface);
    }

    fn leave(&mut self) {
        if let Some(interface) = self.guarded.take() {
            self.hands.sentry.leave(interface, self.vip.address);
        }
    }
}

impl Drop for LinkKernel {
    fn drop(&mut self) {
        self.leave();
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
