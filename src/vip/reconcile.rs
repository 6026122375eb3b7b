//! Pure: what to do so that the kernel's addresses match the order.
//!
//! # The argument
//!
//! [`Reconciler::next`] is asked again after every step, with a new `now`. So the lease is checked before
//! each add and refresh *and after it*: an add that was delayed past the lease's end is followed by its removal. A
//! refresh adds nothing that is not there.
//!
//! A takeover waits for nothing that it need not: an add goes by the last look, however old, and so does the
//! removal of an address whose lifetime is not over. The kernel refuses an exclusive add of what is there with
//! this prefix length; what somebody has put there with another one is as if it had come a moment later. All
//! else needs a look, or the kernel's acknowledgement of a step, since the last wait; to ask the neighbours is a
//! wait. That the address is
//! *off* is never reported without a look that follows its removal.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

mod seen;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use self::seen::{LinkSeen, Observed, VipSeen, VipState};
use crate::election::lease::{KernelLifetime, Lease};
use crate::election::target::{Blocker, VipOrder, VipReport, VipTarget};
use crate::election::time::Timestamp;
use crate::vip::announce::{Announcing, Schedule};

/// How much earlier than its end a lifetime is prolonged when no new confirm has done it: the
/// kernel may be 20 ms early, and we may be late.
const REFRESH_AHEAD: Duration = Duration::from_millis(300);

/// How soon a step that failed is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// How often an add is tried before the host is said to be unable to hold the address.
const ADD_TRIES: u32 = 3;

/// How long such a host is said to be unable.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);

/// How long it counts that nobody else has said that he has the address.
const ASKED_LASTS: Duration = Duration::from_secs(1);

/// Why the host is then said to be unable.
const DUPLICATE: &str = "another machine has the address (IPv6 duplicate address detection found it); find it with \
    `ip -6 neighbour` or `ndisc6` on another host, and take the address off there";

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Add the address, unless it is there.
    Add {
        /// The prefix length.
        prefix: u8,
        /// For how long.
        lifetime: KernelLifetime,
    },
    /// Prolong the address in place.
    Refresh {
        /// The prefix length.
        prefix: u8,
        /// For how long from now.
        lifetime: KernelLifetime,
    },
    /// Take the address off.
    Remove {
        /// The prefix length.
        prefix: u8,
    },
    /// Tell the neighbours where the address is.
    Announce,
    /// Ask the neighbours whether one of them has the address. It fails where one has.
    Ask,
}

/// What the task does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Look at the kernel, and say so with [`Reconciler::looked`].
    Look,
    /// Do this, and say so with [`Reconciler::done`].
    Do(Step),
    /// Report, and wait.
    Rest {
        /// What is true now, for the machine.
        report: VipReport,
        /// When to go on though nothing has changed.
        wake_at: Option<Timestamp>,
    },
}

/// Follows one address.
#[derive(Debug)]
pub struct Reconciler {
    announcing: Announcing,
    /// The last look, and what was acknowledged after it.
    seen: Option<Observed>,
    /// It is from after the last wait.
    fresh: bool,
    /// What the kernel was last given.
    lent: Option<Lent>,
    announce: Option<Schedule>,
    /// What the neighbours were told: where, and after how many moves.
    told: Option<([u8; 6], u32)>,
    /// When the others were asked in vain.
    asked: Option<Timestamp>,
    duplicates: Option<u32>,
    is_duplicate: bool,
    not_before: Timestamp,
    failed_adds: u32,
    refused: Option<(String, Timestamp)>,
}

/// A lifetime that the kernel was given.
#[derive(Clone, Copy, Debug)]
struct Lent {
    confirmed_at: Timestamp,
    at: Timestamp,
    /// `None` where the kernel never ends it.
    ends: Option<Timestamp>,
}

impl Reconciler {
    /// Starts with nothing known of an address but how it is to be announced.
    pub fn new(announcing: Announcing) -> Self {
        Self {
            announcing,
            seen: None,
            fresh: false,
            lent: None,
            announce: None,
            told: None,
            asked: None,
            duplicates: None,
            is_duplicate: false,
            not_before: Timestamp::ZERO,
            failed_adds: 0,
            refused: None,
        }
    }

    /// Starts over after a wait: what was seen is from before it.
    pub fn begin(&mut self) {
        self.fresh = false;
    }

