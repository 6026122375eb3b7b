//! Driver: what a bare client needs to hand as many locks over: the floor of every handover.
//!
//! The client sits on one connection and sends one transaction after the other; each of them takes locks
//! from one session and gives them to another, as many at once as the daemon's do.

use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{Value, json};
use vip_lab::cluster::Cluster;
use vip_lab::netns::Namespace;

/// Consul's limit of operations in a transaction, up to 1.11.
const OPERATIONS: usize = 64;
/// What the daemon's transactions have for each group: the candidate's entry is checked, the lock is given
/// up, taken for the candidate, and the candidate's entry deleted.
const FOR_EACH: usize = 4;
/// How many locks a transaction hands over.
pub(super) const AT_ONCE: usize = OPERATIONS / FOR_EACH;
/// How often all of them are handed over. The median counts.
const RUNS: usize = 5;
/// No call takes longer.
const TIMEOUT: Duration = Duration::from_secs(10);
const FOLDER: &str = "bench/bare/";

/// Returns how long each of some handovers of `locks` locks took, by a client on `host`.
pub(super) fn measure(
    cluster: &Cluster,
    host: &str,
    locks: usize,
) -> anyhow::Result<Vec<Duration>> {
    let (from, to) = (cluster.host(host)?, cluster.others(host).next());
    let to = to.context("this takes two hosts")?;
    let client = Client::new(from.namespace());
    let sessions = [client.session(from.name())?, client.session(to.name())?];
    let measured = (|| {
        client.each(locks, OPERATIONS, |key| vec![lock(key, &sessions[0])])?;
        let mut times = Vec::new();
        for run in 0..RUNS {
            let (old, new) = (&sessions[run % 2], &sessions[(run + 1) % 2]);
            let start = Instant::now();
            client.each(locks, AT_ONCE, |key| vec![unlock(key, old), lock(key, new)])?;
            times.push(start.elapsed());
        }
        Ok(times)
    })();
    client.clean_up(&sessions)?;
    measured
}

fn lock(key: &str, session: &str) -> Value {
    json!({ "KV": { "Verb": "lock", "Key": key, "Value": "d2ViMg==", "Session": session } })
}

fn unlock(key: &str, session: &str) -> Value {
    json!({ "KV": { "Verb": "unlock", "Key": key, "Value": "", "Session": session } })
}

struct Client {
    namespace: Namespace,
    http: ureq::Agent,
}

impl Client {
    fn new(namespace: &Namespace) -> Self {
        let configuration = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .proxy(None)
            .build();
        Self {
            namespace: namespace.clone(),
            http: configuration.into(),
        }
    }

    fn session(&self, node: &str) -> anyhow::Result<String> {
        let body = json!({ "Node": node, "Name": "bench", "LockDelay": "0s", "NodeChecks": [] });
        let answer: Value = serde_json::from_str(&self.put("session/create", &body.to_string())?)?;
        let id = answer["ID"].as_str();
        Ok(id.context("a session without an id")?.to_owned())
    }

    /// Does something to every lock, so many at a time.
    fn each(
        &self,
        locks: usize,
        at_once: usize,
        operations: impl Fn(&str) -> Vec<Value> + Sync,
    ) -> anyhow::Result<()> {
        // One thread for all of them: to enter a namespace takes time.
        self.namespace.enter(|| {
            let numbers: Vec<usize> = (0..locks).collect();
            numbers.chunks(at_once).try_for_each(|chunk| {
                let keys = chunk.iter().map(|number| format!("{FOLDER}{number:04}"));
                let body: Vec<Value> = keys.flat_map(|key| operations(&key)).collect();
                self.put_here("txn", &Value::from(body).to_string())
                    .map(drop)
            })
        })?
    }

    fn clean_up(&self, sessions: &[String]) -> anyhow::Result<()> {
        let delete = json!([{ "KV": { "Verb": "delete-tree", "Key": FOLDER } }]);
        self.put("txn", &delete.to_string())?;
        for session in sessions {
            self.put(&format!("session/destroy/{session}"), "")?;
        }
        Ok(())
    }

    fn put(&self, path: &str, body: &str) -> anyhow::Result<String> {
        self.namespace.enter(|| self.put_here(path, body))?
    }

    fn put_here(&self, path: &str, body: &str) -> anyhow::Result<String> {
        let url = format!("http://127.0.0.1:8500/v1/{path}");
        let mut answer = self.http.put(url).send(body)?;
        let text = answer.body_mut().read_to_string()?;
        anyhow::ensure!(answer.status() == 200, "{} {text}", answer.status());
        Ok(text)
    }
}
