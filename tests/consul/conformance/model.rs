//! The model as a Consul with one server.

use std::time::Duration;

use fastrand::Rng;
use vip_elector::election::call::{FailureKind, KeyRead, SessionId};
use vip_sim::store::{Command, Health, Reply, Session, Store, Timers};

use super::interface::{Consul, NODE};

/// A server that leads itself.
pub(crate) struct Model {
    store: Store,
    timers: Timers,
    draw: Rng,
    now: Duration,
    created: u64,
}

impl Model {
    pub(crate) fn new() -> Self {
        let mut store = Store::new();
        let healthy = Command::SetCheck {
            node: NODE.to_owned(),
            check: "serfHealth".to_owned(),
            health: Health::Passing,
        };
        store.apply(Duration::ZERO, &healthy).unwrap();
        Self {
            store,
            timers: Timers::default(),
            draw: Rng::with_seed(1),
            now: Duration::ZERO,
            created: 0,
        }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    fn submit(&mut self, command: &Command) -> Reply {
        self.store.admit(self.now, command)?;
        self.store.apply(self.now, command)
    }
}

impl Consul for Model {
    async fn create(&mut self, session: &Session) -> Result<SessionId, FailureKind> {
        self.created += 1;
        let id = SessionId::new(format!("session-{}", self.created));
        self.submit(&Command::CreateSession {
            id: id.clone(),
            session: session.clone(),
        })?;
        self.timers.arm(self.now, &id, session.ttl, &mut self.draw);
        Ok(id)
    }

    async fn renew(&mut self, id: &SessionId) -> Result<(), FailureKind> {
        self.timers.renew(self.now, &self.store, id, &mut self.draw)
    }

    async fn alive(&mut self, id: &SessionId) -> bool {
        self.store.session(id).is_some()
    }

    async fn write(&mut self, command: &Command) -> Reply {
        self.submit(command)
    }

    async fn read(&mut self, key: &str) -> KeyRead {
        self.store.read(key)
    }

    fn now(&self) -> Duration {
        self.now
    }

    async fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.timers.next().filter(|due| *due <= end) {
            self.now = due;
            for id in self.timers.expired(due) {
                self.submit(&Command::DestroySession(id)).unwrap();
            }
        }
        self.now = end;
    }
}
