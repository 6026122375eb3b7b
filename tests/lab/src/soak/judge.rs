//! Pure: whether something grows.

use std::collections::BTreeMap;

use super::sample::Sample;

/// How much more something may be in the end.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Tolerance {
    share: f64,
    more: f64,
}

const NONE: Tolerance = Tolerance {
    share: 0.0,
    more: 0.0,
};
const ONE: Tolerance = Tolerance {
    share: 0.0,
    more: 1.0,
};
const MEMORY: Tolerance = Tolerance {
    share: 0.03,
    more: 256.0,
};
const LOGGED: Tolerance = Tolerance {
    share: 0.25,
    more: 0.0,
};

/// Samples to warm up with, as a part of all.
const WARM: usize = 4;

/// The rest is looked at in so many parts.
const PARTS: usize = 3;

/// The fewest samples of which something can be said.
const FEWEST: usize = 12;

/// Everything that was measured, by its place in the table.
#[derive(Debug, Default)]
pub(super) struct Measures {
    all: BTreeMap<(usize, String), Measure>,
    /// Elections, and what each daemon had logged.
    last: Option<(usize, Vec<usize>)>,
}

/// One thing, again and again.
#[derive(Debug)]
struct Measure {
    tolerance: Tolerance,
    points: Vec<Point>,
}

#[derive(Clone, Copy, Debug)]
struct Point {
    elections: f64,
    value: f64,
}

/// What became of one thing.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Judged {
    /// What.
    pub(super) name: String,
    /// Its median when it was warm, the median in the end, and how much that may be; none where there
    /// are too few samples.
    pub(super) figures: Option<Figures>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Figures {
    pub(super) early: f64,
    pub(super) late: f64,
    pub(super) limit: f64,
    /// How much it grew in a thousand elections.
    pub(super) growth: f64,
}

impl Judged {
    /// Says whether it is known not to grow.
    pub(super) fn is_flat(&self) -> bool {
        self.figures
            .is_some_and(|figures| figures.late <= figures.limit)
    }
}

impl Measures {
    /// Adds what there was after so many elections.
    pub(super) fn add(&mut self, elections: usize, sample: Sample) {
        let mut add = |row: usize, name: String, tolerance, value: f64| {
            let measure = self.all.entry((row, name)).or_insert(Measure {
                tolerance,
                points: Vec::new(),
            });
            measure.points.push(Point {
                elections: elections as f64,
                value,
            });
        };
        let logged: Vec<usize> = sample.daemons.iter().map(|daemon| daemon.logged).collect();
        for (number, daemon) in sample.daemons.iter().enumerate() {
            let host = &daemon.host;
            add(
                0,
                format!("memory of {host}, KiB"),
                MEMORY,
                daemon.memory as f64,
            );
            add(1, format!("open files of {host}"), ONE, daemon.files as f64);
            add(2, format!("threads of {host}"), NONE, daemon.threads as f64);
            if let Some((before, logged)) = &self.last
                && elections > *before
            {
                let new = daemon.logged.saturating_sub(logged[number]) as f64;
                let each = new / (elections - before) as f64;
                add(
                    3,
                    format!("log of {host} for an election, bytes"),
                    LOGGED,
                    each,
                );
            }
        }
        add(4, "sessions".to_owned(), NONE, sample.sessions as f64);
        add(5, "services".to_owned(), NONE, sample.services as f64);
        add(6, "keys".to_owned(), ONE, sample.keys as f64);
        self.last = Some((elections, logged));
    }

    /// Judges everything, in the order of the table.
    pub(super) fn judge(&self) -> Vec<Judged> {
        self.all
            .iter()
            .map(|((_, name), measure)| Judged {
                name: name.clone(),
                figures: figures(&measure.points, measure.tolerance),
            })
            .collect()
    }
}

fn figures(points: &[Point], tolerance: Tolerance) -> Option<Figures> {
    if points.len() < FEWEST {
        return None;
    }
    let warm = &points[points.len() / WARM..];
    let part = warm.len() / PARTS;
    let (first, last) = (&warm[..part], &warm[warm.len() - part..]);
    let value = |point: &Point| point.value;
    let elections = |point: &Point| point.elections;
    let (early, late) = (median(first, value), median(last, value));
    let between = median(last, elections) - median(first, elections);
    Some(Figures {
        early,
        late,
        limit: early * (1.0 + tolerance.share) + tolerance.more,
        growth: (late - early) * 1000.0 / between.max(1.0),
    })
}

fn median(points: &[Point], of: impl Fn(&Point) -> f64) -> f64 {
    let mut values: Vec<f64> = points.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: impl Iterator<Item = f64>) -> Vec<Point> {
        let point = |(number, value)| Point {
            elections: (20 * number) as f64,
            value,
        };
        values.enumerate().map(point).collect()
    }

    fn is_flat(values: impl Iterator<Item = f64>, tolerance: Tolerance) -> bool {
        let name = String::new();
        let figures = figures(&series(values), tolerance);
        Judged { name, figures }.is_flat()
    }

    #[test]
    fn a_leak_is_noticed_and_noise_is_none() {
        let samples = 0..400;
        let noise = |number: i32| f64::from(number * 7919 % 300);
        // 10 MiB, and 200 bytes for each of 8000 elections.
        let leak = |number: i32| 10_240.0 + f64::from(number) * 20.0 * 200.0 / 1024.0;
        assert!(is_flat(
            samples.clone().map(|n| 10_240.0 + noise(n)),
            MEMORY
        ));
        assert!(!is_flat(
            samples.clone().map(|n| leak(n) + noise(n)),
            MEMORY
        ));
        // What is there once more than before is there for good.
        let step = |number: i32| if number < 200 { 21.0 } else { 23.0 };
        assert!(!is_flat(samples.clone().map(step), ONE));
        assert!(!is_flat(samples.clone().map(step), NONE));
        // What comes and goes does not count.
        let spike = |number: i32| if number % 10 == 0 { 9.0 } else { 3.0 };
        assert!(is_flat(samples.clone().map(spike), NONE));
        // Nor does warming up.
        let warming = |number: i32| if number < 90 { 6_000.0 } else { 10_240.0 };
        assert!(is_flat(samples.map(warming), MEMORY));
    }

    #[test]
    fn growth_is_that_of_a_thousand_elections() {
        let grown = figures(&series((0..400).map(f64::from)), NONE).unwrap();
        assert!((grown.growth - 50.0).abs() < 1.0, "{grown:?}");
    }

    #[test]
    fn of_too_few_samples_nothing_is_known() {
        assert!(!is_flat((0..11).map(|_| 1.0), NONE));
        assert!(is_flat((0..12).map(|_| 1.0), NONE));
    }
}
