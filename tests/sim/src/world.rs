//! Pure: one simulation. Events in true time, each drawn from the seed, on the shipped machines and
//! reconcilers.

mod account;
mod agent;
mod catalog;
mod consul;
mod daemons;
mod event;
mod notes;
mod peers;
mod raft;
mod strikes;
mod takeover;
mod vip;
mod watches;
mod witness;

use std::collections::BinaryHeap;
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use vip_elector::election::note::Note;
use vip_elector::election::rules::Rule;

use self::agent::Service;
use self::event::{Coming, Event};
use self::takeover::Vacated;
use crate::clock::Clock;
use crate::invariants::{Invariants, Violation, recovery_bound};
use crate::kernel::Kernel;
use crate::network::Network;
use crate::process::Process;
use crate::raft::{Cluster, SERVERS};
use crate::request::Request;
use crate::schedule::{HostPlan, Schedule};
use crate::tally::Tally;
use crate::trace::{Trace, Who};

/// How long beyond the lock-delay the address must have been up for its leader to count as one that
/// stays: it has confirmed since.
const STAYS: Duration = Duration::from_secs(2);

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

/// What is played: the daemon as it is, or with one of its rules broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Game {
    /// The rule, if any.
    pub broken: Option<Rule>,
    /// What ends the game.
    pub heed: Heed,
}

/// Which violations count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Heed {
    /// All of them.
    #[default]
    All,
    /// Only two hosts with the address at one instant: how far a broken rule leads.
    Overlap,
}

impl Game {
    /// Breaks a rule.
    pub const fn breaking(rule: Rule) -> Self {
        Self {
            broken: Some(rule),
            heed: Heed::All,
        }
    }
}

/// Runs a schedule to its end or to the first violation.
pub fn run(schedule: &Schedule, game: Game, trace: Trace) -> Ended {
    let mut world = World::new(schedule, game, trace);
    world.begin();
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

struct World<'a> {
    schedule: &'a Schedule,
    game: Game,
    now: Duration,
    coming: BinaryHeap<Coming>,
    drawn: u64,
    draw: Rng,
    hosts: Vec<Host>,
    nodes: Vec<Node>,
    cluster: Cluster,
    network: Network,
    invariants: Invariants,
    violation: Option<Violation>,
    /// The host that each fault has hit.
    victims: Vec<usize>,
    /// Of sessions and processes.
    numbers: u64,
    /// Who last had the address.
    last_holder: Option<usize>,
    /// How many sessions were ended by a candidate that missed their leader.
    deposes: u32,
    /// A leader whose daemon ended, and nothing else went wrong.
    vacated: Option<Vacated>,
    tally: Tally,
    trace: Trace,
}

/// A host, its kernel and its daemon.
#[derive(Debug)]
struct Host {
    plan: HostPlan,
    clock: Clock,
    kernel: Kernel,
    process: Option<Process>,
    /// The note in the runtime directory, and the boot and the lock-delay with which it was written.
    note: Option<(Note, u32, Duration)>,
    boot: u32,
    /// By how many faults the runtime directory can be written no more, and by how many not even be
    /// tidied.
    full: u32,
    read_only: u32,
    /// By how many faults the check is critical.
    critical: u32,
    /// The longest lock-delay that its last daemon knew of: its own, and those it was told.
    told: Duration,
    /// By how many faults the host is without power.
    off: u32,
    /// By how many faults it is not fit to lead.
    unfit: u32,
    /// Since when it has been drained, if it is.
    drained: Option<Duration>,
    /// When its daemon was last killed or frozen.
    gone: Duration,
    /// When its daemon last sent word to its liveness check.
    fed: Duration,
}

/// A host's Consul agent, which on the first hosts is a server.
#[derive(Debug, Default)]
struct Node {
    down: u32,
    frozen: u32,
    /// What came while it was frozen.
    held: Vec<Rc<Request>>,
    /// What Consul was told of it: alive or not, or nothing; and the news that is on its way.
    alive: Option<bool>,
    gossip: u64,
    gossiping: bool,
    /// What its host's daemon has registered, and whether the catalog was told of it.
    service: Option<Service>,
    told: bool,
}

