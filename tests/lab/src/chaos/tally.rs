//! Pure: what all rounds came to, by kind.

use std::time::Duration;

use super::deed::Deed;
use super::kind::Kind;
use super::round::Outcome;

/// The sum of all rounds so far.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    done: Vec<Done>,
    impossible: Vec<(Kind, String)>,
}

/// A fault, and what its round cost.
#[derive(Clone, Copy, Debug)]
struct Done {
    kind: Kind,
    alone: bool,
    outage: Duration,
    overlap: Duration,
}

/// What one kind came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Row {
    /// The kind.
    pub kind: Kind,
    /// How often it was done.
    pub times: usize,
    /// For how long more than one host had the address, in all its rounds.
    pub overlap: Duration,
    /// The longest outage of the rounds that it had for itself, or of all its rounds where it never
    /// had one for itself; nothing where it was never done.
    pub longest: Option<Duration>,
    /// The median of the same rounds' outages.
    pub median: Option<Duration>,
    /// Whether these are of rounds that it had for itself.
    pub alone: bool,
    /// Why it could not be done.
    pub impossible: Option<String>,
}

impl Tally {
    /// Adds a round. Its overlap counts for each of its faults.
    pub fn add(&mut self, outcome: &Outcome) {
        for (kind, reason) in &outcome.impossible {
            if !self.impossible.iter().any(|(known, _)| known == kind) {
                self.impossible.push((*kind, reason.clone()));
            }
        }
        for (kind, _) in &outcome.faults {
            if !outcome.impossible.iter().any(|(not, _)| not == kind) {
                self.done.push(Done {
                    kind: *kind,
                    alone: outcome.faults.len() == 1,
                    outage: outcome.outage,
                    overlap: outcome.overlap,
                });
            }
        }
    }

    /// Returns how many faults were done.
    pub fn faults(&self) -> usize {
        self.done.len()
    }

    /// Returns how often a daemon was killed for its supervisor to start it again.
    pub fn strikes(&self) -> usize {
        let strikes = |kind: Kind| {
            let script = kind.script().into_iter();
            script.filter(|(_, deed)| *deed == Deed::Strike).count()
        };
        self.done.iter().map(|done| strikes(done.kind)).sum()
    }

    /// Returns a row for every kind, done or not.
    pub fn rows(&self) -> Vec<Row> {
        Kind::ALL.into_iter().map(|kind| self.row(kind)).collect()
    }

    fn row(&self, kind: Kind) -> Row {
        let done = || self.done.iter().filter(|done| done.kind == kind);
        let alone = done().any(|done| done.alone);
        let counted = done().filter(|done| done.alone || !alone);
        let mut outages: Vec<Duration> = counted.map(|done| done.outage).collect();
        outages.sort_unstable();
        let impossible = self.impossible.iter().find(|(one, _)| *one == kind);
        Row {
            kind,
            times: done().count(),
            overlap: done().map(|done| done.overlap).sum(),
            longest: outages.last().copied(),
            median: outages.get(outages.len() / 2).copied(),
            alone,
            impossible: impossible.map(|(_, reason)| reason.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(kinds: &[Kind], outage: u64, overlap: u64) -> Outcome {
        Outcome {
            faults: kinds
                .iter()
                .map(|kind| (*kind, "web1".to_owned()))
                .collect(),
            impossible: Vec::new(),
            refused: Vec::new(),
            outage: Duration::from_millis(outage),
            overlap: Duration::from_millis(overlap),
            limit: Duration::MAX,
            settled: Ok("web1".to_owned()),
            took: Duration::ZERO,
        }
    }

    #[test]
    fn overlap_counts_for_each_fault_and_an_outage_for_one_that_was_alone() {
        let mut tally = Tally::default();
        tally.add(&round(&[Kind::Kill], 10, 0));
        tally.add(&round(&[Kind::Kill, Kind::Crash], 30, 2));
        tally.add(&round(&[Kind::Kill], 20, 0));
        assert_eq!((tally.faults(), tally.strikes()), (4, 0));
        tally.add(&round(&[Kind::DiskFull], 1, 0));
        assert_eq!((tally.faults(), tally.strikes()), (5, 1));
        let rows = tally.rows();
        let row = |kind| rows.iter().find(|row| row.kind == kind).unwrap().clone();
        let milliseconds = |number| Some(Duration::from_millis(number));
        let kill = row(Kind::Kill);
        assert_eq!((kill.times, kill.overlap), (3, Duration::from_millis(2)));
        assert_eq!(
            (kill.longest, kill.median),
            (milliseconds(20), milliseconds(20))
        );
        let crash = row(Kind::Crash);
        assert_eq!(crash.overlap, Duration::from_millis(2));
        assert_eq!((crash.longest, crash.alone), (milliseconds(30), false));
        assert_eq!(row(Kind::Mute).times, 0);
        assert_eq!(rows.len(), Kind::ALL.len());
    }

    #[test]
    fn what_could_not_be_done_is_said_and_not_counted() {
        let mut tally = Tally::default();
        let mut outcome = round(&[Kind::ClockSteps, Kind::Kill], 10, 0);
        outcome.impossible = vec![(Kind::ClockSteps, "no library".to_owned())];
        tally.add(&outcome);
        assert_eq!(tally.faults(), 1);
        let rows = tally.rows();
        let clock = rows
            .iter()
            .find(|row| row.kind == Kind::ClockSteps)
            .unwrap();
        assert_eq!(clock.times, 0);
        assert_eq!(clock.impossible.as_deref(), Some("no library"));
    }
}
