//! Pure: what Prometheus asks for.
//!
//! OpenMetrics 1.0 (<https://prometheus.io/docs/specs/om/open_metrics_spec/>) for whoever asks for it, else the text
//! format before it. They differ in how a counter is declared, and in the end.

use std::fmt::{self, Write as _};
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::election::health::Health;
use crate::election::target::Blocker;
use crate::election::time::Timestamp;
use crate::hooks::standing;
use crate::status::Role;
use crate::status::board::View;
use crate::status::change::Cause;
use crate::status::counters::{BUCKETS, Histogram};
use crate::status::snapshot::Snapshot;

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus's own text format 0.0.4.
    Text,
}

impl Format {
    /// OpenMetrics for whoever names it in `Accept`, and only for them, as other exporters do.
    pub(super) fn accepted<'a>(accept: impl Iterator<Item = &'a [u8]>) -> Self {
        for types in accept {
            let types = String::from_utf8_lossy(types);
            if types.contains("application/openmetrics-text") {
                return Self::OpenMetrics;
            }
        }
        Self::Text
    }

    /// What the answer is.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Writes everything.
pub(super) fn write(seen: &View, now: Timestamp, format: Format) -> String {
    let mut page = Page {
        text: String::new(),
        format,
    };
    page.process(seen.started_at);
    page.election(&seen.groups, now);
    page.address(&seen.groups);
    page.consul(&seen.groups);
    page.hooks(&seen.groups);
    if format == Format::OpenMetrics {
        page.text.push_str("# EOF\n");
    }
    page.text
}

struct Page {
    text: String,
    format: Format,
}

impl Page {
    fn process(&mut self, started_at: SystemTime) {
        self.gauge("vip_elector_build_info", "The version that runs; always 1.");
        let version = env!("CARGO_PKG_VERSION");
        self.sample("vip_elector_build_info", &[("version", version)], 1);
        let name = "process_start_time_seconds";
        self.gauge(name, "When the process was started, in seconds since 1970.");
        let started = started_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.sample(name, &[], started.as_secs_f64());
    }

    fn election(&mut self, groups: &[Snapshot], now: Timestamp) {
        self.flag(
            groups,
            "vip_elector_leader",
            "Whether this host leads.",
            |group| group.leads(now),
        );
        let name = "vip_elector_role";
        self.gauge(
            name,
            "What this host is in the group: 1 for that, 0 for the others.",
        );
        for group in groups {
            for role in Role::ALL {
                let is = u8::from(group.role == role);
                self.sample(name, &[of(group), ("role", role.name())], is);
            }
        }
        let name = "vip_elector_lease_left_seconds";
        self.gauge(
            name,
            "How much longer a leader may lead without another word from Consul.",
        );
        for group in groups {
            let left = group
                .lease()
                .map(|lease| lease.left(now))
                .unwrap_or_default();
            self.sample(name, &[of(group)], left.as_secs_f64());
        }
        let name = "vip_elector_lease_seconds";
        self.gauge(name, "What that is after each confirm.");
        for group in groups {
            let terms = &group.about.terms;
            let whole = terms.span().saturating_sub(terms.margin());
            self.sample(name, &[of(group)], whole.as_secs_f64());
        }
        let name = "vip_elector_term";
        self.gauge(
            name,
            "The raft index at which this leader took the lock; 0 on a standby.",
        );
        for group in groups {
            self.sample(name, &[of(group)], group.term.unwrap_or_default());
        }
        let name = "vip_elector_transitions";
        self.counter(
            name,
            "Changes of the role since the start, by what came of them and why.",
        );
        for group in groups {
            let transitions = &group.counters.transitions;
            let never = [((Role::Leader, Cause::Acquired), 0)];
            let never = never
                .iter()
                .filter(|(key, _)| !transitions.contains_key(key));
            for ((to, cause), count) in never.map(|(key, count)| (key, count)).chain(transitions) {
                let labels = [of(group), ("to", to.name()), ("reason", cause.name())];
                self.sample(format_args!("{name}_total"), &labels, count);
            }
        }
        let name = "vip_elector_candidates";
        self.gauge(
            name,
            "How many hosts stand as candidates, this one included.",
        );
        for group in groups {
            self.sample(name, &[of(group)], group.candidates.unwrap_or_default());
        }
        self.flag(
            groups,
            "vip_elector_candidate",
            "Whether this host does.",
            |group| group.status.candidate,
        );
        self.flag(
            groups,
            "vip_elector_healthy",
            "Whether this host finds itself fit to lead.",
            |group| group.status.health == Health::Good,
        );
        self.flag(
            groups,
            "vip_elector_drained",
            "Whether this host was told not to lead.",
            |group| group.status.drained,
        );
        self.flag(
            groups,
            "vip_elector_session",
            "Whether this host has a session in Consul.",
            |group| group.status.session.is_some(),
        );
    }

