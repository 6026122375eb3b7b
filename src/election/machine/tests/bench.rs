//! A machine on the bench: requests are answered by hand, and time passes when it is told to.

use super::*;
use crate::election::candidate::{Candidate, GroupRead, Request};

/// A machine, its clock, and the requests that it waits for.
pub(super) struct Bench {
    pub(super) machine: Machine,
    pub(super) now: Timestamp,
    pub(super) under_way: Vec<(OpId, Call)>,
    /// What was said to other hosts, in order.
    pub(super) sent: Vec<Datagram>,
    /// What was remembered, in order.
    pub(super) notes: Vec<Note>,
    /// Whether the runtime directory takes a note.
    pub(super) remembers: bool,
}

impl Bench {
    pub(super) fn start(terms: Terms) -> Self {
        Self::after(terms, Before::Nothing)
    }

    pub(super) fn after(terms: Terms, before: Before) -> Self {
        Self::of(Params {
            before,
            ..params(terms)
        })
    }

    /// A standby with the session `ours` that sees `theirs` lead, and these among the candidates.
    pub(super) fn with(options: Options, candidates: Vec<Candidate>) -> Self {
        let mut bench = Self::of(Params {
            options,
            ..params(Terms::managed(D, T))
        });
        bench.off();
        bench.answer_read(held(5, "theirs"));
        if bench.asks("RegisterService") {
            bench.answer("RegisterService", Ok(Answer::Done));
        }
        bench.answer("CreateSession", Ok(Answer::Created(SessionId::new("ours"))));
        bench.answer_read(held(5, "theirs"));
        bench.answer_group(6, candidates, None);
        bench
    }

    /// The same as a leader since now.
    pub(super) fn leading(options: Options, candidates: Vec<Candidate>) -> Self {
        let mut bench = Self::with(options, candidates);
        bench.answer("Watch {", Ok(Answer::Key(released(7))));
        bench.answer("Acquire", Ok(Answer::Done));
        bench.on();
        assert!(bench.leads());
        bench
    }

    pub(super) fn of(params: Params) -> Self {
        let now = Timestamp::from_boot(Duration::from_secs(1000));
        let (machine, actions) = Machine::start(params, now, 7);
        let mut bench = Self {
            machine,
            now,
            under_way: Vec::new(),
            sent: Vec::new(),
            notes: Vec::new(),
            remembers: true,
        };
        bench.take(actions);
        bench
    }

    /// A standby with the session `ours` that has asked for its first proof.
    pub(super) fn standby(terms: Terms) -> Self {
        let mut bench = Self::start(terms);
        bench.off();
        bench.answer_read(held(5, "theirs"));
        bench.answer("CreateSession", Ok(Answer::Created(SessionId::new("ours"))));
        bench
    }

    /// A leader since now, whose acquire took no time.
    pub(super) fn leader(terms: Terms) -> Self {
        let mut bench = Self::standby(terms);
        bench.answer_read(released(6));
        bench.answer("Acquire", Ok(Answer::Done));
        assert!(bench.leads());
        bench.on();
        bench
    }

    pub(super) fn step(&mut self, event: Event) {
        let actions = self.machine.step(self.now, event);
        self.take(actions);
    }

    fn take(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Call { op, call, .. } => self.under_way.push((op, call)),
                Action::Send { datagram, .. } => self.sent.push(datagram),
                Action::Remember { op, note } => {
                    let kept = self.remembers;
                    if kept {
                        self.notes.push(note);
                    }
                    self.step(Event::Remembered { op, kept });
                }
            }
        }
    }

    /// Lets time pass, stopping at every deadline on the way.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some((at, _)) = self.machine.deadline().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            self.step(Event::DeadlineReached);
        }
        self.now = end;
        self.step(Event::DeadlineReached);
    }

    /// Answers the one request under way whose name begins so, or that goes out in a moment.
    pub(super) fn answer(&mut self, name: &str, result: Result<Answer, Failure>) {
        if !self.asks(name) {
            self.pass(ms(50));
        }
        let op = self.remove(name).expect(name);
        self.step(Event::Completed { op, result });
    }

    pub(super) fn answer_read(&mut self, key: KeyRead) {
        self.answer("Read", Ok(Answer::Key(key)));
    }

    pub(super) fn answer_group(
        &mut self,
        index: u64,
        candidates: Vec<Candidate>,
        request: Option<Request>,
    ) {
        let read = GroupRead {
            index,
            candidates,
            request,
            drained: Vec::new(),
        };
        self.answer("WatchGroup", Ok(Answer::Group(read)));
    }

    pub(super) fn answer_drained(
        &mut self,
        index: u64,
        candidates: Vec<Candidate>,
        drained: &[&str],
    ) {
        let read = GroupRead {
            index,
            candidates,
            request: None,
            drained: drained.iter().map(ToString::to_string).collect(),
        };
        self.answer("WatchGroup", Ok(Answer::Group(read)));
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<OpId> {
        let at = self
            .under_way
            .iter()
            .position(|(_, call)| format!("{call:?}").starts_with(name))?;
        Some(self.under_way.remove(at).0)
    }

    pub(super) fn asks(&self, name: &str) -> bool {
        self.under_way
            .iter()
            .any(|(_, call)| format!("{call:?}").starts_with(name))
    }

    pub(super) fn report(&mut self, held: bool, blocker: Option<Blocker>) {
        if let Some(order) = self.machine.vip_order() {
            self.step(Event::Vip(VipReport {
                version: order.version,
                held,
                blocker,
            }));
        }
    }

    pub(super) fn on(&mut self) {
        self.report(true, None);
    }

    pub(super) fn off(&mut self) {
        self.report(false, None);
    }

    pub(super) fn blocked(&mut self) {
        self.report(false, Some(Blocker::InterfaceDown));
    }

    pub(super) fn leads(&self) -> bool {
        matches!(self.machine.status().phase, Phase::Leading(_))
    }

    pub(super) fn lease(&self) -> Lease {
        let status = self.machine.status();
        if let Phase::Leading(lease) = status.phase {
            return lease;
        }
        panic!("not leading: {status:?}");
    }
}
