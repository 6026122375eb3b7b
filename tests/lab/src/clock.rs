//! Applier: a wall clock that can be stepped for one program.
//!
//! The kernel has one CLOCK_REALTIME for the whole machine, and stepping that is out of the question.
//! So the program is started with a library that answers for it (`LD_PRELOAD`), and adds the seconds
//! that a file says. What this covers is every reading of the wall clock through the C library, which
//! is how Rust's `SystemTime` reads it. What it does not cover: programs that do not use the C library
//! (Consul is one) or have it inside them, and timers that the kernel runs by its wall clock.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/clock/preload.rs");

/// The name of the variable that tells the library of its file: eight bytes, a number of seconds.
const FILE_VARIABLE: &str = "VIP_LAB_CLOCK";

/// The library.
#[derive(Clone, Debug)]
pub struct Clock {
    library: PathBuf,
}

impl Clock {
    /// Compiles the library into `directory`, with the compiler that everything here needs.
    pub fn build(directory: &Path) -> io::Result<Self> {
        let library = directory.join("libvip_lab_clock.so");
        let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let output = Command::new(compiler)
            .args(["--edition=2024", "--crate-type=cdylib", "-O"])
            .args(["-Cpanic=abort", "-o"])
            .arg(&library)
            .arg(SOURCE)
            .output()?;
        if output.status.success() {
            return Ok(Self { library });
        }
        Err(io::Error::other(
            String::from_utf8_lossy(&output.stderr).trim(),
        ))
    }

    /// Returns what must be in a program's environment for `file` to step its clock.
    pub fn environment(&self, file: &str) -> [(&'static str, String); 2] {
        [
            ("LD_PRELOAD", self.library.display().to_string()),
            (FILE_VARIABLE, file.to_owned()),
        ]
    }

    /// Returns whether a running program has let the library in.
    pub fn is_in(process: u32) -> bool {
        std::fs::read_to_string(format!("/proc/{process}/maps"))
            .is_ok_and(|maps| maps.contains("libvip_lab_clock.so"))
    }
}
