//! Pure: what the doctor says, for people and for programs.

use std::fmt::Write;

use serde::Serialize;

/// All findings, in the order in which they are read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// Of vip-elector.
    pub version: &'static str,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    /// How it is.
    pub level: Level,
    /// What it is about: one word, which stays the same.
    pub about: &'static str,
    /// The trigger key of the group, where it is one group's.
    pub group: Option<String>,
    /// What was found, as a sentence.
    pub what: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It could not be found out here.
    Unknown,
    /// It will cost something one day.
    Warning,
    /// It does not work, or will not.
    Problem,
}

/// Whether the text goes to a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// It does.
    On,
    /// It does not, or nobody wants colours.
    Off,
}

impl Report {
    /// How many findings are of a level.
    pub fn count(&self, level: Level) -> usize {
        let of_level = |finding: &&Finding| finding.level == level;
        self.findings.iter().filter(of_level).count()
    }

    /// As text: what is common first, then each group.
    pub fn text(&self, colour: Colour) -> String {
        let mut text = String::new();
        let width = self.findings.iter().map(|finding| finding.about.len());
        let width = width.max().unwrap_or(0);
        let mut group = &None;
        for finding in &self.findings {
            if finding.group != *group {
                group = &finding.group;
                let name = group.as_deref().unwrap_or_default();
                let _ = writeln!(text, "\ngroup {name}");
            }
            finding.write(&mut text, width, colour);
        }
        let counts = [Level::Problem, Level::Warning, Level::Unknown, Level::Ok]
            .map(|level| format!("{} {}", self.count(level), level.name()));
        let _ = writeln!(text, "\n{}", counts.join(", "));
        text
    }

    /// As JSON, one object.
    ///
    /// # Errors
    /// Never: all of it can be written.
    pub fn json(&self) -> serde_json::Result<String> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(text)
    }
}

impl Level {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }

    /// How a terminal shows it: green, cyan, yellow, bold red.
    const fn colour(self) -> &'static str {
        match self {
            Self::Ok => "32",
            Self::Unknown => "36",
            Self::Warning => "33",
            Self::Problem => "1;31",
        }
    }
}

impl Finding {
    fn write(&self, text: &mut String, width: usize, colour: Colour) {
        let (name, code) = (self.level.name(), self.level.colour());
        let level = match colour {
            Colour::On => format!("\x1b[{code}m{name:<7}\x1b[0m"),
            Colour::Off => format!("{name:<7}"),
        };
        let _ = writeln!(
            text,
            "{level}  {:width$}  {}",
            self.about,
            plain(&self.what)
        );
        if let Some(remedy) = &self.remedy {
            let _ = writeln!(text, "{:7}  {:width$}  -> {}", "", "", plain(remedy));
        }
    }
}

/// What others have written may move no cursor.
fn plain(text: &str) -> String {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(shown).collect()
}

/// Collects findings about one group, or about what all groups share.
#[derive(Debug, Default)]
pub struct Findings {
    group: Option<String>,
    found: Vec<Finding>,
}

impl Findings {
    /// Begins; a group is named by its trigger key.
    pub fn of(group: Option<&str>) -> Self {
        Self {
            group: group.map(str::to_owned),
            found: Vec::new(),
        }
    }

    /// Returns them in their order.
    pub fn done(self) -> Vec<Finding> {
        self.found
    }

    /// All is well with it.
    pub fn ok(&mut self, about: &'static str, what: impl Into<String>) {
        self.add(Level::Ok, about, what.into(), None);
    }

    /// It could not be found out, and what would help.
    pub fn unknown(
        &mut self,
        about: &'static str,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(Level::Unknown, about, what.into(), Some(remedy.into()));
    }

    /// It will cost something one day.
    pub fn warning(
        &mut self,
        about: &'static str,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(Level::Warning, about, what.into(), Some(remedy.into()));
    }

    /// It does not work, or will not.
    pub fn problem(
        &mut self,
        about: &'static str,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(Level::Problem, about, what.into(), Some(remedy.into()));
    }

    fn add(&mut self, level: Level, about: &'static str, what: String, remedy: Option<String>) {
        let group = self.group.clone();
        self.found.push(Finding {
            level,
            about,
            group,
            what,
            remedy,
        });
    }
}
