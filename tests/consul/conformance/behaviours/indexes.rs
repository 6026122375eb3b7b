//! What the indexes of reads say, and what they keep to themselves.

use vip_elector::election::call::Entry;
use vip_sim::store::Op;

use super::{Deeds, LONG, Verdict, same, write};
use crate::conformance::interface::Consul;

pub(super) async fn a_missing_key_has_the_index_of_all_keys<C: Consul>(consul: &mut C) -> Verdict {
    let missing = async |consul: &mut C| consul.read("missing").await.index;
    same("before all keys", missing(consul).await, 1)?;
    consul.put("other", "x").await;
    let first = missing(consul).await;
    same("another key", first, consul.changed("other").await)?;
    let id = consul.session(LONG).await;
    same("a session", missing(consul).await, first)?;
    consul.delete("never-was").await;
    same("nothing deleted", missing(consul).await, first)?;
    let fails = [
        Op::Set(write("other", "y")),
        Op::CheckNotExists("other".to_owned()),
    ];
    same("refused", consul.txn(&fails).await.is_err(), true)?;
    same("a refusal", missing(consul).await, first)?;
    consul.put("other", "x").await;
    same("the same again", missing(consul).await, first)?;

    same("the lock", consul.lock("held", &id).await, Ok(()))?;
    let locked = missing(consul).await;
    same("a lock", locked, consul.changed("held").await)?;
    consul.destroy(&id).await;
    let died = missing(consul).await;
    same("a death deletes", died > locked, true)?;
    consul.delete("other").await;
    let deleted = missing(consul).await;
    same("a deletion", deleted > died, true)?;
    let other = consul.read("other").await;
    same("of what was deleted", other.index, deleted)
}

pub(super) async fn an_existing_key_has_an_index_of_its_own<C: Consul>(consul: &mut C) -> Verdict {
    consul.put("k", "x").await;
    let index = consul.read("k").await.index;
    same("its own change", index, consul.changed("k").await)?;
    consul.put("other", "x").await;
    consul.delete("other").await;
    consul.session(LONG).await;
    same("others", consul.read("k").await.index, index)?;
    consul.put("k", "y").await;
    same("a write", consul.read("k").await.index > index, true)?;
    consul.delete("k").await;
    let deleted = consul.read("k").await.index;
    consul.put("k", "y").await;
    same("made anew", consul.changed("k").await > deleted, true)
}

/// Whoever watches a key does not see a write that leaves it as it is; and one that only sets the
/// count of its locks back, which nobody else sees, he does.
pub(super) async fn the_same_again_is_no_change<C: Consul>(consul: &mut C) -> Verdict {
    let id = consul.session(LONG).await;
    consul.put("k", "locked").await;
    let written = consul.changed("k").await;
    consul.put("k", "locked").await;
    same("written", consul.changed("k").await, written)?;

    same("the lock", consul.lock("k", &id).await, Ok(()))?;
    let locked = consul.changed("k").await;
    same("taken", locked > written, true)?;
    same("the lock", consul.lock("k", &id).await, Ok(()))?;
    same("taken again", consul.changed("k").await, locked)?;
    let other = Op::Lock(write("k", "other"), id.clone());
    same("the lock", consul.txn(&[other]).await.is_ok(), true)?;
    let rewritten = consul.changed("k").await;
    same("taken with another value", rewritten > locked, true)?;

    consul.put("k", "other").await;
    let counted = consul.changed("k").await;
    same("written over a lock", counted > rewritten, true)?;
    consul.put("k", "other").await;
    same("once more", consul.changed("k").await, counted)?;

    same("the release", consul.unlock("k", &id).await, Ok(()))?;
    let released = consul.changed("k").await;
    same("released", released > counted, true)
}

/// To delete a key and write the same in its place changes its index, and nothing else that is to be seen.
pub(super) async fn a_key_put_in_its_own_place_is_changed<C: Consul>(consul: &mut C) -> Verdict {
    consul.put("k", "x").await;
    let mut last = consul.changed("k").await;
    let before = consul.read("k").await.entry;
    for again in ["once", "twice"] {
        let anew = [
            Op::CheckIndex("k".to_owned(), last),
            Op::Delete("k".to_owned()),
            Op::Set(write("k", "x")),
        ];
        same("written anew", consul.txn(&anew).await.is_ok(), true)?;
        let changed = consul.changed("k").await;
        same(again, changed > last, true)?;
        same("at the old index", consul.txn(&anew).await.is_err(), true)?;
        last = changed;
    }
    let value = |entry: Option<Entry>| entry.and_then(|entry| entry.value);
    same(
        "its value",
        value(consul.read("k").await.entry),
        value(before),
    )
}
