//! Applier: writes what a command prints into the log, line by line, and not without end.

use std::convert::Infallible;
use std::future;

use tokio::net::unix::pipe::Receiver;
use tracing::info;

/// More lines of one run are not logged.
const MOST_LINES: usize = 100;

/// A longer line is cut, in bytes.
const LONGEST_LINE: usize = 1000;

/// How much is read at once, in bytes; and how often after the end, where others may still be writing.
const CHUNK: usize = 4096;
const LAST_CHUNKS: usize = 32;

/// What one run of a hook prints.
pub(super) struct Output<'a> {
    group: &'a str,
    hook: &'static str,
    pipe: Receiver,
    line: Vec<u8>,
    lines: usize,
}

impl<'a> Output<'a> {
    pub(super) fn new(group: &'a str, hook: &'static str, pipe: Receiver) -> Self {
        Self {
            group,
            hook,
            pipe,
            line: Vec::new(),
            lines: 0,
        }
    }

    /// Logs lines as they come. Cancel safe.
    pub(super) async fn follow(&mut self) -> Infallible {
        while self.pipe.readable().await.is_ok() {
            match self.read() {
                Read::Some | Read::NothingYet => {}
                Read::End => break,
            }
        }
        future::pending().await
    }

    /// Logs what is left. What others go on to print is nobody's affair any more.
    pub(super) fn finish(mut self) {
        for _ in 0..LAST_CHUNKS {
            match self.read() {
                Read::Some => {}
                Read::NothingYet | Read::End => break,
            }
        }
        if !self.line.is_empty() {
            self.log();
        }
    }

    fn read(&mut self) -> Read {
        let mut chunk = [0; CHUNK];
        match self.pipe.try_read(&mut chunk) {
            Ok(0) => Read::End,
            Ok(count) => {
                self.take(&chunk[..count]);
                Read::Some
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Read::NothingYet,
            Err(_) => Read::End,
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' {
                self.log();
            } else if self.line.len() < LONGEST_LINE {
                self.line.push(byte);
            }
        }
    }

    fn log(&mut self) {
        let Self { group, hook, .. } = self;
        let line = String::from_utf8_lossy(&self.line);
        if self.lines < MOST_LINES {
            info!(group, hook, line = line.trim_end(), "hook says");
        } else if self.lines == MOST_LINES {
            info!(group, hook, "hook says more, which is not logged");
        }
        self.lines += 1;
        self.line.clear();
    }
}

/// What came of one read.
enum Read {
    Some,
    NothingYet,
    End,
}
