//! Applier: how a cluster is described, and built.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::host::Host;
use super::place::Place;
use super::{Asked, Cluster, Error, Group, group, health, pki};
use crate::netns::{Namespace, Switch};
use crate::parts;
use crate::witness::{Addresses, Probe};

/// The check that every host's Consul makes of its health endpoint.
pub const CHECK_ID: &str = "vip-http";

/// Where agents listen, on 127.0.0.1.
pub(crate) const AGENT_PORT: u16 = 8500;
/// Where the way to an agent that has trouble on it begins, on 127.0.0.1.
pub(super) const PROXY_PORT: u16 = 8501;
/// Where agents speak TLS, on 127.0.0.1, where [`Setup::tls`] says so.
const TLS_PORT: u16 = 8443;

/// The virtual IP.
pub const VIP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 200);
const CLIENT: u8 = 100;
/// How the daemon is told of its group, and of many.
const ONE_GROUP: &str = "--vip-manager-config={config}";
const MANY_GROUPS: &str = "--config-dir={directory}/groups";
/// To how many groups there is a client each, at most.
const ASKED: usize = 10;
const START_LIMIT: Duration = Duration::from_secs(60);

/// A program, its arguments and what it adds to its environment. In these, `{config}` stands for the
/// path of the first group's configuration, `{directory}` for that of the host's directory and `{host}` for
/// its name. Where there are many groups, the daemon gets the directory of their configurations.
#[derive(Clone, Debug)]
pub struct Program {
    pub(super) path: PathBuf,
    pub(super) arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Program {
    /// A program without arguments.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// Adds arguments.
    pub fn args<S: Into<String>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Puts the host's [`Proxy`](super::Proxy) between the program and the agent.
    pub fn proxied(mut self) -> Self {
        for argument in &mut self.arguments {
            *argument = argument.replace(&agent_address(), &format!("127.0.0.1:{PROXY_PORT}"));
        }
        self
    }

    /// Has the program speak TLS with the agent, in a cluster with [`Setup::tls`].
    pub fn encrypted(mut self) -> Self {
        let address = format!("https://127.0.0.1:{TLS_PORT}");
        for argument in &mut self.arguments {
            *argument = argument.replace(&agent_address(), &address);
        }
        self.env("CONSUL_CACERT", format!("{{directory}}/../{}", pki::CA))
    }

    /// The daemon as an elector beside a vip-manager: it touches no address.
    pub fn elector(path: impl Into<PathBuf>) -> Self {
        let check = format!("--check-id={CHECK_ID}");
        Self::new(path).args([
            "--vip-manager-config={config}",
            &check,
            &format!("--addr={}", agent_address()),
        ])
    }

    /// The daemon with the virtual IP in its own hands.
    pub fn manager(path: impl Into<PathBuf>) -> Self {
        Self::elector(path).args(["--manage-vip"])
    }

    pub(super) fn command(&self, place: &Place) -> Command {
        let mut command = place.command(&self.path);
        let argument = |text: &String| {
            if place.configurations().len() > 1 {
                fill_in(&text.replace(ONE_GROUP, MANY_GROUPS), place)
            } else {
                fill_in(text, place)
            }
        };
        command.args(self.arguments.iter().map(argument));
        let variables = self.environment.iter();
        command.envs(variables.map(|(name, value)| (name, fill_in(value, place))));
        command
    }
}

fn fill_in(text: &str, place: &Place) -> String {
    let directory = place.directory().display().to_string();
    let config = place
        .configurations()
        .first()
        .map(|file| file.display().to_string());
    text.replace("{config}", &config.unwrap_or_default())
        .replace("{directory}", &directory)
        .replace("{host}", place.namespace().name())
}

fn agent_address() -> String {
    format!("127.0.0.1:{AGENT_PORT}")
}

/// A description of a cluster.
#[derive(Clone, Debug)]
pub struct Setup {
    hosts: u8,
    daemon: Option<Program>,
    companion: Option<Program>,
    supervised: Option<Duration>,
    consul: Value,
    groups: Vec<Group>,
    networks: fn(u8) -> Vec<String>,
    files: Vec<(&'static str, String)>,
    rhythm: Duration,
    encrypts: bool,
    locks: bool,
}

impl Setup {
    /// Three hosts that run no daemon.
    pub fn new() -> Self {
        Self {
            hosts: 3,
            daemon: None,
            companion: None,
            supervised: None,
            consul: json!({}),
            groups: vec![Group::only(VIP, "service/demo/leader")],
            networks: one_network,
            files: Vec::new(),
            rhythm: Probe::INTERVAL,
            encrypts: false,
            locks: true,
        }
    }

