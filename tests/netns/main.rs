//! The daemon on virtual hosts, with a real Consul: one virtual IP, one fault after another.
//!
//! What is asserted was seen by witnesses that know nothing of the daemon: the kernel's own address
//! events, a client, and Consul's HTTP API.

mod adoption;
mod alone;
mod answers;
mod balancer;
mod companion;
mod daemon;
mod doctor;
mod endings;
mod groups;
mod hooks;
mod managed;
mod many;
mod network;
mod operate;
mod privileges;
mod reload;
mod remembered;
mod takeover;
mod tokens;

use std::process::ExitCode;

use vip_lab::parts::Part;
use vip_lab::runner;

/// The daemon under test.
const DAEMON: &str = env!("CARGO_BIN_EXE_vip-elector");

/// `LockFlagValue` of Consul's `api/lock.go`.
const LOCK_FLAG: u64 = 3_304_740_253_564_472_344;

fn main() -> ExitCode {
    let trials = managed::trials()
        .into_iter()
        .chain(many::trials())
        .chain(adoption::trials())
        .chain(takeover::trials())
        .chain(answers::trials())
        .chain(balancer::trials())
        .chain(operate::trials())
        .chain(endings::trials())
        .chain(daemon::trials())
        .chain(network::trials())
        .chain(remembered::trials())
        .chain(privileges::trials())
        .chain(hooks::trials())
        .chain(doctor::trials())
        .chain(tokens::trials())
        .chain(reload::trials())
        .chain(groups::trials())
        .chain(companion::trials())
        .collect();
    runner::main(&[Part::Consul, Part::VipManager, Part::Promtool], trials)
}
