//! Driver: carries out what the election of one group asks of Consul.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::consul::client::{Client, Deadline};
use crate::consul::kv::Consistency;
use crate::consul::session::{BoundCheck, NewSession};
use crate::consul::txn::{Op, Write};
use crate::consul::{blocking, error};
use crate::election::call::{Answer, Call, Failure, FailureKind, LOCK_FLAG, SessionId};

/// How long Consul may hold a watch open.
const WATCH_WAIT: Duration = Duration::from_secs(10);

/// The timeout for [`Call::Watch`] that lets Consul hold it open for as long as it likes to. A shorter
/// one makes for a shorter wait.
pub const WATCH_TIMEOUT: Duration = blocking::watch_timeout(WATCH_WAIT);

/// What [`Call::MarkVacant`] writes: readable, and not empty, because an empty value says that
/// somebody gave the lock up cleanly.
const VACANT: &[u8] = b"(vacant)";

/// What never changes while a group runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The trigger key, without a leading slash.
    pub key: String,
    /// The trigger value.
    pub value: Vec<u8>,
    /// Of the session.
    pub ttl: Duration,
    /// Of the session.
    pub lock_delay: Duration,
    /// The check that the session dies with: of a node or of a service.
    pub check_id: Option<String>,
}

/// One group's way to Consul.
pub struct Binding {
    client: Client,
    terms: Terms,
    /// The node that the sessions belong to. Known since one was found there, and kept, so that
    /// another endpoint does not tie a session to another host's health.
    home: Mutex<Option<String>>,
}

impl Binding {
    /// Ties a group's terms to a client.
    pub fn new(client: Client, terms: Terms) -> Self {
        Self {
            client,
            terms,
            home: Mutex::new(None),
        }
    }

    /// Carries out one call, in `timeout`, connecting and all.
    ///
    /// Cancel safe in that nothing is left behind here; what had been sent may still take effect.
    ///
    /// # Errors
    /// As [`Failure`] says. To an operation on a key that is no longer ours, [`FailureKind::Changed`].
    pub async fn call(&self, call: Call, timeout: Duration) -> Result<Answer, Failure> {
        match call.clone() {
            Call::CreateSession { name, .. } => {
                self.create(&name, timeout).await.map(Answer::Created)
            }
            Call::FindSession { name, id } => {
                let found = self.find(&name, id.as_ref(), timeout).await;
                found.map(Answer::Found)
            }
            Call::RenewSession(id) => self.client.renew_session(&id, timeout).await.map(done),
            Call::DestroySession(id) => self.client.destroy_session(&id, timeout).await.map(done),
            Call::SessionLockDelay(id) => {
                let session = self.client.session(&id, timeout).await?;
                Ok(Answer::LockDelay(session.map(|session| session.lock_delay)))
            }
            Call::Read => self
                .client
                .read(&self.terms.key, Consistency::Consistent, timeout)
                .await
                .map(Answer::Key),
            Call::Watch { index } => self
                .client
                .watch(
                    &self.terms.key,
                    index,
                    WATCH_WAIT,
                    Consistency::Stale,
                    timeout,
                )
                .await
                .map(Answer::Key),
            Call::MarkVacant => self.mark_vacant(timeout).await.map(done),
            Call::Acquire { session, index } => {
                let seen = Op::CheckIndex(&self.terms.key, index);
                self.lock(seen, &session, "acquire the lock", timeout)
                    .await
                    .map(done)
            }
            Call::Restore(session) => {
                let ours = Op::CheckSession(&self.terms.key, &session);
                self.lock(ours, &session, "restore the value", timeout)
                    .await
                    .map(done)
            }
            Call::Release { session, .. } => self.release(&session, timeout).await.map(done),
            Call::HandOver { .. }
            | Call::RegisterService { .. }
            | Call::Feed
            | Call::DeregisterService
            | Call::WatchGroup { .. }
            | Call::Register(_)
            | Call::Unregister(_)
            | Call::DropRequest { .. }
            | Call::Depose(_) => Err(Failure {
                kind: FailureKind::Refused,
                message: format!("{call}: not possible yet"),
            }),
        }
    }

