//! Pure: the line that `systemctl status` shows.

use crate::status::{GroupReport, Role};

/// More than that is cut off: a line that wraps is hard to read.
const MAX_LETTERS: usize = 240;

/// More groups than that are counted and not named.
const MOST_NAMED: usize = 8;

/// Says in a line what this host is in its groups.
pub(super) fn line(groups: &[GroupReport]) -> String {
    let line = match groups {
        [] => "no group yet".to_owned(),
        [group] => one(group),
        groups => many(groups),
    };
    match line.char_indices().nth(MAX_LETTERS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn one(report: &GroupReport) -> String {
    let GroupReport {
        group, role, since, ..
    } = report;
    let since = time(since);
    let why = report.why.as_deref().unwrap_or_default();
    match role {
        Role::Leader => {
            let addresses = report.addresses.iter().map(|held| {
                let place = if held.held { "on" } else { "not yet on" };
                format!(", {} {place} {}", held.address, held.interface)
            });
            format!(
                "leader of {group} since {since}{}",
                addresses.collect::<String>()
            )
        }
        Role::Standby => format!("standby of {group} since {since}: {why}"),
        Role::Joining => format!("joining {group}: {why}"),
        Role::Resigning => format!("resigning from {group}: {why}"),
        Role::Stopped => format!("out of {group}: {why}"),
    }
}

/// Names the groups by what this host is in them, or counts them.
fn many(groups: &[GroupReport]) -> String {
    let order = [
        (Role::Leader, "leader of"),
        (Role::Standby, "standby of"),
        (Role::Joining, "joining"),
        (Role::Resigning, "resigning from"),
        (Role::Stopped, "out of"),
    ];
    let parts = order.iter().filter_map(|(role, words)| {
        let named = groups.iter().filter(|group| group.role == *role);
        let names: Vec<&str> = named.map(|group| group.group.as_str()).collect();
        let told = match groups.len() {
            0..=MOST_NAMED => names.join(", "),
            _ => names.len().to_string(),
        };
        (!names.is_empty()).then(|| format!("{words} {told}"))
    });
    parts.collect::<Vec<_>>().join("; ")
}

/// Shortens a time of RFC 3339 in UTC to what an operator compares with a clock.
fn time(since: &str) -> String {
    match since.get(..19) {
        Some(seconds) => format!("{} UTC", seconds.replace('T', " ")),
        None => since.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Address;

    fn report(group: &str, role: Role, why: Option<&str>) -> GroupReport {
        GroupReport {
            group: group.to_owned(),
            value: "web1".to_owned(),
            role,
            since: "2026-11-22T12:03:11.000Z".to_owned(),
            why: why.map(str::to_owned),
            why_since: None,
            lock_delay_left_ms: None,
            leader: None,
            session: None,
            lease_left_ms: None,
            term: None,
            candidate: false,
            priority: 0,
            healthy: None,
            health: String::new(),
            drained: false,
            addresses: Vec::new(),
            transitions: Vec::new(),
            trouble: None,
            lost: std::collections::BTreeMap::new(),
        }
    }

    #[test]
    fn a_group_is_told_with_its_reason() {
        let mut leader = report("service/db", Role::Leader, None);
        assert_eq!(
            line(&[leader.clone()]),
            "leader of service/db since 2026-11-22 12:03:11 UTC"
        );
        let mut address = Address {
            address: "10.0.0.200".parse().unwrap(),
            prefix: 24,
            interface: "eth0".to_owned(),
            held: true,
        };
        leader.addresses = vec![address.clone()];
        assert_eq!(
            line(&[leader.clone()]),
            "leader of service/db since 2026-11-22 12:03:11 UTC, 10.0.0.200 on eth0"
        );
        address.held = false;
        leader.addresses = vec![address];
        assert!(line(&[leader]).ends_with(", 10.0.0.200 not yet on eth0"));
        for (role, words) in [
            (
                Role::Standby,
                "standby of service/db since 2026-11-22 12:03:11 UTC: web2 leads",
            ),
            (Role::Joining, "joining service/db: web2 leads"),
            (Role::Resigning, "resigning from service/db: web2 leads"),
            (Role::Stopped, "out of service/db: web2 leads"),
        ] {
            assert_eq!(
                line(&[report("service/db", role, Some("web2 leads"))]),
                words
            );
        }
    }

    #[test]
    fn groups_are_named_by_role() {
        let groups = [
            report("a", Role::Standby, Some("web2 leads")),
            report("b", Role::Leader, None),
            report("c", Role::Leader, None),
        ];
        assert_eq!(line(&groups), "leader of b, c; standby of a");
        assert_eq!(line(&[]), "no group yet");
        let mut many = vec![report("a", Role::Standby, Some("web2 leads")); 100];
        many.push(report("b", Role::Leader, None));
        assert_eq!(line(&many), "leader of 1; standby of 100");
    }

    #[test]
    fn a_line_does_not_grow_with_what_goes_wrong() {
        let long = report("a", Role::Joining, Some(&"ä".repeat(1000)));
        assert_eq!(line(&[long]).chars().count(), MAX_LETTERS + 1);
    }
}
