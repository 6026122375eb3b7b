//! Pure: a failing schedule with as few faults as it takes.

use crate::invariants::Violation;
use crate::schedule::Schedule;
use crate::trace::Trace;
use crate::world::{self, Game};

/// What is left of a schedule that fails.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The schedule, without the faults that it does not need to fail.
    pub schedule: Schedule,
    /// Which faults of the whole schedule were left out.
    pub without: Vec<usize>,
    /// What is seen in what is left.
    pub violation: Violation,
}

/// Leaves out one fault after another as long as something of the same kind is seen. `None` where the
/// schedule does not fail at all.
pub fn shrink(whole: &Schedule, game: Game) -> Option<Shrunk> {
    let (kept, violation) = fewest(
        whole.faults.len(),
        |kept| fails(&of(whole, kept), game),
        |one, other| one.kind() == other.kind(),
    )?;
    Some(Shrunk {
        schedule: of(whole, &kept),
        without: (0..whole.faults.len())
            .filter(|fault| !kept.contains(fault))
            .collect(),
        violation,
    })
}

/// Returns those of so many faults that are needed, by their numbers, and what is seen with them.
pub fn fewest<V>(
    faults: usize,
    fails: impl Fn(&[usize]) -> Option<V>,
    alike: impl Fn(&V, &V) -> bool,
) -> Option<(Vec<usize>, V)> {
    let mut kept: Vec<usize> = (0..faults).collect();
    let mut violation = fails(&kept)?;
    let mut place = kept.len();
    while place > 0 {
        place -= 1;
        let mut fewer = kept.clone();
        fewer.remove(place);
        if let Some(seen) = fails(&fewer)
            && alike(&seen, &violation)
        {
            violation = seen;
            kept = fewer;
            // What could not be left out before may be now.
            place = kept.len();
        }
    }
    Some((kept, violation))
}

fn of(whole: &Schedule, kept: &[usize]) -> Schedule {
    Schedule {
        faults: kept.iter().map(|fault| whole.faults[*fault]).collect(),
        ..whole.clone()
    }
}

fn fails(schedule: &Schedule, game: Game) -> Option<Violation> {
    let ended = world::run(schedule, game, Trace::default());
    ended.violation.map(|(_, violation)| violation)
}

#[cfg(test)]
mod tests {
    use vip_elector::election::rules::Rule;

    use super::*;

    #[test]
    fn what_is_left_fails_alike_and_needs_every_fault() {
        let game = Game::breaking(Rule::LeaseWithinLockDelay);
        let (whole, shrunk) = (0..)
            .map(Schedule::draw)
            .find_map(|whole| Some((shrink(&whole, game)?, whole)))
            .map(|(shrunk, whole)| (whole, shrunk))
            .unwrap();
        let (left, out) = (shrunk.schedule.faults.len(), shrunk.without.len());
        assert_eq!(left + out, whole.faults.len());
        for place in 0..left {
            let seen = fails(&shrunk.schedule.without(&[place]), game);
            assert_ne!(seen.map(|v| v.kind()), Some(shrunk.violation.kind()));
        }
    }
}
