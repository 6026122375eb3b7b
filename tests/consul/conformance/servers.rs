//! Three servers: what holds when the raft leader changes, and when there is none.

use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::json;
use vip_elector::consul::Client;
use vip_elector::consul::kv::Consistency;
use vip_elector::consul::session::NewSession;
use vip_elector::consul::txn::{Op, Write};
use vip_elector::election::call::{Failure, FailureKind, SessionId};

use crate::agent::{Agent, GENEROUS, Ports, eventually};
use crate::{access, trial};

const KEY: &str = "servers/k";

/// For a request that nobody may answer.
const SHORT: Duration = Duration::from_secs(2);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "conformance::without_a_quorum_a_renewal_may_succeed_and_a_consistent_read_cannot",
            without_a_quorum_a_renewal_may_succeed_and_a_consistent_read_cannot,
        ),
        trial(
            "conformance::a_lock_delay_outlives_its_raft_leader",
            a_lock_delay_outlives_its_raft_leader,
        ),
    ]
}

/// A raft leader that has just lost all others does not know yet.
async fn without_a_quorum_a_renewal_may_succeed_and_a_consistent_read_cannot() {
    // Three times the usual lease of a raft leader, so that the renewal reaches it in time.
    let servers = Servers::start(3);
    let leader = servers.leader();
    let client = client_of(&servers.agents[leader]);
    let id = session(&client, Duration::from_secs(60)).await;
    lock(&client, &id).await.unwrap();

    let others = || (0..3).filter(|other| *other != leader);
    others().for_each(|other| servers.agents[other].freeze());
    let renewed = client.renew_session(&id, SHORT).await;
    let read = client.read(KEY, Consistency::Consistent, SHORT).await;
    let stale = client.read(KEY, Consistency::Stale, GENEROUS).await;
    let written = lock(&client, &id).await;
    others().for_each(|other| servers.agents[other].thaw());

    assert_eq!(renewed, Ok(()));
    assert_eq!(read.unwrap_err().kind, FailureKind::Unavailable);
    assert_eq!(stale.unwrap().entry.unwrap().session, Some(id.clone()));
    assert_eq!(written.unwrap_err().kind, FailureKind::Unavailable);

    let started = Instant::now();
    let holder = loop {
        match client.read(KEY, Consistency::Consistent, SHORT).await {
            Ok(read) => break read.entry.unwrap().session,
            Err(failure) => assert!(started.elapsed() < GENEROUS, "{}", failure.message),
        }
    };
    assert_eq!(holder, Some(id));
}

/// Whatever server leads, it has seen the death itself, and counts for itself. One that comes to lead before
/// it has seen it gives the lock at once: that is why nobody leaves the waiting to Consul.
async fn a_lock_delay_outlives_its_raft_leader() {
    let lock_delay = Duration::from_secs(15);
    let mut servers = Servers::start(1);
    let leader = servers.leader();
    let survivor = &servers.agents[(leader + 1) % 3];
    let (doomed, client) = (client_of(&servers.agents[leader]), client_of(survivor));
    let dies = session(&doomed, lock_delay).await;
    let other = session(&client, lock_delay).await;
    lock(&doomed, &dies).await.unwrap();

    let asked = Instant::now();
    doomed.destroy_session(&dies, GENEROUS).await.unwrap();
    for other in (0..3).filter(|other| *other != leader) {
        seen_without_key(&client_of(&servers.agents[other])).await;
    }
    servers.agents[leader].kill();
    let survivor = &servers.agents[(leader + 1) % 3];
    let old = servers.agents[leader].ports.server();
    eventually("another server leads", || match named_leader(survivor) {
        Some(port) if port != old => Ok(()),
        named => Err(format!("{named:?}")),
    });
    let led = Instant::now();

    let mut refused = 0;
    loop {
        match lock(&client, &other).await {
            Ok(()) => break,
            Err(failure) if failure.kind == FailureKind::LockDelayed => refused += 1,
            // What is asked of a server that does not lead yet.
            Err(failure) => assert_eq!(
                failure.kind,
                FailureKind::Unavailable,
                "{}",
                failure.message
            ),
        }
        assert!(led.elapsed() < lock_delay + GENEROUS, "refused for ever");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let after = asked.elapsed();
    assert!(refused > 0, "the new leader never refused the lock");
    assert!(after >= lock_delay, "given {after:?} after the death");
}

/// Waits until the server itself, whoever leads, has no key.
async fn seen_without_key(client: &Client) {
    let started = Instant::now();
    let mut index = 0;
    loop {
        let watch = client.watch(KEY, index, SHORT, Consistency::Stale, GENEROUS);
        let read = watch.await.unwrap();
        if read.entry.is_none() {
            return;
        }
        assert!(started.elapsed() < GENEROUS, "the key stays");
        index = read.index;
    }
}

async fn session(client: &Client, lock_delay: Duration) -> SessionId {
    let new = NewSession {
        name: "conformance",
        ttl: Duration::from_secs(600),
        lock_delay,
        node: None,
        checks: &[],
    };
    client.create_session(new, GENEROUS).await.unwrap()
}

async fn lock(client: &Client, id: &SessionId) -> Result<(), Failure> {
    let write = Write {
        key: KEY,
        value: b"x",
        flags: 0,
    };
    client
        .transact(&[Op::Lock(write, id)], "lock", SHORT)
        .await
        .map(drop)
}

fn client_of(agent: &Agent) -> Client {
    Client::new(&access(&[agent.url()])).unwrap()
}

/// Returns the port of the server that this one takes for the raft leader.
fn named_leader(agent: &Agent) -> Option<u16> {
    let named = agent.get("status/leader");
    named.as_str()?.rsplit(':').next()?.parse().ok()
}

struct Servers {
    agents: Vec<Agent>,
}

impl Servers {
    /// Starts three, and waits until each has its node's health in the catalog.
    fn start(raft_multiplier: u64) -> Self {
        let ports = [(); 3].map(|()| Ports::take());
        let join = ports.map(|ports| format!("127.0.0.1:{}", ports.lan()));
        let more = json!({
            "server": true, "bootstrap_expect": 3, "retry_join": join, "retry_interval": "1s",
            "performance": { "raft_multiplier": raft_multiplier },
        });
        // Together: none of them leads before all are there.
        let agents = thread::scope(|scope| {
            let starts: Vec<_> = ports
                .iter()
                .enumerate()
                .map(|(number, ports)| {
                    let (node, more) = (format!("n{number}"), &more);
                    scope.spawn(move || Agent::start(&node, *ports, more))
                })
                .collect();
            starts
                .into_iter()
                .map(|start| start.join().unwrap())
                .collect()
        });
        Self { agents }
    }

    /// Returns which of them leads.
    fn leader(&self) -> usize {
        eventually("a raft leader", || {
            let port = named_leader(&self.agents[0]).ok_or("nobody")?;
            self.agents
                .iter()
                .position(|agent| agent.ports.server() == port)
                .ok_or_else(|| port.to_string())
        })
    }
}
