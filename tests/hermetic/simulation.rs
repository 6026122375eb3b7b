//! The promise, on simulated hosts: kept by the daemon as it is, broken where one of its rules is.
//!
//! `cargo lab simulate` plays more of the same.

use std::io::Write;
use std::ops::Range;

use vip_elector::election::rules::Rule;
use vip_sim::fault::Fault;
use vip_sim::replay;
use vip_sim::schedule::{Schedule, TTL};
use vip_sim::shrink::shrink;
use vip_sim::sweep::{Failed, sweep};
use vip_sim::trace::Trace;
use vip_sim::world::{self, Game, Heed};

/// Both the sound daemon and every broken one play these.
const SLICE: Range<u64> = 0..10_000;

/// What must have happened in the slice, at least so often, so that it says something.
const MUST_BE_SEEN: [(&str, u64); 27] = [
    ("leaderships", 20_000),
    ("failovers", 7_000),
    ("adoptions", 700),
    ("starts with a session to adopt", 2_000),
    ("starts after a leftover session", 1_000),
    ("clean stops", 1_500),
    ("unclean endings waited out", 15_000),
    ("acquires refused by lock-delay", 1_500),
    ("sessions ended by ttl", 500),
    ("addresses ended by the kernel", 2_000),
    ("late or doubled answers", 20_000),
    ("commands carried out late", 700),
    ("renewals by a deposed leader", 2_500),
    ("raft leader changes", 4_000),
    ("nodes found dead by gossip", 1_500),
    ("notes that were not kept", 250),
    ("candidates registered", 10_000),
    ("handovers", 2_000),
    ("handovers refused", 100),
    ("switchovers", 200),
    ("switchover requests dropped", 400),
    ("leaders drained", 400),
    ("liveness checks that ran out", 5_000),
    ("services that were forgotten", 500),
    ("deposes", 700),
    ("datagrams sent again", 700),
    ("takeovers from a dead or frozen daemon alone", 150),
];

#[test]
fn no_two_hosts_ever_hold_the_address() {
    let swept = sweep(SLICE, Game::default(), 3);
    let shown: Vec<String> = swept.failures.iter().map(shown).collect();
    assert!(shown.is_empty(), "{}", shown.join("\n"));
    let tally = swept.tally;
    print(&tally.to_string());
    assert_eq!(tally.schedules, SLICE.end - SLICE.start);
    assert!(tally.longest_recovery > TTL, "{:?}", tally.longest_recovery);
    for kind in Fault::KINDS {
        let count = tally.faults.get(kind).copied().unwrap_or_default();
        assert!(count >= 500, "{kind}: {count}");
    }
    for (what, at_least) in MUST_BE_SEEN {
        assert!(
            tally.count(what) >= at_least,
            "{what}: {}",
            tally.count(what)
        );
    }
}

/// Past the test runner, which keeps to itself what a test that passes prints.
fn print(text: &str) {
    let _ = writeln!(std::io::stderr(), "\n{text}");
}

/// With the seed, what is left of its faults, and the line that plays it again.
fn shown(failed: &Failed) -> String {
    let shrunk = shrink(&Schedule::draw(failed.seed), Game::default()).unwrap();
    let line = replay::line(failed.seed, &shrunk.without, None);
    format!("{}\n{}{line}", shrunk.violation, shrunk.schedule)
}

#[test]
fn every_rule_that_is_broken_is_caught() {
    let mut missed = Vec::new();
    let mut table = format!(
        "{:<58} {:>9} {:<28} {:>11}\n",
        "rule broken", "schedules", "what was seen first", "two holders"
    );
    for rule in Rule::ALL {
        let first = |heed| {
            let game = Game {
                broken: Some(rule),
                heed,
            };
            sweep(SLICE, game, 1).failures.into_iter().next()
        };
        let until = |failed: &Failed| failed.seed - SLICE.start + 1;
        let Some(failed) = first(Heed::All) else {
            missed.push(rule);
            continue;
        };
        let overlap = first(Heed::Overlap).map_or("not seen".to_owned(), |failed| {
            format!("after {}", until(&failed))
        });
        table += &format!(
            "{:<58} {:>9} {:<28} {overlap:>11}\n",
            rule.text(),
            until(&failed),
            failed.violation.kind(),
        );
    }
    print(&table);
    assert!(missed.is_empty(), "not caught: {missed:?}\n{table}");
}

#[test]
fn a_seed_plays_the_same_twice() {
    for seed in [1, 7, 4711] {
        let play = || world::run(&Schedule::draw(seed), Game::default(), Trace::kept());
        let (first, second) = (play(), play());
        assert!(first.trace.len() > 100, "{} lines", first.trace.len());
        assert_eq!(first.trace, second.trace);
        assert_eq!(first.tally, second.tally);
    }
}
