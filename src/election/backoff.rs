//! Pure: growing, jittered pauses between tries.

use std::time::Duration;

/// Pauses that double from 100 ms to 5 s, each jittered down to half.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(5);

    /// Counts one more failure and returns how long to wait before the next try.
    pub fn next(&mut self, rng: &mut fastrand::Rng) -> Duration {
        let pause = Self::FIRST
            .saturating_mul(1 << self.failures.min(8))
            .min(Self::LONGEST);
        self.failures = self.failures.saturating_add(1);
        jitter(pause, rng)
    }

    /// Starts over after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Returns a pause between half of `pause` and `pause`.
pub fn jitter(pause: Duration, rng: &mut fastrand::Rng) -> Duration {
    pause / 2 + pause.mul_f64(rng.f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_five_seconds_and_stay_within_their_jitter() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut backoff = Backoff::default();
        for expected in [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000, 5000, 5000] {
            let pause = backoff.next(&mut rng);
            let expected = Duration::from_millis(expected);
            assert!(
                pause >= expected / 2 && pause <= expected,
                "{pause:?} for {expected:?}"
            );
        }
        backoff.reset();
        assert!(backoff.next(&mut rng) <= Duration::from_millis(100));
    }
}
