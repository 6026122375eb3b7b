//! The units on a real systemd, which is process 1 of a container, with a real Consul beside them.
//!
//! What is asserted was said by systemd, by the journal, by Consul and by the kernel.

mod companion;
mod journal;
mod service;
mod site;
mod template;
mod trouble;
mod walls;

use std::process::ExitCode;

use vip_lab::parts::Part;
use vip_lab::runner;

/// The daemon under test.
const DAEMON: &str = env!("CARGO_BIN_EXE_vip-elector");

fn main() -> ExitCode {
    let trials = service::trials()
        .into_iter()
        .chain(trouble::trials())
        .chain(walls::trials())
        .chain(journal::trials())
        .chain(template::trials())
        .chain(companion::trials())
        .collect();
    runner::main(&[Part::Nspawn, Part::Consul, Part::VipManager], trials)
}
