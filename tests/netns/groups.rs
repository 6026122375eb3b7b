//! Many groups of one daemon, on one host: they come, change and go while it runs, and none disturbs another.

use std::error::Error;
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;

use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use serde_json::Value;
use vip_lab::cluster::{Cluster, Host};
use vip_lab::process::{Line, Log, Process};
use vip_lab::time::until;
use vip_lab::witness::Change;

use crate::alone::{self, Daemon, LIMIT, Test, ends_with};
use crate::answers::curl;
use crate::{DAEMON, LOCK_FLAG};

const PORT: &str = "127.0.0.1:8548";

pub(crate) fn trials() -> Vec<Trial> {
    let tests: [(&str, Test); 5] = [
        (
            "groups_come_change_and_go_and_the_others_are_not_touched",
            come_and_go,
        ),
        ("a_group_that_fails_disturbs_no_other", failing),
        ("all_addresses_of_a_group_are_held_or_none", all_or_none),
        (
            "an_address_goes_with_its_interface_and_the_others_with_it",
            interface,
        ),
        ("each_address_is_announced_as_it_was_asked_for", announced),
    ];
    let trial = |(name, test)| Trial::test(name, move || alone::run(test));
    tests.map(trial).into()
}

fn come_and_go(cluster: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    let site = Site::new(host)?;
    site.write("a", &["10.77.0.201", "fd77::201"], "")?;
    site.write("b", &["10.77.0.202", "fd77::202"], "")?;
    let mut daemon = site.start()?;
    site.holds(&["10.77.0.201", "fd77::201", "10.77.0.202", "fd77::202"])?;
    let before = site.session("b")?;
    assert!(before.is_some());

    // One comes.
    site.write("c", &["10.77.0.203"], "")?;
    site.reload(&daemon)?;
    site.holds(&["10.77.0.203"])?;
    // One changes, in its addresses and then in its session; and one of its addresses moves to another group.
    site.write("a", &["10.77.0.201", "10.77.0.211", "10.77.0.221"], "")?;
    site.reload(&daemon)?;
    site.holds(&["10.77.0.201", "10.77.0.211", "10.77.0.221"])?;
    site.holds_no(&["fd77::201"])?;
    site.write("a", &["10.77.0.201"], "ttl: 20s, priority: 7")?;
    site.write("c", &["10.77.0.203", "10.77.0.211"], "")?;
    let mark = daemon.log.len();
    site.reload(&daemon)?;
    for said in [
        "this group starts over: ttl from 10s to 20s, because the session was made with it group=\"vips/a\"",
        "this group starts over: priority from 0 to 7, because the other hosts were told of it group=\"vips/a\"",
    ] {
        daemon.log.wait_for(said, mark, LIMIT)?;
    }
    site.holds_no(&["10.77.0.221"])?;
    site.holds(&["10.77.0.201", "10.77.0.203", "10.77.0.211"])?;
    let shown = site.status(host)?;
    assert_eq!(names(&shown), ["a", "b", "c"]);
    assert_eq!(shown["groups"][0]["priority"], 7);
    // One goes, in order: the lock is given away, and nothing is left of it.
    let sockets = site.sockets()?;
    site.remove("a")?;
    site.reload(&daemon)?;
    site.holds_no(&["10.77.0.201"])?;
    until("its lock to be free", LIMIT, || {
        match host.agent().key("vips/a") {
            Ok(Some(key))
                if key.session.is_none() && key.value.as_deref().is_none_or(str::is_empty) =>
            {
                Ok(())
            }
            key => Err(format!("{key:?}")),
        }
    })?;
    until("nothing to be left of it", LIMIT, || {
        let shown = site.status(host).map_err(|error| error.to_string())?;
        let left = site.sockets().map_err(|error| error.to_string())?;
        let gone = names(&shown) == ["b", "c"] && left + 1 == sockets;
        gone.then_some(())
            .ok_or_else(|| format!("{left} of {sockets}, {shown}"))
    })?;
    // What is wrong changes nothing at all.
    site.write("d", &["10.77.0.202"], "")?;
    let mark = daemon.log.len();
    daemon.process.signal(Signal::SIGHUP)?;
    daemon.log.wait_for("not reloaded", mark, LIMIT)?;
    site.holds(&["10.77.0.202", "fd77::202", "10.77.0.203"])?;

    // Nobody has touched the other one.
    assert_eq!(site.session("b")?, before);
    for address in ["10.77.0.202", "fd77::202"] {
        let address: IpAddr = address.parse()?;
        let events = cluster.addresses().events()?;
        let own = events.iter().filter(|event| event.address == address);
        let changes: Vec<_> = own.map(|event| event.change).collect();
        assert_eq!(changes, [Change::Appeared], "{address}");
    }
    daemon.process.signal(Signal::SIGTERM)?;
    ends_with(&mut daemon, 0)?;
    site.holds_no(&["10.77.0.202", "fd77::202", "10.77.0.203"])?;
    assert_eq!(host.agent().sessions()?, []);
    Ok(())
}