    /// Returns what to do now.
    pub fn next(&mut self, now: Timestamp, order: &VipOrder) -> Next {
        let Some(seen) = self.seen.clone() else {
            return Next::Look;
        };
        let lasts = self.lasts(now);
        match (self.fresh, self.plan(now, order, &seen)) {
            (true, Some(step)) => Next::Do(step),
            (true, None) => Next::Rest {
                report: self.report(now, order, &seen),
                wake_at: self.wake_at(now, order, &seen),
            },
            (false, Some(step @ (Step::Add { .. } | Step::Ask))) => Next::Do(step),
            (false, Some(step @ Step::Remove { .. })) if lasts => Next::Do(step),
            (false, _) => Next::Look,
        }
    }

    /// Whether the kernel has certainly not ended our address by itself, so that nobody else's has come in
    /// its place.
    fn lasts(&self, now: Timestamp) -> bool {
        let lasts = |ends: Timestamp| now + REFRESH_AHEAD < ends;
        self.lent
            .as_ref()
            .is_some_and(|lent| lent.ends.is_none_or(lasts))
    }

    /// Takes in what the kernel shows.
    pub fn looked(&mut self, seen: Observed) {
        let before = self.duplicates.replace(seen.duplicates);
        let taken_off =
            self.lent.is_some() && before.is_some_and(|before| before != seen.duplicates);
        let marked = |vip: &VipSeen| vip.ours && vip.state == VipState::Duplicate;
        self.is_duplicate |= taken_off || seen.vips.iter().any(marked);
        self.seen = Some(seen);
        self.fresh = true;
    }

    /// Returns the next step, if there is one.
    fn plan(&mut self, now: Timestamp, order: &VipOrder, seen: &Observed) -> Option<Step> {
        if order.target == VipTarget::Kept {
            return None;
        }
        if std::mem::take(&mut self.is_duplicate) {
            self.refused = Some((DUPLICATE.to_owned(), now + REFUSED_PAUSE));
        }
        let ours = seen.vips.iter().find(|vip| vip.ours);
        let held = match &order.target {
            VipTarget::HeldUntil(lease) if lease.is_live(now) => Some(lease),
            VipTarget::HeldUntil(_) | VipTarget::Kept | VipTarget::Absent => None,
        };
        let (Some(lease), None) = (held, self.blocker(now, seen)) else {
            self.announce = None;
            self.lent = None;
            return ours
                .filter(|_| self.may_act(now))
                .map(|vip| Step::Remove { prefix: vip.prefix });
        };
        let Some(vip) = ours else {
            if !seen.vips.is_empty() {
                return None;
            }
            let lifetime = lease.kernel_lifetime(now).filter(|_| self.may_act(now))?;
            if seen.asks && self.lent.is_none() && !self.has_asked(now) {
                return Some(Step::Ask);
            }
            return Some(Step::Add {
                prefix: seen.prefix,
                lifetime,
            });
        };
        let prefix = vip.prefix;
        if self.refresh_at(lease) <= now
            && self.may_act(now)
            && let Some(lifetime) = lease.kernel_lifetime(now)
            && self.prolongs(now, lease, lifetime)
        {
            return Some(Step::Refresh { prefix, lifetime });
        }
        if vip.state != VipState::Usable {
            return None;
        }
        self.announce_if_due(now, seen)
    }

    /// Takes in what came of a step that was done at `now`.
    pub fn done(
        &mut self,
        now: Timestamp,
        order: &VipOrder,
        step: Step,
        result: Result<(), String>,
    ) {
        let seen = self.seen.take().filter(|_| result.is_ok());
        self.seen = seen.and_then(|seen| seen.after(step));
        self.fresh = self.seen.is_some();
        match (step, result) {
            (Step::Announce, _) => {
                if let Some(schedule) = &mut self.announce {
                    schedule.sent(now);
                }
            }
            (Step::Add { lifetime, .. } | Step::Refresh { lifetime, .. }, Ok(())) => {
                if let VipTarget::HeldUntil(lease) = &order.target {
                    let ends = ends(now, lifetime);
                    self.lent = Some(Lent {
                        confirmed_at: lease.confirmed_at(),
                        at: now,
                        ends,
                    });
                }
                if matches!(step, Step::Add { .. }) {
                    self.announce = Some(Schedule::start(self.announcing, now));
                }
                self.failed_adds = 0;
                self.asked = None;
            }
            (Step::Ask, Ok(())) => self.asked = Some(now),
            (Step::Ask, Err(message)) => self.refused = Some((message, now + REFUSED_PAUSE)),
            (Step::Remove { .. }, Ok(())) => self.not_before = now,
            (Step::Add { .. }, Err(message)) => {
                self.failed_adds += 1;
                self.not_before = now + RETRY_PAUSE;
                if self.failed_adds >= ADD_TRIES {
                    self.failed_adds = 0;
                    self.refused = Some((message, now + REFUSED_PAUSE));
                }
            }
            (Step::Refresh { .. } | Step::Remove { .. }, Err(_)) => {
                self.not_before = now + RETRY_PAUSE;
            }
        }
    }

