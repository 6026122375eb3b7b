//! What each path answers.

use std::time::Duration;

use vip_elector::election::status::{Ending, Feature, Phase};
use vip_elector::election::time::Timestamp;
use vip_elector::status::Role;
use vip_elector::status::board::View;
use vip_elector::status::http::Status;

use super::{NOW, ask, begin, group, leader, standby, then, view};

#[test]
fn only_a_leader_whose_lease_lives_is_one() {
    let view = view(vec![leader("a"), standby("b")]);
    let late = NOW + Duration::from_millis(2_920);
    for (question, now, answer) in [
        ("/leader?group=a", NOW, "200"),
        ("/leader?group=a", NOW + Duration::from_millis(2_919), "200"),
        ("/leader?group=a", late, "503"),
        ("/leader?group=b", NOW, "503"),
        ("/leader?group=c", NOW, "404"),
        ("/leader", NOW, "400"),
        ("/leader/", NOW, "404"),
        ("/", NOW, "200"),
    ] {
        assert_eq!(code(&view, now, question), answer, "{question} at {now:?}");
    }
    assert_eq!(ask(&view, NOW, "/leader?group=a").body, "");
}

#[test]
fn who_can_lead_next_is_ready_and_who_goes_round_is_alive() {
    let mut candidate = leader("a");
    then(&mut candidate, |status| {
        status.phase = Phase::Standby;
        status.ending = Some(Ending::LeaseExpired);
        status.candidate = true;
    });
    let mut barred = candidate.clone();
    then(&mut barred, |status| status.candidate = false);
    let mut unlisted = barred.clone();
    then(&mut unlisted, |status| {
        status
            .lost
            .insert(Feature::Candidates, "Permission denied".into());
    });
    for (group, answer) in [
        (leader("a"), "200"),
        (candidate.clone(), "200"),
        (barred, "503"),
        (unlisted, "200"),
        (standby("a"), "503"),
        (group("a", true), "503"),
    ] {
        let view = view(vec![candidate.clone(), group]);
        assert_eq!(
            code(&view, NOW, "/readyz"),
            answer,
            "{}",
            ask(&view, NOW, "/readyz").body
        );
    }
    let view = view(vec![leader("a"), standby("b")]);
    assert_eq!(
        ask(&view, NOW, "/readyz").body,
        "a: leader\nb: this host is not healthy: http://127.0.0.1/ answers 500\n"
    );
    assert_eq!(code(&view, NOW + Duration::from_secs(4), "/livez"), "200");
    let stuck = ask(&view, NOW + Duration::from_secs(60), "/livez");
    assert_eq!(
        (stuck.status.code(), stuck.body.as_str()),
        ("503", "a: stuck for 60 s\nb: stuck for 60 s\n")
    );
}

fn code(view: &View, now: Timestamp, question: &str) -> &'static str {
    ask(view, now, question).status.code()
}

#[test]
fn a_group_that_failed_is_out_and_lives_and_is_not_ready() {
    let mut failed = leader("bad");
    let counted = failed.counters.transitions.clone();
    failed.fail("its key is not a lock".to_owned(), begin());
    let both = view(vec![failed.clone(), leader("good")]);
    let later = NOW + Duration::from_secs(60);
    assert_eq!(
        ask(&both, later, "/leader?group=bad").status,
        Status::Unavailable
    );
    assert_eq!(ask(&both, later, "/livez?group=bad").status, Status::Ok);
    let ready = ask(&both, NOW, "/readyz");
    assert_eq!(ready.status, Status::Unavailable);
    assert_eq!(ready.body, "bad: its key is not a lock\ngood: leader\n");
    let report = failed.report(NOW);
    assert_eq!(report.role, Role::Stopped);
    assert_eq!(report.why.as_deref(), Some("its key is not a lock"));
    assert!(report.addresses.iter().all(|address| !address.held));

    let about = failed.about.clone();
    failed.begin_again(about, begin(), later);
    assert_eq!(failed.role, Role::Joining);
    assert_eq!(failed.failed(), None);
    assert_eq!(
        failed.counters.transitions, counted,
        "what was counted goes on"
    );
}

#[test]
fn a_daemon_without_groups_waits_for_some() {
    let none = view(Vec::new());
    assert_eq!(ask(&none, NOW, "/livez").status, Status::Ok);
    assert_eq!(ask(&none, NOW, "/readyz").status, Status::Unavailable);
    assert_eq!(ask(&none, NOW, "/leader").status, Status::NotFound);
    assert_eq!(ask(&none, NOW, "/status?group=a").status, Status::NotFound);
    assert!(ask(&none, NOW, "/status").body.contains("\"groups\":[]"));
    assert_eq!(ask(&none, NOW, "/metrics").status, Status::Ok);
}