fn failing(_: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    let site = Site::new(host)?;
    host.agent().put("/v1/kv/vips/bad", "settings")?;
    site.write("bad", &["10.77.0.201"], "")?;
    site.write("good", &["10.77.0.202"], "")?;
    let mut daemon = site.start()?;
    site.holds(&["10.77.0.202"])?;
    let said = "this group takes no part any more, and is tried again: trigger-key pre-flight check failed: existing key \
                at 'vips/bad' is a regular KV entry";
    daemon.log.wait_for(said, 0, LIMIT)?;
    until("the one that failed to be shown", LIMIT, || {
        let shown = site.status(host).map_err(|error| error.to_string())?;
        let bad = &shown["groups"][0];
        let why = bad["why"].as_str().unwrap_or_default();
        let told = bad["role"] == "stopped" && why.contains("not a lock key");
        told.then_some(()).ok_or_else(|| shown.to_string())
    })?;
    assert_eq!(
        host.agent()
            .key("vips/bad")?
            .and_then(|key| key.value)
            .as_deref(),
        Some("settings")
    );
    // As soon as it can, it takes part.
    host.agent()
        .put(&format!("/v1/kv/vips/bad?flags={LOCK_FLAG}"), "")?;
    site.holds(&["10.77.0.201", "10.77.0.202"])?;
    daemon.process.signal(Signal::SIGTERM)?;
    ends_with(&mut daemon, 0)
}

fn all_or_none(_: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    let site = Site::new(host)?;
    let ip = |arguments: &[&str]| host.namespace().ip(arguments);
    ip(&[
        "-6",
        "address",
        "add",
        "fd77::201/64",
        "dev",
        "eth0",
        "nodad",
    ])?;
    site.write("a", &["10.77.0.201", "fd77::201", "10.77.0.211"], "")?;
    let daemon = site.start()?;
    daemon
        .log
        .wait_for("remove it, or stop what adds it", 0, LIMIT)?;
    daemon.log.wait_for("standing by", 0, LIMIT)?;
    // Nobody else is here, so that the lock stays free.
    assert_eq!(site.session("a")?, None);
    site.holds_no(&["10.77.0.201", "10.77.0.211"])?;
    ip(&["-6", "address", "del", "fd77::201/64", "dev", "eth0"])?;
    site.holds(&["10.77.0.201", "fd77::201", "10.77.0.211"])?;
    // One that is taken away comes back, and takes no other with it.
    let mark = daemon.log.len();
    ip(&["-6", "address", "del", "fd77::201/128", "dev", "eth0"])?;
    daemon.log.wait_for("the address is gone", mark, LIMIT)?;
    site.holds(&["10.77.0.201", "fd77::201", "10.77.0.211"])?;
    assert!(
        !daemon
            .log
            .read(|lines| lines.iter().any(|line| line.text.contains("LOCK LOST")))
    );
    Ok(())
}

fn interface(_: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    let site = Site::new(host)?;
    let ip = |arguments: &[&str]| host.namespace().ip(arguments);
    let come = || -> Result<(), Box<dyn Error>> {
        ip(&[
            "link", "add", "eth1", "up", "type", "veth", "peer", "name", "peer1",
        ])?;
        ip(&["link", "set", "peer1", "up"])?;
        Ok(())
    };
    come()?;
    let text = "ip: 10.77.0.201\ninterface: eth0\nvip-elector: {label: 'eth0:vip', addresses: [{ip: 10.78.0.201, netmask: 24, \
                interface: eth1}]}\n";
    site.write_text("a", text)?;
    let daemon = site.start()?;
    site.holds(&["10.77.0.201", "10.78.0.201"])?;
    let shown = ip(&["-o", "-4", "address", "show", "label", "eth0:vip"])?;
    assert!(shown.contains("10.77.0.201/32"), "{shown}");
    ip(&["link", "delete", "eth1"])?;
    site.holds_no(&["10.77.0.201", "10.78.0.201"])?;
    daemon
        .log
        .wait_for("the interface does not exist", 0, LIMIT)?;
    until("the lock to be given up", LIMIT, || {
        match site.session("a") {
            Ok(None) => Ok(()),
            session => Err(format!("{session:?}")),
        }
    })?;
    come()?;
    site.holds(&["10.77.0.201", "10.78.0.201"])?;
    Ok(())
}

fn announced(_: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    let site = Site::new(host)?;
    let once = "10.77.0.201";
    let thrice = "fd77::201";
    let always = "10.77.0.202";
    let text = format!(
        "ip: {once}\ninterface: eth0\nvip-elector:\n  log-level: debug\n  announce-count: 1\n  announce-refresh: 0s\n  \
         addresses:\n  - {{ip: '{thrice}', announce-count: 3, announce-interval: 100ms}}\n  - {{ip: {always}, \
         announce-refresh: 1s}}\n"
    );
    site.write_text("a", &text)?;
    let daemon = site.start()?;
    let times = |address: &str| {
        let address = format!("address={address} ");
        daemon.log.read(|lines| {
            let said =
                |line: &&Line| line.text.contains("Announce") && line.text.contains(&address);
            lines.iter().filter(said).count()
        })
    };
    // Four of them take longer than all that the others may say.
    until("the refreshes", LIMIT, || match times(always) {
        4.. => Ok(()),
        count => Err(format!("{count}")),
    })?;
    assert_eq!(
        (times(once), times(thrice)),
        (1, 3),
        "{}",
        daemon.log.tail(40)
    );
    Ok(())
}

