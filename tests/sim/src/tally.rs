//! Pure: what a simulation did, in numbers, so that one that did nothing cannot pass for a proof.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Counts over one schedule or many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Schedules run.
    pub schedules: u64,
    /// Events processed.
    pub events: u64,
    /// True time simulated.
    pub simulated: Duration,
    /// Faults by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Everything else by name.
    pub seen: BTreeMap<&'static str, u64>,
    /// The longest time from the last fault's end to a leader that stays.
    pub longest_recovery: Duration,
    /// The longest time from the end of a leader's daemon, and nothing else, to another leader: where its
    /// agent missed it, and where other hosts did.
    pub longest_takeover: [Duration; 2],
}

impl Tally {
    /// Counts one fault.
    pub fn fault(&mut self, kind: &'static str) {
        *self.faults.entry(kind).or_default() += 1;
    }

    /// Counts one of anything else.
    pub fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// Counts how long it took to replace a leader, whom other hosts watched or not.
    pub fn takeover(&mut self, time: Duration, watched: bool) {
        self.saw("takeovers from a dead or frozen daemon alone");
        let longest = &mut self.longest_takeover[usize::from(watched)];
        *longest = time.max(*longest);
    }

    /// Returns how often something was seen.
    pub fn count(&self, what: &str) -> u64 {
        self.seen.get(what).copied().unwrap_or_default()
    }

    /// Adds another's counts.
    pub fn add(&mut self, other: &Self) {
        self.schedules += other.schedules;
        self.events += other.events;
        self.simulated += other.simulated;
        for (kind, count) in &other.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        for (what, count) in &other.seen {
            *self.seen.entry(what).or_default() += count;
        }
        self.longest_recovery = self.longest_recovery.max(other.longest_recovery);
        for (longest, other) in self.longest_takeover.iter_mut().zip(other.longest_takeover) {
            *longest = other.max(*longest);
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = self.simulated.as_secs_f64() / 3600.0;
        writeln!(
            f,
            "{} schedules, {hours:.1} simulated hours, {} events, longest recovery {:.1} s",
            self.schedules,
            self.events,
            self.longest_recovery.as_secs_f64()
        )?;
        let [agent, peers] = self.longest_takeover.map(|longest| longest.as_secs_f64());
        writeln!(
            f,
            "longest takeover from a dead daemon: {agent:.1} s by its agent, {peers:.1} s by other hosts"
        )?;
        for (title, counts) in [("faults", &self.faults), ("seen", &self.seen)] {
            writeln!(f, "{title}:")?;
            for (what, count) in counts {
                writeln!(f, "  {what:<36} {count:>10}")?;
            }
        }
        Ok(())
    }
}