    async fn create(&self, name: &str, timeout: Duration) -> Result<SessionId, Failure> {
        let deadline = Deadline::within(timeout);
        let mut home = self.home();
        let check = match &self.terms.check_id {
            None => None,
            Some(id) => {
                let found = self
                    .client
                    .check(id, home.as_deref(), deadline.left())
                    .await;
                Some(match found {
                    Ok(Some(check)) => {
                        let bound = if check.service.is_some() {
                            BoundCheck::Service(id)
                        } else {
                            BoundCheck::Node(id)
                        };
                        home.get_or_insert(check.node);
                        bound
                    }
                    // Not to be seen is not the same as not there: Consul itself will say.
                    Ok(None) => BoundCheck::Service(id),
                    Err(failure) if failure.kind == FailureKind::Denied => BoundCheck::Service(id),
                    Err(failure) => return Err(failure),
                })
            }
        };
        let new = NewSession {
            name,
            ttl: self.terms.ttl,
            lock_delay: self.terms.lock_delay,
            node: home.as_deref(),
            check,
        };
        let created = self.client.create_session(new, deadline.left()).await;
        match &created {
            Ok(id) => {
                if home.is_none() {
                    // For the next time only, so that a failure costs nothing.
                    let session = self.client.session(id, deadline.left()).await;
                    home = session.ok().flatten().map(|session| session.node);
                }
                self.settle(home);
            }
            // The agent may come back under another name.
            Err(failure) if failure.message.contains(error::NO_NODE) => self.settle(None),
            Err(_) => {}
        }
        created
    }

    async fn find(
        &self,
        name: &str,
        id: Option<&SessionId>,
        timeout: Duration,
    ) -> Result<Option<SessionId>, Failure> {
        let found = match id {
            Some(id) => {
                let session = self.client.session(id, timeout).await?;
                session.filter(|session| session.name == name)
            }
            None => {
                let home = self.home();
                let sessions = self.client.sessions(home.as_deref(), timeout).await?;
                sessions.into_iter().find(|session| session.name == name)
            }
        };
        let Some(session) = found else {
            return Ok(None);
        };
        self.settle(Some(session.node));
        Ok(Some(session.id))
    }

    async fn mark_vacant(&self, timeout: Duration) -> Result<(), Failure> {
        let key = &self.terms.key;
        let write = Write {
            key,
            value: VACANT,
            flags: LOCK_FLAG,
        };
        let doing = format!("mark key '{key}' as vacant");
        self.client
            .transact(&[Op::CheckNotExists(key), Op::Set(write)], &doing, timeout)
            .await
            .map(drop)
    }

    /// Locks the key with our value if `guard` holds.
    async fn lock(
        &self,
        guard: Op<'_>,
        session: &SessionId,
        what: &str,
        timeout: Duration,
    ) -> Result<(), Failure> {
        let key = &self.terms.key;
        let write = Write {
            key,
            value: &self.terms.value,
            flags: LOCK_FLAG,
        };
        let doing = format!("{what} of key '{key}' with session {session}");
        let keys = self
            .client
            .transact(&[guard, Op::Lock(write, session)], &doing, timeout)
            .await?;
        // A lease begins with this answer: take it from nobody who only says 200.
        if keys
            .last()
            .is_some_and(|entry| entry.session.as_ref() == Some(session))
        {
            Ok(())
        } else {
            Err(error::unavailable(
                &doing,
                "consul's answer does not show the lock as ours",
            ))
        }
    }

    async fn release(&self, session: &SessionId, timeout: Duration) -> Result<(), Failure> {
        let key = &self.terms.key;
        let empty = Write {
            key,
            value: b"",
            flags: LOCK_FLAG,
        };
        let doing = format!("release the lock of key '{key}' with session {session}");
        let operations = [Op::CheckSession(key, session), Op::Unlock(empty, session)];
        self.client
            .transact(&operations, &doing, timeout)
            .await
            .map(drop)
    }

    fn home(&self) -> Option<String> {
        self.home
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn settle(&self, home: Option<String>) {
        *self.home.lock().unwrap_or_else(PoisonError::into_inner) = home;
    }
}

fn done((): ()) -> Answer {
    Answer::Done
}

#[cfg(test)]
mod tests;
