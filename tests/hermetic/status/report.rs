//! The report, as people and programs read it.

use std::time::Duration;

use vip_elector::election::call::FailureKind;
use vip_elector::election::health::Health;
use vip_elector::election::status::{Doing, Ending, Holder, LockDelay, Phase, Status, Trouble};
use vip_elector::election::target::Blocker;
use vip_elector::status::{Report, Role, TRANSITIONS};

use vip_elector::election::call::SessionId;
use vip_elector::status::snapshot::{Said, Snapshot};

use super::{NOW, ask, begin, group, leader, standby, then, view};

#[test]
fn the_report_is_complete_and_is_read_back() {
    let view = view(vec![leader("service/pg/leader"), standby("odd \"key\"")]);
    let answer = ask(&view, NOW + Duration::from_secs(1), "/status");
    assert_eq!(answer.content_type, "application/json");
    let report: Report = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(report, view.report(NOW + Duration::from_secs(1)));
    let pretty = serde_json::to_string_pretty(&report).unwrap();
    insta::assert_snapshot!(pretty);
}

#[test]
fn a_standby_says_why() {
    let mut group = group("key", true);
    then(&mut group, |status| {
        status.phase = Phase::Standby;
        status.health = Health::Good;
    });
    let mut why = |change: fn(&mut Status)| {
        then(&mut group, change);
        group.why().unwrap()
    };
    assert_eq!(why(|_| ()), "nobody leads, and this host asks for the lock");
    assert_eq!(
        why(|status| status.ending = Some(Ending::Unlocked)),
        "nobody leads, and this host asks for the lock; it led last until: the trigger key is no longer locked: \
         consul ended the session, or somebody unlocked it"
    );
    assert_eq!(
        why(|status| status.blocker = Some(Blocker::InterfaceDown)),
        "the address cannot be held here: the interface is down or has no carrier"
    );
    assert_eq!(
        why(|status| status.phase = Phase::Joining),
        "it is getting a session"
    );
}

#[test]
fn of_many_transitions_the_last_are_told() {
    let mut group = group("key", true);
    for number in 0..100 {
        then(&mut group, |status| {
            status.phase = if number % 2 == 0 {
                Phase::Standby
            } else {
                Phase::Joining
            };
        });
    }
    let report = group.report(NOW);
    assert_eq!(report.transitions.len(), TRANSITIONS);
    let last = report.transitions.last().unwrap();
    assert_eq!(
        (last.to, last.at.as_str()),
        (Role::Joining, "2026-01-02T03:05:45.678Z")
    );
    assert_eq!(group.counters.transitions.values().sum::<u64>(), 100);
}

/// So many seconds after the beginning, something is so.
fn at(group: &mut Snapshot, second: u64, change: impl FnOnce(&mut Status)) {
    let mut status = group.status.clone();
    change(&mut status);
    group.follow(
        begin() + Duration::from_secs(second),
        Said::default(),
        status,
    );
}

/// Why it does not lead, since which second of the minute, and what others hear of it.
fn said(group: &Snapshot) -> (String, Option<String>, Option<String>) {
    let report = group.report(NOW);
    let word = group.word();
    if let Some(word) = &word {
        assert_eq!(Some(&word.since), report.why_since.as_ref());
    }
    let second = |since: String| since[17..19].to_owned();
    (
        report.why.unwrap(),
        report.why_since.map(second),
        word.map(|word| word.why),
    )
}

#[test]
fn what_keeps_a_host_from_leading_is_dated_from_when_it_came_up() {
    let mut group = group("key", true);
    let mut second = 5;
    let mut when = |change: fn(&mut Status), why: &str, since: Option<u64>, word: Option<&str>| {
        second += 1;
        at(&mut group, second - 5, change);
        let since = since.map(|since| format!("{since:02}"));
        assert_eq!(said(&group), (why.into(), since, word.map(str::to_owned)));
    };
    let bad = |status: &mut Status| status.health = Health::Bad("it answers 500".into());
    when(
        |status| status.phase = Phase::Standby,
        "it is not known yet whether this host is healthy",
        Some(6),
        None,
    );
    when(
        bad,
        "this host is not healthy: it answers 500",
        Some(7),
        Some("it answers 500"),
    );
    when(
        |status| status.health = Health::Bad("no answer".into()),
        "this host is not healthy: no answer",
        Some(7),
        Some("no answer"),
    );
    when(
        |status| status.drained = true,
        "this host is drained, until `vip-elector resume` ends that",
        Some(9),
        None,
    );
    when(
        |status| status.drained = false,
        "this host is not healthy: no answer",
        Some(10),
        Some("no answer"),
    );
    let led = |status: &mut Status| {
        status.health = Health::Good;
        let (session, value) = (SessionId::new("6a5c"), "web2".into());
        status.holder = Some(Holder { session, value });
    };
    when(led, "web2 leads", None, None);
    let blocked = |status: &mut Status| status.blocker = Some(Blocker::InterfaceDown);
    let down = "the address cannot be held here: the interface is down or has no carrier";
    when(blocked, down, Some(12), Some(down));
    fn trouble(status: &mut Status, kind: FailureKind, message: &str) {
        status.phase = Phase::Joining;
        status.trouble = Some(Trouble {
            doing: Doing::Joining,
            kind,
            message: message.into(),
        });
    }
    when(
        |status| trouble(status, FailureKind::Unavailable, "no answer"),
        "no answer",
        Some(13),
        None,
    );
    when(
        |status| trouble(status, FailureKind::CheckCritical, "check: 500"),
        "check: 500",
        Some(14),
        Some("check: 500"),
    );
    when(
        |status| trouble(status, FailureKind::CheckCritical, "check: 501"),
        "check: 501",
        Some(14),
        Some("check: 501"),
    );
}

#[test]
fn a_lock_delay_is_said_with_what_is_left_of_it() {
    let mut group = group("key", true);
    let until = NOW + Duration::from_millis(2_600);
    at(&mut group, 1, |status| {
        status.phase = Phase::Standby;
        status.health = Health::Good;
        status.lock_delay = Some(LockDelay::Until(until));
    });
    for (passed, left) in [(0, 2_600), (2_000, 600), (2_600, 0), (3_000, 0)] {
        let report = group.report(NOW + Duration::from_millis(passed));
        assert_eq!(report.lock_delay_left_ms, Some(left));
        // What ticks is no part of it: it is told to systemd, too.
        assert_eq!(
            report.why.unwrap(),
            "it waits out the lock-delay of a leader that was lost"
        );
    }
    at(&mut group, 2, |status| {
        status.lock_delay = Some(LockDelay::Refused)
    });
    let report = group.report(NOW);
    assert_eq!(report.lock_delay_left_ms, None);
    assert!(report.why.unwrap().contains("consul refuses the lock"));
    // A sick host waits for something else.
    at(&mut group, 3, |status| {
        status.health = Health::Bad("it answers 500".into());
        status.lock_delay = Some(LockDelay::Until(until));
    });
    assert_eq!(group.report(NOW).lock_delay_left_ms, None);
}
