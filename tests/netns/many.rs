//! Many groups in one process: what goes wrong for a host, or for one of its groups, leaves each address on
//! one host at most, and each group is led again.

use std::error::Error;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use vip_lab::chaos::{self, Fault, Kind, Target};
use vip_lab::cluster::{LOCAL_URL, Program, SETTLE_LIMIT, Setup};

use crate::DAEMON;

pub(crate) fn trials() -> Vec<Trial> {
    vec![Trial::test("many_groups_bear_what_goes_wrong", || {
        borne().map_err(|error| Failed::from(error.to_string()))
    })]
}

/// What `cargo lab chaos --groups 200` does, in small.
fn borne() -> Result<(), Box<dyn Error>> {
    let faults = [
        (Kind::KillSupervised, Target::Leader),
        (Kind::SessionDestroyed, Target::Leader),
        (Kind::Drain, Target::Leader),
        (Kind::AgentRestart, Target::Other(0)),
    ];
    let program = Program::manager(DAEMON).args([
        format!("--health-url={LOCAL_URL}"),
        "--health-interval=100ms".to_owned(),
    ]);
    let setup = Setup::new().groups(12).daemon(program);
    let setup = setup.supervised(Duration::from_millis(200));
    Ok(setup.run(|cluster, _| {
        let start = Instant::now();
        for (number, (kind, target)) in faults.into_iter().enumerate() {
            // Another group each time, of the other family.
            cluster.turn_to(number);
            let leader = cluster.settle(SETTLE_LIMIT)?;
            let fault = Fault {
                kind,
                target,
                after: 0,
                pace: 100,
            };
            let outcome = chaos::run(cluster, &[fault], &leader, |_, _| {})?;
            if !outcome.is_good() {
                return Err(format!("{kind}: {outcome:?}").into());
            }
        }
        assert_eq!(cluster.overlaps(start..Instant::now())?, []);
        Ok(())
    })?)
}
