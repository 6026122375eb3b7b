//! Driver: the `main` of test binaries whose tests run in a [`sandbox`].
//!
//! Most of these tests wait most of the time, so a few run at once. Each of them has a process, and so a
//! sandbox, of its own: this binary, asked for that one test. That is also how cargo-nextest runs them.

mod apart;
mod said;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

use crate::parts::Part;
use crate::{chain, sandbox};

/// How many sandboxes there are at once, where neither `--test-threads` nor the variable says it. The
/// tests are about order and real time, and each may have work for more than one core.
const AT_ONCE: usize = 3;

/// Says how many sandboxes there are at once.
const VARIABLE: &str = "VIP_LAB_SANDBOXES";

/// Runs `trials` in sandboxes, a few at once and each in one of its own; or, for `--test-threads=1`,
/// `--nocapture` and a single test, one after the other in the sandbox of this process. What a test
/// says is shown when it fails, and with `--nocapture` at once.
///
/// The parts are fetched before, because there is no network inside. When one of them cannot be
/// had, or the kernel forbids namespaces, every selected test fails with the sentence that says
/// what to do. Must be called first thing in `main`.
pub fn main(parts: &[Part], trials: Vec<Trial>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    let selected = trials
        .iter()
        .filter(|trial| !arguments.is_filtered_out(trial) && !arguments.is_ignored(trial))
        .count();
    if arguments.list || selected == 0 {
        return libtest_mimic::run(&arguments, trials).exit_code();
    }
    let prepared = at_once(&arguments, selected).and_then(|at_once| {
        prepare(parts, at_once)?;
        Ok(at_once)
    });
    arguments.test_threads = Some(*prepared.as_ref().unwrap_or(&1));
    let trials = match prepared {
        Ok(1) => trials,
        Ok(_) => trials.iter().map(apart::trial).collect(),
        Err(sentence) => trials
            .iter()
            .map(|trial| instead(trial, failing(&sentence)))
            .collect(),
    };
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn at_once(arguments: &Arguments, selected: usize) -> Result<usize, String> {
    if arguments.nocapture || selected == 1 {
        return Ok(1);
    }
    let wanted = match (arguments.test_threads, std::env::var(VARIABLE)) {
        (Some(threads), _) => return Ok(threads.max(1)),
        (None, Ok(wanted)) => wanted,
        (None, Err(_)) => return Ok(AT_ONCE),
    };
    match wanted.parse() {
        Ok(number @ 1..) => Ok(number),
        Ok(0) | Err(_) => Err(format!(
            "{VARIABLE} is {wanted:?}, and must be a number of at least 1; correct or unset it"
        )),
    }
}

fn prepare(parts: &[Part], at_once: usize) -> Result<(), String> {
    for part in parts {
        match part.path() {
            // Whoever needs it fails by itself, with the same sentence.
            Err(_) if part.is_of_few() => {}
            found => {
                found.map_err(|error| chain(&error))?;
            }
        }
    }
    if at_once == 1 {
        sandbox::enter().map_err(|error| chain(&error))?;
    }
    Ok(())
}

/// A trial of the same name that does something else.
fn instead(trial: &Trial, test: impl FnOnce() -> Result<(), Failed> + Send + 'static) -> Trial {
    Trial::test(trial.name(), test)
        .with_kind(trial.kind())
        .with_ignored_flag(trial.has_ignored_flag())
}

fn failing(sentence: &str) -> impl FnOnce() -> Result<(), Failed> + Send + 'static {
    let sentence = sentence.to_owned();
    move || Err(Failed::from(sentence))
}
