//! Driver: carries out what the election of one group asks of Consul.

pub(crate) mod group;
mod liveness;
mod lock;
mod membership;

use std::sync::Mutex;
use std::time::Duration;

use self::liveness::Liveness;
pub(crate) use self::liveness::NAME as LIVENESS_SERVICE;
use crate::consul::blocking;
use crate::consul::client::{Client, Deadline};
use crate::consul::kv::Consistency;
use crate::consul::service::Word;
use crate::consul::txn::Op;
use crate::election::call::{Answer, Call, Failure, FailureKind};
use crate::election::candidate::Contact;

/// How long Consul may hold a watch open.
const WATCH_WAIT: Duration = Duration::from_secs(10);

/// The timeout for [`Call::Watch`] and [`Call::WatchGroup`] that lets Consul hold it open for as long as it likes to. A shorter
/// one makes for a shorter wait.
pub const WATCH_TIMEOUT: Duration = blocking::watch_timeout(WATCH_WAIT);

/// What never changes while a group runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The trigger key, without a leading slash.
    pub key: String,
    /// The trigger value.
    pub value: String,
    /// Of the session.
    pub ttl: Duration,
    /// Of the session.
    pub lock_delay: Duration,
    /// The check that the session dies with: of a node or of a service.
    pub check_id: Option<String>,
    /// As a candidate: higher is better.
    pub priority: i32,
    /// As a candidate: where we listen for heartbeats, if we do.
    pub contact: Option<Contact>,
    /// After how long without [`Call::Feed`] our own check ends the session, if there is one.
    pub liveness_ttl: Option<Duration>,
}

/// One group's way to Consul.
pub struct Binding {
    client: Client,
    terms: Terms,
    candidate_key: String,
    request_key: String,
    liveness: Option<Liveness>,
    /// The node that the sessions belong to. Known since one was found there, and kept, so that
    /// another endpoint does not tie a session to another host's health.
    home: Mutex<Option<String>>,
}

impl Binding {
    /// Ties a group's terms to a client.
    pub fn new(client: Client, terms: Terms) -> Self {
        Self {
            client,
            candidate_key: group::candidate_key(&terms.key, &terms.value),
            request_key: group::request_key(&terms.key),
            liveness: Liveness::of(&terms),
            terms,
            home: Mutex::new(None),
        }
    }

    /// Has the liveness check's service say why this host would not lead: each time that the check is passed, it is
    /// looked whether there is another reason.
    #[must_use]
    pub fn saying(mut self, word: impl Fn() -> Option<Word> + Send + Sync + 'static) -> Self {
        if let Some(liveness) = &mut self.liveness {
            liveness.saying(Box::new(word));
        }
        self
    }

    /// Carries out one call, in `timeout`, connecting and all.
    ///
    /// Cancel safe in that nothing is left behind here; what had been sent may still take effect.
    ///
    /// # Errors
    /// As [`Failure`] says. To an operation on a key that is no longer ours, [`FailureKind::Changed`].
    pub async fn call(&self, call: Call, timeout: Duration) -> Result<Answer, Failure> {
        match call {
            Call::CreateSession { name, liveness } => {
                let deadline = Deadline::within(timeout);
                let created = self.create(&name, liveness, timeout).await;
                if let (Err(_), Some(liveness)) = (&created, &self.liveness) {
                    // No session, and so nothing that passes the check.
                    liveness.tell(deadline).await;
                }
                created.map(Answer::Created)
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
            Call::Watch { index } => self.watch(index, Consistency::Stale, timeout).await,
            Call::WatchThroughLeader { index } => {
                self.watch(index, Consistency::Default, timeout).await
            }
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
            Call::Release {
                session,
                registered,
            } => self.release(&session, registered, timeout).await.map(done),
            Call::HandOver {
                session,
                registered,
                successor,
                request,
            } => self
                .hand_over(&session, registered, &successor, request, timeout)
                .await
                .map(done),
            Call::RegisterService { leads } => {
                let home = self.home();
                let node = self
                    .liveness()?
                    .register(&self.client, leads, home.as_deref(), timeout)
                    .await?;
                self.settle(home.or(node));
                Ok(Answer::Done)
            }
            Call::Feed => self.liveness()?.feed(&self.client, timeout).await.map(done),
            Call::DeregisterService => {
                let liveness = self.liveness()?;
                liveness.deregister(&self.client, timeout).await.map(done)
            }
            Call::WatchGroup { index } => self.watch_group(index, timeout).await.map(Answer::Group),
            Call::Register(session) => self.register(&session, timeout).await.map(done),
            Call::Unregister(session) => self.unregister(&session, timeout).await.map(done),
            Call::DropRequest { index } => self.drop_request(index, timeout).await.map(done),
            Call::Depose(id) => self.client.depose_session(&id, timeout).await.map(done),
        }
    }

    fn liveness(&self) -> Result<&Liveness, Failure> {
        self.liveness.as_ref().ok_or_else(|| Failure {
            kind: FailureKind::Refused,
            message: "there is no liveness check: it has no ttl".to_owned(),
        })
    }

    async fn watch(
        &self,
        index: u64,
        consistency: Consistency,
        timeout: Duration,
    ) -> Result<Answer, Failure> {
        let key = &self.terms.key;
        self.client
            .watch(key, index, WATCH_WAIT, consistency, timeout)
            .await
            .map(Answer::Key)
    }
}

fn done((): ()) -> Answer {
    Answer::Done
}

#[cfg(test)]
mod tests;
