//! Pure: the election of one group. No clock, no I/O, no async, no randomness but a seed.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

pub mod machine;
pub mod lease;
pub mod key;
pub mod call;
pub mod target;
pub mod status;
pub mod backoff;
pub mod time;
