//! Reads the kernel's per-interface network settings.
//!
//! `None` means that a setting could not be read, as where `/proc/sys` is hidden from the service.

use std::fs;

/// Says whether the kernel keeps the secondary addresses of an interface when their primary goes.
///
/// Without it, a VIP that shares a prefix with another address takes that one along or is taken
/// along (see [`crate::prefix_for`]). The interface's own setting and that of `all` are or-ed, as
/// the kernel does (Linux `ip-sysctl`).
pub fn promote_secondaries(interface: &str) -> Option<bool> {
    let own = flag("ipv4", interface, "promote_secondaries");
    let all = flag("ipv4", "all", "promote_secondaries");
    match (own, all) {
        (Some(own), Some(all)) => Some(own || all),
        (own, all) => own.or(all),
    }
}

/// Says whether the interface forwards IPv6, so that it is a router to its neighbours.
pub fn ipv6_forwarding(interface: &str) -> Option<bool> {
    flag("ipv6", interface, "forwarding")
}

fn flag(family: &str, interface: &str, name: &str) -> Option<bool> {
    let path = format!("/proc/sys/net/{family}/conf/{interface}/{name}");
    let text = fs::read_to_string(path).ok()?;
    text.trim().parse().ok().map(|value: i32| value != 0)
}
