//! Applier: log lines on standard output, whose reader may stand still.
//!
//! A line is written in a bounded time, because the election waits meanwhile. One that nobody takes is lost,
//! and counted; the next that is taken says so.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Mutex;
use std::sync::PoisonError;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::write;

/// What a line may take while its reader is well, in milliseconds.
const PATIENCE: u8 = 50;

/// What a pipe that can be written takes as a whole (`PIPE_BUF`, pipe(7)), and a socket too.
const PIECE: usize = 4096;

/// A stream of lines.
#[derive(Debug)]
pub(super) struct Standard<F> {
    stream: F,
    /// Says that so many lines were lost.
    notice: fn(u64) -> String,
    /// How many lines were lost since the last that was taken.
    lost: Mutex<u64>,
}

impl<F: AsFd> Standard<F> {
    /// Writes to `stream`; `notice` makes a line that says how many were lost.
    pub(super) const fn new(stream: F, notice: fn(u64) -> String) -> Self {
        let lost = Mutex::new(0);
        Self {
            stream,
            notice,
            lost,
        }
    }

    fn line(&self, line: &[u8]) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        let stream = self.stream.as_fd();
        // A reader that stands still is waited for once, and not for each line. What was lost is told in one
        // piece with the line: it may be the only one that there is room for.
        let taken = match *lost {
            0 => put(stream, line, PATIENCE.into()),
            lost => {
                let notice = (self.notice)(lost).into_bytes();
                put(stream, &[&notice, line].concat(), PollTimeout::ZERO)
            }
        };
        *lost = if taken { 0 } else { *lost + 1 };
    }
}

impl<F: AsFd> io::Write for &Standard<F> {
    /// Takes a line as a whole; never fails, and never waits for long.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.line(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether all of it was taken.
fn put(stream: BorrowedFd<'_>, line: &[u8], patience: PollTimeout) -> bool {
    let mut rest = line;
    while let Some(piece) = rest
        .get(..rest.len().min(PIECE))
        .filter(|it| !it.is_empty())
    {
        if !takes_more(stream, patience) {
            return false;
        }
        match write(stream, piece) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(_) => return false,
        }
    }
    true
}

fn takes_more(stream: BorrowedFd<'_>, patience: PollTimeout) -> bool {
    let mut asked = [PollFd::new(stream, PollFlags::POLLOUT)];
    let ready = poll(&mut asked, patience).is_ok_and(|count| count > 0);
    let [asked] = asked;
    ready
        && asked
            .revents()
            .is_some_and(|events| events.contains(PollFlags::POLLOUT))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write, pipe};
    use std::time::Instant;

    use super::*;

    fn notice(lost: u64) -> String {
        format!("{lost} lost\n")
    }

    #[test]
    fn a_reader_that_stands_still_is_waited_for_once() {
        let (mut reader, writer) = pipe().unwrap();
        let standard = Standard::new(writer, notice);
        let line = format!("{:>1023}\n", "x");
        let started = Instant::now();
        // A pipe holds 64 KiB.
        for _ in 0..1000 {
            (&standard).write_all(line.as_bytes()).unwrap();
        }
        // Each for itself would have taken 50 s.
        assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
        let mut taken = vec![0; 64 * 1024];
        let count = reader.read(&mut taken).unwrap();
        assert_eq!(count % line.len(), 0, "no line is cut");
        let lost = 1000 - count / line.len();
        (&standard).write_all(b"after\n").unwrap();
        drop(standard);
        let mut after = String::new();
        reader.read_to_string(&mut after).unwrap();
        assert_eq!(after, format!("{lost} lost\nafter\n"));
    }

    #[test]
    fn nobody_there_is_no_error() {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let standard = Standard::new(writer, notice);
        (&standard).write_all(b"line\n").unwrap();
    }

    #[test]
    fn a_long_line_goes_into_a_file_as_a_whole() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let line = "x".repeat(3 * PIECE + 1);
        let standard = Standard::new(File::create(file.path()).unwrap(), notice);
        (&standard).write_all(line.as_bytes()).unwrap();
        assert_eq!(std::fs::read_to_string(file.path()).unwrap(), line);
    }
}
