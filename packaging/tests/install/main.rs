//! The packages, installed, upgraded, removed and purged in a root that is thrown away, and looked at by the
//! formats' own critics. Needs namespaces and a Debian with a network, from which it fetches those at first.
#![expect(
    clippy::unwrap_used,
    reason = "all of this is test code, though not below `#[test]`"
)]

mod build;
mod deb;
mod root;
mod rpm;
mod tools;

use std::process::ExitCode;

use libtest_mimic::{Failed, Trial};

use crate::build::Builder;
use crate::root::Root;

/// A test in a root of its own.
type Test = fn(&Root, &Builder) -> Result<(), String>;

const TESTS: [(&str, Test); 3] = [
    (
        "a_deb_is_the_same_twice_and_has_no_fault",
        deb::has_no_fault,
    ),
    ("a_deb_comes_and_goes_without_a_trace", deb::comes_and_goes),
    ("an_rpm_comes_and_goes_without_a_trace", rpm::comes_and_goes),
];

fn main() -> ExitCode {
    // Outside the sandbox, because there is neither network nor Cargo inside.
    let ready = match std::env::args().any(|argument| argument == "--list") {
        true => Err("not asked to run".to_owned()),
        false => tools::fetch().and_then(|tools| Ok((tools, build::daemon()?))),
    };
    let trials = TESTS.into_iter().map(|(name, test)| {
        let ready = ready.clone();
        Trial::test(name, move || {
            let (tools, daemon) = ready.map_err(Failed::from)?;
            let root = Root::new(&tools)?;
            Ok(test(&root, &Builder { daemon })?)
        })
    });
    vip_lab::runner::main(&[], trials.collect())
}
