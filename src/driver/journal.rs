//! The driver's log: each transition once, with what monitoring greps for.

use tracing::{error, info, warn};

use crate::election::call::{FailureKind, LOCK_FLAG};
use crate::election::status::{Doing, Ending, Feature, Phase, Status, Trouble};
use crate::election::time::Timestamp;
use crate::logging::TRANSITION;

/// Says, in the Go tool's words, that a key is not a lock, and what to do.
pub(crate) fn not_a_lock(key: &str, flags: u64) -> String {
    format!(
        "trigger-key pre-flight check failed: existing key at '{key}' is a regular KV entry \
         (Flags={flags}), not a lock key (expected Flags={LOCK_FLAG}). Delete it with \
         `consul kv delete {key}`, then restart; never pre-create the key with `consul kv put`"
    )
}

/// Says that the next process will know nothing of our session.
pub(super) fn not_remembered(group: &str, error: &str) {
    warn!(
        group,
        error,
        "remembering the session failed: if this process is killed while that session lives, the next one \
         waits for its end instead of going on with it; make the runtime directory writable, and see that it \
         is not full"
    );
}

/// Logs what is different between two statuses of a group.
pub(super) fn log(group: &str, now: Timestamp, before: &Status, after: &Status) {
    log_phase(group, now, before, after);
    if before.trouble != after.trouble {
        log_trouble(group, before, after.trouble.as_ref());
    }
    if let (holder, Some(now_holds)) = (&before.holder, &after.holder)
        && holder.as_ref() != Some(now_holds)
    {
        tracing::debug!(group, holder = now_holds.value, session = %now_holds.session, "standing by");
    }
    if let (None, Some(flags)) = (before.not_a_lock, after.not_a_lock) {
        warn!(
            group,
            flags,
            "the trigger key is not a lock any more, not campaigning; delete it with `consul kv delete {group}`"
        );
    }
    log_takeover(group, before, after);
    if after.overwritten > before.overwritten {
        warn!(
            group,
            "somebody wrote over the trigger key while we hold it, setting it right; nobody else should write it"
        );
    }
}

/// What makes a takeover faster.
fn log_takeover(group: &str, before: &Status, after: &Status) {
    for (feature, error) in &after.lost {
        if !before.lost.contains_key(feature) {
            warn!(group, error, "{}", without(*feature));
        }
    }
    if before.candidate != after.candidate {
        tracing::debug!(
            group,
            candidate = after.candidate,
            "standing as a candidate"
        );
    }
    match (before.drained, after.drained) {
        (false, true) => info!(
            group,
            "this host is drained: it does not lead until `vip-elector resume` says so"
        ),
        (true, false) => info!(group, "this host is drained no more"),
        (false, false) | (true, true) => {}
    }
    if let Some(to) = &after.handed_to {
        info!(group, to, "lock handed over");
    }
    if let Some(reason) = &after.refused_request {
        warn!(
            group,
            reason,
            "the switchover that was asked for is not possible, and forgotten; ask for a host that `vip-elector \
             status` shows as a candidate"
        );
    }
    if let Some((leader, silence)) = &after.deposed {
        warn!(
            group,
            leader = leader.value,
            session = %leader.session,
            silent_ms = millis(*silence),
            "the leader is silent and no other candidate hears it, its session was ended; if that host is well, let \
             UDP of --peer-listen through between the hosts"
        );
    }
}

fn without(feature: Feature) -> &'static str {
    match feature {
        Feature::Candidates => {
            "cannot be a candidate, going on without: a leader that stops releases the lock instead of \
             handing it over; grant key_prefix write on the trigger key"
        }
        Feature::Liveness => {
            "cannot register the liveness check, going on without: a daemon that is killed or frozen is \
             replaced when its session's ttl is over; grant service write on vip-elector"
        }
        Feature::PeerWatch => {
            "cannot end the session of a silent leader, going on without: a host that is lost is replaced \
             when consul has noticed; grant session_prefix write"
        }
    }
}

fn log_phase(group: &str, now: Timestamp, before: &Status, after: &Status) {
    match (&before.phase, &after.phase) {
        (Phase::Leading(_), Phase::Leading(_)) => {}
        (_, Phase::Leading(lease)) => {
            let session = after.session.as_ref().map(tracing::field::display);
            info!(
                group,
                session,
                lease_ms = millis(lease.left(now)),
                "*** LOCK ACQUIRED ***"
            );
        }
        (Phase::Leading(lease), _) => {
            let session = before.session.as_ref().map(tracing::field::display);
            let reason = after.ending.as_ref().map(tracing::field::display);
            let lease_ms = millis(lease.left(now));
            // A lease that ran out says only that no proof came.
            let trouble = before.trouble.as_ref();
            let error = trouble
                .filter(|_| after.ending == Some(Ending::LeaseExpired))
                .map(|trouble| &trouble.message);
            warn!(target: TRANSITION, group, session, reason, error, lease_ms, "*** LOCK LOST ***");
        }
        (Phase::Adopting, Phase::Standby) => {
            let session = after.session.as_ref().map(tracing::field::display);
            info!(
                group,
                session, "went on with the session of the process before"
            );
        }
        (Phase::Adopting, Phase::Clearing) => {
            let session = before.session.as_ref().map(tracing::field::display);
            info!(
                group,
                session, "the session of the process before is not to be had"
            );
        }
        (Phase::Joining, Phase::Standby) => {
            let session = after.session.as_ref().map(tracing::field::display);
            info!(group, session, "session created, standing by");
        }
        (Phase::Standby, Phase::Resigning) if after.ending == Some(Ending::SessionGone) => {
            let session = before.session.as_ref().map(tracing::field::display);
            info!(group, session, "consul ended the session, creating another");
        }
        (_, _) => {}
    }
}

fn log_trouble(group: &str, before: &Status, trouble: Option<&Trouble>) {
    let Some(trouble) = trouble else {
        if before
            .trouble
            .as_ref()
            .is_some_and(|before| is_outage(before.kind))
        {
            info!(group, "consul answers again");
        }
        return;
    };
    // Several requests fail of one cause: one line. That no session can be had is a line of its own.
    let cause = |trouble: &Trouble| (trouble.kind, trouble.doing == Doing::Joining);
    if before.trouble.as_ref().map(cause) == Some(cause(trouble)) {
        return;
    }
    let error = &trouble.message;
    match trouble.kind {
        FailureKind::CheckMissing => warn!(group, error, "Health check verification failed"),
        FailureKind::CheckCritical => info!(group, reason = error, "waiting for check"),
        FailureKind::Denied
        | FailureKind::Unavailable
        | FailureKind::Refused
        | FailureKind::SessionGone
        | FailureKind::Held
        | FailureKind::LockDelayed
        | FailureKind::Changed => match trouble.doing {
            Doing::Joining => error!(group, error, "Failed to create session"),
            Doing::Reading
            | Doing::Watching
            | Doing::Renewing
            | Doing::Locking
            | Doing::Leaving
            | Doing::Living
            | Doing::Standing
            | Doing::Deposing => {
                warn!(
                    group,
                    error, "consul does not answer as it should, trying again"
                );
            }
        },
    }
}

fn is_outage(kind: FailureKind) -> bool {
    match kind {
        FailureKind::Denied | FailureKind::Unavailable | FailureKind::Refused => true,
        FailureKind::CheckMissing
        | FailureKind::CheckCritical
        | FailureKind::SessionGone
        | FailureKind::Held
        | FailureKind::LockDelayed
        | FailureKind::Changed => false,
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}
