//! Pure: what one Consul server holds, as far as an election can see it.
//!
//! Every server applies the same [`Command`]s in the same order, each when the news reaches it. What
//! they say is therefore the same on all of them, and what they do not say is not: the end of a
//! lock-delay is counted from the instant at which *this* server saw the session die.
//!
//! A command passes two gates. The raft leader [admits](Store::admit) it, looking at what it has
//! applied until then, and only then does it enter the log. When it has come through the log,
//! [`Store::apply`] decides the rest. The lock-delay is looked at in the first gate and never in the
//! second: a lock that was admitted in time is carried out even if its key's holder dies in between.

mod catalog;
mod keys;
mod timers;
mod txn;

use std::collections::BTreeMap;
use std::time::Duration;

use vip_elector::election::call::{Entry, FailureKind, KeyRead, SessionId};

use catalog::Catalog;
use keys::Keys;

pub use catalog::Health;
pub use keys::Listing;
pub use timers::Timers;
pub use txn::{Op, Write};

/// No lock-delay is longer, whatever the session asked for.
pub const MAX_LOCK_DELAY: Duration = Duration::from_secs(60);

/// Consul takes no session with a shorter TTL, unless it is told to.
const MIN_TTL: Duration = Duration::from_secs(10);
const MAX_TTL: Duration = Duration::from_secs(86_400);

/// The state of one server. A clone of it is a server that has applied the same log.
#[derive(Clone, Debug, Default)]
pub struct Store {
    index: u64,
    keys: Keys,
    sessions: BTreeMap<SessionId, Session>,
    catalog: Catalog,
    /// Until when a key is refused to everybody, on this server's clock.
    delays: BTreeMap<String, Duration>,
}

/// A live session with behavior `delete`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// What its creator called it.
    pub name: String,
    /// The node that it dies with.
    pub node: String,
    /// How long it lives without being renewed, at least.
    pub ttl: Duration,
    /// How long nobody gets its keys after its death.
    pub lock_delay: Duration,
    /// The checks of its node that it dies with; `serfHealth` only if it is among them.
    pub checks: Vec<String>,
}

/// What goes through the raft log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Makes a session. Refused while its node or one of its checks is missing or critical.
    CreateSession {
        /// Unique for ever; Consul's raft leader draws it.
        id: SessionId,
        /// What it shall be.
        session: Session,
    },
    /// Ends a session, if it still lives. A TTL that is over does the same.
    DestroySession(SessionId),
    /// Registers a node, if it is not there.
    RegisterNode(String),
    /// Removes a node with its checks. Ends its sessions.
    DeregisterNode(String),
    /// Registers a check, and its node, or changes its state. Ends the sessions that are bound to a
    /// check that is critical.
    SetCheck {
        /// Its node.
        node: String,
        /// Its id.
        check: String,
        /// Its new state.
        health: Health,
    },
    /// Removes a check. Ends the sessions that are bound to it.
    DeregisterCheck {
        /// Its node.
        node: String,
        /// Its id.
        check: String,
    },
    /// Writes a key, locked or not; who holds it stays.
    Put(Write),
    /// Deletes a key, locked or not; that there is none is no failure.
    Delete(String),
    /// Carries out all of it or nothing.
    Txn(Vec<Op>),
}

/// What became of a command: the keys that a transaction leaves, without their values, or the reason
/// for which nothing was done.
pub type Reply = Result<Vec<Entry>, FailureKind>;

impl Store {
    /// Returns the server of a new cluster: no nodes, no sessions, no keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a server that was restored from a snapshot of this one. It knows of no lock-delay.
    pub fn restored(&self) -> Self {
        Self {
            delays: BTreeMap::new(),
            ..self.clone()
        }
    }

    /// Says whether this server, as raft leader, lets a command into the log.
    ///
    /// # Errors
    /// `LockDelayed` for a transaction that locks a key too early; `Refused` for a TTL that Consul
    /// does not take.
    pub fn admit(&self, now: Duration, command: &Command) -> Result<(), FailureKind> {
        match command {
            Command::CreateSession { session, .. } => {
                if (MIN_TTL..=MAX_TTL).contains(&session.ttl) {
                    Ok(())
                } else {
                    Err(FailureKind::Refused)
                }
            }
            Command::Txn(operations) => {
                let delayed = |operation: &Op| match operation {
                    Op::Lock(write, _) => self
                        .delays
                        .get(&write.key)
                        .is_some_and(|until| now < *until),
                    Op::CheckIndex(..)
                    | Op::CheckNotExists(_)
                    | Op::CheckSession(..)
                    | Op::Set(_)
                    | Op::Unlock(..)
                    | Op::Delete(_) => false,
                };
                if operations.iter().any(delayed) {
                    Err(FailureKind::LockDelayed)
                } else {
                    Ok(())
                }
            }
            Command::DestroySession(_)
            | Command::RegisterNode(_)
            | Command::DeregisterNode(_)
            | Command::SetCheck { .. }
            | Command::DeregisterCheck { .. }
            | Command::Put(_)
            | Command::Delete(_) => Ok(()),
        }
    }

