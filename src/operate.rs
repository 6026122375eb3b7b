//! Driver: what operators ask for, on any host that reaches Consul: `status`, `switchover`, `drain`, `resume`.
//!
//! Each is a process of its own that ends by itself. Nothing of it runs in a daemon, and a daemon is needed
//! on the hosts that take part only. What an operator wants is written below the trigger key, where every
//! daemon looks anyway; the process then waits, by blocking reads, until it has been done.

mod drain;
mod hands;
mod local;
mod look;
mod refuse;
mod survey;
mod switchover;
mod table;
mod view;

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::signal::ctrl_c;

pub use self::local::report_in;
pub use self::look::Looker;
pub use self::survey::{Seen, survey};
pub use self::table::{Style, show};
pub use self::view::{GroupView, HostView, Lock, Note, Role, Survey};
use crate::config::{Config, Group};
use crate::consul::{BuildError, Client};
use crate::election::call::Failure;
use crate::runtime::RuntimeDirectory;

/// Between two looks, where nothing else says when to look again.
const PACE: Duration = Duration::from_millis(200);

/// Between two looks of `--watch`; while a lock-delay is waited out, it is [`PACE`].
const WATCH_PACE: Duration = Duration::from_secs(1);

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Show all groups.
    Status {
        /// As JSON.
        json: bool,
        /// Again and again.
        watch: bool,
    },
    /// Have the leader hand over, to this host or to the best candidate.
    Switchover(Option<String>),
    /// Have a host not lead: this one, where none is named.
    Drain(Option<String>),
    /// Let it lead again.
    Resume(Option<String>),
}

/// Where it is shown.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    /// Whether standard output is a terminal.
    pub terminal: bool,
    /// Whether colours are wanted there.
    pub style: Style,
    /// Who asks: a user and a host, for the note of a drain.
    pub who: &'a str,
}

/// Why it was not done.
#[derive(Debug, Error)]
pub enum Error {
    /// The client could not be made from the configuration.
    #[error("preparing the connection to consul")]
    Client(#[from] BuildError),
    /// No runtime, or nowhere to print.
    #[error("{what}")]
    Io {
        /// What we were doing.
        what: &'static str,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// Consul refuses it, or does not answer.
    #[error("{0}")]
    Consul(String),
    /// It cannot work, or has not worked.
    #[error("{0}")]
    Refused(String),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Consul(failure.message)
    }
}

impl Error {
    fn and(self, more: &str) -> Self {
        match self {
            Self::Refused(why) => Self::Refused(format!("{why}; {more}")),
            Self::Consul(why) => Self::Consul(format!("{why}; {more}")),
            other @ (Self::Client(_) | Self::Io { .. }) => other,
        }
    }
}

/// Carries an order out, and returns whether all is well: for `status`, that each group has a leader.
///
/// # Errors
/// When it cannot be done, or was not done in time.
pub fn run(config: &Config, order: &Order, place: &Place<'_>) -> Result<bool, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::Io {
            what: "preparing the runtime",
            source,
        })?;
    let variable = std::env::var("RUNTIME_DIRECTORY").ok();
    let operator = Operator {
        looker: Looker {
            client: Client::new(&config.access)?,
            directories: RuntimeDirectory::all(variable.as_deref()),
        },
        groups: &config.groups,
        place,
        who: place.who,
    };
    let done = runtime.block_on(operator.carry_out(order));
    // A name that is still being resolved is not waited for.
    runtime.shutdown_background();
    done
}

struct Operator<'a> {
    looker: Looker,
    groups: &'a [Arc<Group>],
    place: &'a Place<'a>,
    who: &'a str,
}

impl Operator<'_> {
    async fn carry_out(&self, order: &Order) -> Result<bool, Error> {
        if let Order::Status { json, watch } = order {
            return self.status(*json, *watch).await;
        }
        for group in self.groups {
            let host =
                |named: &Option<String>| named.clone().unwrap_or(group.trigger_value.clone());
            match order {
                Order::Status { .. } => {}
                Order::Switchover(to) => self.switch_over(group, to.as_deref()).await?,
                Order::Drain(named) => self.drain(group, &host(named)).await?,
                Order::Resume(named) => self.resume(group, &host(named)).await?,
            }
        }
        Ok(true)
    }

    async fn status(&self, json: bool, watch: bool) -> Result<bool, Error> {
        let mut shown = String::new();
        loop {
            let survey = self.survey().await;
            let (text, led, pace) = match survey {
                Ok(survey) => (
                    self.written(&survey, json, watch),
                    survey.groups.iter().all(leads),
                    pace(&survey),
                ),
                // Whoever watches wants to see the end of it.
                Err(failure) if watch => (format!("{}\n", failure.message), false, WATCH_PACE),
                Err(failure) => return Err(failure.into()),
            };
            if !watch {
                return write(&text).map(|()| led);
            }
            if text != shown {
                let first = shown.is_empty() || json;
                write(&self.redrawn(&text, first))?;
                shown = text;
            }
            tokio::select! {
                () = tokio::time::sleep(pace) => {}
                () = self.interrupted() => return Ok(led),
            }
        }
    }

    async fn survey(&self) -> Result<Survey, Failure> {
        let mut groups = Vec::new();
        for group in self.groups {
            groups.push(self.looker.look(group).await?);
        }
        Ok(Survey { groups })
    }

    /// JSON that goes on and on is a line each time.
    fn written(&self, survey: &Survey, json: bool, watch: bool) -> String {
        let text = match (json, watch) {
            (false, _) => return show(survey, self.place.style),
            (true, true) => serde_json::to_string(survey),
            (true, false) => serde_json::to_string_pretty(survey),
        };
        // Strings and numbers always serialise.
        format!("{}\n", text.unwrap_or_default())
    }

    /// On a terminal in place of what was there; else below it.
    fn redrawn(&self, text: &str, first: bool) -> String {
        match (self.place.terminal, first) {
            // ECMA-48: to the first line, and clear the screen.
            (true, _) => format!("\x1b[H\x1b[2J{text}"),
            (false, true) => text.to_owned(),
            (false, false) => format!("\n{text}"),
        }
    }

    fn say(&self, line: &str) {
        // Whoever does not listen has it done all the same.
        let _ = write(&format!("{line}\n"));
    }

    async fn interrupted(&self) {
        if ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn leads(view: &GroupView) -> bool {
    view.leader.is_some()
}

fn pace(survey: &Survey) -> Duration {
    let mut daemons = survey.groups.iter().flat_map(|group| &group.daemon);
    let waits = daemons.any(|daemon| daemon.lock_delay_left_ms.is_some());
    if waits { PACE } else { WATCH_PACE }
}

fn write(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|source| Error::Io {
        what: "printing the result",
        source,
    })
}

#[cfg(test)]
mod tests;
