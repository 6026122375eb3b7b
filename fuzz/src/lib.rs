//! What bytes from outside may do to the program: nothing but what is said here.
//!
//! Each [`Target`] takes bytes as somebody hostile would choose them, gives them to the product through
//! the same functions that the daemon calls, and asserts what must hold whatever they are. It panics
//! where something does not. `fuzz/run` has a fuzzer look for such bytes; what it has found stays in
//! `corpus/`, and `cargo test` goes through all of that.
#![forbid(unsafe_code)]

pub mod memory;

mod configuration;
mod consul;
mod datagram;
mod frames;
mod http;
mod kernel;
mod operate;
mod question;
mod runtime;
mod text;

/// Something that takes bytes from outside.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What it is called, and its directory in `corpus/`.
    pub name: &'static str,
    /// Takes the bytes, and panics where something does not hold.
    pub take: fn(&[u8]),
    /// How many bytes of memory an input may take at once, while it is looked at.
    pub memory: usize,
}

const MIB: usize = 1024 * 1024;

/// All of them.
pub const TARGETS: [Target; 9] = [
    Target {
        name: "configuration",
        take: configuration::take,
        memory: 16 * MIB,
    },
    Target {
        name: "consul",
        take: consul::take,
        memory: 8 * MIB,
    },
    Target {
        name: "http",
        take: http::take,
        memory: 8 * MIB,
    },
    Target {
        name: "datagram",
        take: datagram::take,
        memory: MIB,
    },
    Target {
        name: "frames",
        take: frames::take,
        memory: MIB,
    },
    Target {
        name: "kernel",
        take: kernel::take,
        memory: 4 * MIB,
    },
    Target {
        name: "operate",
        take: operate::take,
        memory: 8 * MIB,
    },
    Target {
        name: "question",
        take: question::take,
        memory: MIB,
    },
    Target {
        name: "runtime",
        take: runtime::take,
        memory: 4 * MIB,
    },
];

impl Target {
    /// Finds a target by its name.
    pub fn named(name: &str) -> Option<Self> {
        TARGETS.into_iter().find(|target| target.name == name)
    }

    /// Takes an input, and panics where it takes more memory than it may. That is known only in a
    /// program whose allocator is [`memory::Allocator`].
    pub fn check(&self, input: &[u8]) {
        let taken = memory::taken_by(|| (self.take)(input));
        assert!(
            taken <= self.memory,
            "{} bytes of input took {taken} bytes of memory, and may take {}",
            input.len(),
            self.memory
        );
    }
}
