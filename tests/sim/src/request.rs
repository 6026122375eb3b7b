//! Pure: one request of a daemon on its way to Consul and back, and how Consul understands it.

use std::cell::Cell;
use std::time::Duration;

use vip_elector::election::call::{
    Answer, Call, Entry, Failure, FailureKind, LOCK_FLAG, OpId, SessionId,
};

use crate::group::{self, Standing};
use crate::schedule::HostPlan;
use crate::store::{Command, Op, Session, Write};

/// The trigger key.
pub const KEY: &str = "service/pg/leader";

/// The check of each host that its sessions die with, beside `serfHealth`.
pub const CHECK: &str = "pg";

/// The check of each host's own service, which its daemon passes as long as it lives.
pub const LIVE: &str = "service:vip-elector";

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
    /// How that process was configured.
    pub plan: HostPlan,
    /// Its name within the process.
    pub op: OpId,
    /// What is asked.
    pub call: Call,
    /// When it was handed out, in true time.
    pub sent: Duration,
    /// When the daemon waits no more, in true time.
    pub times_out: Duration,
    /// Where the leader's session is to be ended for its silence, when its last word was sent.
    pub word: Option<Duration>,
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
    let plan = &request.plan;
    if let Call::CreateSession { name, liveness } = &request.call {
        return Some(Command::CreateSession {
            id: SessionId::new(format!("s{id}")),
            session: Session {
                name: name.clone(),
                node: node(request.host),
                ttl,
                lock_delay: plan.lock_delay,
                checks: bound_to(*liveness),
            },
        });
    }
    if let Call::DestroySession(session) | Call::Depose(session) = &request.call {
        return Some(Command::DestroySession(session.clone()));
    }
    let standing = Standing {
        priority: plan.priority,
        lock_delay: plan.lock_delay,
        listens: plan.peer_interval.is_some(),
        host: request.host,
        process: request.process,
    };
    transaction(&request.call, KEY, standing).map(Command::Txn)
}

/// The transaction that a call of a group with this trigger key is, if it is one.
pub fn transaction(call: &Call, key: &str, standing: Standing) -> Option<Vec<Op>> {
    let write = |value: &[u8]| Write {
        key: key.to_owned(),
        value: value.to_vec(),
        flags: LOCK_FLAG,
    };
    let key = || key.to_owned();
    let ours = value(standing.host);
    let entry = || group::entry(&key(), &ours);
    Some(match call {
        Call::MarkVacant => vec![Op::CheckNotExists(key()), Op::Set(write(VACANT))],
        Call::Acquire { session, index } => {
            let lock = Op::Lock(write(ours.as_bytes()), session.clone());
            // Only where the rule that it checks one is broken.
            let unchecked = *index == 0;
            if unchecked {
                vec![lock]
            } else {
                vec![Op::CheckIndex(key(), *index), lock]
            }
        }
        Call::Restore(session) => vec![
            Op::CheckSession(key(), session.clone()),
            Op::Lock(write(ours.as_bytes()), session.clone()),
        ],
        Call::Release {
            session,
            registered,
        } => {
            let mut operations = vec![
                Op::CheckSession(key(), session.clone()),
                Op::Unlock(write(b""), session.clone()),
            ];
            operations.extend(registered.then(|| Op::Delete(entry())));
            operations
        }
        Call::HandOver {
            session,
            registered,
            successor,
            request,
        } => {
            let wish = || group::switchover(&key());
            let theirs = group::entry(&key(), &successor.value);
            let mut operations = vec![
                Op::CheckSession(theirs, successor.session.clone()),
                Op::Unlock(write(b""), session.clone()),
                Op::Lock(write(successor.value.as_bytes()), successor.session.clone()),
            ];
            operations.extend(registered.then(|| Op::Delete(entry())));
            if let Some(index) = request {
                operations.extend([Op::CheckIndex(wish(), *index), Op::Delete(wish())]);
            }
            operations
        }
        Call::Register(session) => {
            let write = Write {
                key: entry(),
                value: standing.written(),
                flags: LOCK_FLAG,
            };
            vec![Op::Lock(write, session.clone())]
        }
        Call::Unregister(session) => vec![
            Op::CheckSession(entry(), session.clone()),
            Op::Delete(entry()),
        ],
        Call::DropRequest { index } => {
            let wish = group::switchover(&key());
            vec![Op::CheckIndex(wish.clone(), *index), Op::Delete(wish)]
        }
        Call::LetGo {
            session,
            seen,
            registered,
        } => {
            let mut operations = let_go(session, seen.as_ref(), &write);
            operations.extend(registered.then(|| Op::Delete(entry())));
            operations
        }
        Call::CreateSession { .. }
        | Call::FindSession { .. }
        | Call::RenewSession(_)
        | Call::DestroySession(_)
        | Call::Depose(_)
        | Call::SessionLockDelay(_)
        | Call::Read
        | Call::Watch { .. }
        | Call::WatchThroughLeader { .. }
        | Call::RegisterService { .. }
        | Call::Feed
        | Call::DeregisterService
        | Call::WatchGroup { .. } => return None,
    })
}

/// How a session that others use is left.
fn let_go(session: &SessionId, seen: Option<&Entry>, write: &impl Fn(&[u8]) -> Write) -> Vec<Op> {
    let key = || write(b"").key;
    match seen {
        None => vec![Op::CheckNotExists(key())],
        Some(seen) if seen.session.as_ref() == Some(session) => vec![
            Op::CheckSession(key(), session.clone()),
            Op::Unlock(write(VACANT), session.clone()),
        ],
        Some(seen) if seen.session.is_some() => vec![Op::CheckIndex(key(), seen.modify_index)],
        Some(seen) => {
            let mut operations = vec![Op::CheckIndex(key(), seen.modify_index)];
            if seen.flags == LOCK_FLAG {
                let value = seen.value.as_deref().unwrap_or_default();
                operations.extend([Op::Delete(key()), Op::Set(write(value))]);
            }
            operations
        }
    }
}

fn bound_to(liveness: bool) -> Vec<String> {
    let checks = [SERF, CHECK].into_iter().chain(liveness.then_some(LIVE));
    checks.map(str::to_owned).collect()
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
