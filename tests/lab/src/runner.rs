//! Driver: the `main` of test binaries whose tests run in a [`sandbox`].
//!
//! Works under `cargo test` and under cargo-nextest, which lists first and then runs every test in
//! a process, and so in a sandbox, of its own.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

use crate::sandbox;

/// Something that the tests need and the machine may not have.
pub trait Part {
    /// Makes sure that it is there, from the network if need be.
    ///
    /// # Errors
    /// A sentence for the user: what is missing and what to do.
    fn fetch(&self) -> Result<(), String>;
}

/// Runs `trials` inside a sandbox, one after the other unless `--test-threads` says otherwise.
///
/// The parts are fetched before, because there is no network inside. When one of them cannot be
/// had, or the kernel forbids namespaces, every selected test fails with the sentence that says
/// what to do. Must be called first thing in `main`.
pub fn main(parts: &[&dyn Part], trials: Vec<Trial>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    let nothing_to_run = trials
        .iter()
        .all(|trial| arguments.is_filtered_out(trial) || arguments.is_ignored(trial));
    if arguments.list || nothing_to_run {
        return libtest_mimic::run(&arguments, trials).exit_code();
    }
    // A cluster of three has work enough for two cores.
    arguments.test_threads.get_or_insert(1);
    let ready = parts
        .iter()
        .try_for_each(|part| part.fetch())
        .and_then(|()| sandbox::enter().map(drop).map_err(|error| chain(&error)));
    let trials = match ready {
        Ok(()) => trials,
        Err(sentence) => trials
            .iter()
            .map(|trial| failing(trial, &sentence))
            .collect(),
    };
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Returns an error with its causes, on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

fn failing(trial: &Trial, sentence: &str) -> Trial {
    let sentence = sentence.to_owned();
    Trial::test(trial.name(), move || Err(Failed::from(sentence)))
        .with_kind(trial.kind())
        .with_ignored_flag(trial.has_ignored_flag())
}
