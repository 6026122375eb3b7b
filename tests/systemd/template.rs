//! Several configurations, each with a process of its own; and a token that only root can read.

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::site::{Outcome, Site, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial(
        "two_instances_of_the_template_live_side_by_side",
        side_by_side,
    )]
}

fn side_by_side(site: &Site) -> Outcome {
    const WEB: &str = "vip-elector@web.service";
    const DATABASE: &str = "vip-elector@pg-main.service";
    site.group(
        "/etc/vip-elector/web.yml",
        "service/web/leader",
        "10.77.0.201",
        "",
    )?;
    site.group(
        "/etc/vip-elector/pg-main.yml",
        "service/pg/leader",
        "10.77.0.202",
        "vip-elector: {peer-listen: '0.0.0.0:8548', check-id: vip-http}\n",
    )?;
    site.hold_the_address("vip-elector@.service")?;
    site.write("/etc/vip-elector/consul-token", "no-secret\n")?;
    site.run(&["chmod", "600", "/etc/vip-elector/consul-token"])?;
    site.install(
        "vip-elector.service.d/token.conf",
        "vip-elector@pg-main.service.d/token.conf",
    )?;
    site.systemctl(&["daemon-reload"])?;
    site.systemctl(&["start", WEB, DATABASE])?;
    for (unit, key, address) in [
        (WEB, "service/web/leader", "10.77.0.201"),
        (DATABASE, "service/pg/leader", "10.77.0.202"),
    ] {
        site.wait_for_address(address, true)?;
        site.wait_for_status(unit, &format!("{address} on vip0"))?;
        let said = site.journal(unit)?;
        let none = said
            .iter()
            .find(|entry| entry["PRIORITY"] == "4" && entry["_COMM"] == "vip-elector");
        assert!(none.is_none(), "{none:?}");
        assert!(site.key(key)?.contains("host1"));
    }
    // Each has a runtime directory of its own, and `status` finds the one that has the group.
    for (file, key) in [
        ("web", "service/web/leader"),
        ("pg-main", "service/pg/leader"),
    ] {
        let file = format!("--vip-manager-config=/etc/vip-elector/{file}.yml");
        let said = site.run(&["vip-elector", "status", "--json", &file])?;
        let said: Value = serde_json::from_str(&said)?;
        let daemon = &said["groups"][0]["daemon"];
        assert_eq!(
            (&daemon["group"], &daemon["role"]),
            (&json!(key), &json!("leader")),
            "{said}"
        );
    }
    // The token that root alone can read came along; a daemon that cannot read it does not start.
    let credential = "/run/credentials/vip-elector@pg-main.service/consul-token";
    assert_eq!(site.run(&["cat", credential])?, "no-secret\n");

    site.systemctl(&["stop", WEB])?;
    assert!(!site.has("10.77.0.201")?);
    assert!(site.has("10.77.0.202")?);
    assert!(site.run(&["test", "-e", "/run/vip-elector@web/"]).is_err());
    site.run(&["test", "-d", "/run/vip-elector@pg-main/"])?;
    Ok(())
}
