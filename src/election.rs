//! Pure: the election of one group. No clock, no I/O, no async, no randomness but a seed.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

pub mod backoff;
pub mod call;
pub mod candidate;
pub mod health;
pub mod key;
pub mod lease;
pub mod machine;
pub mod note;
pub mod peer;
pub mod rules;
pub mod status;
pub mod target;
pub mod time;
