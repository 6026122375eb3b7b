//! Pure: several groups in one process of each host: the shipped machines, one for each group, and what the shipped
//! [`Sharing`](vip_elector::consul::sharing::Sharing) of each process makes of their calls, on one model Consul.
//!
//! [`world`](crate::world) has what concerns one group alone: Consul's servers, kernels, heartbeats, liveness checks. Here
//! one server does, whose messages are late, lost and doubled, and a host has an address for as long as its lease
//! allows. What must always be true:
//!
//! - Never do two hosts have the address of one group.
//! - No lease ends later than the lock-delay after the true sending time of the last request that has proven it.
//! - When the last fault is over, every group has a leader again within [`recovery_bound`], and it stays.
//! - Where nothing happens but to one group, no other group loses its leader.
//! - Then each live session is used by a group, and each key and each candidate entry is locked by a session that
//!   its group uses. A process never knows more live sessions than it has groups, and one.
//! - A process has no more than fifteen requests under way.

mod consul;
mod driver;
mod event;
mod invariants;
mod process;
mod schedule;
mod strikes;

use std::collections::BinaryHeap;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use vip_elector::election::call::SessionId;
use vip_elector::election::note::Note;
use vip_elector::election::rules::Rule;

use self::consul::Watch;
use self::event::{Coming, Event, Inner};
pub use self::invariants::Violation;
use self::invariants::Witness;
use self::process::Process;
pub use self::schedule::{Fault, Schedule, Timed};
use crate::clock::Clock;
use crate::group;
use crate::network::{LATEST, Network};
use crate::request;
use crate::schedule::TTL;
use crate::shrink::fewest;
use crate::store::{Store, Timers};
use crate::sweep::{Swept, sweep_with};
use crate::tally::Tally;
use crate::trace::{Trace, Who};

/// How long a leader must have led to count as one that stays.
const STAYS: Duration = Duration::from_secs(5);

/// How often it is looked who leads.
const LOOK: Duration = Duration::from_millis(250);

/// How long after the last fault every session that nobody renews is dead, also one whose creation was late.
const SETTLED: Duration = Duration::from_secs(2 * 10 + 8 + 3);

/// Returns how long after the last fault every group has a leader at the latest: when a session that nobody renews has
/// died, and the last request has come, and the lock-delay and a standby's wait are over.
pub fn recovery_bound(lock_delay: Duration) -> Duration {
    2 * TTL + LATEST + 2 * lock_delay + Duration::from_secs(5)
}

/// How a simulation ended.
#[derive(Debug)]
pub struct Ended {
    /// What was seen first that must never be, and when.
    pub violation: Option<(Duration, Violation)>,
    /// What happened, in numbers.
    pub tally: Tally,
    /// What happened, in lines, if they were kept.
    pub trace: Vec<String>,
}

/// Runs a schedule to its end or to the first violation, with the daemon as it is or with one of the rules broken of
/// what groups share.
pub fn run(schedule: &Schedule, broken: Option<Rule>, trace: Trace) -> Ended {
    let mut world = World::new(schedule, broken, trace);
    let violation = world.play();
    if let Some((at, violation)) = &violation {
        world
            .trace
            .say(*at, Who::Fate, || format!("VIOLATION: {violation}"));
    }
    world.tally.schedules = 1;
    world.tally.simulated = world.now;
    Ended {
        violation,
        tally: world.tally,
        trace: world.trace.into_lines(),
    }
}

/// Runs the schedules of these seeds, as [`crate::sweep::sweep`] does.
pub fn sweep(seeds: Range<u64>, broken: Option<Rule>, patience: usize) -> Swept<Violation> {
    sweep_with(seeds, patience, |seed| {
        let ended = run(&Schedule::draw(seed), broken, Trace::default());
        (ended.tally, ended.violation)
    })
}

