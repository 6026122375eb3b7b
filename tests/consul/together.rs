//! What the groups of one process do together, on a real Consul.

use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::Value;
use vip_elector::consul::txn::Shown;
use vip_elector::consul::{Binding, Client, GroupLine, Hub, Terms};
use vip_elector::driver::Consul;
use vip_elector::election::call::{
    Answer, Call, Entry, FailureKind, KeyRead, SessionId, Successor,
};
use vip_elector::election::candidate::GroupRead;
use vip_elector::election::note::Before;

use crate::agent::{Agent, GENEROUS};
use crate::{access, terms, trial};

const D: Duration = Duration::from_secs(15);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "several_keys_are_read_together",
            several_keys_are_read_together,
        ),
        trial(
            "groups_share_a_session_and_leave_it_alone",
            groups_share_a_session_and_leave_it_alone,
        ),
        trial(
            "one_that_is_refused_leaves_the_others_alone",
            one_that_is_refused_leaves_the_others_alone,
        ),
        trial(
            "a_folder_is_watched_for_all_its_groups",
            a_folder_is_watched_for_all_its_groups,
        ),
        trial(
            "what_is_lost_on_its_way_is_let_go_of",
            what_is_lost_on_its_way_is_let_go_of,
        ),
    ]
}

/// A process on a host.
struct Process {
    hub: Hub,
    client: Client,
    value: &'static str,
}

impl Process {
    fn new(agent: &Agent, value: &'static str) -> Self {
        let client = Client::new(&access(&[agent.url()])).unwrap();
        Self {
            hub: Hub::new(client.clone()),
            client,
            value,
        }
    }

    fn group(&self, key: &str) -> GroupLine {
        self.bound(key, None)
    }

    fn bound(&self, key: &str, check_id: Option<&str>) -> GroupLine {
        let terms = Terms {
            key: key.to_owned(),
            check_id: check_id.map(str::to_owned),
            ..terms(self.value, D)
        };
        self.hub
            .enter(Binding::new(self.client.clone(), terms), &Before::Nothing)
    }
}

async fn ask(line: &GroupLine, call: Call) -> Answer {
    let asked = call.clone();
    line.call(call, GENEROUS)
        .await
        .unwrap_or_else(|failure| panic!("{asked:?}: {}", failure.message))
}

async fn refusal(line: &GroupLine, call: Call) -> FailureKind {
    line.call(call, GENEROUS).await.unwrap_err().kind
}

async fn session(line: &GroupLine) -> SessionId {
    let call = Call::CreateSession {
        name: "together".to_owned(),
        liveness: false,
    };
    let answer = ask(line, call).await;
    let Answer::Created(session) = answer else {
        panic!("{answer:?}")
    };
    session
}

async fn read(line: &GroupLine) -> KeyRead {
    let answer = ask(line, Call::Read).await;
    let Answer::Key(read) = answer else {
        panic!("{answer:?}")
    };
    read
}

async fn key(line: &GroupLine) -> Option<Entry> {
    read(line).await.entry
}

async fn lead(line: &GroupLine, session: &SessionId) {
    if key(line).await.is_none() {
        ask(line, Call::MarkVacant).await;
    }
    ask(line, Call::Register(session.clone())).await;
    let index = key(line).await.unwrap().modify_index;
    let session = session.clone();
    ask(line, Call::Acquire { session, index }).await;
}

fn holder(entry: Option<Entry>) -> Option<SessionId> {
    entry.and_then(|entry| entry.session)
}

fn sessions(agent: &Agent) -> usize {
    agent.get("session/list").as_array().map_or(0, Vec::len)
}

