//! SIGHUP to a daemon that leads: what changes, and what stays when it is refused.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use serde_json::json;
use vip_lab::cluster::{Cluster, Host, Setup};
use vip_lab::parts;
use vip_lab::process::{Log, Process};
use vip_lab::time::until;

use crate::alone::{self, Daemon, LIMIT, Test, ends_with, run_on, until_up};
use crate::answers::curl;
use crate::{DAEMON, LOCK_FLAG};

/// Where the agents of [`Setup::tls`] speak TLS, as `/proc/net/tcp` writes it.
const HTTPS: &str = ":20FB";

pub(crate) fn trials() -> Vec<Trial> {
    let tests: [(&str, Test); 2] = [
        (
            "another_ca_and_certificate_are_put_into_force_by_a_leader",
            certificates,
        ),
        (
            "a_reload_that_is_refused_leaves_everything_as_it_was",
            refused,
        ),
    ];
    let tests = tests.map(|(name, test)| {
        let setup = Setup::new().tls();
        let setup = setup.consul(json!({ "verify_incoming_https": true }));
        Trial::test(name, move || run_on(setup, test))
    });
    let listens = Trial::test("another_port_is_listened_at_by_a_leader", || {
        alone::run(listens)
    });
    tests.into_iter().chain([listens]).collect()
}

fn certificates(cluster: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    let pki = pki(host);
    let mut daemon = lead(cluster, host)?;
    let before = State::of(cluster, host)?;

    // As an operator does it: first everybody trusts both.
    let both = [
        read(&pki, "consul-agent-ca.pem")?,
        read(&pki, "other-agent-ca.pem")?,
    ]
    .concat();
    fs::write(host.directory().join("ca.pem"), &both)?;
    hang_up(&daemon, "was reloaded")?;
    let server = ["dc1-server-other-0.pem", "dc1-server-other-0-key.pem"];
    fs::copy(pki.join(server[0]), pki.join("dc1-server-consul-0.pem"))?;
    fs::copy(pki.join(server[1]), pki.join("dc1-server-consul-0-key.pem"))?;
    fs::write(pki.join("consul-agent-ca.pem"), &both)?;
    reload_consul(host)?;
    identify(host, "other")?;
    fs::copy(
        pki.join("other-agent-ca.pem"),
        host.directory().join("ca.pem"),
    )?;
    // From here on a handshake with the old certificate fails.
    fs::copy(
        pki.join("other-agent-ca.pem"),
        pki.join("consul-agent-ca.pem"),
    )?;
    reload_consul(host)?;
    let old = connections(host)?;
    assert!(!old.is_empty(), "the leader talks to consul");
    hang_up(&daemon, "was reloaded")?;
    // The long reads that are under way end on the old connections: each gets something to see.
    let news = format!("/v1/kv/{}/news", cluster.key());
    host.agent().put(&news, "")?;
    let check = json!({ "Name": "news", "TTL": "1h", "Status": "passing" });
    host.agent()
        .put("/v1/agent/check/register", &check.to_string())?;
    still_leads(cluster, host, &daemon)?;
    until("all connections to be new ones", LIMIT, || {
        let now = connections(host).map_err(|error| error.to_string())?;
        let new = !now.is_empty() && now.is_disjoint(&old);
        new.then_some(())
            .ok_or_else(|| format!("{now:?}, and before {old:?}"))
    })?;
    still_leads(cluster, host, &daemon)?;
    assert_eq!(State::of(cluster, host)?, before);
    daemon.process.signal(Signal::SIGTERM)?;
    ends_with(&mut daemon, 0)
}

fn refused(cluster: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    let daemon = lead(cluster, host)?;
    let before = State::of(cluster, host)?;
    let file = host.directory().join("vip-manager.yml");
    let good = fs::read_to_string(&file)?;
    let chatty = "vip-elector: {log-level: trace, log-format: json}\n";

    let chattier = chatty.replace('{', "{check-mode: watch, check-id: vip-http, ");
    fs::write(&file, format!("{good}{chattier}"))?;
    let mark = daemon.log.len();
    hang_up(&daemon, "not reloaded")?;
    let why = "this needs a restart: check-mode from session to watch, because the session was made with it";
    daemon.log.wait_for(why, mark, LIMIT)?;

    fs::write(&file, format!("{chatty}trigger-key: [\n"))?;
    fs::remove_file(host.directory().join("cert.pem"))?;
    let mark = daemon.log.len();
    hang_up(&daemon, "not reloaded")?;
    for why in ["is not YAML", "cert.pem"] {
        daemon.log.wait_for(why, mark, LIMIT)?;
    }

    still_leads(cluster, host, &daemon)?;
    assert_eq!(State::of(cluster, host)?, before);
    let traced = |line: &vip_lab::process::Line| line.text.contains("TRACE");
    let early = daemon.log.read(|lines| lines.iter().any(traced));
    assert!(!early, "a part of what was refused is in force");

    identify(host, "consul")?;
    fs::write(&file, format!("{good}{chatty}"))?;
    let mark = daemon.log.len();
    hang_up(&daemon, "was reloaded")?;
    daemon.log.wait_for(r#""level":"TRACE""#, mark, LIMIT)?;
    still_leads(cluster, host, &daemon)?;
    assert_eq!(State::of(cluster, host)?, before);

    let sick = "vip-elector: {health-command: exit 1, health-interval: 50ms}\n";
    fs::write(&file, format!("{good}{sick}"))?;
    let mark = daemon.log.len();
    hang_up(&daemon, "was reloaded")?;
    daemon
        .log
        .wait_for("WARN this host is not healthy", mark, LIMIT)?;
    until_up(host, false)
}

fn listens(cluster: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    let file = host.directory().join("vip-manager.yml");
    let good = fs::read_to_string(&file)?;
    let listen = |at: &str| fs::write(&file, format!("{good}vip-elector: {{listen: '{at}'}}\n"));
    let answers = |port: u16, code: u16| {
        until(&format!("port {port} to answer {code}"), LIMIT, || {
            let url = format!("http://127.0.0.1:{port}/leader");
            match curl(host.command("curl"), &[&url]) {
                Ok(answer) if answer.code == code => Ok(()),
                Ok(answer) => Err(answer.code.to_string()),
                Err(error) => Err(error.to_string()),
            }
        })
    };
    // curl's word for no answer.
    const NONE: u16 = 0;
    listen("127.0.0.1:8548")?;
    let daemon = alone::lead(host, &[])?;
    answers(8548, 200)?;
    let before = State::of(cluster, host)?;
    listen("127.0.0.1:8600")?;
    hang_up(&daemon, "was reloaded")?;
    answers(8600, 200)?;
    answers(8548, NONE)?;
    listen("off")?;
    hang_up(&daemon, "was reloaded")?;
    answers(8600, NONE)?;
    still_leads(cluster, host, &daemon)?;
    assert_eq!(State::of(cluster, host)?, before);
    Ok(())
}

/// What must be the same before and after.
#[derive(Debug, PartialEq, Eq)]
struct State {
    session: Option<String>,
    /// How often any address came or went.
    moves: usize,
}

impl State {
    fn of(cluster: &Cluster, host: &Host) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            session: host.agent().key(cluster.key())?.and_then(|key| key.session),
            moves: cluster.addresses().events()?.len(),
        })
    }
}

