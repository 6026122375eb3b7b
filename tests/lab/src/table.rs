//! Pure: columns of text, and times in them.

use std::time::Duration;

/// Returns the lines of a table: texts to the left, and from column `first_number` on numbers to the
/// right.
pub(crate) fn align<const COLUMNS: usize>(
    rows: &[[String; COLUMNS]],
    first_number: usize,
) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max();
    let widths: Vec<usize> = (0..COLUMNS)
        .map(|column| width(column).unwrap_or_default())
        .collect();
    let line = |row: &[String; COLUMNS]| {
        let cells = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, width))| {
                if column < first_number {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                }
            });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// Rounded up: an overlap that is not nothing is not printed as 0.
pub(crate) fn milliseconds(time: Duration) -> String {
    format!("{} ms", time.as_micros().div_ceil(1000))
}
