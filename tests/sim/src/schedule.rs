//! Pure: everything that a seed decides before a simulation begins.

mod mix;
mod plan;

use std::fmt;
use std::time::Duration;

use fastrand::Rng;
use vip_elector::election::lease::{KERNEL_LATENESS, MISSED_HEARTBEATS};
use vip_elector::election::status::Feature;

use crate::fault::{Fault, Record};

/// Consul's default minimum, and ours.
pub const TTL: Duration = Duration::from_secs(10);

/// Before the first fault, a leader has had the time to come up.
const CALM: Duration = Duration::from_secs(6);

/// What one simulation is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Decides what the schedule leaves open: delays, losses, lateness.
    pub seed: u64,
    /// One each.
    pub hosts: Vec<HostPlan>,
    /// In the order in which they begin.
    pub faults: Vec<Timed>,
}

/// One host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostPlan {
    /// Of its daemon and sessions. Differs between hosts while a configuration is rolled out.
    pub lock_delay: Duration,
    /// What its clock reads at the beginning.
    pub clock_reads: Duration,
    /// Whether its kernel is given the address for a limited time; `--kernel-lease off` where not.
    pub kernel_lease: bool,
    /// How fast it runs.
    pub drift_ppm: i64,
    /// When its daemon starts.
    pub starts: Duration,
    /// Whether it stands as a candidate.
    pub candidates: bool,
    /// Among candidates, higher is better.
    pub priority: i32,
    /// After how long a better candidate gets the lock from it, if at all.
    pub preempt_after: Option<Duration>,
    /// The TTL of its liveness check, if it has one.
    pub liveness_ttl: Option<Duration>,
    /// The time from one heartbeat to the next, if it sends any.
    pub peer_interval: Option<Duration>,
    /// Whether its daemon has to find out how healthy it is.
    pub unknown: bool,
    /// What Consul's ACL refuses it.
    pub denied: Option<Feature>,
}

/// A fault and its time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timed {
    /// When it begins.
    pub at: Duration,
    /// When it ends.
    pub until: Duration,
    /// What it is.
    pub fault: Fault,
}

impl Schedule {
    /// Draws a schedule. The same seed gives the same.
    pub fn draw(seed: u64) -> Self {
        let mut draw = Rng::with_seed(seed);
        let count = [2, 3, 3, 3, 3, 3, 3, 4][draw.usize(..8)];
        let hosts = plan::hosts(&mut draw, count);
        let faults = mix::faults(&mut draw, &hosts);
        Self {
            seed,
            hosts,
            faults,
        }
    }

    /// Returns the same schedule without some of its faults.
    #[must_use]
    pub fn without(&self, faults: &[usize]) -> Self {
        let kept = self.faults.iter().enumerate();
        let kept = kept.filter(|(number, _)| !faults.contains(number));
        Self {
            faults: kept.map(|(_, timed)| *timed).collect(),
            ..self.clone()
        }
    }

    /// Says whether one fault is all there is.
    pub const fn is_alone(&self) -> bool {
        self.faults.len() == 1
    }

    /// Returns how many leaders may lose their session to another host that misses them, where that is
    /// known: one where a link is broken and nothing else, and none where nothing is that heartbeats need.
    pub fn deposes(&self) -> Option<u32> {
        let [alone] = self.faults.as_slice() else {
            return None;
        };
        let link = matches!(alone.fault, Fault::CutPair { .. } | Fault::CutPeers { .. });
        let none = matches!(
            alone.fault,
            Fault::FlapCheck { .. } | Fault::DeleteEntry { .. } | Fault::Drain { .. }
        );
        (link || none).then_some(u32::from(link))
    }

    /// Returns how long a host's daemon may be silent until its session ends, where its agent notices.
    pub fn silence_of(&self, host: usize) -> Option<Duration> {
        let plan = self.hosts.get(host)?;
        if plan.denied == Some(Feature::Liveness) {
            return None;
        }
        // Without a rule that is broken, the least is less than what is shipped.
        plan.liveness_ttl.map(|ttl| ttl.max(plan::LIVENESS_TTL))
    }

