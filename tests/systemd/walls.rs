//! The sandbox of the units: what a program can do that runs where the daemon would.

use libtest_mimic::Trial;

use crate::site::{Outcome, Site, UNIT, message, trial};

/// Tries what the unit forbids and what it allows, and says what came of it. Perl is on every Debian.
const PROBE: &str = r#"use strict; use Errno;
sub try { my ($what, $done) = @_; print "probe: $what ", ($done ? "yes" : "no"), "\n"; }
sub opens { my $family = shift; my $type = shift // 2; return socket(my $s, $family, $type, 0); }
for my $path ("/etc/new", "/usr/new", "/var/lib/new", "/opt/new", "/root/new", "/sys/kernel/mm/ksm/run") {
    try("writes $path", open(my $f, ">", $path));
}
try("writes its runtime directory", open(my $f, ">", "$ENV{RUNTIME_DIRECTORY}/new"));
try("reads secrets", open(my $g, "<", "/etc/secret"));
my $d; try("reads homes", opendir($d, "/root") && scalar(grep { !/^\./ } readdir($d)));
try("opens unix", opens(1));
try("opens inet", opens(2));
try("opens inet6", opens(10));
try("opens netlink", opens(16, 3));
try("opens packet", opens(17, 3));
try("opens vsock", opens(40, 1));
try("opens alg", opens(38, 5));
try("sees process 1", -e "/proc/1/status");
try("sees this boot", -r "/proc/sys/kernel/random/boot_id");
try("makes a user namespace", syscall(272, 0x10000000) == 0);
my ($what, $where) = ("tmpfs", "/tmp");
try("mounts", syscall(165, $what, $where, $what, 0, 0) == 0);
try("sets the host name", syscall(170, $what, 5) == 0);
try("changes an owner", chown(12345, 12345, "$ENV{RUNTIME_DIRECTORY}/new") == 1);
try("sees devices", -e "/dev/kmsg" || -e "/dev/mem");
system("/bin/true"); try("starts programs", $? == 0);
"#;

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("what_the_units_forbid_is_forbidden", forbidden)]
}

fn forbidden(site: &Site) -> Outcome {
    let alone = [
        "opens inet",
        "opens inet6",
        "opens netlink",
        "opens unix",
        "sees this boot",
        "starts programs",
        "writes its runtime directory",
    ];
    assert_eq!(allowed(site, "")?, alone);
    site.hold_the_address(UNIT)?;
    let mut holding = [&alone[..], &["opens packet"]].concat();
    holding.sort_unstable();
    assert_eq!(allowed(site, "")?, holding);
    // Nor is it only for want of rights: root, who owns all of that, may see more and write no more.
    holding.extend(["reads secrets", "sees process 1"]);
    holding.sort_unstable();
    assert_eq!(allowed(site, "DynamicUser=no\nUser=root\n")?, holding);
    Ok(())
}

/// Runs the probe in the place of the daemon, and returns what it could do.
fn allowed(site: &Site, more: &str) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    site.write("/etc/probe.pl", PROBE)?;
    site.write("/etc/secret", "secret")?;
    site.write("/root/diary", "private")?;
    site.run(&["chmod", "600", "/etc/secret"])?;
    site.run(&["journalctl", "--rotate", "--vacuum-time=1us"])?;
    let probe = format!(
        "[Service]\nType=oneshot\nRestart=no\nWatchdogSec=0\nExecStart=\nExecStart=/usr/bin/perl \
         /etc/probe.pl\n{more}"
    );
    site.drop_in(UNIT, &probe)?;
    // What a user that exists no more leaves is in the way of another one.
    site.run(&["rm", "-f", "/run/vip-elector"])?;
    site.systemctl(&["start", UNIT])?;
    site.wait_for_entry(UNIT, "probe: starts programs", 1)?;
    let entries = site.journal(UNIT)?;
    let said: Vec<&str> = entries
        .iter()
        .filter_map(|entry| message(entry).strip_prefix("probe: "))
        .collect();
    assert!(
        said.len() >= 22,
        "the probe did not come to its end: {said:?}"
    );
    let mut allowed: Vec<String> = said
        .iter()
        .filter_map(|said| said.strip_suffix(" yes"))
        .map(str::to_owned)
        .collect();
    allowed.sort_unstable();
    Ok(allowed)
}
