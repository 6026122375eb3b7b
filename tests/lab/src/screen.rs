//! Applier: lines on standard output, with the time in front, in colour on a terminal.

use std::io::{IsTerminal, Write, stdout};
use std::time::Instant;

use vip_lab::time::since_start;

/// Where a command prints. Lines of several threads do not mix.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    colour: bool,
}

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "1;31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const CYAN: &str = "36";

impl Screen {
    /// Colours are for terminals only, and not for users who decline them (`NO_COLOR`).
    pub(crate) fn new() -> Self {
        let declined = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            colour: stdout().is_terminal() && !declined,
        }
    }

    /// What is being done or waited for.
    pub(crate) fn note(self, text: &str) {
        self.line(Instant::now(), DIM, "  ", text);
    }

    /// What is done to a host.
    pub(crate) fn fault(self, text: &str) {
        self.line(Instant::now(), YELLOW, "! ", text);
    }

    /// What changed, as the witnesses saw it.
    pub(crate) fn change(self, at: Instant, text: &str) {
        self.line(at, CYAN, "| ", text);
    }

    /// What went as it should.
    pub(crate) fn good(self, text: &str) {
        self.line(Instant::now(), GREEN, "  ", text);
    }

    /// What did not.
    pub(crate) fn bad(self, text: &str) {
        self.line(Instant::now(), RED, "  ", text);
    }

    /// A new chapter.
    pub(crate) fn title(self, text: &str) {
        self.plain("");
        self.print(&self.paint(BOLD, text));
    }

    /// Something to copy.
    pub(crate) fn plain(self, text: &str) {
        self.print(text);
    }

    /// The table at the end.
    pub(crate) fn table(self, lines: &[String]) {
        self.plain("");
        for (number, line) in lines.iter().enumerate() {
            self.print(&if number == 0 {
                self.paint(BOLD, line)
            } else {
                line.clone()
            });
        }
    }

    /// The last word.
    pub(crate) fn verdict(self, good: bool, text: &str) {
        self.plain("");
        self.print(&self.paint(if good { GREEN } else { RED }, text));
    }

    fn line(self, at: Instant, colour: &str, mark: &str, text: &str) {
        let seconds = format!("{:8.2}s", since_start(at).as_secs_f64());
        self.print(&format!(
            "{} {}",
            self.paint(DIM, &seconds),
            self.paint(colour, &format!("{mark}{text}"))
        ));
    }

    fn paint(self, colour: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// Who has closed our output does not want to hear of it.
    fn print(self, line: &str) {
        let _ = writeln!(stdout().lock(), "{line}");
    }
}
