//! Pure: a model of one host's kernel, as far as one address with a lifetime goes.
//!
//! Bounds as measured on Linux: a lifetime of N whole seconds ends between 20 ms early and 1.3 s
//! late, for N up to 15. An add is exclusive; a refresh of an address that has gone puts it back, as that of a kernel
//! before Linux 4.1 does: the promise does not rest on its being refused.
//!
//! What is not modelled is a process that is stopped between its look at the lease and the kernel's
//! receipt of the request that follows: there, the address is up for one netlink round trip after the
//! process goes on, until it has looked at the lease again: hole H2 of `docs/safety.md`.

use std::time::Duration;

use fastrand::Rng;
use vip_elector::election::lease::KernelLifetime;
use vip_elector::vip::reconcile::{LinkSeen, Observed, VipSeen, VipState};

use crate::clock::Clock;

const EARLY: Duration = Duration::from_millis(20);
const LATE: Duration = Duration::from_millis(1300);

/// The prefix length of the address.
const PREFIX: u8 = 32;

/// The interface and the address on it.
#[derive(Clone, Debug, Default)]
pub struct Kernel {
    address: Option<Address>,
    /// By how many faults the interface is down.
    pub down: u32,
    changes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Address {
    token: u64,
    since: Duration,
}

/// When a lifetime that was just set will be over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// To be handed to [`Kernel::expire`].
    pub token: u64,
    /// In true time; `None` for an address without an end.
    pub at: Option<Duration>,
}

impl Kernel {
    /// Returns since when the address has been up.
    pub fn up_since(&self) -> Option<Duration> {
        self.address.map(|address| address.since)
    }

    /// Looks, as a netlink dump does.
    pub fn observe(&self) -> Observed {
        let vip = VipSeen {
            prefix: PREFIX,
            ours: true,
            state: VipState::Usable,
        };
        Observed {
            link: Some(LinkSeen {
                up: self.down == 0,
                mac: Some([2, 0, 0, 0, 0, 1]),
                moves: 0,
            }),
            vips: self.address.iter().map(|_| vip).collect(),
            prefix: PREFIX,
            ..Observed::default()
        }
    }

    /// Adds the address, unless it is there.
    ///
    /// # Errors
    ///
    /// In the kernel's words, where it is there.
    pub fn add(
        &mut self,
        now: Duration,
        lifetime: KernelLifetime,
        clock: &Clock,
        draw: &mut Rng,
    ) -> Result<Expiry, String> {
        if self.address.is_some() {
            return Err("File exists".to_owned());
        }
        Ok(self.set(now, now, lifetime, clock, draw))
    }

    /// Sets the address's lifetime, and puts the address back where it has gone.
    pub fn refresh(
        &mut self,
        now: Duration,
        lifetime: KernelLifetime,
        clock: &Clock,
        draw: &mut Rng,
    ) -> Expiry {
        let since = self.up_since().unwrap_or(now);
        self.set(now, since, lifetime, clock, draw)
    }

    /// Takes the address off; returns whether it was there.
    pub fn remove(&mut self) -> bool {
        self.address.take().is_some()
    }

    /// Takes the address off when the lifetime that `token` names is over, unless another was set.
    pub fn expire(&mut self, token: u64) -> bool {
        self.address.is_some_and(|address| address.token == token) && self.remove()
    }

    fn set(
        &mut self,
        now: Duration,
        since: Duration,
        lifetime: KernelLifetime,
        clock: &Clock,
        draw: &mut Rng,
    ) -> Expiry {
        self.changes += 1;
        let token = self.changes;
        self.address = Some(Address { token, since });
        let seconds = match lifetime {
            KernelLifetime::Seconds(seconds) => Some(seconds),
            KernelLifetime::Unlimited => None,
        };
        let at = seconds.map(|seconds| {
            let end = now + clock.lasts(Duration::from_secs(seconds));
            // Half of them as late as can be: that is where the trouble would be.
            match draw.u8(..4) {
                0 => end.saturating_sub(EARLY.mul_f64(draw.f64())),
                1 => end + LATE.mul_f64(draw.f64()),
                _ => end + LATE - Duration::from_millis(draw.u64(..50)),
            }
        });
        Expiry { token, at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_add_is_exclusive_and_a_refresh_resurrects() {
        let (mut kernel, mut draw) = (Kernel::default(), Rng::with_seed(1));
        let clock = Clock::new(Duration::ZERO, Duration::ZERO, 0);
        let first = kernel
            .add(
                Duration::ZERO,
                KernelLifetime::Seconds(2),
                &clock,
                &mut draw,
            )
            .unwrap();
        assert!(first.at.unwrap() >= Duration::from_millis(1980));
        assert!(first.at.unwrap() <= Duration::from_millis(3300));
        assert!(
            kernel
                .add(
                    Duration::ZERO,
                    KernelLifetime::Seconds(2),
                    &clock,
                    &mut draw
                )
                .is_err()
        );
        let second = kernel.refresh(
            Duration::from_secs(1),
            KernelLifetime::Seconds(2),
            &clock,
            &mut draw,
        );
        assert!(
            !kernel.expire(first.token),
            "another lifetime was set since"
        );
        assert!(kernel.expire(second.token));
        kernel.refresh(
            Duration::from_secs(4),
            KernelLifetime::Unlimited,
            &clock,
            &mut draw,
        );
        assert_eq!(kernel.up_since(), Some(Duration::from_secs(4)));
    }
}
