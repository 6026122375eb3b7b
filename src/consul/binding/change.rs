//! Driver: the changes of the trigger key and of the keys below it: each group's all or none, and those of several
//! groups in one transaction.

use std::time::{Duration, SystemTime};

use super::{Binding, group};
use crate::consul::client::Client;
use crate::consul::error;
use crate::consul::request::Operation;
use crate::consul::txn::{Keys, Op, Part, Write};
use crate::election::call::{Answer, Call, Entry, Failure, FailureKind, LOCK_FLAG, SessionId};

/// What [`Call::MarkVacant`] writes: readable, and not empty, because an empty value says that somebody
/// gave the lock up cleanly.
const VACANT: &[u8] = b"(vacant)";

/// Carries out the changes of several groups. One that Consul refuses leaves the others alone. As many results as calls.
///
/// # Errors
/// Each as [`Failure`] says; `Refused` to a call that changes no key.
pub(in crate::consul) async fn carry_out(
    client: &Client,
    calls: &[(&Binding, &Call)],
    timeout: Duration,
) -> Vec<Result<Answer, Failure>> {
    let changes: Vec<Result<Change<'_>, Failure>> = calls
        .iter()
        .map(|(binding, call)| Change::new(binding, call))
        .collect();
    let parts: Vec<Part<'_>> = changes.iter().flatten().map(Change::part).collect();
    let mut answers = client.transact_together(&parts, timeout).await.into_iter();
    let mut results = Vec::new();
    for change in &changes {
        results.push(match change {
            Ok(change) => {
                let lost = || {
                    Err(error::unavailable(
                        &change.doing,
                        "consul did not answer to it",
                    ))
                };
                change.outcome(answers.next().unwrap_or_else(lost))
            }
            Err(failure) => Err(failure.clone()),
        });
    }
    results
}

/// A call as a part of a transaction.
struct Change<'a> {
    binding: &'a Binding,
    call: &'a Call,
    /// Continues "cannot".
    doing: String,
    /// Where another host's entry is, or what ours says.
    other: Vec<u8>,
}

impl<'a> Change<'a> {
    fn new(binding: &'a Binding, call: &'a Call) -> Result<Self, Failure> {
        let key = &binding.terms.key;
        let locking = |what: &str, session: &SessionId| {
            format!("{what} of key '{key}' with session {session}")
        };
        let mut other = Vec::new();
        let doing = match call {
            Call::MarkVacant => format!("mark key '{key}' as vacant"),
            Call::Acquire { session, .. } => locking("acquire the lock", session),
            Call::Restore(session) => locking("restore the value", session),
            Call::Release { session, .. } => {
                format!("release the lock of key '{key}' with session {session}")
            }
            Call::HandOver {
                session, successor, ..
            } => {
                other = group::candidate_key(key, &successor.value).into_bytes();
                format!(
                    "hand the lock of key '{key}' from session {session} to {} with session {}",
                    successor.value, successor.session
                )
            }
            Call::Register(session) => {
                let doing = format!("register as candidate with session {session}");
                other = group::describe(&binding.terms, session, SystemTime::now()).map_err(
                    // Strings and numbers always serialise.
                    |why| {
                        error::unavailable(&doing, &format!("the entry cannot be written: {why}"))
                    },
                )?;
                doing
            }
            Call::Unregister(session) => format!("leave the candidates with session {session}"),
            Call::DropRequest { .. } => "delete the switchover request".to_owned(),
            Call::LetGo { session, .. } => {
                format!("leave session {session} without key '{key}'")
            }
            Call::CreateSession { .. }
            | Call::FindSession { .. }
            | Call::RenewSession(_)
            | Call::DestroySession(_)
            | Call::SessionLockDelay(_)
            | Call::Read
            | Call::Watch { .. }
            | Call::WatchThroughLeader { .. }
            | Call::RegisterService { .. }
            | Call::Feed
            | Call::DeregisterService
            | Call::WatchGroup { .. }
            | Call::Depose(_) => {
                return Err(Failure {
                    kind: FailureKind::Refused,
                    message: format!("{call} changes no key"),
                });
            }
        };
        Ok(Self {
            binding,
            call,
            doing,
            other,
        })
    }

