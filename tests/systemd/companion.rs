//! Beside vip-manager, which moves the address.

use libtest_mimic::Trial;

use crate::site::{KEY, Outcome, Site, UNIT, VIP, trial};

const VIP_MANAGER: &str = "vip-manager.service";

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial(
        "the_drop_in_makes_vip_manager_take_its_address_off_when_it_is_stopped",
        stopped,
    )]
}

fn stopped(site: &Site) -> Outcome {
    site.write(
        "/etc/systemd/system/vip-manager.service",
        "[Service]\nExecStart=/usr/local/bin/vip-manager --config=/etc/vip-manager.yml\n",
    )?;
    site.install(
        "vip-manager.service.d/stop.conf",
        "vip-manager.service.d/stop.conf",
    )?;
    site.systemctl(&["daemon-reload"])?;
    site.systemctl(&["start", UNIT])?;
    site.wait_for_status(UNIT, &format!("leader of {KEY}"))?;
    // vip-manager itself may put the address back while it ends; by SIGTERM it never takes it off.
    let mut stays = true;
    for _ in 0..3 {
        site.systemctl(&["start", VIP_MANAGER])?;
        site.wait_for_address(VIP, true)?;
        site.systemctl(&["stop", VIP_MANAGER])?;
        stays = site.has(VIP)?;
        if !stays {
            break;
        }
    }
    assert!(!stays, "it stays behind");

    // And it goes when another host leads.
    site.systemctl(&["start", VIP_MANAGER])?;
    site.wait_for_address(VIP, true)?;
    site.systemctl(&["stop", UNIT])?;
    Ok(site.wait_for_address(VIP, false)?)
}
