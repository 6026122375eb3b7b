//! A lock that is lost without its holder's doing: nobody has the address again before the lock-delay
//! is over, whatever else happens meanwhile.

use std::error::Error;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use nix::sys::signal::Signal;
use vip_lab::cluster::{Cluster, Program, SETTLE_LIMIT, Setup};
use vip_lab::witness::Change;

use crate::{DAEMON, LOCK_FLAG};

type Test = fn(&mut Cluster, &str) -> Result<(), Box<dyn Error>>;

/// Long enough for Consul to elect another leader in the middle of it.
const LONG: u64 = 6;
/// The default beside an address.
const USUAL: u64 = 3;

pub(crate) fn trials() -> Vec<Trial> {
    let tests: [(&str, u64, Test); 4] = [
        (
            "a_lock_delay_survives_the_death_of_the_raft_leader",
            LONG,
            |c, _| raft_leader(c, Signal::SIGKILL),
        ),
        (
            "a_lock_delay_survives_a_raft_leader_that_stands_still",
            LONG,
            |c, _| raft_leader(c, Signal::SIGSTOP),
        ),
        (
            "a_key_deleted_under_a_live_leader_is_waited_out",
            USUAL,
            deleted,
        ),
        ("a_value_that_nobody_holds_is_waited_out", USUAL, abandoned),
    ];
    tests
        .map(|(name, delay, test)| Trial::test(name, move || run(delay, test)))
        .into()
}

fn run(delay: u64, test: Test) -> Result<(), Failed> {
    let program = Program::manager(DAEMON).args([format!("--lock-delay={delay}s")]);
    Setup::new().daemon(program).run(test).map_err(Failed::from)
}

/// The session dies, and in the middle of the lock-delay so does the server that keeps the time.
fn raft_leader(cluster: &mut Cluster, signal: Signal) -> Result<(), Box<dyn Error>> {
    let raft = cluster.raft_leader()?;
    let watch = Watch::start(cluster)?;
    cluster.destroy_session()?;
    std::thread::sleep(Duration::from_secs(LONG / 3));
    cluster.host(&raft)?.consul().signal(signal)?;
    watch.expect_nobody_before(cluster, Duration::from_secs(LONG))?;
    if signal == Signal::SIGSTOP {
        cluster.host(&raft)?.consul().signal(Signal::SIGCONT)?;
    } else {
        cluster.kill_consul(&raft)?;
        cluster.start_consul(&raft)?;
    }
    watch.settle(cluster)
}

fn deleted(cluster: &mut Cluster, _: &str) -> Result<(), Box<dyn Error>> {
    let watch = Watch::start(cluster)?;
    cluster.delete_key()?;
    watch.expect_nobody_before(cluster, Duration::from_secs(USUAL))?;
    watch.settle(cluster)
}

/// As another tool may leave it: with the lock's flag, and a value of somebody's.
fn abandoned(cluster: &mut Cluster, leader: &str) -> Result<(), Box<dyn Error>> {
    let watch = Watch::start(cluster)?;
    cluster.delete_key()?;
    let path = format!("/v1/kv/{}?flags={LOCK_FLAG}", cluster.key());
    cluster.host(leader)?.agent().put(&path, "stranger")?;
    watch.expect_nobody_before(cluster, Duration::from_secs(USUAL))?;
    watch.settle(cluster)
}

/// What the kernels say from a moment on at which the lock is still held.
struct Watch {
    start: Instant,
    seen: usize,
}

impl Watch {
    fn start(cluster: &Cluster) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            seen: cluster.addresses().events()?.len(),
            start: Instant::now(),
        })
    }

    /// Waits until a host has the address that did not have it all the time.
    fn expect_nobody_before(
        &self,
        cluster: &Cluster,
        delay: Duration,
    ) -> Result<(), Box<dyn Error>> {
        let vip = cluster.vip();
        let next = cluster.addresses().history().wait(
            "a host to have the address again",
            SETTLE_LIMIT,
            |events| {
                let mut new = events.iter().skip(self.seen);
                new.find(|event| event.address == vip && event.change == Change::Appeared)
                    .cloned()
            },
        )?;
        let after = next.at - self.start;
        if after < delay {
            return Err(format!("{} has it after {after:?}, not {delay:?}", next.host).into());
        }
        Ok(())
    }

    fn settle(&self, cluster: &Cluster) -> Result<(), Box<dyn Error>> {
        cluster.settle(SETTLE_LIMIT)?;
        assert_eq!(cluster.overlap(self.start..Instant::now())?, Duration::ZERO);
        Ok(())
    }
}
