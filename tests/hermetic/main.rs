//! Tests that need nothing: no Consul, no kernel feature, no network.
#![expect(
    clippy::unwrap_used,
    reason = "in a test, what must be there is unwrapped"
)]

mod architecture;
mod cli;
mod config;
mod crash;
mod doctor;
mod driver;
mod health;
mod hooks;
mod hostile;
mod lines;
mod peers;
mod sharing;
mod simulation;
mod status;
mod supply_chain;
mod systemd;
mod together;
