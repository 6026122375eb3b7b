//! What makes a program a package: its manual page, its completions, and the tree of files that both
//! package formats carry.
#![forbid(unsafe_code)]

pub mod completions;
pub mod deb;
pub mod elf;
pub mod man;
pub mod release;
pub mod rpm;
pub mod tool;
pub mod tree;
