//! Driver: threads that serve a descriptor until they are told to stop.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// A thread that stops, and is waited for, when this is dropped.
#[derive(Debug)]
pub struct Worker {
    tell: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

/// Puts the calling thread before all others, where that is allowed (root, not in a user namespace): a
/// witness that has to wait for its turn sees everything late.
#[expect(unsafe_code, reason = "nix has no sched_setscheduler")]
pub(crate) fn hurry() {
    let parameters = libc::sched_param { sched_priority: 1 };
    // SAFETY: the structure lives as long as the call, which only reads it; 0 is the calling thread.
    let _ = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameters) };
}

/// The thread's side of it.
#[derive(Debug)]
pub struct Stop(OwnedFd);

/// Why a thread woke.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wake {
    /// There is something to read.
    Readable,
    /// The time is over.
    TimedOut,
    /// Told to stop.
    Stopped,
}

/// Which of two sources woke a thread.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ready {
    /// The first one; the second may be readable as well.
    First,
    /// The second one.
    Second,
    /// Told to stop.
    Stopped,
}

impl Worker {
    pub fn start(name: &str, work: impl FnOnce(Stop) + Send + 'static) -> io::Result<Self> {
        let (told, tell) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || work(Stop(told)))?;
        Ok(Self {
            tell: Some(tell),
            thread: Some(thread),
        })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.tell.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Stop {
    /// Waits for `limit`; returns whether to go on.
    pub fn pause(&self, limit: Duration) -> bool {
        self.wait(&self.0, Some(limit)) == Wake::TimedOut
    }

    /// Waits until `source` can be read, or `limit` is over (without one: for ever).
    pub fn wait(&self, source: &impl AsFd, limit: Option<Duration>) -> Wake {
        // Rounded up, or the last part of a millisecond would be spent spinning.
        let limit = limit.map_or(PollTimeout::NONE, |limit| {
            let milliseconds = limit.as_nanos().div_ceil(1_000_000);
            PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX)
        });
        let mut awaited = [
            PollFd::new(self.0.as_fd(), PollFlags::empty()),
            PollFd::new(source.as_fd(), PollFlags::POLLIN),
        ];
        loop {
            return match poll(&mut awaited, limit) {
                Err(Errno::EINTR) => continue,
                Err(_) => Wake::Stopped,
                Ok(0) => Wake::TimedOut,
                Ok(_) if awaited[0].any() == Some(true) => Wake::Stopped,
                Ok(_) => Wake::Readable,
            };
        }
    }

    /// Waits until one of `sources` can be read, without a limit.
    pub(crate) fn wait_for_either(&self, sources: [BorrowedFd<'_>; 2]) -> Ready {
        let [first, second] = sources.map(|source| PollFd::new(source, PollFlags::POLLIN));
        let mut awaited = [
            PollFd::new(self.0.as_fd(), PollFlags::empty()),
            first,
            second,
        ];
        loop {
            return match poll(&mut awaited, PollTimeout::NONE) {
                Err(Errno::EINTR) => continue,
                Err(_) => Ready::Stopped,
                Ok(_) if awaited[0].any() == Some(true) => Ready::Stopped,
                Ok(_) if awaited[1].any() == Some(true) => Ready::First,
                Ok(_) => Ready::Second,
            };
        }
    }
}
