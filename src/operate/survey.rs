//! Pure: what Consul and this host's daemon say of a group, put together.

use std::collections::{BTreeMap, BTreeSet};

use super::view::{GroupView, HostView, Lock, Note, Role};
use crate::acl::Rule;
use crate::calendar::whole_seconds;
use crate::consul::LIVENESS_SERVICE;
use crate::consul::agent::{Check, CheckState};
use crate::consul::below::is_trigger_value;
use crate::consul::service::{Instance, Word};
use crate::consul::session::Session;
use crate::driver::journal;
use crate::election::call::{KeyRead, SessionId};
use crate::election::candidate::GroupRead;
use crate::election::key::KeyState;
use crate::status::{GroupReport, Role as Own};

/// No more of a foreign text than this is shown.
const SHOWN: usize = 120;

/// Everything that was read of one group.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The trigger key.
    pub key: KeyRead,
    /// What stands below it.
    pub below: GroupRead,
    /// What is written about each candidate's start, by its trigger value.
    pub since: BTreeMap<String, String>,
    /// What is written about each drain, by the trigger value.
    pub notes: BTreeMap<String, Note>,
    /// All sessions, or why they cannot be read.
    pub sessions: Result<Vec<Session>, String>,
    /// The services that daemons register, or why they cannot be read.
    pub services: Result<Vec<Instance>, String>,
    /// The check of `--check-id`, by node; `None` where a node shows none.
    pub checks: BTreeMap<String, Option<Check>>,
    /// What the daemon of this host says, if one runs.
    pub daemon: Option<GroupReport>,
}

/// Puts it together. `own` is this host's trigger value.
pub fn survey(group: &str, own: &str, check_id: Option<&str>, seen: Seen) -> GroupView {
    let parts = parts(group, &seen);
    let state = KeyState::of(seen.key.entry.as_ref());
    let (lock, holder, written) = match &state {
        KeyState::Held { by, value } => {
            let written = Some(one_line(value)).filter(|value| !value.is_empty());
            (Lock::Held, Some(by.clone()), written)
        }
        KeyState::Released { .. } => (Lock::Released, None, None),
        KeyState::Abandoned { .. } => (Lock::Abandoned, None, None),
        KeyState::Missing => (Lock::Missing, None, None),
        KeyState::NotALock { .. } => (Lock::NotALock, None, None),
    };
    // Whose session it is says more than what anybody may have written over the key.
    let known = holder.as_ref().and_then(|holder| {
        let mut parts = parts.iter();
        parts.find(|(_, part)| part.sessions.iter().any(|(id, _)| id == holder))
    });
    let leader = known
        .map(|(value, _)| value.clone())
        .or_else(|| written.clone());
    let own = seen.daemon.as_ref().map_or(own, |daemon| &daemon.value);
    let views = parts.iter().map(|(value, part)| {
        let leads = leader.as_ref() == Some(value);
        view(value, part, leads, value == own, check_id, &seen)
    });
    let mut hosts: Vec<HostView> = views.collect();
    if let Some(leader) = &leader
        && !hosts.iter().any(|host| host.host == *leader)
    {
        hosts.push(stranger(leader));
        hosts.sort_by(|a, b| a.host.cmp(&b.host));
    }
    let mut view = GroupView {
        group: group.to_owned(),
        leader,
        lock,
        switchover: seen
            .below
            .request
            .as_ref()
            .map(|request| request.to.clone().unwrap_or_default()),
        hosts,
        remarks: Vec::new(),
        unseen: unseen(&seen),
        daemon: seen.daemon.clone(),
        session: holder,
    };
    view.remarks = remarks(&view, &state, written.as_deref(), &parts, own);
    view
}

/// What is known of one trigger value.
#[derive(Debug, Default)]
struct Part {
    candidate: Option<i32>,
    since: Option<String>,
    /// Its live sessions, with their nodes.
    sessions: Vec<(SessionId, Option<String>)>,
    node: Option<String>,
    /// What the service says: that the daemon lives.
    alive: Option<bool>,
    leads_since: Option<String>,
    /// Why it would not lead, by its own word.
    word: Option<Word>,
    drained: bool,
}

