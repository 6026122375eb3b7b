//! Transactions: several operations on keys, all of them or none, in one raft commit.

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
        let key = operations.first().map(Op::key);
        self.transact_as(Operation::Transact, key, operations, doing, timeout)
            .await
    }

    /// As [`transact`](Self::transact); `operation` and the trigger key say which right it takes.
    pub(super) async fn transact_as(
        &self,
        operation: Operation,
        trigger_key: Option<&str>,
        operations: &[Op<'_>],
        doing: &str,
        timeout: Duration,
    ) -> Result<Vec<Entry>, Failure> {
        let body = body(operations).map_err(|error| {
            // Strings and numbers always serialise.
            error::unavailable(doing, &format!("the request cannot be written: {error}"))
        })?;
        let request =
            Request::put(operation, "txn", Some(body), doing.to_owned()).about(trigger_key);
        let reply = self.send(&request, Deadline::within(timeout)).await?;
        let outcome: WireOutcome = reply.json()?;
        if reply.status == StatusCode::CONFLICT {
            let reasons: Vec<String> = outcome
                .errors
                .unwrap_or_default()
                .into_iter()
                .map(|error| error.what)
                .collect();
            return Err(error::sort_rollback(&request, &reasons));
        }
        outcome
            .results
            .unwrap_or_default()
            .into_iter()
            .map(|result| result.kv.entry().map_err(|why| reply.absurd(&why)))
            .collect()
    }
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
struct WireOutcome {
    results: Option<Vec<WireResult>>,
    errors: Option<Vec<WireError>>,
}

#[derive(Deserialize)]
struct WireResult {
    #[serde(rename = "KV")]
    kv: WireEntry,
}

#[derive(Deserialize)]
struct WireError {
    #[serde(rename = "What")]
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
