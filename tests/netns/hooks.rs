//! Hooks on a host with a real Consul and a real kernel.

use std::error::Error;
use std::fs;
use std::path::Path;

use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use vip_lab::cluster::{Cluster, Host};
use vip_lab::time::until;

use crate::alone::{LIMIT, Test, ends_with, lead, run, until_up};

pub(crate) fn trials() -> Vec<Trial> {
    let tests: [(&str, Test); 1] = [(
        "hooks_are_told_and_one_that_hangs_keeps_neither_address_nor_lock",
        told,
    )];
    tests
        .map(|(name, test)| Trial::test(name, move || run(test)))
        .into()
}

fn told(cluster: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    let path = |name: &str| host.directory().join(name);
    // What it sees, in one piece; and then it hangs.
    let leader = format!(
        "{{ env; ip -o address show; cat /proc/self/status; }} >{0}.new; mv {0}.new {0}; exec sleep 600",
        path("leader").display()
    );
    let standby = format!(
        "ip -o address show >{0}.new; env >>{0}.new; mv {0}.new {0}",
        path("standby").display()
    );
    let mut daemon = lead(
        host,
        &[
            &format!("--on-leader={leader}"),
            &format!("--on-standby={standby}"),
            "--hook-timeout=3s",
        ],
    )?;
    let seen = text(&path("leader"))?;
    let key = host.agent().key(cluster.key())?.ok_or("there is no key")?;
    let term = key.modify_index.to_string();
    for (name, value) in [
        ("GROUP", cluster.key()),
        ("ROLE", "leader"),
        ("TERM", &term),
        ("ADDRESS", "10.77.0.200"),
        ("LEADER", "web1"),
    ] {
        let line = format!("VIP_ELECTOR_{name}={value}");
        assert!(
            seen.lines().any(|seen| seen == line),
            "{line} is not in:\n{seen}"
        );
    }
    assert!(
        seen.contains("inet 10.77.0.200/32"),
        "the address is up before the hook is told:\n{seen}"
    );
    assert!(seen.contains("CapEff:\t0000000000000000"), "{seen}");

    // In the middle of the first hook.
    daemon.process.signal(Signal::SIGTERM)?;
    until_up(host, false)?;
    until("the lock to be given up", LIMIT, || {
        let key = host.agent().key(cluster.key());
        match key.map_err(|error| error.to_string())? {
            Some(key) if key.session.is_none() => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })?;
    assert!(!path("standby").exists(), "two hooks at once");
    ends_with(&mut daemon, 0)?;
    let seen = text(&path("standby"))?;
    assert!(!seen.contains("10.77.0.200/32"), "{seen}");
    for line in ["VIP_ELECTOR_ROLE=standby", "VIP_ELECTOR_REASON=stopping"] {
        assert!(seen.contains(line), "{line} is not in:\n{seen}");
    }
    assert!(seen.contains(&format!("VIP_ELECTOR_TERM={term}")), "{seen}");
    let said = daemon.log.tail(50);
    assert!(
        said.contains("did not end within 3s, and was killed"),
        "{said}"
    );
    Ok(())
}

/// Waits until a hook has written down what it saw.
fn text(path: &Path) -> Result<String, Box<dyn Error>> {
    let what = format!("a hook to write {}", path.display());
    Ok(until(&what, LIMIT, || {
        fs::read_to_string(path).map_err(|error| error.to_string())
    })?)
}
