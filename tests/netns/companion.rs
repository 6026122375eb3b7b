//! Without `--manage-vip`: the daemon elects, and a real vip-manager moves the address.

use std::error::Error;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use vip_lab::cluster::{Cluster, Fault, Program, SETTLE_LIMIT, Setup};
use vip_lab::time::until;
use vip_lab::{chain, drill, parts};

use crate::DAEMON;

type Test = fn(&mut Cluster, &str) -> Result<(), Box<dyn Error>>;

pub(crate) fn trials() -> Vec<Trial> {
    let tests: [(&str, Test); 3] = [
        ("vip_manager_follows_the_elector_through_a_stop", |c, l| {
            follows(c, l, Fault::Stop)
        }),
        (
            "vip_manager_follows_the_elector_through_a_check_failure",
            |c, l| follows(c, l, Fault::CheckFailure),
        ),
        (
            "beside_vip_manager_the_elector_touches_no_address",
            touches_nothing,
        ),
    ];
    tests
        .map(|(name, test)| Trial::test(name, move || run(test)))
        .into()
}

fn run(test: Test) -> Result<(), Failed> {
    let vip_manager = parts::vip_manager().map_err(|error| chain(&error))?;
    let setup = Setup::new()
        .daemon(Program::elector(DAEMON))
        .companion(Program::new(vip_manager).args(["--config={config}"]));
    setup.run(test).map_err(Failed::from)
}

/// vip-manager makes no promise about overlap, so none is asserted.
fn follows(cluster: &mut Cluster, leader: &str, fault: Fault) -> Result<(), Box<dyn Error>> {
    let outcome = drill::run(cluster, fault, leader, |_| {})?;
    if outcome.after.is_some() {
        Ok(())
    } else {
        Err(format!("{outcome:?}").into())
    }
}

/// With every vip-manager frozen, the lock moves and the address does not.
fn touches_nothing(cluster: &mut Cluster, leader: &str) -> Result<(), Box<dyn Error>> {
    let names: Vec<String> = cluster
        .hosts()
        .iter()
        .map(|host| host.name().to_owned())
        .collect();
    for name in &names {
        cluster.freeze_companion(name)?;
    }
    let mark = cluster.addresses().events()?.len();
    let start = Instant::now();
    cluster.stop_daemon(leader)?;
    let agent = cluster.host(leader)?.agent();
    let successor = until("the lock to move", Duration::from_secs(10), || match agent
        .key(cluster.key())
    {
        Ok(Some(key)) if key.session.is_some() => key.value.ok_or_else(|| "no value".into()),
        Ok(key) => Err(format!("the key is {key:?}")),
        Err(error) => Err(chain(&error)),
    })?;
    assert_ne!(successor, leader);
    let log = cluster.host(&successor)?.log();
    log.wait_for("LOCK ACQUIRED", 0, Duration::from_secs(10))?;
    assert_eq!(cluster.addresses().events()?[mark..], []);
    for name in &names {
        cluster.thaw_companion(name)?;
    }
    cluster.wait_for_successor(start, leader, Duration::from_secs(15))?;
    cluster.start_daemon(leader)?;
    cluster.settle(SETTLE_LIMIT)?;
    Ok(())
}
