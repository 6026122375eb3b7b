//! Pure: the configuration as an operator reads it: one value a line, with where it comes from.

use std::fmt;

use super::origin::{Origin, Sourced};

/// What stands in a secret's place.
pub(super) const MASK: &str = "***";

/// One value. Secrets are masked before they get here.
#[derive(Clone, Debug)]
struct Line {
    name: &'static str,
    value: String,
    origin: Origin,
}

/// The lines, in the order in which they were added.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    lines: Vec<Line>,
}

impl Lines {
    pub(super) fn add<T>(
        &mut self,
        name: &'static str,
        value: Option<&Sourced<T>>,
        show: impl FnOnce(&T) -> String,
    ) {
        if let Some(Sourced { value, origin }) = value {
            let (value, origin) = (show(value), origin.clone());
            self.lines.push(Line {
                name,
                value,
                origin,
            });
        }
    }

    /// Where a value was written, if there is one of that name.
    pub(super) fn origin(&self, name: &str) -> Option<&Origin> {
        let line = self.lines.iter().find(|line| line.name == name);
        line.map(|line| &line.origin)
    }
}

impl fmt::Display for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |line: &Line| format!("{}: {}", line.name, plain(&line.value));
        let width = self
            .lines
            .iter()
            .map(|line| text(line).chars().count())
            .max()
            .unwrap_or(0);
        for line in &self.lines {
            writeln!(
                f,
                "{:width$}  # {}",
                text(line),
                plain(&line.origin.to_string())
            )?;
        }
        Ok(())
    }
}

/// Returns a text with what would move a terminal's cursor written out.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            plain.extend(c.escape_default());
        } else {
            plain.push(c);
        }
    }
    plain
}
