//! Virtual hosts, a real Consul, faults, and witnesses that do not trust the program under test.
//!
//! Everything happens inside a [`sandbox`] of namespaces: nothing of it is visible to the machine,
//! needs the machine's network, or outlives the process. The lab does not use the product's crates:
//! what it says about them is said from outside.

pub mod sandbox;

pub mod netns;

pub mod parts;

pub mod runner;

pub mod chaos;
pub mod cluster;
pub mod drill;
pub mod exodus;
pub mod machine;
pub mod process;

pub mod usage;
pub mod witness;

pub mod clock;
pub mod history;
pub mod random;
pub mod time;
pub mod worker;

/// Returns an error with its causes, on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
