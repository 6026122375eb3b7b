//! The election without a machine: what the shipped state machines do is decided by a seed.
//!
//! [`store`] is a model of Consul. That it answers as the real one does is checked by the
//! conformance suite in `tests/consul`. On it stands a whole world: Consul's servers, the network,
//! hosts with skewed clocks and model kernels, and on each host the *shipped* machine and reconciler.
//! [`schedule::Schedule::draw`] draws who suffers what and when, [`world::run`] plays it, and
//! [`invariants`] watches. [`many`] does the same with several groups in each process, whose machines share what they
//! ask of Consul.

pub mod clock;
pub mod fault;
pub mod group;
pub mod invariants;
pub mod kernel;
pub mod many;
pub mod network;
pub mod process;
pub mod raft;
pub mod replay;
pub mod request;
pub mod schedule;
pub mod shrink;
pub mod store;
pub mod sweep;
pub mod tally;
pub mod trace;
pub mod world;
