//! Pure: the figures of many groups as people read them.

use super::figures::{Figures, Of, Row, Times, Weight, leading, standing_by};
use crate::table::align;

const HEADINGS: [&str; 13] = [
    "",
    "groups",
    "MiB",
    "standby",
    "KiB/group",
    "standby",
    "CPU s/min",
    "standby",
    "connections",
    "requests/s",
    "Consul CPU",
    "handover, ms",
    "dead host, ms",
];

/// Returns the lines of the table, headings first.
pub(super) fn text(figures: &Figures) -> Vec<String> {
    align(&rows(figures), 1)
}

/// Returns the same as Markdown, with what stands below it.
pub(super) fn markdown(figures: &Figures) -> String {
    let mut lines: Vec<String> = Vec::new();
    for (number, row) in rows(figures).iter().enumerate() {
        lines.push(format!("| {} |", row.join(" | ")));
        if number == 0 {
            lines.push(format!("|---|{}", "--:|".repeat(HEADINGS.len() - 1)));
        }
    }
    lines.push(String::new());
    lines.extend(notes(figures));
    lines.push(String::new());
    lines.join("\n")
}

/// Returns what stands below the table: floors, endings in full, and what was not measured.
pub(super) fn notes(figures: &Figures) -> Vec<String> {
    figures.rows.iter().flat_map(notes_of).collect()
}

fn rows(figures: &Figures) -> Vec<[String; 13]> {
    let row = |row: &Row| {
        let weight = |of: Of, show: fn(&Weight) -> String| of(row).map_or("-".to_owned(), show);
        let slope = |of: Of| {
            let slope = figures.slope(row, of);
            slope.map_or("-".to_owned(), |slope| format!("{slope:.1}"))
        };
        let megabytes = |weight: &Weight| format!("{:.1}", weight.resident_kib as f64 / 1024.0);
        let cpu = |weight: &Weight| format!("{:.2}", weight.cpu_seconds);
        let handover = match (row.stop().and_then(Times::arrived), row.ratio()) {
            (Some(took), Some(ratio)) => format!("{took:.0} ({ratio:.1}x)"),
            (Some(took), None) => format!("{took:.0}"),
            (None, _) => "-".to_owned(),
        };
        [
            row.carrier.to_owned(),
            row.groups.to_string(),
            weight(leading, megabytes),
            weight(standing_by, megabytes),
            slope(leading),
            slope(standing_by),
            weight(leading, cpu),
            weight(standing_by, cpu),
            weight(leading, |weight| weight.connections.to_string()),
            row.requests
                .map_or("-".to_owned(), |requests| format!("{requests:.1}")),
            row.consul_seconds
                .map_or("-".to_owned(), |seconds| format!("{seconds:.1}")),
            handover,
            row.crash
                .as_ref()
                .and_then(Times::arrived)
                .map_or("-".to_owned(), |took| format!("{took:.0}")),
        ]
    };
    let headings = [HEADINGS.map(str::to_owned)];
    headings
        .into_iter()
        .chain(figures.rows.iter().map(row))
        .collect()
}

fn notes_of(row: &Row) -> Vec<String> {
    let name = format!("{}, {} groups", row.carrier, row.groups);
    let floor = row.floor.as_ref().and_then(|floor| {
        Some(format!(
            "{name}: a bare client hands as many locks over in {:.1} ms (median of {}, {} in a transaction)",
            floor.median?,
            floor.runs.len(),
            floor.at_once
        ))
    });
    let endings = row.endings().filter_map(|(ending, times)| {
        let times = times?;
        let time = |time: Option<f64>| time.map_or("-".to_owned(), |time| format!("{time:.1} ms"));
        Some(format!(
            "{name}: {ending}: {} moved in {}, {} from the first off to the last on, an address gone for {} \
             at most, {} lost, overlap {} ms",
            times.moved,
            time(times.took),
            time(times.between),
            time(times.gap),
            times.lost,
            times.overlap
        ))
    });
    let missing = row
        .missing
        .iter()
        .map(|missing| format!("{name}: {missing}"));
    floor.into_iter().chain(endings).chain(missing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::record::Machine;

    #[test]
    fn what_is_unknown_is_a_dash() {
        let times = |lost| Times {
            took: Some(1_234.5),
            between: None,
            gap: None,
            moved: 9,
            lost,
            overlap: 0.0,
        };
        let mut row = Row::new("ours", 10);
        row.stops = vec![times(0)];
        row.crash = Some(times(1));
        row.missing.push("no time".to_owned());
        let figures = Figures {
            rows: vec![row],
            ..Figures::new(Machine::default())
        };
        let cells = &rows(&figures)[1];
        assert_eq!(cells[11..], ["1234".to_owned(), "-".to_owned()]);
        assert_eq!(cells[2..11], ["-"; 9].map(str::to_owned));
        let markdown = markdown(&figures);
        assert!(markdown.starts_with("|  | groups | MiB |"), "{markdown}");
        assert!(
            markdown.ends_with("ours, 10 groups: no time\n"),
            "{markdown}"
        );
    }
}
