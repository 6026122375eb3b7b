//! A daemon that dies, or stands still, on a host that goes on: what its successor takes up, what the
//! kernel does without it, and what it finds when it wakes.

use std::error::Error;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use vip_lab::cluster::{Cluster, Host, Key, Program, SETTLE_LIMIT, Setup};
use vip_lab::process::{Log, Process};
use vip_lab::time::until;
use vip_lab::witness::{AddressEvent, Change};

use crate::DAEMON;
use crate::alone::LIMIT;

type Test = fn(&mut Cluster, &str) -> Result<(), Box<dyn Error>>;

/// How late the kernel removes an address at most.
const KERNEL_LATENESS: Duration = Duration::from_millis(1300);

/// Longer than a session lives that nobody renews (twice its TTL of 10 s), and the lock-delay of 3 s.
const FREEZE: Duration = Duration::from_secs(25);

pub(crate) fn trials() -> Vec<Trial> {
    let tests: [(&str, Option<u64>, Test); 3] = [
        (
            "a_killed_daemon_that_is_restarted_leads_on_and_nobody_notices",
            Some(200),
            restarted,
        ),
        (
            "the_kernel_removes_the_address_of_a_killed_daemon",
            None,
            not_restarted,
        ),
        (
            "a_frozen_leader_is_replaced_and_stands_by_when_it_wakes",
            None,
            frozen,
        ),
    ];
    let trial = |(name, restart, test): (&str, Option<u64>, Test)| {
        Trial::test(name, move || run(restart, test))
    };
    tests.map(trial).into()
}

fn run(restart: Option<u64>, test: Test) -> Result<(), Failed> {
    // Three intervals are longer than the others wait for a restart by default: a busy machine starts slowly.
    let program = Program::manager(DAEMON).args(["--log-level=debug", "--peer-interval=300ms"]);
    let setup = Setup::new().daemon(program);
    let setup = match restart {
        Some(after) => setup.supervised(Duration::from_millis(after)),
        None => setup,
    };
    setup.run(test).map_err(Failed::from)
}

fn restarted(cluster: &mut Cluster, leader: &str) -> Result<(), Box<dyn Error>> {
    const ROUNDS: u32 = 3;
    // As long as a round at least.
    let quiet = Instant::now();
    std::thread::sleep(Duration::from_secs(4));
    let noise = cluster.outage(quiet..Instant::now());
    let before = lock(cluster, leader)?;
    let (events, start) = (cluster.addresses().events()?.len(), Instant::now());
    for round in 1..=ROUNDS {
        let log = cluster.host(leader)?.log().clone();
        let mark = log.len();
        cluster.strike_daemon(leader)?;
        log.wait_for(
            "went on with the session of the process before",
            mark,
            LIMIT,
        )?;
        log.wait_for("*** LOCK ACQUIRED ***", mark, LIMIT)?;
        // Past the end of all leases of the life before.
        std::thread::sleep(Duration::from_millis(3_000 + 331 * u64::from(round)));
    }
    let after = lock(cluster, leader)?;
    assert_eq!(before, after, "the key was not even touched");
    assert_eq!(cluster.host(leader)?.daemon().restarts(), ROUNDS);
    let news = cluster.addresses().events()?.split_off(events);
    assert_eq!(news, [], "the address has moved");
    // An address that is gone for a moment costs a second: the kernel knows no less.
    let outage = cluster.outage(start..Instant::now());
    assert!(
        outage <= noise + Duration::from_millis(300),
        "{outage:?} without an answer; undisturbed {noise:?}"
    );
    Ok(())
}

fn not_restarted(cluster: &mut Cluster, leader: &str) -> Result<(), Box<dyn Error>> {
    let refreshes = Refreshes::of(cluster.host(leader)?)?;
    // One that was seen, so that the last one will be.
    refreshes.wait()?;
    let events = cluster.addresses().events()?.len();
    cluster.kill_daemon(leader)?;
    let gone = first(cluster, events, Change::Gone)?;
    assert_eq!(*gone.host, *leader);
    let (refreshed, lifetime) = refreshes.last(&gone)?;
    let took = gone.at - refreshed;
    assert!(
        took <= lifetime + KERNEL_LATENESS,
        "gone {took:?} after a refresh for {lifetime:?}"
    );
    assert!(
        lifetime < Duration::from_secs(3),
        "the kernel was lent the address for {lifetime:?}, and the lock-delay is 3 s"
    );
    Ok(())
}

