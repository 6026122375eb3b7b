//! Applier: one `timerfd` for all who wait.
//!
//! Whoever waits stands in a map, by the instant; the timer is set to the first of them. One task, spawned by
//! [`Timer::open`], waits for the timer, and wakes those whose instant has come. It ends when the last clone of the timer
//! is gone. A wait that is dropped leaves the map; the timer may then fire for nobody.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::unix::AsyncFd;
use tokio::task::AbortHandle;

use super::now;
use crate::election::time::Timestamp;

/// The timer; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Timer {
    shared: Arc<Shared>,
    _task: Arc<Task>,
}

#[derive(Debug)]
struct Shared {
    timer: AsyncFd<Descriptor>,
    waiting: Mutex<Waiting>,
}

/// Who waits.
#[derive(Debug, Default)]
struct Waiting {
    /// By the instant, and a number that tells apart who waits for the same one.
    wakers: BTreeMap<(Timestamp, u64), Waker>,
    /// How many waits there have been.
    count: u64,
    /// What the timer is set to.
    set_to: Option<Timestamp>,
}

impl Timer {
    /// Opens the timer, and spawns its task on the current runtime.
    pub(super) fn open() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_BOOTTIME, flags)?;
        #[expect(
            deprecated,
            reason = "the replacement is unsafe because a type may lie about its descriptor; \
                      `Descriptor` owns the one it names"
        )]
        let timer = AsyncFd::new(Descriptor(timer))?;
        let shared = Arc::new(Shared {
            timer,
            waiting: Mutex::default(),
        });
        let task = tokio::spawn(Arc::clone(&shared).run()).abort_handle();
        Ok(Self {
            shared,
            _task: Arc::new(Task(task)),
        })
    }

    /// Waits until `at`.
    pub(super) fn until(&self, at: Timestamp) -> impl Future<Output = ()> + Send + '_ {
        Until {
            shared: &self.shared,
            at,
            number: None,
        }
    }
}

impl Shared {
    async fn run(self: Arc<Self>) {
        // The timer's descriptor is sound for as long as it is open.
        while let Ok(mut fired) = self.timer.readable().await {
            fired.clear_ready();
            self.wake();
        }
    }

    fn wake(&self) {
        let mut waiting = self.waiting();
        waiting.set_to = None;
        let later = waiting.wakers.split_off(&(now(), u64::MAX));
        let due = std::mem::replace(&mut waiting.wakers, later);
        self.set(&mut waiting);
        drop(waiting);
        due.into_values().for_each(Waker::wake);
    }

    /// Sets the timer to who is first. Reading it is not needed: setting it takes back that it has fired. Returns whether
    /// the kernel has taken it.
    fn set(&self, waiting: &mut Waiting) -> bool {
        let first = waiting.wakers.first_key_value();
        let Some(first) = first.map(|((at, _), _)| *at) else {
            return true;
        };
        if waiting.set_to.is_some_and(|set_to| set_to <= first) {
            return true;
        }
        let Descriptor(timer) = self.timer.get_ref();
        let at = Expiration::OneShot(TimeSpec::from_duration(first.since_boot()));
        let set = timer.set(at, TimerSetTimeFlags::TFD_TIMER_ABSTIME).is_ok();
        waiting.set_to = set.then_some(first);
        set
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One wait.
struct Until<'a> {
    shared: &'a Shared,
    at: Timestamp,
    /// Its place in the map, once it has one.
    number: Option<u64>,
}

impl Future for Until<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.at <= now() {
            return Poll::Ready(());
        }
        let shared = self.shared;
        let mut waiting = shared.waiting();
        let number = *self.number.get_or_insert_with(|| {
            waiting.count += 1;
            waiting.count
        });
        waiting
            .wakers
            .insert((self.at, number), context.waker().clone());
        if shared.set(&mut waiting) {
            Poll::Pending
        } else {
            // Whoever is called too early looks at the clock, and comes back.
            Poll::Ready(())
        }
    }
}

impl Drop for Until<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.shared.waiting().wakers.remove(&(self.at, number));
        }
    }
}

/// The task, which ends with this value.
#[derive(Debug)]
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[derive(Debug)]
struct Descriptor(TimerFd);

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

#[cfg(test)]
mod tests;
