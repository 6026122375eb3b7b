//! The whole transition table as one reviewed snapshot.

use std::fmt::Write as _;

use super::*;

type Make = fn() -> Bench;
type Do = fn(&mut Bench);

fn completed(bench: &mut Bench, name: &str, result: Result<Answer, Failure>) {
    if let Some(op) = bench.remove(name) {
        bench.step(Event::Completed { op, result });
    }
}

fn group(bench: &mut Bench, drained: &[&str]) {
    if bench.asks("WatchGroup") {
        bench.answer_drained(9, takeover::others(), drained);
    }
}

fn terms() -> Terms {
    Terms::managed(D, T)
}

const STATES: &[(&str, Make)] = &[
    ("adopting", || Bench::after(terms(), adoptable())),
    ("adopted, looking", || {
        let mut bench = Bench::after(terms(), adoptable());
        bench.on();
        bench.answer("Find", Ok(Answer::Found(Some(SessionId::new("ours")))));
        bench
    }),
    ("joining, leftover", || {
        let name = "before-0".into();
        let before = Before::Leftover {
            name,
            session: None,
        };
        let mut bench = Bench::after(terms(), before);
        bench.off();
        bench.answer_read(missing(5));
        bench
    }),
    ("clearing", || Bench::start(terms())),
    ("preflight", || {
        let mut bench = Bench::start(terms());
        bench.off();
        bench
    }),
    ("joining", || {
        let mut bench = Bench::start(terms());
        bench.off();
        bench.answer_read(missing(5));
        bench
    }),
    ("joining, unanswered", || {
        let mut bench = Bench::start(terms());
        bench.off();
        bench.answer_read(missing(5));
        bench.answer("CreateSession", Err(failure(FailureKind::Unavailable)));
        bench.pass(ms(100));
        bench
    }),
    ("standby, looking", || Bench::standby(terms())),
    ("standby, held by another", || {
        let mut bench = Bench::standby(terms());
        bench.answer_read(held(6, "theirs"));
        bench
    }),
    ("standby, key missing", || {
        let mut bench = Bench::standby(terms());
        bench.answer_read(missing(6));
        bench
    }),
    ("standby, abandoned", || {
        let mut bench = Bench::standby(terms());
        bench.answer_read(abandoned(6));
        bench
    }),
    ("standby, not a lock", || {
        let mut bench = Bench::standby(terms());
        bench.answer_read(key(6, None, "settings", 0));
        bench
    }),
    ("standby, acquiring", || {
        let mut bench = Bench::standby(terms());
        bench.answer_read(released(6));
        bench
    }),
    ("leading", || Bench::leader(terms())),
    ("leading, confirming", || {
        let mut bench = Bench::leader(terms());
        bench.pass(ms(334));
        bench
    }),
    ("candidate, group unknown", || {
        let options = takeover::options();
        let mut bench = Bench::of(Params {
            options,
            ..params(terms())
        });
        bench.off();
        bench.answer_read(released(5));
        bench.answer("CreateSession", Ok(Answer::Created(SessionId::new("ours"))));
        bench.answer_read(released(5));
        bench
    }),
    ("candidate, drained", || {
        let mut bench = Bench::with(takeover::options(), vec![]);
        bench.pass(ms(200));
        bench.answer_drained(7, vec![], &["web1"]);
        bench
    }),
    ("leading, with candidates", || {
        let mut bench = Bench::leading(takeover::options(), takeover::others());
        bench.pass(ms(100));
        bench
    }),
    ("resigning, address up", || {
        let mut bench = Bench::leader(terms());
        bench.step(Event::Stop);
        bench.on();
        bench
    }),
    ("resigning, releasing", || {
        let mut bench = Bench::leader(terms());
        bench.step(Event::Stop);
        bench.off();
        bench
    }),
    ("resigning, not remembered", || {
        let mut bench = Bench::leader(terms());
        bench.remembers = false;
        bench.step(Event::Stop);
        bench.off();
        bench
    }),
    ("resigning, destroying", || {
        let mut bench = Bench::leader(terms());
        bench.step(Event::Stop);
        bench.off();
        bench.answer("Release", Ok(Answer::Done));
        bench.pass(ms(50));
        bench
    }),
    ("resigning to join again, destroying", || {
        let mut bench = Bench::leader(terms());
        bench.blocked();
        bench.off();
        bench.answer("Release", Ok(Answer::Done));
        bench.pass(ms(50));
        bench
    }),
    ("stopped", || {
        let mut bench = Bench::start(terms());
        bench.off();
        bench.step(Event::Stop);
        bench
    }),
];

