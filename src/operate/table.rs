//! Pure: how it is shown: a table for people, plain where nobody looks at a terminal.

use super::survey::{one_line, seconds};
use super::view::{GroupView, HostView, Role, Survey};
use crate::status::{GroupReport, Role as Own, Transition};

/// How much of a daemon's past is shown.
const TRANSITIONS: usize = 5;

const HEADINGS: [&str; 5] = ["HOST", "ROLE", "SINCE", "PRIORITY", "HEALTH"];

/// Whether colours are of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// For pipes and files.
    Plain,
    /// With the colours of a terminal.
    Coloured,
}

/// SGR parameters (ECMA-48, section 8.3.117).
#[derive(Clone, Copy)]
enum Colour {
    Bold,
    Faint,
    Red,
    Green,
    Yellow,
}

/// Shows all groups, with an empty line between two.
pub fn show(survey: &Survey, style: Style) -> String {
    let groups = survey.groups.iter().map(|group| show_group(group, style));
    groups.collect::<Vec<_>>().join("\n")
}

fn show_group(view: &GroupView, style: Style) -> String {
    let mut text = format!(
        "{}  {}\n\n",
        style.paint(Colour::Bold, &view.group),
        headline(view, style)
    );
    text += &hosts(view, style);
    if let Some(to) = &view.switchover {
        let to = match to.as_str() {
            "" => "the best candidate",
            to => to,
        };
        text += &format!("\n  a switchover to {to} is asked for\n");
    }
    for (number, remark) in view.remarks.iter().enumerate() {
        let gap = if number == 0 { "\n" } else { "" };
        text += &format!("{gap}  {remark}\n");
    }
    if let Some(daemon) = &view.daemon {
        text += &past(daemon, style);
    }
    for why in &view.unseen {
        text += &format!("\n  {} {why}\n", style.paint(Colour::Yellow, "not seen:"));
    }
    text
}

fn headline(view: &GroupView, style: Style) -> String {
    let Some(leader) = &view.leader else {
        return style.paint(Colour::Red, "nobody leads");
    };
    let mut text = style.paint(Colour::Green, &format!("{leader} leads"));
    if let Some(since) = view.host(leader).and_then(|host| host.since.as_ref()) {
        text += &format!(" since {since}");
    }
    let lease = view
        .daemon
        .as_ref()
        .filter(|daemon| daemon.role == Own::Leader);
    if let Some(left) = lease.and_then(|daemon| daemon.lease_left_ms) {
        text += &format!(", {} of its lease left", seconds(left));
    }
    text
}

fn hosts(view: &GroupView, style: Style) -> String {
    if view.hosts.is_empty() {
        return "  no host takes part\n".to_owned();
    }
    let rows: Vec<[String; 5]> = view.hosts.iter().map(row).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells
            .chain([HEADINGS[column].len()])
            .max()
            .unwrap_or_default()
    };
    let widths: [usize; 5] = std::array::from_fn(width);
    let line = |cells: &[String; 5], colour: Option<Colour>| {
        let padded = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        let line = padded.collect::<Vec<_>>().join("  ");
        let line = line.trim_end();
        match colour {
            Some(colour) => format!("  {}\n", style.paint(colour, line)),
            None => format!("  {line}\n"),
        }
    };
    let mut text = line(&HEADINGS.map(str::to_owned), Some(Colour::Faint));
    for (host, row) in view.hosts.iter().zip(&rows) {
        text += &line(row, colour_of(host));
    }
    text
}

fn row(host: &HostView) -> [String; 5] {
    let here = if host.here { " (this host)" } else { "" };
    [
        format!("{}{here}", host.host),
        host.role.name().to_owned(),
        host.since.clone().unwrap_or_else(|| "-".to_owned()),
        host.priority
            .map_or("-".to_owned(), |priority| priority.to_string()),
        host.health.clone(),
    ]
}

fn colour_of(host: &HostView) -> Option<Colour> {
    match (host.role, host.fit) {
        (_, false) if host.drained => Some(Colour::Yellow),
        (_, false) => Some(Colour::Red),
        (Role::Leader, true) => Some(Colour::Green),
        (Role::Candidate | Role::Standby | Role::Absent, true) => None,
    }
}

fn past(daemon: &GroupReport, style: Style) -> String {
    let mut text = String::new();
    let skipped = daemon.transitions.len().saturating_sub(TRANSITIONS);
    for (number, transition) in daemon.transitions.iter().skip(skipped).enumerate() {
        if number == 0 {
            text += &format!("\n  {}\n", style.paint(Colour::Faint, "this host lately"));
        }
        let Transition {
            at,
            from,
            to,
            reason,
        } = transition;
        text += &format!(
            "  {}  {from:<9} -> {to:<9} {}\n",
            one_line(at),
            one_line(reason)
        );
    }
    if let Some(trouble) = &daemon.trouble {
        text += &format!(
            "\n  {} {}\n",
            style.paint(Colour::Red, "trouble:"),
            one_line(trouble)
        );
    }
    text
}

impl Style {
    fn paint(self, colour: Colour, text: &str) -> String {
        let parameter = match colour {
            Colour::Bold => 1,
            Colour::Faint => 2,
            Colour::Red => 31,
            Colour::Green => 32,
            Colour::Yellow => 33,
        };
        match self {
            Self::Plain => text.to_owned(),
            Self::Coloured => format!("\x1b[{parameter}m{text}\x1b[0m"),
        }
    }
}