    fn part(&self) -> Part<'_> {
        let in_group = matches!(
            self.call,
            Call::HandOver { .. }
                | Call::Release {
                    registered: true,
                    ..
                }
                | Call::Register(_)
                | Call::Unregister(_)
                | Call::DropRequest { .. }
                | Call::LetGo {
                    registered: true,
                    ..
                }
        );
        Part {
            operation: if in_group {
                Operation::TransactGroup
            } else {
                Operation::Transact
            },
            key: &self.binding.terms.key,
            doing: &self.doing,
            operations: self.operations(),
        }
    }

    fn operations(&self) -> Vec<Op<'_>> {
        let binding = self.binding;
        let (key, entry) = (binding.terms.key.as_str(), binding.candidate_key.as_str());
        let request = binding.request_key.as_str();
        let trigger = |value| Write {
            key,
            value,
            flags: LOCK_FLAG,
        };
        let ours = binding.terms.value.as_bytes();
        match self.call {
            Call::MarkVacant => vec![Op::CheckNotExists(key), Op::Set(trigger(VACANT))],
            Call::Acquire { session, index } => vec![
                Op::CheckIndex(key, *index),
                Op::Lock(trigger(ours), session),
            ],
            Call::Restore(session) => vec![
                Op::CheckSession(key, session),
                Op::Lock(trigger(ours), session),
            ],
            Call::Release {
                session,
                registered,
            } => {
                let mut operations = vec![
                    Op::CheckSession(key, session),
                    Op::Unlock(trigger(b""), session),
                ];
                operations.extend(registered.then_some(Op::Delete(entry)));
                operations
            }
            Call::HandOver {
                session,
                registered,
                successor,
                request: wish,
            } => {
                let theirs = std::str::from_utf8(&self.other).unwrap_or_default();
                let mut operations = vec![
                    Op::CheckSession(theirs, &successor.session),
                    Op::Unlock(trigger(b""), session),
                    Op::Lock(trigger(successor.value.as_bytes()), &successor.session),
                ];
                operations.extend(registered.then_some(Op::Delete(entry)));
                if let Some(index) = wish {
                    operations.extend([Op::CheckIndex(request, *index), Op::Delete(request)]);
                }
                operations
            }
            Call::Register(session) => {
                let write = Write {
                    key: entry,
                    value: &self.other,
                    flags: LOCK_FLAG,
                };
                vec![Op::Lock(write, session)]
            }
            Call::Unregister(session) => {
                vec![Op::CheckSession(entry, session), Op::Delete(entry)]
            }
            Call::DropRequest { index } => {
                vec![Op::CheckIndex(request, *index), Op::Delete(request)]
            }
            Call::LetGo {
                session,
                seen,
                registered,
            } => {
                let mut operations = match seen {
                    None => vec![Op::CheckNotExists(key)],
                    Some(seen) if seen.session.as_ref() == Some(session) => vec![
                        Op::CheckSession(key, session),
                        Op::Unlock(trigger(VACANT), session),
                    ],
                    // Another holder's: an acquire that is under way finds another index already.
                    Some(seen) if seen.session.is_some() => {
                        vec![Op::CheckIndex(key, seen.modify_index)]
                    }
                    Some(seen) => {
                        let mut operations = vec![Op::CheckIndex(key, seen.modify_index)];
                        // What is no lock is asked for by nobody.
                        if seen.flags == LOCK_FLAG {
                            let value = seen.value.as_deref().unwrap_or_default();
                            // To write the same over it would be no change, and would leave it its index.
                            operations.extend([Op::Delete(key), Op::Set(trigger(value))]);
                        }
                        operations
                    }
                };
                operations.extend(registered.then_some(Op::Delete(entry)));
                operations
            }
            Call::CreateSession { .. }
            | Call::FindSession { .. }
            | Call::RenewSession(_)
            | Call::DestroySession(_)
            | Call::SessionLockDelay(_)
            | Call::Read
            | Call::Watch { .. }
            | Call::WatchThroughLeader { .. }
            | Call::RegisterService { .. }
            | Call::Feed
            | Call::DeregisterService
            | Call::WatchGroup { .. }
            | Call::Depose(_) => Vec::new(),
        }
    }

    /// What the call's answer is.
    fn outcome(&self, answer: Result<Keys, Failure>) -> Result<Answer, Failure> {
        let shows = |keys: &[(String, Entry)], key: &str, session: &SessionId| {
            let last = keys.iter().rev().find(|(name, _)| name == key);
            let holder = last.and_then(|(_, entry)| entry.session.as_ref());
            if holder == Some(session) {
                Ok(())
            } else {
                let why = "consul's answer does not show the lock as ours";
                Err(error::unavailable(&self.doing, why))
            }
        };
        let binding = self.binding;
        match (self.call, answer) {
            // A lease begins with this answer: take it from nobody who only says 200.
            (Call::Acquire { session, .. } | Call::Restore(session), Ok(keys)) => {
                shows(&keys, &binding.terms.key, session)?;
            }
            (Call::Register(session), Ok(keys)) => {
                shows(&keys, &binding.candidate_key, session)?;
            }
            (_, Ok(_)) => {}
            // Only the successor's can be meant: to unlock, Consul compares ours and asks no more.
            (Call::HandOver { .. }, Err(failure)) if failure.kind == FailureKind::SessionGone => {
                return Err(Failure {
                    kind: FailureKind::Changed,
                    ..failure
                });
            }
            (_, Err(failure)) => return Err(failure),
        }
        Ok(Answer::Done)
    }
}
