//! Pure: how long a leader may act without hearing from Consul.
//!
//! # The argument
//!
//! Let D be the lock-delay and c the instant at which the request was *sent* whose answer last proved
//! that our session holds the key. However the lock is lost after that, nobody else asks for it before
//! `c + D`:
//!
//! - a standby of ours waits for D since the *answer* of a consistent read that shows the key as lost,
//!   which Consul carried out after our proof, and then acquires only if nothing has happened to the
//!   key since; and
//! - when a session dies, Consul refuses the lock to everybody for its lock-delay
//!   (<https://developer.hashicorp.com/consul/docs/dynamic-app-config/sessions>).
//!
//! Our address is gone by then:
//!
//! - the daemon removes it at [`Lease::end`], which is earlier by a margin for clock rate (1 %) and
//!   for the time between our look at the clock and what the kernel then does, and
//! - the kernel removes it by itself, because it is only ever lent to it for
//!   [`Lease::kernel_lifetime`], whole seconds that are over, lateness included, before that end.

use std::time::Duration;

use crate::election::rules::Rule;
use crate::election::time::Timestamp;

/// How late the kernel may be in removing an address whose lifetime of at most
/// [`MAX_KERNEL_LIFETIME`] seconds is over (measured bound).
pub const KERNEL_LATENESS: Duration = Duration::from_millis(1300);

/// The longest lifetime, in seconds, for which [`KERNEL_LATENESS`] holds.
pub const MAX_KERNEL_LIFETIME: u64 = 15;

/// How long before the last possible instant a last prolongation is aimed at, because timers are late.
const TIMER_LATENESS: Duration = Duration::from_millis(50);

/// The smallest lock-delay with which the kernel's hand alone keeps the promise.
pub const STRICT_LOCK_DELAY: Duration = Duration::from_millis(2500);

/// How many heartbeats in a row are missed before a leader may be taken for dead: at the default interval, a
/// killed daemon that a supervisor starts again within 0.2 s is heard again before that.
pub const MISSED_HEARTBEATS: u32 = 6;

/// How often the liveness check is passed where the kernel's hand alone would be too late. It may be passed
/// when three quarters of this are over, and is when the next confirm comes back, a third of a second later
/// at most: with [`KERNEL_LATENESS`], less than the two seconds of [`Terms::least_liveness_ttl`].
const STRICT_FEED_INTERVAL: Duration = Duration::from_millis(400);

/// The numbers of a group that a lease is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    lock_delay: Duration,
    ttl: Duration,
    manage_vip: bool,
    kernel_lease: bool,
    broken: Option<Rule>,
}

/// How long the kernel is given the address for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelLifetime {
    /// It removes the address by itself after so many seconds.
    Seconds(u64),
    /// It never does: there is no kernel lease.
    Unlimited,
}

impl Terms {
    /// Fixes the terms of a group that holds its own address.
    pub const fn managed(lock_delay: Duration, ttl: Duration) -> Self {
        Self {
            lock_delay,
            ttl,
            manage_vip: true,
            kernel_lease: true,
            broken: None,
        }
    }

    /// Fixes the terms of a group whose address others move, by watching Consul.
    ///
    /// There is no address to protect, so leadership is what Consul says, until the session may
    /// have died unheard.
    pub const fn companion(lock_delay: Duration, ttl: Duration) -> Self {
        Self {
            lock_delay,
            ttl,
            manage_vip: false,
            kernel_lease: false,
            broken: None,
        }
    }

    /// Leaves removing the address to the daemon alone. A daemon that is killed or frozen then keeps
    /// no promise.
    pub const fn without_kernel_lease(self) -> Self {
        Self {
            kernel_lease: false,
            ..self
        }
    }

    /// Breaks a rule, to show that somebody notices. Never called by the daemon.
    pub const fn breaking(self, rule: Rule) -> Self {
        Self {
            broken: Some(rule),
            ..self
        }
    }

    pub(super) fn keeps(&self, rule: Rule) -> bool {
        self.broken != Some(rule)
    }

    /// Returns whether the kernel takes the address off in time even if the daemon is dead or frozen.
    pub fn kernel_suffices(&self) -> bool {
        self.kernel_lease && self.lock_delay >= STRICT_LOCK_DELAY
    }

    /// Returns whether the address is ours to hold.
    pub const fn is_managed(&self) -> bool {
        self.manage_vip
    }

    /// Returns the session's TTL.
    pub const fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Returns the lock-delay.
    pub const fn lock_delay(&self) -> Duration {
        self.lock_delay
    }

    /// Returns how long after the confirm the lock is certainly nobody else's.
    pub fn span(&self) -> Duration {
        if self.manage_vip && self.keeps(Rule::LeaseWithinLockDelay) {
            self.lock_delay.min(self.ttl)
        } else {
            self.ttl
        }
    }

    /// Returns what is cut off the span: 1 % of clock rate, and the time between our look at the
    /// clock and what the kernel then does.
    pub fn margin(&self) -> Duration {
        Duration::from_millis(50) + self.span() / 100
    }

    /// Returns the part of the span that both hands may use.
    fn usable_span(&self) -> Duration {
        self.span().saturating_sub(self.margin())
    }

    /// Returns how long the session must outlive the last word of a daemon that is dead or frozen at
    /// least, so that the kernel has taken the address off when the lock-delay after it is over.
    ///
    /// Of meaning below [`STRICT_LOCK_DELAY`] only: from there on the kernel is in time whatever
    /// ends the session. The part of a second that stands for how late the kernel is
    /// ([`KERNEL_LATENESS`]) leaves room for what lies between that word and the last prolongation.
    pub fn least_liveness_ttl(&self) -> Duration {
        if !self.keeps(Rule::LivenessOutlastsKernel) {
            return Duration::from_millis(200);
        }
        (self.longest_kernel_lifetime() + Duration::from_secs(2)).saturating_sub(self.lock_delay)
    }

