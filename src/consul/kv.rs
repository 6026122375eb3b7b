//! Keys: plain, consistent, stale and blocking reads.

use std::borrow::Cow;
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
    ) -> Result<Listing, Failure> {
        let request = below(folder, consistency)
            .blocking(index, WATCH_WAIT, timeout)
            .with_room(room);
        let reply = self.send(&request, Deadline::within(timeout)).await?;
        Ok(Listing {
            index: reply.index(Some(index))?,
            reply,
        })
    }

    /// The same, but returns nothing but the index: the answer has only the names of the groups' keys, and
    /// costs Consul and us a part of what a listing does.
    ///
    /// # Errors
    /// As [`Failure`] says.
    pub(super) async fn watch_names(
        &self,
        folder: &str,
        index: u64,
        consistency: Consistency,
        room: usize,
        timeout: Duration,
    ) -> Result<u64, Failure> {
        let doing = format!("watch the names of the keys below '{folder}'");
        let request = Request::get(Operation::ReadGroup, "kv", doing)
            .path(folder)
            .about(Some(folder.trim_end_matches('/')))
            .query("keys", "")
            .query("separator", "/");
        let request = consistently(request, consistency)
            .blocking(index, WATCH_WAIT, timeout)
            .with_room(room);
        let reply = self.send(&request, Deadline::within(timeout)).await?;
        reply.index(Some(index))
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

/// A listing of a folder, as Consul wrote it: most of it is known already, and not worth to be taken out.
pub(super) struct Listing {
    /// `X-Consul-Index`: what the next blocking read waits on. Never 0.
    pub(super) index: u64,
    reply: Reply,
}

impl Listing {
    /// Returns the keys, in the order of their names.
    ///
    /// # Errors
    /// `Unavailable` where it is no listing.
    pub(super) fn entries(&self) -> Result<Vec<WireEntry<'_>>, Failure> {
        listed(&self.reply)
    }

    /// Returns how long it is, in bytes.
    pub(super) fn length(&self) -> usize {
        self.reply.body.len()
    }

    /// Makes a failure of a key that cannot be right.
    pub(super) fn absurd(&self, why: &str) -> Failure {
        self.reply.absurd(why)
    }
}

fn prefix_read(reply: &Reply, previous: u64) -> Result<PrefixRead, Failure> {
    let entries = listed(reply)?
        .into_iter()
        .map(|wire| wire.named().map_err(|why| reply.absurd(&why)));
    Ok(PrefixRead {
        entries: entries.collect::<Result<_, Failure>>()?,
        index: reply.index(Some(previous))?,
    })
}

fn listed(reply: &Reply) -> Result<Vec<WireEntry<'_>>, Failure> {
    if reply.status == StatusCode::NOT_FOUND {
        return Ok(Vec::new());
    }
    reply.json()
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
        let [wire]: [WireEntry<'_>; 1] = reply.json()?;
        Some(wire.entry().map_err(|why| reply.absurd(&why))?)
    };
    Ok(KeyRead { index, entry })
}

/// A key as `/v1/kv` and `/v1/txn` write it. Borrowed from the answer, where nothing in it is escaped.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WireEntry<'a> {
    #[serde(borrow, default)]
    pub(super) key: Cow<'a, str>,
    #[serde(borrow)]
    value: Option<Text<'a>>,
    flags: u64,
    #[serde(borrow)]
    session: Option<Text<'a>>,
    pub(super) modify_index: u64,
}

/// Borrowed also where it is optional.
#[derive(Debug, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl WireEntry<'_> {
    /// With its name.
    pub(super) fn named(self) -> Result<(String, Entry), String> {
        let entry = self.entry()?;
        Ok((self.key.into_owned(), entry))
    }

    /// # Errors
    /// Says what about it is none.
    pub(super) fn entry(&self) -> Result<Entry, String> {
        let value = self
            .value
            .as_ref()
            .map(|Text(value)| BASE64_STANDARD.decode(value.as_bytes()))
            .transpose()
            .map_err(|error| format!("consul's answer has a value that is no base64 ({error})"))?;
        let session = self.session.as_ref().map(|Text(id)| id);
        let session = session.filter(|id| !id.is_empty());
        // What is decoded has room for more than there is, and is kept for long.
        let exact = |mut value: Vec<u8>| {
            value.shrink_to_fit();
            value
        };
        Ok(Entry {
            value: value.map(exact),
            flags: self.flags,
            session: session.map(|id| name::session(id)).transpose()?,
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
        let wire: WireEntry<'_> = serde_json::from_str(
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
        let unlocked: WireEntry<'_> =
            serde_json::from_str(r#"{"Flags":0,"Value":null,"ModifyIndex":20}"#).unwrap();
        assert_eq!(unlocked.entry().unwrap().session, None);
        let broken: WireEntry<'_> =
            serde_json::from_str(r#"{"Flags":0,"Value":"?","ModifyIndex":20}"#).unwrap();
        broken.entry().unwrap_err();
    }
}
