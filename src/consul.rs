//! A thin, typed client for Consul's HTTP API.
//!
//! Read from the outside in: [`Binding`] carries out what the election asks for, in terms of the
//! typed calls of [`session`], [`kv`], [`txn`], [`service`] and [`agent`], which all go
//! through [`Client`], which takes the [`Way`] to Consul that there is at the time. Whatever goes wrong comes back as a [`Failure`](crate::election::call::Failure), sorted
//! in `error.rs` and nowhere else. Every call is bounded in time and in size.

pub mod access;
pub mod agent;
mod binding;
mod blocking;
mod client;
mod connect;
mod endpoint;
mod error;
mod folder;
mod hub;
pub mod kv;
mod name;
mod orders;
pub mod probe;
mod request;
#[cfg(test)]
mod tests {
    pub(super) mod scripted;
}
pub mod service;
pub mod session;
pub mod sharing;
pub mod token;
pub mod txn;
mod way;

pub use binding::{Binding, Terms, WATCH_TIMEOUT};
pub(crate) use binding::{LIVENESS_SERVICE, group as below};
pub use client::Client;
pub use endpoint::BuildError;
pub use hub::{GroupLine, Hub};
pub use way::Way;
