//! Pure: everything that a seed decides before a simulation of several groups begins.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;

use crate::fault::{Target, Ways, Weather};
use crate::network::LATEST;

/// Before the first fault, every group has had the time to get a leader: the lock-delay, and this.
const CALM: Duration = Duration::from_secs(4);

/// What one simulation is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Decides what the schedule leaves open.
    pub seed: u64,
    /// How fast each host's clock runs, and when its daemon starts.
    pub hosts: Vec<(i64, Duration)>,
    /// The bond of each group.
    pub bonds: Vec<usize>,
    /// Of all sessions.
    pub lock_delay: Duration,
    /// Whether the hosts stand as candidates.
    pub candidates: bool,
    /// Nothing happens but what concerns this group alone.
    pub alone: Option<usize>,
    /// In the order in which they begin.
    pub faults: Vec<Timed>,
}

/// A fault and its time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timed {
    /// When it begins.
    pub at: Duration,
    /// When it ends.
    pub until: Duration,
    /// Which group it concerns, or whose leader.
    pub group: usize,
    /// Which host it hits.
    pub target: Target,
    /// What it is.
    pub fault: Fault,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// SIGKILL to the daemon; at the end another is started.
    Kill,
    /// SIGSTOP to the daemon, and SIGCONT at the end.
    Freeze,
    /// SIGTERM to the daemon; at the end another is started.
    Stop,
    /// The group is taken out of the daemon's configuration, and put back at the end.
    StopGroup,
    /// The group is not well on this host.
    Unfit,
    /// An operator drains the host for this group.
    Drain,
    /// An operator asks for another leader of this group.
    Switchover,
    /// An operator deletes the trigger key.
    DeleteKey,
    /// Somebody ends the session of the group's leader.
    EndSession,
    /// The check of the group's bond fails on this host.
    Check,
    /// The host's daemon does not reach Consul.
    Cut(Ways),
    /// Messages are lost, doubled and late.
    Weather(Weather),
    /// The host's notes cannot be written.
    NoNotes,
}

impl Schedule {
    /// Draws a schedule. The same seed gives the same.
    pub fn draw(seed: u64) -> Self {
        let mut draw = Rng::with_seed(seed ^ 0x6d61_6e79);
        let hosts = (0..draw.usize(2..=3))
            .map(|_| (draw.i64(-5_000..=5_000), millis(&mut draw, 0, 1_500)))
            .collect();
        let groups = draw.usize(2..=5);
        let two = draw.bool();
        let bonds = (0..groups)
            .map(|group| usize::from(two && group > 0 && draw.bool()))
            .collect();
        let lock_delay = [2_500, 3_000, 3_000, 3_000, 5_000][draw.usize(..5)];
        let mut schedule = Self {
            seed,
            hosts,
            bonds,
            lock_delay: Duration::from_millis(lock_delay),
            candidates: draw.u8(..4) > 0,
            alone: (draw.u8(..4) == 0).then(|| draw.usize(..groups)),
            faults: Vec::new(),
        };
        schedule.strike(&mut draw);
        schedule
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

    /// Returns when the first fault may begin.
    pub fn begins(&self) -> Duration {
        self.lock_delay + CALM
    }

    /// Returns when the last fault is over.
    pub fn healed(&self) -> Duration {
        let last = self.faults.iter().map(|timed| timed.until).max();
        last.unwrap_or_default().max(self.begins()) + Duration::from_millis(500)
    }

    fn strike(&mut self, draw: &mut Rng) {
        let mut at = self.begins();
        // A whole group's life in bad weather is what late requests need.
        let bad = self.alone.is_none() && draw.bool();
        if bad {
            let fault = Fault::Weather(weather(draw));
            let until = at + millis(draw, 10_000, 30_000);
            self.add(draw, at, until, fault);
        }
        for _ in 0..draw.usize(3..=9) {
            at += match draw.u8(..4) {
                0 => millis(draw, 0, 100),
                1 | 2 => millis(draw, 100, 2_000),
                _ => millis(draw, 2_000, 8_000),
            };
            let (fault, from, to) = match self.alone {
                Some(_) => alone(draw),
                None => any(draw),
            };
            let until = at + millis(draw, from, to);
            self.add(draw, at, until, fault);
        }
        self.faults.sort_by_key(|timed| timed.at);
    }

    fn add(&mut self, draw: &mut Rng, at: Duration, until: Duration, fault: Fault) {
        let group = draw.usize(..self.bonds.len());
        let host = Target::Host(draw.usize(..self.hosts.len()));
        self.faults.push(Timed {
            at,
            until,
            group: self.alone.unwrap_or(group),
            target: if draw.bool() { Target::Leader } else { host },
            fault,
        });
    }
}

impl Fault {
    /// Names the kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Freeze => "freeze",
            Self::Stop => "stop",
            Self::StopGroup => "group stopped",
            Self::Unfit => "group unfit",
            Self::Drain => "drain",
            Self::Switchover => "switchover",
            Self::DeleteKey => "key deleted",
            Self::EndSession => "session ended",
            Self::Check => "check fails",
            Self::Cut(_) => "cut",
            Self::Weather(_) => "weather",
            Self::NoNotes => "no notes",
        }
    }

    /// Every kind.
    pub const KINDS: [&str; 13] = [
        "kill",
        "freeze",
        "stop",
        "group stopped",
        "group unfit",
        "drain",
        "switchover",
        "key deleted",
        "session ended",
        "check fails",
        "cut",
        "weather",
        "no notes",
    ];
}

