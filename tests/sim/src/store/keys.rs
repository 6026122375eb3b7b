//! Pure: the keys, who holds them, and when they changed.

use std::collections::BTreeMap;
use std::ops::Bound;

use vip_elector::election::call::{Entry, KeyRead, SessionId};

use super::txn::Write;

/// All keys, and the index of the last change to any of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    entries: BTreeMap<String, Stored>,
    /// Deletions count, so that it never goes back.
    changed: u64,
    /// When each key was last deleted. (Consul forgets it after a quarter of an hour.)
    deleted: BTreeMap<String, u64>,
}

/// The keys below a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// `X-Consul-Index`: what the next blocking read waits on. Never 0.
    pub index: u64,
    /// Each with its name.
    pub entries: Vec<(String, Entry)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Stored {
    entry: Entry,
    /// How often the lock was taken. Not shown, but a change of it is a change of the key.
    locks: u64,
}

impl Keys {
    /// Reads a key. The index of one that is not there is that of the last change to any key.
    pub(super) fn read(&self, key: &str) -> KeyRead {
        KeyRead {
            index: self.index_at(key),
            entry: self.get(key).cloned(),
        }
    }

    pub(super) fn index_at(&self, key: &str) -> u64 {
        let entry = self.get(key);
        entry
            .map_or(self.changed, |entry| entry.modify_index)
            .max(1)
    }

    /// Reads all keys below a prefix.
    pub(super) fn list(&self, prefix: &str) -> Listing {
        let entries = below(&self.entries, prefix);
        Listing {
            index: self.index_below(prefix),
            entries: entries
                .map(|(key, stored)| (key.clone(), stored.entry.clone()))
                .collect(),
        }
    }

    /// The index of a prefix is that of the last change below it, deletions among them; where nothing ever
    /// was, that of the last change to any key.
    pub(super) fn index_below(&self, prefix: &str) -> u64 {
        let living = below(&self.entries, prefix).map(|(_, stored)| stored.entry.modify_index);
        let dead = below(&self.deleted, prefix).map(|(_, index)| *index);
        living.chain(dead).max().unwrap_or(self.changed).max(1)
    }

    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key).map(|stored| &stored.entry)
    }

    /// Returns the keys that a session holds.
    pub(super) fn held_by(&self, id: &SessionId) -> Vec<String> {
        self.entries
            .iter()
            .filter(|(_, stored)| stored.entry.session.as_ref() == Some(id))
            .map(|(key, _)| key.clone())
            .collect()
    }

    /// Writes a key and leaves its holder alone. The count of its locks starts over.
    pub(super) fn set(&mut self, index: u64, write: &Write) {
        let session = self.get(&write.key).and_then(|entry| entry.session.clone());
        self.store(index, write, session, 0);
    }

    /// Writes a key and makes `session` its holder, who must not be another one's.
    pub(super) fn lock(&mut self, index: u64, write: &Write, session: &SessionId) {
        let locks = match self.entries.get(&write.key) {
            Some(stored) if stored.entry.session.as_ref() == Some(session) => stored.locks,
            Some(stored) => stored.locks + 1,
            None => 1,
        };
        self.store(index, write, Some(session.clone()), locks);
    }

    /// Writes a key and takes it from its holder.
    pub(super) fn unlock(&mut self, index: u64, write: &Write) {
        let locks = self
            .entries
            .get(&write.key)
            .map_or(0, |stored| stored.locks);
        self.store(index, write, None, locks);
    }

    /// Deletes a key, if it is there.
    pub(super) fn delete(&mut self, index: u64, key: &str) {
        if self.entries.remove(key).is_some() {
            self.changed = index;
            self.deleted.insert(key.to_owned(), index);
        }
    }

    /// Puts a key where it is not there just so already: to write the same again is no change.
    fn store(&mut self, index: u64, write: &Write, session: Option<SessionId>, locks: u64) {
        let mut new = Stored {
            entry: Entry {
                value: (!write.value.is_empty()).then(|| write.value.clone()),
                flags: write.flags,
                session,
                modify_index: index,
            },
            locks,
        };
        if let Some(old) = self.entries.get(&write.key) {
            new.entry.modify_index = old.entry.modify_index;
            if *old == new {
                return;
            }
            new.entry.modify_index = index;
        }
        self.entries.insert(write.key.clone(), new);
        self.changed = index;
    }
}

fn below<'a, T>(
    map: &'a BTreeMap<String, T>,
    prefix: &'a str,
) -> impl Iterator<Item = (&'a String, &'a T)> {
    map.range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
        .take_while(move |(key, _)| key.starts_with(prefix))
}
