//! Driver: `cargo lab soak`: elections as fast as they come, and whether anything grows with them.

mod judge;
mod sample;
mod table;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use vip_lab::chain;
use vip_lab::cluster::{Cluster, Host, LOCAL_URL, Program, SETTLE_LIMIT, Setup};
use vip_lab::time::until;

use self::judge::Measures;
use crate::screen::Screen;
use crate::table::milliseconds;

/// What the command line says.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// How long there are elections
    #[arg(long, value_name = "M", default_value_t = 20)]
    minutes: u64,
    /// Run this program instead of building the daemon
    #[arg(long, value_name = "PATH")]
    pub(super) daemon: Option<PathBuf>,
}

/// What is below the list of options.
pub(super) const HELP: &str = "\
Three virtual hosts, each with a Consul server and the daemon. The leader is asked to hand over, and \
asked again as soon as another host answers. After every 20 times the daemon of web3 ends, asked to \
or killed in turn, and is started again; those of web1 and web2 live all the time. Then, when all is \
well, a sample is taken: of these two daemons the resident memory, open files, threads and what they \
logged for each election since the last sample; of Consul the sessions, services and keys.

The rule: the first quarter of the samples is for warming up. Of the rest, the median of the last \
third is held against that of the first third. Open files, threads, sessions, services and keys must \
not be more (one open file and one key may: a leader may or may not be a candidate as well); memory may be 3 % and 256 KiB more, and the log of an election 25 % \
longer. Nothing may be more than that, no two hosts may ever have the address, and no daemon may die \
by itself; else the status is 1. So it is where there are too few samples to tell (below a minute).";

/// How often the leader is asked to hand over between two samples.
const ROUND: usize = 20;

/// How long it may take until another host answers, after a request and after a death.
const HANDOVER_LIMIT: Duration = Duration::from_secs(20);
const DEATH_LIMIT: Duration = Duration::from_secs(45);

/// How long it is waited for that before it is asked again.
const PATIENCE: Duration = Duration::from_secs(2);

/// The host whose daemon ends now and then.
const MORTAL: &str = "web3";

/// Runs elections for as long as the arguments say; returns whether nothing grew, and nothing else went
/// wrong.
pub(super) fn run(arguments: &Arguments, daemon: PathBuf) -> anyhow::Result<bool> {
    let screen = Screen::new();
    screen.note("three hosts on a switch, with a Consul server and the daemon on each");
    let program = Program::manager(daemon).args([
        format!("--health-url={LOCAL_URL}"),
        "--health-interval=100ms".to_owned(),
    ]);
    let mut cluster = Setup::new()
        .daemon(program)
        .start()
        .context("the cluster did not start")?;
    let start = Instant::now();
    let end = start + Duration::from_secs(60 * arguments.minutes);
    let mut soak = Soak::default();
    let ended = soak.elect(&mut cluster, end, screen);
    let overlap = cluster.overlap(start..Instant::now())?;

    let judged = soak.measures.judge();
    screen.table(&table::render(&judged));
    let flat = !judged.is_empty() && judged.iter().all(|judged| judged.is_flat());
    let good = ended.is_ok() && flat && overlap.is_zero();
    screen.verdict(
        good,
        &format!(
            "{} elections in {} s, {} samples, overlap {}: {}",
            soak.elections,
            start.elapsed().as_secs(),
            soak.samples,
            milliseconds(overlap),
            if flat {
                "nothing grew"
            } else {
                "that nothing grows is not shown"
            }
        ),
    );
    if let Err(error) = &ended {
        screen.bad(&format!("{error:#}"));
        screen.plain(&cluster.logs());
    }
    Ok(good)
}

/// What has happened so far.
#[derive(Default)]
struct Soak {
    elections: usize,
    samples: usize,
    endings: usize,
    measures: Measures,
}

impl Soak {
    fn elect(&mut self, cluster: &mut Cluster, end: Instant, screen: Screen) -> anyhow::Result<()> {
        let mut leader = cluster.settle(SETTLE_LIMIT)?;
        screen.good(&format!("{leader} leads"));
        let immortal = cluster.others(MORTAL).map(process).collect::<Vec<_>>();
        let mut said = Instant::now();
        while Instant::now() < end {
            for _ in 0..ROUND {
                leader = self.hand_over(cluster, &leader)?;
            }
            self.end_and_start(cluster, &leader)?;
            leader = cluster.settle(SETTLE_LIMIT)?;
            wait_for_candidates(cluster, &leader)?;
            let alive: Vec<_> = cluster.others(MORTAL).map(process).collect();
            anyhow::ensure!(alive == immortal, "a daemon died by itself");
            let sample = sample::take(cluster, MORTAL)?;
            self.samples += 1;
            self.measures.add(self.elections, sample);
            if said.elapsed() > Duration::from_secs(60) {
                said = Instant::now();
                screen.note(&format!("{} elections", self.elections));
            }
        }
        Ok(())
    }

    /// Has the leader hand over to whoever is best; returns who has the address then.
    fn hand_over(&mut self, cluster: &mut Cluster, leader: &str) -> anyhow::Result<String> {
        wait_for_candidates(cluster, leader)?;
        let asked = Instant::now();
        loop {
            cluster.switch_over("")?;
            match cluster.wait_for_successor(asked, leader, PATIENCE) {
                Ok(answer) => {
                    self.elections += 1;
                    return Ok(answer.by.to_string());
                }
                // It drops a request that comes before it has heard of a candidate.
                Err(_) if asked.elapsed() < HANDOVER_LIMIT => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Ends the daemon that may end, and starts it again when another host has the address.
    fn end_and_start(&mut self, cluster: &mut Cluster, leader: &str) -> anyhow::Result<()> {
        let ending = Instant::now();
        self.endings += 1;
        if self.endings.is_multiple_of(2) {
            cluster.kill_daemon(MORTAL)?;
        } else {
            let status = cluster.stop_daemon(MORTAL)?;
            anyhow::ensure!(
                status.success(),
                "asked to stop, {MORTAL} ended with {status}"
            );
        }
        if leader == MORTAL {
            cluster.wait_for_successor(ending, MORTAL, DEATH_LIMIT)?;
            self.elections += 1;
        }
        Ok(cluster.start_daemon(MORTAL)?)
    }
}

fn wait_for_candidates(cluster: &Cluster, leader: &str) -> anyhow::Result<()> {
    let what = "every other host to be a candidate";
    Ok(until(what, HANDOVER_LIMIT, || candidates(cluster, leader))?)
}

/// Says which of the hosts that do not lead is no candidate yet.
fn candidates(cluster: &Cluster, leader: &str) -> Result<(), String> {
    for host in cluster.others(leader) {
        let (name, key) = (host.name(), cluster.key());
        let entry = host.agent().key(&format!("{key}/candidates/{name}"));
        let entry = entry.map_err(|error| chain(&error))?;
        if entry.is_none_or(|entry| entry.session.is_none()) {
            return Err(format!("{name} is none"));
        }
    }
    Ok(())
}

fn process(host: &Host) -> (String, Option<u32>) {
    (host.name().to_owned(), host.daemon().id())
}
