//! Tests that need nothing: no Consul, no kernel feature, no network.

mod architecture;
mod cli;
mod config;
mod driver;
mod lines;
