//! Pure: everything that a seed decides before a simulation begins.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;

use crate::fault::{Fault, Record, Target, Ways, Weather};

/// Consul's default minimum, and ours.
pub const TTL: Duration = Duration::from_secs(10);

/// How far a host's clock may run fast or slow, so that any two differ by the 1 % that the lease's
/// margin covers.
const DRIFT_PPM: i64 = 5_000;

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
        let common = lock_delay(&mut draw);
        let mixed = draw.u8(..4) == 0;
        let kernel_lease = draw.u8(..8) > 0;
        let hosts = (0..count)
            .map(|_| HostPlan {
                lock_delay: if mixed { lock_delay(&mut draw) } else { common },
                kernel_lease,
                clock_reads: Duration::from_secs(draw.u64(10..1_000_000)),
                // The ends of the range are where the trouble would be.
                drift_ppm: match draw.u8(..4) {
                    0 => DRIFT_PPM,
                    1 => -DRIFT_PPM,
                    _ => draw.i64(-DRIFT_PPM..=DRIFT_PPM),
                },
                starts: millis(&mut draw, 0, 2_000),
            })
            .collect();
        let faults = faults(&mut draw, count, common);
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

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (host, plan) in self.hosts.iter().enumerate() {
            writeln!(
                f,
                "host{host}: lock-delay {:?}{}, clock {:+.2} %, starts at {:?}",
                plan.lock_delay,
                if plan.kernel_lease {
                    ""
                } else {
                    ", no kernel lease"
                },
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
        1_000, 2_000, 2_500, 3_000, 3_000, 5_000, 5_000, 10_000, 10_000,
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

fn faults(draw: &mut Rng, hosts: usize, lock_delay: Duration) -> Vec<Timed> {
    let count = draw.usize(3..=8);
    let mut at = CALM + millis(draw, 0, 4_000);
    let mut faults = Vec::with_capacity(count);
    for _ in 0..count {
        let (fault, shortest, longest) = fault(draw, hosts);
        let until = at + spread(draw, shortest, longest);
        faults.push(Timed { at, until, fault });
        // Faults that come together are worse than those that come one by one.
        at += match draw.u8(..8) {
            0 => Duration::ZERO,
            1 | 2 => spread(draw, 1.0, 500.0),
            3 | 4 => lock_delay.mul_f64(draw.f64() * 1.2),
            _ => millis(draw, 1_000, 16_000),
        };
    }
    match draw.u8(..16) {
        0 => faults.extend(lost_while_answers_are_slow(draw, lock_delay)),
        1 => faults.extend(given_up_while_requests_are_late(draw)),
        _ => {}
    }
    faults.sort_by_key(|timed| timed.at);
    faults
}

/// The session dies just after a confirm whose answer takes its time, and the leader hears no more.
fn lost_while_answers_are_slow(draw: &mut Rng, lock_delay: Duration) -> [Timed; 3] {
    let slow = Weather {
        late: 0.8,
        by: lock_delay / 4,
        ..Weather::default()
    };
    let begins = CALM + millis(draw, 0, 20_000);
    let dies = begins + lock_delay / 4 + millis(draw, 500, 3_000);
    let whom = Target::Leader;
    let ways = Ways::Both;
    let timed = |at, until, fault| Timed { at, until, fault };
    [
        timed(begins, dies + lock_delay / 4, Fault::Weather(slow)),
        timed(dies, dies, Fault::DestroySession),
        timed(
            dies + millis(draw, 10, 1_000),
            dies + lock_delay + Duration::from_secs(3),
            Fault::CutAgent { whom, ways },
        ),
    ]
}

/// A leader gives up for a moment, and its release is under way for longer than that.
fn given_up_while_requests_are_late(draw: &mut Rng) -> [Timed; 2] {
    let late = Weather {
        loss: 0.2,
        late: 0.6,
        by: spread(draw, 1_000.0, 8_000.0),
        ..Weather::default()
    };
    let begins = CALM + millis(draw, 0, 20_000);
    let flaps = begins + millis(draw, 0, 1_000);
    let whom = Target::Leader;
    let flushes = false;
    let timed = |at, until, fault| Timed { at, until, fault };
    [
        timed(begins, flaps + millis(draw, 0, 2_000), Fault::Weather(late)),
        timed(
            flaps,
            flaps + millis(draw, 10, 500),
            Fault::LinkDown { whom, flushes },
        ),
    ]
}

/// A fault, and the shortest and longest it lasts, in milliseconds.
fn fault(draw: &mut Rng, hosts: usize) -> (Fault, f64, f64) {
    let whom = if draw.u8(..10) < 6 {
        Target::Leader
    } else {
        Target::Host(draw.usize(..hosts))
    };
    let ways = [Ways::Both, Ways::Both, Ways::Out, Ways::In][draw.usize(..4)];
    let (moment, outage) = ((1.0, 1.0), (300.0, 25_000.0));
    let (fault, (shortest, longest)) = match draw.u8(..64) {
        0..=5 => {
            let record = match draw.u8(..8) {
                0 => Record::Lost,
                1 => Record::Garbage,
                2 => Record::OtherBoot,
                _ => Record::Kept,
            };
            (Fault::Kill { whom, record }, (50.0, 20_000.0))
        }
        6..=9 => (Fault::Freeze { whom }, (20.0, 40_000.0)),
        10 | 11 => (Fault::FreezeBoth { whom }, (20.0, 30_000.0)),
        12 => (Fault::FreezeServer { whom }, outage),
        13 | 14 => (Fault::FreezeRaftLeader, (300.0, 20_000.0)),
        15 | 16 => (Fault::Crash { whom }, (2_000.0, 25_000.0)),
        17..=19 => (Fault::Stop { whom }, (10.0, 10_000.0)),
        20 => {
            let lock_delay = lock_delay(draw);
            (Fault::Reconfigure { whom, lock_delay }, (10.0, 2_000.0))
        }
        21..=23 => (Fault::CutAgent { whom, ways }, outage),
        24..=27 => (Fault::Isolate { whom, ways }, outage),
        28 | 29 => {
            let with = draw.usize(..hosts.max(3));
            (Fault::CutPair { whom, with, ways }, outage)
        }
        30..=35 => (Fault::Weather(weather(draw)), (1_000.0, 25_000.0)),
        36..=38 => {
            let leave = draw.bool();
            (Fault::RestartAgent { whom, leave }, (300.0, 8_000.0))
        }
        39..=41 => (Fault::ChangeRaftLeader, moment),
        42..=44 => (Fault::FlapCheck { whom }, (50.0, 8_000.0)),
        45 => (Fault::Lag { whom }, outage),
        46..=48 => (Fault::DeleteKey, moment),
        49..=51 => (Fault::DestroySession, moment),
        52 | 53 => (Fault::Overwrite, moment),
        54 => (Fault::WriteValue, moment),
        55..=58 => {
            let flushes = draw.bool();
            (Fault::LinkDown { whom, flushes }, (10.0, 10_000.0))
        }
        59 | 60 => (Fault::RemoveAddress { whom }, moment),
        _ => {
            let full = draw.bool();
            (Fault::NoMemory { whom, full }, outage)
        }
    };
    (fault, shortest, longest)
}

fn weather(draw: &mut Rng) -> Weather {
    let mut share = |most: f64| if draw.bool() { draw.f64() * most } else { 0.0 };
    Weather {
        loss: share(0.4),
        twice: share(0.3),
        late: share(0.6).max(0.05),
        by: spread(draw, 100.0, 8_000.0),
    }
}