async fn several_keys_are_read_together() {
    let agent = Agent::server();
    let client = Client::new(&access(&[agent.url()])).unwrap();
    assert_eq!(agent.ask("PUT", "kv/vip/a", "one").trim(), "true");
    assert_eq!(agent.ask("PUT", "kv/vip/c", "three").trim(), "true");
    let read = client
        .read_together(&["vip/a", "vip/b", "vip/c"], GENEROUS)
        .await
        .unwrap();
    let [Shown::Key(a), Shown::Missing, Shown::Key(c)] = read.as_slice() else {
        panic!("{read:?}");
    };
    assert_eq!(a.value.as_deref(), Some(&b"one"[..]));
    assert_eq!(c.value.as_deref(), Some(&b"three"[..]));
    let none = client
        .read_together(&["vip/x", "vip/y"], GENEROUS)
        .await
        .unwrap();
    assert_eq!(none, [Shown::Missing, Shown::Missing]);
}

async fn groups_share_a_session_and_leave_it_alone() {
    let agent = Agent::server();
    let process = Process::new(&agent, "host1");
    let (a, b) = (process.group("vip/a"), process.group("vip/b"));
    let bound = process.bound("vip/c", Some("serfHealth"));
    let (s, t, u) = tokio::join!(session(&a), session(&b), session(&bound));
    assert_eq!(s, t);
    assert_ne!(s, u, "what one dies of is none of the other's business");
    assert_eq!(sessions(&agent), 2);
    tokio::join!(lead(&a, &s), lead(&b, &s));

    // What one has released is never its again, and the other one's still.
    let release = Call::Release {
        session: s.clone(),
        registered: true,
    };
    ask(&a, release).await;
    ask(&a, Call::DestroySession(s.clone())).await;
    assert_eq!(holder(key(&b).await), Some(s.clone()));
    let next = session(&a).await;
    assert_ne!(next, s);
    lead(&a, &next).await;
    assert_eq!(sessions(&agent), 3);

    // Without a release, it is let go of: nobody is told of a clean ending.
    ask(&b, Call::Unregister(s.clone())).await;
    ask(&a, Call::DestroySession(next.clone())).await;
    let left = key(&a).await;
    assert_eq!(left, None, "nobody else had that one, so it was destroyed");
    let c = process.group("vip/d");
    assert_eq!(session(&c).await, s);
    lead(&c, &s).await;
    ask(&c, Call::DestroySession(s.clone())).await;
    let left = key(&c).await.unwrap();
    assert_eq!(
        (left.session, left.value.as_deref()),
        (None, Some(&b"(vacant)"[..]))
    );
    assert_eq!(candidates(&c).await.candidates, []);
    assert_eq!(holder(key(&b).await), Some(s.clone()));

    // The last one ends it.
    ask(&b, Call::DestroySession(s)).await;
    assert_eq!(key(&b).await, None);
    assert_eq!(sessions(&agent), 1);
}

async fn one_that_is_refused_leaves_the_others_alone() {
    let agent = Agent::server();
    let (ours, theirs) = (Process::new(&agent, "host1"), Process::new(&agent, "host2"));
    let keys = ["vip/a", "vip/b", "vip/c", "vip/d"];
    let lines = keys.map(|key| ours.group(key));
    let others = keys.map(|key| theirs.group(key));
    let s = session(&lines[0]).await;
    for line in &lines {
        assert_eq!(session(line).await, s);
        lead(line, &s).await;
    }
    let t = session(&others[0]).await;
    for other in &others[1..] {
        session(other).await;
        // Nobody stands for the first.
        ask(other, Call::Register(t.clone())).await;
    }
    let handover = Call::HandOver {
        session: s.clone(),
        registered: true,
        successor: Successor {
            session: t.clone(),
            value: "host2".to_owned(),
        },
        request: None,
    };
    let [a, b, c, d] = &lines;
    let results = tokio::join!(
        a.call(handover.clone(), GENEROUS),
        b.call(handover.clone(), GENEROUS),
        c.call(handover.clone(), GENEROUS),
        d.call(handover.clone(), GENEROUS)
    );
    assert_eq!(results.0.unwrap_err().kind, FailureKind::Changed);
    for result in [results.1, results.2, results.3] {
        assert_eq!(result, Ok(Answer::Done));
    }
    assert_eq!(holder(key(a).await), Some(s));
    let mut changed = Vec::new();
    for line in [b, c, d] {
        let entry = key(line).await.unwrap();
        assert_eq!(entry.session, Some(t.clone()));
        changed.push(entry.modify_index);
    }
    changed.dedup();
    assert_eq!(changed.len(), 1, "in one transaction");
}