    /// Sets the number of hosts: `web1`, `web2` and so on, from 10.77.0.11 upwards.
    pub fn hosts(mut self, number: u8) -> Self {
        self.hosts = number;
        self
    }

    /// Sets the number of groups, of both families in turn, instead of the one with [`VIP`]. A client asks
    /// ten of them.
    pub fn groups(mut self, number: u16) -> Self {
        self.groups = (1..=number.max(1)).map(Group::numbered).collect();
        self.networks = two_networks;
        self
    }

    /// Sets what elects on every host.
    pub fn daemon(mut self, program: Program) -> Self {
        self.daemon = Some(program);
        self
    }

    /// Sets what else runs on every host: a vip-manager.
    pub fn companion(mut self, program: Program) -> Self {
        self.companion = Some(program);
        self
    }

    /// Gives every daemon a supervisor that starts it again `after` each death.
    pub fn supervised(mut self, after: Duration) -> Self {
        self.supervised = Some(after);
        self
    }

    /// Sets the trigger key.
    pub fn key(mut self, key: impl AsRef<str>) -> Self {
        self.groups = vec![Group::only(VIP, key.as_ref())];
        self
    }

    /// Puts a file into every host's directory; what [`Program`] replaces is replaced in it.
    pub fn file(mut self, name: &'static str, content: impl Into<String>) -> Self {
        self.files.push((name, content.into()));
        self
    }

    /// Says that what elects does so without Consul's lock: a leader is then whoever has the address.
    pub fn lockless(mut self) -> Self {
        self.locks = false;
        self
    }

    /// Has the agents speak TLS as well, with a CA and a certificate of the cluster's own: see
    /// [`Program::encrypted`].
    pub fn tls(mut self) -> Self {
        self.encrypts = true;
        self
    }

    /// Sets the time between two questions of the client, instead of [`Probe::INTERVAL`].
    pub fn probe_every(mut self, interval: Duration) -> Self {
        self.rhythm = interval;
        self
    }

    /// Adds to the configuration of every Consul agent, or replaces a part of it.
    pub fn consul(mut self, configuration: Value) -> Self {
        merge(&mut self.consul, configuration);
        self
    }

    /// Builds the cluster, and waits until Consul is whole and the daemons run. It does not wait
    /// for a leader: that is [`Cluster::settle`].
    pub fn start(&self) -> Result<Cluster, Error> {
        let consul = parts::consul()?;
        let directory = tempfile::Builder::new()
            .prefix("vip-lab-")
            .tempdir_in("/run")
            .map_err(|cause| failed("make a directory for", "the cluster", cause))?;
        if self.encrypts {
            pki::make(&consul, directory.path())
                .map_err(|cause| failed("make certificates for", "the cluster", cause))?;
        }
        let switch = Switch::new("switch")?;
        let client = Namespace::new("client")?;
        switch.plug_with(&client, &(self.networks)(CLIENT))?;
        let hosts = (1..=self.hosts)
            .map(|number| self.host(number, &switch, directory.path(), &consul))
            .collect::<Result<Vec<_>, _>>()?;
        let namespaces: Vec<Namespace> =
            hosts.iter().map(|host| host.namespace().clone()).collect();
        let addresses = Addresses::watch(&namespaces)?;
        let probes = group::asked(self.groups.len(), ASKED)
            .into_iter()
            .map(|group| {
                let address = self.groups[group].address();
                let probe = Probe::start(&client, address, self.rhythm)?;
                Ok(Asked { group, probe })
            });
        let probes = probes.collect::<Result<_, Error>>()?;
        for host in &hosts {
            host.consul().start()?;
        }
        let cluster = Cluster {
            orders: Vec::new(),
            hosts,
            addresses,
            probes,
            dead: Vec::new(),
            groups: self.groups.clone(),
            subject: 0,
            elects: self.daemon.is_some() && self.locks,
            locks: self.locks,
            client,
            _switch: switch,
            _directory: directory,
        };
        cluster.wait_for_consul(START_LIMIT).map_err(|cause| {
            let log =
                |host: &Host| format!("--- {}\n{}", host.name(), host.consul().log().tail(20));
            Error::NoCluster {
                cause,
                logs: cluster.hosts.iter().map(log).collect(),
            }
        })?;
        for host in &cluster.hosts {
            host.daemon().supervise(self.supervised);
            host.start_daemon()?;
        }
        Ok(cluster)
    }

