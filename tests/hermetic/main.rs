//! Tests that need nothing: no Consul, no kernel feature, no network.

mod architecture;
mod driver;
mod lines;
