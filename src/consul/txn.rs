//! Transactions: several operations on keys, all of them or none, in one raft commit.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};

use crate::consul::client::{Client, Deadline};
use crate::consul::error;
use crate::consul::kv::WireEntry;
use crate::consul::request::{Operation, Request};
use crate::election::call::{Entry, Failure, SessionId};

/// One operation of a transaction (<https://developer.hashicorp.com/consul/api-docs/txn>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op<'a> {
    /// Fails unless the key exists and was last changed at this index.
    CheckIndex(&'a str, u64),
    /// Fails if the key exists.
    CheckNotExists(&'a str),
    /// Fails unless this session holds the key.
    CheckSession(&'a str, &'a SessionId),
    /// Reads the key; fails where there is none.
    Get(&'a str),
    /// Writes the key, locked or not.
    Set(Write<'a>),
    /// Writes the key if it was last changed at this index; 0 means that it must not exist.
    Cas(Write<'a>, u64),
    /// Takes the lock and writes the key; once more by the same session just writes.
    Lock(Write<'a>, &'a SessionId),
    /// Writes the key and gives the lock up; fails unless this session holds it.
    Unlock(Write<'a>, &'a SessionId),
    /// Deletes the key; that there is none is no failure.
    Delete(&'a str),
    /// Deletes the key if it was last changed at this index.
    DeleteCas(&'a str, u64),
}

/// What a key shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write<'a> {
    /// Its name, without a leading slash.
    pub key: &'a str,
    /// At most 512 kB.
    pub value: &'a [u8],
    /// Opaque to Consul.
    pub flags: u64,
}

impl<'a> Op<'a> {
    fn key(&self) -> &'a str {
        match self {
            Self::CheckIndex(key, _)
            | Self::CheckNotExists(key)
            | Self::CheckSession(key, _)
            | Self::Get(key)
            | Self::Delete(key)
            | Self::DeleteCas(key, _) => key,
            Self::Set(write)
            | Self::Cas(write, _)
            | Self::Lock(write, _)
            | Self::Unlock(write, _) => write.key,
        }
    }
}

/// Keys, as a transaction leaves them.
pub(super) type Keys = Vec<(String, Entry)>;

/// What one group wants of a transaction that several may share.
#[derive(Clone, Debug)]
pub(super) struct Part<'a> {
    /// Which right it takes.
    pub(super) operation: Operation,
    /// The trigger key.
    pub(super) key: &'a str,
    /// Continues "cannot" in the message of a failure.
    pub(super) doing: &'a str,
    /// All of it or nothing.
    pub(super) operations: Vec<Op<'a>>,
}

impl Part<'_> {
    fn request(&self, body: Option<Vec<u8>>, doing: String) -> Request {
        Request::put(self.operation, "txn", body, doing).about(Some(self.key))
    }
}

/// What a read of several keys shows of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The key as it is.
    Key(Entry),
    /// There is none.
    Missing,
    /// The token may not read it.
    Hidden,
}

impl Client {
    /// Carries out all operations or none, and returns the keys as they are after it (without values,
    /// but for those that were read).
    ///
    /// `doing` continues "cannot" in the message of a failure.
    ///
    /// # Errors
    /// As [`Failure`] says; one that is rolled back is sorted by why.
    pub async fn transact(
        &self,
        operations: &[Op<'_>],
        doing: &str,
        timeout: Duration,
    ) -> Result<Vec<Entry>, Failure> {
        let part = Part {
            operation: Operation::Transact,
            key: operations.first().map_or("", Op::key),
            doing,
            operations: operations.to_vec(),
        };
        self.transact_alone(part, timeout).await
    }

    pub(super) async fn transact_alone(
        &self,
        part: Part<'_>,
        timeout: Duration,
    ) -> Result<Vec<Entry>, Failure> {
        let doing = part.doing;
        let keys = self.transact_together(&[part], timeout).await.pop();
        let keys =
            keys.unwrap_or_else(|| Err(error::unavailable(doing, "there is nothing to do")))?;
        Ok(keys.into_iter().map(|(_, entry)| entry).collect())
    }

    /// Carries the parts out in one transaction. Where Consul rolls it back, those that it names are refused, and
    /// the others are carried out without them: what is rolled back has done nothing. As many results as
    /// parts, each with the part's keys as they are after it.
    ///
    /// # Errors
    /// Each as [`Failure`] says; one that is rolled back is sorted by why.
    pub(super) async fn transact_together(
        &self,
        parts: &[Part<'_>],
        timeout: Duration,
    ) -> Vec<Result<Keys, Failure>> {
        let deadline = Deadline::within(timeout);
        let mut results: Vec<Option<Result<_, Failure>>> = parts.iter().map(|_| None).collect();
        // Each turn but the last settles one part at least.
        for _ in 0..=parts.len() {
            let open: Vec<(usize, &Part<'_>)> = parts
                .iter()
                .enumerate()
                .filter(|(number, _)| results.get(*number).is_some_and(Option::is_none))
                .collect();
            if open.is_empty() {
                break;
            }
            for (number, result) in self.transact_once(&open, deadline).await {
                if let Some(slot) = results.get_mut(number) {
                    *slot = Some(result);
                }
            }
        }
        let unsettled =
            |part: &Part<'_>| Err(error::unavailable(part.doing, "it was never settled"));
        let settled = |(result, part): (Option<_>, _)| result.unwrap_or_else(|| unsettled(part));
        results.into_iter().zip(parts).map(settled).collect()
    }

    /// Returns the results of those parts that this has settled.
    async fn transact_once(
        &self,
        parts: &[(usize, &Part<'_>)],
        deadline: Deadline,
    ) -> Vec<(usize, Result<Keys, Failure>)> {
        let all = |failure: &Failure| {
            let failed = |(number, _): &(usize, &Part<'_>)| (*number, Err(failure.clone()));
            parts.iter().map(failed).collect()
        };
        let operations: Vec<Op<'_>> = parts
            .iter()
            .flat_map(|(_, part)| part.operations.iter().copied())
            .collect();
        let Some((_, first)) = parts.first() else {
            return Vec::new();
        };
        let doing = match parts.len() {
            1 => first.doing.to_owned(),
            several => format!(
                "{} (and {} more in one transaction)",
                first.doing,
                several - 1
            ),
        };
        let body = match body(&operations) {
            Ok(body) => body,
            // Strings and numbers always serialise.
            Err(error) => {
                let why = format!("the request cannot be written: {error}");
                return all(&error::unavailable(&doing, &why));
            }
        };
        let reply = match self.send(&first.request(Some(body), doing), deadline).await {
            Ok(reply) => reply,
            Err(failure) => return all(&failure),
        };
        let outcome: WireOutcome<'_> = match reply.json() {
            Ok(outcome) => outcome,
            Err(failure) => return all(&failure),
        };
        if reply.status == StatusCode::CONFLICT {
            return refused(parts, &outcome.errors.unwrap_or_default());
        }
        let mut keys = Vec::new();
        for result in outcome.results.unwrap_or_default() {
            match result.kv.named() {
                Ok(key) => keys.push(key),
                Err(why) => return all(&reply.absurd(&why)),
            }
        }
        let keys_of = |part: &Part<'_>| {
            let touched = |name: &str| {
                part.operations
                    .iter()
                    .any(|operation| operation.key() == name)
            };
            keys.iter()
                .filter(|(name, _)| touched(name))
                .cloned()
                .collect()
        };
        parts
            .iter()
            .map(|(number, part)| (*number, Ok(keys_of(part))))
            .collect()
    }

    /// Reads several keys, through a raft leader that a quorum has confirmed: a transaction of nothing but reads is
    /// carried out so with `?consistent`, like a read of one key.
    ///
    /// # Errors
    /// As [`Failure`] says.
    pub async fn read_together(
        &self,
        keys: &[&str],
        timeout: Duration,
    ) -> Result<Vec<Shown>, Failure> {
        let deadline = Deadline::within(timeout);
        let mut missing: BTreeSet<&str> = BTreeSet::new();
        let doing = format!("read {} trigger keys", keys.len());
        // A key that is missing fails the transaction: the next goes without it.
        for _ in 0..2 {
            let wanted = || keys.iter().filter(|key| !missing.contains(**key));
            let operations: Vec<Op<'_>> = wanted().map(|key| Op::Get(key)).collect();
            if operations.is_empty() {
                return Ok(vec![Shown::Missing; keys.len()]);
            }
            let body = body(&operations).map_err(|error| {
                error::unavailable(&doing, &format!("the request cannot be written: {error}"))
            })?;
            let request = Request::put(Operation::Transact, "txn", Some(body), doing.clone())
                .about(keys.first().copied())
                .query("consistent", "");
            let reply = self.send(&request, deadline).await?;
            let outcome: WireOutcome<'_> = reply.json()?;
            if reply.status != StatusCode::CONFLICT {
                let mut found: BTreeMap<String, Entry> = BTreeMap::new();
                for result in outcome.results.unwrap_or_default() {
                    found.extend([result.kv.named().map_err(|why| reply.absurd(&why))?]);
                }
                let shown = |key: &&str| match found.remove(*key) {
                    Some(entry) => Shown::Key(entry),
                    None if missing.contains(*key) => Shown::Missing,
                    None => Shown::Hidden,
                };
                return Ok(keys.iter().map(shown).collect());
            }
            let errors = outcome.errors.unwrap_or_default();
            let named: BTreeSet<&str> = errors
                .iter()
                .filter_map(|error| operations.get(error.op_index).map(Op::key))
                .collect();
            if named.is_empty() {
                break;
            }
            missing.extend(named);
        }
        Err(error::unavailable(&doing, "keys come and go meanwhile"))
    }
}

/// Those that Consul names, with its reasons.
fn refused(
    parts: &[(usize, &Part<'_>)],
    errors: &[WireError],
) -> Vec<(usize, Result<Keys, Failure>)> {
    let mut begin = 0;
    let mut named = Vec::new();
    for (number, part) in parts {
        let end = begin + part.operations.len();
        let reasons: Vec<String> = errors
            .iter()
            .filter(|error| (begin..end).contains(&error.op_index))
            .map(|error| error.what.clone())
            .collect();
        begin = end;
        if !reasons.is_empty() {
            let request = part.request(None, part.doing.to_owned());
            named.push((*number, Err(error::sort_rollback(&request, &reasons))));
        }
    }
    if named.is_empty() {
        // Consul names none of them: it is all of them.
        let reasons: Vec<String> = errors.iter().map(|error| error.what.clone()).collect();
        let fail = |(number, part): &(usize, &Part<'_>)| {
            let request = part.request(None, part.doing.to_owned());
            (*number, Err(error::sort_rollback(&request, &reasons)))
        };
        return parts.iter().map(fail).collect();
    }
    named
}

fn body(operations: &[Op<'_>]) -> serde_json::Result<Vec<u8>> {
    let wire: Vec<WireOp<'_>> = operations
        .iter()
        .map(|operation| WireOp {
            kv: WireKv::from(*operation),
        })
        .collect();
    serde_json::to_vec(&wire)
}

#[derive(Serialize)]
struct WireOp<'a> {
    #[serde(rename = "KV")]
    kv: WireKv<'a>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct WireKv<'a> {
    verb: &'static str,
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flags: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
}

impl<'a> From<Op<'a>> for WireKv<'a> {
    fn from(operation: Op<'a>) -> Self {
        let on = |verb, key| Self {
            verb,
            key,
            ..Self::default()
        };
        let write = |verb, write: Write<'a>| Self {
            value: Some(BASE64_STANDARD.encode(write.value)),
            flags: Some(write.flags),
            ..on(verb, write.key)
        };
        match operation {
            Op::CheckIndex(key, index) => Self {
                index: Some(index),
                ..on("check-index", key)
            },
            Op::CheckNotExists(key) => on("check-not-exists", key),
            Op::CheckSession(key, session) => Self {
                session: Some(session.as_str()),
                ..on("check-session", key)
            },
            Op::Get(key) => on("get", key),
            Op::Set(new) => write("set", new),
            Op::Cas(new, index) => Self {
                index: Some(index),
                ..write("cas", new)
            },
            Op::Lock(new, session) => Self {
                session: Some(session.as_str()),
                ..write("lock", new)
            },
            Op::Unlock(new, session) => Self {
                session: Some(session.as_str()),
                ..write("unlock", new)
            },
            Op::Delete(key) => on("delete", key),
            Op::DeleteCas(key, index) => Self {
                index: Some(index),
                ..on("delete-cas", key)
            },
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireOutcome<'a> {
    #[serde(borrow)]
    results: Option<Vec<WireResult<'a>>>,
    errors: Option<Vec<WireError>>,
}

#[derive(Deserialize)]
struct WireResult<'a> {
    #[serde(rename = "KV", borrow)]
    kv: WireEntry<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireError {
    /// Which operation it is about, counted from 0.
    #[serde(default)]
    op_index: usize,
    what: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::election::call::LOCK_FLAG;

    #[test]
    fn each_operation_is_written_as_consul_reads_it() {
        let session = SessionId::new("s1");
        let host = Write {
            key: "a/k",
            value: b"host1",
            flags: LOCK_FLAG,
        };
        let empty = Write { value: b"", ..host };
        let written = body(&[
            Op::CheckIndex("a/k", 7),
            Op::CheckNotExists("a/k"),
            Op::CheckSession("a/k", &session),
            Op::Get("a/k"),
            Op::Set(host),
            Op::Cas(host, 0),
            Op::Lock(host, &session),
            Op::Unlock(empty, &session),
            Op::Delete("a/k"),
            Op::DeleteCas("a/k", 8),
        ])
        .unwrap();
        let written: Vec<String> = serde_json::from_slice::<Vec<serde_json::Value>>(&written)
            .unwrap()
            .iter()
            .map(|operation| operation["KV"].to_string())
            .collect();
        let flags = "3304740253564472344";
        assert_eq!(
            written,
            [
                r#"{"Index":7,"Key":"a/k","Verb":"check-index"}"#.to_owned(),
                r#"{"Key":"a/k","Verb":"check-not-exists"}"#.to_owned(),
                r#"{"Key":"a/k","Session":"s1","Verb":"check-session"}"#.to_owned(),
                r#"{"Key":"a/k","Verb":"get"}"#.to_owned(),
                format!(r#"{{"Flags":{flags},"Key":"a/k","Value":"aG9zdDE=","Verb":"set"}}"#),
                format!(
                    r#"{{"Flags":{flags},"Index":0,"Key":"a/k","Value":"aG9zdDE=","Verb":"cas"}}"#
                ),
                format!(
                    r#"{{"Flags":{flags},"Key":"a/k","Session":"s1","Value":"aG9zdDE=","Verb":"lock"}}"#
                ),
                format!(
                    r#"{{"Flags":{flags},"Key":"a/k","Session":"s1","Value":"","Verb":"unlock"}}"#
                ),
                r#"{"Key":"a/k","Verb":"delete"}"#.to_owned(),
                r#"{"Index":8,"Key":"a/k","Verb":"delete-cas"}"#.to_owned(),
            ]
        );
    }
}