    fn report(&self, now: Timestamp, order: &VipOrder, seen: &Observed) -> VipReport {
        VipReport {
            version: order.version,
            held: seen.is_held(),
            blocker: self.blocker(now, seen),
        }
    }

    fn wake_at(&self, now: Timestamp, order: &VipOrder, seen: &Observed) -> Option<Timestamp> {
        let mut at: Vec<Timestamp> = Vec::new();
        at.extend(self.refused.as_ref().map(|(_, until)| *until));
        if self.not_before > now {
            at.push(self.not_before);
        }
        if let VipTarget::HeldUntil(lease) = &order.target {
            at.push(lease.end());
            at.extend(self.announce.as_ref().and_then(Schedule::next));
            if seen.is_held() && lease.kernel_lifetime(self.refresh_at(lease)).is_some() {
                at.push(self.refresh_at(lease));
            }
        }
        at.into_iter().filter(|at| *at > now).min()
    }

    /// A new confirm prolongs at once. Without one, the lifetime is prolonged shortly before it
    /// ends, or for the last time while the lease allows a whole second more.
    fn refresh_at(&self, lease: &Lease) -> Timestamp {
        match &self.lent {
            Some(lent) if lent.confirmed_at >= lease.confirmed_at() => {
                // What never ends needs no prolonging.
                let Some(ends) = lent.ends else {
                    return lease.end();
                };
                let last = lease.last_refresh().max(lease.confirmed_at());
                // The last time has been: once more would gain no more than what has passed since.
                if lent.at >= last {
                    return lease.end();
                }
                ends.before(REFRESH_AHEAD).min(last)
            }
            Some(_) | None => Timestamp::ZERO,
        }
    }

    /// Whether the kernel would keep the address longer than it does anyway: whole seconds may round
    /// a new confirm down to less.
    fn prolongs(&mut self, now: Timestamp, lease: &Lease, lifetime: KernelLifetime) -> bool {
        let Some(lent) = &mut self.lent else {
            return true;
        };
        let longer = match (ends(now, lifetime), lent.ends) {
            (Some(new), Some(old)) => new > old,
            (None, Some(_)) => true,
            (_, None) => false,
        };
        if !longer {
            lent.confirmed_at = lease.confirmed_at();
        }
        longer
    }

    fn announce_if_due(&mut self, now: Timestamp, seen: &Observed) -> Option<Step> {
        let way = seen.link.and_then(|link| Some((link.mac?, link.moves)));
        if self.told != way {
            self.told = way;
            self.announce = Some(Schedule::start(self.announcing, now));
        }
        self.announce
            .as_ref()
            .and_then(Schedule::next)
            .filter(|due| *due <= now)
            .map(|_| Step::Announce)
    }

    fn blocker(&self, now: Timestamp, seen: &Observed) -> Option<Blocker> {
        let Some(link) = seen.link else {
            return Some(Blocker::InterfaceMissing);
        };
        if !link.up {
            return Some(Blocker::InterfaceDown);
        }
        // Where we have put the address up, a copy by somebody else, or ours with its mark taken off,
        // is no reason to let another host have it as well.
        if self.lent.is_none() && !seen.vips.is_empty() && !seen.is_held() {
            return Some(Blocker::Foreign);
        }
        let (message, until) = self.refused.as_ref()?;
        (now < *until).then(|| Blocker::Refused(message.clone()))
    }

    fn has_asked(&self, now: Timestamp) -> bool {
        self.asked.is_some_and(|at| now.since(at) < ASKED_LASTS)
    }

    fn may_act(&self, now: Timestamp) -> bool {
        self.not_before <= now
    }
}

fn ends(now: Timestamp, lifetime: KernelLifetime) -> Option<Timestamp> {
    match lifetime {
        KernelLifetime::Seconds(seconds) => Some(now + Duration::from_secs(seconds)),
        KernelLifetime::Unlimited => None,
    }
}
