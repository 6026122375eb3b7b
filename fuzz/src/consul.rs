//! What Consul answers: every call of the election and of the health watch, answered by anybody.
//!
//! The first byte of an input chooses the call. Then come the answers to its requests, one after the
//! other with a line `--` between; the last one is given as often as it is asked for. The first line of
//! an answer is its status, its `X-Consul-Index`, and anything more where the ACL has hidden something;
//! the rest is its body.

pub(crate) mod agent;

use std::time::Duration;

use vip_elector::consul::{Binding, Terms};
use vip_elector::election::call::{
    Answer, Call, Entry, Failure, FailureKind, SessionId, Successor,
};
use vip_elector::election::candidate::{Contact, GroupRead, Secret};

use self::agent::{Agent, TIMEOUT};
use crate::text::{assert_line, assert_name};

/// Its session, as it is in the seeds.
const OURS: &str = "11111111-1111-4111-8111-111111111111";

/// Consul's own limit (`MaxLockDelay`).
const LONGEST_LOCK_DELAY: Duration = Duration::from_secs(60);

pub(crate) fn take(input: &[u8]) {
    let Some((&choice, answers)) = input.split_first() else {
        return;
    };
    let answers = agent::answers(answers);
    let heard: Vec<u8> = answers.concat();
    Agent::with(|agent| {
        agent.answer_with(answers);
        match choice {
            b'A'..=b'Z' => look(agent, choice),
            _ => elect(agent, calls(choice), &heard),
        }
    });
}

/// A call of the election.
fn elect(agent: &Agent, call: Call, heard: &[u8]) {
    let binding = Binding::new(agent.client(), terms());
    let (answer, took) = agent.run(binding.call(call.clone(), TIMEOUT));
    assert!(took <= TIMEOUT * 2, "{call:?} took {took:?}");
    let says_ours = heard
        .windows(OURS.len())
        .any(|window| window == OURS.as_bytes());
    match answer {
        Err(failure) => assert_failure(&failure),
        Ok(answer) => {
            let proves = matches!(
                call,
                Call::RenewSession(_) | Call::Acquire { .. } | Call::Restore(_) | Call::Register(_)
            );
            assert!(!proves || says_ours, "{call:?} is done, and nobody said so");
            assert_answer(&answer);
        }
    }
}

/// What is asked beside the election.
fn look(agent: &Agent, choice: u8) {
    let client = agent.client();
    match choice {
        b'A' => match agent.run(client.agent(TIMEOUT)).0 {
            Ok(agent) => {
                assert_name(&agent.node);
            }
            Err(failure) => assert_failure(&failure),
        },
        b'B' => match agent.run(client.node_of_checks(TIMEOUT)).0 {
            Ok(Some(node)) => assert_name(&node),
            Ok(None) => {}
            Err(failure) => assert_failure(&failure),
        },
        b'C' => match agent.run(client.sessions(None, TIMEOUT)).0 {
            Ok(sessions) => {
                for session in sessions {
                    assert_name(session.id.as_str());
                    assert_name(&session.node);
                    assert!(session.lock_delay <= LONGEST_LOCK_DELAY);
                }
            }
            Err(failure) => assert_failure(&failure),
        },
        _ => match agent.run(client.node_checks("n", 7, TIMEOUT, TIMEOUT)).0 {
            Ok(seen) => assert!(seen.index > 0),
            Err(failure) => assert_failure(&failure),
        },
    }
}

fn assert_failure(failure: &Failure) {
    assert_line(&failure.message, 1100);
    let absent = [FailureKind::Held, FailureKind::LockDelayed].contains(&failure.kind);
    assert!(!absent || failure.message.contains("rolled it back"));
}

fn assert_answer(answer: &Answer) {
    match answer {
        Answer::Created(id) => assert_name(id.as_str()),
        Answer::Found(id) => {
            if let Some(id) = id {
                assert_name(id.as_str());
            }
        }
        Answer::LockDelay(time) => assert!(time.is_none_or(|time| time <= LONGEST_LOCK_DELAY)),
        Answer::Key(read) => {
            assert!(read.index > 0);
            if let Some(entry) = &read.entry {
                assert_entry(entry);
            }
        }
        Answer::Group(group) => assert_group(group),
        Answer::Done => {}
    }
}

fn assert_entry(entry: &Entry) {
    if let Some(session) = &entry.session {
        assert_name(session.as_str());
    }
}

fn assert_group(group: &GroupRead) {
    assert!(group.index > 0);
    assert!(group.candidates.len() <= 64);
    for candidate in &group.candidates {
        assert_name(&candidate.value);
        assert!(!candidate.value.contains('/'));
        assert_name(candidate.session.as_str());
        assert!(candidate.lock_delay <= LONGEST_LOCK_DELAY);
    }
    if let Some(to) = group
        .request
        .as_ref()
        .and_then(|request| request.to.as_ref())
    {
        assert_name(to);
    }
}

fn terms() -> Terms {
    Terms {
        key: "service/db/leader".to_owned(),
        value: "web1".to_owned(),
        ttl: Duration::from_secs(10),
        lock_delay: Duration::from_secs(3),
        check_id: Some("vip-http".to_owned()),
        priority: 0,
        contact: Some(Contact {
            address: ([192, 0, 2, 1], 8547).into(),
            secret: Secret([7; 32]),
        }),
        liveness_ttl: Some(Duration::from_secs(3)),
    }
}

/// Every call, by a small letter or any other byte.
fn calls(choice: u8) -> Call {
    let ours = SessionId::new(OURS);
    let name = "vip-elector web1 0".to_owned();
    match choice.wrapping_sub(b'a') % 21 {
        0 => Call::CreateSession {
            name,
            liveness: true,
        },
        1 => Call::FindSession { name, id: None },
        2 => Call::RenewSession(ours),
        3 => Call::DestroySession(ours),
        4 => Call::SessionLockDelay(ours),
        5 => Call::Read,
        6 => Call::Watch { index: 7 },
        7 => Call::WatchThroughLeader { index: 7 },
        8 => Call::MarkVacant,
        9 => Call::Acquire {
            session: ours,
            index: 7,
        },
        10 => Call::Restore(ours),
        11 => Call::Release {
            session: ours,
            registered: true,
        },
        12 => Call::HandOver {
            session: ours,
            registered: true,
            successor: Successor {
                session: SessionId::new("22222222-2222-4222-8222-222222222222"),
                value: "web2".to_owned(),
            },
            request: Some(9),
        },
        13 => Call::RegisterService { leads: true },
        14 => Call::Feed,
        15 => Call::DeregisterService,
        16 => Call::WatchGroup { index: 7 },
        17 => Call::Register(ours),
        18 => Call::Unregister(ours),
        19 => Call::DropRequest { index: 9 },
        _ => Call::Depose(ours),
    }
}
