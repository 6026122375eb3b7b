//! The only place that reads a clock.

mod timer;

use std::future::Future;
use std::io;
use std::time::{Duration, SystemTime};

use self::timer::Timer;
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

/// `CLOCK_BOOTTIME`, with a timer on the same clock. Clones share the timer.
///
/// The runtime's own timers stand still while the host is suspended, and would give a leader that
/// wakes up the rest of a lease that is long over. This one fires at once on waking.
#[derive(Clone, Debug)]
pub struct BootClock {
    timer: Timer,
}

impl BootClock {
    /// Opens a timer on the current runtime.
    ///
    /// # Errors
    ///
    /// When the kernel has no timer left for this process.
    pub fn open() -> io::Result<Self> {
        let timer = Timer::open()?;
        Ok(Self { timer })
    }
}

impl Clock for BootClock {
    fn now(&self) -> Timestamp {
        now()
    }

    async fn sleep_until(&mut self, at: Timestamp) {
        if at > now() {
            self.timer.until(at).await;
        }
    }
}
