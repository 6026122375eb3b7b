//! Pure: what cannot work, and why; asked before anything is written.

use super::view::{GroupView, HostView, Role};

/// A switchover, to this host or to the best candidate.
///
/// # Errors
/// Why it cannot be followed.
pub(super) fn switchover(view: &GroupView, to: Option<&str>) -> Result<(), String> {
    let Some(leader) = &view.leader else {
        return Err(format!(
            "nobody leads {}, so that nobody can hand over: {}",
            view.group,
            view.remarks.first().map_or("", String::as_str)
        ));
    };
    let led_by = view.host(leader);
    if led_by.is_none_or(|host| host.priority.is_none() && host.node.is_none()) {
        return Err(format!(
            "{leader}, which leads {}, is no vip-elector that can be seen from here, and would not follow",
            view.group
        ));
    }
    let Some(to) = to else {
        return match view.candidates().any(|host| host.fit) {
            true => Ok(()),
            false => Err(format!(
                "there is no other candidate that is fit to lead {}{}",
                view.group,
                others(view)
            )),
        };
    };
    if to == leader {
        return Err(format!("{to} leads {} already", view.group));
    }
    match view.host(to) {
        Some(host) if host.drained => Err(format!(
            "{to} is drained; end that first with: vip-elector resume {to}"
        )),
        Some(HostView {
            role: Role::Candidate,
            fit: true,
            ..
        }) => Ok(()),
        Some(host) => Err(format!(
            "{to} is no candidate that can lead: {}",
            host.health
        )),
        None => Err(unknown(view, to)),
    }
}

/// A drain of this host.
///
/// # Errors
/// Why it would have no effect.
pub(super) fn drain(view: &GroupView, host: &str) -> Result<(), String> {
    match view.host(host) {
        Some(_) => Ok(()),
        None => Err(format!(
            "{}; to drain a host that is to come: consul kv put {}/drain/{host}",
            unknown(view, host),
            view.group
        )),
    }
}

/// What a drain of this host leaves behind, if that is nobody.
pub(super) fn leaves_nobody(view: &GroupView, host: &str) -> bool {
    view.leader.as_deref() == Some(host) && !view.candidates().any(|other| other.fit)
}

/// Who leads after a drain that nobody was seen to follow.
pub(super) fn who_leads(view: &GroupView) -> String {
    match &view.leader {
        Some(leader) => format!("{leader} leads now"),
        None => format!("nobody leads now{}", others(view)),
    }
}

fn unknown(view: &GroupView, host: &str) -> String {
    let known: Vec<&str> = view.hosts.iter().map(|host| host.host.as_str()).collect();
    let known = match known.as_slice() {
        [] => "there is none".to_owned(),
        known => format!("there are: {}", known.join(", ")),
    };
    format!("no host {host} takes part in {}; {known}", view.group)
}

fn others(view: &GroupView) -> String {
    let unfit = view.hosts.iter().filter(|host| !host.fit);
    let unfit: Vec<String> = unfit
        .map(|host| format!("{}: {}", host.host, host.health))
        .collect();
    match unfit.as_slice() {
        [] => String::new(),
        unfit => format!(" ({})", unfit.join("; ")),
    }
}
