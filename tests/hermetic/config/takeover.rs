//! The options of health, liveness, peers and preference.

use std::time::Duration;

use vip_elector::config::{CheckMode, Peers, Probe, ProbeOf};

use super::{Host, warnings};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn milliseconds(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

#[test]
fn nothing_is_said() {
    let config = Host::minimal("").good();
    assert_eq!(config.probe, None);
    assert_eq!(config.check_mode, CheckMode::Session);
    assert_eq!(config.groups[0].liveness_ttl, Some(seconds(3)));
    let listen = "0.0.0.0:8547".parse().unwrap();
    let interval = milliseconds(100);
    assert_eq!(config.peers, Some(Peers { listen, interval }));
    assert_eq!(config.groups[0].priority, 0);
    assert_eq!(config.groups[0].preempt_after, None);
    assert_eq!(warnings(&config), "");
}

#[test]
fn everything_is_said_in_the_file() {
    let text = "vip-elector:\n  check-id: web\n  check-mode: watch\n  health-url: \
                https://127.0.0.1/health\n  health-interval: 50ms\n  health-timeout: 200ms\n  \
                health-fall: 1\n  health-rise: 100\n  liveness-ttl: 1s\n  peer-watch: on\n  \
                peer-listen: \"[::]:8547\"\n  peer-interval: 10ms\n  priority: -1000\n  preempt: \
                true\n  preempt-delay: 0s\n";
    let config = Host::minimal(text).good();
    let expected = Probe {
        what: ProbeOf::Url("https://127.0.0.1/health".parse().unwrap()),
        interval: milliseconds(50),
        timeout: milliseconds(200),
        fall: 1,
        rise: 100,
    };
    assert_eq!(config.probe, Some(expected));
    assert_eq!(config.check_mode, CheckMode::Watch);
    assert_eq!(config.groups[0].liveness_ttl, Some(seconds(1)));
    let listen = "[::]:8547".parse().unwrap();
    let interval = milliseconds(10);
    assert_eq!(config.peers, Some(Peers { listen, interval }));
    assert_eq!(config.groups[0].priority, -1000);
    assert_eq!(config.groups[0].preempt_after, Some(Duration::ZERO));
    insta::assert_snapshot!(config.describe());
}

#[test]
fn flags_win_over_the_file() {
    let text = "vip-elector:\n  check-id: web\n  check-mode: watch\n  health-command: a\n  \
                health-interval: 2s\n  health-timeout: 3s\n  health-fall: 4\n  health-rise: 5\n  \
                liveness-ttl: 4s\n  peer-watch: off\n  peer-listen: 127.0.0.1:1\n  peer-interval: \
                1s\n  priority: 6\n  preempt: true\n  preempt-delay: 7s\n";
    let config = Host::minimal(text)
        .argument("--check-mode=session")
        .argument("--health-command=b\n  c")
        .argument("--health-interval=1h")
        .argument("--health-timeout=1ms")
        .argument("--health-fall=100")
        .argument("--health-rise=1")
        .argument("--liveness-ttl=0s")
        .argument("--peer-watch=on")
        .argument("--peer-listen=10.0.0.1:9")
        .argument("--peer-interval=10s")
        .argument("--priority=1000")
        .argument("--preempt=false")
        .good();
    let expected = Probe {
        what: ProbeOf::Command("b\n  c".to_owned()),
        interval: seconds(3600),
        timeout: milliseconds(1),
        fall: 100,
        rise: 1,
    };
    assert_eq!(config.probe, Some(expected));
    assert_eq!(config.check_mode, CheckMode::Session);
    assert_eq!(config.groups[0].liveness_ttl, None);
    let listen = "10.0.0.1:9".parse().unwrap();
    let interval = seconds(10);
    assert_eq!(config.peers, Some(Peers { listen, interval }));
    assert_eq!(config.groups[0].priority, 1000);
    assert_eq!(config.groups[0].preempt_after, None);
    insta::assert_snapshot!(config.describe());
}

#[test]
fn peers_can_be_told_not_to_watch() {
    let config = Host::minimal("").argument("--peer-watch=off").good();
    assert_eq!(config.peers, None);
    assert!(!config.describe().contains("peer-listen"));
}

#[test]
fn options_that_mean_nothing_alone() {
    let config = Host::minimal("vip-elector: {health-fall: 1}\n")
        .argument("--health-interval=1s")
        .argument("--health-timeout=1s")
        .argument("--health-rise=1")
        .argument("--health-url=")
        .argument("--peer-watch=off")
        .argument("--peer-listen=0.0.0.0:1")
        .argument("--peer-interval=1s")
        .argument("--preempt-delay=1s")
        .good();
    assert_eq!(config.probe, None);
    insta::assert_snapshot!(warnings(&config));
}

#[test]
fn the_liveness_ttl_the_session_and_the_kernel() {
    let host = |more: &str, ttl: &str| {
        let file = format!("ip: 192.168.0.9\ninterface: bond0\nvip-elector: {{{more}}}\n");
        Host::minimal(&file).argument(format!("--liveness-ttl={ttl}"))
    };
    // Nobody's address is taken away too late where none is held, or where the kernel has time.
    for enough in [
        host("lock-delay: 1s", "1s"),
        host("lock-delay: 1s, manage-vip: true", "2s"),
        host("lock-delay: 3s, manage-vip: true", "1s"),
        host("ttl: 10s", "4.999s"),
    ] {
        assert!(!warnings(&enough.good()).contains("liveness"));
    }
    insta::assert_snapshot!(warnings(&host("ttl: 10s", "5s").good()));
}
