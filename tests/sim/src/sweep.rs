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
#[derive(Debug, Default)]
pub struct Swept {
    /// Their counts, added up.
    pub tally: Tally,
    /// In the order of the seeds.
    pub failures: Vec<Failed>,
}

/// A seed that found something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// To be run again.
    pub seed: u64,
    /// When it happened.
    pub at: Duration,
    /// What must never be.
    pub violation: Violation,
}

/// Runs the schedules of these seeds, and no more once one thread has seen `patience` of them fail. The
/// first failing seed is the same every time.
pub fn sweep(seeds: Range<u64>, game: Game, patience: usize) -> Swept {
    let next = AtomicU64::new(seeds.start);
    let enough = AtomicBool::new(false);
    let worker = || {
        let mut swept = Swept::default();
        while !enough.load(Ordering::Relaxed) {
            let first = next.fetch_add(BATCH, Ordering::Relaxed);
            if first >= seeds.end {
                break;
            }
            for seed in first..(first + BATCH).min(seeds.end) {
                let ended = world::run(&Schedule::draw(seed), game, Trace::default());
                swept.tally.add(&ended.tally);
                if let Some((at, violation)) = ended.violation {
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
    let mut all = Swept::default();
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
