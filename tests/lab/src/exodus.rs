//! Driver: every group moves away from one host at once, and what the kernels said of it.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::cluster::{Cluster, Error, Group};
use crate::time::{Timeout, until};
use crate::witness::measure::{self, Move};

/// How long it may take until the others have everything.
const LIMIT: Duration = Duration::from_secs(60);

/// How long daemons stand by before anything happens to their leader, so that they have heard it.
const HEARD: Duration = Duration::from_secs(2);

/// How long the end is watched: an overlap that comes late is to be seen.
const CALM: Duration = Duration::from_secs(1);

/// How long programs that use no locks get for becoming ready: nobody can be asked.
const QUIET: Duration = Duration::from_secs(5);

/// How a host loses all its groups.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// The daemon is asked to stop (SIGTERM).
    Stop,
    /// The daemon is killed.
    Kill,
    /// The whole host loses power.
    Crash,
}

/// What became of the groups of a host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Exodus {
    /// How many addresses another host had in the end.
    pub moved: usize,
    /// The addresses that no other host had in the end.
    pub lost: Vec<IpAddr>,
    /// From the ending to the last address on another host.
    pub took: Option<Duration>,
    /// From the first address off the host to the last one on another; nothing where none was taken off.
    pub between: Option<Duration>,
    /// The longest time in which an address was nowhere; nothing where one stayed, or nobody knows when it
    /// went.
    pub gap: Option<Duration>,
    /// For how long at most two living hosts had the same address.
    pub overlap: Duration,
}

/// Has one host lead every group, and every other one stand by.
pub fn gather(cluster: &mut Cluster, host: &str) -> Result<(), Error> {
    if led_by(cluster, |holder| holder == host).is_err() {
        let others = cluster.others(host).map(|other| other.name().to_owned());
        let others: Vec<String> = others.collect();
        for other in &others {
            cluster.stop_daemon(other)?;
        }
        wait_for(cluster, "one host to have every address", |holder| {
            holder == host
        })?;
        for other in &others {
            cluster.start_daemon(other)?;
        }
    }
    cluster.settle(LIMIT)?;
    if cluster.elects() {
        until("every host to stand ready", LIMIT, || cluster.ready())?;
        std::thread::sleep(HEARD);
    } else {
        std::thread::sleep(QUIET);
    }
    Ok(())
}

/// Has a host that leads every group lose them, and watches until the others have them or time is over.
/// What was done stays done.
pub fn run(cluster: &mut Cluster, host: &str, ending: Ending) -> Result<Exodus, Error> {
    let start = Instant::now();
    match ending {
        Ending::Stop => cluster.begin_to_stop_daemon(host)?,
        Ending::Kill => cluster.kill_daemon(host)?,
        Ending::Crash => cluster.crash(host)?,
    }
    // Whoever has nothing after all that time is said to be lost.
    let _ = wait_for(cluster, "the others to have every address", |holder| {
        holder != host
    });
    std::thread::sleep(CALM);
    if ending == Ending::Stop {
        cluster.wait_for_daemon(host)?;
    }
    let window = start..Instant::now();
    let events = measure::by_address(&cluster.addresses().events()?);
    let moves: Vec<(IpAddr, Option<Move>)> = cluster
        .groups()
        .iter()
        .map(Group::address)
        .map(|address| {
            (
                address,
                events
                    .get(&address)
                    .and_then(|events| measure::moved(events, host, start)),
            )
        })
        .collect();
    let overlap = cluster.overlap(window)?;
    Ok(sum_up(&moves, start, overlap))
}

fn sum_up(moves: &[(IpAddr, Option<Move>)], start: Instant, overlap: Duration) -> Exodus {
    let lost = moves.iter().filter(|(_, found)| found.is_none());
    let done = || moves.iter().filter_map(|(_, found)| *found);
    let last = done().map(|found| found.on).max();
    let first = done().filter_map(|found| found.off).min();
    let gaps: Option<Vec<Duration>> = done()
        .map(|found| Some(found.on.saturating_duration_since(found.off?)))
        .collect();
    Exodus {
        moved: done().count(),
        lost: lost.map(|(address, _)| *address).collect(),
        took: last.map(|last| last - start),
        between: first
            .zip(last)
            .map(|(first, last)| last.saturating_duration_since(first)),
        gap: gaps.and_then(|gaps| gaps.into_iter().max()),
        overlap,
    }
}

/// Waits until each address is on a host that is `wanted`.
fn wait_for(cluster: &Cluster, what: &str, wanted: impl Fn(&str) -> bool) -> Result<(), Timeout> {
    until(what, LIMIT, || led_by(cluster, &wanted))
}

fn led_by(cluster: &Cluster, wanted: impl Fn(&str) -> bool) -> Result<(), String> {
    let present = cluster.addresses().present();
    let addresses = cluster.groups().iter().map(Group::address);
    let missing: Vec<IpAddr> = addresses
        .filter(|address| match present.get(address) {
            Some(holders) => !holders.iter().any(|holder| wanted(holder)),
            None => true,
        })
        .collect();
    match missing.first() {
        None => Ok(()),
        Some(first) => Err(format!("{} are not there, {first} for one", missing.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_and_the_slowest_count() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let address = |last| IpAddr::from([10, 77, 0, last]);
        let found = |off: Option<u64>, on| {
            Some(Move {
                off: off.map(at),
                on: at(on),
            })
        };
        let moves = [
            (address(1), found(Some(10), 15)),
            (address(2), found(Some(30), 90)),
            (address(3), None),
        ];
        let milliseconds = |number| Some(Duration::from_millis(number));
        let expected = Exodus {
            moved: 2,
            lost: vec![address(3)],
            took: milliseconds(90),
            between: milliseconds(80),
            gap: milliseconds(60),
            overlap: Duration::ZERO,
        };
        assert_eq!(sum_up(&moves, start, Duration::ZERO), expected);
        let stays = [(address(1), found(None, 15))];
        let stayed = sum_up(&stays, start, Duration::ZERO);
        assert_eq!((stayed.between, stayed.gap), (None, None));
    }
}
