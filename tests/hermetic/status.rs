//! What a daemon says of itself: the fixtures, and the tests by what is tested.

mod metrics;
mod report;
mod routes;
mod serve;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use vip_elector::config::Vip;
use vip_elector::election::call::{
    Answer, Entry, Failure, FailureKind, KeyRead, LOCK_FLAG, OpId, SessionId,
};
use vip_elector::election::health::Health;
use vip_elector::election::lease::{Lease, Terms};
use vip_elector::election::machine::Event;
use vip_elector::election::status::{Feature, Holder, Phase, Status};
use vip_elector::election::target::VipReport;
use vip_elector::election::time::Timestamp;
use vip_elector::hooks::standing;
use vip_elector::status::board::View;
use vip_elector::status::counters::Timed;
use vip_elector::status::http::{self, Response};
use vip_elector::status::snapshot::{About, Said, Snapshot};
use vip_elector::vip::announce::Announcing;

const NOW: Timestamp = Timestamp::from_boot(Duration::from_secs(3600));

/// 2026-01-02 03:04:05.678 UTC.
fn begin() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_767_323_045_678)
}

fn vip(address: &str, prefix: u8) -> Vip {
    let address = address.parse().unwrap();
    Vip {
        address,
        prefix,
        interface: "eth0".into(),
        label: None,
        announcing: Announcing::of(address),
    }
}

fn group(key: &str, managed: bool) -> Snapshot {
    let (ttl, lock_delay) = (Duration::from_secs(10), Duration::from_secs(3));
    let about = About {
        group: key.into(),
        value: "web1".into(),
        priority: 7,
        terms: match managed {
            true => Terms::managed(lock_delay, ttl),
            false => Terms::companion(lock_delay, ttl),
        },
        vips: match managed {
            true => vec![vip("192.0.2.1", 24), vip("2001:db8::1", 64)],
            false => Vec::new(),
        },
        deeds: Arc::default(),
        hooks: Arc::default(),
    };
    Snapshot::new(about, begin(), NOW)
}

/// A second later, something is so.
fn then(group: &mut Snapshot, change: impl FnOnce(&mut Status)) {
    let mut status = group.status.clone();
    change(&mut status);
    group.follow(
        group.since + Duration::from_secs(1),
        Said::default(),
        status,
    );
}

fn completed(result: Result<Answer, Failure>) -> Event {
    Event::Completed {
        op: OpId(1),
        result,
    }
}

fn leader(key: &str) -> Snapshot {
    let mut group = group(key, true);
    let session = SessionId::new("6a5c");
    then(&mut group, |status| {
        status.phase = Phase::Standby;
        status.session = Some(session.clone());
        status.health = Health::Good;
        status.candidate = true;
    });
    let entry = Entry {
        value: Some(b"web1".to_vec()),
        flags: LOCK_FLAG,
        session: Some(session),
        modify_index: 42,
    };
    let entry = Some(entry);
    let said = group.turn(
        NOW,
        Some(&completed(Ok(Answer::Key(KeyRead { index: 42, entry })))),
    );
    let lease = Lease::new(group.about.terms, NOW);
    let status = Status {
        phase: Phase::Leading(lease),
        ..group.status.clone()
    };
    assert!(group.follow(group.since + Duration::from_secs(1), said, status));
    let report = VipReport {
        version: 1,
        held: true,
        blocker: None,
    };
    let _ = group.turn(NOW, Some(&Event::Vip(report)));
    group.time(Timed::Proof, Duration::from_millis(3));
    group.time(Timed::Proof, Duration::from_micros(62_500));
    group.time(Timed::Renewal, Duration::from_secs(5));
    group
        .about
        .deeds
        .announcements
        .fetch_add(3, Ordering::Relaxed);
    let hooks = &group.about.hooks;
    hooks.count(standing::Role::Leader, true);
    hooks.count(standing::Role::Leader, true);
    hooks.count(standing::Role::Fault, false);
    group
}

fn standby(key: &str) -> Snapshot {
    let mut group = group(key, false);
    then(&mut group, |status| {
        status.phase = Phase::Standby;
        status.session = Some(SessionId::new("77aa"));
        let (session, value) = (SessionId::new("6a5c"), "web2".into());
        status.holder = Some(Holder { session, value });
        status.health = Health::Bad("http://127.0.0.1/ answers 500".into());
        status
            .lost
            .insert(Feature::Liveness, "Permission denied".into());
    });
    for kind in [
        FailureKind::Unavailable,
        FailureKind::Held,
        FailureKind::Unavailable,
    ] {
        let failure = Failure {
            kind,
            message: "no answer".into(),
        };
        let _ = group.turn(NOW, Some(&completed(Err(failure))));
    }
    group
}

fn view(groups: Vec<Snapshot>) -> View {
    let (started_at, pid) = (begin(), 1);
    View {
        started_at,
        pid,
        groups,
    }
}

fn ask(view: &View, now: Timestamp, question: &str) -> Response {
    let head = format!("GET {question} HTTP/1.1\r\nHost: a\r\n\r\n");
    let request = http::parse(head.as_bytes()).unwrap().unwrap();
    vip_elector::status::routes::answer(view.clone(), now, &request)
}
