//! Pure: what the doctor thinks of this host: what the daemon may do, who else is there, and the clock.

use std::net::SocketAddr;
use std::time::Duration;

use super::report::Findings;

/// What this host shows.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Whether addresses are held here.
    pub manage_vip: bool,
    /// What `--manage-vip` needs and this process has not.
    pub missing_capabilities: Vec<String>,
    /// Whether a kernel without marks is asked for an address without end.
    pub unmarked: bool,
    /// The runtime directory, and whether it can be written, or why not.
    pub runtime_directory: (String, Result<(), String>),
    /// Of each group, the process that has its lock file.
    pub daemons: Vec<(String, Option<u32>)>,
    /// Other vip-elector daemons that read one of our files, by another runtime directory.
    pub second_daemons: Vec<u32>,
    /// Programs that move or configure addresses.
    pub rivals: Vec<Rival>,
    /// Where heartbeats are received, and whether somebody has that port.
    pub heartbeats: Option<(SocketAddr, bool)>,
    /// What the kernel reads its time from.
    pub clock_source: Option<String>,
    /// For how long this host was suspended since it was booted.
    pub suspended: Duration,
}

/// A running program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rival {
    /// Its name.
    pub name: String,
    /// Its process.
    pub pid: u32,
}

/// Programs that would move the same address.
const MOVERS: [&str; 5] = ["vip-manager", "keepalived", "ucarp", "pacemakerd", "vrrpd"];

/// Returns whether a program is worth to be listed.
pub fn is_rival(name: &str) -> bool {
    MOVERS.contains(&name)
}

/// Says what follows from the facts.
pub fn judge(facts: &Facts, findings: &mut Findings) {
    judge_daemons(facts, findings);
    judge_capabilities(facts, findings);
    judge_rivals(facts, findings);
    judge_runtime(facts, findings);
    judge_heartbeats(facts, findings);
    judge_clock(facts, findings);
}

fn judge_daemons(facts: &Facts, findings: &mut Findings) {
    for (group, daemon) in &facts.daemons {
        match daemon {
            Some(pid) => findings.ok("daemon", format!("process {pid} runs for {group}")),
            None => findings.ok("daemon", format!("none runs for {group} yet")),
        }
    }
    for pid in &facts.second_daemons {
        findings.problem(
            "daemon",
            format!(
                "process {pid} is a vip-elector with the same file and another runtime directory"
            ),
            "stop one of the two: they would take the address off each other",
        );
    }
}

fn judge_capabilities(facts: &Facts, findings: &mut Findings) {
    if !facts.manage_vip {
        return findings.ok("privileges", "none is needed without --manage-vip");
    }
    if facts.unmarked {
        findings.problem(
            "kernel",
            "--kernel-lease=off needs Linux 5.18 or later, which marks addresses as vip-elector's own",
            "leave it out, or write auto",
        );
    }
    if facts.missing_capabilities.is_empty() {
        findings.ok("privileges", "CAP_NET_ADMIN and CAP_NET_RAW are to be had");
    } else {
        findings.warning(
            "privileges",
            format!("this user has not {}", facts.missing_capabilities.join(" and ")),
            "the daemon needs them with --manage-vip: run it as root, or give the service AmbientCapabilities=",
        );
    }
}

fn judge_rivals(facts: &Facts, findings: &mut Findings) {
    if facts.rivals.is_empty() && facts.manage_vip {
        findings.ok("rivals", "no other program that moves addresses runs here");
    }
    for Rival { name, pid } in &facts.rivals {
        let what = format!("{name} runs here, process {pid}");
        match (name.as_str(), facts.manage_vip) {
            ("vip-manager", false) => {
                findings.ok("rivals", format!("{what}: it moves the address"));
            }
            ("vip-manager", true) => findings.problem(
                "rivals",
                format!("{what}, and --manage-vip holds the address as well"),
                "stop and disable vip-manager on all hosts, or leave --manage-vip out on all",
            ),
            (_, _) => {
                findings.warning("rivals", what, "see that it does not move the same address")
            }
        }
    }
    if !facts.manage_vip && !facts.rivals.iter().any(|rival| rival.name == "vip-manager") {
        findings.warning(
            "rivals",
            "vip-manager does not run here, and --manage-vip is not given: nobody moves the address",
            "start vip-manager, or give --manage-vip on all hosts",
        );
    }
}

fn judge_runtime(facts: &Facts, findings: &mut Findings) {
    let (path, writable) = &facts.runtime_directory;
    match writable {
        Ok(()) => findings.ok("runtime", format!("{path} can be written")),
        Err(why) => findings.warning(
            "runtime",
            format!(
                "{path}: {why}; a crash would cost more time, and a second daemon not be noticed"
            ),
            "run this as the daemon's user; RuntimeDirectory=vip-elector in the unit makes it",
        ),
    }
}

fn judge_heartbeats(facts: &Facts, findings: &mut Findings) {
    let runs = facts.daemons.iter().any(|(_, pid)| pid.is_some());
    match facts.heartbeats {
        None => findings.ok(
            "heartbeats",
            "--peer-watch=off: a lost host is replaced when consul has noticed",
        ),
        Some((listen, true)) if !runs => findings.warning(
            "heartbeats",
            format!("another program has UDP {listen}: a lost host would be replaced later"),
            "free the port (ss -ulnp shows who has it), or set --peer-listen on all hosts",
        ),
        Some((listen, true)) => findings.ok("heartbeats", format!("UDP {listen} is the daemon's")),
        Some((listen, false)) if runs => findings.warning(
            "heartbeats",
            format!("the daemon does not listen on UDP {listen}"),
            "look at its log for what it could not have, and restart it",
        ),
        Some((listen, false)) => findings.ok("heartbeats", format!("UDP {listen} is free")),
    }
}

fn judge_clock(facts: &Facts, findings: &mut Findings) {
    match facts.clock_source.as_deref() {
        Some(source @ ("jiffies" | "refined-jiffies" | "acpi_pm" | "hpet" | "pit")) => {
            findings.warning(
                "clock",
                format!("the kernel reads its time from {source}, which is slow or coarse"),
                "find out why it does not trust a better one: dmesg | grep -i clocksource",
            );
        }
        Some(source) => findings.ok("clock", format!("the kernel reads its time from {source}")),
        None => findings.unknown(
            "clock",
            "the kernel does not say what it reads its time from",
            "cat /sys/devices/system/clocksource/clocksource0/current_clocksource",
        ),
    }
    // A boot reads the two clocks one after the other.
    if facts.suspended > Duration::from_secs(1) {
        findings.warning(
            "clock",
            format!(
                "this host was suspended for {} s since it was booted: it may wake with an address that is \
                 another's by then, until the daemon has run",
                facts.suspended.as_secs()
            ),
            "keep it from sleeping: systemctl mask sleep.target suspend.target hibernate.target",
        );
    }
}

#[cfg(test)]
mod tests;
