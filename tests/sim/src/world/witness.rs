//! Pure: what the invariants are shown of the hosts.

use std::time::Duration;

use vip_elector::election::status::Feature;

use super::World;
use crate::invariants::{Excused, Seen, Violation};

/// How soon a drained host has given the address up: what was committed reaches the server that it asks, and
/// that it, and the kernel takes the address off.
const HEEDED: Duration = Duration::from_secs(1);

impl World<'_> {
    /// Shows the kernels to the invariants.
    pub(super) fn look(&mut self) {
        let mut seen = [Seen {
            up: false,
            since: Duration::ZERO,
            running_since: None,
            gone: Duration::ZERO,
            told: Duration::ZERO,
            kernel_lease: true,
        }; 4];
        let mut any = false;
        for (host, seen) in self.hosts.iter().zip(&mut seen) {
            let since = host.kernel.up_since();
            seen.up = since.is_some();
            seen.since = since.unwrap_or_default();
            seen.told = host.told;
            seen.gone = host.gone;
            seen.kernel_lease = host.plan.kernel_lease;
            any |= seen.up;
            let running = host.process.as_ref().filter(|process| process.frozen == 0);
            seen.running_since = running.map(|process| process.running_since);
        }
        if !any {
            return;
        }
        if self.schedule.is_alone() {
            self.look_at_drains();
        }
        let seen = &seen[..self.hosts.len()];
        match self.invariants.check(self.now, seen, self.game.heed) {
            Ok(Excused::Nothing) => {}
            Ok(Excused::KernelAlone) => self.tally.saw("exception: the kernel alone"),
            Ok(Excused::NoKernelLease) => self.tally.saw("exception: no kernel lease"),
            Ok(Excused::LockDelayUnknown) => self.tally.saw("exception: lock-delay unknown"),
            Ok(Excused::LockDelayForgotten) => self.tally.saw("exception: lock-delay forgotten"),
            Err(violation) => self.violation = Some(violation),
        }
    }

    /// Where nothing else goes wrong, whoever is drained gives the address up and does not get it.
    fn look_at_drains(&mut self) {
        for (number, host) in self.hosts.iter().enumerate() {
            let heeds = host.plan.candidates && host.plan.denied != Some(Feature::Candidates);
            let Some(since) = host.drained.filter(|_| heeds) else {
                continue;
            };
            let over = self.now.saturating_sub(since);
            if host.kernel.up_since().is_some() && over > HEEDED {
                self.violation = Some(Violation::DrainedLeads(number, over));
            }
        }
    }

    /// Since when one host and no other has had the address, if so.
    pub(super) fn leader_since(&self) -> Option<Duration> {
        self.hosts.iter().find_map(|host| host.kernel.up_since())
    }

    /// Who has the address.
    pub(super) fn holder(&self) -> Option<usize> {
        self.hosts
            .iter()
            .position(|host| host.kernel.up_since().is_some())
    }
}
