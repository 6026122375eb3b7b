//! Pure: how this host finds out by itself whether it is fit to lead.

use std::fmt;
use std::time::Duration;

use url::Url;

use super::describe::Lines;
use super::levels::{Levels, filled_flag, flag};
use super::option::{Resolver, Time, number_within, time_within};
use super::origin::{Sourced, Written};
use super::report::{Fault, Findings};

/// What is asked again and again, and how many answers it takes to believe them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// What is asked.
    pub what: ProbeOf,
    /// From the start of one try to the start of the next; 50 ms to 1 h.
    pub interval: Duration,
    /// How long one try may take; 1 ms to 1 h.
    pub timeout: Duration,
    /// How many failures in a row make a healthy host unhealthy; 1 to 100.
    pub fall: u32,
    /// How many successes in a row make an unhealthy host healthy; 1 to 100.
    pub rise: u32,
}

/// What tells whether this host is fit to lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeOf {
    /// `http://` or `https://`, without credentials; a status of 2xx is good.
    Url(Url),
    /// For `/bin/sh -c`; exit status 0 is good.
    Command(String),
}

const INTERVAL: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(1);
const FALL: u32 = 3;
const RISE: u32 = 2;
const LEAST_INTERVAL: Duration = Duration::from_millis(50);
const LEAST_TIMEOUT: Duration = Duration::from_millis(1);
const MOST: Duration = Duration::from_secs(60 * 60);

/// `None` where none is wanted, or a problem was reported.
pub(super) fn resolve(
    levels: &Levels<'_>,
    findings: &mut Findings,
    lines: &mut Lines,
) -> Option<Probe> {
    let flags = levels.flags;
    let mut resolver = Resolver { levels, findings };
    let url = resolver.text(
        filled_flag("--health-url", flags.health_url.as_ref()),
        "health-url",
    );
    let command = resolver.text(
        filled_flag("--health-command", flags.health_command.as_ref()),
        "health-command",
    );
    let mut time = |flag, name, default, least| {
        let default = Time::default(default);
        resolver.option(flag, name, default, time_within(least..=MOST))
    };
    let interval = time(
        flag("--health-interval", flags.health_interval.as_ref()),
        "health-interval",
        INTERVAL,
        LEAST_INTERVAL,
    );
    let timeout = time(
        flag("--health-timeout", flags.health_timeout.as_ref()),
        "health-timeout",
        TIMEOUT,
        LEAST_TIMEOUT,
    );
    let mut count =
        |flag, name, default| resolver.option(flag, name, default, number_within(1..=100));
    let fall = count(
        flag("--health-fall", flags.health_fall.as_ref()),
        "health-fall",
        FALL,
    );
    let rise = count(
        flag("--health-rise", flags.health_rise.as_ref()),
        "health-rise",
        RISE,
    );

    if url.is_none() && command.is_none() {
        let without = "health-url or health-command";
        resolver.idle("health-interval", interval.as_ref(), without);
        resolver.idle("health-timeout", timeout.as_ref(), without);
        resolver.idle("health-fall", fall.as_ref(), without);
        resolver.idle("health-rise", rise.as_ref(), without);
        return None;
    }
    let what = what(url, command, resolver.findings)?;
    lines.add(what.value.option(), Some(&what), ProbeOf::text);
    lines.add("health-interval", interval.as_ref(), Time::show);
    lines.add("health-timeout", timeout.as_ref(), Time::show);
    lines.add("health-fall", fall.as_ref(), u32::to_string);
    lines.add("health-rise", rise.as_ref(), u32::to_string);
    Some(Probe {
        what: what.value,
        interval: interval?.value.duration,
        timeout: timeout?.value.duration,
        fall: fall?.value,
        rise: rise?.value,
    })
}

impl ProbeOf {
    /// The option that asks for it.
    const fn option(&self) -> &'static str {
        match self {
            Self::Url(_) => "health-url",
            Self::Command(_) => "health-command",
        }
    }

    /// What was asked for, on one line.
    fn text(&self) -> String {
        match self {
            Self::Url(url) => url.to_string(),
            Self::Command(command) => command.split_whitespace().collect::<Vec<_>>().join(" "),
        }
    }
}

/// As it begins a sentence for the operator: `health-url http://127.0.0.1/health`.
impl fmt::Display for ProbeOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (option, text) = (self.option(), self.text());
        match self {
            Self::Url(_) => write!(f, "{option} {text}"),
            Self::Command(_) => write!(f, "{option} '{text}'"),
        }
    }
}

fn what(
    url: Option<Written>,
    command: Option<Written>,
    findings: &mut Findings,
) -> Option<Sourced<ProbeOf>> {
    let Some(url) = url else {
        return command.map(|command| command.means(ProbeOf::Command(command.value.clone())));
    };
    if let Some(command) = command {
        let other = url.origin.clone();
        findings.problem_at(
            "health-command",
            &command.origin,
            Fault::TwoProbes { other },
        );
    }
    match health_url(&url.value) {
        // What was written may hold a secret.
        Err(fault) if url.value.contains('@') => {
            findings.problem_at("health-url", &url.origin, fault);
            None
        }
        meaning => findings.accept("health-url", &url, meaning),
    }
}

fn health_url(text: &str) -> Result<ProbeOf, Fault> {
    let url = Url::parse(text).map_err(Fault::HealthUrl)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Fault::HealthScheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Fault::HealthCredentials);
    }
    Ok(ProbeOf::Url(url))
}
