//! The virtual IPs of one group: what to do about each, and about all of them together (pure), and the task that does it
//! (applier).

pub mod announce;
pub mod carrier;
pub mod conflict;
pub mod hands;
pub mod herald;
mod journal;
pub mod kernel;
pub mod pace;
pub mod reconcile;
pub mod sentry;
pub mod task;
pub mod together;
