//! Pure: the table of what was measured.

use super::judge::Judged;
use crate::table::align;

const HEADINGS: [&str; 6] = [
    "what",
    "",
    "warm",
    "in the end",
    "at most",
    "in 1000 elections",
];
/// Columns from here on are numbers.
const FIRST_NUMBER: usize = 2;

/// Returns the table's lines, headings first.
pub(super) fn render(judged: &[Judged]) -> Vec<String> {
    let rows: Vec<[String; 6]> = std::iter::once(HEADINGS.map(str::to_owned))
        .chain(judged.iter().map(row))
        .collect();
    align(&rows, FIRST_NUMBER)
}

fn row(judged: &Judged) -> [String; 6] {
    let name = judged.name.clone();
    let Some(figures) = judged.figures else {
        let none = || "-".to_owned();
        return [name, "too few".to_owned(), none(), none(), none(), none()];
    };
    let verdict = if judged.is_flat() { "flat" } else { "GROWS" };
    [
        name,
        verdict.to_owned(),
        format!("{:.0}", figures.early),
        format!("{:.0}", figures.late),
        format!("{:.0}", figures.limit),
        format!("{:+.1}", figures.growth),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::judge::Figures;
    use super::*;

    #[test]
    fn what_grows_is_said() {
        let judged = |name: &str, late| Judged {
            name: name.to_owned(),
            figures: Some(Figures {
                early: 10_000.0,
                late,
                limit: 11_012.0,
                growth: late / 100.0 - 100.0,
            }),
        };
        let few = Judged {
            name: "keys".to_owned(),
            figures: None,
        };
        assert_eq!(
            render(&[
                judged("memory of web1, KiB", 10_100.0),
                judged("memory of web2, KiB", 12_000.0),
                few
            ]),
            [
                "what                           warm  in the end  at most  in 1000 elections",
                "memory of web1, KiB  flat     10000       10100    11012               +1.0",
                "memory of web2, KiB  GROWS    10000       12000    11012              +20.0",
                "keys                 too few      -           -        -                  -",
            ]
        );
    }
}