/// What concerns one group, and how long it lasts.
fn alone(draw: &mut Rng) -> (Fault, u64, u64) {
    match draw.u8(..8) {
        0 | 1 => (Fault::StopGroup, 20, 6_000),
        2 => (Fault::Unfit, 500, 6_000),
        3 => (Fault::Drain, 500, 6_000),
        4 => (Fault::DeleteKey, 0, 0),
        _ => (Fault::Switchover, 0, 0),
    }
}

fn any(draw: &mut Rng) -> (Fault, u64, u64) {
    match draw.u8(..16) {
        0..6 => alone(draw),
        6 | 7 => (Fault::Kill, 20, 6_000),
        8 => (Fault::Freeze, 200, 15_000),
        9 => (Fault::Stop, 100, 5_000),
        10 => (Fault::EndSession, 0, 0),
        11 => (Fault::Check, 300, 6_000),
        12 => {
            let ways = [Ways::Both, Ways::Out, Ways::In][draw.usize(..3)];
            (Fault::Cut(ways), 200, 12_000)
        }
        13 | 14 => (Fault::Weather(weather(draw)), 1_000, 12_000),
        _ => (Fault::NoNotes, 1_000, 10_000),
    }
}

fn weather(draw: &mut Rng) -> Weather {
    Weather {
        loss: draw.f64() * 0.1,
        twice: draw.f64() * 0.3,
        late: draw.f64() * 0.3,
        by: LATEST,
    }
}

/// Between `from` and `to` milliseconds.
fn millis(draw: &mut Rng, from: u64, to: u64) -> Duration {
    Duration::from_millis(draw.u64(from..=to))
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "lock-delay {:?}, candidates {}, bonds of the groups {:?}, hosts (ppm, start) {:?}",
            self.lock_delay, self.candidates, self.bonds, self.hosts
        )?;
        for (number, timed) in self.faults.iter().enumerate() {
            let (at, until) = (timed.at.as_secs_f64(), timed.until.as_secs_f64());
            writeln!(
                f,
                "{number:>3} {at:>8.3} to {until:>8.3} s: {:?}, group {}, {:?}",
                timed.fault, timed.group, timed.target
            )?;
        }
        Ok(())
    }
}
