//! Pure: what happened, in lines that a person can read, one column a host.

use std::fmt::Write as _;
use std::time::Duration;

/// Collects lines where they are wanted, and costs nothing where not.
#[derive(Debug, Default)]
pub struct Trace {
    lines: Option<Vec<String>>,
}

/// Whom a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// A host, its daemon or its kernel.
    Host(usize),
    /// Consul's servers.
    Consul,
    /// Whoever does the damage.
    Fate,
}

impl Trace {
    /// Returns a trace that keeps every line.
    pub const fn kept() -> Self {
        Self {
            lines: Some(Vec::new()),
        }
    }

    /// Adds a line, if lines are kept.
    pub fn say(&mut self, now: Duration, who: Who, what: impl FnOnce() -> String) {
        let Some(lines) = &mut self.lines else { return };
        let mut line = format!("{:>10.4}  ", now.as_secs_f64());
        let indent = match who {
            Who::Fate => 0,
            Who::Consul => 2,
            Who::Host(host) => 4 + 2 * host,
        };
        let name = match who {
            Who::Fate => "**".to_owned(),
            Who::Consul => "consul".to_owned(),
            Who::Host(host) => format!("host{host}"),
        };
        // Writing into a string cannot fail.
        let _ = write!(line, "{:indent$}{name}: {}", "", what());
        lines.push(line);
    }

    /// Returns the lines.
    pub fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}
