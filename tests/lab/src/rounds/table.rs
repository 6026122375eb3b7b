//! Pure: the table of all kinds of faults.

use vip_lab::chaos::Row;

use crate::table::{align, milliseconds};

const HEADINGS: [&str; 5] = [
    "fault",
    "times",
    "overlap",
    "longest outage",
    "median outage",
];
/// Columns from here on are numbers.
const FIRST_NUMBER: usize = 1;

/// Returns the table's lines, headings first, and below it what could not be done, and why.
pub(super) fn render(rows: &[Row]) -> Vec<String> {
    let cells: Vec<[String; 5]> = std::iter::once(HEADINGS.map(str::to_owned))
        .chain(rows.iter().map(cells))
        .collect();
    let reasons = rows.iter().filter_map(|row| {
        let reason = row.impossible.as_ref()?;
        Some(format!("{}: not done: {reason}", row.kind))
    });
    align(&cells, FIRST_NUMBER)
        .into_iter()
        .chain(reasons)
        .collect()
}

fn cells(row: &Row) -> [String; 5] {
    let time = |time: Option<_>| match (time, row.alone) {
        (None, _) => "-".to_owned(),
        (Some(time), true) => milliseconds(time),
        (Some(time), false) => format!("* {}", milliseconds(time)),
    };
    [
        row.kind.to_string(),
        row.times.to_string(),
        milliseconds(row.overlap),
        time(row.longest),
        time(row.median),
    ]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use vip_lab::chaos::Kind;

    #[test]
    fn figures_say_what_they_are_of() {
        let row = |kind, times, outage: Option<u64>, impossible: Option<&str>| Row {
            kind,
            times,
            overlap: Duration::ZERO,
            longest: outage.map(Duration::from_millis),
            median: outage.map(Duration::from_millis),
            alone: kind != Kind::Mute,
            impossible: impossible.map(str::to_owned),
        };
        let table = render(&[
            row(Kind::Crash, 12, Some(8_120), None),
            row(Kind::Mute, 1, Some(9), None),
            row(Kind::ClockSteps, 0, None, Some("there is no library")),
        ]);
        assert_eq!(
            table,
            [
                "fault            times  overlap  longest outage  median outage",
                "host crash          12     0 ms         8120 ms        8120 ms",
                "nobody hears it      1     0 ms          * 9 ms         * 9 ms",
                "clock steps          0     0 ms               -              -",
                "clock steps: not done: there is no library",
            ]
        );
    }
}
