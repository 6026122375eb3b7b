//! Keys: plain, consistent, stale and blocking reads.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::StatusCode;
use serde::Deserialize;

use crate::consul::binding::WATCH_WAIT;
use crate::consul::client::{Client, Deadline, Reply};
use crate::consul::name;
use crate::consul::request::{Operation, Request};
use crate::election::call::{Entry, Failure, KeyRead};

/// Which server may answer a read
/// (<https://developer.hashicorp.com/consul/api-docs/features/consistency>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// The raft leader, as far as it knows.
    Default,
    /// The raft leader, after a quorum has confirmed that it is one.
    Consistent,
    /// Any server, however far behind.
    Stale,
}

/// The answer to one read of all keys that begin alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixRead {
    /// `X-Consul-Index`: what the next blocking read waits on. Never 0.
    pub index: u64,
    /// Each key with its name, as far as the token may read them.
    pub entries: Vec<(String, Entry)>,
}

impl Client {
    /// Reads a key. An absent one is an answer.
    ///
    /// # Errors
    /// As [`Failure`] says.
    pub async fn read(
        &self,
        key: &str,
        consistency: Consistency,
        timeout: Duration,
    ) -> Result<KeyRead, Failure> {
        let request = request(key, consistency, format!("read key '{key}'"));
        let reply = self.send(&request, Deadline::within(timeout)).await?;
        key_read(&reply, None)
    }

    /// Waits until any key that begins with `prefix`, which ends in a slash, is newer than `index`, for
    /// as long as `timeout` allows and no longer than `wait`; at index 0, does not.
    ///
    /// # Errors
    /// As [`Failure`] says.
    pub async fn watch_prefix(
        &self,
        prefix: &str,
        index: u64,
        wait: Duration,
        consistency: Consistency,
        timeout: Duration,
    ) -> Result<PrefixRead, Failure> {
        let request = below(prefix, consistency).blocking(index, wait, timeout);
        let reply = self.send(&request, Deadline::within(timeout)).await?;
        if reply.status == StatusCode::NOT_FOUND {
            // Consul before 1.11 does not say that it left all of them out.
            reply.unless_hidden(&request)?;
        }
        prefix_read(&reply, index)
    }

    /// The same of a folder with the keys of several groups, whose answer may have `room` more bytes. What the token
    /// may not read is not there.
    ///
    /// # Errors
    /// As [`Failure`] says.
    pub(super) async fn watch_folder(
        &self,
        folder: &str,
        index: u64,
        consistency: Consistency,
        room: usize,
        timeout: Duration,
    ) -> Result<PrefixRead, Failure> {
        let request = below(folder, consistency)
            .blocking(index, WATCH_WAIT, timeout)
            .with_room(room);
        let reply = self.send(&request, Deadline::within(timeout)).await?;
        prefix_read(&reply, index)
    }

    /// Waits until the key is newer than `index`, for as long as `timeout` allows and no longer
    /// than `wait`. To return is no proof of a change.
    ///
    /// # Errors
    /// As [`Failure`] says.
    pub async fn watch(
        &self,
        key: &str,
        index: u64,
        wait: Duration,
        consistency: Consistency,
        timeout: Duration,
    ) -> Result<KeyRead, Failure> {
        let request = request(key, consistency, format!("watch key '{key}'"))
            // 0 would not block.
            .blocking(index.max(1), wait, timeout);
        let reply = self.send(&request, Deadline::within(timeout)).await?;
        key_read(&reply, Some(index))
    }
}

fn below(prefix: &str, consistency: Consistency) -> Request {
    let doing = format!("watch the keys below '{prefix}'");
    let request = Request::get(Operation::ReadGroup, "kv", doing)
        .path(prefix)
        .about(Some(prefix.trim_end_matches('/')))
        .query("recurse", "");
    consistently(request, consistency)
}

fn prefix_read(reply: &Reply, previous: u64) -> Result<PrefixRead, Failure> {
    let entries = if reply.status == StatusCode::NOT_FOUND {
        Vec::new()
    } else {
        let wire: Vec<WireEntry> = reply.json()?;
        wire.into_iter()
            .map(|wire| wire.named().map_err(|why| reply.absurd(&why)))
            .collect::<Result<_, Failure>>()?
    };
    Ok(PrefixRead {
        index: reply.index(Some(previous))?,
        entries,
    })
}

fn request(key: &str, consistency: Consistency, doing: String) -> Request {
    let request = Request::get(Operation::ReadKey, "kv", doing)
        .path(key)
        .about(Some(key));
    consistently(request, consistency)
}

fn consistently(request: Request, consistency: Consistency) -> Request {
    match consistency {
        Consistency::Default => request,
        Consistency::Consistent => request.query("consistent", ""),
        Consistency::Stale => request.query("stale", ""),
    }
}

fn key_read(reply: &Reply, previous: Option<u64>) -> Result<KeyRead, Failure> {
    let index = reply.index(previous)?;
    let entry = if reply.status == StatusCode::NOT_FOUND {
        None
    } else {
        let [wire]: [WireEntry; 1] = reply.json()?;
        Some(wire.entry().map_err(|why| reply.absurd(&why))?)
    };
    Ok(KeyRead { index, entry })
}

/// A key as `/v1/kv` and `/v1/txn` write it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WireEntry {
    #[serde(default)]
    key: String,
    value: Option<String>,
    flags: u64,
    session: Option<String>,
    modify_index: u64,
}

impl WireEntry {
    /// With its name.
    pub(super) fn named(mut self) -> Result<(String, Entry), String> {
        let key = std::mem::take(&mut self.key);
        Ok((key, self.entry()?))
    }

    pub(super) fn entry(self) -> Result<Entry, String> {
        let value = self
            .value
            .map(|value| BASE64_STANDARD.decode(value))
            .transpose()
            .map_err(|error| format!("consul's answer has a value that is no base64 ({error})"))?;
        let session = self.session.filter(|id| !id.is_empty());
        Ok(Entry {
            value,
            flags: self.flags,
            session: session.map(name::session).transpose()?,
            modify_index: self.modify_index,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::election::call::SessionId;

    #[test]
    fn an_entry_is_read_as_consul_writes_it() {
        let wire: WireEntry = serde_json::from_str(
            r#"{"LockIndex":1,"Key":"k","Flags":3304740253564472344,"Value":"aG9zdDE=",
                "Session":"565fe19a","CreateIndex":17,"ModifyIndex":19}"#,
        )
        .unwrap();
        assert_eq!(
            wire.entry().unwrap(),
            Entry {
                value: Some(b"host1".to_vec()),
                flags: crate::election::call::LOCK_FLAG,
                session: Some(SessionId::new("565fe19a")),
                modify_index: 19,
            }
        );
        let unlocked: WireEntry =
            serde_json::from_str(r#"{"Flags":0,"Value":null,"ModifyIndex":20}"#).unwrap();
        assert_eq!(unlocked.entry().unwrap().session, None);
        let broken: WireEntry =
            serde_json::from_str(r#"{"Flags":0,"Value":"?","ModifyIndex":20}"#).unwrap();
        broken.entry().unwrap_err();
    }
}
