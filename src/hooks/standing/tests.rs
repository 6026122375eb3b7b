use std::time::Duration;

use super::*;
use crate::election::call::{FailureKind, SessionId};
use crate::election::lease::{Lease, Terms};
use crate::election::status::{Ending, Holder, Trouble};
use crate::election::target::Blocker;
use crate::election::time::Timestamp;

const OWN: &str = "web1";

fn status(phase: Phase) -> Status {
    Status {
        phase,
        session: Some(SessionId::new("ours")),
        health: Health::Good,
        ..Status::default()
    }
}

fn leading() -> Status {
    let (three, ten) = (Duration::from_secs(3), Duration::from_secs(10));
    let lease = Lease::new(Terms::managed(three, ten), Timestamp::from_boot(ten));
    status(Phase::Leading(lease))
}

fn standby(leader: Option<&str>) -> Status {
    let holder = leader.map(|value| Holder {
        session: SessionId::new("theirs"),
        value: value.to_owned(),
    });
    Status {
        holder,
        ..status(Phase::Standby)
    }
}

fn trouble(doing: Doing) -> Status {
    let trouble = Trouble {
        doing,
        kind: FailureKind::Unavailable,
        message: "no answer".to_owned(),
    };
    Status {
        trouble: Some(trouble),
        ..standby(None)
    }
}

/// What is told, as one line.
fn told(standing: Option<Standing>) -> String {
    let Some(Standing {
        role,
        reason,
        term,
        leader,
    }) = standing
    else {
        return "nothing".to_owned();
    };
    let term = term.map_or("-".to_owned(), |term| term.to_string());
    let leader = leader.unwrap_or("-".to_owned());
    format!("{} term={term} leader={leader}: {reason}", role.name())
}

#[test]
fn a_leader_is_one_when_its_term_is_known_and_its_address_is_up() {
    let mut follower = Follower::default();
    let after =
        |follower: &mut Follower, term, held| told(follower.take(OWN, &leading(), term, held));
    assert_eq!(after(&mut follower, None, Some(true)), "nothing");
    assert_eq!(after(&mut follower, Some(7), Some(false)), "nothing");
    let leads = "leader term=7 leader=web1: this host holds the lock";
    assert_eq!(after(&mut follower, Some(7), Some(true)), leads);
    // Somebody removed it, and it is put back.
    assert_eq!(after(&mut follower, Some(7), Some(false)), leads);
    // Lost and won again before anybody looked.
    assert_eq!(after(&mut follower, None, Some(false)), leads);
    let again = "leader term=9 leader=web1: this host holds the lock";
    assert_eq!(after(&mut follower, Some(9), Some(true)), again);
    assert_eq!(after(&mut Follower::default(), Some(7), None), leads);
}

#[test]
fn the_last_term_is_told_to_the_end() {
    let mut follower = Follower::default();
    follower.take(OWN, &leading(), Some(7), None);
    let after = told(follower.take(OWN, &standby(Some("web2")), None, None));
    assert_eq!(
        after,
        "standby term=7 leader=web2: this host leads no longer"
    );
    let after = told(follower.take(OWN, &standby(Some("web3")), None, None));
    assert_eq!(after, "standby term=7 leader=web3: web3 leads");
}

