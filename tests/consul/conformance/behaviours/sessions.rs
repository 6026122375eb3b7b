//! How sessions come and go.

use std::time::Duration;

use vip_elector::election::call::{FailureKind, SessionId};
use vip_sim::store::{Command, Health, Session};

use super::{Deeds, LONG, TTL, Verdict, bound_to, holds, same};
use crate::conformance::interface::{Consul, NODE};

/// What a busy machine may add to a wait.
const NOISE: Duration = Duration::from_secs(5);

const STEP: Duration = Duration::from_millis(250);

/// The lower bound is Consul's word; the upper one is what every Consul does, and the model's.
pub(super) async fn a_session_lives_for_its_ttl_and_no_more_than_twice<C: Consul>(
    consul: &mut C,
) -> Verdict {
    let left_alone = consul.session(LONG).await;
    let renewed = consul.session(LONG).await;
    same("the lock", consul.lock("k", &left_alone).await, Ok(()))?;
    let start = consul.now();
    consul.pass(TTL / 2).await;
    same("renewing", consul.renew(&renewed).await, Ok(()))?;
    let renewed_at = consul.now();

    let mut died = None;
    while consul.now() < start + 2 * TTL + NOISE {
        let asked = consul.now();
        if died.is_none() && !consul.alive(&left_alone).await {
            let age = consul.now() - start;
            holds(age >= TTL, format_args!("dead after {age:?}"))?;
            same("the key of a dead session", consul.entry("k").await, None)?;
            let delayed = Err(FailureKind::LockDelayed);
            same("its lock", consul.lock("k", &renewed).await, delayed)?;
            died = Some(age);
        }
        if !consul.alive(&renewed).await {
            let since = consul.now() - renewed_at;
            holds(
                since >= TTL,
                format_args!("renewed, and dead after {since:?}"),
            )?;
        }
        if died.is_some() && asked > renewed_at + TTL {
            return Ok(());
        }
        consul.pass(STEP).await;
    }
    Err(format!("alive {:?} after its TTL began", 2 * TTL + NOISE))
}

pub(super) async fn a_ttl_out_of_range_is_refused<C: Consul>(consul: &mut C) -> Verdict {
    for (ttl, expected) in [
        (9_999, Err(FailureKind::Refused)),
        (10_000, Ok(())),
        (86_400_000, Ok(())),
        (86_400_001, Err(FailureKind::Refused)),
    ] {
        let session = Session {
            ttl: Duration::from_millis(ttl),
            ..bound_to(NODE, &["serfHealth"], LONG)
        };
        let made = consul.create(&session).await.map(drop);
        same(&format!("a TTL of {ttl} ms"), made, expected)?;
    }
    Ok(())
}

pub(super) async fn a_session_needs_its_node_and_its_checks<C: Consul>(consul: &mut C) -> Verdict {
    let node = "away";
    let made = async |consul: &mut C, checks: &[&str]| {
        let made = consul.create(&bound_to(node, checks, LONG)).await;
        made.map(drop)
    };
    let missing = Err(FailureKind::CheckMissing);
    let critical = Err(FailureKind::CheckCritical);
    let set = |health| Command::SetCheck {
        node: node.to_owned(),
        check: "c".to_owned(),
        health,
    };
    same("without a node", made(consul, &[]).await, missing)?;
    consul
        .write(&Command::RegisterNode(node.to_owned()))
        .await
        .unwrap();
    same("with a node", made(consul, &[]).await, Ok(()))?;
    same("without the check", made(consul, &["c"]).await, missing)?;
    consul.write(&set(Health::Critical)).await.unwrap();
    same("with it critical", made(consul, &["c"]).await, critical)?;
    same("first of two", made(consul, &["c", "d"]).await, critical)?;
    same("second of two", made(consul, &["d", "c"]).await, missing)?;
    same("unbound", made(consul, &[]).await, Ok(()))?;
    consul.write(&set(Health::Passing)).await.unwrap();
    same("with it passing", made(consul, &["c"]).await, Ok(()))?;
    // To register a node again leaves what it has.
    consul
        .write(&Command::RegisterNode(node.to_owned()))
        .await
        .unwrap();
    same("registered again", made(consul, &["c"]).await, Ok(()))?;
    let gone = Command::DeregisterNode(node.to_owned());
    consul.write(&gone).await.unwrap();
    same("without a node again", made(consul, &[]).await, missing)
}

pub(super) async fn a_dead_session_is_not_renewed<C: Consul>(consul: &mut C) -> Verdict {
    let id = consul.session(LONG).await;
    same("while it lives", consul.renew(&id).await, Ok(()))?;
    consul.destroy(&id).await;
    same("alive", consul.alive(&id).await, false)?;
    let gone = Err(FailureKind::SessionGone);
    same("when it is dead", consul.renew(&id).await, gone)?;
    same("its lock", consul.lock("k", &id).await, gone)
}

pub(super) async fn an_unknown_session_is_destroyed_without_complaint<C: Consul>(
    consul: &mut C,
) -> Verdict {
    let id = consul.session(LONG).await;
    consul.destroy(&id).await;
    consul.destroy(&id).await;
    let never = SessionId::new("00000000-0000-4000-8000-000000000000");
    consul.destroy(&never).await;
    let other = consul.session(LONG).await;
    same("locking after it", consul.lock("k", &other).await, Ok(()))
}