    /// Carries out a command that has come through the log, at `now` on this server's clock.
    ///
    /// # Errors
    /// Why nothing was done; the same on every server.
    pub fn apply(&mut self, now: Duration, command: &Command) -> Reply {
        self.index += 1;
        match command {
            Command::CreateSession { id, session } => {
                self.catalog.admits(&session.node, &session.checks)?;
                self.sessions.insert(id.clone(), session.clone());
            }
            Command::DestroySession(id) => self.end(now, id),
            Command::RegisterNode(node) => self.catalog.register(node),
            Command::DeregisterNode(node) => {
                self.catalog.deregister(node);
                self.end_all(now, |session| session.node == *node);
            }
            Command::SetCheck {
                node,
                check,
                health,
            } => {
                self.catalog.set(node, check, *health);
                match health {
                    Health::Passing => {}
                    Health::Critical => self.end_bound(now, node, check),
                }
            }
            Command::DeregisterCheck { node, check } => {
                self.catalog.remove(node, check);
                self.end_bound(now, node, check);
            }
            Command::Put(write) => self.keys.set(self.index, write),
            Command::Delete(key) => self.keys.delete(self.index, key),
            Command::Txn(operations) => return self.transact(operations),
        }
        Ok(Vec::new())
    }

    /// Reads a key as this server knows it.
    pub fn read(&self, key: &str) -> KeyRead {
        self.keys.read(key)
    }

    /// Returns the index of [`read`](Self::read) alone.
    pub fn index_at(&self, key: &str) -> u64 {
        self.keys.index_at(key)
    }

    /// Reads all keys below a prefix as this server knows them.
    pub fn list(&self, prefix: &str) -> Listing {
        self.keys.list(prefix)
    }

    /// Returns the index of [`list`](Self::list) alone.
    pub fn index_below(&self, prefix: &str) -> u64 {
        self.keys.index_below(prefix)
    }

    /// Returns how a check of a node is, if there is one.
    pub fn check(&self, node: &str, check: &str) -> Option<Health> {
        self.catalog.check(node, check)
    }

    /// Returns a live session.
    pub fn session(&self, id: &SessionId) -> Option<&Session> {
        self.sessions.get(id)
    }

    /// Returns all live sessions.
    pub fn sessions(&self) -> impl Iterator<Item = (&SessionId, &Session)> {
        self.sessions.iter()
    }

    /// Returns the keys that a session holds.
    pub fn held_by(&self, id: &SessionId) -> Vec<String> {
        self.keys.held_by(id)
    }

    /// Returns the number of commands applied.
    pub fn index(&self) -> u64 {
        self.index
    }

    fn transact(&mut self, operations: &[Op]) -> Reply {
        let mut keys = self.keys.clone();
        let alive = |id: &SessionId| self.sessions.contains_key(id);
        let entries = txn::run(&mut keys, self.index, &alive, operations)?;
        self.keys = keys;
        Ok(entries)
    }

    fn end_bound(&mut self, now: Duration, node: &str, check: &str) {
        self.end_all(now, |session| {
            session.node == node && session.checks.iter().any(|bound| bound == check)
        });
    }

    fn end_all(&mut self, now: Duration, dies: impl Fn(&Session) -> bool) {
        let ids: Vec<SessionId> = self
            .sessions
            .iter()
            .filter(|(_, session)| dies(session))
            .map(|(id, _)| id.clone())
            .collect();
        for id in ids {
            self.end(now, &id);
        }
    }

    /// Ends a session: the keys it holds go, and are refused for its lock-delay.
    fn end(&mut self, now: Duration, id: &SessionId) {
        let Some(session) = self.sessions.remove(id) else {
            return;
        };
        let until = now + session.lock_delay.min(MAX_LOCK_DELAY);
        for key in self.keys.held_by(id) {
            self.keys.delete(self.index, &key);
            if until > now {
                self.delay(now, key, until);
            }
        }
    }

    /// Refuses a key from now on. Consul forgets a key's lock-delay when the first that was ever
    /// begun is over, also where another has begun since.
    fn delay(&mut self, now: Duration, key: String, until: Duration) {
        let running = self.delays.get(&key).filter(|running| **running > now);
        let first = running.map_or(until, |running| until.min(*running));
        self.delays.insert(key, first);
    }
}

#[cfg(test)]
mod tests;