    /// Returns how long a host's daemon may be silent until its session ends, where other hosts notice: as many
    /// heartbeats as may be missed, or what its kernel needs, and a question with its answer.
    pub fn watched_silence(&self, host: usize) -> Option<Duration> {
        let plan = self.hosts.get(host)?;
        if matches!(plan.denied, Some(Feature::Candidates | Feature::PeerWatch)) {
            return None;
        }
        let interval = plan.peer_interval?;
        // Below the strict lock-delay the kernel is given one second.
        let kernel = Duration::from_secs(1) + KERNEL_LATENESS + interval;
        let few = interval * MISSED_HEARTBEATS;
        let patience = few.max(kernel.saturating_sub(plan.lock_delay));
        Some(patience + 2 * interval)
    }

    /// Returns how long a session may outlive its daemon: as long as a TTL that is over late, unless every
    /// daemon is missed by its agent, and finds what the one before it has left.
    pub fn silence(&self) -> Duration {
        let loses_notes = |fault: &Fault| {
            matches!(fault, Fault::Crash { .. } | Fault::NoMemory { .. })
                || matches!(fault, Fault::Kill { record, .. } if *record != Record::Kept)
        };
        let silences = (0..self.hosts.len()).map(|host| self.silence_of(host));
        let longest = silences.reduce(|a, b| Some(a?.max(b?))).flatten();
        let remembered = !self.faults.iter().any(|timed| loses_notes(&timed.fault));
        longest.filter(|_| remembered).unwrap_or(2 * TTL)
    }

    /// Returns the longest lock-delay of any daemon.
    pub fn longest_lock_delay(&self) -> Duration {
        let planned = self.hosts.iter().map(|plan| plan.lock_delay);
        let changed = self.faults.iter().filter_map(|timed| {
            if let Fault::Reconfigure { lock_delay, .. } = timed.fault {
                Some(lock_delay)
            } else {
                None
            }
        });
        planned.chain(changed).max().unwrap_or_default()
    }

    /// Returns when the last fault is over.
    pub fn healed(&self) -> Duration {
        let last = self.faults.iter().map(|timed| timed.until).max();
        last.unwrap_or_default().max(CALM) + Duration::from_millis(500)
    }
}

impl HostPlan {
    /// What makes its takeovers faster, in words.
    fn extras(&self) -> String {
        let mut words = String::new();
        if self.candidates {
            words += &format!(", candidate of priority {}", self.priority);
        }
        for (what, time) in [
            ("gives way after", self.preempt_after),
            ("liveness", self.liveness_ttl),
            ("heartbeats every", self.peer_interval),
        ] {
            words += &time.map_or(String::new(), |time| format!(", {what} {time:?}"));
        }
        if let Some(feature) = self.denied {
            words += &format!(", denied {feature:?}");
        }
        words
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (host, plan) in self.hosts.iter().enumerate() {
            writeln!(
                f,
                "host{host}: lock-delay {:?}{}{}, clock {:+.2} %, starts at {:?}",
                plan.lock_delay,
                if plan.kernel_lease {
                    ""
                } else {
                    ", no kernel lease"
                },
                plan.extras(),
                // Between -5000 and 5000.
                f64::from(i32::try_from(plan.drift_ppm).unwrap_or_default()) / 10_000.0,
                plan.starts
            )?;
        }
        for Timed { at, until, fault } in &self.faults {
            let (at, until) = (at.as_secs_f64(), until.as_secs_f64());
            writeln!(f, "{at:>8.3} to {until:>8.3} s: {fault}")?;
        }
        Ok(())
    }
}

fn lock_delay(draw: &mut Rng) -> Duration {
    let millis = [
        1_000, 1_000, 1_500, 2_000, 2_400, 2_500, 3_000, 3_000, 5_000, 5_000, 10_000, 10_000,
    ];
    Duration::from_millis(millis[draw.usize(..millis.len())])
}

/// Between `from` and `to` milliseconds.
fn millis(draw: &mut Rng, from: u64, to: u64) -> Duration {
    Duration::from_millis(draw.u64(from..=to))
}

/// Between `from` and `to` milliseconds, each order of magnitude as likely as the next.
fn spread(draw: &mut Rng, from: f64, to: f64) -> Duration {
    Duration::from_secs_f64(from * (to / from).powf(draw.f64()) / 1000.0)
}
