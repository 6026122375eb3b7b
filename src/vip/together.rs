//! Pure: the addresses of a group as one.
//!
//! # The argument
//!
//! A group's addresses move together: a host has all of them or none. The machine knows of one address only, and what
//! it is told must be good for each of them:
//!
//! - *Held* is what any of them is. A leader gives the lock away only when it is told that nothing is held, which is
//!   the kernel's word that each address is off.
//! - A *blocker* of any is the group's. It ends a leader's tenure, and keeps a standby from beginning one.
//! - An *answer* is as old as the oldest of theirs: to an order, there is none before each has carried it out.
//!
//! Until the machine has heard of a blocker, and for as long as it lasts, the addresses that could be held are not:
//! [`order_for`] has them off. So no address is up for longer than its own [`Reconciler`] allows, which is asked with
//! the order of the machine or with one that asks for less. And none stays off for want of another's word: a report is
//! kept until the next, and each reconciler wakes by itself when its blocker may have passed.
//!
//! [`Reconciler`]: crate::vip::reconcile::Reconciler
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

use crate::election::target::{VipOrder, VipReport, VipTarget};

/// Returns what is true of all, by the last report of each; nothing before each has made one.
pub fn report(last: &[Option<VipReport>]) -> Option<VipReport> {
    let known = last.iter().flatten();
    if last.is_empty() || known.clone().count() < last.len() {
        return None;
    }
    Some(VipReport {
        version: known.clone().map(|report| report.version).min()?,
        held: known.clone().any(|report| report.held),
        blocker: known.clone().find_map(|report| report.blocker.clone()),
    })
}

/// Returns what one address is to do, where `others` is what was last reported of the others: the machine's order,
/// unless one of them cannot be held.
pub fn order_for<'a>(
    order: &VipOrder,
    mut others: impl Iterator<Item = &'a Option<VipReport>>,
) -> VipOrder {
    let blocked = |report: &'a Option<VipReport>| {
        let report = report.as_ref();
        report.is_some_and(|report| report.blocker.is_some())
    };
    let target = match order.target {
        VipTarget::HeldUntil(_) if others.any(blocked) => VipTarget::Absent,
        VipTarget::HeldUntil(_) | VipTarget::Kept | VipTarget::Absent => order.target,
    };
    VipOrder {
        version: order.version,
        target,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::election::lease::{Lease, Terms};
    use crate::election::target::Blocker;
    use crate::election::time::Timestamp;

    /// By its version, `+` for held, and `!` for an interface that is down.
    fn said(text: &str) -> Option<VipReport> {
        let version = text.trim_end_matches(['+', '!']).parse().ok()?;
        Some(VipReport {
            version,
            held: text.contains('+'),
            blocker: text.contains('!').then_some(Blocker::InterfaceDown),
        })
    }

    #[test]
    fn a_group_is_what_any_of_its_addresses_is() {
        for (each, together) in [
            ("", ""),
            ("1", "1"),
            ("1+", "1+"),
            ("1!", "1!"),
            ("1+ ?", ""),
            ("? 1", ""),
            ("1 1", "1"),
            ("1+ 1", "1+"),
            ("1 1+", "1+"),
            ("1+ 1+", "1+"),
            ("2 1+", "1+"),
            ("2 1 3", "1"),
            ("1+ 1!", "1+!"),
            ("1! 1", "1!"),
            ("1+! 1+", "1+!"),
        ] {
            let each: Vec<_> = each.split_whitespace().map(said).collect();
            assert_eq!(report(&each), said(together), "{each:?}");
        }
    }

    #[test]
    fn the_first_blocker_is_the_groups() {
        let foreign = VipReport {
            blocker: Some(Blocker::Foreign),
            ..said("1").unwrap()
        };
        let both = [Some(foreign), said("1!")];
        assert_eq!(report(&both).unwrap().blocker, Some(Blocker::Foreign));
    }

    #[test]
    fn nothing_is_held_beside_what_cannot_be() {
        let terms = Terms::managed(Duration::from_secs(3), Duration::from_secs(10));
        let held = VipTarget::HeldUntil(Lease::new(terms, Timestamp::ZERO));
        for (target, others, expected) in [
            (held, "", held),
            (held, "? 1 1+", held),
            (held, "1 1!", VipTarget::Absent),
            (held, "1+! ?", VipTarget::Absent),
            (VipTarget::Absent, "1!", VipTarget::Absent),
            // What the process before has left is the kernel's to end.
            (VipTarget::Kept, "1!", VipTarget::Kept),
        ] {
            let others: Vec<_> = others.split_whitespace().map(said).collect();
            let order = VipOrder { version: 7, target };
            let order = order_for(&order, others.iter());
            assert_eq!(order.version, 7);
            assert_eq!(order.target, expected, "{others:?}");
        }
    }
}