async fn candidates(line: &GroupLine) -> GroupRead {
    let answer = ask(line, Call::WatchGroup { index: 0 }).await;
    let Answer::Group(group) = answer else {
        panic!("{answer:?}")
    };
    group
}

async fn a_folder_is_watched_for_all_its_groups() {
    let agent = Agent::server();
    let process = Process::new(&agent, "host1");
    let lines = ["vip/a", "vip/b", "vip/c"].map(|key| process.group(key));
    let [a, b, _] = &lines;
    let s = session(a).await;
    session(b).await;
    assert_eq!(candidates(a).await.candidates, []);
    lead(a, &s).await;
    let known = read(a).await.index;
    let [below] = candidates(a).await.candidates.try_into().unwrap();
    assert_eq!((below.value.as_str(), below.session), ("host1", s.clone()));

    // Each is woken by what happens to its own key, and by nothing else.
    let watch = |line, index| ask(line, Call::Watch { index });
    let through = |line, index| ask(line, Call::WatchThroughLeader { index });
    let other = agent.ask("PUT", "kv/vip/b", "b");
    assert_eq!(other.trim(), "true");
    assert!(matches!(watch(b, 1).await, Answer::Key(read) if read.entry.is_some()));
    assert!(
        watch(a, known).now_or_soon().await.is_none(),
        "woken by another's key"
    );
    let changes = async {
        tokio::task::yield_now().await;
        assert_eq!(agent.ask("PUT", "kv/vip/a", "overwritten").trim(), "true");
    };
    let (one, other, ()) = tokio::join!(watch(a, known), through(a, known), changes);
    for seen in [one, other] {
        let Answer::Key(seen) = seen else {
            panic!("{seen:?}")
        };
        assert!(seen.index > known);
        let entry = seen.entry.unwrap();
        assert_eq!(entry.value.as_deref(), Some(&b"overwritten"[..]));
        assert_eq!(entry.session, Some(s.clone()));
    }

    // A key that goes is seen to go.
    let index = read(a).await.index;
    let goes = async {
        tokio::task::yield_now().await;
        agent.ask("DELETE", "kv/vip/a", "");
    };
    let (gone, ()) = tokio::join!(watch(a, index), goes);
    assert!(matches!(gone, Answer::Key(read) if read.entry.is_none() && read.index > index));
}

/// An acquire that was never answered and comes late finds the key changed by the one who has left.
async fn what_is_lost_on_its_way_is_let_go_of() {
    let agent = Agent::server();
    let process = Process::new(&agent, "host1");
    let (a, b) = (process.group("vip/a"), process.group("vip/b"));
    let s = session(&a).await;
    session(&b).await;
    ask(&a, Call::MarkVacant).await;
    let index = key(&a).await.unwrap().modify_index;
    ask(&a, Call::DestroySession(s.clone())).await;
    let late = Call::Acquire { session: s, index };
    assert_eq!(refusal(&a, late).await, FailureKind::Changed);
    let left = key(&a).await.unwrap();
    assert_eq!(left.value.as_deref(), Some(&b"(vacant)"[..]));
    let all: Value = agent.get("session/list");
    assert_eq!(all.as_array().map(Vec::len), Some(1), "{all}");
}

/// Waits for a little while only.
trait NowOrSoon: Future + Sized {
    async fn now_or_soon(self) -> Option<Self::Output> {
        tokio::time::timeout(Duration::from_millis(500), self)
            .await
            .ok()
    }
}

impl<F: Future> NowOrSoon for F {}
