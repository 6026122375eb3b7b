//! Driver: the `main` of test binaries whose tests run in a [`sandbox`].
//!
//! Works under `cargo test` and under cargo-nextest, which lists first and then runs every test in
//! a process, and so in a sandbox, of its own.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

use crate::parts::Part;
use crate::{chain, sandbox};

/// Runs `trials` inside a sandbox, one after the other unless `--test-threads` says otherwise.
///
/// The parts are fetched before, because there is no network inside. When one of them cannot be
/// had, or the kernel forbids namespaces, every selected test fails with the sentence that says
/// what to do. Must be called first thing in `main`.
pub fn main(parts: &[Part], trials: Vec<Trial>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    let nothing_to_run = trials
        .iter()
        .all(|trial| arguments.is_filtered_out(trial) || arguments.is_ignored(trial));
    if arguments.list || nothing_to_run {
        return libtest_mimic::run(&arguments, trials).exit_code();
    }
    // A cluster of three has work enough for two cores.
    arguments.test_threads.get_or_insert(1);
    let trials = match prepare(parts) {
        Ok(()) => trials,
        Err(sentence) => trials
            .iter()
            .map(|trial| failing(trial, &sentence))
            .collect(),
    };
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn prepare(parts: &[Part]) -> Result<(), String> {
    for part in parts {
        part.path().map_err(|error| chain(&error))?;
    }
    sandbox::enter().map(drop).map_err(|error| chain(&error))
}

fn failing(trial: &Trial, sentence: &str) -> Trial {
    let sentence = sentence.to_owned();
    Trial::test(trial.name(), move || Err(Failed::from(sentence)))
        .with_kind(trial.kind())
        .with_ignored_flag(trial.has_ignored_flag())
}
