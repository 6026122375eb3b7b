//! What the pure core costs between an event and its actions.

use std::time::Duration;

use divan::Bencher;
use vip_elector::election::call::{Answer, Entry, KeyRead, LOCK_FLAG, OpId, SessionId};
use vip_elector::election::lease::{Lease, Terms};
use vip_elector::election::machine::{Action, Event, Machine, Options, Params};
use vip_elector::election::note::Before;
use vip_elector::election::peer::GroupId;
use vip_elector::election::target::{VipOrder, VipTarget};
use vip_elector::election::time::Timestamp;
use vip_elector::vip::announce::Announcing;
use vip_elector::vip::reconcile::{LinkSeen, Observed, Reconciler};

const TERMS: Terms = Terms::companion(Duration::from_secs(1), Duration::from_secs(10));
const NOW: Timestamp = Timestamp::from_boot(Duration::from_secs(1000));

fn main() {
    divan::main();
}

fn key(index: u64, session: Option<&str>) -> Answer {
    let session = session.map(SessionId::new);
    let value = session.is_some().then(|| b"web2".to_vec());
    let entry = Entry {
        value,
        flags: LOCK_FLAG,
        session,
        modify_index: index,
    };
    Answer::Key(KeyRead {
        index,
        entry: Some(entry),
    })
}

/// The request named so, of those that the machine has handed out.
fn op(actions: &[Action], name: &str) -> OpId {
    let named = actions.iter().find_map(|action| match action {
        Action::Call { op, call, .. } => format!("{call:?}").starts_with(name).then_some(*op),
        Action::Remember { .. } | Action::Send { .. } => None,
    });
    named.unwrap_or(OpId(0))
}

/// A standby that watches another host lead.
fn standby() -> (Machine, OpId) {
    let params = Params {
        terms: TERMS,
        value: "web1".into(),
        session_name: "bench".into(),
        group: GroupId(1),
        before: Before::Nothing,
        options: Options::default(),
    };
    let (mut machine, actions) = Machine::start(params, NOW, 1);
    let mut answer = |actions: &[Action], name, answer| {
        let op = op(actions, name);
        machine.step(
            NOW,
            Event::Completed {
                op,
                result: Ok(answer),
            },
        )
    };
    let actions = answer(&actions, "Read", key(5, Some("theirs")));
    let actions = answer(
        &actions,
        "CreateSession",
        Answer::Created(SessionId::new("ours")),
    );
    let actions = answer(&actions, "Read", key(5, Some("theirs")));
    (machine, op(&actions, "Watch"))
}

/// From "the watch fired" to "acquire".
#[divan::bench]
fn watch_to_acquire(bencher: Bencher) {
    bencher
        .with_inputs(standby)
        .bench_values(|(mut machine, op)| {
            machine.step(
                NOW,
                Event::Completed {
                    op,
                    result: Ok(key(6, None)),
                },
            )
        });
}

/// From "it is ours" to "add the address".
#[divan::bench]
fn lease_to_add(bencher: Bencher) {
    let terms = Terms::managed(Duration::from_secs(3), Duration::from_secs(10));
    let target = VipTarget::HeldUntil(Lease::new(terms, NOW));
    let order = VipOrder { version: 1, target };
    let link = Some(LinkSeen {
        up: true,
        mac: None,
        moves: 0,
    });
    let seen = Observed {
        link,
        vips: Vec::new(),
        prefix: 32,
        ..Observed::default()
    };
    bencher
        .with_inputs(|| {
            let mut reconciler = Reconciler::new(Announcing::of([192, 0, 2, 1].into()));
            reconciler.looked(seen.clone());
            reconciler
        })
        .bench_values(|mut reconciler| reconciler.next(NOW, &order));
}
