//! Tests that need nothing but the compiler: tables, properties and snapshots.

mod cli;
mod config;
