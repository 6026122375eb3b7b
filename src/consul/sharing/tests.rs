//! What the groups of one process get of what they ask.

mod joining;
mod leaving;
mod travelling;

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::election::call::{Entry, KeyRead, LOCK_FLAG, SessionId};

pub(super) const A: Seat = Seat(1);
pub(super) const B: Seat = Seat(2);
pub(super) const C: Seat = Seat(3);
pub(super) const ONE: Bond = Bond(1);
pub(super) const TWO: Bond = Bond(2);

pub(super) const SECOND: Duration = Duration::from_secs(1);

pub(super) type Outcome = Result<Answer, Failure>;

/// A process, and what has become of its calls.
#[derive(Debug, Default)]
pub(super) struct Bench {
    pub(super) sharing: Sharing,
    now: Timestamp,
    answered: BTreeMap<Ticket, Outcome>,
}

impl Bench {
    /// These groups, of one bond, with nothing before them.
    pub(super) fn of(seats: &[Seat]) -> Self {
        let mut bench = Self::default();
        for seat in seats {
            bench.sharing.enter(*seat, ONE, &Before::Nothing);
        }
        bench
    }

    /// These groups with one session, which was made for the first and given to the others.
    pub(super) fn sharing(seats: &[Seat], session: &str) -> Self {
        let mut bench = Self::of(seats);
        let tickets: Vec<Ticket> = seats
            .iter()
            .map(|seat| bench.ask(*seat, create()))
            .collect();
        let errand = bench.only();
        bench.done(&errand, vec![created(session)]);
        for ticket in tickets {
            assert_eq!(bench.answer(ticket), Some(created(session)));
        }
        bench
    }

    pub(super) fn breaking(mut self, rule: Rule) -> Self {
        self.sharing = self.sharing.breaking(rule);
        self
    }

    pub(super) fn passes(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    pub(super) fn ask(&mut self, seat: Seat, call: Call) -> Ticket {
        self.sharing.ask(self.now, seat, call, 2 * SECOND)
    }

    /// Everything that goes out now.
    pub(super) fn sent(&mut self) -> Vec<Errand> {
        std::iter::from_fn(|| self.sharing.next_errand()).collect()
    }

    /// The one request that goes out now.
    #[track_caller]
    pub(super) fn only(&mut self) -> Errand {
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.remove(0)
    }

    /// The one change that goes out now, of one group.
    #[track_caller]
    pub(super) fn only_change(&mut self) -> (Errand, Call) {
        let errand = self.only();
        match &errand.what {
            What::Change(calls) if calls.len() == 1 => {
                let call = calls[0].1.clone();
                (errand, call)
            }
            What::Change(_) | What::Read(_) | What::One(..) => panic!("{errand:?}"),
        }
    }

    pub(super) fn done(&mut self, errand: &Errand, results: Vec<Outcome>) {
        self.sharing.done(self.now, errand.id, results);
    }

    /// What a call was answered, if it was.
    pub(super) fn answer(&mut self, ticket: Ticket) -> Option<Outcome> {
        self.answered.extend(self.sharing.answers());
        self.answered.get(&ticket).cloned()
    }

    /// Asks for what is answered without a request.
    #[track_caller]
    pub(super) fn at_once(&mut self, seat: Seat, call: Call) -> Outcome {
        let ticket = self.ask(seat, call);
        let answer = self.answer(ticket);
        let Some(answer) = answer else {
            panic!("not answered: {:?}", self.sent())
        };
        assert_eq!(self.sent(), []);
        answer
    }

    /// Asks for what takes one request, which is answered so.
    #[track_caller]
    pub(super) fn by_request(&mut self, seat: Seat, call: Call, result: Outcome) {
        let ticket = self.ask(seat, call.clone());
        let errand = self.only();
        match &errand.what {
            What::One(_, sent) => assert_eq!(*sent, call),
            What::Change(calls) => assert_eq!(*calls, [(seat, call)]),
            What::Read(seats) => assert_eq!((call, &**seats), (Call::Read, &[seat][..])),
        }
        self.done(&errand, vec![result.clone()]);
        assert_eq!(self.answer(ticket), Some(result));
    }

    /// The group leaves a session with a read that shows this, and a transaction.
    #[track_caller]
    pub(super) fn leaves(&mut self, seat: Seat, session: &str, seen: Option<Entry>) {
        let ticket = self.ask(seat, destroy(session));
        self.lets_go(seat, session, seen);
        assert_eq!(self.answer(ticket), Some(Ok(Answer::Done)));
    }

    /// A read shows this, and a transaction follows that is carried out.
    #[track_caller]
    pub(super) fn lets_go(&mut self, seat: Seat, session: &str, seen: Option<Entry>) {
        let errand = self.only();
        assert_eq!(errand.what, What::Read(vec![seat]));
        self.done(&errand, vec![shown(seen.clone())]);
        let (errand, call) = self.only_change();
        assert_eq!(call, let_go(session, seen));
        self.done(&errand, vec![Ok(Answer::Done)]);
    }
}

pub(super) fn id(session: &str) -> SessionId {
    SessionId::new(session)
}

pub(super) fn create() -> Call {
    Call::CreateSession {
        name: "p-0".to_owned(),
        liveness: false,
    }
}

pub(super) fn find(session: &str) -> Call {
    Call::FindSession {
        name: "p-0".to_owned(),
        id: Some(id(session)),
    }
}

pub(super) fn renew(session: &str) -> Call {
    Call::RenewSession(id(session))
}

pub(super) fn destroy(session: &str) -> Call {
    Call::DestroySession(id(session))
}

pub(super) fn release(session: &str) -> Call {
    Call::Release {
        session: id(session),
        registered: true,
    }
}

pub(super) fn let_go(session: &str, seen: Option<Entry>) -> Call {
    Call::LetGo {
        session: id(session),
        seen,
        registered: true,
    }
}

pub(super) fn created(session: &str) -> Outcome {
    Ok(Answer::Created(id(session)))
}

pub(super) fn found(session: &str) -> Outcome {
    Ok(Answer::Found(Some(id(session))))
}

pub(super) fn key(session: Option<&str>, index: u64) -> Entry {
    Entry {
        value: Some(b"host".to_vec()),
        flags: LOCK_FLAG,
        session: session.map(id),
        modify_index: index,
    }
}

pub(super) fn shown(entry: Option<Entry>) -> Outcome {
    Ok(Answer::Key(KeyRead { index: 9, entry }))
}

pub(super) fn failed(kind: FailureKind) -> Outcome {
    Err(Failure {
        kind,
        message: "no".to_owned(),
    })
}
