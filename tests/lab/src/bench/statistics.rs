//! Pure: what many times have in common. A time that never came is longer than every other.

use serde::Serialize;

/// Some times in milliseconds; nothing stands for never.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Summary {
    /// The shortest.
    pub(super) min: Option<f64>,
    /// The middle one, or the mean of the two in the middle.
    pub(super) median: Option<f64>,
    /// The smallest that at least 99 of 100 do not exceed: of fewer than 100, the longest.
    pub(super) p99: Option<f64>,
    /// The longest.
    pub(super) max: Option<f64>,
}

impl Summary {
    /// Sums `times` up; of none there is no summary.
    pub(super) fn of(times: &[Option<f64>]) -> Option<Self> {
        let sorted = sorted(times);
        let (first, last) = (*sorted.first()?, *sorted.last()?);
        let rank = (sorted.len() * 99).div_ceil(100);
        Some(Self {
            min: known(first),
            median: known(middle(&sorted)),
            p99: known(sorted[rank - 1]),
            max: known(last),
        })
    }
}

/// Returns the median of `times`, in milliseconds.
pub(super) fn median(times: &[f64]) -> Option<f64> {
    let times: Vec<Option<f64>> = times.iter().copied().map(Some).collect();
    Summary::of(&times)?.median
}

/// Returns the number of the time that is nearest to the median: the one to show where one must do.
pub(super) fn typical(times: &[Option<f64>]) -> Option<usize> {
    let median = Summary::of(times)?.median;
    let distance = |time: &Option<f64>| match (time, median) {
        (Some(time), Some(median)) => (time - median).abs(),
        (None, None) => 0.0,
        (Some(_), None) | (None, Some(_)) => f64::INFINITY,
    };
    let distances = times.iter().map(distance).enumerate();
    distances
        .min_by(|(_, one), (_, other)| one.total_cmp(other))
        .map(|(number, _)| number)
}

fn sorted(times: &[Option<f64>]) -> Vec<f64> {
    let mut sorted: Vec<f64> = times
        .iter()
        .map(|time| time.unwrap_or(f64::INFINITY))
        .collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

fn middle(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[half]
    } else {
        f64::midpoint(sorted[half - 1], sorted[half])
    }
}

fn known(time: f64) -> Option<f64> {
    time.is_finite().then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(times: &[Option<f64>]) -> [Option<f64>; 4] {
        let summary = Summary::of(times).unwrap();
        [summary.min, summary.median, summary.p99, summary.max]
    }

    #[test]
    fn order_does_not_matter_and_even_numbers_have_two_in_the_middle() {
        assert_eq!(Summary::of(&[]), None);
        assert_eq!(figures(&[Some(7.0)]), [Some(7.0); 4]);
        assert_eq!(
            figures(&[Some(9.0), Some(1.0), Some(5.0)]),
            [1.0, 5.0, 9.0, 9.0].map(Some)
        );
        assert_eq!(
            figures(&[Some(4.0), Some(1.0), Some(2.0), Some(9.0)]),
            [1.0, 3.0, 9.0, 9.0].map(Some)
        );
    }

    #[test]
    fn one_of_a_hundred_may_be_longer_than_the_99th_percentile() {
        let times: Vec<Option<f64>> = (1..=100).rev().map(|time| Some(f64::from(time))).collect();
        assert_eq!(figures(&times), [1.0, 50.5, 99.0, 100.0].map(Some));
        assert_eq!(figures(&times[..99])[2], Some(100.0));
    }

    #[test]
    fn never_is_longer_than_everything() {
        assert_eq!(
            figures(&[None, Some(2.0), Some(1.0)]),
            [Some(1.0), Some(2.0), None, None]
        );
        assert_eq!(figures(&[None, Some(2.0)]), [Some(2.0), None, None, None]);
    }

    #[test]
    fn the_typical_one_is_next_to_the_median() {
        assert_eq!(typical(&[]), None);
        assert_eq!(typical(&[Some(50.0), Some(11.0), Some(10.0)]), Some(1));
        assert_eq!(typical(&[Some(1.0), None, None]), Some(1));
    }
}
