//! Applier: logs what is done to one virtual IP, each thing once.

use std::net::IpAddr;

use tracing::{debug, error, info, warn};

use crate::election::lease::KernelLifetime;
use crate::election::target::Blocker;
use crate::logging::TRANSITION;
use crate::vip::reconcile::{Observed, Step};

/// What was last said of an address.
#[derive(Debug)]
pub(super) struct Journal {
    group: String,
    address: IpAddr,
    blocker: Option<Blocker>,
    /// The address is up by our doing.
    up: bool,
    /// The last failure.
    failure: Option<String>,
}

impl Journal {
    /// Begins with an address that nothing was done to.
    pub(super) fn of(group: &str, address: IpAddr) -> Self {
        Self {
            group: group.to_owned(),
            address,
            blocker: None,
            up: false,
            failure: None,
        }
    }

    /// An address that went without us: nobody else will say why the next line adds it again.
    pub(super) fn looked(&mut self, seen: &Observed) {
        if self.up && !seen.is_held() {
            self.up = false;
            let Self { group, address, .. } = self;
            warn!(
                target: TRANSITION,
                group,
                %address,
                "the address is gone: the kernel ended its lifetime because no confirm came in time, \
                 or somebody removed it"
            );
        }
    }

    pub(super) fn blind(&mut self, error: &String) {
        if self.is_new_failure(Some(error)) {
            error!(
                group = self.group,
                address = %self.address,
                error,
                "looking at the interface failed, trying again; should that last for 5 s, this group starts over"
            );
        }
    }

    /// Failures are repeated many times a second, and said once.
    fn is_new_failure(&mut self, failure: Option<&String>) -> bool {
        let new = failure.is_some() && self.failure.as_ref() != failure;
        self.failure = failure.cloned();
        new
    }

    pub(super) fn done(&mut self, step: Step, error: Option<&String>) {
        if !self.is_new_failure(error) && error.is_some() {
            return;
        }
        match (step, error) {
            (Step::Add { .. }, None) => self.up = true,
            (Step::Remove { .. }, None) => self.up = false,
            (_, _) => {}
        }
        let Self { group, address, .. } = self;
        match (step, error) {
            (Step::Add { prefix, lifetime }, None) => {
                let lifetime_s = match lifetime {
                    KernelLifetime::Seconds(seconds) => Some(seconds),
                    KernelLifetime::Unlimited => None,
                };
                info!(group, %address, prefix, lifetime_s, "address added");
            }
            (Step::Remove { prefix }, None) => info!(group, %address, prefix, "address removed"),
            (Step::Refresh { .. } | Step::Announce, None) => {
                debug!(group, %address, ?step, "address kept up");
            }
            (Step::Ask, None) => debug!(group, %address, "nobody else answers for the address"),
            (Step::Ask, Some(error)) => {
                warn!(
                    group,
                    %address,
                    error,
                    "somebody else answers for the address, leaving it to others for 5 s; find the one with this MAC, \
                     and take the address off there"
                );
            }
            (Step::Add { .. }, Some(error)) => {
                warn!(
                    group,
                    %address,
                    error,
                    "adding the address failed, trying again; should it fail three times, another host gets its turn: \
                     grant CAP_NET_ADMIN, and see that the interface takes such an address and that nobody else adds it"
                );
            }
            (Step::Refresh { .. }, Some(error)) => {
                warn!(
                    group,
                    %address,
                    error,
                    "prolonging the address failed, trying again until the kernel takes it off; see that nobody else \
                     removes or replaces it"
                );
            }
            (Step::Remove { .. }, Some(error)) => {
                error!(
                    group,
                    %address,
                    error,
                    "removing the address failed, trying again; if it stays, take it off with `ip address del`"
                );
            }
            (Step::Announce, Some(error)) => {
                warn!(
                    group,
                    %address,
                    error,
                    "announcing the address failed, trying again; others may look for it where it was until then: \
                     grant CAP_NET_RAW, and see that the interface is up"
                );
            }
        }
    }

    pub(super) fn blocked(&mut self, blocker: Option<&Blocker>) {
        if self.blocker.as_ref() == blocker {
            return;
        }
        let Self { group, address, .. } = self;
        match blocker {
            Some(blocker) => {
                warn!(
                    target: TRANSITION,
                    group,
                    %address,
                    reason = %blocker,
                    "this host cannot hold the address, and leaves it to others until it can"
                );
            }
            None => info!(group, %address, "this host can hold the address"),
        }
        self.blocker = blocker.cloned();
    }
}
