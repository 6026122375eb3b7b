//! Several operations at once.

use vip_elector::election::call::FailureKind;
use vip_sim::store::Op;

use super::{Deeds, LONG, Verdict, same, write};
use crate::conformance::interface::Consul;

fn key(name: &str) -> String {
    name.to_owned()
}

pub(super) async fn all_or_nothing<C: Consul>(consul: &mut C) -> Verdict {
    let (a, b) = (consul.session(LONG).await, consul.session(LONG).await);
    same("the lock", consul.lock("held", &b).await, Ok(()))?;
    consul.put("there", "before").await;
    let failing = [
        Op::CheckNotExists(key("there")),
        Op::CheckIndex(key("there"), 1),
        Op::CheckSession(key("there"), a.clone()),
        Op::Lock(write("held", "x"), a.clone()),
        Op::Unlock(write("held", "x"), a.clone()),
    ];
    for fails in failing {
        for last in [true, false] {
            let mut operations = vec![
                Op::Set(write("there", "after")),
                Op::Lock(write("new", "x"), a.clone()),
                Op::Delete(key("held")),
            ];
            // Deleting what is held would let the lock pass.
            if matches!(fails, Op::Lock(..)) {
                operations.pop();
            }
            let place = if last { operations.len() } else { 0 };
            operations.insert(place, fails.clone());
            let what = format!("{operations:?}");
            let index = consul.read("new").await.index;
            same(&what, consul.txn(&operations).await.is_err(), true)?;
            let value = consul.value("there").await;
            same(&what, value.as_deref(), Some("before"))?;
            same(&what, consul.holder("held").await, Some(b.clone()))?;
            same(&what, consul.entry("new").await, None)?;
            same(&what, consul.read("new").await.index, index)?;
        }
    }
    Ok(())
}

pub(super) async fn each_operation_sees_those_before_it<C: Consul>(consul: &mut C) -> Verdict {
    let (a, b) = (consul.session(LONG).await, consul.session(LONG).await);
    same("the lock", consul.lock("k", &a).await, Ok(()))?;
    let operations = [
        Op::CheckSession(key("k"), a),
        Op::Delete(key("k")),
        Op::CheckNotExists(key("k")),
        Op::Lock(write("k", "x"), b.clone()),
        Op::CheckSession(key("k"), b.clone()),
    ];
    let entries = consul
        .txn(&operations)
        .await
        .map_err(|kind| format!("{kind:?}"))?;
    let holders: Vec<_> = entries.iter().map(|entry| entry.session.clone()).collect();
    let changed: Vec<_> = entries.iter().map(|entry| entry.modify_index).collect();
    same("answers", holders.len(), 3)?;
    same("holders", &holders[1..], &[Some(b.clone()), Some(b)])?;
    same("one commit", changed[1], changed[2])?;
    same("which is newer", changed[0] < changed[1], true)?;
    same(
        "values",
        entries.iter().all(|entry| entry.value.is_none()),
        true,
    )
}

pub(super) async fn checks_fail_when_they_should<C: Consul>(consul: &mut C) -> Verdict {
    let (a, b) = (consul.session(LONG).await, consul.session(LONG).await);
    let changed = Err(FailureKind::Changed);
    let missing = || key("missing");
    let there = || key("there");
    same("the lock", consul.lock("there", &a).await, Ok(()))?;
    let index = consul.changed("there").await;
    for (check, expected) in [
        (Op::CheckNotExists(missing()), Ok(())),
        (Op::CheckNotExists(there()), changed),
        (Op::CheckIndex(there(), index), Ok(())),
        (Op::CheckIndex(there(), index + 1), changed),
        (Op::CheckIndex(there(), index - 1), changed),
        (Op::CheckIndex(missing(), index), changed),
        (Op::CheckIndex(missing(), 0), changed),
        (Op::CheckSession(there(), a.clone()), Ok(())),
        (Op::CheckSession(there(), b.clone()), changed),
        (Op::CheckSession(missing(), a.clone()), changed),
    ] {
        let what = format!("{check:?}");
        same(&what, consul.txn(&[check]).await.map(drop), expected)?;
    }
    // A key that was deleted and made anew is not the one that was seen.
    consul.delete("there").await;
    same("the lock", consul.lock("there", &a).await, Ok(()))?;
    let seen = Op::CheckIndex(there(), index);
    same("made anew", consul.txn(&[seen]).await.map(drop), changed)?;
    same("nothing", consul.txn(&[]).await, Ok(Vec::new()))
}

pub(super) async fn a_handover_takes_one_commit<C: Consul>(consul: &mut C) -> Verdict {
    let (a, b) = (consul.session(LONG).await, consul.session(LONG).await);
    same("the lock", consul.lock("k", &a).await, Ok(()))?;
    let handover = [
        Op::Unlock(write("k", ""), a.clone()),
        Op::Lock(write("k", "b"), b.clone()),
    ];
    let entries = consul
        .txn(&handover)
        .await
        .map_err(|kind| format!("{kind:?}"))?;
    let changed: Vec<_> = entries.iter().map(|entry| entry.modify_index).collect();
    let now = consul.changed("k").await;
    same("the commit", changed, vec![now, now])?;
    let again = consul.txn(&handover).await.map(drop);
    same("once more", again, Err(FailureKind::Changed))?;
    consul.destroy(&a).await;
    same("the holder", consul.holder("k").await, Some(b.clone()))?;
    same("the holder's lock", consul.lock("k", &b).await, Ok(()))
}

pub(super) async fn the_most_telling_reason_counts<C: Consul>(consul: &mut C) -> Verdict {
    let (a, b) = (consul.session(LONG).await, consul.session(LONG).await);
    let dead = consul.session(LONG).await;
    consul.destroy(&dead).await;
    same("the lock", consul.lock("held", &b).await, Ok(()))?;
    let lock = |key, id: &_| Op::Lock(write(key, "x"), Clone::clone(id));
    let reason = async |consul: &mut C, operations: &[Op]| consul.txn(operations).await.err();
    let stale = Op::CheckIndex(key("held"), 1);
    for (operations, expected) in [
        (vec![stale.clone(), lock("held", &a)], FailureKind::Held),
        (vec![lock("held", &a), stale.clone()], FailureKind::Held),
        (
            vec![stale.clone(), lock("held", &dead)],
            FailureKind::SessionGone,
        ),
        (
            vec![lock("held", &a), lock("held", &dead)],
            FailureKind::SessionGone,
        ),
        (vec![stale.clone(), lock("new", &a)], FailureKind::Changed),
    ] {
        let what = format!("{operations:?}");
        same(&what, reason(consul, &operations).await, Some(expected))?;
    }
    // The lock-delay is looked at before anything else is.
    consul.destroy(&b).await;
    for operations in [
        vec![stale.clone(), lock("held", &a)],
        vec![lock("held", &dead)],
        vec![lock("new", &dead), lock("held", &a)],
    ] {
        let what = format!("{operations:?}");
        let got = reason(consul, &operations).await;
        same(&what, got, Some(FailureKind::LockDelayed))?;
    }
    Ok(())
}