/// Starts a daemon over TLS that shows a certificate, and waits until it has the address.
fn lead(cluster: &Cluster, host: &Host) -> Result<Daemon, Box<dyn Error>> {
    let pki = pki(host);
    tool(host, &["ca", "create", "-domain", "other"])?;
    tool(host, &["cert", "create", "-client"])?;
    let other = [
        "-ca",
        "other-agent-ca.pem",
        "-key",
        "other-agent-ca-key.pem",
        "-domain",
        "other",
    ];
    for kind in ["-server", "-client"] {
        tool(host, &[&["cert", "create", kind], &other[..]].concat())?;
    }
    fs::copy(
        pki.join("consul-agent-ca.pem"),
        host.directory().join("ca.pem"),
    )?;
    identify(host, "consul")?;
    let free = format!("/v1/kv/{}?flags={LOCK_FLAG}", cluster.key());
    host.agent().put(&free, "")?;
    let mut command = host.command(DAEMON);
    let path = |name: &str| host.directory().join(name);
    let config = path("vip-manager.yml").display().to_string();
    command.args(["--manage-vip", "--addr=https://127.0.0.1:8443"]);
    command.arg(format!("--vip-manager-config={config}"));
    command.env("CONSUL_CACERT", path("ca.pem"));
    command.env("CONSUL_CLIENT_CERT", path("cert.pem"));
    command.env("CONSUL_CLIENT_KEY", path("key.pem"));
    let log = Log::default();
    let process = Process::start(command, &log, &path("daemon.log"))?;
    until_up(host, true)?;
    Ok(Daemon { process, log })
}

/// Sends SIGHUP, and waits for what is said at the end of it.
fn hang_up(daemon: &Daemon, said: &str) -> Result<(), Box<dyn Error>> {
    let mark = daemon.log.len();
    daemon.process.signal(Signal::SIGHUP)?;
    daemon.log.wait_for(said, mark, LIMIT)?;
    Ok(())
}

/// Has the leader do something that only a leader does, over Consul and back.
fn still_leads(cluster: &Cluster, host: &Host, daemon: &Daemon) -> Result<(), Box<dyn Error>> {
    host.agent()
        .put(&format!("/v1/kv/{}", cluster.key()), "vandal")?;
    until("the leader to set its key right", LIMIT, || {
        match host.agent().key(cluster.key()) {
            Ok(Some(key)) if key.value.as_deref() == Some("web1") => Ok(()),
            key => Err(format!("{key:?}")),
        }
    })?;
    let lost = |line: &vip_lab::process::Line| line.text.contains("LOCK LOST");
    assert!(
        !daemon.log.read(|lines| lines.iter().any(lost)),
        "{}",
        daemon.log.tail(20)
    );
    Ok(())
}

/// Gives the daemon the client certificate of one CA.
fn identify(host: &Host, domain: &str) -> Result<(), Box<dyn Error>> {
    for (from, to) in [("", "cert.pem"), ("-key", "key.pem")] {
        let from = format!("dc1-client-{domain}-0{from}.pem");
        fs::copy(pki(host).join(from), host.directory().join(to))?;
    }
    Ok(())
}

fn reload_consul(host: &Host) -> Result<(), Box<dyn Error>> {
    let output = host.command(parts::consul()?).arg("reload").output()?;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// The ends of all connections to Consul's TLS port that are up.
fn connections(host: &Host) -> Result<BTreeSet<String>, Box<dyn Error>> {
    let output = host.command("cat").arg("/proc/net/tcp").output()?;
    let table = String::from_utf8(output.stdout)?;
    let up = table.lines().filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (own, other, state) = (fields.next()?, fields.next()?, fields.next()?);
        (other.ends_with(HTTPS) && state == "01").then(|| own.to_owned())
    });
    Ok(up.collect())
}

fn tool(host: &Host, arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    let mut command = host.command(parts::consul()?);
    command.arg("tls").args(arguments).current_dir(pki(host));
    let output = command.output()?;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Where the cluster's certificates are.
fn pki(host: &Host) -> PathBuf {
    host.directory().join("..")
}

fn read(directory: &Path, name: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    Ok(fs::read(directory.join(name))?)
}
