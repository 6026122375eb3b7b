//! What a session leaves behind when it dies: nothing of its keys, and a lock-delay.

use std::time::Duration;

use vip_elector::election::call::FailureKind;
use vip_sim::store::{Command, Health};

use super::{Deeds, LONG, Verdict, bound_to, holds, same};
use crate::conformance::interface::Consul;

const DELAYED: Result<(), FailureKind> = Err(FailureKind::LockDelayed);

/// A node without an agent, so that a test may do with it what it likes.
const AWAY: &str = "away";

/// What a busy machine may add to a wait.
const NOISE: Duration = Duration::from_secs(5);

fn set(check: &str, health: Health) -> Command {
    Command::SetCheck {
        node: AWAY.to_owned(),
        check: check.to_owned(),
        health,
    }
}

pub(super) async fn every_death_deletes_and_delays<C: Consul>(consul: &mut C) -> Verdict {
    let deaths = [
        ("a critical check", Some(set("c", Health::Critical))),
        (
            "a check that goes",
            Some(Command::DeregisterCheck {
                node: AWAY.to_owned(),
                check: "c".to_owned(),
            }),
        ),
        (
            "a node that goes",
            Some(Command::DeregisterNode(AWAY.to_owned())),
        ),
        ("to be destroyed", None),
    ];
    let other = consul.session(LONG).await;
    for (number, (name, death)) in deaths.into_iter().enumerate() {
        let key = format!("k{number}");
        consul.write(&set("c", Health::Passing)).await.unwrap();
        let id = consul.create(&bound_to(AWAY, &["c"], LONG)).await;
        let id = id.map_err(|kind| format!("{name}: no session, {kind:?}"))?;
        same(name, consul.lock(&key, &id).await, Ok(()))?;

        let death = death.unwrap_or_else(|| Command::DestroySession(id.clone()));
        consul.write(&death).await.unwrap();
        same(name, consul.alive(&id).await, false)?;
        same(name, consul.entry(&key).await, None)?;
        same(name, consul.lock(&key, &other).await, DELAYED)?;
        // It does not come back with what it died of, and who made it waits as everybody does.
        consul.write(&set("c", Health::Passing)).await.unwrap();
        same(name, consul.alive(&id).await, false)?;
        let again = consul.create(&bound_to(AWAY, &["c"], LONG)).await.unwrap();
        same(name, consul.lock(&key, &again).await, DELAYED)?;
        consul.put(&key, "written").await;
        same(name, consul.lock(&key, &other).await, DELAYED)?;
        consul.delete(&key).await;
        same(name, consul.lock(&key, &other).await, DELAYED)?;
    }
    Ok(())
}

pub(super) async fn other_checks_end_nothing<C: Consul>(consul: &mut C) -> Verdict {
    consul.write(&set("c", Health::Passing)).await.unwrap();
    consul.write(&set("d", Health::Passing)).await.unwrap();
    let id = consul.create(&bound_to(AWAY, &["c"], LONG)).await.unwrap();
    same("the lock", consul.lock("k", &id).await, Ok(()))?;
    consul.write(&set("d", Health::Critical)).await.unwrap();
    consul.write(&set("c", Health::Passing)).await.unwrap();
    same("alive", consul.alive(&id).await, true)?;
    same("the holder", consul.holder("k").await, Some(id))
}

pub(super) async fn only_keys_that_were_held_are_delayed<C: Consul>(consul: &mut C) -> Verdict {
    let (dies, other) = (consul.session(LONG).await, consul.session(LONG).await);
    same("a", consul.lock("a", &dies).await, Ok(()))?;
    same("b", consul.lock("b", &dies).await, Ok(()))?;
    same("b", consul.unlock("b", &dies).await, Ok(()))?;
    same("c", consul.lock("c", &other).await, Ok(()))?;
    consul.destroy(&dies).await;
    same("held", consul.lock("a", &other).await, DELAYED)?;
    same("released before", consul.lock("b", &other).await, Ok(()))?;
    same("never touched", consul.lock("d", &other).await, Ok(()))?;
    same("another's", consul.holder("c").await, Some(other))
}

pub(super) async fn a_lock_delay_of_zero_is_none<C: Consul>(consul: &mut C) -> Verdict {
    let dies = consul.session(Duration::ZERO).await;
    let other = consul.session(LONG).await;
    same("the lock", consul.lock("k", &dies).await, Ok(()))?;
    consul.destroy(&dies).await;
    same("the key", consul.entry("k").await, None)?;
    same("another's lock", consul.lock("k", &other).await, Ok(()))
}

pub(super) async fn a_lock_delay_is_the_dead_session_s<C: Consul>(consul: &mut C) -> Verdict {
    let dies = consul.session(LONG).await;
    let other = consul.session(Duration::ZERO).await;
    same("the lock", consul.lock("k", &dies).await, Ok(()))?;
    consul.destroy(&dies).await;
    same("another's lock", consul.lock("k", &other).await, DELAYED)
}

/// Counted from when the death was asked for to when a lock was given, so that a slow machine can
/// only seem to be late.
pub(super) async fn a_lock_delay_lasts_as_long_as_it_says<C: Consul>(consul: &mut C) -> Verdict {
    let lock_delay = Duration::from_millis(1_500);
    let dies = consul.session(lock_delay).await;
    let other = consul.session(LONG).await;
    same("the lock", consul.lock("k", &dies).await, Ok(()))?;
    let asked = consul.now();
    consul.destroy(&dies).await;
    consul.put("k", "seen by nobody as a lock").await;
    loop {
        let lock = consul.lock("k", &other).await;
        let after = consul.now() - asked;
        match lock {
            Ok(()) => {
                return holds(
                    after >= lock_delay,
                    format_args!("given {after:?} after the death"),
                );
            }
            Err(FailureKind::LockDelayed) => holds(
                after < lock_delay + NOISE,
                format_args!("still refused {after:?} after the death"),
            )?,
            Err(kind) => return Err(format!("refused because of {kind:?}")),
        }
        consul.pass(Duration::from_millis(20)).await;
    }
}
