//! Pure: one request of a daemon on its way to Consul and back, and how Consul understands it.

use std::cell::Cell;
use std::time::Duration;

use vip_elector::election::call::{
    Answer, Call, Entry, Failure, FailureKind, LOCK_FLAG, OpId, SessionId,
};

use crate::store::{Command, Op, Session, Write};

/// The trigger key.
pub const KEY: &str = "service/pg/leader";

/// The check of each host that its sessions die with, beside `serfHealth`.
pub const CHECK: &str = "pg";

/// Consul's own check of every node.
pub const SERF: &str = "serfHealth";

/// What a standby writes where there is no key; not empty, so that it says nothing of a clean ending.
const VACANT: &[u8] = b"(vacant)";

/// A request that was handed out.
#[derive(Debug)]
pub struct Request {
    /// Whose.
    pub host: usize,
    /// Which process of that host.
    pub process: u64,
    /// With which lock-delay.
    pub lock_delay: Duration,
    /// Its name within the process.
    pub op: OpId,
    /// What is asked.
    pub call: Call,
    /// When it was handed out, in true time.
    pub sent: Duration,
    /// When the daemon waits no more, in true time.
    pub times_out: Duration,
    /// Somebody sees to it that the daemon does not wait for ever.
    pub bounded: Cell<bool>,
    /// It has been through the log: carried out once more, it does what nobody asked for.
    pub carried_out: Cell<bool>,
}

/// Names a node of the catalog.
pub fn node(host: usize) -> String {
    format!("node{host}")
}

/// The value that names a host in the trigger key.
pub fn value(host: usize) -> String {
    format!("host{host}")
}

/// The command that a call is, if it goes through the log. `id` names the session that it makes.
pub fn command(request: &Request, ttl: Duration, id: u64) -> Option<Command> {
    let write = |value: &[u8]| Write {
        key: KEY.to_owned(),
        value: value.to_vec(),
        flags: LOCK_FLAG,
    };
    let key = || KEY.to_owned();
    let ours = value(request.host);
    Some(match &request.call {
        Call::CreateSession { name, .. } => Command::CreateSession {
            id: SessionId::new(format!("s{id}")),
            session: Session {
                name: name.clone(),
                node: node(request.host),
                ttl,
                lock_delay: request.lock_delay,
                checks: vec![SERF.to_owned(), CHECK.to_owned()],
            },
        },
        Call::DestroySession(session) => Command::DestroySession(session.clone()),
        Call::MarkVacant => Command::Txn(vec![Op::CheckNotExists(key()), Op::Set(write(VACANT))]),
        Call::Acquire { session, index } => {
            let lock = Op::Lock(write(ours.as_bytes()), session.clone());
            // Only where the rule that it checks one is broken.
            let unchecked = *index == 0;
            Command::Txn(if unchecked {
                vec![lock]
            } else {
                vec![Op::CheckIndex(key(), *index), lock]
            })
        }
        Call::Restore(session) => Command::Txn(vec![
            Op::CheckSession(key(), session.clone()),
            Op::Lock(write(ours.as_bytes()), session.clone()),
        ]),
        Call::Release { session, .. } => Command::Txn(vec![
            Op::CheckSession(key(), session.clone()),
            Op::Unlock(write(b""), session.clone()),
        ]),
        Call::FindSession { .. }
        | Call::RenewSession(_)
        | Call::SessionLockDelay(_)
        | Call::Read
        | Call::Watch { .. }
        | Call::HandOver { .. }
        | Call::RegisterService { .. }
        | Call::Feed
        | Call::DeregisterService
        | Call::WatchGroup { .. }
        | Call::Register(_)
        | Call::Unregister(_)
        | Call::DropRequest { .. }
        | Call::Depose(_) => return None,
    })
}

/// What the client makes of the reply to a command.
pub fn answer(
    command: &Command,
    reply: Result<Vec<Entry>, FailureKind>,
) -> Result<Answer, Failure> {
    match (reply, command) {
        (Err(kind), _) => Err(failure(kind)),
        (Ok(_), Command::CreateSession { id, .. }) => Ok(Answer::Created(id.clone())),
        (Ok(_), _) => Ok(Answer::Done),
    }
}

/// A failure, without Consul's words.
pub const fn failure(kind: FailureKind) -> Failure {
    Failure {
        kind,
        message: String::new(),
    }
}
