//! Pure: keepalived's configuration, for a virtual IP that stays where it is until its host fails.

use std::path::Path;

use vip_lab::cluster::{LOCAL_URL, VIP};

/// How often the master says that it is there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Adverts {
    /// Each second, as by default.
    Default,
    /// Every 100 ms, which takes VRRP version 3.
    Fast,
}

/// Returns the file. All hosts have the same: no priority, no preemption, and a script that asks the
/// host's health endpoint each second, which is as often as keepalived can.
pub(super) fn configuration(adverts: Adverts, curl: &Path) -> String {
    let timing = match adverts {
        Adverts::Default => "advert_int 1",
        Adverts::Fast => "version 3\n    advert_int 0.1",
    };
    format!(
        "global_defs {{
    script_user root
    enable_script_security
}}
vrrp_script health {{
    script \"{curl} --fail --silent --max-time 1 --output /dev/null {LOCAL_URL}\"
    interval 1
}}
vrrp_instance vip {{
    state BACKUP
    nopreempt
    interface eth0
    virtual_router_id 51
    {timing}
    virtual_ipaddress {{
        {VIP}/24 dev eth0
    }}
    track_script {{
        health
    }}
}}
",
        curl = curl.display(),
    )
}
