//! A daemon that is killed, that freezes, or that cannot start.

use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::Value;
use vip_lab::process::{Log, Process};
use vip_lab::time::until;

use crate::site::{KEY, LIMIT, Outcome, Site, UNIT, VIP, message, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "a_killed_daemon_is_started_again_and_goes_on_with_lock_and_address",
            killed,
        ),
        trial(
            "a_frozen_daemon_is_ended_by_the_watchdog_and_another_one_leads",
            frozen,
        ),
        trial(
            "a_daemon_that_aborts_is_started_again_but_not_at_once",
            aborted,
        ),
        trial(
            "a_daemon_that_cannot_start_is_tried_again_now_and_then",
            refused,
        ),
    ]
}

fn killed(site: &Site) -> Outcome {
    const ROUNDS: usize = 5;
    // The kernel is lent the address for 4 s then: a busy machine starts slowly.
    site.group(
        "/etc/vip-manager.yml",
        KEY,
        VIP,
        "vip-elector: {lock-delay: 6s}\n",
    )?;
    site.hold_the_address(UNIT)?;
    site.systemctl(&["start", UNIT])?;
    site.wait_for_status(UNIT, "on vip0")?;
    let before = site.key(KEY)?;
    let (events, monitor) = address_events(site)?;
    for round in 1..=ROUNDS {
        let process = site.property(UNIT, "MainPID")?;
        site.systemctl(&["kill", "--signal=SIGKILL", UNIT])?;
        site.wait_for_entry(
            UNIT,
            "went on with the session of the process before",
            round,
        )?;
        site.wait_for_entry(UNIT, "*** LOCK ACQUIRED ***", round + 1)?;
        let took = took(site, round)?;
        let _ = writeln!(
            io::stderr(),
            "from the end of one to the lock of the next: {took:?}"
        );
        site.wait_for(UNIT, "MainPID", |now| now != process && now != "0")?;
    }
    assert_eq!(site.property(UNIT, "NRestarts")?, ROUNDS.to_string());
    assert_eq!(site.key(KEY)?, before, "the lock was lost, or touched");
    assert!(site.has(VIP)?);
    drop(monitor);
    let gone = events.read(|lines| {
        lines
            .iter()
            .find(|line| line.text.contains("Deleted"))
            .cloned()
    });
    assert!(gone.is_none(), "the address was away: {gone:?}");
    Ok(())
}

/// Returns how long it took from what systemd says of one process's end to the next one's lock.
fn took(site: &Site, round: usize) -> Result<Duration, Box<dyn Error>> {
    let ended = site.wait_for_entry(UNIT, "Main process exited, code=killed", round)?;
    let leads = site.wait_for_entry(UNIT, "*** LOCK ACQUIRED ***", round + 1)?;
    Ok(moment(&leads)?.saturating_sub(moment(&ended)?))
}

/// Returns when an entry of the journal was written, since boot.
fn moment(entry: &Value) -> Result<Duration, Box<dyn Error>> {
    let at = entry["__MONOTONIC_TIMESTAMP"].as_str().ok_or("no time")?;
    Ok(Duration::from_micros(at.parse()?))
}

fn address_events(site: &Site) -> Result<(Log, Process), Box<dyn Error>> {
    let log = Log::default();
    let mut command = site.machine().network().command("ip");
    command.args(["-o", "monitor", "address"]);
    let process = Process::start(command, &log, &site.machine().path("/root/addresses.log"))?;
    // A refresh that was seen, so that what follows will be.
    log.wait_for(VIP, 0, LIMIT)?;
    Ok((log, process))
}

