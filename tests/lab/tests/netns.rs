//! Applier: virtual hosts reach each other when, and only when, the network lets them.

use std::error::Error;
use std::net::{Ipv4Addr, UdpSocket};
use std::process::ExitCode;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use vip_lab::netns::{Bridge, Namespace, Port, Switch};
use vip_lab::runner;

fn main() -> ExitCode {
    runner::main(
        &[],
        vec![
            Trial::test("a_namespace_has_its_own_host_name", || check(own_host_name)),
            Trial::test("ip_netns_finds_a_namespace", || check(found_by_iproute2)),
            Trial::test("a_namespace_goes_with_its_last_handle", || check(goes)),
            Trial::test("hosts_on_one_bridge_hear_each_other", || check(connected)),
            Trial::test("a_port_on_the_island_is_cut_off", || check(partitioned)),
            Trial::test("a_port_that_is_down_takes_the_carrier", || check(unplugged)),
        ],
    )
}

fn check(test: fn() -> Result<(), Box<dyn Error>>) -> Result<(), Failed> {
    test().map_err(Failed::from)
}

fn own_host_name() -> Result<(), Box<dyn Error>> {
    let host = Namespace::new("named")?;
    let output = host.command("uname").arg("-n").output()?;
    assert_eq!(String::from_utf8(output.stdout)?.trim(), "named");
    assert_ne!(nix::unistd::gethostname()?, "named");
    Ok(())
}

fn found_by_iproute2() -> Result<(), Box<dyn Error>> {
    let _host = Namespace::new("bound")?;
    let output = std::process::Command::new("ip")
        .args(["netns", "exec", "bound", "ip", "-o", "link", "show", "lo"])
        .output()?;
    assert!(String::from_utf8(output.stdout)?.contains("LOOPBACK,UP"));
    Ok(())
}

fn goes() -> Result<(), Box<dyn Error>> {
    drop(Namespace::new("again")?);
    Namespace::new("again")?;
    Ok(())
}

fn connected() -> Result<(), Box<dyn Error>> {
    let pair = Pair::new()?;
    assert!(pair.hears()?);
    Ok(())
}

fn partitioned() -> Result<(), Box<dyn Error>> {
    let pair = Pair::new()?;
    pair.port.move_to(Bridge::Island)?;
    assert!(!pair.hears()?);
    pair.port.move_to(Bridge::Network)?;
    assert!(pair.hears()?);
    Ok(())
}

fn unplugged() -> Result<(), Box<dyn Error>> {
    let pair = Pair::new()?;
    pair.port.down()?;
    assert!(
        pair.right
            .ip(&["link", "show", "eth0"])?
            .contains("NO-CARRIER")
    );
    assert!(!pair.hears()?);
    pair.port.up()?;
    assert!(pair.hears()?);
    Ok(())
}

/// Two hosts on a switch.
struct Pair {
    left: Namespace,
    right: Namespace,
    port: Port,
    _switch: Switch,
}

impl Pair {
    const LEFT: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
    const RIGHT: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

    fn new() -> Result<Self, Box<dyn Error>> {
        let switch = Switch::new("switch")?;
        let (left, right) = (Namespace::new("left")?, Namespace::new("right")?);
        switch.plug(&left, Self::LEFT)?;
        let port = switch.plug(&right, Self::RIGHT)?;
        Ok(Self {
            left,
            right,
            port,
            _switch: switch,
        })
    }

    /// Sends from left to right until one arrives, for a second at most.
    fn hears(&self) -> Result<bool, Box<dyn Error>> {
        let sender = self.left.enter(|| UdpSocket::bind((Self::LEFT, 0)))??;
        let receiver = self.right.enter(|| UdpSocket::bind((Self::RIGHT, 7)))??;
        receiver.set_read_timeout(Some(Duration::from_millis(50)))?;
        for _ in 0..20 {
            // Unreachable hosts may be reported as an error, which is an answer too.
            let _ = sender.send_to(b"x", (Self::RIGHT, 7));
            if receiver.recv(&mut [0; 1]).is_ok() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
