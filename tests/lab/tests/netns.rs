//! Applier: virtual hosts reach each other when, and only when, the network lets them.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream, UdpSocket};
use std::process::ExitCode;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use vip_lab::netns::{Bridge, Losses, Namespace, Port, Switch};
use vip_lab::runner;

/// Longer than anything takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

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
            Trial::test("a_deaf_host_is_heard", || check(deaf)),
            Trial::test("a_mute_host_hears", || check(mute)),
            Trial::test("a_lossy_cable_loses_what_it_says", || check(lossy)),
            Trial::test("a_cable_that_is_carried_by_hand_spoils_nothing", || {
                check(carried)
            }),
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

fn deaf() -> Result<(), Box<dyn Error>> {
    let pair = Pair::new()?;
    pair.know_each_other()?;
    let line = pair.port.degrade(Losses::DEAF)?;
    assert!(!pair.hears()?);
    assert!(pair.is_heard()?);
    drop(line);
    assert!(pair.hears()?);
    Ok(())
}

fn mute() -> Result<(), Box<dyn Error>> {
    let pair = Pair::new()?;
    pair.know_each_other()?;
    let line = pair.port.degrade(Losses::MUTE)?;
    assert!(pair.hears()?);
    assert!(!pair.is_heard()?);
    drop(line);
    assert!(pair.is_heard()?);
    Ok(())
}

fn lossy() -> Result<(), Box<dyn Error>> {
    const SENT: usize = 2000;
    let pair = Pair::new()?;
    pair.know_each_other()?;
    let _line = pair.port.degrade(Losses {
        incoming: 30,
        outgoing: 0,
    })?;
    let sender = pair.left.enter(|| UdpSocket::bind((Pair::LEFT, 0)))??;
    let receiver = pair.right.enter(|| UdpSocket::bind((Pair::RIGHT, 7)))??;
    receiver.set_read_timeout(Some(Duration::from_millis(50)))?;
    // Few at a time, so that no buffer overflows.
    let mut received = 0;
    for _ in 0..SENT / 20 {
        for _ in 0..20 {
            sender.send_to(b"x", (Pair::RIGHT, 7))?;
        }
        sender.send_to(b"end", (Pair::RIGHT, 7))?;
        let mut block = [0; 3];
        while let Ok(length) = receiver.recv(&mut block) {
            received += usize::from(length == 1);
            if length == 3 {
                break;
            }
        }
    }
    let share = received * 100 / SENT;
    assert!((62..=78).contains(&share), "{share} of 100 arrived");
    Ok(())
}

/// Megabytes over TCP: big frames whose checksums the kernel has put off.
fn carried() -> Result<(), Box<dyn Error>> {
    let pair = Pair::new()?;
    let _line = pair.port.degrade(Losses {
        incoming: 0,
        outgoing: 0,
    })?;
    let sent: Vec<u8> = (0..4_000_000_u32).map(|at| (at % 251) as u8).collect();
    let listener = pair.right.enter(|| TcpListener::bind((Pair::RIGHT, 8)))??;
    let mut sender = pair
        .left
        .enter(|| TcpStream::connect_timeout(&(Pair::RIGHT, 8).into(), LIMIT))??;
    let (mut receiver, _) = listener.accept()?;
    receiver.set_read_timeout(Some(LIMIT))?;
    sender.set_write_timeout(Some(LIMIT))?;
    let received = std::thread::scope(|scope| {
        let sending = scope.spawn(|| {
            sender.write_all(&sent)?;
            sender.shutdown(Shutdown::Write)
        });
        let mut received = Vec::new();
        receiver.read_to_end(&mut received)?;
        sending.join().map_err(|_| "the sender panicked")??;
        Ok::<_, Box<dyn Error>>(received)
    })?;
    assert!(received == sent, "{} bytes arrived", received.len());
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

    /// Fixes the hardware addresses: who is not heard cannot be asked for its own.
    fn know_each_other(&self) -> Result<(), Box<dyn Error>> {
        let hardware = |host: &Namespace| -> Result<String, Box<dyn Error>> {
            let shown = host.ip(&["-br", "link", "show", "eth0"])?;
            let address = shown.split_whitespace().find(|word| word.contains(':'));
            Ok(address.ok_or("eth0 has no hardware address")?.to_owned())
        };
        let (left, right) = (hardware(&self.left)?, hardware(&self.right)?);
        for (host, other, lladdr) in [
            (&self.left, Self::RIGHT, right),
            (&self.right, Self::LEFT, left),
        ] {
            let other = other.to_string();
            host.ip(&["neigh", "replace", &other, "lladdr", &lladdr, "dev", "eth0"])?;
        }
        Ok(())
    }

    /// Sends from left to right until one arrives, for a second at most.
    fn hears(&self) -> Result<bool, Box<dyn Error>> {
        arrives((&self.left, Self::LEFT), (&self.right, Self::RIGHT))
    }

    /// The other way round.
    fn is_heard(&self) -> Result<bool, Box<dyn Error>> {
        arrives((&self.right, Self::RIGHT), (&self.left, Self::LEFT))
    }
}

fn arrives(
    (from, source): (&Namespace, Ipv4Addr),
    (to, target): (&Namespace, Ipv4Addr),
) -> Result<bool, Box<dyn Error>> {
    let sender = from.enter(|| UdpSocket::bind((source, 0)))??;
    let receiver = to.enter(|| UdpSocket::bind((target, 7)))??;
    receiver.set_read_timeout(Some(Duration::from_millis(50)))?;
    for _ in 0..20 {
        // Unreachable hosts may be reported as an error, which is an answer too.
        let _ = sender.send_to(b"x", (target, 7));
        if receiver.recv(&mut [0; 1]).is_ok() {
            return Ok(true);
        }
    }
    Ok(false)
}
