//! Pure: one of our own options: looked up, understood, or its default.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::duration::{self, Go};
use super::levels::Levels;
use super::origin::{Origin, Sourced, Written};
use super::report::{Caution, Fault, Findings};

/// Looks options up, and reports what is wrong with them.
pub(super) struct Resolver<'a> {
    pub(super) levels: &'a Levels<'a>,
    pub(super) findings: &'a mut Findings,
}

/// A duration and how it was written.
pub(super) struct Time {
    pub(super) duration: Duration,
    pub(super) text: String,
}

impl Resolver<'_> {
    /// What an option means; `None` only where a problem was reported.
    pub(super) fn option<T>(
        &mut self,
        typed: Option<Written>,
        name: &'static str,
        default: T,
        meaning: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<Sourced<T>> {
        match self.levels.option(typed, name, self.findings) {
            Some(written) => self
                .findings
                .accept(name, &written, meaning(&written.value)),
            None => Some(Sourced::default(default)),
        }
    }

    /// An option that has no default.
    pub(super) fn text(&mut self, typed: Option<Written>, name: &'static str) -> Option<Written> {
        self.levels.option(typed, name, self.findings)
    }

    /// Warns of an option that was written and has no effect without others.
    pub(super) fn idle<T>(
        &mut self,
        name: &'static str,
        value: Option<&Sourced<T>>,
        without: &'static str,
    ) {
        if let Some(Sourced { origin, .. }) = value
            && *origin != Origin::Default
        {
            self.findings
                .warning_at(name, origin, Caution::Idle { without });
        }
    }
}

impl Time {
    pub(super) fn default(duration: Duration) -> Self {
        Self {
            duration,
            text: Go(duration).to_string(),
        }
    }

    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let duration = duration::parse(text).map_err(Fault::Duration)?;
        Ok(Self {
            duration,
            text: text.to_owned(),
        })
    }

    /// As an operator reads it.
    pub(super) fn show(&self) -> String {
        Go(self.duration).to_string()
    }
}

/// Go's `strconv.ParseBool`, which Consul uses for its variables.
pub(super) fn boolean(text: &str) -> Result<bool, Fault> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err(Fault::NotOneOf {
            known: "true or false",
        }),
    }
}

/// Takes durations that are not too short and not too long.
pub(super) fn time_within(
    range: RangeInclusive<Duration>,
) -> impl FnOnce(&str) -> Result<Time, Fault> {
    move |text| {
        let time = Time::parse(text)?;
        if range.contains(&time.duration) {
            Ok(time)
        } else {
            let (least, most) = (Go(*range.start()), Go(*range.end()));
            Err(Fault::TimeRange { least, most })
        }
    }
}

/// Takes whole numbers that are not too small and not too large.
pub(super) fn number_within<N: FromStr + Display + PartialOrd>(
    range: RangeInclusive<N>,
) -> impl FnOnce(&str) -> Result<N, Fault> {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| Fault::NumberRange {
            least: range.start().to_string(),
            most: range.end().to_string(),
        })
    }
}
