//! Our client against a real Consul. Needs namespaces, and fetches Consul at first.
#![expect(
    clippy::unwrap_used,
    reason = "all of this is test code, though not below `#[test]`"
)]

mod access;
mod acl;
mod agent;
mod candidates;
mod checks;
mod conformance;
mod daemon;
mod doctor;
mod election;
mod failover;
mod liveness;
mod operate;
mod secrets;
mod security;
mod together;
mod tokens;
mod unheard;

use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

use libtest_mimic::Trial;
use vip_elector::consul::access::{Access, Endpoint};
use vip_elector::consul::{Binding, Client, Terms};
use vip_elector::election::call::{Answer, Call, Entry, Failure, FailureKind, KeyRead, SessionId};
use vip_lab::parts::Part;

use crate::agent::GENEROUS;

/// The trigger key of all tests.
pub(crate) const KEY: &str = "service/pg cluster/leader";

fn main() -> ExitCode {
    let trials = [
        election::trials(),
        candidates::trials(),
        together::trials(),
        checks::trials(),
        liveness::trials(),
        failover::trials(),
        access::trials(),
        security::trials(),
        acl::trials(),
        doctor::trials(),
        secrets::trials(),
        tokens::trials(),
        unheard::trials(),
        operate::trials(),
        conformance::trials(),
    ];
    vip_lab::runner::main(&[Part::Consul], trials.into_iter().flatten().collect())
}

/// Gives the lock up, by a host that is no candidate.
pub(crate) const fn release(session: SessionId) -> Call {
    Call::Release {
        session,
        registered: false,
    }
}

/// Makes a trial of an async function.
pub(crate) fn trial<F: Future<Output = ()>>(
    name: &str,
    test: impl FnOnce() -> F + Send + 'static,
) -> Trial {
    Trial::test(name, move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(test());
        Ok(())
    })
}

/// A daemon's side: a binding, and what it does all day.
pub(crate) struct Host {
    pub(crate) binding: Binding,
    pub(crate) client: Client,
}

impl Host {
    pub(crate) fn new(access: &Access, value: &str, lock_delay: Duration) -> Self {
        Self::with_check(access, value, lock_delay, None)
    }

    pub(crate) fn with_check(
        access: &Access,
        value: &str,
        lock_delay: Duration,
        check_id: Option<&str>,
    ) -> Self {
        let terms = Terms {
            check_id: check_id.map(String::from),
            ..terms(value, lock_delay)
        };
        Self::of(access, terms)
    }

    pub(crate) fn of(access: &Access, terms: Terms) -> Self {
        let client = Client::new(access).unwrap();
        Self {
            binding: Binding::new(client.clone(), terms),
            client,
        }
    }

    pub(crate) async fn call(&self, call: Call) -> Result<Answer, Failure> {
        self.binding.call(call, GENEROUS).await
    }

    /// Asserts that a call is carried out.
    pub(crate) async fn done(&self, call: Call) {
        assert_eq!(self.call(call.clone()).await, Ok(Answer::Done), "{call:?}");
    }

    /// Asserts that a call fails, and returns the message.
    pub(crate) async fn fails(&self, call: Call, kind: FailureKind) -> String {
        let failure = self
            .call(call.clone())
            .await
            .expect_err(&format!("{call:?}"));
        assert_eq!(failure.kind, kind, "{call:?}: {}", failure.message);
        failure.message
    }

    pub(crate) async fn session(&self, name: &str) -> SessionId {
        match self
            .call(Call::CreateSession {
                name: name.to_owned(),
                liveness: false,
            })
            .await
        {
            Ok(Answer::Created(id)) => id,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn find(&self, name: &str) -> Option<SessionId> {
        match self
            .call(Call::FindSession {
                name: name.to_owned(),
                id: None,
            })
            .await
        {
            Ok(Answer::Found(found)) => found,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn read(&self) -> KeyRead {
        match self.call(Call::Read).await {
            Ok(Answer::Key(read)) => read,
            other => panic!("{other:?}"),
        }
    }

    /// Reads the key, which must be there.
    pub(crate) async fn entry(&self) -> Entry {
        self.read().await.entry.expect("the key is there")
    }

    /// Takes the lock of a key that nobody has and that was left cleanly, or that never was.
    pub(crate) async fn lead(&self, session: &SessionId) {
        if self.read().await.entry.is_none() {
            self.done(Call::MarkVacant).await;
        }
        let index = self.entry().await.modify_index;
        self.done(Call::Acquire {
            session: session.clone(),
            index,
        })
        .await;
    }
}

/// The least that a host wants.
pub(crate) fn terms(value: &str, lock_delay: Duration) -> Terms {
    Terms {
        key: KEY.to_owned(),
        value: value.to_owned(),
        ttl: Duration::from_secs(10),
        lock_delay,
        check_id: None,
        priority: 0,
        contact: None,
        liveness_ttl: None,
    }
}

pub(crate) fn access(endpoints: &[String]) -> Access {
    Access::plain(endpoints.iter().map(|url| endpoint(url)).collect())
}

fn endpoint(url: &str) -> Endpoint {
    match url.strip_prefix("unix://") {
        Some(path) => Endpoint::Unix(path.into()),
        None => Endpoint::Http(url.parse().unwrap()),
    }
}