fn parts(group: &str, seen: &Seen) -> BTreeMap<String, Part> {
    let mut parts: BTreeMap<String, Part> = BTreeMap::new();
    for session in seen.sessions.iter().flatten() {
        if let Some(value) = value_of_session(group, &session.name) {
            let part = parts.entry(value.to_owned()).or_default();
            let (id, node) = (session.id.clone(), session.node.clone());
            part.node = Some(node.clone());
            part.sessions.push((id, Some(node)));
        }
    }
    for candidate in &seen.below.candidates {
        let part = parts.entry(candidate.value.clone()).or_default();
        part.candidate = Some(candidate.priority);
        part.since = seen.since.get(&candidate.value).cloned();
        if !part.sessions.iter().any(|(id, _)| *id == candidate.session) {
            // It may be named after another group of its process.
            let mut all = seen.sessions.iter().flatten();
            let session = all.find(|session| session.id == candidate.session);
            let node = session.map(|session| session.node.clone());
            part.node = part.node.take().or_else(|| node.clone());
            part.sessions.push((candidate.session.clone(), node));
        }
    }
    let prefix = format!("{LIVENESS_SERVICE}/{group}/");
    for service in seen.services.iter().flatten() {
        let Some(value) = service
            .id
            .strip_prefix(&prefix)
            .filter(|v| is_trigger_value(v))
        else {
            continue;
        };
        let part = parts.entry(value.to_owned()).or_default();
        part.alive = Some(service.alive);
        part.word = service.word.clone();
        part.node.get_or_insert_with(|| service.node.clone());
        let since = service.since.clone();
        if service.leads {
            part.leads_since = since;
        } else if part.since.is_none() {
            part.since = since;
        }
    }
    for (value, part) in parts.iter_mut().filter(|(_, part)| part.alive.is_none()) {
        // So may the service be.
        let shared = seen.services.iter().flatten().find(|service| {
            let of = service.id.rsplit_once('/').map(|(_, value)| value);
            of == Some(value) && part.node.as_ref() == Some(&service.node)
        });
        if let Some(service) = shared {
            part.alive = Some(service.alive);
            part.word = service.word.clone();
        }
    }
    for value in &seen.below.drained {
        parts.entry(value.clone()).or_default().drained = true;
    }
    if let Some(daemon) = &seen.daemon {
        parts.entry(daemon.value.clone()).or_default();
    }
    parts
}

/// A daemon names its sessions `vip-elector <trigger key> <trigger value> <nonce>`.
fn value_of_session<'a>(group: &str, name: &'a str) -> Option<&'a str> {
    let rest = name.strip_prefix("vip-elector ")?.strip_prefix(group)?;
    let (value, _) = rest.strip_prefix(' ')?.rsplit_once(' ')?;
    is_trigger_value(value).then_some(value)
}

fn view(
    value: &str,
    part: &Part,
    leads: bool,
    here: bool,
    check_id: Option<&str>,
    seen: &Seen,
) -> HostView {
    let role = if leads {
        Role::Leader
    } else if part.candidate.is_some() {
        Role::Candidate
    } else if part.sessions.is_empty() {
        Role::Absent
    } else {
        Role::Standby
    };
    let daemon = seen.daemon.as_ref().filter(|_| here);
    let (fit, health) = health(value, part, role, check_id, seen, daemon);
    let told = daemon.filter(|daemon| (daemon.role == Own::Leader) == leads);
    let since = match told {
        Some(daemon) => Some(daemon.since.clone()),
        None if leads => part.leads_since.clone(),
        None => part.since.clone(),
    };
    HostView {
        host: value.to_owned(),
        role,
        since: since.as_deref().map(moment),
        node: part.node.clone(),
        priority: part.candidate.or(daemon.map(|daemon| daemon.priority)),
        fit,
        health,
        drained: part.drained,
        here,
    }
}

/// A leader of which nothing is known but what it has written.
fn stranger(value: &str) -> HostView {
    HostView {
        host: value.to_owned(),
        role: Role::Leader,
        since: None,
        node: None,
        priority: None,
        fit: true,
        health: "not known: its session is not vip-elector's, or cannot be read".to_owned(),
        drained: false,
        here: false,
    }
}

fn health(
    value: &str,
    part: &Part,
    role: Role,
    check_id: Option<&str>,
    seen: &Seen,
    daemon: Option<&GroupReport>,
) -> (bool, String) {
    if part.drained {
        return (false, drained(seen.notes.get(value)));
    }
    let check = part.node.as_ref().and_then(|node| seen.checks.get(node));
    match (check_id, check) {
        (Some(id), Some(Some(check))) if check.state == CheckState::Critical => {
            // Consul does not say since when; the host that has no session for it does.
            let word = part.word.as_ref().filter(|_| part.sessions.is_empty());
            let since = word.map(|word| format!(" since {}", moment(&word.since)));
            let state = format!("check {id} is critical{}", since.unwrap_or_default());
            return (false, with(&state, &check.output));
        }
        (Some(id), Some(None)) => {
            return (false, format!("no check {id} is to be seen on its node"));
        }
        (_, _) => {}
    }
    if let Some(daemon) = daemon.filter(|daemon| daemon.healthy == Some(false)) {
        return (false, one_line(&daemon.health));
    }
    match role {
        _ if part.alive == Some(false) => (false, "its daemon is not heard of any more".to_owned()),
        Role::Leader | Role::Candidate => (true, "healthy".to_owned()),
        Role::Standby | Role::Absent => {
            let why = match (&part.word, role, part.alive) {
                (Some(word), _, Some(true)) => since_when(&one_line(&word.why), &word.since),
                (_, Role::Standby, _) => {
                    "not healthy by its own word, or without the right to be a candidate".to_owned()
                }
                (_, _, Some(true)) => {
                    "no session: it is being started, or its check fails".to_owned()
                }
                (_, _, _) => "not running, or without a session".to_owned(),
            };
            (false, why)
        }
    }
}