/// Returns which faults of a schedule that fails are not needed for it, and what is seen without them.
pub fn shrink(whole: &Schedule, broken: Option<Rule>) -> Option<(Vec<usize>, Violation)> {
    let all = 0..whole.faults.len();
    let others = |kept: &[usize]| -> Vec<usize> {
        let all = all.clone();
        all.filter(|fault| !kept.contains(fault)).collect()
    };
    let fails = |kept: &[usize]| {
        let ended = run(&whole.without(&others(kept)), broken, Trace::default());
        ended.violation.map(|(_, violation)| violation)
    };
    let alike = |one: &Violation, other: &Violation| one.kind() == other.kind();
    let (kept, violation) = fewest(all.len(), fails, alike)?;
    Some((others(&kept), violation))
}

struct World<'a> {
    schedule: &'a Schedule,
    broken: Option<Rule>,
    now: Duration,
    coming: BinaryHeap<Coming>,
    drawn: u64,
    draw: Rng,
    hosts: Vec<Host>,
    network: Network,
    store: Store,
    timers: Timers,
    ttl_at: Option<Duration>,
    watches: Vec<Rc<Watch>>,
    witness: Witness,
    violation: Option<Violation>,
    /// The host that each fault has hit.
    victims: Vec<usize>,
    /// Of sessions, processes and seats.
    numbers: u64,
    tally: Tally,
    trace: Trace,
}

/// A host, with a count of faults for each group where there may be several.
#[derive(Debug)]
struct Host {
    clock: Clock,
    process: Option<Process>,
    notes: Vec<Note>,
    no_notes: u32,
    /// The group is not in the configuration.
    out: Vec<u32>,
    unfit: Vec<u32>,
    /// By bond.
    critical: [u32; 2],
}

/// The trigger key of a group.
fn key(group: usize) -> String {
    format!("service/g{group}/leader")
}

impl<'a> World<'a> {
    fn new(schedule: &'a Schedule, broken: Option<Rule>, trace: Trace) -> Self {
        let groups = schedule.bonds.len();
        let host = |(drift, _): &(i64, Duration)| Host {
            clock: Clock::new(Duration::ZERO, Duration::from_secs(100), *drift),
            process: None,
            notes: vec![Note::Nothing; groups],
            no_notes: 0,
            out: vec![0; groups],
            unfit: vec![0; groups],
            critical: [0; 2],
        };
        Self {
            schedule,
            broken,
            now: Duration::ZERO,
            coming: BinaryHeap::with_capacity(256),
            drawn: 0,
            draw: Rng::with_seed(schedule.seed ^ 0x5eed_5eed_5eed_5eed),
            hosts: schedule.hosts.iter().map(host).collect(),
            network: if schedule.alone.is_some() {
                Network::calm()
            } else {
                Network::default()
            },
            store: Store::new(),
            timers: Timers::default(),
            ttl_at: None,
            watches: Vec::new(),
            witness: Witness::default(),
            violation: None,
            victims: vec![0; schedule.faults.len()],
            numbers: 0,
            tally: Tally::default(),
            trace,
        }
    }

