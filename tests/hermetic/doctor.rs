//! What the doctor says, as it is read.

use vip_elector::doctor::report::{Colour, Findings, Level, Report};

fn report() -> Report {
    let mut findings = Findings::of(None);
    findings.ok("consul", "http://127.0.0.1:8500 answers within 2 ms");
    findings.unknown("agent", "it does not say", "see its files");
    findings.problem("acl", "the token lacks a rule", "add it");
    let mut found = findings.done();
    let mut findings = Findings::of(Some("service/demo/leader"));
    findings.ok("lock", "it is free");
    findings.warning(
        "name",
        "another \u{1b}[31mhost\n has it",
        "give each its own",
    );
    found.extend(findings.done());
    Report {
        version: "0.0.0",
        findings: found,
    }
}

#[test]
fn text() {
    insta::assert_snapshot!(report().text(Colour::Off));
}

#[test]
fn colours_are_on_the_levels_alone() {
    let text = report().text(Colour::On);
    let plain = ["32", "36", "33", "1;31"]
        .iter()
        .fold(text.clone(), |text, code| {
            text.replace(&format!("\u{1b}[{code}m"), "")
        });
    assert_ne!(plain, text);
    assert_eq!(plain.replace("\u{1b}[0m", ""), report().text(Colour::Off));
}

#[test]
fn json() {
    insta::assert_snapshot!(report().json().unwrap());
}

#[test]
fn levels_are_counted() {
    let report = report();
    for (level, count) in [
        (Level::Ok, 2),
        (Level::Unknown, 1),
        (Level::Warning, 1),
        (Level::Problem, 1),
    ] {
        assert_eq!(report.count(level), count, "{level:?}");
    }
}
