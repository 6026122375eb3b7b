//! Pure: the commands that are told how this host stands.

use std::time::Duration;

use super::describe::Lines;
use super::levels::{Levels, filled_flag, flag};
use super::option::{Resolver, Time, time_within};
use super::origin::Written;
use super::report::Findings;
use crate::hooks::standing::Role;

/// Commands for `/bin/sh -c`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hooks {
    /// Run when this host leads.
    pub on_leader: Option<String>,
    /// Run when it leads no longer, or another host leads.
    pub on_standby: Option<String>,
    /// Run when it does not lead, and could not.
    pub on_fault: Option<String>,
    /// What each may take; 100 ms to 1 h.
    pub timeout: Duration,
}

impl Hooks {
    /// Returns the command for a role.
    pub fn of(&self, role: Role) -> Option<&str> {
        match role {
            Role::Leader => self.on_leader.as_deref(),
            Role::Standby => self.on_standby.as_deref(),
            Role::Fault => self.on_fault.as_deref(),
        }
    }

    /// Whether there is any.
    pub fn are_there(&self) -> bool {
        Role::ALL.iter().any(|role| self.of(*role).is_some())
    }
}

const TIMEOUT: Duration = Duration::from_secs(10);
const LEAST_TIMEOUT: Duration = Duration::from_millis(100);
const MOST_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// `None` only where a problem was reported.
pub(super) fn resolve(
    levels: &Levels<'_>,
    findings: &mut Findings,
    lines: &mut Lines,
) -> Option<Hooks> {
    let flags = levels.flags;
    let mut resolver = Resolver { levels, findings };
    let mut command =
        |flag, typed: &Option<String>, name| resolver.text(filled_flag(flag, typed.as_ref()), name);
    let on_leader = command("--on-leader", &flags.on_leader, "on-leader");
    let on_standby = command("--on-standby", &flags.on_standby, "on-standby");
    let on_fault = command("--on-fault", &flags.on_fault, "on-fault");
    let timeout = resolver.option(
        flag("--hook-timeout", flags.hook_timeout.as_ref()),
        "hook-timeout",
        Time::default(TIMEOUT),
        time_within(LEAST_TIMEOUT..=MOST_TIMEOUT),
    );
    lines.add("on-leader", on_leader.as_ref(), |text| one_line(text));
    lines.add("on-standby", on_standby.as_ref(), |text| one_line(text));
    lines.add("on-fault", on_fault.as_ref(), |text| one_line(text));
    if on_leader.is_some() || on_standby.is_some() || on_fault.is_some() {
        lines.add("hook-timeout", timeout.as_ref(), Time::show);
    } else {
        let without = "on-leader, on-standby or on-fault";
        resolver.idle("hook-timeout", timeout.as_ref(), without);
    }
    let text = |written: Option<Written>| written.map(|written| written.value);
    Some(Hooks {
        on_leader: text(on_leader),
        on_standby: text(on_standby),
        on_fault: text(on_fault),
        timeout: timeout?.value.duration,
    })
}

fn one_line(command: &str) -> String {
    command.split_whitespace().collect::<Vec<_>>().join(" ")
}
