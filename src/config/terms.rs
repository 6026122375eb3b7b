//! Pure: the options that each group has for itself: what its session is created with, and who is preferred in it.

use std::time::Duration;

use super::describe::Lines;
use super::levels::{Levels, filled_flag, flag};
use super::option::{Resolver, Time, boolean, number_within, time_within};
use super::origin::Sourced;
use super::report::Findings;
use super::{CheckMode, Session};

/// What was asked for. A field is `None` only where a problem was reported, but for the check, which may be none.
pub(super) struct Terms {
    pub(super) check_id: Option<Sourced<String>>,
    pub(super) ttl: Option<Sourced<Time>>,
    pub(super) lock_delay: Option<Sourced<Time>>,
    /// Zero for none.
    pub(super) liveness_ttl: Option<Sourced<Time>>,
    pub(super) priority: Option<Sourced<i32>>,
    preempt: Option<Sourced<bool>>,
    preempt_delay: Option<Sourced<Time>>,
}

const TTL: Duration = Duration::from_secs(10);
const LOCK_DELAY: Duration = Duration::from_secs(1);
/// Long enough for the kernel's hand alone to keep the promise.
const LOCK_DELAY_MANAGED: Duration = Duration::from_secs(3);
const LIVENESS_TTL: Duration = Duration::from_secs(3);
const PRIORITIES: std::ops::RangeInclusive<i32> = -1000..=1000;
const PREEMPT_DELAY: Duration = Duration::from_secs(60);
const MOST_PREEMPT_DELAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Terms {
    /// Takes them from the flags, which count for all groups, and from the file of this one.
    pub(super) fn resolve(levels: &Levels<'_>, managed: bool, findings: &mut Findings) -> Self {
        let flags = levels.flags;
        let mut resolver = Resolver { levels, findings };
        let lock_delay = if managed {
            LOCK_DELAY_MANAGED
        } else {
            LOCK_DELAY
        };
        let terms = Self {
            check_id: resolver.text(
                filled_flag("--check-id", flags.check_id.as_ref()),
                "check-id",
            ),
            ttl: resolver.option(
                flag("--ttl", flags.ttl.as_ref()),
                "ttl",
                Time::default(TTL),
                Time::parse,
            ),
            lock_delay: resolver.option(
                flag("--lock-delay", flags.lock_delay.as_ref()),
                "lock-delay",
                Time::default(lock_delay),
                Time::parse,
            ),
            liveness_ttl: resolver.option(
                flag("--liveness-ttl", flags.liveness_ttl.as_ref()),
                "liveness-ttl",
                Time::default(LIVENESS_TTL),
                Time::parse,
            ),
            priority: resolver.option(
                flag("--priority", flags.priority.as_ref()),
                "priority",
                0,
                number_within(PRIORITIES),
            ),
            preempt: resolver.option(
                flag("--preempt", flags.preempt.as_ref()),
                "preempt",
                false,
                boolean,
            ),
            preempt_delay: resolver.option(
                flag("--preempt-delay", flags.preempt_delay.as_ref()),
                "preempt-delay",
                Time::default(PREEMPT_DELAY),
                time_within(Duration::ZERO..=MOST_PREEMPT_DELAY),
            ),
        };
        if !terms.preempts() {
            resolver.idle("preempt-delay", terms.preempt_delay.as_ref(), "preempt");
        }
        terms
    }

    /// What the session is created with, once it is all known.
    pub(super) fn session(&self) -> Option<Session> {
        let check_id = self.check_id.as_ref();
        Some(Session {
            ttl: self.ttl.as_ref()?.value.duration,
            lock_delay: self.lock_delay.as_ref()?.value.duration,
            check_id: check_id.map(|check_id| check_id.value.clone()),
        })
    }

    /// `None` where none is wanted, or a problem was reported.
    pub(super) fn liveness_ttl(&self) -> Option<Duration> {
        let ttl = self.liveness_ttl.as_ref()?.value.duration;
        (!ttl.is_zero()).then_some(ttl)
    }

    /// `None` where none is wanted, or a problem was reported.
    pub(super) fn preempt_after(&self) -> Option<Duration> {
        let delay = self.preempt_delay.as_ref()?.value.duration;
        self.preempts().then_some(delay)
    }

    /// Below the line of the group. `mode` is the process's.
    pub(super) fn describe(&self, mode: Option<&Sourced<CheckMode>>, lines: &mut Lines) {
        lines.add("  check-id", self.check_id.as_ref(), Clone::clone);
        if self.check_id.is_some() {
            lines.add("  check-mode", mode, |mode| mode.name().to_owned());
        }
        lines.add("  ttl", self.ttl.as_ref(), Time::show);
        lines.add("  lock-delay", self.lock_delay.as_ref(), Time::show);
        lines.add("  liveness-ttl", self.liveness_ttl.as_ref(), Time::show);
        lines.add("  priority", self.priority.as_ref(), i32::to_string);
        lines.add("  preempt", self.preempt.as_ref(), bool::to_string);
        if self.preempts() {
            lines.add("  preempt-delay", self.preempt_delay.as_ref(), Time::show);
        }
    }

    fn preempts(&self) -> bool {
        self.preempt.as_ref().is_some_and(|preempt| preempt.value)
    }
}