#[test]
fn each_status_and_what_it_is_told_as() {
    let blocked = Status {
        blocker: Some(Blocker::InterfaceDown),
        ..standby(Some("web2"))
    };
    let unwell = Status {
        health: Health::Bad("it broke".to_owned()),
        ..standby(Some("web2"))
    };
    let lost = Status {
        ending: Some(Ending::Stopping),
        ..status(Phase::Resigning)
    };
    let no_lock = Status {
        not_a_lock: Some(0),
        ..standby(None)
    };
    let end = status(Phase::Stopped(Outcome::NotALock { flags: 0 }));
    let rows = [
        (None, status(Phase::Joining), "nothing"),
        (None, standby(None), "nothing"),
        (
            None,
            standby(Some("web2")),
            "standby term=- leader=web2: web2 leads",
        ),
        (
            None,
            trouble(Doing::Reading),
            "fault term=- leader=-: no answer",
        ),
        (
            None,
            trouble(Doing::Joining),
            "fault term=- leader=-: no answer",
        ),
        (None, trouble(Doing::Living), "nothing"),
        (
            None,
            blocked,
            "fault term=- leader=web2: the address cannot be held here: the interface is down or has no carrier",
        ),
        (
            None,
            unwell.clone(),
            "fault term=- leader=web2: this host is not healthy: it broke",
        ),
        (
            None,
            no_lock,
            "fault term=- leader=-: the trigger key is not a lock any more",
        ),
        (
            None,
            end,
            "fault term=- leader=-: the trigger key is not a lock",
        ),
        (
            Some(Role::Leader),
            lost,
            "standby term=- leader=-: stopping",
        ),
        // What was told first is told first.
        (
            Some(Role::Leader),
            unwell,
            "standby term=- leader=web2: this host leads no longer",
        ),
        (
            Some(Role::Fault),
            standby(None),
            "standby term=- leader=-: the fault is over",
        ),
        (
            Some(Role::Standby),
            standby(None),
            "standby term=- leader=before: before",
        ),
    ];
    for (before, status, expected) in rows {
        let standing = before.map(|role| standing(role, 1, "before"));
        let standing = standing.map(|standing| Standing {
            term: None,
            ..standing
        });
        let mut follower = Follower { standing };
        assert_eq!(
            told(follower.take(OWN, &status, None, Some(false))),
            expected,
            "after {before:?}: {status:?}"
        );
    }
}

fn standing(role: Role, term: u64, leader: &str) -> Standing {
    Standing {
        role,
        reason: "before".to_owned(),
        term: Some(term),
        leader: Some(leader.to_owned()),
    }
}

#[test]
fn what_is_told_after_what() {
    let (leader, standby, fault) = (Role::Leader, Role::Standby, Role::Fault);
    let rows = [
        (None, (fault, 1, "a"), Some(fault)),
        (Some((leader, 1, "a")), (leader, 1, "a"), None),
        (Some((leader, 1, "a")), (leader, 2, "a"), Some(leader)),
        (Some((leader, 1, "a")), (standby, 2, "b"), Some(standby)),
        // Never at once: what on-leader began, on-standby ends.
        (Some((leader, 1, "a")), (fault, 1, "a"), Some(standby)),
        (Some((standby, 1, "a")), (fault, 1, "a"), Some(fault)),
        (Some((standby, 1, "a")), (standby, 2, "a"), None),
        (Some((standby, 1, "a")), (standby, 2, "b"), Some(standby)),
        (Some((standby, 1, "a")), (leader, 2, "a"), Some(leader)),
        (Some((fault, 1, "a")), (fault, 2, "b"), None),
        (Some((fault, 1, "a")), (standby, 2, "b"), Some(standby)),
        (Some((fault, 1, "a")), (leader, 2, "b"), Some(leader)),
    ];
    for (told, newest, expected) in rows {
        let of = |(role, term, leader)| standing(role, term, leader);
        let next = next(told.map(of).as_ref(), of(newest));
        assert_eq!(
            next.map(|next| next.role),
            expected,
            "{newest:?} after {told:?}"
        );
    }
}

#[test]
fn a_group_in_which_nothing_runs_is_a_fault() {
    let about = crate::status::snapshot::About {
        group: "key".to_owned(),
        value: OWN.to_owned(),
        priority: 0,
        terms: Terms::companion(Duration::from_secs(1), Duration::from_secs(10)),
        vips: Vec::new(),
        deeds: std::sync::Arc::default(),
        hooks: std::sync::Arc::default(),
    };
    let at = std::time::SystemTime::UNIX_EPOCH;
    let mut group = Snapshot::new(about, at, Timestamp::ZERO);
    let mut follower = Follower::default();
    assert_eq!(follower.follow(&group), None);
    group.fail("the kernel is gone".to_owned(), at);
    let failed = follower.follow(&group).unwrap();
    assert_eq!(
        (failed.role, failed.reason.as_str()),
        (Role::Fault, "the kernel is gone")
    );
    let led = Standing {
        role: Role::Leader,
        term: Some(7),
        ..failed.clone()
    };
    let told = next(Some(&led), failed).unwrap();
    assert_eq!(told.role, Role::Standby, "what was begun is ended first");
}
