//! The election without a machine: what the shipped state machines do is decided by a seed.
//!
//! [`store`] is a model of Consul. That it answers as the real one does is checked by the
//! conformance suite in `tests/consul`.

pub mod store;
