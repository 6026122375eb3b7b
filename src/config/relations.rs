//! Pure: what must hold between values: each group's times against what Consul takes and against the lease, and the
//! groups against one another.

use std::collections::BTreeSet;
use std::time::Duration;

use super::KernelLease;
use super::duration::Go;
use super::group::Draft;
use super::option::Time;
use super::origin::{Origin, Sourced, Written};
use super::process::Process;
use super::report::{Caution, Fault, Findings};
use super::terms::Terms;
use crate::election::lease::{self, STRICT_LOCK_DELAY};

// What Consul takes: <https://developer.hashicorp.com/consul/api-docs/session>.
const MIN_TTL: Duration = Duration::from_secs(10);
const MAX_TTL: Duration = Duration::from_secs(24 * 60 * 60);
const MAX_LOCK_DELAY: Duration = Duration::from_secs(60);

/// Below it, a busy agent or host would be taken for a dead daemon.
const MIN_LIVENESS_TTL: Duration = Duration::from_secs(1);

/// The shortest lock-delay within which a lease can be confirmed again before it ends.
const MIN_LOCK_DELAY_MANAGED: Duration = Duration::from_secs(1);

/// How many groups may have their keys anywhere.
const FEW_GROUPS: usize = 4;

/// How many folders may have keys in them: each takes two of the long reads that an agent accepts 200 of.
const MANY_FOLDERS: usize = 8;

/// Checks every relation.
pub(super) fn check(process: &Process, groups: &[Draft], findings: &mut Findings) {
    if let Some(lease) = process.kernel_lease.as_ref().filter(|_| process.manages())
        && lease.value == KernelLease::Off
    {
        let written = lease.means(lease.value.name().to_owned());
        findings.warning("kernel-lease", &written, Caution::NoKernelLease);
    }
    for (number, group) in groups.iter().enumerate() {
        let earlier = &groups[..number];
        check_terms(process, &group.terms, findings);
        check_check(process, group, earlier, findings);
        check_key(group, earlier, findings);
        check_addresses(group, earlier, findings);
    }
    check_folders(groups, findings);
}

fn check_terms(process: &Process, terms: &Terms, findings: &mut Findings) {
    if let Some(ttl) = &terms.ttl
        && !(MIN_TTL..=MAX_TTL).contains(&ttl.value.duration)
    {
        findings.problem("ttl", &shown(ttl), Fault::Ttl);
    }
    if let Some(lock_delay) = &terms.lock_delay {
        check_lock_delay(lock_delay, process.manages(), findings);
    }
    check_liveness(process, terms, findings);
}

fn check_lock_delay(lock_delay: &Sourced<Time>, manage_vip: bool, findings: &mut Findings) {
    let value = lock_delay.value.duration;
    if value > MAX_LOCK_DELAY {
        findings.problem("lock-delay", &shown(lock_delay), Fault::LockDelay);
    } else if manage_vip && value < MIN_LOCK_DELAY_MANAGED {
        findings.problem("lock-delay", &shown(lock_delay), Fault::LockDelayBelowLease);
    } else if manage_vip && value < STRICT_LOCK_DELAY {
        findings.warning("lock-delay", &shown(lock_delay), Caution::KernelTooLate);
    }
}

fn check_liveness(process: &Process, terms: &Terms, findings: &mut Findings) {
    let (Some(liveness), Some(ttl), Some(lock_delay)) =
        (&terms.liveness_ttl, &terms.ttl, &terms.lock_delay)
    else {
        return;
    };
    let value = liveness.value.duration;
    let (ttl, lock_delay) = (ttl.value.duration, lock_delay.value.duration);
    let lease = process.kernel_lease.as_ref().map(|lease| lease.value);
    let by_kernel = process.manages() && lease == Some(KernelLease::Auto);
    let least = lease::Terms::managed(lock_delay, ttl).least_liveness_ttl();
    let half = Go(ttl / 2);
    if value.is_zero() {
        return;
    }
    if value < MIN_LIVENESS_TTL {
        findings.problem("liveness-ttl", &shown(liveness), Fault::LivenessTtl);
    } else if by_kernel && value < least {
        let fault = Fault::LivenessBelowKernel { least: Go(least) };
        findings.problem("liveness-ttl", &shown(liveness), fault);
    } else if value >= half.0 {
        let caution = Caution::LivenessTooLong { half };
        findings.warning("liveness-ttl", &shown(liveness), caution);
    }
}

/// One process follows one check. Consul follows one for each session, but not for us the maintenance of the service
/// that owns it.
fn check_check(process: &Process, group: &Draft, earlier: &[Draft], findings: &mut Findings) {
    let watched = process.watched();
    let Some(check_id) = &group.terms.check_id else {
        if let Some(mode) = watched {
            let written = mode.means(mode.value.name().to_owned());
            findings.problem("check-mode", &written, Fault::NothingToWatch);
        }
        return;
    };
    let known = earlier
        .iter()
        .filter_map(|other| other.terms.check_id.as_ref());
    let mut others = known.filter(|other| other.value != check_id.value);
    if let Some(other) = others.next() {
        let other = other.origin.clone();
        match watched {
            Some(_) => {
                findings.problem("check-id", check_id, Fault::ChecksToWatch { other });
            }
            None => findings.warning("check-id", check_id, Caution::SeveralChecks { other }),
        }
    }
}

fn check_key(group: &Draft, earlier: &[Draft], findings: &mut Findings) {
    let Some(key) = &group.key else { return };
    let same = |other: &&Draft| {
        let other = other.key.as_ref();
        other.is_some_and(|other| other.value == key.value)
    };
    if let Some(twin) = earlier.iter().find(same) {
        let other = twin.file.clone();
        findings.problem("trigger-key", key, Fault::SameKey { other });
    }
}

fn check_addresses(group: &Draft, earlier: &[Draft], findings: &mut Findings) {
    let known = earlier.iter().flat_map(|other| {
        let addresses = other.addresses.iter();
        addresses.map(|address| (address, &other.file))
    });
    let known: Vec<_> = known.collect();
    for (number, draft) in group.addresses.iter().enumerate() {
        let Some(address) = &draft.address else {
            continue;
        };
        let own = group.addresses[..number]
            .iter()
            .map(|other| (other, &group.file));
        let mut all = known.iter().copied().chain(own);
        let same = |other: &super::address::Draft| {
            let other = other.address.as_ref();
            other.is_some_and(|other| other.value == address.value)
        };
        if let Some((_, file)) = all.find(|(other, _)| same(other)) {
            let (other, written) = (file.clone(), address.means(address.value.to_string()));
            findings.problem("ip", &written, Fault::SameAddress { other });
        }
    }
}

fn check_folders(groups: &[Draft], findings: &mut Findings) {
    let keys = groups.iter().filter_map(|group| group.key.as_ref());
    let folders = keys.map(|key| key.value.rsplit_once('/').map_or("", |(folder, _)| folder));
    let folders = folders.collect::<BTreeSet<_>>().len();
    if groups.len() > FEW_GROUPS && folders > MANY_FOLDERS {
        let caution = Caution::ManyFolders { folders };
        findings.warning_at("trigger-key", &Origin::Default, caution);
    }
}

fn shown(time: &Sourced<Time>) -> Written {
    time.means(time.value.text.clone())
}
