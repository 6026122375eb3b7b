//! Pure: what in another configuration cannot be put into force while the elections run: in that of the process not
//! without a restart, in that of a group not without that it starts over.

use std::fmt;
use std::time::Duration;

use super::duration::Go;
use super::{Conduct, Config, Group, Session, Vip, announce};

/// A setting that stays as it is until then, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    setting: &'static str,
    from: String,
    to: String,
    why: &'static str,
}

// Why a setting cannot change.
const HOME: &str = "the sessions and the keys are there";
const SESSION: &str = "the session was made with it";
const ADDRESS: &str = "the address is held by it";
const OTHERS: &str = "the other hosts were told of it";
const ELECTION: &str = "the election was begun with it";

impl Config {
    /// Everything for which `next` needs a restart; nothing, where it can be put into force as it is. What has become of
    /// the groups is no part of it.
    pub fn restart_for(&self, next: &Self) -> Vec<Change> {
        // Every field by name, so that whoever adds one has to decide.
        let Self {
            groups: _,
            directory: _,
            access,
            check_mode,
            manage_vip,
            kernel_lease,
            conduct,
            probe: _,
            hooks: _,
            peers,
            listen: _,
            log: _,
            warnings: _,
            lines: _,
        } = self;
        let mut changes = Changes::default();
        changes.value("namespace", HOME, &access.namespace, &next.access.namespace);
        changes.value("partition", HOME, &access.partition, &next.access.partition);
        let (from, to) = (check_mode.name(), next.check_mode.name());
        changes.value("check-mode", SESSION, &Some(from), &Some(to));
        changes.switch("manage-vip", ADDRESS, *manage_vip, next.manage_vip);
        if *manage_vip && next.manage_vip {
            let (from, to) = (kernel_lease.name(), next.kernel_lease.name());
            changes.value("kernel-lease", ADDRESS, &Some(from), &Some(to));
            changes.conduct(conduct, &next.conduct);
        }
        let (from, to) = (peers.is_some(), next.peers.is_some());
        changes.switch("peer-watch", OTHERS, from, to);
        if let (Some(from), Some(to)) = (peers, &next.peers) {
            let (listen, interval) = (Some(from.listen), Some(from.interval));
            changes.value("peer-listen", OTHERS, &listen, &Some(to.listen));
            changes.time("peer-interval", OTHERS, interval, Some(to.interval));
        }
        changes.found
    }
}

impl Group {
    /// Everything for which the group with this trigger key has to start over.
    pub fn starts_over_for(&self, next: &Self) -> Vec<Change> {
        let Self {
            file: _,
            trigger_key: _,
            trigger_value,
            vips,
            session:
                Session {
                    ttl,
                    lock_delay,
                    check_id,
                },
            liveness_ttl,
            priority,
            preempt_after,
        } = self;
        let mut changes = Changes::default();
        let (from, to) = (Some(trigger_value), Some(&next.trigger_value));
        changes.value("trigger-value", ELECTION, &from, &to);
        changes.value("addresses", ADDRESS, &all(vips), &all(&next.vips));
        changes.time("ttl", SESSION, Some(*ttl), Some(next.session.ttl));
        let (from, to) = (Some(*lock_delay), Some(next.session.lock_delay));
        changes.time("lock-delay", SESSION, from, to);
        changes.value("check-id", SESSION, check_id, &next.session.check_id);
        changes.time("liveness-ttl", SESSION, *liveness_ttl, next.liveness_ttl);
        changes.value("priority", OTHERS, &Some(*priority), &Some(next.priority));
        let (from, to) = (preempt_after.is_some(), next.preempt_after.is_some());
        changes.switch("preempt", ELECTION, from, to);
        if from && to {
            let to = next.preempt_after;
            changes.time("preempt-delay", ELECTION, *preempt_after, to);
        }
        changes.found
    }
}

fn all(vips: &[Vip]) -> Option<String> {
    let whole = |vip: &Vip| format!("{vip}{}", announce::unusual(vip.address, vip.announcing));
    let vips: Vec<_> = vips.iter().map(whole).collect();
    (!vips.is_empty()).then(|| vips.join(", "))
}

/// As it continues "this needs a restart".
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            setting,
            from,
            to,
            why,
        } = self;
        write!(f, "{setting} from {from} to {to}, because {why}")
    }
}

/// What was found.
#[derive(Default)]
struct Changes {
    found: Vec<Change>,
}

impl Changes {
    fn conduct(&mut self, from: &Conduct, to: &Conduct) {
        let Conduct {
            ipv6_dad,
            is_source,
            carrier_delay,
            probe,
        } = *from;
        self.switch("ipv6-dad", ADDRESS, ipv6_dad, to.ipv6_dad);
        let source = |is_source| Some(if is_source { "allow" } else { "avoid" });
        self.value(
            "vip-source",
            ADDRESS,
            &source(is_source),
            &source(to.is_source),
        );
        self.time(
            "carrier-delay",
            ADDRESS,
            Some(carrier_delay),
            Some(to.carrier_delay),
        );
        self.time("probe-before-takeover", ADDRESS, probe, to.probe);
    }

    fn switch(&mut self, setting: &'static str, why: &'static str, from: bool, to: bool) {
        let show = |is| Some(if is { "on" } else { "off" });
        self.value(setting, why, &show(from), &show(to));
    }

    fn time(
        &mut self,
        setting: &'static str,
        why: &'static str,
        from: Option<Duration>,
        to: Option<Duration>,
    ) {
        self.value(setting, why, &from.map(Go), &to.map(Go));
    }

    fn value<T: fmt::Display>(
        &mut self,
        setting: &'static str,
        why: &'static str,
        from: &Option<T>,
        to: &Option<T>,
    ) {
        let show = |value: &Option<T>| match value {
            Some(value) => value.to_string(),
            None => "none".to_owned(),
        };
        let (from, to) = (show(from), show(to));
        if from != to {
            self.found.push(Change {
                setting,
                from,
                to,
                why,
            });
        }
    }
}