fn drained(note: Option<&Note>) -> String {
    let mut text = "drained".to_owned();
    if let Some(Note { by, since }) = note {
        for (word, what) in [(" by ", one_line(by)), (" since ", moment(since))] {
            if !what.is_empty() {
                text += word;
                text += &what;
            }
        }
    }
    text
}

fn unseen(seen: &Seen) -> Vec<String> {
    let sessions = seen.sessions.as_ref().err().cloned();
    let services = seen.services.as_ref().err().cloned();
    let entry = seen.key.entry.as_ref();
    let held = entry.is_some_and(|entry| entry.session.is_some());
    // Consul before 1.11 hides what a token may not read, and does not say so.
    let hidden = held && seen.sessions.as_ref().is_ok_and(Vec::is_empty);
    let hidden = hidden.then(|| {
        let rule = Rule::read("session_prefix", "");
        format!("somebody holds the lock by a session that is not shown: the token needs {rule}")
    });
    [sessions, services, hidden].into_iter().flatten().collect()
}

fn remarks(
    view: &GroupView,
    state: &KeyState,
    written: Option<&str>,
    parts: &BTreeMap<String, Part>,
    own: &str,
) -> Vec<String> {
    let mut remarks = Vec::new();
    if view.leader.is_none() {
        remarks.push(nobody(view, state));
    }
    if let (Some(leader), Some(written)) = (&view.leader, written)
        && leader != written
    {
        remarks.push(format!(
            "trigger value is {leader}, the key says {written}: somebody wrote over it, or vip-manager compares \
             another value"
        ));
    }
    for (value, part) in parts {
        let nodes: BTreeSet<&String> = part
            .sessions
            .iter()
            .filter_map(|(_, node)| node.as_ref())
            .collect();
        if nodes.len() > 1 {
            let nodes: Vec<&str> = nodes.into_iter().map(String::as_str).collect();
            remarks.push(format!(
                "several hosts call themselves {value}, on the nodes {}: give each a trigger value of its own",
                nodes.join(", ")
            ));
        }
    }
    if let Some(why) = why_not_here(view, own) {
        remarks.push(why);
    }
    remarks
}

fn nobody(view: &GroupView, state: &KeyState) -> String {
    let why = match state {
        KeyState::NotALock { flags } => return journal::not_a_lock(&view.group, *flags),
        KeyState::Released { .. } => "the last leader has given the lock up",
        KeyState::Abandoned { .. } => {
            "the last leader was lost, and its lock-delay runs, or has just run"
        }
        KeyState::Missing => "nobody has led yet, or the last leader was lost",
        KeyState::Held { .. } => "its leader is not known",
    };
    let mut text = format!("nobody leads: {why}");
    if view.candidates().next().is_none() {
        text += "; there is no candidate";
    }
    text
}

/// Why this host does not lead; the daemon itself knows best.
fn why_not_here(view: &GroupView, own: &str) -> Option<String> {
    let here = view.here()?;
    let why = match &view.daemon {
        Some(daemon) => {
            let why = one_line(daemon.why.as_ref()?);
            match daemon.lock_delay_left_ms {
                Some(left) => format!("{why}, about {} left", seconds(left)),
                None => since_when(&why, daemon.why_since.as_deref().unwrap_or_default()),
            }
        }
        None if here.role == Role::Leader => return None,
        None if !here.fit => here.health.clone(),
        None => format!("{} leads", view.leader.as_ref()?),
    };
    Some(format!("{own}, this host, does not lead: {why}"))
}

fn since_when(what: &str, since: &str) -> String {
    match moment(since).as_str() {
        "" => what.to_owned(),
        since => format!("{what}, since {since}"),
    }
}

/// When somebody else says that something was, to the second.
fn moment(since: &str) -> String {
    one_line(&whole_seconds(since))
}

/// Writes milliseconds as seconds with one digit behind the point.
pub(super) fn seconds(millis: u64) -> String {
    format!("{}.{} s", millis / 1000, millis % 1000 / 100)
}

fn with(what: &str, output: &str) -> String {
    match one_line(output).as_str() {
        "" => what.to_owned(),
        output => format!("{what}: {output}"),
    }
}

/// What somebody else wrote, so that it fits into a line and says nothing to a terminal.
pub(super) fn one_line(text: &str) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.retain(|letter| !letter.is_control());
    if let Some((end, _)) = line.char_indices().nth(SHOWN) {
        line.truncate(end);
        line.push('…');
    }
    line
}
