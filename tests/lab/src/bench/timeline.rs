//! Pure: one run as a picture: who had the address, who answered, which questions were lost.
//!
//! The picture is an SVG that needs nothing else: no script, no font file, and colours for light and
//! for dark surroundings.

use std::fmt::Write;

use super::record::{LEAD, Run, Silence, Stretch, milliseconds};
use super::table::time;
use crate::svg::escape;

const WIDTH: f64 = 760.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 744.0;
const TOP: f64 = 64.0;
const ROW: f64 = 28.0;
const BAR: f64 = 16.0;
/// More lost questions than this are drawn as one block.
const SINGLE: usize = 400;

const LEGEND: &str =
    "Hosts: who has the address. Client: who answers its questions; red where nobody does.";

const STYLE: &str = "
text { font: 12px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600; font-size: 14px }
.faint { fill: #57606a }
.paper { fill: #ffffff }
.grid { stroke: #d0d7de }
.fault { stroke: #cf222e; stroke-dasharray: 4 3 }
.after { stroke: #1a7f37; stroke-dasharray: 4 3 }
.lost { fill: #cf222e }
.h0 { fill: #0969da } .h1 { fill: #bf8700 } .h2 { fill: #8250df } .h3 { fill: #57606a }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.faint { fill: #9198a1 }
.paper { fill: #0d1117 }
.grid { stroke: #3d444d }
.fault { stroke: #ff7b72 } .after { stroke: #56d364 } .lost { fill: #ff7b72 }
.h0 { fill: #58a6ff } .h1 { fill: #e3b341 } .h2 { fill: #bc8cff } .h3 { fill: #9198a1 }
}
";

/// Draws `run`. `hosts` are the rows, in order.
pub(super) fn draw(title: &str, run: &Run, hosts: &[String]) -> String {
    let scale = Scale::of(run);
    let bottom = TOP + ROW * (hosts.len() + 1) as f64;
    let mut out = String::new();
    let height = bottom + 52.0;
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n<title>{}</title>\n\
         <style>{STYLE}</style>\n<rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\"/>",
        escape(title)
    );
    text(&mut out, "title", 16.0, 22.0, "start", title);
    text(&mut out, "faint", 16.0, 40.0, "start", &caption(run));
    axis(&mut out, &scale, bottom);
    text(&mut out, "faint", LEFT, bottom + 38.0, "start", LEGEND);
    for (number, host) in hosts.iter().enumerate() {
        let y = TOP + ROW * number as f64;
        text(&mut out, "", LEFT - 8.0, y + 13.0, "end", host);
        for tenure in run.tenures.iter().filter(|tenure| tenure.host == *host) {
            bar(&mut out, &scale, &class(hosts, host), y, tenure);
        }
    }
    let y = TOP + ROW * hosts.len() as f64;
    text(&mut out, "", LEFT - 8.0, y + 13.0, "end", "client");
    for service in &run.service {
        bar(&mut out, &scale, &class(hosts, &service.host), y, service);
    }
    for silence in &run.silences {
        lost(&mut out, &scale, y, silence);
    }
    mark(&mut out, &scale, "fault", 0.0, "fault", bottom);
    if let Some(takeover) = run.takeover {
        mark(&mut out, &scale, "after", takeover, "", bottom);
    }
    out.push_str("</svg>\n");
    out
}

/// Which part of a run is shown, and how wide.
struct Scale {
    from: f64,
    until: f64,
}

impl Scale {
    /// Some time before the fault, until the new order has shown; all of an overlap.
    fn of(run: &Run) -> Self {
        let shown = match run.takeover {
            Some(takeover) if run.overlap == 0.0 => takeover.max(run.outage.unwrap_or(takeover)),
            Some(_) | None => run.healed.max(run.takeover.unwrap_or(0.0)),
        };
        // Nothing shorter could be seen.
        let shown = shown.max(10.0);
        let seen = run.service.last().and_then(|last| last.until);
        Self {
            from: (-0.25 * shown).max(-milliseconds(LEAD)),
            // What nobody looked at any more is not drawn as if somebody had.
            until: (1.4 * shown).min(seen.unwrap_or(0.0).max(shown)),
        }
    }

    fn x(&self, at: f64) -> f64 {
        let share = (at.clamp(self.from, self.until) - self.from) / (self.until - self.from);
        LEFT + share * (RIGHT - LEFT)
    }

    fn shows(&self, from: f64, until: f64) -> bool {
        from < self.until && until > self.from
    }

    /// Returns the distance of the axis's ticks: 1, 2 or 5 times a power of ten, ten of them at most.
    fn step(&self) -> f64 {
        let least = (self.until - self.from) / 10.0;
        let power = 10_f64.powf(least.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
        steps
            .into_iter()
            .find(|step| *step >= least)
            .unwrap_or(least)
    }
}

fn caption(run: &Run) -> String {
    let takeover = run.after.as_ref().map_or_else(
        || "nobody took over".to_owned(),
        |after| format!("{after} took over after {} ms", time(run.takeover)),
    );
    format!(
        "{takeover}; outage {} ms, overlap {} ms",
        time(run.outage),
        time(Some(run.overlap))
    )
}

fn axis(out: &mut String, scale: &Scale, bottom: f64) {
    let step = scale.step();
    let seconds = scale.until - scale.from > 3_000.0;
    let mut tick = (scale.from / step).ceil();
    while tick * step <= scale.until {
        let at = tick * step;
        let x = scale.x(at);
        let _ = writeln!(
            out,
            "<path class=\"grid\" d=\"M{x:.1} {:.1}V{bottom:.1}\"/>",
            TOP - 6.0
        );
        let (number, unit) = if seconds {
            (at / 1_000.0, "s")
        } else {
            (at, "ms")
        };
        // Neither -0 nor 0.6000000000000001.
        let number = (number * 1e3).round() / 1e3 + 0.0;
        let label = format!("{number} {unit}");
        text(out, "faint", x, bottom + 16.0, "middle", &label);
        tick += 1.0;
    }
}

fn bar(out: &mut String, scale: &Scale, class: &str, y: f64, stretch: &Stretch) {
    let until = stretch.until.unwrap_or(f64::MAX);
    if scale.shows(stretch.from, until) {
        let (from, until) = (scale.x(stretch.from), scale.x(until));
        // A single answer has no length, and is there all the same.
        let width = (until - from).max(0.8);
        let _ = writeln!(
            out,
            "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" \
             height=\"{BAR}\"/>"
        );
    }
}

/// Draws each question that nobody answered when it was asked; as a block where they are many.
fn lost(out: &mut String, scale: &Scale, y: f64, silence: &Silence) {
    if !scale.shows(silence.from, silence.until) {
        return;
    }
    let gaps = silence.lost.saturating_sub(1).max(1);
    let step = (silence.until - silence.from) / gaps as f64;
    let width = ((scale.x(silence.from + step) - scale.x(silence.from)) / 2.0).min(2.0);
    if silence.lost > SINGLE || (silence.lost > 1 && width < 0.5) {
        let (left, right) = (scale.x(silence.from), scale.x(silence.until));
        rectangle(out, left, y, (right - left).max(0.8));
        return;
    }
    for number in 0..silence.lost {
        let at = silence.from + step * number as f64;
        if scale.shows(at, at) {
            let width = width.max(0.8);
            rectangle(out, scale.x(at) - width / 2.0, y, width);
        }
    }
}

fn rectangle(out: &mut String, x: f64, y: f64, width: f64) {
    let _ = writeln!(
        out,
        "<rect class=\"lost\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR}\"/>"
    );
}

fn mark(out: &mut String, scale: &Scale, class: &str, at: f64, label: &str, bottom: f64) {
    let x = scale.x(at);
    let _ = writeln!(
        out,
        "<path class=\"{class}\" d=\"M{x:.1} {:.1}V{bottom:.1}\"/>",
        TOP - 6.0
    );
    text(out, "", x, TOP - 10.0, "middle", label);
}

fn text(out: &mut String, class: &str, x: f64, y: f64, anchor: &str, text: &str) {
    if !text.is_empty() {
        let _ = writeln!(
            out,
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
            escape(text)
        );
    }
}

/// Each host has its colour, in its own row and where it answers the client.
fn class(hosts: &[String], host: &str) -> String {
    let number = hosts.iter().position(|known| known == host);
    format!("h{}", number.unwrap_or(3).min(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(host: &str, from: f64, until: Option<f64>) -> Stretch {
        Stretch {
            host: host.to_owned(),
            from,
            until,
        }
    }

    fn silence(from: f64, until: f64, lost: usize) -> Silence {
        Silence { from, until, lost }
    }

    /// web1 has the address until 10 ms, web2 from 20 ms; the client hears nobody from 12 to 22 ms.
    fn run() -> Run {
        Run {
            before: "web1".to_owned(),
            after: Some("web2".to_owned()),
            raft_leader: None,
            takeover: Some(22.0),
            outage: Some(10.0),
            overlap: 0.0,
            healed: 23.0,
            trouble: None,
            tenures: vec![
                stretch("web1", -5_000.0, Some(10.0)),
                stretch("web2", 20.0, None),
            ],
            service: vec![
                stretch("web1", -5_000.0, Some(12.0)),
                stretch("web2", 22.0, Some(900.0)),
            ],
            silences: vec![silence(13.0, 21.0, 9)],
        }
    }

    fn hosts() -> Vec<String> {
        ["web1", "web2", "web3"].map(str::to_owned).to_vec()
    }

    /// The left and right ends of all rectangles of a class.
    fn ends(svg: &str, class: &str) -> Vec<(f64, f64)> {
        let number = |line: &str, name: &str| -> f64 {
            let rest = &line[line.find(name).unwrap() + name.len()..];
            rest[..rest.find('"').unwrap()].parse().unwrap()
        };
        let start = format!("<rect class=\"{class}\"");
        svg.lines()
            .filter(|line| line.starts_with(&start))
            .map(|line| {
                let x = number(line, " x=\"");
                (x, x + number(line, " width=\""))
            })
            .collect()
    }

    #[test]
    fn bars_end_where_their_times_do() {
        let svg = draw("a & b", &run(), &hosts());
        let scale = Scale::of(&run());
        let close = |one: f64, other: f64| (one - other).abs() < 0.2;
        for (class, row, from, until) in [
            ("h0", 0, scale.from, 10.0),
            ("h0", 1, scale.from, 12.0),
            ("h1", 0, 20.0, scale.until),
            ("h1", 1, 22.0, scale.until),
        ] {
            let (left, right) = ends(&svg, class)[row];
            assert!(close(left, scale.x(from)), "{class} {row}: {left}");
            assert!(close(right, scale.x(until)), "{class} {row}: {right}");
        }
        assert_eq!(ends(&svg, "h2"), []);
        let lost = ends(&svg, "lost");
        assert_eq!(lost.len(), 9);
        for (number, (left, right)) in lost.into_iter().enumerate() {
            let at = scale.x(13.0 + number as f64);
            assert!(left < at && at < right, "{number}: {left} to {right}");
        }
        assert!(svg.contains("<title>a &amp; b</title>"));
        assert!(svg.contains("web2 took over after 22.0 ms; outage 10.0 ms, overlap 0 ms"));
    }

    #[test]
    fn it_is_whole_and_stands_alone() {
        let svg = draw("stop", &run(), &hosts());
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert!(svg.contains("prefers-color-scheme: dark"));
        for foreign in ["<script", "href", "url(", "<image"] {
            assert!(!svg.contains(foreign), "{foreign}");
        }
        for element in ["text", "title", "style"] {
            let opened = svg.matches(&format!("<{element}")).count();
            assert_eq!(
                opened,
                svg.matches(&format!("</{element}>")).count(),
                "{element}"
            );
        }
    }

    #[test]
    fn an_overlap_is_shown_to_its_end_and_a_long_silence_as_one() {
        let long = Run {
            takeover: Some(3_000.0),
            overlap: 9_000.0,
            healed: 12_000.0,
            service: vec![
                stretch("web1", -5_000.0, Some(0.0)),
                stretch("web2", 3_000.0, Some(12_000.0)),
            ],
            silences: vec![silence(0.0, 3_000.0, 2_999)],
            ..run()
        };
        let svg = draw("partition", &long, &hosts());
        assert_eq!(Scale::of(&long).until, 12_000.0);
        assert_eq!(ends(&svg, "lost").len(), 1);
        assert!(svg.contains(">10 s</text>") && svg.contains(">0 s</text>"));
    }

    #[test]
    fn ticks_are_round_and_few() {
        for until in [14.0, 33.0, 700.0, 21_000.0] {
            let scale = Scale { from: 0.0, until };
            let ticks = until / scale.step();
            assert!((4.0..=10.0).contains(&ticks), "{until}: {ticks}");
        }
    }
}
