//! What the suite asks of a Consul, whoever plays it.

use std::time::Duration;

use vip_elector::election::call::{FailureKind, KeyRead, SessionId};
use vip_sim::store::{Command, Reply, Session};

/// The node that is there from the beginning, with a `serfHealth` that passes.
pub(crate) const NODE: &str = "n1";

/// A Consul with one server.
pub(crate) trait Consul {
    /// Makes a session.
    async fn create(&mut self, session: &Session) -> Result<SessionId, FailureKind>;

    /// Starts a session's TTL anew.
    async fn renew(&mut self, id: &SessionId) -> Result<(), FailureKind>;

    /// Says whether a session lives.
    async fn alive(&mut self, id: &SessionId) -> bool;

    /// Carries out any command but [`Command::CreateSession`].
    async fn write(&mut self, command: &Command) -> Reply;

    /// Reads a key.
    async fn read(&mut self, key: &str) -> KeyRead;

    /// Returns the time since the beginning.
    fn now(&self) -> Duration;

    /// Lets time pass.
    async fn pass(&mut self, time: Duration);
}