/// A host with a directory of groups.
struct Site<'a> {
    host: &'a Host,
}

impl<'a> Site<'a> {
    fn new(host: &'a Host) -> Result<Self, Box<dyn Error>> {
        let site = Self { host };
        fs::create_dir_all(site.directory())?;
        Ok(site)
    }

    fn directory(&self) -> PathBuf {
        self.host.directory().join("groups")
    }

    /// A group whose lock is free at once, with its addresses and its own options.
    fn write(&self, name: &str, addresses: &[&str], more: &str) -> Result<(), Box<dyn Error>> {
        let (first, others) = addresses.split_first().ok_or("no address")?;
        let own = [format!("addresses: [{}]", quoted(others)), more.to_owned()];
        let own: Vec<_> = own
            .iter()
            .filter(|part| !part.is_empty())
            .cloned()
            .collect();
        let own = own.join(", ");
        self.write_text(
            name,
            &format!("ip: '{first}'\ninterface: eth0\nvip-elector: {{{own}}}\n"),
        )
    }

    fn write_text(&self, name: &str, text: &str) -> Result<(), Box<dyn Error>> {
        let key = format!("vips/{name}");
        if self.host.agent().key(&key)?.is_none() {
            self.host
                .agent()
                .put(&format!("/v1/kv/{key}?flags={LOCK_FLAG}"), "")?;
        }
        let text = format!("dcs-type: consul\ntrigger-key: {key}\ntrigger-value: web1\n{text}");
        Ok(fs::write(
            self.directory().join(format!("{name}.yml")),
            text,
        )?)
    }

    fn remove(&self, name: &str) -> Result<(), Box<dyn Error>> {
        Ok(fs::remove_file(
            self.directory().join(format!("{name}.yml")),
        )?)
    }

    fn start(&self) -> Result<Daemon, Box<dyn Error>> {
        let mut command = self.host.command(DAEMON);
        command
            .args(["--manage-vip", "--addr=127.0.0.1:8500"])
            .arg(format!("--listen={PORT}"))
            .arg(format!("--config-dir={}", self.directory().display()));
        let log = Log::default();
        let process = Process::start(command, &log, &self.host.directory().join("daemon.log"))?;
        Ok(Daemon { process, log })
    }

    fn reload(&self, daemon: &Daemon) -> Result<(), Box<dyn Error>> {
        let mark = daemon.log.len();
        daemon.process.signal(Signal::SIGHUP)?;
        daemon.log.wait_for("was reloaded", mark, LIMIT)?;
        Ok(())
    }

    /// Waits until the host has all of these.
    fn holds(&self, addresses: &[&str]) -> Result<(), Box<dyn Error>> {
        self.wait("all to be held", |all| {
            addresses.iter().all(|one| has(all, one))
        })
    }

    /// Waits until the host has none of these.
    fn holds_no(&self, addresses: &[&str]) -> Result<(), Box<dyn Error>> {
        self.wait("none to be held", |all| {
            !addresses.iter().any(|one| has(all, one))
        })
    }

    fn wait(&self, what: &str, is: impl Fn(&str) -> bool) -> Result<(), Box<dyn Error>> {
        let shown = || self.host.namespace().ip(&["-o", "address", "show"]);
        Ok(until(what, LIMIT, || match shown() {
            Ok(all) if is(&all) => Ok(()),
            Ok(all) => Err(all),
            Err(error) => Err(error.to_string()),
        })?)
    }

    fn session(&self, name: &str) -> Result<Option<String>, Box<dyn Error>> {
        let key = self.host.agent().key(&format!("vips/{name}"))?;
        Ok(key.and_then(|key| key.session))
    }

    fn status(&self, host: &Host) -> Result<Value, Box<dyn Error>> {
        let answer = curl(host.command("curl"), &[&format!("http://{PORT}/status")])?;
        Ok(serde_json::from_str(&answer.body)?)
    }

    /// How many groups answer at a socket of their own.
    fn sockets(&self) -> Result<usize, Box<dyn Error>> {
        let mut count = 0;
        for entry in fs::read_dir(self.host.directory().join("run"))? {
            count += usize::from(entry?.path().extension().is_some_and(|end| end == "sock"));
        }
        Ok(count)
    }
}

fn names(status: &Value) -> Vec<&str> {
    let groups = status["groups"].as_array();
    let names = groups
        .into_iter()
        .flatten()
        .filter_map(|group| group["group"].as_str());
    names
        .filter_map(|name| name.strip_prefix("vips/"))
        .collect()
}

fn quoted(addresses: &[&str]) -> String {
    let quoted: Vec<_> = addresses.iter().map(|one| format!("'{one}'")).collect();
    quoted.join(", ")
}

fn has(shown: &str, address: &str) -> bool {
    shown.contains(&format!(" {address}/"))
}
