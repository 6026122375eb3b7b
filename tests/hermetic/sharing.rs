//! Several groups in one process of each host, simulated: the promise of each is kept, and what they share disturbs none;
//! and where a rule of that is broken, it is seen.
//!
//! `cargo lab simulate --many` plays more of the same.

use std::io::Write;
use std::ops::Range;

use vip_elector::election::rules::Rule;
use vip_sim::many::{self, Fault, Schedule};
use vip_sim::replay;
use vip_sim::sweep::Failed;
use vip_sim::trace::Trace;

/// Both the sound daemon and every broken one play these.
const SLICE: Range<u64> = 0..1_500;

/// What must have happened in the slice, at least so often, so that it says something.
const MUST_BE_SEEN: [(&str, u64); 11] = [
    ("leaderships", 8_000),
    ("handovers", 1_000),
    ("groups started with a session to adopt", 1_500),
    ("groups started with a leftover", 100),
    ("sessions left with a proof", 1_000),
    ("reads of several groups", 50_000),
    ("changes of several groups", 2_000),
    ("changes told apart", 20),
    ("sessions ended by ttl", 200),
    ("late or doubled answers", 20_000),
    ("acquires refused by lock-delay", 2_000),
];

#[test]
fn what_groups_share_breaks_no_promise_of_any() {
    let swept = many::sweep(SLICE, None, 3);
    let shown: Vec<String> = swept.failures.iter().map(shown).collect();
    assert!(shown.is_empty(), "{}", shown.join("\n"));
    let tally = swept.tally;
    print(&tally.to_string());
    assert_eq!(tally.schedules, SLICE.end - SLICE.start);
    for kind in Fault::KINDS {
        let count = tally.faults.get(kind).copied().unwrap_or_default();
        assert!(count >= 200, "{kind}: {count}");
    }
    for (what, at_least) in MUST_BE_SEEN {
        let count = tally.count(what);
        assert!(count >= at_least, "{what}: {count}");
    }
    // They do share: there are fewer sessions than groups.
    let (groups, sessions) = (
        tally.count("in the end: groups"),
        tally.count("in the end: sessions"),
    );
    assert!(sessions * 3 < groups * 2, "{sessions} of {groups}");
}

#[test]
fn every_rule_of_what_is_shared_is_missed_where_it_is_broken() {
    let mut missed = Vec::new();
    let mut table = format!(
        "{:<58} {:>9} what was seen first\n",
        "rule broken", "schedules"
    );
    for rule in Rule::SHARED {
        let swept = many::sweep(SLICE, Some(rule), 1);
        match swept.failures.first() {
            Some(failed) => {
                let until = failed.seed - SLICE.start + 1;
                let seen = failed.violation.kind();
                table += &format!("{:<58} {until:>9} {seen}\n", rule.text());
            }
            None => missed.push(rule),
        }
    }
    print(&table);
    assert!(missed.is_empty(), "not caught: {missed:?}\n{table}");
}

#[test]
fn a_seed_of_many_groups_plays_the_same_twice() {
    for seed in [1, 7, 47] {
        let play = || many::run(&Schedule::draw(seed), None, Trace::kept());
        let (first, second) = (play(), play());
        assert!(first.trace.len() > 100, "{} lines", first.trace.len());
        assert_eq!(first.trace, second.trace);
        assert_eq!(first.tally, second.tally);
    }
}

/// Past the test runner, which keeps to itself what a test that passes prints.
fn print(text: &str) {
    let _ = writeln!(std::io::stderr(), "\n{text}");
}

/// With what is left of its faults, and the line that plays it again.
fn shown(failed: &Failed<many::Violation>) -> String {
    let whole = Schedule::draw(failed.seed);
    let (without, violation) = many::shrink(&whole, None).unwrap();
    let line = replay::line_of_many(failed.seed, &without, None);
    format!("{violation}\n{}{line}", whole.without(&without))
}
