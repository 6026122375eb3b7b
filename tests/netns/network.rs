//! One host whose virtual IP goes to an interface of its own, with a neighbour at the other end of the cable: carriers,
//! conflicts, and a host that has no IPv4.

use std::error::Error;
use std::io::ErrorKind;
use std::net::{Ipv6Addr, SocketAddrV6, TcpStream};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use vip_lab::cluster::{Cluster, Host};
use vip_lab::netns::Namespace;
use vip_lab::parts;
use vip_lab::process::{Log, Process};
use vip_lab::time::until;
use vip_netlink::{Announcer, Link, Mac, NodeKind};

use crate::DAEMON;
use crate::alone::{Daemon, LIMIT, Test, run};
use crate::answers::curl;

type Tried<T> = Result<T, Box<dyn Error>>;

pub(crate) fn trials() -> Vec<Trial> {
    let tests: [(&str, Test); 7] = [
        (
            "a_carrier_that_flaps_costs_nothing_and_one_that_is_lost_the_lock",
            carrier,
        ),
        ("a_parent_without_a_carrier_is_none_for_its_child", parent),
        (
            "another_machine_that_has_the_address_is_told_and_answered",
            conflict,
        ),
        (
            "who_is_answered_before_it_takes_the_address_leaves_it",
            answered,
        ),
        ("detection_that_finds_another_holder_is_heeded", detected),
        ("a_host_without_ipv4_takes_part", without_ipv4),
        ("a_link_local_address_alone_will_do", link_local),
    ];
    tests
        .map(|(name, test)| Trial::test(name, move || run(test)))
        .into()
}

const V4: &str = "192.0.2.9";
const V6: &str = "2001:db8::9";
const NEIGHBOUR: [u8; 6] = [2, 0, 0, 0, 0, 0x99];

/// `eth9` of the host, and `eth8` of the client at the other end.
struct Cable<'a> {
    host: &'a Host,
    neighbour: &'a Namespace,
}

impl<'a> Cable<'a> {
    fn lay(cluster: &'a Cluster, host: &'a Host) -> Tried<Self> {
        let neighbour = cluster.client();
        let ends = [
            "link", "add", "eth9", "type", "veth", "peer", "name", "eth8",
        ];
        host.namespace()
            .ip(&[&ends[..], &["netns", neighbour.name()]].concat())?;
        neighbour.ip(&["link", "set", "eth8", "address", "02:00:00:00:00:99"])?;
        for (namespace, link, v4, v6) in [
            (host.namespace(), "eth9", "192.0.2.1/24", "2001:db8::1/64"),
            (neighbour, "eth8", "192.0.2.2/24", "2001:db8::2/64"),
        ] {
            namespace.ip(&["link", "set", link, "up"])?;
            namespace.ip(&["address", "add", v4, "dev", link])?;
            namespace.ip(&["address", "add", v6, "dev", link, "nodad"])?;
        }
        Ok(Self { host, neighbour })
    }

    /// Has a daemon compete for `vip` on `interface`.
    fn start(&self, vip: &str, interface: &str, arguments: &[&str]) -> Tried<Daemon> {
        let text = std::fs::read_to_string(self.host.directory().join("vip-manager.yml"))?;
        let other = |line: &str| {
            let own = ["ip:", "netmask:", "interface:"];
            !own.iter().any(|key| line.starts_with(key))
        };
        let mut lines: Vec<&str> = text.lines().filter(|line| other(line)).collect();
        let ours = format!("ip: {vip}\nnetmask: 24\ninterface: {interface}");
        lines.push(&ours);
        start(self.host, &lines.join("\n"), arguments)
    }

    fn has(&self, vip: &str) -> Tried<bool> {
        let shown = self.host.namespace().ip(&["-o", "address", "show"])?;
        Ok(shown.contains(&format!(" {vip}/")))
    }

