//! Pure: what in another configuration cannot be put into force while the elections run.

use std::fmt;
use std::time::Duration;

use super::duration::Go;
use super::{Conduct, Config, Group, Session};

/// A setting that stays as it is until a restart, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    setting: &'static str,
    group: Option<String>,
    from: String,
    to: String,
    why: &'static str,
}

// Why a setting cannot change.
const HOME: &str = "the session and the key are there";
const SESSION: &str = "the session was made with it";
const ADDRESS: &str = "the address is held by it";
const OTHERS: &str = "the other hosts were told of it";
const ELECTION: &str = "the election was begun with it";

impl Config {
    /// Everything for which `next` needs a restart; nothing, where it can be put into force as it is.
    pub fn restart_for(&self, next: &Self) -> Vec<Change> {
        // Every field by name, so that whoever adds one has to decide.
        let Self {
            groups,
            access,
            session,
            manage_vip,
            kernel_lease,
            conduct,
            probe: _,
            hooks: _,
            liveness_ttl,
            peers,
            priority,
            preempt_after,
            listen: _,
            log: _,
            warnings: _,
            lines: _,
        } = self;
        let mut changes = Changes::default();
        changes.value("namespace", HOME, &access.namespace, &next.access.namespace);
        changes.value("partition", HOME, &access.partition, &next.access.partition);
        changes.session(session, &next.session);
        changes.time("liveness-ttl", SESSION, *liveness_ttl, next.liveness_ttl);
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
        changes.value("priority", OTHERS, &Some(*priority), &Some(next.priority));
        let (from, to) = (preempt_after.is_some(), next.preempt_after.is_some());
        changes.switch("preempt", ELECTION, from, to);
        if from && to {
            let to = next.preempt_after;
            changes.time("preempt-delay", ELECTION, *preempt_after, to);
        }
        let (from, to) = (groups.len(), next.groups.len());
        changes.value("vip-manager-config", ELECTION, &Some(from), &Some(to));
        for (group, next) in groups.iter().zip(&next.groups) {
            changes.group(group, next);
        }
        changes.found
    }
}

/// As it continues "this needs a restart".
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.setting)?;
        if let Some(group) = &self.group {
            write!(f, " of {group}")?;
        }
        write!(
            f,
            " from {} to {}, because {}",
            self.from, self.to, self.why
        )
    }
}

/// What was found, and whose settings are being compared.
#[derive(Default)]
struct Changes<'a> {
    found: Vec<Change>,
    of: Option<&'a Group>,
}

impl<'a> Changes<'a> {
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

    fn session(&mut self, from: &Session, to: &Session) {
        let Session {
            ttl,
            lock_delay,
            check_id,
            check_mode,
        } = from;
        self.time("ttl", SESSION, Some(*ttl), Some(to.ttl));
        self.time(
            "lock-delay",
            SESSION,
            Some(*lock_delay),
            Some(to.lock_delay),
        );
        self.value("check-id", SESSION, check_id, &to.check_id);
        let (from, to) = (check_mode.name(), to.check_mode.name());
        self.value("check-mode", SESSION, &Some(from), &Some(to));
    }

    fn group(&mut self, from: &'a Group, to: &Group) {
        let Group {
            file: _,
            trigger_key,
            trigger_value,
            vip,
        } = from;
        self.of = Some(from);
        let (key, value) = (&to.trigger_key, &to.trigger_value);
        self.value("trigger-key", ELECTION, &Some(trigger_key), &Some(key));
        self.value(
            "trigger-value",
            ELECTION,
            &Some(trigger_value),
            &Some(value),
        );
        // Whether there is one hangs on manage-vip.
        if let (Some(from), Some(to)) = (vip, &to.vip) {
            self.value("ip", ADDRESS, &Some(from.address), &Some(to.address));
            self.value("netmask", ADDRESS, &Some(from.prefix), &Some(to.prefix));
            let (from, to) = (&from.interface, &to.interface);
            self.value("interface", ADDRESS, &Some(from), &Some(to));
        }
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
            let group = self.of.map(|group| group.name().to_owned());
            self.found.push(Change {
                setting,
                group,
                from,
                to,
                why,
            });
        }
    }
}
