//! Witnesses: what the kernel and a client saw, whatever the program under test says.
//!
//! [`Addresses`] hears from the kernel which host has which address; [`Probe`] is a client that asks
//! the virtual IP every few milliseconds who it is. [`measure`] turns what they saw into numbers.

mod addresses;
mod message;
mod probe;
mod responder;

pub mod measure;

use std::io;

pub(crate) use addresses::holders;
pub use addresses::{AddressEvent, Addresses, Change};
pub use probe::{Answer, Probe};
pub use responder::Responder;

/// A witness that could not be posted, or that missed something.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A network namespace could not be used.
    #[error("cannot post a witness")]
    Network(#[from] crate::netns::Error),
    /// A socket failed.
    #[error("cannot {0} a witness's socket")]
    Socket(&'static str, #[source] io::Error),
    /// `ip -j address` printed what was not expected.
    #[error("cannot read the addresses that a host has already")]
    Inventory(#[source] serde_json::Error),
    /// The kernel dropped events: nothing that was seen can be trusted.
    #[error("the kernel dropped address events: the record has a hole")]
    Lost,
}
