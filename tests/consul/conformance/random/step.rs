//! One random operation, what it means to one Consul, and what is to be seen afterwards.

use std::time::Duration;

use fastrand::Rng;
use vip_elector::election::call::{Entry, FailureKind, SessionId};
use vip_sim::store::{Command, Health, Op, Session, Write};

use crate::conformance::interface::{Consul, NODE};

/// An operation that names keys, checks and sessions by their numbers.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Create { who: usize, lock_delay: Duration },
    Destroy(usize),
    Renew(usize),
    SetCheck(usize, Health),
    DeregisterCheck(usize),
    DeregisterNode,
    Put(Value),
    Delete(usize),
    Txn(Vec<Part>),
}

/// An operation of a transaction.
#[derive(Clone, Debug)]
pub(super) enum Part {
    CheckIndex(usize, Seen),
    CheckNotExists(usize),
    CheckSession(usize, usize),
    Set(Value),
    Lock(Value, usize),
    Unlock(Value, usize),
    Delete(usize),
}

/// Which of the key's indexes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Seen {
    Last,
    Earlier,
    Never,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Value {
    key: usize,
    text: &'static str,
    flags: u64,
}

const KEYS: usize = 2;
const CHECKS: usize = 2;
/// The first two are bound to a check each, the third to its node's health.
const SESSIONS: usize = 3;

impl Step {
    /// Draws the operation at this place; a sequence begins with everything that it needs.
    pub(super) fn draw(place: usize, draw: &mut Rng) -> Self {
        match place {
            0..CHECKS => return Self::SetCheck(place, Health::Passing),
            2..5 => return Self::create(place - CHECKS, draw),
            _ => {}
        }
        match draw.u8(..100) {
            0..10 => Self::create(draw.usize(..SESSIONS), draw),
            10..17 => Self::Destroy(draw.usize(..SESSIONS)),
            17..20 => Self::Renew(draw.usize(..SESSIONS)),
            20..25 => Self::SetCheck(draw.usize(..CHECKS), Health::Passing),
            25..28 => Self::SetCheck(draw.usize(..CHECKS), Health::Critical),
            28 => Self::DeregisterCheck(draw.usize(..CHECKS)),
            29 => Self::DeregisterNode,
            30..38 => Self::Put(Value::draw(draw)),
            38..46 => Self::Delete(draw.usize(..KEYS)),
            _ => Self::Txn((0..draw.usize(1..4)).map(|_| Part::draw(draw)).collect()),
        }
    }

    fn create(who: usize, draw: &mut Rng) -> Self {
        let lock_delay = if draw.u8(..4) == 0 {
            Duration::from_secs(60)
        } else {
            Duration::ZERO
        };
        Self::Create { who, lock_delay }
    }
}

impl Part {
    fn draw(draw: &mut Rng) -> Self {
        let (key, who) = (draw.usize(..KEYS), draw.usize(..SESSIONS));
        match draw.u8(..16) {
            0 | 1 => Self::CheckIndex(key, Seen::Last),
            2 => Self::CheckIndex(key, Seen::Earlier),
            3 => Self::CheckIndex(key, Seen::Never),
            4 => Self::CheckNotExists(key),
            5 => Self::CheckSession(key, who),
            6 => Self::Set(Value::draw(draw)),
            7..12 => Self::Lock(Value::draw(draw), who),
            12..15 => Self::Unlock(Value::draw(draw), who),
            _ => Self::Delete(key),
        }
    }
}

impl Value {
    fn draw(draw: &mut Rng) -> Self {
        Self {
            key: draw.usize(..KEYS),
            text: ["", "a", "b"][draw.usize(..3)],
            flags: [0, 7][draw.usize(..2)],
        }
    }
}

/// One Consul, and what its names and indexes are.
pub(super) struct Side<'a, C> {
    consul: &'a mut C,
    seed: u64,
    /// All sessions ever made.
    made: Vec<SessionId>,
    /// The last session of each.
    latest: [Option<SessionId>; SESSIONS],
    /// The modify indexes of each key, one after the other; 0 where it was missing.
    seen: [Vec<u64>; KEYS],
    /// The indexes after the last step.
    before: Vec<u64>,
}

/// What can be compared.
#[derive(Debug, PartialEq)]
pub(super) struct View {
    outcome: Result<Vec<Key>, FailureKind>,
    keys: Vec<Option<Key>>,
    alive: Vec<bool>,
    /// How the indexes before, in the answer and after compare with each other.
    ranks: Vec<usize>,
}

#[derive(Debug, PartialEq)]
struct Key {
    value: Option<Vec<u8>>,
    flags: u64,
    /// By number; `None` within for a session that nobody made.
    holder: Option<Option<usize>>,
}

impl View {
    pub(super) fn refusal(&self) -> Option<FailureKind> {
        self.outcome.as_ref().err().copied()
    }
}

impl<'a, C: Consul> Side<'a, C> {
    pub(super) fn new(consul: &'a mut C, seed: u64) -> Self {
        Self {
            consul,
            seed,
            made: Vec::new(),
            latest: [const { None }; SESSIONS],
            seen: [const { Vec::new() }; KEYS],
            before: Vec::new(),
        }
    }

