//! Pure: a host's clock, which starts at boot and runs at a rate of its own.

use std::time::Duration;

use vip_elector::election::time::Timestamp;

/// Relates one host's clock to true time, which only the simulation knows.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    booted: Duration,
    reads_at_boot: Duration,
    drift_ppm: i64,
}

impl Clock {
    /// Starts a clock at true time `booted`, there reading `reads`, and fast by `drift_ppm`
    /// millionths (slow where negative).
    pub const fn new(booted: Duration, reads: Duration, drift_ppm: i64) -> Self {
        Self {
            booted,
            reads_at_boot: reads,
            drift_ppm,
        }
    }

    /// Returns the same clock after a boot at `booted`.
    #[must_use]
    pub const fn rebooted(self, booted: Duration) -> Self {
        Self::new(booted, Duration::from_secs(1), self.drift_ppm)
    }

    /// Reads the clock at true time `at`.
    pub fn read(&self, at: Duration) -> Timestamp {
        let elapsed = nanos(at.saturating_sub(self.booted));
        let elapsed = elapsed + elapsed * self.drift_ppm / 1_000_000;
        Timestamp::from_boot(self.reads_at_boot + from_nanos(elapsed))
    }

    /// Returns the first true time at which the clock reads `at` or more.
    pub fn when(&self, at: Timestamp) -> Duration {
        let elapsed = nanos(at.since_boot().saturating_sub(self.reads_at_boot));
        let mut when = self.booted + from_nanos(self.lengthened(elapsed));
        while self.read(when) < at {
            when += Duration::from_nanos(1);
        }
        when
    }

    /// Returns how long `local` on this clock truly takes.
    pub fn lasts(&self, local: Duration) -> Duration {
        from_nanos(self.lengthened(nanos(local)))
    }

    fn lengthened(&self, elapsed: i64) -> i64 {
        let wide = i128::from(elapsed) * 1_000_000 / i128::from(1_000_000 + self.drift_ppm);
        i64::try_from(wide).unwrap_or(i64::MAX)
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn from_nanos(nanos: i64) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_is_the_first_instant_that_reads_as_much() {
        for drift in [-5_000, -1, 0, 1, 5_000] {
            let clock = Clock::new(Duration::from_millis(7), Duration::from_secs(3), drift);
            for millis in [3_000, 3_001, 14_203, 163_000] {
                let at = Timestamp::from_boot(Duration::from_millis(millis));
                let when = clock.when(at);
                assert!(clock.read(when) >= at, "{drift} ppm at {millis} ms");
                let before = when.saturating_sub(Duration::from_nanos(3));
                assert!(when == Duration::from_millis(7) || clock.read(before) < at);
            }
        }
    }
}
