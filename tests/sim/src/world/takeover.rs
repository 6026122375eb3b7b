//! Pure: how soon a leader is replaced whose daemon ends, where nothing else goes wrong.

use std::time::Duration;

use super::World;
use crate::fault::Fault;
use crate::invariants::{Violation, takeover_bound};

/// After this a leader has been heard by whoever listens.
const KNOWN: Duration = Duration::from_secs(1);

/// A leader whose daemon was killed or frozen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vacated {
    host: usize,
    at: Duration,
    bound: Duration,
    /// Whether the other hosts miss it, or only its agent.
    watched: bool,
}

impl World<'_> {
    /// A fault that comes alone is about to hit a host.
    pub(super) fn vacate(&mut self, host: usize, fault: &Fault) {
        let deadly = matches!(fault, Fault::Kill { .. } | Fault::Freeze { .. });
        if !deadly || !self.schedule.is_alone() || self.holder() != Some(host) {
            return;
        }
        let longest = self.schedule.longest_lock_delay();
        // Who has only just begun to lead was not heard by everybody yet.
        let leads_since = self.hosts[host].kernel.up_since();
        let known = leads_since.is_some_and(|since| since + KNOWN <= self.now);
        let watched = self.schedule.watched_silence(host).filter(|_| known);
        let Some(silence) = watched.or_else(|| self.schedule.silence_of(host)) else {
            return;
        };
        self.vacated = Some(Vacated {
            host,
            at: self.now,
            bound: takeover_bound(silence, longest),
            watched: watched.is_some(),
        });
    }

    /// Another host may have the address by now, and should some time.
    pub(super) fn see_whether_taken_over(&mut self) {
        let Some(vacated) = self.vacated else { return };
        let since = self.now.saturating_sub(vacated.at);
        let others = self.hosts.iter().enumerate();
        let mut others = others.filter(|(host, _)| *host != vacated.host);
        if others.any(|(_, other)| other.kernel.up_since().is_some()) {
            self.vacated = None;
            self.tally.takeover(since, vacated.watched);
        } else if since > vacated.bound {
            self.violation = Some(Violation::SlowTakeover(since));
        }
    }
}