fn frozen(site: &Site) -> Outcome {
    hear_the_pause(site, "WatchdogSec=3s\n")?;
    site.systemctl(&["start", UNIT])?;
    site.wait_for_status(UNIT, "leader of")?;
    // As long as it turns it lives, for longer than the watchdog waits.
    let process = site.property(UNIT, "MainPID")?;
    std::thread::sleep(Duration::from_secs(7));
    assert_eq!(site.property(UNIT, "MainPID")?, process);

    site.systemctl(&["kill", "--signal=SIGSTOP", UNIT])?;
    site.wait_for_entry(UNIT, "Watchdog timeout", 1)?;
    site.wait_for_entry(UNIT, "Failed with result 'watchdog'", 1)?;
    site.wait_for(UNIT, "MainPID", |now| now != process && now != "0")?;
    site.wait_for_entry(UNIT, "*** LOCK ACQUIRED ***", 2)?;
    site.wait_for_status(UNIT, "leader of")?;
    assert_eq!(site.property(UNIT, "NRestarts")?, "1");
    assert_eq!(pauses(site)?, 0, "it was to be at once");
    Ok(())
}

fn aborted(site: &Site) -> Outcome {
    hear_the_pause(site, "")?;
    site.systemctl(&["start", UNIT])?;
    site.wait_for_status(UNIT, "leader of")?;
    // As somebody else would end it, for comparison.
    site.systemctl(&["kill", "--signal=SIGKILL", UNIT])?;
    site.wait_for_entry(UNIT, "*** LOCK ACQUIRED ***", 2)?;
    assert_eq!(pauses(site)?, 0, "after a SIGKILL");

    // As a panic ends it.
    site.systemctl(&["kill", "--signal=SIGABRT", UNIT])?;
    site.wait_for_entry(UNIT, "*** LOCK ACQUIRED ***", 3)?;
    assert_eq!(pauses(site)?, 1, "after an abort");
    let ended = moment(&site.wait_for_entry(UNIT, "Main process exited", 2)?)?;
    let again = moment(&site.wait_for_entry(UNIT, "Scheduled restart job", 2)?)?;
    let apart = again.saturating_sub(ended);
    assert!(apart >= Duration::from_secs(2), "again after {apart:?}");
    assert_eq!(site.property(UNIT, "NRestarts")?, "2");
    Ok(())
}

/// Has the unit say when it pauses before the next start, and adds `more` to it.
fn hear_the_pause(site: &Site, more: &str) -> Outcome {
    const SLEEP: &str = "/opt/witness/sleep";
    site.write(
        SLEEP,
        "#!/bin/sh\necho \"pauses for $1\"\nexec /bin/sleep \"$1\"\n",
    )?;
    site.run(&["chmod", "755", SLEEP])?;
    let path = "Environment=PATH=/opt/witness:/usr/bin:/bin";
    site.drop_in(UNIT, &format!("[Service]\n{path}\n{more}"))
}

fn pauses(site: &Site) -> Result<usize, Box<dyn Error>> {
    let entries = site.journal(UNIT)?;
    let said = entries.iter().map(message);
    Ok(said.filter(|said| said.starts_with("pauses for")).count())
}

fn refused(site: &Site) -> Outcome {
    site.write("/etc/vip-manager.yml", "ip: nonsense\n")?;
    assert!(site.systemctl(&["start", UNIT]).is_err(), "its start fails");
    let entries = site.journal(UNIT)?;
    let mut said = entries.iter().map(message);
    assert!(
        said.any(|said| said.contains("trigger-key")),
        "the reason is in the journal"
    );
    // At 20 ms each it would be hundreds.
    until("the third try", LIMIT, || {
        let tries = site
            .property(UNIT, "NRestarts")
            .map_err(|error| error.to_string())?;
        let number: u32 = tries.parse().map_err(|_| tries.clone())?;
        if number >= 3 { Ok(()) } else { Err(tries) }
    })?;
    let entries = site.journal(UNIT)?;
    let ends = entries
        .iter()
        .filter(|entry| message(entry).contains("Main process exited"))
        .map(moment)
        .collect::<Result<Vec<_>, _>>()?;
    for pair in ends.windows(2) {
        let apart = pair[1].saturating_sub(pair[0]);
        assert!(
            apart >= Duration::from_secs(2),
            "tried again after {apart:?}"
        );
    }
    assert!(ends.len() >= 3, "{ends:?}");
    // It never gives up.
    site.group("/etc/vip-manager.yml", KEY, VIP, "")?;
    site.wait_for(UNIT, "ActiveState", |state| state == "active")?;
    site.wait_for_status(UNIT, "leader of")?;
    Ok(())
}
