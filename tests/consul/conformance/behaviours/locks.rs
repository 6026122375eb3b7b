//! Who gets a lock, who keeps it, and what becomes of the key.

use vip_elector::election::call::FailureKind;
use vip_sim::store::{Command, Write};

use super::{Deeds, LONG, Verdict, same, write};
use crate::conformance::interface::Consul;

const HELD: Result<(), FailureKind> = Err(FailureKind::Held);
const CHANGED: Result<(), FailureKind> = Err(FailureKind::Changed);

pub(super) async fn a_lock_has_one_holder<C: Consul>(consul: &mut C) -> Verdict {
    let (a, b) = (consul.session(LONG).await, consul.session(LONG).await);
    same("the first", consul.lock("k", &a).await, Ok(()))?;
    same("another", consul.lock("k", &b).await, HELD)?;
    same("the first again", consul.lock("k", &a).await, Ok(()))?;
    same("the holder", consul.holder("k").await, Some(a))?;
    same("another key", consul.lock("l", &b).await, Ok(()))?;
    same(
        "a dead one",
        {
            consul.destroy(&b).await;
            consul.lock("k", &b).await
        },
        Err(FailureKind::SessionGone),
    )
}

pub(super) async fn a_release_keeps_the_key_and_delays_nobody<C: Consul>(
    consul: &mut C,
) -> Verdict {
    let (a, b) = (consul.session(LONG).await, consul.session(LONG).await);
    same("no key", consul.unlock("k", &a).await, CHANGED)?;
    same("the lock", consul.lock("k", &a).await, Ok(()))?;
    same("by another", consul.unlock("k", &b).await, CHANGED)?;
    same("by the holder", consul.unlock("k", &a).await, Ok(()))?;
    same("once more", consul.unlock("k", &a).await, CHANGED)?;
    same("the holder", consul.holder("k").await, None)?;
    let value = consul.value("k").await;
    same("the value", value.as_deref(), Some("unlocked"))?;
    same("another's lock", consul.lock("k", &b).await, Ok(()))?;
    // The first one's death is nothing to the key any more.
    consul.destroy(&a).await;
    same("the holder", consul.holder("k").await, Some(b.clone()))?;
    same("its release", consul.unlock("k", &b).await, Ok(()))?;
    let c = consul.session(LONG).await;
    same("a third one's lock", consul.lock("k", &c).await, Ok(()))
}

pub(super) async fn a_deleted_key_is_free_at_once<C: Consul>(consul: &mut C) -> Verdict {
    let (a, b) = (consul.session(LONG).await, consul.session(LONG).await);
    same("the lock", consul.lock("k", &a).await, Ok(()))?;
    consul.delete("k").await;
    same("the key", consul.entry("k").await, None)?;
    same("the session", consul.alive(&a).await, true)?;
    same("another's lock", consul.lock("k", &b).await, Ok(()))?;
    consul.destroy(&a).await;
    same("the holder", consul.holder("k").await, Some(b))?;
    consul.delete("never-was").await;
    Ok(())
}

pub(super) async fn a_plain_write_leaves_the_holder<C: Consul>(consul: &mut C) -> Verdict {
    let (a, b) = (consul.session(LONG).await, consul.session(LONG).await);
    same("the lock", consul.lock("k", &a).await, Ok(()))?;
    let before = consul.changed("k").await;
    let overwrite = Write {
        flags: 0,
        ..write("k", "overwritten")
    };
    consul.write(&Command::Put(overwrite)).await.unwrap();
    let entry = consul.entry("k").await.ok_or("no key")?;
    same("the flags", entry.flags, 0)?;
    same(
        "the value",
        entry.value.as_deref(),
        Some(b"overwritten".as_slice()),
    )?;
    same("the holder", entry.session.as_ref(), Some(&a))?;
    same("a change", entry.modify_index > before, true)?;
    same("another's lock", consul.lock("k", &b).await, HELD)?;
    same("the holder's lock", consul.lock("k", &a).await, Ok(()))
}

pub(super) async fn an_empty_value_is_none<C: Consul>(consul: &mut C) -> Verdict {
    consul.put("k", "").await;
    let entry = consul.entry("k").await.ok_or("no key")?;
    same("the value", entry.value, None)?;
    same("the flags", entry.flags, 7)
}
