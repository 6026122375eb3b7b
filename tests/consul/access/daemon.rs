//! The daemon as an operator starts it.

use crate::agent::Agent;
use crate::daemon::Site;

/// The trigger key, which vip-manager's file could not hold with a space.
pub(super) const KEY: &str = "service/pg/leader";

/// What an operator wrote, and where.
pub(super) struct Way {
    name: String,
    flags: Vec<String>,
    variables: Vec<(String, String)>,
    lines: Vec<String>,
    options: Vec<String>,
}

impl Way {
    /// Nothing but what every host has. The name goes into the key.
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            flags: Vec::new(),
            variables: Vec::new(),
            lines: Vec::new(),
            options: Vec::new(),
        }
    }

    pub(super) fn flag(mut self, name: &str, value: &str) -> Self {
        self.flags.push(format!("--{name}={value}"));
        self
    }

    pub(super) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A line of vip-manager's file.
    pub(super) fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    /// One of our own options in that file.
    pub(super) fn option(mut self, name: &str, value: &str) -> Self {
        self.options.push(format!("  {name}: {value:?}"));
        self
    }
}

/// Starts the daemon, waits until Consul says that it has the lock, and stops it. Returns what it said.
pub(super) fn goes(agent: &Agent, token: &str, way: &Way) -> String {
    let site = way.site();
    let running = site.start();
    running.says("LOCK ACQUIRED", 1);
    let key = agent.cli(token, &["kv", "get", "-detailed", KEY]).unwrap();
    let field = |name: &str| {
        let line = key.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].trim().to_owned()
    };
    assert_eq!(field("Value"), way.name, "{key}");
    assert_eq!(field("Session").len(), 36, "{key}");
    running.stop()
}

/// Starts the daemon, waits until it says `why` it cannot, and stops it.
pub(super) fn refused(way: &Way, why: &str) {
    let site = way.site();
    let running = site.start();
    running.says(why, 1);
    let said = running.stop();
    assert!(!said.contains("LOCK ACQUIRED"), "{said}");
}

impl Way {
    fn site(&self) -> Site {
        let lines: String = self.lines.iter().map(|line| format!("{line}\n")).collect();
        let options: String = self
            .options
            .iter()
            .map(|line| format!("{line}\n"))
            .collect();
        let mut site = Site::new(KEY, &self.name)
            .more(&format!("{lines}vip-elector:\n  lock-delay: 0s\n{options}"));
        for (name, value) in &self.variables {
            site = site.variable(name, value);
        }
        self.flags.iter().fold(site, |site, flag| site.flag(flag))
    }
}
