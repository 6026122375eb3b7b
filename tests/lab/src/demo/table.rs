//! Pure: the table at the end.

use vip_lab::drill::Outcome;

use crate::table::{align, milliseconds};

const HEADINGS: [&str; 6] = ["fault", "before", "after", "takeover", "outage", "overlap"];
/// Columns from here on are numbers.
const FIRST_NUMBER: usize = 3;

/// Returns the table's lines, headings first; times are in milliseconds.
pub(super) fn render(outcomes: &[Outcome]) -> Vec<String> {
    let rows: Vec<[String; 6]> = std::iter::once(HEADINGS.map(str::to_owned))
        .chain(outcomes.iter().map(row))
        .collect();
    align(&rows, FIRST_NUMBER)
}

fn row(outcome: &Outcome) -> [String; 6] {
    let (after, takeover) = match &outcome.after {
        Some((host, takeover)) => (host.clone(), milliseconds(*takeover)),
        None => ("nobody".to_owned(), "-".to_owned()),
    };
    [
        outcome.fault.to_string(),
        outcome.before.clone(),
        after,
        takeover,
        milliseconds(outcome.outage),
        milliseconds(outcome.overlap),
    ]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use vip_lab::cluster::Fault;

    #[test]
    fn columns_are_aligned_and_nothing_is_rounded_to_zero() {
        let outcome = |fault, after, overlap| Outcome {
            fault,
            before: "web1".to_owned(),
            after,
            outage: Duration::from_millis(3120),
            overlap,
            settled: Ok("web2".to_owned()),
        };
        let after = Some(("web2".to_owned(), Duration::from_millis(45)));
        let table = render(&[
            outcome(Fault::Stop, after, Duration::ZERO),
            outcome(Fault::Partition, None, Duration::from_micros(1)),
        ]);
        assert_eq!(
            table,
            [
                "fault          before  after   takeover   outage  overlap",
                "graceful stop  web1    web2       45 ms  3120 ms     0 ms",
                "partition      web1    nobody         -  3120 ms     1 ms",
            ]
        );
    }
}
