//! Driver: sessions of this host, made and found.

use std::sync::PoisonError;
use std::time::Duration;

use super::Binding;
use crate::consul::client::Deadline;
use crate::consul::error;
use crate::consul::session::{BoundCheck, NewSession};
use crate::election::call::{Failure, FailureKind, SessionId};

/// How long to wait for a check on its way from the agent to the servers, which takes a round trip.
const CHECK_TRAVELS: Duration = Duration::from_millis(20);

/// With less time than this left, to ask once more would only turn what Consul said into a timeout.
const LAST_TRY: Duration = Duration::from_millis(100);

impl Binding {
    pub(super) async fn create(
        &self,
        name: &str,
        liveness: bool,
        timeout: Duration,
    ) -> Result<SessionId, Failure> {
        let deadline = Deadline::within(timeout);
        let liveness = self.liveness.as_ref().filter(|_| liveness);
        let mut home = self.home();
        if let (Some(liveness), None) = (liveness, &home) {
            home = liveness.node(deadline.left()).await;
        }
        let mut checks: Vec<BoundCheck<'_>> = Vec::new();
        if let Some(id) = &self.terms.check_id {
            let found = self
                .client
                .check(id, home.as_deref(), deadline.left())
                .await;
            checks.push(match found {
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
            });
        }
        checks.extend(liveness.map(|liveness| BoundCheck::Service(liveness.check())));
        let new = NewSession {
            name,
            ttl: self.terms.ttl,
            lock_delay: self.terms.lock_delay,
            node: home.as_deref(),
            checks: &checks,
        };
        let created = self
            .create_when_alive(new, liveness.is_some(), deadline)
            .await;
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
            Err(failure) if failure.message.contains(error::NO_NODE) => {
                self.settle(None);
                if let Some(liveness) = liveness {
                    liveness.forget();
                }
            }
            Err(_) => {}
        }
        created
    }

    /// Creates a session as soon as the servers know our own check as good.
    async fn create_when_alive(
        &self,
        new: NewSession<'_>,
        liveness: bool,
        deadline: Deadline,
    ) -> Result<SessionId, Failure> {
        let liveness = self.liveness.as_ref().filter(|_| liveness);
        loop {
            let created = self.client.create_session(new, deadline.left()).await;
            let (Some(liveness), Err(failure)) = (liveness, &created) else {
                return created;
            };
            // A name too long for the message is not recognised, which only costs this patience.
            let ours = failure.message.contains(&format!("'{}'", liveness.check()));
            if !ours || deadline.left() <= CHECK_TRAVELS + LAST_TRY {
                return created;
            }
            match failure.kind {
                FailureKind::CheckMissing => {}
                FailureKind::CheckCritical => {
                    liveness.feed(&self.client, deadline.left()).await?;
                }
                FailureKind::SessionGone
                | FailureKind::Held
                | FailureKind::LockDelayed
                | FailureKind::Changed
                | FailureKind::Denied
                | FailureKind::Unavailable
                | FailureKind::Refused => return created,
            }
            tokio::time::sleep(CHECK_TRAVELS).await;
        }
    }

    pub(super) async fn find(
        &self,
        name: &str,
        id: Option<&SessionId>,
        timeout: Duration,
    ) -> Result<Option<SessionId>, Failure> {
        let found = match id {
            Some(id) => {
                let session = self.client.session(id, timeout).await?;
                session.filter(|session| nonce(&session.name) == nonce(name))
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
        if let Some(liveness) = &self.liveness {
            liveness.pass_too(session.checks);
        }
        self.settle(Some(session.node));
        Ok(Some(session.id))
    }

    pub(super) fn home(&self) -> Option<String> {
        self.home
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn settle(&self, home: Option<String>) {
        *self.home.lock().unwrap_or_else(PoisonError::into_inner) = home;
    }
}

/// What the names of a process's sessions have in common, and no other process's: any of its groups may have named the
/// one that they share.
fn nonce(name: &str) -> &str {
    let last = name.rsplit_once(' ').map_or(name, |(_, last)| last);
    last.split_once('-').map_or(last, |(nonce, _)| nonce)
}