    /// Carries out a step, and looks at everything.
    pub(super) async fn take(&mut self, step: &Step) -> View {
        let outcome = self.carry_out(step).await;
        let mut indexes = std::mem::take(&mut self.before);
        if let Ok(entries) = &outcome {
            indexes.extend(entries.iter().map(|entry| entry.modify_index));
        }
        let mut keys = Vec::new();
        for number in 0..KEYS {
            let read = self.consul.read(&self.key(number)).await;
            let modified = read.entry.as_ref().map_or(0, |entry| entry.modify_index);
            if self.seen[number].last() != Some(&modified) {
                self.seen[number].push(modified);
            }
            self.before.extend([modified, read.index]);
            keys.push(read.entry.map(|entry| self.view(entry)));
        }
        indexes.extend(&self.before);
        let mut alive = Vec::new();
        for id in self.made.iter().rev().take(2 * SESSIONS) {
            alive.push(self.consul.alive(id).await);
        }
        View {
            outcome: outcome.map(|entries| entries.into_iter().map(|e| self.view(e)).collect()),
            keys,
            alive,
            ranks: ranks(&indexes),
        }
    }

    async fn carry_out(&mut self, step: &Step) -> Result<Vec<Entry>, FailureKind> {
        let command = match step {
            Step::Create { who, lock_delay } => {
                let session = self.session(*who, *lock_delay);
                let id = self.consul.create(&session).await?;
                self.made.push(id.clone());
                self.latest[*who] = Some(id);
                return Ok(Vec::new());
            }
            Step::Renew(who) => {
                let id = self.id(*who);
                return self.consul.renew(&id).await.map(|()| Vec::new());
            }
            Step::Destroy(who) => Command::DestroySession(self.id(*who)),
            Step::SetCheck(check, health) => Command::SetCheck {
                node: self.node(),
                check: check_id(*check),
                health: *health,
            },
            Step::DeregisterCheck(check) => Command::DeregisterCheck {
                node: self.node(),
                check: check_id(*check),
            },
            Step::DeregisterNode => Command::DeregisterNode(self.node()),
            Step::Put(value) => Command::Put(self.write(*value)),
            Step::Delete(key) => Command::Delete(self.key(*key)),
            Step::Txn(parts) => Command::Txn(parts.iter().map(|part| self.op(part)).collect()),
        };
        self.consul.write(&command).await
    }

    fn op(&self, part: &Part) -> Op {
        match part {
            Part::CheckIndex(key, seen) => {
                let all = &self.seen[*key];
                let index = match seen {
                    Seen::Last => all.last(),
                    Seen::Earlier => all.iter().nth_back(1),
                    Seen::Never => None,
                };
                // No key was ever changed at index 1.
                Op::CheckIndex(self.key(*key), index.copied().unwrap_or(1))
            }
            Part::CheckNotExists(key) => Op::CheckNotExists(self.key(*key)),
            Part::CheckSession(key, who) => Op::CheckSession(self.key(*key), self.id(*who)),
            Part::Set(value) => Op::Set(self.write(*value)),
            Part::Lock(value, who) => Op::Lock(self.write(*value), self.id(*who)),
            Part::Unlock(value, who) => Op::Unlock(self.write(*value), self.id(*who)),
            Part::Delete(key) => Op::Delete(self.key(*key)),
        }
    }

    fn view(&self, entry: Entry) -> Key {
        Key {
            value: entry.value,
            flags: entry.flags,
            holder: entry
                .session
                .map(|id| self.made.iter().position(|made| *made == id)),
        }
    }

    fn session(&self, who: usize, lock_delay: Duration) -> Session {
        let (node, check) = if who < CHECKS {
            (self.node(), check_id(who))
        } else {
            (NODE.to_owned(), "serfHealth".to_owned())
        };
        Session {
            name: format!("s{who}"),
            node,
            ttl: Duration::from_secs(600),
            lock_delay,
            checks: vec![check],
        }
    }

    /// Returns the last session of a number, or one that never was.
    fn id(&self, who: usize) -> SessionId {
        let never = || SessionId::new("00000000-0000-4000-8000-000000000000");
        self.latest[who].clone().unwrap_or_else(never)
    }

    fn write(&self, value: Value) -> Write {
        Write {
            key: self.key(value.key),
            value: value.text.as_bytes().to_vec(),
            flags: value.flags,
        }
    }

    /// Sequences have keys and a node of their own, so that one Consul will do for many.
    fn key(&self, number: usize) -> String {
        format!("random/{}/k{number}", self.seed)
    }

    fn node(&self) -> String {
        format!("away-{}", self.seed)
    }
}

fn check_id(number: usize) -> String {
    format!("c{number}")
}

/// Replaces each number by how many smaller ones there are.
fn ranks(numbers: &[u64]) -> Vec<usize> {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let rank = |number| sorted.partition_point(|smaller| *smaller < number);
    numbers.iter().map(|number| rank(*number)).collect()
}
