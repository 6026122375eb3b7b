//! The lock goes from one session to another, and what belongs to it goes along.

use std::time::Duration;

use vip_elector::election::call::{FailureKind, KeyRead, SessionId};
use vip_sim::store::Op;

use super::{Deeds, LONG, Verdict, same, write};
use crate::conformance::interface::Consul;

const TRIGGER: &str = "k";
const GIVER: &str = "k/candidates/giver";
const SUCCESSOR: &str = "k/candidates/successor";
const REQUEST: &str = "k/switchover";

/// The giver holds the lock, both are candidates, and somebody has asked for a switchover.
async fn stage<C: Consul>(consul: &mut C) -> Result<(SessionId, SessionId), String> {
    let (giver, successor) = (consul.session(LONG).await, consul.session(LONG).await);
    same("the lock", consul.lock(TRIGGER, &giver).await, Ok(()))?;
    same("the giver", consul.lock(GIVER, &giver).await, Ok(()))?;
    let registered = consul.lock(SUCCESSOR, &successor).await;
    same("the successor", registered, Ok(()))?;
    consul.put(REQUEST, "successor").await;
    Ok((giver, successor))
}

async fn hand_over<C: Consul>(
    consul: &mut C,
    giver: &SessionId,
    successor: &SessionId,
    request: u64,
) -> Result<(), FailureKind> {
    let operations = [
        Op::CheckSession(SUCCESSOR.to_owned(), successor.clone()),
        Op::Unlock(write(TRIGGER, ""), giver.clone()),
        Op::Lock(write(TRIGGER, "successor"), successor.clone()),
        Op::Delete(GIVER.to_owned()),
        Op::CheckIndex(REQUEST.to_owned(), request),
        Op::Delete(REQUEST.to_owned()),
    ];
    consul.txn(&operations).await.map(drop)
}

pub(super) async fn a_handover_is_all_or_nothing<C: Consul>(consul: &mut C) -> Verdict {
    let (giver, successor) = stage(consul).await?;
    let stranger = consul.session(LONG).await;
    let request = consul.changed(REQUEST).await;
    for (what, giver, successor, request) in [
        ("another giver", &stranger, &successor, request),
        ("another successor", &giver, &stranger, request),
        ("another request", &giver, &successor, request - 1),
    ] {
        let before = everything(consul).await;
        let refused = hand_over(consul, giver, successor, request).await;
        same(what, refused.is_err(), true)?;
        same(what, everything(consul).await, before)?;
    }
    let done = hand_over(consul, &giver, &successor, request).await;
    same("the handover", done, Ok(()))?;
    let holder = consul.holder(TRIGGER).await;
    same("the holder", holder.as_ref(), Some(&successor))?;
    let value = consul.value(TRIGGER).await;
    same("the value", value.as_deref(), Some("successor"))?;
    same("the giver's entry", consul.entry(GIVER).await, None)?;
    same("the request", consul.entry(REQUEST).await, None)?;
    let commit = consul.changed(TRIGGER).await;
    same("one commit", consul.read(REQUEST).await.index, commit)
}

/// A leader whose session is gone gives nothing any more, however late its words arrive.
pub(super) async fn the_dead_give_nothing<C: Consul>(consul: &mut C) -> Verdict {
    let (giver, successor) = stage(consul).await?;
    let request = consul.changed(REQUEST).await;
    consul.destroy(&giver).await;
    let delayed = hand_over(consul, &giver, &successor, request).await;
    same("at once", delayed, Err(FailureKind::LockDelayed))?;
    same("the lock", consul.entry(TRIGGER).await, None)?;

    // Without a lock-delay in the way, and with another holder.
    let (giver, other) = (
        consul.session(Duration::ZERO).await,
        consul.session(LONG).await,
    );
    let elsewhere = |value| write("other", value);
    let operations = [
        Op::CheckSession(SUCCESSOR.to_owned(), successor.clone()),
        Op::Unlock(elsewhere(""), giver.clone()),
        Op::Lock(elsewhere("successor"), successor.clone()),
    ];
    same("the lock", consul.lock("other", &giver).await, Ok(()))?;
    consul.destroy(&giver).await;
    let late = consul.txn(&operations).await.map(drop);
    same("no key", late, Err(FailureKind::Changed))?;
    same("no key", consul.entry("other").await, None)?;
    consul.put("other", "vacant").await;
    let late = consul.txn(&operations).await.map(drop);
    same("no holder", late, Err(FailureKind::Changed))?;
    same("no holder", consul.holder("other").await, None)?;
    same("another's lock", consul.lock("other", &other).await, Ok(()))?;
    let late = consul.txn(&operations).await.map(drop);
    same("another holder", late, Err(FailureKind::Held))?;
    same("another holder", consul.holder("other").await, Some(other))
}

/// Neither the lock nor the giver's entry: what was given up by name is free at once.
pub(super) async fn a_handover_delays_nobody<C: Consul>(consul: &mut C) -> Verdict {
    let (giver, successor) = stage(consul).await?;
    let request = consul.changed(REQUEST).await;
    let done = hand_over(consul, &giver, &successor, request).await;
    same("the handover", done, Ok(()))?;
    consul.destroy(&giver).await;
    let holder = consul.holder(TRIGGER).await;
    same("the holder", holder.as_ref(), Some(&successor))?;

    let again = consul.session(LONG).await;
    same(
        "a candidate again",
        consul.lock(GIVER, &again).await,
        Ok(()),
    )?;
    let back = [
        Op::CheckSession(GIVER.to_owned(), again.clone()),
        Op::Unlock(write(TRIGGER, ""), successor.clone()),
        Op::Lock(write(TRIGGER, "giver"), again.clone()),
        Op::Delete(SUCCESSOR.to_owned()),
    ];
    same("back", consul.txn(&back).await.map(drop), Ok(()))?;
    consul.destroy(&successor).await;
    same("a release", consul.unlock(TRIGGER, &again).await, Ok(()))?;
    let third = consul.session(LONG).await;
    same("a third", consul.lock(TRIGGER, &third).await, Ok(()))?;
    same("the entry", consul.lock(SUCCESSOR, &third).await, Ok(()))
}

/// The lock goes to nobody who does not stand for it with this very session.
pub(super) async fn a_successor_must_be_a_candidate<C: Consul>(consul: &mut C) -> Verdict {
    let (giver, successor) = stage(consul).await?;
    let request = consul.changed(REQUEST).await;
    let changed = Err(FailureKind::Changed);
    let stranger = consul.session(LONG).await;
    let refused = hand_over(consul, &giver, &stranger, request).await;
    same("another's entry", refused, changed)?;
    same("left", consul.unlock(SUCCESSOR, &successor).await, Ok(()))?;
    let refused = hand_over(consul, &giver, &successor, request).await;
    same("an entry of nobody", refused, changed)?;
    consul.delete(SUCCESSOR).await;
    let refused = hand_over(consul, &giver, &successor, request).await;
    same("no entry", refused, changed)?;

    let registered = consul.lock(SUCCESSOR, &successor).await;
    same("back", registered, Ok(()))?;
    consul.destroy(&successor).await;
    let refused = hand_over(consul, &giver, &successor, request).await;
    same("a dead one", refused, Err(FailureKind::SessionGone))?;
    same("the holder", consul.holder(TRIGGER).await, Some(giver))
}

async fn everything<C: Consul>(consul: &mut C) -> Vec<KeyRead> {
    let mut reads = Vec::new();
    for key in [TRIGGER, GIVER, SUCCESSOR, REQUEST] {
        reads.push(consul.read(key).await);
    }
    reads
}