impl<'a> World<'a> {
    fn new(schedule: &'a Schedule, game: Game, trace: Trace) -> Self {
        let hosts: Vec<Host> = schedule
            .hosts
            .iter()
            .map(|plan| Host {
                plan: *plan,
                clock: Clock::new(Duration::ZERO, plan.clock_reads, plan.drift_ppm),
                kernel: Kernel::default(),
                process: None,
                note: None,
                boot: 0,
                full: 0,
                read_only: 0,
                critical: 0,
                told: plan.lock_delay,
                off: 0,
                unfit: 0,
                drained: None,
                gone: Duration::ZERO,
                fed: Duration::ZERO,
            })
            .collect();
        let clocks: Vec<Clock> = (0..SERVERS)
            .map(|server| {
                let drift = schedule.hosts.get(server).map_or(0, |plan| plan.drift_ppm);
                Clock::new(Duration::ZERO, Duration::from_secs(1), drift)
            })
            .collect();
        Self {
            schedule,
            game,
            now: Duration::ZERO,
            coming: BinaryHeap::with_capacity(256),
            drawn: 0,
            draw: Rng::with_seed(schedule.seed ^ 0x5eed_5eed_5eed_5eed),
            nodes: (0..hosts.len().max(SERVERS))
                .map(|_| Node {
                    alive: Some(true),
                    ..Node::default()
                })
                .collect(),
            invariants: Invariants::new(hosts.len()),
            hosts,
            cluster: Cluster::new(&clocks),
            network: if schedule.is_alone() {
                Network::calm()
            } else {
                Network::default()
            },
            violation: None,
            victims: vec![0; schedule.faults.len()],
            numbers: 0,
            last_holder: None,
            deposes: 0,
            vacated: None,
            tally: Tally::default(),
            trace,
        }
    }

    fn begin(&mut self) {
        self.found_cluster();
        for host in 0..self.hosts.len() {
            self.at(self.hosts[host].plan.starts, Event::Start { host });
        }
        for (number, timed) in self.schedule.faults.iter().enumerate() {
            self.at(timed.at, Event::Strike(number));
            self.at(timed.until, Event::Mend(number));
        }
        self.at(self.schedule.healed(), Event::Healed);
    }

    fn play(&mut self) -> Option<(Duration, Violation)> {
        let healed = self.schedule.healed();
        let longest = self.schedule.longest_lock_delay();
        let bound = recovery_bound(longest, self.schedule.silence());
        let stays = longest + STAYS;
        self.at(
            healed + bound + stays + Duration::from_millis(1),
            Event::Nothing,
        );
        while let Some(Coming { at, event, .. }) = self.coming.pop() {
            self.now = at;
            self.tally.events += 1;
            // What the kernels show before an event was so since the event before.
            self.look();
            self.see_whether_taken_over();
            if self.violation.is_none() {
                self.happen(event);
            }
            if let Some(violation) = self.heeded() {
                return Some((at, violation));
            }
            if at > healed + stays
                && let Some(since) = self.leader_since()
                && at > since.max(healed) + stays
            {
                let recovery = since.saturating_sub(healed);
                self.tally.longest_recovery = self.tally.longest_recovery.max(recovery);
                if recovery > bound {
                    self.violation = Some(Violation::NoLeader(recovery));
                }
                return self.heeded().map(|violation| (at, violation));
            }
            if at > healed + bound + stays {
                self.violation = Some(Violation::NoLeader(at.saturating_sub(healed)));
                return self.heeded().map(|violation| (at, violation));
            }
        }
        None
    }

    /// What was seen last, if it counts.
    fn heeded(&mut self) -> Option<Violation> {
        let seen = self.violation.take()?;
        let counts = match self.game.heed {
            Heed::All => true,
            Heed::Overlap => matches!(seen, Violation::TwoHolders(..)),
        };
        counts.then_some(seen)
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive(request) => self.arrive(request),
            Event::Commit(proposal) => self.commit(*proposal),
            Event::Apply { server, upto } => self.apply(server, upto),
            Event::WatchOver { server, request } => self.watch_over(server, &request),
            Event::Reply(request, result) => self.reply(&request, *result),
            Event::Timeout(request) => self.time_out(&request),
            Event::Ttl { server } => self.ttl(server),
            Event::Elect => self.elect(),
            Event::Gossip { node, number } => self.gossip(node, number),
            Event::AntiEntropy { node } => self.anti_entropy(node),
            Event::LivenessOver { node, number } => self.liveness_over(node, number),
            Event::Reap { node, number } => self.reap(node, number),
            Event::Hear {
                host,
                process,
                sent,
                datagram,
            } => self.hear(host, process, sent, datagram),
            Event::Probe { host, process } => self.probed(host, process),
            Event::Drive { host, process } => self.drive(host, process),
            Event::Look {
                host,
                process,
                turn,
            } => self.turn(host, process, turn),
            Event::Expire { host, token } => self.expire(host, token),
            Event::Start { host } => self.start(host),
            Event::TooLong { host, process } => self.too_long(host, process),
            Event::Strike(number) => self.strike(number),
            Event::Mend(number) => self.mend(number),
            Event::Healed => self.healed(),
            Event::Tidy => self.tidy(),
            Event::Nothing => {}
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

    /// Between `from` and `to` milliseconds.
    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_micros(self.draw.u64(from * 1000..=to * 1000))
    }

    /// How long a task that could run waits until it does, or a netlink request for its answer.
    fn nap(&mut self) -> Duration {
        match self.draw.u8(..64) {
            0 => self.millis(1, 12),
            _ => Duration::from_micros(self.draw.u64(15..400)),
        }
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }
}
