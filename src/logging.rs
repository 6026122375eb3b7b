//! Where log lines go and how they look.

use std::io::{self, IsTerminal};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::config::{Log, LogFormat};

/// What the log may still be told.
#[derive(Clone, Debug)]
pub struct Logging {
    shapes: [(LogFormat, reload::Handle<Targets, Registry>); 2],
}

impl Logging {
    /// Writes later lines in another shape, or with another level.
    pub fn change(&self, log: &Log) {
        for (format, filter) in &self.shapes {
            // Fails only when there is no log any more.
            let _ = filter.reload(wanted(*format, log));
        }
    }
}

/// Sends log lines to standard output, as the Go tool does: text, or one JSON object a line.
pub fn init(log: &Log) -> Logging {
    // Both shapes are there, and one of them is silent: a filter can be replaced while others log.
    let (of_text, text) = reload::Layer::new(wanted(LogFormat::Text, log));
    let (of_json, json) = reload::Layer::new(wanted(LogFormat::Json, log));
    let layers = vec![
        fmt::layer()
            .with_ansi(io::stdout().is_terminal())
            .with_target(false)
            .with_filter(of_text)
            .boxed(),
        fmt::layer()
            .json()
            .flatten_event(true)
            .with_target(false)
            .with_filter(of_json)
            .boxed(),
    ];
    tracing_subscriber::registry().with(layers).init();
    Logging {
        shapes: [(LogFormat::Text, text), (LogFormat::Json, json)],
    }
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
