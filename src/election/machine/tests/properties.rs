//! Invariants that hold whatever happens, in whatever order.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::election::candidate::GroupRead;

#[derive(Clone, Debug)]
enum Op {
    Pass(u16),
    /// Answers one of the requests under way, the n-th, in the k-th of the possible ways.
    Answer(u8, u8),
    /// Answers a request that was answered before.
    AnswerAgain(u8, u8),
    Report {
        held: bool,
        blocked: bool,
        stale: bool,
    },
    /// Whether the runtime directory takes notes.
    Remembers(bool),
    Stop,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => (0u16..2000).prop_map(Op::Pass),
        20 => (any::<u8>(), any::<u8>()).prop_map(|(n, k)| Op::Answer(n, k)),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(n, k)| Op::AnswerAgain(n, k)),
        6 => (any::<bool>(), prop::bool::weighted(0.1), prop::bool::weighted(0.1))
            .prop_map(|(held, blocked, stale)| Op::Report { held, blocked, stale }),
        1 => any::<bool>().prop_map(Op::Remembers),
        1 => Just(Op::Stop),
    ];
    prop::collection::vec(op, 1..200)
}

/// An answer that Consul might give; mostly a kind one, so that the machine gets somewhere.
fn answer(call: &Call, index: u64, choice: u8) -> Result<Answer, Failure> {
    let choice = choice % 16;
    let unkind = [
        FailureKind::Unavailable,
        FailureKind::SessionGone,
        FailureKind::Denied,
        FailureKind::Changed,
        FailureKind::Held,
        FailureKind::LockDelayed,
    ];
    if let Some(kind) = unkind.get(usize::from(choice)) {
        return Err(failure(*kind));
    }
    Ok(match call {
        Call::CreateSession { .. } => Answer::Created(SessionId::new(format!("ours-{index}"))),
        Call::FindSession { name, .. } => {
            Answer::Found((name == "before-0" && choice < 14).then(|| SessionId::new("ours")))
        }
        Call::SessionLockDelay(_) => Answer::LockDelay(Some(D)),
        Call::Read | Call::Watch { .. } | Call::WatchThroughLeader { .. } => {
            Answer::Key(match choice {
                6 => held(index, "theirs"),
                7 => missing(index),
                8 => abandoned(index),
                9 => released(index),
                // The newest session that anybody may have.
                _ => held(index, "newest"),
            })
        }
        Call::RenewSession(_)
        | Call::DestroySession(_)
        | Call::MarkVacant
        | Call::Acquire { .. }
        | Call::Restore(_)
        | Call::Release { .. }
        | Call::HandOver { .. }
        | Call::RegisterService { .. }
        | Call::Feed
        | Call::DeregisterService
        | Call::Register(_)
        | Call::Unregister(_)
        | Call::DropRequest { .. }
        | Call::Depose(_)
        | Call::LetGo { .. } => Answer::Done,
        Call::WatchGroup { .. } => Answer::Group(GroupRead {
            index,
            candidates: Vec::new(),
            request: None,
            drained: Vec::new(),
        }),
    })
}

/// What must stay true, and what it takes to say so.
struct Watcher {
    bench: Bench,
    issued: BTreeMap<OpId, Timestamp>,
    proofs: BTreeSet<Timestamp>,
    spent: BTreeSet<SessionId>,
    answered: Vec<(OpId, Call)>,
    index: u64,
    off_since_order: Option<u64>,
}

impl Watcher {
    fn new(terms: Terms, before: Before) -> Self {
        Self {
            bench: Bench::after(terms, before),
            issued: BTreeMap::new(),
            proofs: BTreeSet::new(),
            spent: BTreeSet::new(),
            answered: Vec::new(),
            index: 10,
            off_since_order: None,
        }
    }

    fn own(&self) -> Option<SessionId> {
        self.bench.machine.status().session
    }