    /// Builds the cluster, waits until it is settled, and runs `test` on it with the leader's name.
    /// A failure is told with the last lines of every daemon.
    pub fn run(
        &self,
        test: impl FnOnce(&mut Cluster, &str) -> Result<(), Box<dyn std::error::Error>>,
    ) -> Result<(), String> {
        let mut cluster = self.start().map_err(|error| crate::chain(&error))?;
        let result = match cluster.settle(super::SETTLE_LIMIT) {
            Ok(leader) => test(&mut cluster, &leader),
            Err(error) => Err(error.into()),
        };
        result.map_err(|error| format!("{}\n{}", crate::chain(error.as_ref()), cluster.logs()))
    }

    fn host(
        &self,
        number: u8,
        switch: &Switch,
        directory: &Path,
        consul: &Path,
    ) -> Result<Host, Error> {
        let name = format!("web{number}");
        let address = address(number);
        let namespace = Namespace::new(&name)?;
        let networks = (self.networks)(10 + number);
        let port = switch.plug_with(&namespace, &networks)?;
        let directory = directory.join(&name);
        let place = Place::new(namespace, directory.clone(), &self.groups)?;
        let consul_json = self.consul_json(&name, number, &directory).to_string();
        let others = self.files.iter();
        let others = others.map(|(file, content)| (*file, fill_in(content, &place)));
        for (file, content) in others.chain([("consul.json", consul_json)]) {
            std::fs::write(directory.join(file), content)
                .map_err(|cause| failed("write a configuration for", &name, cause))?;
        }
        let consul = Program::new(consul).args(["agent", "-config-file={directory}/consul.json"]);
        let programs = [Some(consul), self.daemon.clone(), self.companion.clone()];
        Host::new(place, port, (address, networks), programs)
    }

    fn consul_json(&self, name: &str, number: u8, directory: &Path) -> Value {
        let others = (1..=self.hosts)
            .filter(|other| *other != number)
            .map(address);
        let others: Vec<String> = others.map(|address| address.to_string()).collect();
        let mut configuration = json!({
            "node_name": name,
            "server": true,
            "bootstrap_expect": self.hosts,
            "retry_join": others,
            "retry_interval": "1s",
            "bind_addr": address(number).to_string(),
            "client_addr": "127.0.0.1",
            "data_dir": directory.join("consul"),
            "log_level": "INFO",
            "disable_update_check": true,
            // A server that is stopped is missed, not dismissed.
            "leave_on_terminate": false,
            "skip_leave_on_interrupt": true,
            "ports": { "dns": -1 },
            "performance": { "raft_multiplier": 1, "leave_drain_time": "1s" },
            "autopilot": { "server_stabilization_time": "200ms", "cleanup_dead_servers": false },
            "service": {
                "name": "vip-guard",
                "port": health::PORT,
                "check": {
                    "id": CHECK_ID,
                    "name": CHECK_ID,
                    "http": format!("http://127.0.0.1:{}/healthz", health::PORT),
                    "interval": "1s",
                    "timeout": "1s"
                }
            }
        });
        if self.encrypts {
            merge(&mut configuration, pki::configuration(directory, TLS_PORT));
        }
        merge(&mut configuration, self.consul.clone());
        configuration
    }
}

impl Default for Setup {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns the addresses of the host with this last byte, each with the prefix's length.
fn one_network(last: u8) -> Vec<String> {
    vec![format!("10.77.0.{last}/24")]
}

/// The same, where there are many groups of both families.
fn two_networks(last: u8) -> Vec<String> {
    vec![format!("10.77.0.{last}/16"), format!("fd00:77::{last}/64")]
}

fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, 10 + number)
}

/// Objects are merged, everything else is replaced.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

pub(super) fn failed(action: &'static str, host: &str, cause: std::io::Error) -> Error {
    Error::Host {
        action,
        host: host.to_owned(),
        cause,
    }
}
