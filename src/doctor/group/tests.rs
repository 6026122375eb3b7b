use super::*;
use crate::doctor::report::Level;
use crate::doctor::tests::{self, Bad};
use crate::election::call::{FailureKind, SessionId};

fn facts(lock: Option<(u64, &str, Option<&str>)>, candidates: &[(&str, Option<&str>)]) -> Facts {
    let lock = lock.map(|(flags, value, node)| {
        let entry = Entry {
            value: Some(value.as_bytes().to_vec()),
            flags,
            session: (!value.is_empty()).then(|| SessionId::new("s")),
            modify_index: 7,
        };
        (entry, node.map(str::to_owned))
    });
    let candidates = candidates.iter().map(|(value, node)| Candidate {
        value: (*value).to_owned(),
        node: node.map(str::to_owned),
    });
    Facts {
        key: "k".to_owned(),
        value: "web1".to_owned(),
        host_name: "web1.example.com".to_owned(),
        node: Some("n1".to_owned()),
        lock: Ok(lock),
        candidates: Ok(candidates.collect()),
    }
}

fn bad(facts: &Facts) -> Vec<Bad> {
    tests::bad(|findings| judge(facts, findings))
}

#[test]
fn groups_and_what_is_wrong_with_them() {
    let lock = LOCK_FLAG;
    let (problem, warning) = (Level::Problem, Level::Warning);
    type Row = (Facts, Option<(Level, &'static str, &'static str)>);
    let rows: Vec<Row> = vec![
        (facts(None, &[]), None),
        (facts(Some((lock, "", None)), &[]), None),
        (
            facts(Some((lock, "web2", Some("n2"))), &[("web1", Some("n1"))]),
            None,
        ),
        (
            facts(Some((lock, "web1", Some("n1"))), &[("web2", Some("n2"))]),
            None,
        ),
        // Nobody may read sessions: nothing is known.
        (facts(Some((lock, "web1", None)), &[("web1", None)]), None),
        (
            facts(Some((0, "x", None)), &[]),
            Some((problem, "lock", "is a regular key (flags 0), and no lock")),
        ),
        (
            facts(Some((lock, "web1", Some("n2"))), &[]),
            Some((problem, "name", "n2 takes part as web1, too")),
        ),
        (
            facts(None, &[("web1", Some("n2"))]),
            Some((problem, "name", "n2 takes part as web1, too")),
        ),
        (
            facts(None, &[("web1.example.com", Some("n1"))]),
            Some((warning, "name", "one host with two names")),
        ),
        (
            facts(None, &[("web2.example.com", Some("n2"))]),
            Some((warning, "name", "one name is short and the other full")),
        ),
        (facts(None, &[("10.0.0.1", Some("n2"))]), None),
    ];
    for (facts, expected) in rows {
        let found = bad(&facts);
        let shown = found.first().map(|(level, about, _)| (*level, *about));
        let wanted = expected.map(|(level, about, _)| (level, about));
        assert_eq!(shown, wanted, "{facts:?}: {found:?}");
        if let (Some((_, _, words)), Some((_, _, what))) = (expected, found.first()) {
            assert!(what.contains(words), "{words}: {what}");
        }
        assert!(found.len() <= 1, "{found:?}");
    }
}

#[test]
fn what_cannot_be_read_is_said() {
    let denied = Failure {
        kind: FailureKind::Denied,
        message: "Permission denied".to_owned(),
    };
    let hidden = Facts {
        lock: Err(denied.clone()),
        candidates: Err(denied),
        ..facts(None, &[])
    };
    let levels: Vec<_> = bad(&hidden)
        .iter()
        .map(|(level, about, _)| (*level, *about))
        .collect();
    assert_eq!(
        levels,
        [(Level::Problem, "lock"), (Level::Unknown, "candidates")]
    );
}