const EVENTS: &[(&str, Do)] = &[
    ("stop", |b| b.step(Event::Stop)),
    ("address off", Bench::off),
    ("address on", Bench::on),
    ("address blocked", Bench::blocked),
    ("4 s pass", |b| b.pass(ms(4000))),
    ("read: missing", |b| {
        completed(b, "Read", Ok(Answer::Key(missing(9))))
    }),
    ("read: held by us", |b| {
        completed(b, "Read", Ok(Answer::Key(held(9, "ours"))))
    }),
    ("read: held by another", |b| {
        completed(b, "Read", Ok(Answer::Key(held(9, "theirs"))))
    }),
    ("read: released", |b| {
        completed(b, "Read", Ok(Answer::Key(released(9))))
    }),
    ("read: abandoned", |b| {
        completed(b, "Read", Ok(Answer::Key(abandoned(9))))
    }),
    ("read: not a lock", |b| {
        completed(b, "Read", Ok(Answer::Key(key(9, None, "x", 0))))
    }),
    ("read: unavailable", |b| {
        completed(b, "Read", Err(failure(FailureKind::Unavailable)))
    }),
    ("watch: missing", |b| {
        completed(b, "Watch", Ok(Answer::Key(missing(9))))
    }),
    ("watch: held by us", |b| {
        completed(b, "Watch", Ok(Answer::Key(held(9, "ours"))))
    }),
    ("watch: held by another", |b| {
        completed(b, "Watch", Ok(Answer::Key(held(9, "theirs"))))
    }),
    ("watch: released", |b| {
        completed(b, "Watch", Ok(Answer::Key(released(9))))
    }),
    ("watch: abandoned", |b| {
        completed(b, "Watch", Ok(Answer::Key(abandoned(9))))
    }),
    ("watch: unavailable", |b| {
        completed(b, "Watch", Err(failure(FailureKind::Unavailable)))
    }),
    ("created", |b| {
        completed(b, "Create", Ok(Answer::Created(SessionId::new("next"))))
    }),
    ("create: unavailable", |b| {
        completed(b, "Create", Err(failure(FailureKind::Unavailable)))
    }),
    ("create: check critical", |b| {
        completed(b, "Create", Err(failure(FailureKind::CheckCritical)));
    }),
    ("found", |b| {
        completed(b, "Find", Ok(Answer::Found(Some(SessionId::new("next")))))
    }),
    ("found, ours", |b| {
        completed(b, "Find", Ok(Answer::Found(Some(SessionId::new("ours")))))
    }),
    ("find: unavailable", |b| {
        completed(b, "Find", Err(failure(FailureKind::Unavailable)))
    }),
    ("find: denied", |b| {
        completed(b, "Find", Err(failure(FailureKind::Denied)))
    }),
    ("not found", |b| {
        completed(b, "Find", Ok(Answer::Found(None)))
    }),
    ("acquired", |b| completed(b, "Acquire", Ok(Answer::Done))),
    ("acquire: held", |b| {
        completed(b, "Acquire", Err(failure(FailureKind::Held)))
    }),
    ("acquire: lock-delay", |b| {
        completed(b, "Acquire", Err(failure(FailureKind::LockDelayed)))
    }),
    ("acquire: changed", |b| {
        completed(b, "Acquire", Err(failure(FailureKind::Changed)))
    }),
    ("acquire: session gone", |b| {
        completed(b, "Acquire", Err(failure(FailureKind::SessionGone)));
    }),
    ("acquire: unavailable", |b| {
        completed(b, "Acquire", Err(failure(FailureKind::Unavailable)))
    }),
    ("marked", |b| completed(b, "Mark", Ok(Answer::Done))),
    ("released", |b| completed(b, "Release", Ok(Answer::Done))),
    ("release: unavailable", |b| {
        completed(b, "Release", Err(failure(FailureKind::Unavailable)))
    }),
    ("group: nobody is drained", |b| group(b, &[])),
    ("group: another is drained", |b| group(b, &["web2"])),
    ("group: this host is drained", |b| group(b, &["web1"])),
    ("group: unavailable", |b| {
        completed(b, "WatchGroup", Err(failure(FailureKind::Unavailable)))
    }),
    ("group: denied", |b| {
        completed(b, "WatchGroup", Err(failure(FailureKind::Denied)))
    }),
    ("destroyed", |b| completed(b, "Destroy", Ok(Answer::Done))),
    ("destroy: unavailable", |b| {
        completed(b, "Destroy", Err(failure(FailureKind::Unavailable)))
    }),
];

fn phase(bench: &Bench) -> String {
    let held = match bench.machine.vip_order().unwrap().target {
        VipTarget::Absent => "",
        VipTarget::Kept => " VIP kept",
        VipTarget::HeldUntil(_) => " VIP",
    };
    let status = bench.machine.status();
    match status.phase {
        Phase::Leading(_) => format!("Leading{held}"),
        Phase::Clearing
        | Phase::Adopting
        | Phase::Preflight
        | Phase::Joining
        | Phase::Standby
        | Phase::Resigning
        | Phase::Stopped(_) => format!("{:?}{held}", status.phase),
    }
}

#[test]
fn every_event_in_every_state_does_what_the_snapshot_says() {
    let mut table = String::new();
    for (state, make) in STATES {
        let bench = make();
        let calls: Vec<String> = bench
            .under_way
            .iter()
            .map(|(_, call)| call.to_string())
            .collect();
        writeln!(table, "\n{state}: {} {calls:?}", phase(&bench)).unwrap();
        for (name, event) in EVENTS {
            let mut bench = make();
            let before = (phase(&bench), bench.under_way.clone());
            event(&mut bench);
            let asked: Vec<String> = bench
                .under_way
                .iter()
                .filter(|asked| !before.1.contains(asked))
                .map(|(_, call)| call.to_string())
                .collect();
            let after = phase(&bench);
            if before.0 != after || !asked.is_empty() {
                writeln!(table, "  {name:<24} -> {after:<28} {}", asked.join(", ")).unwrap();
            }
        }
    }
    insta::assert_snapshot!(table);
}
