//! What programs use of their host and of Consul, as the kernel and Consul say it.

mod connections;
mod processes;
mod requests;

pub use connections::connections;
pub use processes::{Usage, usage};
pub use requests::{COUNTERS, requests};
