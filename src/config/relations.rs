//! Pure: what must hold between values: the session's times against what Consul takes and against
//! the lease, and the groups against one another.

use std::time::Duration;

use super::duration::Go;
use super::group::Draft;
use super::option::Time;
use super::origin::{Sourced, Written};
use super::process::Process;
use super::report::{Caution, Fault, Findings};
use super::takeover::Takeover;
use super::{CheckMode, KernelLease, Session};
use crate::election::lease::{STRICT_LOCK_DELAY, Terms};

// What Consul takes: <https://developer.hashicorp.com/consul/api-docs/session>.
const MIN_TTL: Duration = Duration::from_secs(10);
const MAX_TTL: Duration = Duration::from_secs(24 * 60 * 60);
const MAX_LOCK_DELAY: Duration = Duration::from_secs(60);

/// Below it, a busy agent or host would be taken for a dead daemon.
const MIN_LIVENESS_TTL: Duration = Duration::from_secs(1);

/// The shortest lock-delay within which a lease can be confirmed again before it ends.
const MIN_LOCK_DELAY_MANAGED: Duration = Duration::from_secs(1);

/// Checks every relation.
pub(super) fn check(
    process: &Process,
    takeover: &Takeover,
    groups: &[Draft],
    findings: &mut Findings,
) {
    if let Some(ttl) = &process.ttl
        && !(MIN_TTL..=MAX_TTL).contains(&ttl.value.duration)
    {
        findings.problem("ttl", &shown(ttl), Fault::Ttl);
    }
    if let Some(lock_delay) = &process.lock_delay {
        let manage_vip = process
            .manage_vip
            .as_ref()
            .is_some_and(|manage_vip| manage_vip.value);
        check_lock_delay(lock_delay, manage_vip, findings);
        if let Some(lease) = process.kernel_lease.as_ref().filter(|_| manage_vip)
            && lease.value == KernelLease::Off
        {
            let written = lease.means(lease.value.name().to_owned());
            findings.warning("kernel-lease", &written, Caution::NoKernelLease);
        }
    }
    if let Some(mode) = &process.check_mode
        && mode.value == CheckMode::Watch
        && process.check_id.is_none()
    {
        let written = mode.means(mode.value.name().to_owned());
        findings.problem("check-mode", &written, Fault::NothingToWatch);
    }
    check_liveness(process, takeover, findings);
    for (number, group) in groups.iter().enumerate() {
        check_against(group, &groups[..number], findings);
    }
}

impl Process {
    /// The session's options, once they are all known.
    pub(super) fn session(&self) -> Option<Session> {
        let ttl = self.ttl.as_ref()?.value.duration;
        let lock_delay = self.lock_delay.as_ref()?.value.duration;
        let check_id = self
            .check_id
            .as_ref()
            .map(|check_id| check_id.value.clone());
        let check_mode = self.check_mode.as_ref()?.value;
        Some(Session {
            ttl,
            lock_delay,
            check_id,
            check_mode,
        })
    }
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

fn check_liveness(process: &Process, takeover: &Takeover, findings: &mut Findings) {
    let (Some(liveness), Some(ttl), Some(lock_delay)) =
        (&takeover.liveness_ttl, &process.ttl, &process.lock_delay)
    else {
        return;
    };
    let value = liveness.value.duration;
    let (ttl, lock_delay) = (ttl.value.duration, lock_delay.value.duration);
    let lease = process.kernel_lease.as_ref().map(|lease| lease.value);
    let managed = process.manage_vip.as_ref().is_some_and(|vip| vip.value);
    let by_kernel = managed && lease == Some(KernelLease::Auto);
    let least = Terms::managed(lock_delay, ttl).least_liveness_ttl();
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

fn check_against(group: &Draft, earlier: &[Draft], findings: &mut Findings) {
    if let Some(key) = &group.key
        && let Some(twin) = same(earlier, key, |draft| draft.key.as_ref())
    {
        let other = twin.file.clone();
        findings.problem("trigger-key", key, Fault::SameKey { other });
    }
    if let Some(address) = &group.address
        && let Some(twin) = same(earlier, address, |draft| draft.address.as_ref())
    {
        let (other, written) = (twin.file.clone(), address.means(address.value.to_string()));
        findings.problem("ip", &written, Fault::SameAddress { other });
    }
}

fn same<'a, T: PartialEq>(
    groups: &'a [Draft],
    value: &Sourced<T>,
    of: impl Fn(&Draft) -> Option<&Sourced<T>>,
) -> Option<&'a Draft> {
    groups
        .iter()
        .find(|group| of(group).is_some_and(|other| other.value == value.value))
}

fn shown(time: &Sourced<Time>) -> Written {
    time.means(time.value.text.clone())
}
