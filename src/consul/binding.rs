//! Driver: carries out what the election of one group asks of Consul.

pub(super) mod change;
pub(crate) mod group;
mod liveness;
mod membership;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::debug;

pub(crate) use self::liveness::NAME as LIVENESS_SERVICE;
use self::liveness::{Liveness, Says};
use crate::consul::blocking;
use crate::consul::client::{Client, Deadline};
use crate::consul::error;
use crate::consul::kv::{Consistency, PrefixRead};
use crate::consul::service::Word;
use crate::election::call::{Answer, Call, Failure, FailureKind};
use crate::election::candidate::{Contact, GroupRead};

/// How long Consul may hold a watch open.
pub(super) const WATCH_WAIT: Duration = Duration::from_secs(10);

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
    word: Option<Says>,
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
            word: None,
            terms,
            home: Mutex::new(None),
        }
    }

    /// Has the liveness check's service say why this host would not lead: each time that the check is passed, it is
    /// looked whether there is another reason.
    #[must_use]
    pub fn saying(mut self, word: impl Fn() -> Option<Word> + Send + Sync + 'static) -> Self {
        let word: Says = Arc::new(word);
        if let Some(liveness) = &self.liveness {
            liveness.saying(Arc::clone(&word));
        }
        self.word = Some(word);
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
            Call::MarkVacant
            | Call::Acquire { .. }
            | Call::Restore(_)
            | Call::Release { .. }
            | Call::HandOver { .. }
            | Call::Register(_)
            | Call::Unregister(_)
            | Call::DropRequest { .. }
            | Call::LetGo { .. } => {
                let mut results = change::carry_out(&self.client, &[(self, &call)], timeout).await;
                let lost = || {
                    Err(error::unavailable(
                        &call.to_string(),
                        "it was never settled",
                    ))
                };
                results.pop().unwrap_or_else(lost)
            }
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
            Call::Depose(id) => self.client.depose_session(&id, timeout).await.map(done),
        }
    }

    fn liveness(&self) -> Result<&Liveness, Failure> {
        self.liveness.as_ref().ok_or_else(|| Failure {
            kind: FailureKind::Refused,
            message: "there is no liveness check: it has no ttl".to_owned(),
        })
    }

    /// The trigger key.
    pub(super) fn key(&self) -> &str {
        &self.terms.key
    }

    /// Whether the two groups' sessions are made alike, and can be one.
    pub(super) fn bonds_with(&self, other: &Self) -> bool {
        // Every field by name, so that whoever adds one has to decide.
        let Terms {
            key: _,
            value: _,
            ttl,
            lock_delay,
            check_id,
            priority: _,
            contact: _,
            liveness_ttl,
        } = &self.terms;
        let theirs = &other.terms;
        (ttl, lock_delay) == (&theirs.ttl, &theirs.lock_delay)
            && (check_id, liveness_ttl) == (&theirs.check_id, &theirs.liveness_ttl)
    }

    /// Gives the service another name, where so many of this group's have one already.
    pub(super) fn number_service(&mut self, earlier: usize) {
        if let Some(liveness) = self.liveness.as_mut().filter(|_| earlier > 0) {
            let key = format!("{}#{}", self.terms.key, earlier + 1);
            liveness.rename(&key, &self.terms.value);
        }
    }

    /// Has the service say for another group, too, why it would not lead.
    pub(super) fn speak_for(&self, other: &Self) {
        if let (Some(liveness), Some(word)) = (&self.liveness, &other.word) {
            liveness.saying(Arc::clone(word));
        }
    }

    /// Does that no more for a group, or for this one itself.
    pub(super) fn speak_no_more_for(&self, other: &Self) {
        if let (Some(liveness), Some(word)) = (&self.liveness, &other.word) {
            liveness.no_longer_saying(word);
        }
    }

    /// What a listing of everything below the trigger key says.
    pub(super) fn group(&self, read: PrefixRead) -> GroupRead {
        let key = &self.terms.key;
        let (group, ignored) = group::read(key, read);
        for entry in ignored {
            debug!(key, entry, "ignored below the trigger key");
        }
        group
    }

    async fn watch_group(&self, index: u64, timeout: Duration) -> Result<GroupRead, Failure> {
        let below = group::prefix(&self.terms.key);
        // What a session sees first decides whether it may lead: no server that is behind tells it that.
        let consistency = match index {
            0 => Consistency::Default,
            _ => Consistency::Stale,
        };
        let read = self
            .client
            .watch_prefix(&below, index, WATCH_WAIT, consistency, timeout);
        Ok(self.group(read.await?))
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
