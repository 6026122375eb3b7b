//! Pure: the manual page. What is said of flags and commands is the daemon's own help; the rest stands in
//! `vip-elector.8`.

use clap::{Arg, ArgAction, ValueEnum};
use vip_elector::cli;

use crate::release::Release;

const PAGE: &str = include_str!("../vip-elector.8");

/// Returns the page, for man(7).
pub fn page(release: &Release) -> String {
    PAGE.replace("@date@", &day(release.epoch))
        .replace("@version@", &release.version)
        .replace("@commands@\n", &commands())
        .replace("@options@\n", &options())
}

/// What each command does.
fn commands() -> String {
    cli::Command::value_variants()
        .iter()
        .filter_map(ValueEnum::to_possible_value)
        .map(|value| {
            let help = value.get_help().map(ToString::to_string);
            let (name, help) = (dashes(value.get_name()), help.unwrap_or_default());
            format!(".TP\n\\fB{name}\\fR\n{}", sentence(&help))
        })
        .collect()
}

/// Every flag, below its heading, in the order of `--help`.
fn options() -> String {
    let command = cli::command();
    let flags: Vec<&Arg> = command
        .get_arguments()
        .filter(|flag| flag.get_long().is_some())
        .collect();
    let mut headings: Vec<Option<&str>> = vec![None];
    for flag in &flags {
        if !headings.contains(&flag.get_help_heading()) {
            headings.push(flag.get_help_heading());
        }
    }
    let mut text = String::new();
    for heading in headings {
        if let Some(heading) = heading {
            text.push_str(&format!(".SS {}\n", escaped(heading)));
        }
        let below = flags
            .iter()
            .filter(|flag| flag.get_help_heading() == heading);
        text.extend(below.map(|flag| option(flag)));
    }
    text
}

fn option(flag: &Arg) -> String {
    let short = flag
        .get_short()
        .map(|letter| format!("\\fB\\-{letter}\\fR, "));
    let long = dashes(flag.get_long().unwrap_or_default());
    let takes_a_value = matches!(flag.get_action(), ArgAction::Set | ArgAction::Append);
    let name = flag.get_value_names().and_then(|names| names.first());
    let value = match name.filter(|_| takes_a_value) {
        Some(name)
            if flag
                .get_num_args()
                .is_some_and(|number| number.min_values() == 0) =>
        {
            format!("[=\\fI{name}\\fR]")
        }
        Some(name) => format!("=\\fI{name}\\fR"),
        None => String::new(),
    };
    let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
    format!(
        ".TP\n{}\\fB\\-\\-{long}\\fR{value}\n{}",
        short.unwrap_or_default(),
        sentence(&help)
    )
}

/// A line of help as a sentence, before what it says in brackets of a default.
fn sentence(help: &str) -> String {
    let (words, note) = match help.split_once(" [default: ") {
        Some((words, default)) => (
            words,
            format!(" Default: {}", default.replacen(']', ".", 1)),
        ),
        None => (help, String::new()),
    };
    format!("{}.{}\n", escaped(words), escaped(&note))
}

fn escaped(text: &str) -> String {
    let text = dashes(&text.replace('\\', "\\e"));
    match text.starts_with(['.', '\'']) {
        true => format!("\\&{text}"),
        false => text,
    }
}

/// A dash that is typed, and no hyphen.
fn dashes(text: &str) -> String {
    text.replace('-', "\\-")
}

/// The day of a time, in UTC. By Howard Hinnant's `civil_from_days`.
fn day(epoch: u64) -> String {
    let days = epoch / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    format!("{:04}-{month:02}-{day:02}", year + era * 400 + next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release() -> Release {
        Release {
            version: "1.2.3".to_owned(),
            epoch: 1_709_210_096,
            maintainer: "Somebody <somebody@example.org>",
            homepage: "https://example.org",
        }
    }

    #[test]
    fn every_flag_and_command_is_in_the_page_with_its_help() {
        let page = page(&release());
        for mark in ["@date@", "@version@", "@commands@", "@options@"] {
            assert!(!page.contains(mark), "{mark} was left");
        }
        for flag in cli::command().get_arguments() {
            let Some(long) = flag.get_long() else {
                continue;
            };
            let entry = format!("\\fB\\-\\-{}\\fR", dashes(long));
            let after = page
                .split(&entry)
                .nth(1)
                .unwrap_or_else(|| panic!("no {entry}"));
            let words = after.lines().nth(1).unwrap();
            assert!(words.len() > 10, "{entry}: {words}");
        }
        for command in cli::Command::value_variants() {
            let name = command.to_possible_value().unwrap().get_name().to_owned();
            assert!(
                page.contains(&format!(".TP\n\\fB{}\\fR\n", dashes(&name))),
                "{name}"
            );
        }
    }

    #[test]
    fn every_variable_that_is_read_is_in_the_page() {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../src");
        let page = page(&release());
        let mut seen = 0;
        for variable in variables(source.as_ref()) {
            assert!(page.contains(&variable), "{variable}");
            seen += 1;
        }
        assert!(seen > 12, "only {seen}");
    }

    /// Variables of the environment, as the source has them in quotes.
    fn variables(under: &std::path::Path) -> std::collections::BTreeSet<String> {
        let mut found = std::collections::BTreeSet::new();
        for entry in std::fs::read_dir(under).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // The fields of its lines in the journal have names of the same form.
                if !path.ends_with("logging") {
                    found.extend(variables(&path));
                }
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for word in text.split('"') {
                let known = [
                    "CONSUL_",
                    "CREDENTIALS_",
                    "JOURNAL_",
                    "NOTIFY_",
                    "NO_COLOR",
                    "RUNTIME_",
                    "VIP_ELECTOR_",
                    "WATCHDOG_",
                ];
                let is_name = word.chars().all(|it| it.is_ascii_uppercase() || it == '_');
                if is_name && known.iter().any(|known| word.starts_with(known)) {
                    found.insert(word.to_owned());
                }
            }
        }
        found
    }

    #[test]
    fn days() {
        for (epoch, expected) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (1_709_210_096, "2024-02-29"),
            (1_767_225_599, "2025-12-31"),
        ] {
            assert_eq!(day(epoch), expected);
        }
    }

    #[test]
    fn lines_of_help_become_sentences() {
        for (help, expected) in [
            ("Print help", "Print help.\n"),
            ("A try [default: 1s]", "A try. Default: 1s.\n"),
            (".hidden in C:\\", "\\&.hidden in C:\\e.\n"),
            ("with --client-key", "with \\-\\-client\\-key.\n"),
        ] {
            assert_eq!(sentence(help), expected);
        }
    }
}
