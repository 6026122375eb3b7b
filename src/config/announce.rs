//! Pure: how often an address is announced, as far as it is said.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::describe::Lines;
use super::duration::Go;
use super::option::{Time, number_within, time_within};
use super::origin::{Sourced, Written};
use super::report::{Caution, Fault, Findings};
use crate::vip::announce::Announcing;

pub(super) const COUNT: &str = "announce-count";
pub(super) const INTERVAL: &str = "announce-interval";
pub(super) const REFRESH: &str = "announce-refresh";

const COUNTS: RangeInclusive<u32> = 1..=100;
const INTERVALS: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(60);
/// Or none.
const REFRESHES: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60);

/// What was written.
#[derive(Clone)]
pub(super) struct Spoken {
    count: Option<Written>,
    interval: Option<Written>,
    refresh: Option<Written>,
}

/// What is meant. A field is `None` where nothing was written, or a problem was reported.
pub(super) struct Draft {
    count: Option<Sourced<u32>>,
    interval: Option<Sourced<Time>>,
    refresh: Option<Sourced<Time>>,
}

impl Spoken {
    /// Takes what `said` knows by the names of the settings.
    pub(super) fn new(mut said: impl FnMut(&'static str) -> Option<Written>) -> Self {
        Self {
            count: said(COUNT),
            interval: said(INTERVAL),
            refresh: said(REFRESH),
        }
    }

    /// The same, with what `others` say where it says nothing.
    pub(super) fn or(self, others: &Self) -> Self {
        Self {
            count: self.count.or_else(|| others.count.clone()),
            interval: self.interval.or_else(|| others.interval.clone()),
            refresh: self.refresh.or_else(|| others.refresh.clone()),
        }
    }

    /// Warns of what was written where no address is held.
    pub(super) fn warn_idle(&self, findings: &mut Findings) {
        let without = "manage-vip";
        for (name, written) in [
            (COUNT, &self.count),
            (INTERVAL, &self.interval),
            (REFRESH, &self.refresh),
        ] {
            if let Some(written) = written {
                findings.warning(name, written, Caution::Idle { without });
            }
        }
    }

    /// Understands it.
    pub(super) fn read(self, findings: &mut Findings) -> Draft {
        let count = self.count.and_then(|written| {
            let meaning = number_within(COUNTS)(&written.value);
            findings.accept(COUNT, &written, meaning)
        });
        let interval = self.interval.and_then(|written| {
            let meaning = time_within(INTERVALS)(&written.value);
            findings.accept(INTERVAL, &written, meaning)
        });
        let refresh = self
            .refresh
            .and_then(|written| findings.accept(REFRESH, &written, refresh(&written.value)));
        Draft {
            count,
            interval,
            refresh,
        }
    }
}

impl Draft {
    /// With what is good for `address` where nothing was said.
    pub(super) fn meant(&self, address: IpAddr) -> Announcing {
        let default = Announcing::of(address);
        let refresh = |time: &Sourced<Time>| {
            let every = time.value.duration;
            (!every.is_zero()).then_some(every)
        };
        Announcing {
            count: self
                .count
                .as_ref()
                .map_or(default.count, |count| count.value),
            interval: self
                .interval
                .as_ref()
                .map_or(default.interval, |time| time.value.duration),
            refresh: self.refresh.as_ref().map_or(default.refresh, refresh),
        }
    }

    /// What was said, on lines of its own.
    pub(super) fn describe(&self, lines: &mut Lines) {
        lines.add("  announce-count", self.count.as_ref(), u32::to_string);
        lines.add("  announce-interval", self.interval.as_ref(), Time::show);
        lines.add("  announce-refresh", self.refresh.as_ref(), Time::show);
    }
}

/// How an address is announced, as it continues what is said of it; nothing where that is as usual.
pub(super) fn unusual(address: IpAddr, announcing: Announcing) -> String {
    if announcing == Announcing::of(address) {
        return String::new();
    }
    let Announcing {
        count,
        interval,
        refresh,
    } = announcing;
    let (interval, refresh) = (Go(interval), Go(refresh.unwrap_or_default()));
    format!(", {COUNT} {count}, {INTERVAL} {interval}, {REFRESH} {refresh}")
}

fn refresh(text: &str) -> Result<Time, Fault> {
    match Time::parse(text) {
        Ok(none) if none.duration.is_zero() => Ok(none),
        _ => time_within(REFRESHES)(text).map_err(|fault| {
            if matches!(fault, Fault::TimeRange { .. }) {
                Fault::AnnounceRefresh
            } else {
                fault
            }
        }),
    }
}