    fn until_has(&self, vip: &str) -> Tried<()> {
        Ok(until("the address to come up", LIMIT, || {
            match self.has(vip) {
                Ok(true) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })?)
    }

    /// The number of `eth8`.
    fn index(&self) -> Tried<u32> {
        let shown = self.neighbour.ip(&["-o", "link", "show", "dev", "eth8"])?;
        Ok(shown.split(':').next().unwrap_or_default().parse()?)
    }

    fn neighbour_takes(&self, verb: &str, vip: &str) -> Tried<()> {
        let prefix = if vip == V4 { 32 } else { 128 };
        let vip = format!("{vip}/{prefix}");
        self.neighbour.ip(&["address", verb, &vip, "dev", "eth8"])?;
        Ok(())
    }
}

fn start(host: &Host, text: &str, arguments: &[&str]) -> Tried<Daemon> {
    let file = host.directory().join("cable.yml");
    std::fs::write(&file, text)?;
    let mut command = host.command(DAEMON);
    command
        .args(["--manage-vip", "--lock-delay=3s", "--vip-manager-config"])
        .arg(file)
        .args(arguments);
    let log = Log::default();
    let process = Process::start(command, &log, &host.directory().join("daemon.log"))?;
    Ok(Daemon { process, log })
}

fn lost_the_lock(daemon: &Daemon, from: usize) -> bool {
    daemon.log.read(|lines| {
        let mut since = lines.iter().skip(from);
        since.any(|line| line.text.contains("LOCK LOST"))
    })
}

fn carrier(cluster: &Cluster, host: &Host) -> Tried<()> {
    let cable = Cable::lay(cluster, host)?;
    let daemon = cable.start(V4, "eth9", &["--carrier-delay=3s", "--log-level=debug"])?;
    cable.until_has(V4)?;
    daemon.log.wait_for("address added", 0, LIMIT)?;
    let eth8 = |state| cable.neighbour.ip(&["link", "set", "eth8", state]);
    let mark = daemon.log.len();
    let lost = Instant::now();
    eth8("down")?;
    eth8("up")?;
    if lost.elapsed() < Duration::from_secs(2) {
        // The neighbours are told anew, and nothing else happens.
        daemon.log.wait_for("Announce", mark, LIMIT)?;
        assert!(!lost_the_lock(&daemon, mark), "{}", daemon.log.tail(20));
    }
    let mark = daemon.log.len();
    let lost = Instant::now();
    eth8("down")?;
    let said = daemon.log.wait_for("has no carrier", mark, LIMIT)?;
    assert!(said.at - lost >= Duration::from_secs(3), "{}", said.text);
    daemon.log.wait_for("address removed", mark, LIMIT)?;
    assert!(!cable.has(V4)?);
    let mark = daemon.log.len();
    eth8("up")?;
    daemon.log.wait_for("address added", mark, LIMIT)?;
    Ok(())
}

fn parent(cluster: &Cluster, host: &Host) -> Tried<()> {
    let cable = Cable::lay(cluster, host)?;
    let ip = |words: &[&str]| host.namespace().ip(words);
    let child = [
        "link", "add", "child0", "link", "eth9", "type", "macvlan", "mode", "bridge",
    ];
    ip(&child)?;
    ip(&["link", "set", "child0", "up"])?;
    let daemon = cable.start("198.51.100.9", "child0", &["--carrier-delay=0s"])?;
    cable.until_has("198.51.100.9")?;
    daemon.log.wait_for("address added", 0, LIMIT)?;
    let mark = daemon.log.len();
    cable.neighbour.ip(&["link", "set", "eth8", "down"])?;
    daemon.log.wait_for("has no carrier", mark, LIMIT)?;
    daemon.log.wait_for("address removed", mark, LIMIT)?;
    let mark = daemon.log.len();
    cable.neighbour.ip(&["link", "set", "eth8", "up"])?;
    daemon.log.wait_for("address added", mark, LIMIT)?;
    // Made again under its name: another interface to the kernel, and the same one to the operator.
    ip(&["link", "delete", "child0"])?;
    daemon
        .log
        .wait_for("the interface does not exist", mark, LIMIT)?;
    let mark = daemon.log.len();
    ip(&child)?;
    ip(&["link", "set", "child0", "up"])?;
    daemon.log.wait_for("address added", mark, LIMIT)?;
    Ok(())
}

fn conflict(cluster: &Cluster, host: &Host) -> Tried<()> {
    let cable = Cable::lay(cluster, host)?;
    let daemon = cable.start(V4, "eth9", &["--listen=127.0.0.1:8548"])?;
    cable.until_has(V4)?;
    let eth8 = Link {
        index: cable.index()?,
        name: "eth8".to_owned(),
        other_names: Vec::new(),
        mac: Some(Mac(NEIGHBOUR)),
        up: true,
        carrier: true,
        arp: true,
        moves: 0,
    };
    let announcer = cable.neighbour.enter(Announcer::open)??;
    let address = V4.parse()?;
    // What is said in the first second may be from before.
    until("the conflict to be told", LIMIT, || {
        let said = announcer.announce(&eth8, address, NodeKind::Host);
        said.map_err(|error| error.to_string())?;
        daemon.log.read(|lines| {
            let told = |line: &vip_lab::process::Line| {
                line.text
                    .contains("another machine says that it has the address")
                    && line.text.contains("02:00:00:00:00:99")
            };
            lines
                .iter()
                .any(told)
                .then_some(())
                .ok_or("not yet".to_owned())
        })
    })?;
    let metrics = curl(host.command("curl"), &["http://127.0.0.1:8548/metrics"])?;
    let counted = metrics.body.lines().find_map(|line| {
        let rest = line.strip_prefix("vip_elector_address_conflicts_total{")?;
        rest.rsplit_once(' ')?.1.parse::<u64>().ok()
    });
    assert!(counted.is_some_and(|count| count > 0), "{}", metrics.body);
    // It is no reason to give the address up.
    assert!(cable.has(V4)?);
    assert!(!lost_the_lock(&daemon, 0), "{}", daemon.log.tail(20));
    Ok(())
}

fn answered(cluster: &Cluster, host: &Host) -> Tried<()> {
    let cable = Cable::lay(cluster, host)?;
    cable.neighbour_takes("add", V4)?;
    let daemon = cable.start(V4, "eth9", &["--probe-before-takeover=1s"])?;
    let said = daemon.log.wait_for("answers for 192.0.2.9", 0, LIMIT)?;
    assert!(said.text.contains("02:00:00:00:00:99"), "{}", said.text);
    daemon
        .log
        .wait_for("this host cannot hold the address", 0, LIMIT)?;
    assert!(!cable.has(V4)?);
    cable.neighbour_takes("delete", V4)?;
    cable.until_has(V4)
}

fn detected(cluster: &Cluster, host: &Host) -> Tried<()> {
    let cable = Cable::lay(cluster, host)?;
    cable.neighbour_takes("add", V6)?;
    let daemon = cable.start(V6, "eth9", &["--ipv6-dad=on", "--log-level=debug"])?;
    daemon
        .log
        .wait_for("another machine has the address", 0, LIMIT)?;
    let announced = daemon
        .log
        .read(|lines| lines.iter().any(|line| line.text.contains("Announce")));
    assert!(!announced, "{}", daemon.log.tail(20));
    until("the address to go", LIMIT, || match cable.has(V6) {
        Ok(false) => Ok(()),
        other => Err(format!("{other:?}")),
    })?;
    cable.neighbour_takes("delete", V6)?;
    // Announced as soon as it can be used, and not before.
    daemon.log.wait_for("Announce", 0, LIMIT)?;
    let shown = host
        .namespace()
        .ip(&["-o", "address", "show", "dev", "eth9"])?;
    let own = shown.lines().find(|line| line.contains(V6)).ok_or("gone")?;
    assert!(!own.contains("tentative"), "{own}");
    assert!(own.contains("deprecated"), "{own}");
    Ok(())
}

/// Consul, heartbeats and the address over IPv6 alone, on an interface that has but one more address.
fn without_ipv4(cluster: &Cluster, _: &Host) -> Tried<()> {
    let six = Namespace::new("six")?;
    let directory = cluster.host("web1")?.directory().join("six");
    std::fs::create_dir_all(&directory)?;
    six.ip(&["address", "flush", "dev", "lo", "scope", "host"])?;
    six.ip(&["address", "add", "::1/128", "dev", "lo"])?;
    six.ip(&[
        "link", "add", "eth0", "type", "veth", "peer", "name", "eth1",
    ])?;
    six.ip(&["link", "set", "eth1", "up"])?;
    six.ip(&["link", "set", "eth0", "up"])?;
    six.ip(&["address", "add", "fd00::1/64", "dev", "eth0", "nodad"])?;
    assert_eq!(six.ip(&["-4", "-o", "address", "show"])?, "");
    let mut consul = six.command(parts::consul()?);
    consul.args(["agent", "-dev", "-bind=fd00::1", "-client=::1", "-node=six"]);
    let consul_log = Log::default();
    let _consul = Process::start(consul, &consul_log, &directory.join("consul.log"))?;
    consul_log.wait_for("Synced node info", 0, LIMIT)?;
    let file = directory.join("vip-manager.yml");
    std::fs::write(
        &file,
        "ip: fd00::9\nnetmask: 64\ninterface: eth0\ntrigger-key: six/leader\ndcs-type: consul\n\
         dcs-endpoints:\n  - http://[::1]:8500\n",
    )?;
    let mut daemon = six.command(DAEMON);
    daemon
        .args([
            "--manage-vip",
            "--peer-listen=[::]:8547",
            "--log-level=debug",
        ])
        .arg("--vip-manager-config")
        .arg(&file)
        .env("RUNTIME_DIRECTORY", &directory);
    let log = Log::default();
    let _daemon = Process::start(daemon, &log, &directory.join("daemon.log"))?;
    log.wait_for("address=[fd00::1]:8547", 0, LIMIT)?;
    log.wait_for("address added", 0, LIMIT)?;
    let shown = six.ip(&["-o", "address", "show", "dev", "eth0"])?;
    assert!(shown.contains("fd00::9/128"), "{shown}");
    Ok(())
}

/// An interface that has an address of the link alone, and virtual IPs of the link and of the world.
fn link_local(cluster: &Cluster, host: &Host) -> Tried<()> {
    let cable = Cable::lay(cluster, host)?;
    for [family, address] in [["-4", "192.0.2.1/24"], ["-6", "2001:db8::1/64"]] {
        host.namespace()
            .ip(&[family, "address", "delete", address, "dev", "eth9"])?;
    }
    let text = format!(
        "ip: fe80::9\nnetmask: 64\ninterface: eth9\ntrigger-key: link/leader\ndcs-type: consul\nvip-elector:\n  \
         addresses: [{{ip: '{V6}', netmask: 64}}]\n"
    );
    let _daemon = start(host, &text, &[])?;
    cable.until_has("fe80::9")?;
    cable.until_has(V6)?;
    for vip in ["fe80::9", V6] {
        let vip: Ipv6Addr = vip.parse()?;
        let closed = SocketAddrV6::new(vip, 9, 0, cable.index()?).into();
        // Who refuses is there.
        until("the neighbour to be answered", LIMIT, || {
            let asked = || TcpStream::connect_timeout(&closed, Duration::from_secs(1));
            match cable.neighbour.enter(asked) {
                Ok(Err(refused)) if refused.kind() == ErrorKind::ConnectionRefused => Ok(()),
                other => Err(format!("{vip}: {other:?}")),
            }
        })?;
    }
    Ok(())
}