    /// Returns the time from one proof of life to the next, if the liveness check's TTL is `ttl`.
    pub(super) fn feed_interval(&self, ttl: Duration) -> Duration {
        let third = ttl / 3;
        if self.kernel_suffices() || !self.manage_vip {
            third
        } else {
            third.min(STRICT_FEED_INTERVAL)
        }
    }

    /// Returns how long a leader that sends heartbeats at this interval must be silent before anybody
    /// may take it for dead, so that the kernel has taken the address off when the lock-delay after
    /// the end of its session is over. A heartbeat goes out before each prolongation.
    pub(super) fn patience(&self, interval: Duration) -> Duration {
        let few = interval * MISSED_HEARTBEATS;
        if !self.keeps(Rule::PatienceOutlastsKernel) {
            return few;
        }
        let kernel = self.longest_kernel_lifetime() + KERNEL_LATENESS + interval;
        few.max(kernel.saturating_sub(self.lock_delay))
    }

    /// Returns the longest time that the kernel is ever given the address for. Zero where it never ends
    /// one: nothing else would help then.
    fn longest_kernel_lifetime(&self) -> Duration {
        match self.kernel_lifetime(self.usable_span()) {
            Some(KernelLifetime::Seconds(seconds)) => Duration::from_secs(seconds),
            Some(KernelLifetime::Unlimited) | None => Duration::ZERO,
        }
    }

    /// Returns the time from one confirm to the next, which is also each confirm's timeout.
    pub fn confirm_interval(&self) -> Duration {
        if !self.manage_vip {
            return self.ttl / 4;
        }
        let quarter = (self.lock_delay / 4).min(self.ttl / 4);
        match self.kernel_lifetime(self.usable_span()) {
            Some(KernelLifetime::Unlimited) => quarter,
            Some(KernelLifetime::Seconds(seconds)) if self.kernel_suffices() => {
                // A confirm that takes longer leaves the kernel no whole second, and so no address.
                let usable = self
                    .usable_span()
                    .saturating_sub(KERNEL_LATENESS + Duration::from_secs(1));
                quarter.min(Duration::from_secs(seconds) / 3).min(usable)
            }
            Some(KernelLifetime::Seconds(seconds)) => quarter.min(Duration::from_secs(seconds) / 3),
            None => quarter,
        }
    }

    /// Returns how long the kernel may be given the address when `left` of its span is left, or
    /// `None` when it must not be given any more.
    fn kernel_lifetime(&self, left: Duration) -> Option<KernelLifetime> {
        if !self.kernel_lease {
            return Some(KernelLifetime::Unlimited);
        }
        let seconds = if self.keeps(Rule::KernelLifetimeWithinLease) {
            left.saturating_sub(KERNEL_LATENESS).as_secs()
        } else {
            left.as_secs() + 1
        };
        match seconds.min(MAX_KERNEL_LIFETIME) {
            // Whole seconds cannot be shorter. The daemon's own hand removes the address in time;
            // the kernel's may be late, which is why this lock-delay draws a warning.
            0 if self.lock_delay < STRICT_LOCK_DELAY => Some(KernelLifetime::Seconds(1)),
            0 => None,
            seconds => Some(KernelLifetime::Seconds(seconds)),
        }
    }
}

/// The time a leader may act without hearing from Consul.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    terms: Terms,
    confirmed_at: Timestamp,
}

impl Lease {
    /// Starts a lease from a confirm whose request was sent at `sent_at`, or later, and which was
    /// answered at `answered_at`.
    pub(super) fn from_confirm(terms: Terms, sent_at: Timestamp, answered_at: Timestamp) -> Self {
        // Counted from the request: the answer may have been long on its way.
        let from_request = terms.keeps(Rule::LeaseCountsFromRequest);
        Self::new(terms, if from_request { sent_at } else { answered_at })
    }

    /// Starts a lease from a confirm whose request was sent at `confirmed_at` or later.
    pub const fn new(terms: Terms, confirmed_at: Timestamp) -> Self {
        Self {
            terms,
            confirmed_at,
        }
    }

    /// Returns the terms it was made from.
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Returns when the confirming request was sent.
    pub const fn confirmed_at(&self) -> Timestamp {
        self.confirmed_at
    }

    /// Returns the instant at which the address must be off.
    pub fn end(&self) -> Timestamp {
        self.confirmed_at + self.terms.usable_span()
    }

    /// Returns whether the address may be up at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.end()
    }

    /// Returns the time left at `now`.
    pub fn left(&self, now: Timestamp) -> Duration {
        self.end().since(now)
    }

    /// Returns how long the kernel may be given the address for at `now`, or `None` when it must not
    /// be given any more.
    pub fn kernel_lifetime(&self, now: Timestamp) -> Option<KernelLifetime> {
        if !self.is_live(now) {
            return None;
        }
        self.terms.kernel_lifetime(self.left(now))
    }

    /// Returns when the kernel is best given the address for the last time: just before less than
    /// one whole second may be given.
    pub fn last_refresh(&self) -> Timestamp {
        let reserve = KERNEL_LATENESS + Duration::from_secs(1) + TIMER_LATENESS;
        if self.terms.lock_delay < STRICT_LOCK_DELAY {
            self.end()
        } else {
            self.confirmed_at + self.terms.usable_span().saturating_sub(reserve)
        }
    }
}