    fn complete(&mut self, op: OpId, call: &Call, choice: u8) {
        self.index += 1;
        let mut result = answer(call, self.index, choice);
        if let Ok(Answer::Key(KeyRead {
            entry: Some(entry), ..
        })) = &mut result
            && entry.session == Some(SessionId::new("newest"))
        {
            entry.session = self.own();
        }
        let own = self.own();
        let proves = match (call, &result) {
            (Call::Acquire { .. }, Ok(_)) => true,
            (
                Call::Read,
                Ok(Answer::Key(KeyRead {
                    entry: Some(entry), ..
                })),
            ) => entry.session == own,
            _ => false,
        };
        if proves {
            self.proofs.insert(self.issued[&op]);
        }
        self.bench.step(Event::Completed { op, result });
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Pass(millis) => {
                self.bench.now = self.bench.now + ms(u64::from(millis));
                self.bench.step(Event::DeadlineReached);
            }
            Op::Answer(n, choice) => {
                let count = self.bench.under_way.len();
                if count > 0 {
                    let (op, call) = self.bench.under_way.remove(usize::from(n) % count);
                    self.answered.push((op, call.clone()));
                    self.complete(op, &call, choice);
                }
            }
            Op::AnswerAgain(n, choice) => {
                if let Some((op, call)) = self
                    .answered
                    .get(usize::from(n) % self.answered.len().max(1))
                    .cloned()
                {
                    let before = self.bench.machine.status();
                    let mut result = answer(&call, self.index, choice);
                    if let Ok(Answer::Key(key)) = &mut result {
                        *key = held(key.index, "ours");
                    }
                    self.bench.step(Event::Completed { op, result });
                    let after = self.bench.machine.status();
                    // Time may have passed a deadline; nothing else may have changed.
                    if matches!(after.phase, Phase::Leading(_)) {
                        assert_eq!(before.phase, after.phase);
                    }
                }
            }
            Op::Report {
                held,
                blocked,
                stale,
            } => {
                let order = self.bench.machine.vip_order().unwrap();
                let version = order.version.saturating_sub(u64::from(stale));
                if version == order.version {
                    self.off_since_order = (!held).then_some(version);
                }
                let blocker = blocked.then_some(Blocker::InterfaceDown);
                self.bench.step(Event::Vip(VipReport {
                    version,
                    held,
                    blocker,
                }));
            }
            Op::Remembers(remembers) => self.bench.remembers = remembers,
            Op::Stop => self.bench.step(Event::Stop),
        }
        self.check();
    }

    fn check(&mut self) {
        let now = self.bench.now;
        let order = self.bench.machine.vip_order().unwrap();
        if let VipTarget::HeldUntil(lease) = order.target {
            assert!(lease.is_live(now), "held without a live lease");
            assert!(
                self.proofs.contains(&lease.confirmed_at()),
                "a lease that nothing proves"
            );
            assert!(self.bench.leads());
            assert!(
                !self.spent.contains(&self.own().unwrap()),
                "led by a spent session"
            );
        }
        let mut kinds = BTreeMap::<String, u32>::new();
        for (op, call) in self.bench.under_way.clone() {
            if self.issued.contains_key(&op) {
                continue;
            }
            self.issued.insert(op, now);
            match &call {
                Call::Release { session, .. } | Call::HandOver { session, .. } => {
                    assert_eq!(order.target, VipTarget::Absent);
                    assert_eq!(
                        self.off_since_order,
                        Some(order.version),
                        "released too early"
                    );
                    let spent = |note: &Note| matches!(note, Note::Spent { session: id, .. } if id == session);
                    assert!(
                        self.bench.notes.last().is_some_and(spent),
                        "released unremembered"
                    );
                    self.spent.insert(session.clone());
                }
                Call::DestroySession(session) => {
                    self.spent.insert(session.clone());
                }
                Call::Acquire { session, .. } | Call::Restore(session) => {
                    assert!(
                        !self.spent.contains(session),
                        "asked for by a spent session"
                    );
                }
                Call::CreateSession { .. }
                | Call::FindSession { .. }
                | Call::RenewSession(_)
                | Call::SessionLockDelay(_)
                | Call::Read
                | Call::Watch { .. }
                | Call::WatchThroughLeader { .. }
                | Call::MarkVacant
                | Call::RegisterService { .. }
                | Call::Feed
                | Call::DeregisterService
                | Call::WatchGroup { .. }
                | Call::Register(_)
                | Call::Unregister(_)
                | Call::DropRequest { .. }
                | Call::Depose(_)
                | Call::LetGo { .. } => {}
            }
            let name = call.to_string();
            *kinds.entry(name).or_default() += 1;
        }
        assert!(
            kinds.values().all(|count| *count == 1),
            "asked twice in one step: {kinds:?}"
        );
        if let Some((at, reason)) = self.bench.machine.deadline() {
            assert!(at > now, "{reason:?} is due and was not acted on");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn the_address_is_only_held_on_a_live_lease_and_only_given_up_when_off(
        ops in ops(),
        lock_delay in prop_oneof![Just(ms(1000)), Just(ms(3000)), Just(ms(12_000))],
        before in prop_oneof![Just(Before::Nothing), Just(adoptable()), Just(Before::Leftover { name: "before-0".into(), session: None })],
    ) {
        let mut watcher = Watcher::new(Terms::managed(lock_delay, T), before);
        watcher.check();
        for op in ops {
            watcher.apply(op);
        }
    }
}
