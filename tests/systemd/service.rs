//! A service that holds the address: start, reload, stop, and what systemd shows of it.

use libtest_mimic::Trial;

use crate::site::{KEY, Outcome, Site, UNIT, VIP, message, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "it_is_up_when_it_takes_part_and_a_stop_leaves_nothing_behind",
            lives,
        ),
        trial(
            "it_is_up_before_consul_is_and_says_what_it_waits_for",
            waits,
        ),
        trial(
            "a_reload_is_one_for_systemd_too_and_a_refused_one_changes_nothing",
            reloads,
        ),
    ]
}

fn lives(site: &Site) -> Outcome {
    site.hold_the_address(UNIT)?;
    site.systemctl(&["start", UNIT])?;
    assert_eq!(
        site.property(UNIT, "ActiveState")?,
        "active",
        "up as it returns"
    );
    let line = site.wait_for_status(UNIT, "leader of")?;
    let leads = format!("leader of {KEY} since ");
    let holds = format!(", {VIP} on vip0");
    assert!(line.starts_with(&leads), "{line}");
    let line = site.wait_for_status(UNIT, &holds)?;
    assert!(line.ends_with(&holds), "{line}");
    assert!(site.has(VIP)?);

    // A user of its own, and two capabilities, none of which it passes on.
    let user = site.process_field(UNIT, "Uid")?;
    let user: u32 = user.split_whitespace().next().ok_or("no user")?.parse()?;
    assert!(
        (61_184..=65_519).contains(&user),
        "{user} is no dynamic user"
    );
    let two = format!("{:016x}", 1 << 12 | 1 << 13);
    for field in ["CapPrm", "CapEff", "CapBnd"] {
        assert_eq!(site.process_field(UNIT, field)?, two, "{field}");
    }
    for field in ["CapInh", "CapAmb"] {
        assert_eq!(site.process_field(UNIT, field)?, "0".repeat(16), "{field}");
    }

    site.run(&["test", "-d", "/run/vip-elector/"])?;
    site.systemctl(&["stop", UNIT])?;
    assert_eq!(site.property(UNIT, "Result")?, "success");
    assert!(!site.has(VIP)?, "the address stays behind");
    let key = site.key(KEY)?;
    let session = key.lines().find(|line| line.starts_with("Session"));
    let session = session.and_then(|line| line.split_whitespace().nth(1));
    assert_eq!(session, Some("-"), "the lock stays behind: {key}");
    assert!(site.run(&["test", "-e", "/run/vip-elector/"]).is_err());
    Ok(())
}

fn waits(site: &Site) -> Outcome {
    // The unit wants Consul, and would start it.
    site.drop_in(
        "consul.service",
        "[Unit]\nConditionPathExists=/etc/consul-may-start\n",
    )?;
    site.systemctl(&["stop", "consul"])?;
    site.systemctl(&["start", UNIT])?;
    let line = site.wait_for_status(UNIT, "127.0.0.1:8500")?;
    assert!(line.starts_with(&format!("joining {KEY}: ")), "{line}");
    site.write("/etc/consul-may-start", "")?;
    site.systemctl(&["start", "consul"])?;
    site.wait_for_status(UNIT, &format!("leader of {KEY} since "))?;
    assert_eq!(site.property(UNIT, "NRestarts")?, "0");
    // Nothing to do it with: it needs no capability.
    assert_eq!(site.process_field(UNIT, "CapPrm")?, "0".repeat(16));
    assert!(!site.has(VIP)?, "that is vip-manager's");
    Ok(())
}

fn reloads(site: &Site) -> Outcome {
    site.hold_the_address(UNIT)?;
    site.systemctl(&["start", UNIT])?;
    site.wait_for_status(UNIT, "on vip0")?;
    let before = site.key(KEY)?;
    site.group(
        "/etc/vip-manager.yml",
        KEY,
        VIP,
        "vip-elector: {log-level: debug}\n",
    )?;
    site.systemctl(&["reload", UNIT])?;
    site.wait_for_entry(UNIT, "the configuration was reloaded", 1)?;
    site.wait_for(UNIT, "ActiveState", |state| state == "active")?;

    site.group(
        "/etc/vip-manager.yml",
        KEY,
        VIP,
        "vip-elector: {peer-interval: 1s}\n",
    )?;
    site.systemctl(&["reload", UNIT])?;
    let refused = site.wait_for_entry(UNIT, "not reloaded; nothing has changed", 1)?;
    assert_eq!(refused["PRIORITY"], "3");
    site.wait_for(UNIT, "ActiveState", |state| state == "active")?;
    let why = site.journal(UNIT)?;
    let why = why
        .iter()
        .map(message)
        .find(|said| said.contains("this needs a restart"));
    assert!(
        why.is_some_and(|why| why.contains("peer-interval from 100ms to 1s")),
        "{why:?}"
    );

    assert_eq!(site.key(KEY)?, before, "the lock was touched");
    assert!(site.has(VIP)?);
    assert_eq!(site.property(UNIT, "NRestarts")?, "0");
    Ok(())
}
