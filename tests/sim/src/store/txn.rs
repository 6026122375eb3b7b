//! Pure: transactions. All operations or none, and why none.

use vip_elector::election::call::{Entry, FailureKind, SessionId};

use super::Reply;
use super::keys::Keys;

/// One operation of a transaction; those of [`vip_elector::consul::txn::Op`] that an election needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Fails unless the key exists and was last changed at this index.
    CheckIndex(String, u64),
    /// Fails if the key exists.
    CheckNotExists(String),
    /// Fails unless this session holds the key.
    CheckSession(String, SessionId),
    /// Writes the key, locked or not.
    Set(Write),
    /// Takes the lock and writes the key; once more by the same session just writes.
    Lock(Write, SessionId),
    /// Writes the key and gives the lock up; fails unless this session holds it.
    Unlock(Write, SessionId),
    /// Deletes the key; that there is none is no failure.
    Delete(String),
}

/// What a key shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Its name.
    pub key: String,
    /// An empty one is read as none.
    pub value: Vec<u8>,
    /// Opaque to Consul.
    pub flags: u64,
}

/// Carries out operations on `keys`, which are worth nothing afterwards if it fails.
///
/// Each operation sees what those before it did, and all are tried: where several fail, the most
/// telling reason counts.
pub(super) fn run(
    keys: &mut Keys,
    index: u64,
    alive: &impl Fn(&SessionId) -> bool,
    operations: &[Op],
) -> Reply {
    let (mut entries, mut reasons) = (Vec::new(), Vec::new());
    for operation in operations {
        match one(keys, index, alive, operation) {
            Ok(Some(entry)) => entries.push(Entry {
                value: None,
                ..entry
            }),
            Ok(None) => {}
            Err(reason) => reasons.push(reason),
        }
    }
    let telling = [
        FailureKind::SessionGone,
        FailureKind::Held,
        FailureKind::Changed,
    ];
    match telling.into_iter().find(|kind| reasons.contains(kind)) {
        Some(kind) => Err(kind),
        None => Ok(entries),
    }
}

fn one(
    keys: &mut Keys,
    index: u64,
    alive: &impl Fn(&SessionId) -> bool,
    operation: &Op,
) -> Result<Option<Entry>, FailureKind> {
    let key = match operation {
        Op::CheckIndex(key, seen) => {
            let same = keys
                .get(key)
                .is_some_and(|entry| entry.modify_index == *seen);
            unless(same, FailureKind::Changed)?;
            key
        }
        Op::CheckNotExists(key) => {
            unless(keys.get(key).is_none(), FailureKind::Changed)?;
            key
        }
        Op::CheckSession(key, session) => {
            unless(holder(keys, key) == Some(session), FailureKind::Changed)?;
            key
        }
        Op::Set(write) => {
            keys.set(index, write);
            &write.key
        }
        Op::Lock(write, session) => {
            unless(alive(session), FailureKind::SessionGone)?;
            let free = holder(keys, &write.key).is_none_or(|holder| holder == session);
            unless(free, FailureKind::Held)?;
            keys.lock(index, write, session);
            &write.key
        }
        Op::Unlock(write, session) => {
            let ours = holder(keys, &write.key) == Some(session);
            unless(ours, FailureKind::Changed)?;
            keys.unlock(index, write);
            &write.key
        }
        Op::Delete(key) => {
            keys.delete(index, key);
            return Ok(None);
        }
    };
    Ok(keys.get(key).cloned())
}

fn holder<'a>(keys: &'a Keys, key: &str) -> Option<&'a SessionId> {
    keys.get(key)?.session.as_ref()
}

fn unless(fine: bool, reason: FailureKind) -> Result<(), FailureKind> {
    if fine { Ok(()) } else { Err(reason) }
}
