//! Driver: what a planned move cannot be faster than in this cluster: one commit, and one watch that
//! wakes of it.
//!
//! A bare client on one host writes a key in a transaction; a bare client on another host sits in a
//! blocking read of it. The time runs from sending the transaction to the arrival of the read's
//! answer; both connections are open before.
//!
//! There are two ways to watch, and the quicker one is the floor. A read that is forwarded to the raft
//! leader wakes as soon as the leader has the commit. A `?stale` one wakes when the reader's own server
//! hears of it: with the next write that the leader sends it, or with the next reminder, which in
//! hashicorp/raft comes after its `CommitTimeout`, 50 to 100 ms.

use std::time::{Duration, Instant};

use anyhow::Context;
use vip_lab::cluster::Cluster;
use vip_lab::netns::Namespace;

const KEY: &str = "bench/floor";
/// No call takes longer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long a read has to get to the server before the write follows; the API does not tell.
const APPROACH: Duration = Duration::from_millis(30);

/// How a key is watched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Watch {
    /// Through the raft leader.
    Led,
    /// At the reader's own server.
    Stale,
}

/// Measures `runs` times; each host in turn is the one that writes, and the next one reads.
pub(super) fn measure(
    cluster: &Cluster,
    watch: Watch,
    runs: usize,
) -> anyhow::Result<Vec<Duration>> {
    let clients: Vec<Client> = cluster
        .hosts()
        .iter()
        .map(|host| Client::new(host.namespace(), watch))
        .collect();
    let mark = Instant::now();
    // Opens every connection.
    for client in &clients {
        client.write("warm")?;
        client.read(0)?;
    }
    let pairs = clients.iter().zip(clients.iter().cycle().skip(1)).cycle();
    pairs
        .take(runs)
        .enumerate()
        .map(|(number, (writer, reader))| {
            let value = format!("{number} {:?}", mark.elapsed());
            one(writer, reader, &value).context("the floor could not be measured")
        })
        .collect()
}

fn one(writer: &Client, reader: &Client, value: &str) -> anyhow::Result<Duration> {
    let (index, _) = reader.read(0)?;
    let (watcher, awaited) = (reader.clone(), value.to_owned());
    let watch = reader
        .namespace
        .spawn("floor", move || watcher.wait_for(index, &awaited))?;
    std::thread::sleep(APPROACH);
    let sent = writer.write(value)?;
    let woken = watch
        .join()
        .map_err(|_| anyhow::anyhow!("the reader panicked"))???;
    Ok(woken.saturating_duration_since(sent))
}

/// A client of one host's agent, with connections that stay open.
#[derive(Clone, Debug)]
struct Client {
    namespace: Namespace,
    http: ureq::Agent,
    watch: Watch,
}

impl Client {
    fn new(namespace: &Namespace, watch: Watch) -> Self {
        let configuration = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .proxy(None)
            .build();
        Self {
            namespace: namespace.clone(),
            http: configuration.into(),
            watch,
        }
    }

    /// Writes; returns when the request was sent.
    fn write(&self, value: &str) -> anyhow::Result<Instant> {
        use base64::Engine;
        let value = base64::engine::general_purpose::STANDARD.encode(value);
        let body = serde_json::json!([{ "KV": { "Verb": "set", "Key": KEY, "Value": value } }]);
        let body = body.to_string();
        self.namespace.enter(|| {
            let sent = Instant::now();
            let mut answer = self.http.put(url("txn")).send(body)?;
            let text = answer.body_mut().read_to_string()?;
            anyhow::ensure!(answer.status() == 200, "{} {text}", answer.status());
            Ok(sent)
        })?
    }

    /// Reads the key at once, or after a change since `index`; returns the new index, and the value,
    /// which is empty where the key is not there yet.
    fn read(&self, index: u64) -> anyhow::Result<(u64, String)> {
        self.namespace.enter(|| self.read_here(index))?
    }

    fn read_here(&self, index: u64) -> anyhow::Result<(u64, String)> {
        let mut path = format!("kv/{KEY}?raw");
        if self.watch == Watch::Stale {
            path += "&stale";
        }
        if index > 0 {
            path += &format!("&wait=2s&index={index}");
        }
        let mut answer = self.http.get(url(&path)).call()?;
        let index = answer.headers().get("x-consul-index");
        let index = index
            .and_then(|index| index.to_str().ok()?.parse().ok())
            .context("an answer without an index")?;
        let value = answer.body_mut().read_to_string()?;
        match answer.status().as_u16() {
            200 => Ok((index, value)),
            404 => Ok((index, String::new())),
            status => anyhow::bail!("{status} {value}"),
        }
    }

    /// Reads until the value is `awaited`; returns when that answer arrived.
    fn wait_for(&self, mut index: u64, awaited: &str) -> anyhow::Result<Instant> {
        let deadline = Instant::now() + TIMEOUT;
        while Instant::now() < deadline {
            let (next, value) = self.read_here(index)?;
            if value == awaited {
                return Ok(Instant::now());
            }
            index = next;
        }
        anyhow::bail!("a read that did not wake")
    }
}

fn url(path: &str) -> String {
    format!("http://127.0.0.1:8500/v1/{path}")
}
