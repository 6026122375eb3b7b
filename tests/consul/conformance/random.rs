//! Random operations, put to two Consuls that must answer alike.
//!
//! No time passes in them: a lock-delay is none, or longer than the whole run. Session ids and raft
//! indexes are each Consul's own, so that sessions are numbered and indexes only ranked.

mod step;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;

use fastrand::Rng;
use vip_elector::election::call::FailureKind;

use super::interface::Consul;
use super::model::Model;
use super::real::Real;
use step::{Side, Step};

/// What every run goes through.
pub(crate) const SEEDS: Range<u64> = 0..100;

/// How many operations a sequence has.
const STEPS: usize = 40;

/// Set to a number, runs the sequence of that seed only.
const SEED: &str = "CONFORMANCE_SEED";

pub(crate) async fn operations() {
    let given = std::env::var(SEED).ok().map(|seed| seed.parse().unwrap());
    let seeds = given.map_or(SEEDS, |seed: u64| seed..seed + 1);
    let mut real = Real::start();
    let mut refusals = BTreeSet::new();
    for seed in seeds {
        match compare(&mut Model::new(), &mut real, seed).await {
            Ok(met) => refusals.extend(met),
            Err(difference) => panic!(
                "the model and the real consul differ\n{difference}\n\
                 again: {SEED}={seed} cargo test --test consul conformance::random_operations"
            ),
        }
    }
    // What never happened was not compared.
    let met: Vec<&str> = refusals.iter().map(String::as_str).collect();
    let all = [
        FailureKind::Changed,
        FailureKind::CheckCritical,
        FailureKind::CheckMissing,
        FailureKind::Held,
        FailureKind::LockDelayed,
        FailureKind::SessionGone,
    ];
    if given.is_none() {
        assert_eq!(met, all.map(|kind| format!("{kind:?}")));
    }
}

/// Puts one sequence to both; returns the refusals that occurred.
///
/// # Errors
/// The sequence up to where they differ, and both answers.
pub(crate) async fn compare<A: Consul, B: Consul>(
    a: &mut A,
    b: &mut B,
    seed: u64,
) -> Result<BTreeSet<String>, String> {
    let mut draw = Rng::with_seed(seed);
    let mut refusals = BTreeSet::new();
    let (mut a, mut b) = (Side::new(a, seed), Side::new(b, seed));
    let mut steps: Vec<Step> = Vec::new();
    while steps.len() < STEPS {
        let step = Step::draw(steps.len(), &mut draw);
        let (one, other) = (a.take(&step).await, b.take(&step).await);
        steps.push(step);
        if one != other {
            let mut difference = String::new();
            for (number, step) in steps.iter().enumerate() {
                let _ = writeln!(difference, "{number:3} {step:?}");
            }
            let _ = write!(difference, "one:   {one:?}\nother: {other:?}");
            return Err(difference);
        }
        refusals.extend(one.refusal().map(|kind| format!("{kind:?}")));
    }
    Ok(refusals)
}
