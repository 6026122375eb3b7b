//! What each path answers.

use std::time::Duration;

use vip_elector::election::status::{Ending, Feature, Phase};
use vip_elector::election::time::Timestamp;
use vip_elector::status::board::View;

use super::{NOW, ask, group, leader, standby, then, view};

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