    fn play(&mut self) -> Option<(Duration, Violation)> {
        self.found();
        for host in 0..self.hosts.len() {
            self.at(self.schedule.hosts[host].1, Event::Start(host));
        }
        for (number, timed) in self.schedule.faults.iter().enumerate() {
            self.at(timed.at, Event::Strike(number));
            self.at(timed.until, Event::Mend(number));
        }
        self.at(self.schedule.healed(), Event::Healed);
        while let Some(Coming { at, event, .. }) = self.coming.pop() {
            self.now = at;
            self.tally.events += 1;
            let ends = matches!(event, Event::Look) && self.looks();
            self.happen(event);
            if let Some(violation) = self.violation.take() {
                return Some((at, violation));
            }
            if ends {
                return None;
            }
        }
        None
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive(request) => self.arrive(request),
            Event::Watch(watch) => self.watched(watch),
            Event::WatchOver(watch) => self.watch_over(&watch),
            Event::Ttl => self.ttl(),
            Event::To {
                host,
                process,
                what,
            } => self.happens_to(host, process, what),
            Event::Start(host) => self.start(host),
            Event::Reload(host) => self.reload(host),
            Event::Strike(number) => self.strike(number),
            Event::Mend(number) => self.mend(number),
            Event::Healed => self.healed(),
            Event::Look => self.after(LOOK, Event::Look),
        }
    }

    /// Looks who leads, and returns whether that is the end of it.
    fn looks(&mut self) -> bool {
        let groups = self.schedule.bonds.len();
        self.witness.look(self.now, groups);
        let (healed, bound) = (
            self.schedule.healed(),
            recovery_bound(self.schedule.lock_delay),
        );
        let mut latest = healed;
        for group in 0..groups {
            let since = self.witness.led_since(group);
            let stays = since.filter(|since| self.now >= *since + STAYS);
            match stays {
                Some(since) => latest = latest.max(since),
                None if self.now > healed + bound + STAYS => {
                    let since = self.now.saturating_sub(healed);
                    self.violation = Some(Violation::NoLeader(group, since));
                    return true;
                }
                None => return false,
            }
        }
        if self.now < healed + SETTLED {
            return false;
        }
        let recovery = latest.saturating_sub(healed);
        self.tally.longest_recovery = self.tally.longest_recovery.max(recovery);
        self.violation = self.left_over();
        true
    }

    /// What lives in Consul, and is of use to nobody.
    fn left_over(&mut self) -> Option<Violation> {
        let mut used: Vec<(usize, usize, SessionId)> = Vec::new();
        for (host, it) in self.hosts.iter().enumerate() {
            let members = it.process.iter().flat_map(|process| &process.members);
            let sessions =
                members.filter_map(|(group, member)| Some((host, *group, member.session()?)));
            used.extend(sessions);
        }
        let mut sessions = 0;
        for (id, _) in self.store.sessions() {
            sessions += 1;
            if !used.iter().any(|(_, _, used)| used == id) {
                return Some(Violation::Idle(id.clone()));
            }
            for locked in self.store.held_by(id) {
                let uses = |(host, group, used): &(usize, usize, SessionId)| {
                    let entry = group::entry(&key(*group), &request::value(*host));
                    used == id && (locked == key(*group) || locked == entry)
                };
                if !used.iter().any(uses) {
                    return Some(Violation::LockedForNobody(locked));
                }
            }
        }
        for _ in 0..used.len() {
            self.tally.saw("in the end: groups");
        }
        for _ in 0..sessions {
            self.tally.saw("in the end: sessions");
        }
        None
    }

    /// A group has lost its leader.
    fn see_whose_fault(&mut self, host: usize, group: usize) {
        if let Some(alone) = self.schedule.alone
            && group != alone
            && self.now >= self.schedule.begins()
        {
            self.violation = Some(Violation::EndsAnother(group, host));
        }
    }

    fn at(&mut self, at: Duration, event: Event) {
        self.drawn += 1;
        self.coming.push(Coming {
            at,
            number: self.drawn,
            event,
        });
    }

    fn after(&mut self, pause: Duration, event: Event) {
        self.at(self.now + pause, event);
    }

    /// Something happens later to the process that a host has now.
    fn later(&mut self, pause: Duration, host: usize, what: Inner) {
        if let Some(process) = &self.hosts[host].process {
            let process = process.number;
            self.to(pause, host, process, what);
        }
    }

    fn to(&mut self, pause: Duration, host: usize, process: u64, what: Inner) {
        let event = Event::To {
            host,
            process,
            what,
        };
        self.after(pause, event);
    }

    /// How long a task that could run waits until it does.
    fn nap(&mut self) -> Duration {
        Duration::from_micros(match self.draw.u8(..16) {
            0 => self.draw.u64(1_000..30_000),
            _ => self.draw.u64(15..800),
        })
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }
}
