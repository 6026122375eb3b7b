//! Driver: `cargo lab chaos`: rounds of faults until the time is over, a line for each, and a table.

mod logs;
mod table;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use vip_lab::chaos::{self, Deck, Kind, Outcome, Tally};
use vip_lab::clock::Clock;
use vip_lab::cluster::{Cluster, Host, LOCAL_URL, Program, SETTLE_LIMIT, Setup};
use vip_lab::random::Random;
use vip_lab::witness::{AddressEvent, Change};

use crate::screen::Screen;
use crate::table::milliseconds;

/// How long after its death a daemon is started again, as by a supervisor that takes its time.
const RESTART: Duration = Duration::from_millis(200);

/// The time between two questions of a client where there are many groups.
const RHYTHM: Duration = Duration::from_millis(20);

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// Decides on faults, victims and times.
    pub(super) seed: u64,
    /// How many groups each host carries; one is that of everything else in the lab.
    pub(super) groups: u16,
    /// How long new faults come.
    pub(super) time: Duration,
}

/// Runs rounds that the plan's seed decides on until `time` is over; returns whether the promise was kept,
/// somebody answered in time and led after each, and no daemon died that nobody killed.
pub(super) fn run(daemon: &Path, plan: Plan) -> anyhow::Result<bool> {
    let Plan { seed, groups, time } = plan;
    let screen = Screen::new();
    screen.note(&format!(
        "seed {seed}: three hosts on a switch, with a Consul server and the daemon on each, which carries \
         {groups} {}",
        if groups == 1 { "group" } else { "groups" }
    ));
    let mut cluster = setup(daemon, groups, screen)?
        .start()
        .context("the cluster did not start")?;
    let start = Instant::now();
    let mut tally = Tally::default();
    let ended = rounds(&mut cluster, screen, seed, start + time, &mut tally);
    let overlaps = cluster.overlaps(start..Instant::now())?;
    let overlap = overlaps.iter().map(|(_, time)| *time).max();
    let overlap = overlap.unwrap_or_default();
    screen.table(&table::render(&tally.rows()));
    screen.plain("");
    screen.plain("outages are of faults that came alone; *: it never did, and the other one may be the cause");
    let deaths = restarts(&cluster).saturating_sub(tally.strikes());
    let good = matches!(ended, Ok(true)) && overlap.is_zero() && deaths == 0;
    screen.verdict(
        good,
        &format!(
            "seed {seed}: {} faults in {} s, addresses came to a host {} times, overlap {}; daemons that died \
             by themselves: {deaths}",
            tally.faults(),
            start.elapsed().as_secs(),
            arrivals(&cluster, start),
            milliseconds(overlap)
        ),
    );
    for (address, time) in overlaps {
        screen.bad(&format!(
            "{address} was on two hosts for {}",
            milliseconds(time)
        ));
    }
    if let Err(error) = &ended {
        screen.bad(&format!("{error:#}"));
    }
    if !good {
        let kept = logs::keep(&cluster, seed).context("the logs could not be kept")?;
        screen.plain(&format!(
            "what every program said, and what the witnesses saw: {}",
            kept.display()
        ));
        screen.plain(&format!(
            "again: cargo lab chaos --seed {seed} --minutes {} --groups {groups}",
            time.as_secs() / 60
        ));
    }
    Ok(good)
}

fn setup(daemon: &Path, groups: u16, screen: Screen) -> anyhow::Result<Setup> {
    // Of many groups, everything is more than anybody reads.
    let level = if groups == 1 { "debug" } else { "info" };
    let mut program = Program::manager(daemon).proxied().args([
        format!("--log-level={level}"),
        format!("--health-url={LOCAL_URL}"),
        "--health-interval=100ms".to_owned(),
    ]);
    let place = Path::new("/run/vip-lab-clock");
    std::fs::create_dir_all(place).context("cannot make a directory in the sandbox")?;
    match Clock::build(place) {
        Ok(clock) => {
            for (name, value) in clock.environment("{directory}/clock") {
                program = program.env(name, value);
            }
        }
        Err(error) => screen.bad(&format!("no clock can be stepped: {error}")),
    }
    let setup = Setup::new().daemon(program).supervised(RESTART);
    Ok(if groups == 1 {
        setup
    } else {
        setup.groups(groups).probe_every(RHYTHM)
    })
}

/// Returns whether every round was good; stops at the first after which nothing is well.
fn rounds(
    cluster: &mut Cluster,
    screen: Screen,
    seed: u64,
    end: Instant,
    tally: &mut Tally,
) -> anyhow::Result<bool> {
    let mut leader = cluster.settle(SETTLE_LIMIT)?;
    screen.good(&format!("{leader} leads"));
    let (mut deck, mut groups) = (Deck::new(seed), Random::new(!seed));
    let mut good = true;
    while Instant::now() < end {
        if cluster.groups().len() > 1 {
            cluster.turn_to(groups.below(u64::from(u16::MAX)) as usize);
            leader = cluster.settle(SETTLE_LIMIT)?;
            screen.note(&format!(
                "what is about one group is about {}",
                cluster.group()
            ));
        }
        let outcome = chaos::run(cluster, &deck.deal(), &leader, |faults, leader| {
            screen.fault(&describe(faults, leader));
        })?;
        tally.add(&outcome);
        report(screen, &outcome);
        good &= outcome.is_good();
        leader = outcome.settled?;
    }
    Ok(good)
}

fn describe(faults: &[(Kind, String)], leader: &str) -> String {
    let one = |(kind, host): &(Kind, String)| match (kind.is_of_one_host(), host == leader) {
        (false, _) => kind.to_string(),
        (true, true) => format!("{kind}: {host}, which leads"),
        (true, false) => format!("{kind}: {host}"),
    };
    faults.iter().map(one).collect::<Vec<_>>().join(" + ")
}

fn report(screen: Screen, outcome: &Outcome) {
    for (kind, reason) in &outcome.impossible {
        screen.bad(&format!("{kind}: {reason}"));
    }
    for said in &outcome.refused {
        screen.plain(&format!("an operator was told: {said}"));
    }
    let figures = format!(
        "outage {}, overlap {}, well after {:.1} s",
        milliseconds(outcome.outage),
        milliseconds(outcome.overlap),
        outcome.took.as_secs_f64()
    );
    match &outcome.settled {
        Ok(leader) if outcome.is_good() => screen.good(&format!("{leader} leads; {figures}")),
        Ok(leader) if outcome.overlap.is_zero() && outcome.outage > outcome.limit => {
            screen.bad(&format!(
                "{leader} leads; {figures}; the outage may be {} at most",
                milliseconds(outcome.limit)
            ))
        }
        Ok(leader) => screen.bad(&format!("{leader} leads; {figures}")),
        Err(trouble) => screen.bad(&format!("{trouble}; {figures}")),
    }
}

/// Returns how often an address came to a host.
fn arrivals(cluster: &Cluster, start: Instant) -> usize {
    let arrived = |event: &&AddressEvent| event.at >= start && event.change == Change::Appeared;
    cluster
        .addresses()
        .history()
        .read(|events| events.iter().filter(arrived).count())
}

fn restarts(cluster: &Cluster) -> usize {
    let restarts = |host: &Host| host.daemon().restarts() as usize;
    cluster.hosts().iter().map(restarts).sum()
}
