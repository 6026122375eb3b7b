//! Driver: the trigger key and the keys below it, each change in one transaction.

use std::time::{Duration, SystemTime};

use tracing::debug;

use super::{Binding, WATCH_WAIT, group};
use crate::consul::error;
use crate::consul::kv::Consistency;
use crate::consul::request::Operation;
use crate::consul::txn::{Op, Write};
use crate::election::call::{Entry, Failure, FailureKind, LOCK_FLAG, SessionId, Successor};
use crate::election::candidate::GroupRead;

/// What [`Call::MarkVacant`](crate::election::call::Call::MarkVacant) writes: readable, and not empty,
/// because an empty value says that somebody gave the lock up cleanly.
const VACANT: &[u8] = b"(vacant)";

impl Binding {
    pub(super) async fn mark_vacant(&self, timeout: Duration) -> Result<(), Failure> {
        let key = &self.terms.key;
        let doing = format!("mark key '{key}' as vacant");
        let operations = [Op::CheckNotExists(key), Op::Set(self.trigger(VACANT))];
        self.client
            .transact(&operations, &doing, timeout)
            .await
            .map(drop)
    }

    /// Locks the key with our value if `guard` holds.
    pub(super) async fn lock(
        &self,
        guard: Op<'_>,
        session: &SessionId,
        what: &str,
        timeout: Duration,
    ) -> Result<(), Failure> {
        let value = self.terms.value.as_bytes();
        let doing = format!("{what} of key '{}' with session {session}", self.terms.key);
        let operations = [guard, Op::Lock(self.trigger(value), session)];
        let keys = self.client.transact(&operations, &doing, timeout).await?;
        // A lease begins with this answer: take it from nobody who only says 200.
        shows_last(&keys, session, &doing)
    }

    pub(super) async fn release(
        &self,
        session: &SessionId,
        registered: bool,
        timeout: Duration,
    ) -> Result<(), Failure> {
        let key = &self.terms.key;
        let doing = format!("release the lock of key '{key}' with session {session}");
        let mut operations = vec![
            Op::CheckSession(key, session),
            Op::Unlock(self.trigger(b""), session),
        ];
        if !registered {
            return self
                .client
                .transact(&operations, &doing, timeout)
                .await
                .map(drop);
        }
        operations.push(Op::Delete(&self.candidate_key));
        self.transact_group(&operations, &doing, timeout)
            .await
            .map(drop)
    }

    pub(super) async fn hand_over(
        &self,
        session: &SessionId,
        registered: bool,
        successor: &Successor,
        request: Option<u64>,
        timeout: Duration,
    ) -> Result<(), Failure> {
        let theirs = group::candidate_key(&self.terms.key, &successor.value);
        let doing = format!(
            "hand the lock of key '{}' from session {session} to {} with session {}",
            self.terms.key, successor.value, successor.session
        );
        let mut operations = vec![
            Op::CheckSession(&theirs, &successor.session),
            Op::Unlock(self.trigger(b""), session),
            Op::Lock(self.trigger(successor.value.as_bytes()), &successor.session),
        ];
        operations.extend(registered.then_some(Op::Delete(&self.candidate_key)));
        if let Some(index) = request {
            operations.push(Op::CheckIndex(&self.request_key, index));
            operations.push(Op::Delete(&self.request_key));
        }
        self.transact_group(&operations, &doing, timeout)
            .await
            .map(drop)
            .map_err(|failure| match failure.kind {
                // Only the successor's can be meant: to unlock, Consul compares ours and asks no more.
                FailureKind::SessionGone => Failure {
                    kind: FailureKind::Changed,
                    ..failure
                },
                FailureKind::CheckMissing
                | FailureKind::CheckCritical
                | FailureKind::Held
                | FailureKind::LockDelayed
                | FailureKind::Changed
                | FailureKind::Denied
                | FailureKind::Unavailable
                | FailureKind::Refused => failure,
            })
    }

    pub(super) async fn watch_group(
        &self,
        index: u64,
        timeout: Duration,
    ) -> Result<GroupRead, Failure> {
        let key = &self.terms.key;
        // What a session sees first decides whether it may lead: no server that is behind tells it that.
        let consistency = match index {
            0 => Consistency::Default,
            _ => Consistency::Stale,
        };
        let read = self
            .client
            .watch_prefix(&group::prefix(key), index, WATCH_WAIT, consistency, timeout)
            .await?;
        let (group, ignored) = group::read(key, read);
        for entry in ignored {
            debug!(key, entry, "ignored below the trigger key");
        }
        Ok(group)
    }

    pub(super) async fn register(
        &self,
        session: &SessionId,
        timeout: Duration,
    ) -> Result<(), Failure> {
        let doing = format!("register as candidate with session {session}");
        let value = group::describe(&self.terms, session, SystemTime::now()).map_err(|error| {
            // Strings and numbers always serialise.
            error::unavailable(&doing, &format!("the entry cannot be written: {error}"))
        })?;
        let write = Write {
            key: &self.candidate_key,
            value: &value,
            flags: LOCK_FLAG,
        };
        let operations = [Op::Lock(write, session)];
        let keys = self.transact_group(&operations, &doing, timeout).await?;
        shows_last(&keys, session, &doing)
    }

    pub(super) async fn unregister(
        &self,
        session: &SessionId,
        timeout: Duration,
    ) -> Result<(), Failure> {
        let doing = format!("leave the candidates with session {session}");
        let operations = [
            Op::CheckSession(&self.candidate_key, session),
            Op::Delete(&self.candidate_key),
        ];
        self.transact_group(&operations, &doing, timeout)
            .await
            .map(drop)
    }

    pub(super) async fn drop_request(&self, index: u64, timeout: Duration) -> Result<(), Failure> {
        let key = &self.request_key;
        let operations = [Op::CheckIndex(key, index), Op::Delete(key)];
        self.transact_group(&operations, "delete the switchover request", timeout)
            .await
            .map(drop)
    }

    async fn transact_group(
        &self,
        operations: &[Op<'_>],
        doing: &str,
        timeout: Duration,
    ) -> Result<Vec<Entry>, Failure> {
        let key = Some(self.terms.key.as_str());
        self.client
            .transact_as(Operation::TransactGroup, key, operations, doing, timeout)
            .await
    }

    fn trigger<'a>(&'a self, value: &'a [u8]) -> Write<'a> {
        Write {
            key: &self.terms.key,
            value,
            flags: LOCK_FLAG,
        }
    }
}

/// Asserts that a transaction left its last key with this session.
fn shows_last(keys: &[Entry], session: &SessionId, doing: &str) -> Result<(), Failure> {
    let holder = keys.last().and_then(|entry| entry.session.as_ref());
    if holder == Some(session) {
        Ok(())
    } else {
        Err(error::unavailable(
            doing,
            "consul's answer does not show the lock as ours",
        ))
    }
}
