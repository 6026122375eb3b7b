//! Pure: what follows from what was seen.

use super::checks::Wanted;
use crate::acl::Rule;
use crate::config::CheckMode;
use crate::consul::agent::{Check, CheckState};
use crate::election::health::Health;

// Named by Consul: its gossip, and `consul maint`, <https://developer.hashicorp.com/consul/api-docs/agent>.
const SERF_HEALTH: &str = "serfHealth";
const NODE_MAINTENANCE: &str = "_node_maintenance";
const SERVICE_MAINTENANCE: &str = "_service_maintenance:";

/// No more of a foreign text than this gets into a reason.
const SHOWN: usize = 200;

/// All must be good; the first bad one has the reason.
pub(super) fn sum(parts: impl IntoIterator<Item = Health>) -> Health {
    let mut sum = Health::Good;
    for part in parts {
        match part {
            Health::Good => {}
            Health::Unknown => sum = Health::Unknown,
            Health::Bad(_) => return part,
        }
    }
    sum
}

/// Judges the checks of this host's node.
///
/// A check in state `warning` is good enough, as it is for a session.
pub(super) fn checks(checks: &[Check], wanted: &Wanted) -> Health {
    let find = |id: &str| checks.iter().find(|check| check.id == id);
    if let Some(node) = find(NODE_MAINTENANCE) {
        return bad("node maintenance is on", &node.notes);
    }
    let Some(id) = &wanted.check_id else {
        return Health::Good;
    };
    let check = find(id);
    let owner = check.and_then(|check| check.service.as_deref());
    if let Some(owner) = owner
        && let Some(service) = find(&format!("{SERVICE_MAINTENANCE}{owner}"))
    {
        let what = format!("maintenance of service '{owner}' is on");
        return bad(&what, &service.notes);
    }
    match (wanted.mode, check.map(|check| check.state)) {
        (CheckMode::Session, _)
        | (CheckMode::Watch, Some(CheckState::Passing | CheckState::Warning)) => Health::Good,
        (CheckMode::Watch, Some(CheckState::Critical)) => {
            let output = check.map_or("", |check| &check.output);
            bad(&format!("check '{id}' is critical"), output)
        }
        (CheckMode::Watch, None) => Health::Bad(format!(
            "check '{id}' is not to be seen: register it with this host's agent, or, if it is, the token needs \
             {} and {}",
            Rule::read("node_prefix", ""),
            Rule::read("service_prefix", "")
        )),
    }
}

/// Says what of the node's checks is not to be seen that matters, why that may be, and what is lost by
/// it. Consul before 1.11 hides what a token may not read, and does not say so; the check of its gossip is
/// there for every node with an agent.
///
/// Silent where [`checks`] says it.
pub(super) fn unseen(checks: &[Check], wanted: &Wanted) -> Option<String> {
    let sees = |id: &str| checks.iter().any(|check| check.id == id);
    if !sees(SERF_HEALTH) {
        return Some(format!(
            "check '{SERF_HEALTH}' of this host's node is not to be seen: the token needs {}, unless the node \
             is new",
            Rule::read("node_prefix", "")
        ));
    }
    match (&wanted.check_id, wanted.mode) {
        (Some(id), CheckMode::Session) if !sees(id) => Some(format!(
            "check '{id}' is not to be seen: register it with this host's agent, or, if it is, the token needs {}",
            Rule::read("service_prefix", "")
        )),
        (Some(_), CheckMode::Session | CheckMode::Watch) | (None, _) => None,
    }
}

/// Judges that Consul will not show the checks.
///
/// A check that is bound to the session goes on doing its work there, and nothing but maintenance is
/// overlooked. Nobody leads with a check that nobody can see.
pub(super) fn hidden(wanted: &Wanted) -> Health {
    match (wanted.mode, &wanted.check_id) {
        (CheckMode::Session, _) | (CheckMode::Watch, None) => Health::Good,
        (CheckMode::Watch, Some(id)) => {
            Health::Bad(format!("check '{id}' cannot be read: consul refuses it"))
        }
    }
}

