//! Pure: what is known of the keys of a folder, and which groups have news.

use std::collections::BTreeMap;

use crate::consul::kv::PrefixRead;
use crate::election::call::{Entry, KeyRead};

/// Where a listing comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Any server, however far behind.
    Any,
    /// The raft leader: its word counts also where it is older.
    Leader,
}

/// The keys of the groups of one folder, as the newest listing shows them.
#[derive(Debug)]
pub(super) struct Tree {
    /// Ends in a slash.
    folder: String,
    /// Of the newest listing; 0 before the first.
    index: u64,
    /// How often the index has fallen: a snapshot was restored.
    falls: u64,
    /// By the last part of the trigger key.
    groups: BTreeMap<String, Group>,
}

/// A group of the folder.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// How many of this process there are.
    members: usize,
    key: Option<Entry>,
    /// When the trigger key last changed, as far as listings show.
    key_at: u64,
    /// Whole names.
    below: BTreeMap<String, Entry>,
    below_at: u64,
}

impl Tree {
    pub(super) fn new(folder: String) -> Self {
        Self {
            folder,
            index: 0,
            falls: 0,
            groups: BTreeMap::new(),
        }
    }

    /// Takes in a group. Returns how many there are now.
    pub(super) fn enter(&mut self, key: &str) -> usize {
        if let Some(name) = key.strip_prefix(&self.folder) {
            self.groups.entry(name.to_owned()).or_default().members += 1;
        }
        self.groups.len()
    }

    /// Takes in that a group has ended. Returns how many there are now.
    pub(super) fn depart(&mut self, key: &str) -> usize {
        if let Some(name) = key.strip_prefix(&self.folder)
            && let Some(group) = self.groups.get_mut(name)
        {
            group.members = group.members.saturating_sub(1);
            if group.members == 0 {
                self.groups.remove(name);
            }
        }
        self.groups.len()
    }

    pub(super) fn index(&self) -> u64 {
        self.index
    }

    pub(super) fn groups(&self) -> usize {
        self.groups.len()
    }

    pub(super) fn falls(&self) -> u64 {
        self.falls
    }

    /// Takes in a listing. Returns the trigger keys of the groups for which it says anything new.
    pub(super) fn take(&mut self, listing: PrefixRead, source: Source) -> Vec<String> {
        let fell = listing.index < self.index;
        if fell && source == Source::Any {
            return Vec::new();
        }
        self.falls += u64::from(fell);
        self.index = listing.index;
        let mut seen: BTreeMap<String, (Option<Entry>, BTreeMap<String, Entry>)> = BTreeMap::new();
        for (key, entry) in listing.entries {
            let Some(rest) = key.strip_prefix(&self.folder) else {
                continue;
            };
            let (name, is_below) = match rest.split_once('/') {
                Some((name, _)) => (name, true),
                None => (rest, false),
            };
            if !self.groups.contains_key(name) {
                continue;
            }
            let (own, below) = seen.entry(name.to_owned()).or_default();
            if is_below {
                below.insert(key, entry);
            } else {
                *own = Some(entry);
            }
        }
        let mut changed = Vec::new();
        for (name, group) in &mut self.groups {
            let mut news = fell;
            let (key, below) = seen.remove(name).unwrap_or_default();
            let first = group.key_at == 0;
            if first || group.key != key {
                group.key_at = key
                    .as_ref()
                    .map_or(listing.index, |entry| entry.modify_index);
                group.key = key;
                news = true;
            }
            if first || group.below != below {
                group.below_at = listing.index;
                group.below = below;
                news = true;
            }
            if news {
                changed.push(format!("{}{name}", self.folder));
            }
        }
        changed
    }

    /// The trigger key, if it has changed since `index`, as a read of it alone would show it.
    pub(super) fn key_since(&self, key: &str, index: u64) -> Option<KeyRead> {
        let group = self.group(key)?;
        (group.key_at > index).then(|| KeyRead {
            index: group.key_at,
            entry: group.key.clone(),
        })
    }

    /// The trigger key as it is known, and the index at which it is.
    pub(super) fn key(&self, key: &str) -> Option<KeyRead> {
        let group = self.group(key)?;
        Some(KeyRead {
            index: group.key_at,
            entry: group.key.clone(),
        })
    }

