//! Where log lines go and how they look.

mod fields;
mod journald;
mod repeats;
mod standard;

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::SystemTime;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use self::journald::Journald;
pub use self::repeats::Repeats;
use self::standard::Standard;
use crate::calendar::rfc3339;
use crate::config::{Log, LogFormat};

/// The target of warnings that are the word of a change. However often one is repeated, it is written.
pub(crate) const TRANSITION: &str = "vip_elector::transition";

const LOST: &str =
    "lines of this log were lost, because nobody read it; see what stands still behind it";

/// What the log may still be told.
#[derive(Clone, Debug)]
pub struct Logging {
    shapes: [(LogFormat, reload::Handle<Targets, Registry>); 3],
    repeats: Repeats,
}

impl Logging {
    /// Writes later lines in another shape, or with another level.
    pub fn change(&self, log: &Log) {
        let log = resolved(log);
        for (format, filter) in &self.shapes {
            // Fails only when there is no log any more.
            let _ = filter.reload(wanted(*format, &log));
        }
    }

    /// Returns the account of warnings that were held back.
    pub fn repeats(&self) -> &Repeats {
        &self.repeats
    }
}

/// Sends log lines to standard output, as the Go tool does, as text or one JSON object a line; or to the
/// journal.
pub fn init(log: &Log) -> Logging {
    let log = resolved(log);
    // All shapes are there, and all but one are silent: a filter can be replaced while others log.
    let (of_text, text) = reload::Layer::new(wanted(LogFormat::Text, &log));
    let (of_json, json) = reload::Layer::new(wanted(LogFormat::Json, &log));
    let (of_journald, journald) = reload::Layer::new(wanted(LogFormat::Journald, &log));
    let layers = vec![
        fmt::layer()
            .with_ansi(io::stdout().is_terminal())
            .with_target(false)
            .with_writer(Arc::new(Standard::new(io::stdout(), lost_as_text)))
            .with_filter(of_text)
            .boxed(),
        fmt::layer()
            .json()
            .flatten_event(true)
            .with_target(false)
            .with_writer(Arc::new(Standard::new(io::stdout(), lost_as_json)))
            .with_filter(of_json)
            .boxed(),
        Journald::open().with_filter(of_journald).boxed(),
    ];
    let repeats = Repeats::default();
    tracing_subscriber::registry()
        .with(layers)
        .with(repeats.layer())
        .init();
    Logging {
        shapes: [
            (LogFormat::Text, text),
            (LogFormat::Json, json),
            (LogFormat::Journald, journald),
        ],
        repeats,
    }
}

/// Decides what is left to the circumstances.
fn resolved(log: &Log) -> Log {
    let format = match log.format {
        LogFormat::Auto if journald::is_behind(io::stdout()) => LogFormat::Journald,
        LogFormat::Auto => LogFormat::Text,
        said @ (LogFormat::Text | LogFormat::Json | LogFormat::Journald) => said,
    };
    Log { format, ..*log }
}

/// What is written in this shape.
fn wanted(format: LogFormat, log: &Log) -> Targets {
    if format != log.format {
        return Targets::new().with_default(LevelFilter::OFF);
    }
    let level: LevelFilter = log.level.into();
    // The libraries below us have their own idea of what is worth an operator's time.
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("vip_elector", level)
        .with_target("vip_netlink", level)
}

fn lost_as_text(lines: u64) -> String {
    let now = rfc3339(SystemTime::now());
    format!("{now}  WARN {LOST} lines={lines}\n")
}

fn lost_as_json(lines: u64) -> String {
    let now = rfc3339(SystemTime::now());
    let entry = serde_json::json!({
        "timestamp": now, "level": "WARN", "message": LOST, "lines": lines,
    });
    format!("{entry}\n")
}

/// An error and its causes in one line.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn std::error::Error + 'a));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
