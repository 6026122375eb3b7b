//! What is shown of a group, and what is refused.

use std::collections::BTreeMap;

use super::*;
use crate::consul::agent::{Check, CheckState};
use crate::consul::service::{Instance, Word};
use crate::consul::session::Session;
use crate::election::call::{Entry, KeyRead, LOCK_FLAG, SessionId};
use crate::election::candidate::{Candidate, GroupRead, Request};
use crate::status::{GroupReport, Role as Own, Transition};

const KEY: &str = "service/web/leader";

fn key(session: Option<&str>, value: &str, flags: u64) -> KeyRead {
    KeyRead {
        index: 40,
        entry: Some(Entry {
            value: Some(value.as_bytes().to_vec()),
            flags,
            session: session.map(SessionId::new),
            modify_index: 40,
        }),
    }
}

fn candidate(value: &str, priority: i32) -> Candidate {
    Candidate {
        value: value.to_owned(),
        session: SessionId::new(format!("of {value}")),
        priority,
        lock_delay: Duration::from_secs(3),
        contact: None,
    }
}

fn session(value: &str, node: &str) -> Session {
    Session {
        id: SessionId::new(format!("of {value}")),
        name: format!("vip-elector {KEY} {value} 00000000000000ff-0"),
        node: node.to_owned(),
        lock_delay: Duration::from_secs(3),
        checks: Vec::new(),
    }
}

fn service(value: &str, node: &str, leads: bool) -> Instance {
    Instance {
        id: format!("vip-elector/{KEY}/{value}"),
        node: node.to_owned(),
        leads,
        since: Some("2026-11-22T12:03:11Z".to_owned()),
        word: None,
        alive: true,
    }
}

fn critical(node: &str) -> Option<Check> {
    Some(Check {
        id: "vip-http".to_owned(),
        node: node.to_owned(),
        service: Some("web".to_owned()),
        state: CheckState::Critical,
        output: "HTTP GET http://127.0.0.1/: 503 Service Unavailable Output: \u{1b}[31mno\n"
            .to_owned(),
        notes: String::new(),
    })
}

/// web1 leads; web2 would; web3 is drained; web4's check is critical, so that it has no session.
fn usual() -> Seen {
    Seen {
        key: key(Some("of web1"), "web1", LOCK_FLAG),
        below: GroupRead {
            index: 50,
            candidates: vec![candidate("web1", 0), candidate("web2", 10)],
            request: None,
            drained: vec!["web3".to_owned()],
        },
        since: BTreeMap::from([("web2".to_owned(), "2026-11-22T11:00:00Z".to_owned())]),
        notes: BTreeMap::from([(
            "web3".to_owned(),
            Note {
                by: "ada@desk".to_owned(),
                since: "2026-11-22T12:00:00Z".to_owned(),
            },
        )]),
        sessions: Ok(vec![
            session("web1", "n1"),
            session("web2", "n2"),
            session("web3", "n3"),
        ]),
        services: Ok(vec![
            service("web1", "n1", true),
            service("web2", "n2", false),
            service("web3", "n3", false),
            service("web4", "n4", false),
        ]),
        checks: BTreeMap::from([("n4".to_owned(), critical("n4"))]),
        daemon: None,
    }
}

fn daemon(value: &str, role: Own, why: Option<&str>) -> GroupReport {
    GroupReport {
        group: KEY.to_owned(),
        value: value.to_owned(),
        role,
        since: "2026-11-22T12:03:11.250Z".to_owned(),
        why: why.map(str::to_owned),
        why_since: None,
        lock_delay_left_ms: None,
        leader: Some("web1".to_owned()),
        session: Some(format!("of {value}")),
        lease_left_ms: (role == Own::Leader).then_some(2_140),
        term: None,
        candidate: true,
        priority: 0,
        healthy: Some(true),
        health: "healthy".to_owned(),
        drained: false,
        addresses: Vec::new(),
        transitions: vec![
            Transition {
                at: "2026-11-22T12:00:00.000Z".to_owned(),
                from: Own::Joining,
                to: Own::Standby,
                reason: "it has a session".to_owned(),
            },
            Transition {
                at: "2026-11-22T12:03:11.250Z".to_owned(),
                from: Own::Standby,
                to: role,
                reason: "web4 handed the lock over".to_owned(),
            },
        ],
        trouble: None,
        lost: BTreeMap::new(),
    }
}