    /// What stands below it, if that has changed since `index`.
    pub(super) fn below_since(&self, key: &str, index: u64) -> Option<PrefixRead> {
        let group = self.group(key)?;
        (group.below_at > index).then(|| PrefixRead {
            index: group.below_at,
            entries: group
                .below
                .iter()
                .map(|(name, entry)| (name.clone(), entry.clone()))
                .collect(),
        })
    }

    /// What stands below it, as it is known.
    pub(super) fn below(&self, key: &str) -> PrefixRead {
        self.below_since(key, 0).unwrap_or(PrefixRead {
            index: 1,
            entries: Vec::new(),
        })
    }

    fn group(&self, key: &str) -> Option<&Group> {
        self.groups
            .get(key.strip_prefix(&self.folder)?)
            .filter(|group| group.key_at > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(value: &str, modify_index: u64) -> Entry {
        Entry {
            value: Some(value.as_bytes().to_vec()),
            flags: 0,
            session: None,
            modify_index,
        }
    }

    fn listing(index: u64, entries: &[(&str, u64)]) -> PrefixRead {
        let entries = entries
            .iter()
            .map(|(key, at)| ((*key).to_owned(), entry("v", *at)))
            .collect();
        PrefixRead { index, entries }
    }

    fn tree() -> Tree {
        let mut tree = Tree::new("vip/".to_owned());
        assert_eq!(tree.enter("vip/a"), 1);
        assert_eq!(tree.enter("vip/b"), 2);
        tree
    }

    #[test]
    fn each_group_has_its_own_news() {
        let mut tree = tree();
        assert_eq!(tree.key_since("vip/a", 1), None, "nothing is known yet");
        let first = [
            ("vip/a", 5),
            ("vip/a/candidates/x", 6),
            ("vip/ab", 7),
            ("vip/b", 4),
        ];
        assert_eq!(
            tree.take(listing(7, &first), Source::Any),
            ["vip/a", "vip/b"]
        );
        assert_eq!(tree.key_since("vip/a", 4).unwrap().index, 5);
        assert_eq!(tree.key_since("vip/a", 5), None);
        assert_eq!(tree.below_since("vip/a", 6).unwrap().entries.len(), 1);
        assert_eq!(tree.below_since("vip/b", 6).unwrap().entries.len(), 0);
        let second = [("vip/a", 5), ("vip/a/candidates/x", 6), ("vip/b", 9)];
        assert_eq!(tree.take(listing(9, &second), Source::Any), ["vip/b"]);
        assert_eq!(tree.key_since("vip/a", 5), None);
        assert_eq!(tree.below_since("vip/a", 7), None);
        assert_eq!(tree.key_since("vip/b", 5).unwrap().index, 9);
        // Somebody else's key.
        assert!(tree.take(listing(10, &second), Source::Any).is_empty());
    }

    #[test]
    fn a_key_that_goes_is_news_at_the_index_of_the_listing() {
        let mut tree = tree();
        tree.take(listing(5, &[("vip/a", 5)]), Source::Leader);
        assert_eq!(tree.key("vip/b").unwrap().entry, None);
        tree.take(listing(8, &[]), Source::Leader);
        let gone = tree.key_since("vip/a", 5).unwrap();
        assert_eq!((gone.index, gone.entry), (8, None));
        assert_eq!(tree.key_since("vip/a", 8), None);
    }

    #[test]
    fn a_server_that_is_behind_is_not_listened_to_and_a_raft_leader_is() {
        let mut tree = tree();
        tree.take(listing(9, &[("vip/a", 9)]), Source::Any);
        let old = listing(5, &[("vip/a", 5)]);
        assert!(tree.take(old.clone(), Source::Any).is_empty());
        assert_eq!((tree.falls(), tree.key("vip/a").unwrap().index), (0, 9));
        assert_eq!(tree.take(old, Source::Leader), ["vip/a", "vip/b"]);
        assert_eq!((tree.falls(), tree.key("vip/a").unwrap().index), (1, 5));
    }
}
