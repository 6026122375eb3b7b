//! The only place that reads a clock.

use std::future::Future;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::{Duration, SystemTime};

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::unix::AsyncFd;

use crate::election::time::Timestamp;

/// Reads time, and waits for an instant.
pub trait Clock: Send {
    /// Returns the time since boot, suspend included.
    fn now(&self) -> Timestamp;

    /// Returns the time of day, for what people read. Nothing follows from it: it may jump.
    fn time_of_day(&self) -> SystemTime {
        SystemTime::now()
    }

    /// Waits until `at`. Cancel safe; one wait at a time.
    fn sleep_until(&mut self, at: Timestamp) -> impl Future<Output = ()> + Send;
}

/// Returns the time since boot, suspend included.
pub fn now() -> Timestamp {
    // The clock exists on every kernel since 2.6.39; were it to fail, an instant that no lease
    // survives is the safe answer.
    let since_boot = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME)
        .map_or(Duration::MAX, Duration::from);
    Timestamp::from_boot(since_boot)
}

/// `CLOCK_BOOTTIME`, with a timer on the same clock.
///
/// The runtime's own timers stand still while the host is suspended, and would give a leader that
/// wakes up the rest of a lease that is long over. This one fires at once on waking.
#[derive(Debug)]
pub struct BootClock {
    timer: AsyncFd<Timer>,
}

#[derive(Debug)]
struct Timer(TimerFd);

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl BootClock {
    /// Opens a timer on the current runtime.
    ///
    /// # Errors
    ///
    /// When the kernel has no timer left for this process.
    pub fn open() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_BOOTTIME, flags)?;
        #[expect(
            deprecated,
            reason = "the replacement is unsafe because a type may lie about its descriptor; \
                      `Timer` owns the one it names"
        )]
        let timer = AsyncFd::new(Timer(timer))?;
        Ok(Self { timer })
    }
}

impl Clock for BootClock {
    fn now(&self) -> Timestamp {
        now()
    }

    async fn sleep_until(&mut self, at: Timestamp) {
        if at <= self.now() {
            return;
        }
        let at = TimeSpec::from_duration(at.since_boot());
        let Timer(timer) = self.timer.get_ref();
        if timer
            .set(
                Expiration::OneShot(at),
                TimerSetTimeFlags::TFD_TIMER_ABSTIME,
            )
            .is_err()
        {
            return;
        }
        // Arming clears an earlier expiry; readiness that is left over only wakes the caller early.
        if let Ok(mut guard) = self.timer.readable().await {
            guard.clear_ready();
        }
    }
}
