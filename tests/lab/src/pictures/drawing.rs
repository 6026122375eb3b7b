//! Pure: what a program printed on a terminal, as an SVG picture.
//!
//! Knows the colours, bold and dim of ECMA-48's "select graphic rendition" (`CSI ... m`); every other
//! control sequence is left out. A picture follows the reader's light or dark scheme.

use std::fmt::Write;

use crate::svg::escape;

/// How wide a character of the picture is, and how high a line, pixels at its natural size.
const WIDTH: f64 = 7.8;
const HEIGHT: f64 = 18.0;
/// The paper around the text.
const MARGIN: f64 = 16.0;
/// The line with the title.
const HEAD: f64 = 30.0;

const STYLE: &str = "\
text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; fill: #24292f }
.title { font-weight: 600 }
.paper { fill: #f6f8fa; stroke: #d0d7de }
.b { font-weight: 600 } .d { fill: #6e7781 }
.c1 { fill: #cf222e } .c2 { fill: #1a7f37 } .c3 { fill: #9a6700 } .c4 { fill: #0969da } .c5 { fill: #8250df } .c6 { fill: #1b7c83 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.paper { fill: #0d1117; stroke: #3d444d }
.d { fill: #9198a1 }
.c1 { fill: #ff7b72 } .c2 { fill: #56d364 } .c3 { fill: #e3b341 } .c4 { fill: #58a6ff } .c5 { fill: #bc8cff } .c6 { fill: #39c5cf }
}";

/// How a piece of text looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Look {
    bold: bool,
    dim: bool,
    /// The colour's number, 1 (red) to 6 (cyan).
    colour: Option<u8>,
}

impl Look {
    /// Takes in the parameters of one `CSI ... m`.
    fn take(&mut self, parameters: &str) {
        for parameter in parameters.split(';') {
            match parameter.parse().unwrap_or(0_u8) {
                0 => *self = Self::default(),
                1 => self.bold = true,
                2 => self.dim = true,
                22 => (self.bold, self.dim) = (false, false),
                colour @ (31..=36 | 91..=96) => self.colour = Some(colour % 10),
                39 => self.colour = None,
                _ => {}
            }
        }
    }

    fn classes(self) -> String {
        let colour = self.colour.map(|colour| format!("c{colour}"));
        let bold = self.bold.then(|| "b".to_owned());
        let dim = self.dim.then(|| "d".to_owned());
        let classes: Vec<String> = [bold, dim, colour].into_iter().flatten().collect();
        classes.join(" ")
    }
}

/// Draws `output`.
pub(super) fn draw(title: &str, output: &str) -> String {
    let lines: Vec<Vec<(Look, String)>> = pieces(output);
    let columns = lines.iter().map(|line| width(line)).max().unwrap_or(0);
    #[expect(clippy::cast_precision_loss, reason = "a screen has few columns")]
    let (columns, rows) = (
        columns.max(title.chars().count()) as f64,
        lines.len() as f64,
    );
    let (width, height) = (
        (columns * WIDTH + 2.0 * MARGIN).ceil(),
        HEAD + rows * HEIGHT + 1.5 * MARGIN,
    );
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\" \
         xml:space=\"preserve\">\n<title>{title}</title>\n<style>\n{STYLE}\n</style>\n\
         <rect class=\"paper\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"6\"/>\n\
         <text class=\"title\" x=\"{MARGIN}\" y=\"22\">{title}</text>\n",
        width - 1.0,
        height - 1.0,
        title = escape(title),
    );
    let mut y = HEAD + HEIGHT;
    for line in &lines {
        if !line.is_empty() {
            // A string never fails to be written to.
            let _ = writeln!(svg, "<text x=\"{MARGIN}\" y=\"{y}\">{}</text>", spans(line));
        }
        y += HEIGHT;
    }
    svg.push_str("</svg>\n");
    svg
}

fn spans(line: &[(Look, String)]) -> String {
    let span = |(look, text): &(Look, String)| {
        let (classes, text) = (look.classes(), escape(text));
        if classes.is_empty() {
            text
        } else {
            format!("<tspan class=\"{classes}\">{text}</tspan>")
        }
    };
    line.iter().map(span).collect()
}

fn width(line: &[(Look, String)]) -> usize {
    line.iter().map(|(_, text)| text.chars().count()).sum()
}

/// Returns the lines, each in pieces of one look, without empty lines before and after.
fn pieces(output: &str) -> Vec<Vec<(Look, String)>> {
    let mut look = Look::default();
    let mut lines: Vec<Vec<(Look, String)>> = output
        .lines()
        .map(|line| one_line(line, &mut look))
        .collect();
    while lines.last().is_some_and(Vec::is_empty) {
        lines.pop();
    }
    let first = lines.iter().position(|line| !line.is_empty()).unwrap_or(0);
    lines.split_off(first)
}

fn one_line(line: &str, look: &mut Look) -> Vec<(Look, String)> {
    let mut pieces: Vec<(Look, String)> = Vec::new();
    let mut rest = line.trim_end();
    while !rest.is_empty() {
        let (text, after) = rest.split_once('\x1b').unwrap_or((rest, ""));
        let text: String = text.chars().filter(|it| !it.is_control()).collect();
        if !text.is_empty() {
            pieces.push((*look, text));
        }
        rest = after;
        // What follows is a control sequence: `[`, parameters, and a letter that says what it is.
        if let Some(sequence) = rest.strip_prefix('[')
            && let Some(end) = sequence.find(|it: char| ('@'..='~').contains(&it))
        {
            if sequence[end..].starts_with('m') {
                look.take(&sequence[..end]);
            }
            rest = &sequence[end + 1..];
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_shows_the_text_in_its_colours() {
        let svg = draw(
            "a <b>",
            "\n\x1b[1mHOST\x1b[0m  x\r\n\x1b[32;2mweb1\x1b[39m&\x1b[K\n\n",
        );
        assert!(svg.contains("<title>a &lt;b&gt;</title>"), "{svg}");
        let host = "<text x=\"16\" y=\"48\"><tspan class=\"b\">HOST</tspan>  x</text>";
        assert!(svg.contains(host), "{svg}");
        let web1 = "<tspan class=\"d c2\">web1</tspan><tspan class=\"d\">&amp;</tspan>";
        assert!(svg.contains(web1), "{svg}");
        assert_eq!(svg.matches("<text").count(), 3, "the title and two lines");
    }

    #[test]
    fn a_look_lasts_until_it_is_ended() {
        let lines = pieces("\x1b[31mone\ntwo\x1b[m three");
        let red = Look {
            colour: Some(1),
            ..Look::default()
        };
        assert_eq!(lines[0], [(red, "one".to_owned())]);
        let two = [
            (red, "two".to_owned()),
            (Look::default(), " three".to_owned()),
        ];
        assert_eq!(lines[1], two);
    }
}