fn bad(what: &str, why: &str) -> Health {
    let mut line = why.split_whitespace().collect::<Vec<_>>().join(" ");
    line.retain(|c| !c.is_control());
    if let Some((end, _)) = line.char_indices().nth(SHOWN) {
        line.truncate(end);
        line.push('…');
    }
    Health::Bad(match line.as_str() {
        "" => what.to_owned(),
        line => format!("{what}: {line}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(id: &str, service: Option<&str>, state: CheckState) -> Check {
        Check {
            id: id.to_owned(),
            node: "n".to_owned(),
            service: service.map(str::to_owned),
            state,
            output: "HTTP 503\n  <html>\u{7}".to_owned(),
            notes: "new disks".to_owned(),
        }
    }

    fn wanted(mode: CheckMode, id: &str) -> Wanted {
        let check_id = Some(id.to_owned()).filter(|id| !id.is_empty());
        Wanted { check_id, mode }
    }

    #[test]
    fn all_must_be_good() {
        let (good, unknown) = (Health::Good, Health::Unknown);
        let bad = |why: &str| Health::Bad(why.to_owned());
        for (parts, expected) in [
            ([good.clone(), good.clone()], good.clone()),
            ([good.clone(), unknown.clone()], unknown.clone()),
            ([unknown.clone(), good.clone()], unknown.clone()),
            ([unknown.clone(), bad("b")], bad("b")),
            ([bad("a"), unknown], bad("a")),
            ([bad("a"), bad("b")], bad("a")),
            ([good, bad("b")], bad("b")),
        ] {
            assert_eq!(sum(parts.clone()), expected, "{parts:?}");
        }
    }

    #[test]
    fn what_the_checks_say() {
        use CheckMode::{Session, Watch};
        use CheckState::{Critical, Passing, Warning};
        let serf = || check("serfHealth", None, Critical);
        let web = |state| check("web-http", Some("web"), state);
        let node = || check("_node_maintenance", None, Critical);
        let service = |of: &str| {
            let id = format!("_service_maintenance:{of}");
            check(&id, Some(of), Critical)
        };
        for (mode, id, seen, expected) in [
            (Session, "", vec![], ""),
            (Session, "", vec![serf(), service("web")], ""),
            (
                Session,
                "",
                vec![node()],
                "node maintenance is on: new disks",
            ),
            (Session, "web-http", vec![], ""),
            (Session, "web-http", vec![web(Critical)], ""),
            (
                Session,
                "web-http",
                vec![web(Passing), service("web")],
                "maintenance of service 'web' is on: new disks",
            ),
            (Session, "web-http", vec![web(Passing), service("db")], ""),
            (Session, "serfHealth", vec![serf(), service("web")], ""),
            (Watch, "web-http", vec![serf(), web(Passing)], ""),
            (Watch, "web-http", vec![web(Warning)], ""),
            (
                Watch,
                "web-http",
                vec![web(Critical)],
                "check 'web-http' is critical: HTTP 503 <html>",
            ),
            (
                Watch,
                "web-http",
                vec![serf()],
                "check 'web-http' is not to be seen: register it with this host's agent, or, if it is, the token \
                 needs node_prefix \"\" { policy = \"read\" } and service_prefix \"\" { policy = \"read\" }",
            ),
            (
                Watch,
                "web-http",
                vec![web(Critical), node()],
                "node maintenance is on: new disks",
            ),
        ] {
            let found = match checks(&seen, &wanted(mode, id)) {
                Health::Good => String::new(),
                Health::Bad(reason) => reason,
                Health::Unknown => panic!("the checks were seen"),
            };
            assert_eq!(found, expected, "{mode:?} {id}: {seen:?}");
        }
    }

    #[test]
    fn what_a_token_may_not_see_is_named() {
        use CheckMode::{Session, Watch};
        let serf = || check("serfHealth", None, CheckState::Passing);
        let web = || check("web-http", Some("web"), CheckState::Passing);
        let nodes = r#"the token needs node_prefix "" { policy = "read" }"#;
        let services = r#"the token needs service_prefix "" { policy = "read" }"#;
        for (mode, id, seen, expected) in [
            (Session, "", vec![], nodes),
            (Session, "", vec![web()], nodes),
            (Session, "", vec![serf()], ""),
            (Session, "web-http", vec![web()], nodes),
            (Session, "web-http", vec![serf()], services),
            (Session, "web-http", vec![serf(), web()], ""),
            (Session, "serfHealth", vec![serf()], ""),
            (Watch, "web-http", vec![], nodes),
            // That is what makes this host unwell.
            (Watch, "web-http", vec![serf()], ""),
        ] {
            let said = unseen(&seen, &wanted(mode, id)).unwrap_or_default();
            let as_expected = if expected.is_empty() {
                said.is_empty()
            } else {
                said.contains(expected)
            };
            assert!(as_expected, "{mode:?} {id} {seen:?}: {said}");
        }
    }

    #[test]
    fn a_check_that_nobody_can_see() {
        let session = hidden(&wanted(CheckMode::Session, "web"));
        assert_eq!(session, Health::Good);
        let watch = hidden(&wanted(CheckMode::Watch, "web"));
        assert!(matches!(watch, Health::Bad(_)), "{watch:?}");
    }

    #[test]
    fn a_long_output_is_cut() {
        let mut long = check("x", None, CheckState::Critical);
        long.output = "ä".repeat(1000);
        let Health::Bad(reason) = checks(&[long], &wanted(CheckMode::Watch, "x")) else {
            panic!("it is critical");
        };
        let expected = format!("check 'x' is critical: {}…", "ä".repeat(SHOWN));
        assert_eq!(reason, expected);
    }
}
