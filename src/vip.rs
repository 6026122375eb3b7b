//! The virtual IP of one group: what to do about it (pure), and the task that does it (applier).

pub mod announce;
pub mod carrier;
pub mod conflict;
pub mod hands;
pub mod herald;
pub mod kernel;
pub mod pace;
pub mod reconcile;
pub mod sentry;
pub mod task;
