//! Pure: what is known of the keys of a folder, and which groups have news.

use std::collections::BTreeMap;

use crate::consul::kv::{PrefixRead, WireEntry};
use crate::election::call::{Entry, KeyRead};

/// Where a listing comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::consul) enum Source {
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
    /// How many listings were taken in.
    listings: u64,
    /// By the last part of the trigger key.
    groups: BTreeMap<String, Group>,
}

/// A group of the folder.
#[derive(Debug, Default)]
struct Group {
    /// How many of this process there are.
    members: usize,
    key: Option<Known>,
    /// When the trigger key last changed, as far as listings show; 0 before the first.
    key_at: u64,
    below: Vec<Known>,
    below_at: u64,
    /// What the listing that is being taken in says anew.
    key_is_new: bool,
    below_is_new: bool,
}

#[derive(Debug)]
struct Known {
    /// The whole name.
    key: String,
    entry: Entry,
    /// The last listing that showed it.
    listing: u64,
}

/// What a listing says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// The trigger keys of the groups for which it is anything new.
    pub(super) changed: Vec<String>,
    /// Why a key cannot be read that is listed. It is left as it was.
    pub(super) unreadable: Option<String>,
}

impl Tree {
    pub(super) fn new(folder: String) -> Self {
        Self {
            folder,
            index: 0,
            falls: 0,
            listings: 0,
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

    /// Takes in a listing.
    pub(super) fn take(&mut self, index: u64, entries: &[WireEntry<'_>], source: Source) -> Taken {
        let fell = index < self.index;
        if fell && source == Source::Any {
            return Taken::default();
        }
        self.falls += u64::from(fell);
        self.index = index;
        self.listings += 1;
        let mut unreadable = None;
        for wire in entries {
            let Some(rest) = wire.key.strip_prefix(&self.folder) else {
                continue;
            };
            let (name, is_below) = match rest.split_once('/') {
                Some((name, _)) => (name, true),
                None => (rest, false),
            };
            let Some(group) = self.groups.get_mut(name) else {
                continue;
            };
            if let Err(why) = group.see(wire, is_below, self.listings, fell) {
                unreadable.get_or_insert(why);
            }
        }
        let mut changed = Vec::new();
        for (name, group) in &mut self.groups {
            if group.settle(index, self.listings) || fell {
                changed.push(format!("{}{name}", self.folder));
            }
        }
        Taken {
            changed,
            unreadable,
        }
    }

    /// When the trigger key last changed; 0 where nothing is known of it.
    pub(super) fn key_at(&self, key: &str) -> u64 {
        self.group(key).map_or(0, |group| group.key_at)
    }

    /// The trigger key as it is known, and the index at which it is, as a read of it alone would show it.
    pub(super) fn key(&self, key: &str) -> KeyRead {
        let group = self.group(key);
        KeyRead {
            index: group.map_or(1, |group| group.key_at),
            entry: group.and_then(|group| Some(group.key.as_ref()?.entry.clone())),
        }
    }

    /// When anything below it last changed; 0 where nothing is known of it.
    pub(super) fn below_at(&self, key: &str) -> u64 {
        self.group(key).map_or(0, |group| group.below_at)
    }

    /// What stands below it, as it is known.
    pub(super) fn below(&self, key: &str) -> PrefixRead {
        let pair = |known: &Known| (known.key.clone(), known.entry.clone());
        let group = self.group(key);
        PrefixRead {
            index: group.map_or(1, |group| group.below_at),
            entries: group
                .map(|group| group.below.iter().map(pair).collect())
                .unwrap_or_default(),
        }
    }

    fn group(&self, key: &str) -> Option<&Group> {
        self.groups
            .get(key.strip_prefix(&self.folder)?)
            .filter(|group| group.key_at > 0)
    }
}

impl Group {
    /// Takes in a key. What was last changed at the same index is the same, unless indexes are given again.
    fn see(
        &mut self,
        wire: &WireEntry<'_>,
        is_below: bool,
        listing: u64,
        fell: bool,
    ) -> Result<(), String> {
        let place = self
            .below
            .binary_search_by(|known| known.key.as_str().cmp(&wire.key));
        let known = match (is_below, place) {
            (true, Ok(at)) => self.below.get_mut(at),
            (true, Err(_)) => None,
            (false, _) => self.key.as_mut(),
        };
        if let Some(known) = known {
            known.listing = listing;
            if known.entry.modify_index == wire.modify_index && !fell {
                return Ok(());
            }
            let entry = wire.entry()?;
            let is_new = std::mem::replace(&mut known.entry, entry) != known.entry;
            if is_below {
                self.below_is_new |= is_new;
            } else {
                self.key_is_new |= is_new;
            }
            return Ok(());
        }
        let known = Known {
            key: wire.key.clone().into_owned(),
            entry: wire.entry()?,
            listing,
        };
        match (is_below, place) {
            (true, Ok(at) | Err(at)) => {
                self.below.insert(at, known);
                self.below_is_new = true;
            }
            (false, _) => {
                self.key = Some(known);
                self.key_is_new = true;
            }
        }
        Ok(())
    }

    /// Takes in that this was all. Returns whether there was anything new.
    fn settle(&mut self, index: u64, listing: u64) -> bool {
        let first = self.key_at == 0;
        let gone = |known: &mut Known| known.listing != listing;
        self.key_is_new |= self.key.take_if(gone).is_some();
        let many = self.below.len();
        self.below.retain_mut(|known| !gone(known));
        self.below_is_new |= self.below.len() != many;
        let (key_is_new, below_is_new) = (
            std::mem::take(&mut self.key_is_new) || first,
            std::mem::take(&mut self.below_is_new) || first,
        );
        if key_is_new {
            let changed_at = |known: &Known| known.entry.modify_index;
            self.key_at = self.key.as_ref().map_or(index, changed_at);
        }
        if below_is_new {
            self.below_at = index;
        }
        key_is_new || below_is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Consul writes it.
    fn take(tree: &mut Tree, index: u64, keys: &[(&str, u64)], source: Source) -> Vec<String> {
        let keys: Vec<String> = keys
            .iter()
            .map(|(key, at)| {
                format!(r#"{{"Key":"{key}","Value":"dg==","Flags":0,"ModifyIndex":{at}}}"#)
            })
            .collect();
        let keys = format!("[{}]", keys.join(","));
        let taken = tree.take(
            index,
            &serde_json::from_str::<Vec<_>>(&keys).unwrap(),
            source,
        );
        assert_eq!(taken.unreadable, None);
        taken.changed
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
        assert_eq!((tree.key_at("vip/a"), tree.below_at("vip/a")), (0, 0));
        let first = [
            ("vip/a", 5),
            ("vip/a/candidates/x", 6),
            ("vip/ab", 7),
            ("vip/b", 4),
        ];
        assert_eq!(take(&mut tree, 7, &first, Source::Any), ["vip/a", "vip/b"]);
        assert_eq!((tree.key_at("vip/a"), tree.key("vip/a").index), (5, 5));
        assert_eq!((tree.key_at("vip/b"), tree.below_at("vip/b")), (4, 7));
        assert_eq!(tree.below("vip/a").entries.len(), 1);
        assert_eq!(tree.below("vip/b").entries.len(), 0);
        let second = [("vip/a", 5), ("vip/a/candidates/x", 6), ("vip/b", 9)];
        assert_eq!(take(&mut tree, 9, &second, Source::Any), ["vip/b"]);
        assert_eq!((tree.key_at("vip/a"), tree.below_at("vip/a")), (5, 7));
        assert_eq!((tree.key_at("vip/b"), tree.below_at("vip/b")), (9, 7));
        // Somebody else's key.
        assert!(take(&mut tree, 10, &second, Source::Any).is_empty());
    }

    #[test]
    fn what_stands_below_is_in_the_order_of_its_names() {
        let mut tree = tree();
        let names = |tree: &Tree| -> Vec<String> {
            let below = tree.below("vip/a").entries;
            below.into_iter().map(|(name, _)| name).collect()
        };
        let (w, x, y) = ("vip/a/candidates/w", "vip/a/candidates/x", "vip/a/drain/y");
        take(&mut tree, 5, &[(x, 5), (y, 4)], Source::Any);
        let changed = take(&mut tree, 6, &[(w, 6), (x, 5), (y, 4)], Source::Any);
        assert_eq!(
            (changed, names(&tree)),
            (vec!["vip/a".to_owned()], vec![w.into(), x.into(), y.into()])
        );
        take(&mut tree, 7, &[(w, 6), (y, 4)], Source::Any);
        assert_eq!(
            (names(&tree), tree.below_at("vip/a")),
            (vec![w.into(), y.into()], 7)
        );
    }

    #[test]
    fn a_key_that_cannot_be_read_stays_as_it_was() {
        let mut tree = tree();
        take(&mut tree, 5, &[("vip/a", 5), ("vip/b", 5)], Source::Any);
        let listing = r#"[{"Key":"vip/a","Value":"?","Flags":0,"ModifyIndex":6},
            {"Key":"vip/b","Value":"dg==","Flags":0,"ModifyIndex":6}]"#;
        let listing: Vec<_> = serde_json::from_str(listing).unwrap();
        let taken = tree.take(6, &listing, Source::Any);
        assert_eq!(taken.changed, ["vip/b"]);
        assert!(taken.unreadable.unwrap().contains("base64"));
        assert_eq!((tree.key_at("vip/a"), tree.key_at("vip/b")), (5, 6));
        assert!(tree.key("vip/a").entry.is_some());
    }

    #[test]
    fn a_key_that_goes_is_news_at_the_index_of_the_listing() {
        let mut tree = tree();
        take(&mut tree, 5, &[("vip/a", 5)], Source::Leader);
        assert_eq!(tree.key("vip/b").entry, None);
        take(&mut tree, 8, &[], Source::Leader);
        let gone = tree.key("vip/a");
        assert_eq!((gone.index, gone.entry), (8, None));
    }

    #[test]
    fn a_server_that_is_behind_is_not_listened_to_and_a_raft_leader_is() {
        let mut tree = tree();
        take(&mut tree, 9, &[("vip/a", 9)], Source::Any);
        let old = [("vip/a", 5)];
        assert!(take(&mut tree, 5, &old, Source::Any).is_empty());
        assert_eq!((tree.falls(), tree.key("vip/a").index), (0, 9));
        assert_eq!(take(&mut tree, 5, &old, Source::Leader), ["vip/a", "vip/b"]);
        assert_eq!((tree.falls(), tree.key("vip/a").index), (1, 5));
    }

    /// As after a restored snapshot: an index that is given again says nothing.
    #[test]
    fn where_the_index_has_fallen_the_same_index_may_be_another_value() {
        let mut tree = tree();
        take(&mut tree, 9, &[("vip/a", 5)], Source::Any);
        let other = r#"[{"Key":"vip/a","Value":"bmV3","Flags":0,"ModifyIndex":5}]"#;
        let other: Vec<_> = serde_json::from_str(other).unwrap();
        tree.take(6, &other, Source::Leader);
        let value = tree.key("vip/a").entry.and_then(|entry| entry.value);
        assert_eq!(value.as_deref(), Some(&b"new"[..]));
    }
}