    fn address(&mut self, groups: &[Snapshot]) {
        let managed = groups.iter().filter(|group| !group.about.vips.is_empty());
        let managed: Vec<_> = managed.collect();
        if managed.is_empty() {
            return;
        }
        let name = "vip_elector_address_held";
        self.gauge(
            name,
            "Whether the kernel has said that the virtual IP is up here.",
        );
        for group in &managed {
            for vip in &group.about.vips {
                let labels = [
                    of(group),
                    ("address", &vip.address.to_string()),
                    ("interface", &vip.interface),
                ];
                self.sample(name, &labels, u8::from(group.held));
            }
        }
        let name = "vip_elector_announcements";
        self.counter(
            name,
            "How often the virtual IP was announced over ARP or NDP.",
        );
        for group in &managed {
            let count = group.about.deeds.announcements.load(Ordering::Relaxed);
            self.sample(format_args!("{name}_total"), &[of(group)], count);
        }
        let name = "vip_elector_address_failures";
        self.counter(
            name,
            "How often the kernel refused to add, prolong, announce or remove it.",
        );
        for group in &managed {
            let count = group.about.deeds.failures.load(Ordering::Relaxed);
            self.sample(format_args!("{name}_total"), &[of(group)], count);
        }
        let name = "vip_elector_address_conflicts";
        self.counter(
            name,
            "How often another machine said that it has the virtual IP.",
        );
        for group in &managed {
            let count = group.about.deeds.conflicts.load(Ordering::Relaxed);
            self.sample(format_args!("{name}_total"), &[of(group)], count);
        }
        let name = "vip_elector_address_blocked";
        self.gauge(
            name,
            "Why the virtual IP cannot be held here: 1 for that; foreign is another program's.",
        );
        for group in &managed {
            let blocked = group.status.blocker.as_ref().map(blocker_name);
            for reason in BLOCKERS {
                let is = u8::from(blocked == Some(reason));
                self.sample(name, &[of(group), ("reason", reason)], is);
            }
        }
    }

    fn consul(&mut self, groups: &[Snapshot]) {
        let name = "vip_elector_consul_errors";
        self.counter(
            name,
            "Requests to Consul that failed, by what follows from it.",
        );
        for group in groups {
            for (kind, count) in group.counters.errors.named() {
                self.sample(
                    format_args!("{name}_total"),
                    &[of(group), ("kind", kind)],
                    count,
                );
            }
        }
        let name = "vip_elector_overwrites";
        self.counter(
            name,
            "How often somebody wrote over the trigger key of this leader.",
        );
        for group in groups {
            self.sample(
                format_args!("{name}_total"),
                &[of(group)],
                group.status.overwritten,
            );
        }
        let name = "vip_elector_confirm_duration_seconds";
        self.histogram(
            groups,
            name,
            "How long Consul took to prove a leader's lock.",
            |group| &group.counters.confirms,
        );
        let name = "vip_elector_renew_duration_seconds";
        self.histogram(
            groups,
            name,
            "How long Consul took to renew the session.",
            |group| &group.counters.renewals,
        );
    }

    fn hooks(&mut self, groups: &[Snapshot]) {
        let name = "vip_elector_hooks";
        self.counter(name, "Hooks that have ended, and how.");
        for group in groups {
            for hook in standing::Role::ALL {
                for (done, result) in [(true, "done"), (false, "failed")] {
                    let labels = [of(group), ("hook", hook.hook()), ("result", result)];
                    let count = group.about.hooks.counted(hook, done);
                    self.sample(format_args!("{name}_total"), &labels, count);
                }
            }
        }
    }

    fn histogram(
        &mut self,
        groups: &[Snapshot],
        name: &str,
        help: &str,
        of_group: impl Fn(&Snapshot) -> &Histogram,
    ) {
        self.declare(name, "histogram", help);
        for group in groups {
            let histogram = of_group(group);
            let bounds = BUCKETS.map(|bound| bound.to_string());
            let bounds = bounds.iter().map(String::as_str).chain(["+Inf"]);
            let mut total = 0;
            for (bound, count) in bounds.zip(histogram.cumulative()) {
                self.sample(
                    format_args!("{name}_bucket"),
                    &[of(group), ("le", bound)],
                    count,
                );
                total = count;
            }
            let sum = histogram.sum().as_secs_f64();
            self.sample(format_args!("{name}_sum"), &[of(group)], sum);
            self.sample(format_args!("{name}_count"), &[of(group)], total);
        }
    }

    fn flag(
        &mut self,
        groups: &[Snapshot],
        name: &str,
        help: &str,
        is: impl Fn(&Snapshot) -> bool,
    ) {
        self.gauge(name, help);
        for group in groups {
            self.sample(name, &[of(group)], u8::from(is(group)));
        }
    }

    fn gauge(&mut self, name: &str, help: &str) {
        self.declare(name, "gauge", help);
    }

    /// By its name without `_total`, which each sample carries.
    fn counter(&mut self, name: &str, help: &str) {
        match self.format {
            Format::OpenMetrics => self.declare(name, "counter", help),
            Format::Text => self.declare(&format!("{name}_total"), "counter", help),
        }
    }

    fn declare(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(
        &mut self,
        name: impl fmt::Display,
        labels: &[(&str, &str)],
        value: impl fmt::Display,
    ) {
        let _ = write!(self.text, "{name}");
        for (number, (label, text)) in labels.iter().enumerate() {
            let open = if number == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{open}{label}=\"{}\"", escaped(text));
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{close} {value}");
    }
}

fn of(group: &Snapshot) -> (&'static str, &str) {
    ("group", &group.about.group)
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

const BLOCKERS: [&str; 4] = ["foreign", "interface_down", "interface_missing", "refused"];

const fn blocker_name(blocker: &Blocker) -> &'static str {
    match blocker {
        Blocker::Foreign => "foreign",
        Blocker::InterfaceDown => "interface_down",
        Blocker::InterfaceMissing => "interface_missing",
        Blocker::Refused(_) => "refused",
    }
}
