//! A real Consul agent of a test's own, and witnesses beside our client.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Nothing here takes this long; a busy machine gets its time.
pub(crate) const GENEROUS: Duration = Duration::from_secs(30);

/// What a server and a client log when they know of somebody to ask.
const LEADER_KNOWN: [&str; 2] = ["New leader elected", "adding server"];

/// A running agent; killed when dropped.
pub(crate) struct Agent {
    child: Child,
    pub(crate) ports: Ports,
    address: String,
    directory: TempDir,
}

/// Ports that no other agent of this process has.
#[derive(Clone, Copy)]
pub(crate) struct Ports {
    first: u16,
}

impl Ports {
    pub(crate) fn take() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(20_000);
        Self {
            first: NEXT.fetch_add(10, Ordering::Relaxed),
        }
    }

    pub(crate) fn http(self) -> u16 {
        self.first
    }

    pub(crate) fn https(self) -> u16 {
        self.first + 1
    }

    pub(crate) fn lan(self) -> u16 {
        self.first + 2
    }

    /// The port by which Consul names its raft leader.
    pub(crate) fn server(self) -> u16 {
        self.first + 4
    }

    fn config(self) -> Value {
        json!({
            "http": self.http(), "https": self.https(), "serf_lan": self.lan(),
            "serf_wan": self.first + 3, "server": self.server(), "dns": -1, "grpc": -1,
        })
    }
}

impl Agent {
    /// Starts a lone server and waits until it serves.
    pub(crate) fn server() -> Self {
        Self::start("n1", Ports::take(), &json!({}))
    }

    /// Starts an agent without a server, called "here", beside `server`.
    pub(crate) fn client_of(server: &Self, ports: Ports, more: &Value) -> Self {
        let mut config = json!({
            "server": false, "retry_join": [format!("127.0.0.1:{}", server.ports.lan())],
            "retry_interval": "1s",
        });
        merge(&mut config, more);
        Self::start("here", ports, &config)
    }

    /// Starts an agent with more configuration than the usual one.
    pub(crate) fn start(node: &str, ports: Ports, more: &Value) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = json!({
            "node_name": node, "bind_addr": "127.0.0.1", "client_addr": "127.0.0.1",
            "log_level": "INFO", "ports": ports.config(),
        });
        merge(&mut config, more);
        // A server in development mode leads in a fraction of a second; a client has no such mode, nor
        // has a server among others.
        let mode = if config["server"] == false || config["bootstrap_expect"].is_u64() {
            if config["data_dir"].is_null() {
                config["data_dir"] = json!(directory.path().join("data"));
            }
            None
        } else {
            Some("-dev")
        };
        let file = directory.path().join("agent.json");
        std::fs::write(&file, config.to_string()).unwrap();
        let mut child = Command::new(consul())
            .arg("agent")
            .args(mode)
            .arg("-config-file")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let log = child.stdout.take().unwrap();
        let address = match config["addresses"]["http"].as_str() {
            // The last of several.
            Some(addresses) => addresses.rsplit(' ').next().unwrap_or_default().to_owned(),
            None => format!("http://127.0.0.1:{}", ports.http()),
        };
        let agent = Self {
            child,
            ports,
            address,
            directory,
        };
        wait_for_line(log);
        if config["acl"].is_null() {
            agent.wait_for_health("", node);
        }
        agent
    }

    /// Waits until the catalog has the node and its health, without which there are no sessions.
    pub(crate) fn wait_for_health(&self, token: &str, node: &str) {
        eventually("the node's health is in the catalog", || {
            let checks = self.cli(token, &["watch", "-type", "checks", "-state", "passing"])?;
            let checks: Value = serde_json::from_str(&checks).map_err(|error| error.to_string())?;
            let is = |check: &Value| check["CheckID"] == "serfHealth" && check["Node"] == node;
            if checks
                .as_array()
                .is_some_and(|checks| checks.iter().any(is))
            {
                Ok(())
            } else {
                Err(checks.to_string())
            }
        });
    }

    pub(crate) fn url(&self) -> String {
        self.address.clone()
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Kills it as a crash would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops it in the middle of whatever it does; returns when its last thread stands still.
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
        let tasks = format!("/proc/{}/task", self.child.id());
        eventually("all threads stand still", || {
            for task in std::fs::read_dir(&tasks).map_err(|error| error.to_string())? {
                let path = task
                    .map_err(|error| error.to_string())?
                    .path()
                    .join("status");
                let status = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
                if !status.contains("State:\tT") {
                    return Err(status);
                }
            }
            Ok(())
        });
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Asks by plain HTTP, without our client; returns the body.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> String {
        self.ask_as("", method, path, body)
    }

    /// As [`ask`](Self::ask), with a token.
    pub(crate) fn ask_as(&self, token: &str, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.ports.http())).unwrap();
        stream.set_read_timeout(Some(GENEROUS)).unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} /v1/{path} HTTP/1.0\r\nX-Consul-Token: {token}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        serde_json::from_str(&self.ask("GET", path, "")).unwrap()
    }

    /// Runs Consul's own command line against it.
    pub(crate) fn cli(&self, token: &str, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new(consul())
            .args(arguments)
            .env("CONSUL_HTTP_ADDR", self.url())
            .env("CONSUL_HTTP_TOKEN", token)
            .output()
            .map_err(|error| error.to_string())?;
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stderr))
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Tries until it works or [`GENEROUS`] is over; for what Consul announces to nobody.
pub(crate) fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let started = Instant::now();
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(why) => assert!(started.elapsed() < GENEROUS, "{what}: {why}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Runs `consul tls` in a directory.
pub(crate) fn tls_tool(directory: &Path, arguments: &[&str]) {
    let output = Command::new(consul())
        .arg("tls")
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

pub(crate) fn consul() -> PathBuf {
    vip_lab::parts::consul().unwrap()
}

/// Adds to a configuration, deep.
pub(crate) fn merge(into: &mut Value, more: &Value) {
    for (name, value) in more.as_object().unwrap() {
        if into[name].is_object() && value.is_object() {
            merge(&mut into[name], value);
        } else {
            into[name] = value.clone();
        }
    }
}

/// Reads the log to its end, so that the agent never blocks on it; returns when somebody leads.
fn wait_for_line(log: impl Read + Send + 'static) {
    let (found, wait) = mpsc::channel();
    std::thread::spawn(move || {
        let mut before = Vec::new();
        let mut waiting = true;
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            if waiting && LEADER_KNOWN.iter().any(|words| line.contains(words)) {
                waiting = false;
                let _ = found.send(Ok(()));
            }
            if waiting {
                before.push(line);
            }
        }
        let _ = found.send(Err(before.join("\n")));
    });
    match wait.recv_timeout(GENEROUS) {
        Ok(Ok(())) => {}
        Ok(Err(log)) => panic!("the agent ended before it was ready:\n{log}"),
        Err(_) => panic!("the agent is not ready after {GENEROUS:?}"),
    }
}
