//! Driver: many simulations, on all cores.

use std::num::NonZero;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::invariants::Violation;
use crate::schedule::Schedule;
use crate::tally::Tally;
use crate::trace::Trace;
use crate::world::{self, Game};

/// How many seeds a thread takes at a time.
const BATCH: u64 = 16;

/// What many simulations came to.
#[derive(Debug)]
pub struct Swept<V = Violation> {
    /// Their counts, added up.
    pub tally: Tally,
    /// In the order of the seeds.
    pub failures: Vec<Failed<V>>,
}

/// A seed that found something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed<V = Violation> {
    /// To be run again.
    pub seed: u64,
    /// When it happened.
    pub at: Duration,
    /// What must never be.
    pub violation: V,
}

/// Runs the schedules of these seeds, and no more once one thread has seen `patience` of them fail. The
/// first failing seed is the same every time.
pub fn sweep(seeds: Range<u64>, game: Game, patience: usize) -> Swept {
    sweep_with(seeds, patience, |seed| {
        let ended = world::run(&Schedule::draw(seed), game, Trace::default());
        (ended.tally, ended.violation)
    })
}

/// Does the same with any simulation.
pub fn sweep_with<V: Send>(
    seeds: Range<u64>,
    patience: usize,
    play: impl Fn(u64) -> (Tally, Option<(Duration, V)>) + Sync,
) -> Swept<V> {
    let next = AtomicU64::new(seeds.start);
    let enough = AtomicBool::new(false);
    let none = || Swept {
        tally: Tally::default(),
        failures: Vec::new(),
    };
    let worker = || {
        let mut swept = none();
        while !enough.load(Ordering::Relaxed) {
            let first = next.fetch_add(BATCH, Ordering::Relaxed);
            if first >= seeds.end {
                break;
            }
            for seed in first..(first + BATCH).min(seeds.end) {
                let (tally, violation) = play(seed);
                swept.tally.add(&tally);
                if let Some((at, violation)) = violation {
                    swept.failures.push(Failed {
                        seed,
                        at,
                        violation,
                    });
                    if swept.failures.len() >= patience {
                        enough.store(true, Ordering::Relaxed);
                    }
                }
            }
        }
        swept
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let mut all = none();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        for worker in workers {
            // A simulation that panics takes the sweep with it.
            match worker.join() {
                Ok(swept) => {
                    all.tally.add(&swept.tally);
                    all.failures.extend(swept.failures);
                }
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    all.failures.sort_by_key(|failed| failed.seed);
    all
}