fn seen(own: &str, seen: Seen) -> GroupView {
    survey(KEY, own, Some("vip-http"), seen)
}

fn shown(own: &str, from: Seen) -> String {
    let groups = vec![seen(own, from)];
    show(&Survey { groups }, Style::Plain)
}

#[test]
fn a_group_that_is_well() {
    insta::assert_snapshot!("elsewhere", shown("desk", usual()));
    let leader = Seen {
        daemon: Some(daemon("web1", Own::Leader, None)),
        ..usual()
    };
    insta::assert_snapshot!("leader", shown("web1", leader.clone()));
    let groups = vec![seen("web1", leader)];
    insta::assert_snapshot!("leader_coloured", show(&Survey { groups }, Style::Coloured));
    let standby = Seen {
        daemon: Some(daemon("web2", Own::Standby, Some("web1 leads"))),
        ..usual()
    };
    insta::assert_snapshot!("standby", shown("web2", standby));
}

#[test]
fn why_not_is_said_with_its_time() {
    let mut sick = usual();
    // web2's daemon says so itself; web4's, where no check shows it, too.
    let word = |why: &str| {
        Some(Word {
            why: why.to_owned(),
            since: "2026-11-22T12:04:05.678Z".to_owned(),
        })
    };
    sick.below.candidates.retain(|one| one.value != "web2");
    let services = sick.services.as_mut().unwrap();
    services[1].word = word("http://127.0.0.1/ answered 500\u{1b}[31m");
    services[3].word = word("check 'vip-http' is critical");
    insta::assert_snapshot!("words", shown("desk", sick.clone()));
    let mut unknown = sick.clone();
    unknown.checks.clear();
    insta::assert_snapshot!("words_without_the_check", shown("desk", unknown));

    let why = "this host is not healthy: http://127.0.0.1/ answered 500";
    let here = GroupReport {
        why_since: Some("2026-11-22T12:04:05.678Z".to_owned()),
        healthy: Some(false),
        health: "http://127.0.0.1/ answered 500".to_owned(),
        ..daemon("web2", Own::Standby, Some(why))
    };
    let dated = Seen {
        daemon: Some(here),
        ..sick
    };
    insta::assert_snapshot!("dated", shown("web2", dated));

    let why = "it waits out the lock-delay of a leader that was lost";
    let waiting = Seen {
        key: key(None, "(vacant)", LOCK_FLAG),
        daemon: Some(GroupReport {
            leader: None,
            lock_delay_left_ms: Some(640),
            ..daemon("web2", Own::Standby, Some(why))
        }),
        ..usual()
    };
    insta::assert_snapshot!("lock_delay", shown("web2", waiting.clone()));
    let groups = vec![seen("web2", waiting)];
    assert_eq!(pace(&Survey { groups }), PACE, "it is seen to tick");
    let groups = vec![seen("web2", usual())];
    assert_eq!(pace(&Survey { groups }), WATCH_PACE);
}

