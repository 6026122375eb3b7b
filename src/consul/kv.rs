//! Keys: plain, consistent, stale and blocking reads.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::StatusCode;
use serde::Deserialize;

use crate::consul::client::{Client, Deadline, Reply};
use crate::consul::request::{Operation, Request};
use crate::election::call::{Entry, Failure, KeyRead, SessionId};

/// Time for the answer of a blocking read to travel, on top of the wait itself.
const SLACK: Duration = Duration::from_secs(1);

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
        let wait = wait.min(longest_wait(timeout));
        let request = request(key, consistency, format!("watch key '{key}'"))
            // 0 would not block.
            .query("index", index.max(1).to_string())
            .query("wait", format!("{}ms", wait.as_millis().max(1)));
        let reply = self.send(&request, Deadline::within(timeout)).await?;
        key_read(&reply, Some(index))
    }
}

/// Returns how long the client waits for a blocking read: the server adds up to a sixteenth so that
/// its clients do not all come back at once.
pub(super) const fn watch_timeout(wait: Duration) -> Duration {
    wait.saturating_add(Duration::from_nanos((wait.as_nanos() / 16) as u64))
        .saturating_add(SLACK)
}

/// Returns the wait to ask for, so that the answer comes before the client's own timeout.
fn longest_wait(timeout: Duration) -> Duration {
    let slack = SLACK.min(timeout / 4);
    (timeout - slack) * 16 / 17
}

fn request(key: &str, consistency: Consistency, doing: String) -> Request {
    let request = Request::get(Operation::ReadKey, "kv", doing).path(key);
    match consistency {
        Consistency::Default => request,
        Consistency::Consistent => request.query("consistent", ""),
        Consistency::Stale => request.query("stale", ""),
    }
}

fn key_read(reply: &Reply, previous: Option<u64>) -> Result<KeyRead, Failure> {
    let index = reply
        .headers
        .get("x-consul-index")
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .ok_or_else(|| {
            reply
                .absurd("the answer has no X-Consul-Index; check that a consul agent listens there")
        })?;
    let entry = if reply.status == StatusCode::NOT_FOUND {
        None
    } else {
        let [wire]: [WireEntry; 1] = reply.json()?;
        Some(wire.entry().map_err(|why| reply.absurd(&why))?)
    };
    Ok(KeyRead {
        index: next_index(previous, index),
        entry,
    })
}

/// Returns what the next blocking read waits on. An index that went backwards (a restored snapshot, a
/// server that lags) starts over, and never with 0, which does not block
/// (<https://developer.hashicorp.com/consul/api-docs/features/blocking>).
fn next_index(previous: Option<u64>, answered: u64) -> u64 {
    match previous {
        Some(previous) if answered < previous => 1,
        Some(_) | None => answered.max(1),
    }
}

/// A key as `/v1/kv` and `/v1/txn` write it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WireEntry {
    value: Option<String>,
    flags: u64,
    session: Option<String>,
    modify_index: u64,
}

impl WireEntry {
    pub(super) fn entry(self) -> Result<Entry, String> {
        let value = self
            .value
            .map(|value| BASE64_STANDARD.decode(value))
            .transpose()
            .map_err(|error| format!("consul's answer has a value that is no base64 ({error})"))?;
        Ok(Entry {
            value,
            flags: self.flags,
            session: self.session.filter(|id| !id.is_empty()).map(SessionId::new),
            modify_index: self.modify_index,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_index_follows_the_rules_of_blocking_reads() {
        for (previous, answered, next) in [
            (None, 0, 1),
            (None, 7, 7),
            (Some(7), 7, 7),
            (Some(7), 9, 9),
            (Some(7), 6, 1),
            (Some(7), 0, 1),
        ] {
            assert_eq!(
                next_index(previous, answered),
                next,
                "{previous:?} then {answered}"
            );
        }
    }

    #[test]
    fn the_server_answers_before_the_client_gives_up() {
        for timeout in [100, 500, 1_000, 4_000, 11_625, 60_000].map(Duration::from_millis) {
            let wait = longest_wait(timeout);
            assert!(wait * 17 / 16 < timeout, "{timeout:?}: {wait:?}");
            assert!(
                wait * 2 > timeout,
                "{timeout:?}: {wait:?} is needlessly short"
            );
        }
        let wait = Duration::from_secs(10);
        assert_eq!(watch_timeout(wait), Duration::from_millis(11_625));
        assert_eq!(longest_wait(watch_timeout(wait)), wait);
        assert_eq!(longest_wait(Duration::ZERO), Duration::ZERO);
    }

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
