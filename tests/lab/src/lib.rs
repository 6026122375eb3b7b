//! Virtual hosts, a real Consul, faults, and witnesses that do not trust the program under test.
//!
//! Everything happens inside a [`sandbox`] of namespaces: nothing of it is visible to the machine,
//! needs the machine's network, or outlives the process. The lab does not use the product's crates:
//! what it says about them is said from outside.

pub mod sandbox;

pub mod netns;

pub mod parts;

pub mod history;
pub mod time;
mod worker;

pub mod witness;

pub mod runner;