#[test]
fn a_group_in_trouble() {
    let below = |drained: &[&str]| GroupRead {
        candidates: Vec::new(),
        drained: drained.iter().map(ToString::to_string).collect(),
        ..usual().below
    };
    let nobody = Seen {
        key: key(None, "", LOCK_FLAG),
        below: below(&["web3"]),
        sessions: Ok(vec![session("web3", "n3")]),
        services: Ok(vec![service("web4", "n4", false)]),
        ..usual()
    };
    insta::assert_snapshot!("nobody_leads", shown("web4", nobody));
    let foreign = Seen {
        key: key(None, "settings", 0),
        ..usual()
    };
    insta::assert_snapshot!("not_a_lock", shown("desk", foreign));
    let overwritten = Seen {
        key: key(Some("of web1"), "web1.example.com", LOCK_FLAG),
        ..usual()
    };
    insta::assert_snapshot!("overwritten", shown("desk", overwritten));
    let mut twice = usual();
    let again = Session {
        id: SessionId::new("another"),
        ..session("web2", "n9")
    };
    twice.sessions.as_mut().unwrap().push(again);
    insta::assert_snapshot!("one_value_twice", shown("desk", twice));
    let hidden = Seen {
        sessions: Err("cannot list sessions: the token needs session_prefix".to_owned()),
        services: Err(
            "cannot list the services 'vip-elector': the token needs node_prefix".to_owned(),
        ),
        below: GroupRead {
            request: Some(Request {
                index: 49,
                to: Some("web2".to_owned()),
            }),
            ..usual().below
        },
        ..usual()
    };
    insta::assert_snapshot!("little_right", shown("desk", hidden));
    let nothing = Seen {
        key: KeyRead {
            index: 1,
            entry: None,
        },
        below: below(&[]),
        sessions: Ok(Vec::new()),
        services: Ok(Vec::new()),
        ..usual()
    };
    insta::assert_snapshot!("nothing_yet", shown("desk", nothing));
}

#[test]
fn json_has_all_of_it_under_stable_names() {
    let groups = vec![seen("desk", usual())];
    let text = serde_json::to_string_pretty(&Survey { groups }).unwrap();
    insta::assert_snapshot!("json", text);
}

#[test]
fn what_cannot_work_is_refused_with_the_reason() {
    let view = seen("desk", usual());
    let none_fit = seen(
        "desk",
        Seen {
            below: GroupRead {
                candidates: vec![candidate("web1", 0)],
                ..usual().below
            },
            ..usual()
        },
    );
    let foreign = seen(
        "desk",
        Seen {
            key: key(Some("of the go tool"), "old1", LOCK_FLAG),
            ..usual()
        },
    );
    let nobody = seen(
        "desk",
        Seen {
            key: key(None, "", LOCK_FLAG),
            ..usual()
        },
    );
    let mut text = String::new();
    let mut line = |what: &str, refused: Result<(), String>| {
        let refused = refused.err().unwrap_or_else(|| "(done)".to_owned());
        text += &format!("{what}: {refused}\n");
    };
    for to in ["web1", "web2", "web3", "web4", "web9"] {
        line(
            &format!("switchover {to}"),
            refuse::switchover(&view, Some(to)),
        );
    }
    line("switchover", refuse::switchover(&view, None));
    line(
        "switchover, nobody fit",
        refuse::switchover(&none_fit, None),
    );
    line(
        "switchover, foreign",
        refuse::switchover(&foreign, Some("web2")),
    );
    line(
        "switchover, nobody",
        refuse::switchover(&nobody, Some("web2")),
    );
    line("drain web4", refuse::drain(&view, "web4"));
    line("drain web9", refuse::drain(&view, "web9"));
    insta::assert_snapshot!("refused", text);
    assert!(refuse::leaves_nobody(&none_fit, "web1"));
    assert!(!refuse::leaves_nobody(&view, "web1"));
    assert!(!refuse::leaves_nobody(&none_fit, "web2"));
}

#[test]
fn a_session_may_be_named_after_another_group_of_its_process() {
    let mut seen = usual();
    for session in seen.sessions.as_mut().unwrap() {
        session.name = session.name.replace(KEY, "another/key");
    }
    for service in seen.services.as_mut().unwrap() {
        service.id = service.id.replace(KEY, "another/key");
        service.alive = service.node != "n2";
    }
    let view = survey(KEY, "desk", None, seen);
    let host = |name: &str| view.hosts.iter().find(|host| host.host == name).unwrap();
    assert_eq!(host("web1").node.as_deref(), Some("n1"));
    assert!(host("web1").fit);
    assert_eq!(host("web2").health, "its daemon is not heard of any more");
}
