//! Pure: how the hosts of a schedule are set up.

use std::time::Duration;

use fastrand::Rng;
use vip_elector::election::lease::{STRICT_LOCK_DELAY, Terms};
use vip_elector::election::status::Feature;

use super::{HostPlan, lock_delay, millis};

/// How far a host's clock may run fast or slow, so that any two differ by the 1 % that the lease's
/// margin covers.
const DRIFT_PPM: i64 = 5_000;

/// As shipped.
pub(super) const LIVENESS_TTL: Duration = Duration::from_secs(3);

/// The shortest that can be configured, where the kernel does not need more.
const LEAST_LIVENESS_TTL: Duration = Duration::from_secs(1);

/// As shipped.
const PEER_INTERVAL: Duration = Duration::from_millis(100);

/// What all hosts of a schedule are given alike.
struct Common {
    lock_delay: Option<Duration>,
    kernel_lease: bool,
    candidates: bool,
    liveness_ttl: Option<Duration>,
    peer_interval: Option<Duration>,
    /// Whether priorities differ.
    ranked: bool,
    preempt_after: Option<Duration>,
    unknown: bool,
    denied: Option<Feature>,
}

pub(super) fn hosts(draw: &mut Rng, count: usize) -> Vec<HostPlan> {
    let common = common(draw);
    (0..count).map(|_| host(draw, &common)).collect()
}

fn common(draw: &mut Rng) -> Common {
    let lock_delay = lock_delay(draw);
    let mixed = draw.u8(..4) == 0;
    let kernel_lease = draw.u8(..8) > 0;
    let candidates = draw.u8(..4) > 0;
    let (least, shipped) = (Some(LEAST_LIVENESS_TTL), Some(LIVENESS_TTL));
    let liveness_ttl = [None, shipped, shipped, least];
    let ranked = draw.bool();
    Common {
        lock_delay: (!mixed).then_some(lock_delay),
        kernel_lease,
        candidates,
        liveness_ttl: liveness_ttl[draw.usize(..4)],
        peer_interval: (candidates && draw.u8(..8) < 3).then_some(PEER_INTERVAL),
        ranked,
        preempt_after: (ranked && draw.u8(..3) == 0).then(|| millis(draw, 500, 8_000)),
        unknown: draw.u8(..4) == 0,
        denied: match draw.u8(..48) {
            0 => Some(Feature::Candidates),
            1 => Some(Feature::Liveness),
            2 => Some(Feature::PeerWatch),
            _ => None,
        },
    }
}

impl HostPlan {
    /// Returns the TTL of the liveness check that a daemon of these terms has. The shortest are played where
    /// they matter, which is below the strict lock-delay.
    pub(crate) fn liveness(&self, terms: &Terms) -> Option<Duration> {
        let strict = self.lock_delay >= STRICT_LOCK_DELAY;
        let least = if strict {
            LIVENESS_TTL
        } else {
            terms.least_liveness_ttl()
        };
        self.liveness_ttl.map(|ttl| ttl.max(least))
    }
}

fn host(draw: &mut Rng, common: &Common) -> HostPlan {
    HostPlan {
        lock_delay: common.lock_delay.unwrap_or_else(|| lock_delay(draw)),
        kernel_lease: common.kernel_lease,
        clock_reads: Duration::from_secs(draw.u64(10..1_000_000)),
        // The ends of the range are where the trouble would be.
        drift_ppm: match draw.u8(..4) {
            0 => DRIFT_PPM,
            1 => -DRIFT_PPM,
            _ => draw.i64(-DRIFT_PPM..=DRIFT_PPM),
        },
        starts: millis(draw, 0, 2_000),
        candidates: common.candidates,
        priority: if common.ranked { draw.i32(0..3) } else { 0 },
        preempt_after: common.preempt_after,
        liveness_ttl: common.liveness_ttl,
        peer_interval: common.peer_interval,
        unknown: common.unknown,
        denied: common.denied,
    }
}