fn frozen(cluster: &mut Cluster, leader: &str) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let process = cluster.host(leader)?.daemon().id();
    let mark = cluster.host(leader)?.log().len();
    cluster.freeze_daemon(leader)?;
    let successor = cluster.wait_for_successor(start, leader, Duration::from_secs(45))?;
    std::thread::sleep(FREEZE.saturating_sub(start.elapsed()));
    cluster.thaw_daemon(leader)?;
    let log = cluster.host(leader)?.log();
    log.wait_for("*** LOCK LOST ***", mark, LIMIT)?;
    let now = cluster.settle(SETTLE_LIMIT)?;
    assert_eq!(now, *successor.by, "nobody preempts");
    assert_eq!(cluster.host(leader)?.daemon().id(), process);
    let standing_by = cluster.host(leader)?.log();
    standing_by.wait_for("standing by", mark, LIMIT)?;
    assert_eq!(cluster.overlap(start..Instant::now())?, Duration::ZERO);
    Ok(())
}

/// Returns the trigger key, which somebody holds.
fn lock(cluster: &Cluster, leader: &str) -> Result<Key, Box<dyn Error>> {
    let key = cluster.host(leader)?.agent().key(cluster.key())?;
    let key = key.ok_or("the trigger key is gone")?;
    if key.session.is_none() {
        return Err("nobody holds the lock".into());
    }
    Ok(key)
}

/// Waits for the first change of the virtual IP after the mark `from`.
fn first(cluster: &Cluster, from: usize, change: Change) -> Result<AddressEvent, Box<dyn Error>> {
    let vip = cluster.vip();
    let what = format!("{change:?}");
    Ok(cluster.addresses().history().wait(&what, LIMIT, |events| {
        let mut new = events.iter().skip(from);
        new.find(|event| event.address == vip && event.change == change)
            .cloned()
    })?)
}

/// What the kernel says about every refresh of an address on a host, by `ip monitor`.
struct Refreshes {
    log: Log,
    _monitor: Process,
}

impl Refreshes {
    fn of(host: &Host) -> Result<Self, Box<dyn Error>> {
        let log = Log::default();
        let mut command = host.namespace().command("ip");
        command.args(["-o", "monitor", "address"]);
        let monitor = Process::start(command, &log, &host.directory().join("monitor.log"))?;
        Ok(Self {
            log,
            _monitor: monitor,
        })
    }

    fn wait(&self) -> Result<(), Box<dyn Error>> {
        self.log.wait_for("10.77.0.200", 0, LIMIT)?;
        Ok(())
    }

    /// Returns when the address that is `gone` was last refreshed, and for how long.
    fn last(&self, gone: &AddressEvent) -> Result<(Instant, Duration), Box<dyn Error>> {
        let address = gone.address.to_string();
        // Not before it has been heard here as well.
        until("the monitor to say that it is gone", LIMIT, || {
            let said = self.log.tail(20);
            let deleted = |line: &str| line.contains("Deleted") && line.contains(&address);
            if said.lines().any(deleted) {
                Ok(())
            } else {
                Err(said)
            }
        })?;
        let found = self.log.read(|lines| {
            let refresh = lines
                .iter()
                .rfind(|line| line.text.contains(&address) && !line.text.contains("Deleted"))?;
            let after = refresh.text.split("valid_lft ").nth(1)?;
            let seconds = after.split("sec").next()?.parse().ok()?;
            Some((refresh.at, Duration::from_secs(seconds)))
        });
        found.ok_or_else(|| format!("no refresh was seen:\n{}", self.log.tail(20)).into())
    }
}
