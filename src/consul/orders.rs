//! What an operator writes below a trigger key, and takes away again.

use std::time::Duration;

use crate::consul::binding::group::{drain_key, request_key};
use crate::consul::client::Client;
use crate::consul::error;
use crate::consul::request::Operation;
use crate::consul::txn::{Op, Part, Write};
use crate::election::call::{Entry, Failure};

impl Client {
    /// Asks the leader of `key` to hand the lock to the host of this trigger value, or to the best candidate.
    /// Returns the index at which the request was written.
    ///
    /// # Errors
    /// As [`Failure`] says; `Changed` where there is a request already.
    pub async fn ask_for_switchover(
        &self,
        key: &str,
        to: Option<&str>,
        timeout: Duration,
    ) -> Result<u64, Failure> {
        let doing = "ask for a switchover";
        let request = request_key(key);
        let write = plain(&request, to.unwrap_or_default().as_bytes());
        let written = self
            .order(key, &[Op::Cas(write, 0)], doing, timeout)
            .await?;
        written
            .last()
            .map(|entry| entry.modify_index)
            .ok_or_else(|| error::unavailable(doing, "consul's answer does not show the request"))
    }

    /// Takes a request back, if it is still the one that was written at `index`.
    ///
    /// # Errors
    /// As [`Failure`] says; `Changed` where it is gone.
    pub async fn withdraw_switchover(
        &self,
        key: &str,
        index: u64,
        timeout: Duration,
    ) -> Result<(), Failure> {
        let request = request_key(key);
        let operations = [Op::CheckIndex(&request, index), Op::Delete(&request)];
        let doing = "withdraw the switchover request";
        self.order(key, &operations, doing, timeout).await.map(drop)
    }

    /// Has the host of this trigger value not lead, until it is resumed. `note` is for people.
    ///
    /// # Errors
    /// As [`Failure`] says.
    pub async fn drain(
        &self,
        key: &str,
        value: &str,
        note: &[u8],
        timeout: Duration,
    ) -> Result<(), Failure> {
        let drain = drain_key(key, value);
        let operations = [Op::Set(plain(&drain, note))];
        self.order(key, &operations, &format!("drain {value}"), timeout)
            .await
            .map(drop)
    }

    /// Ends that; that it was not drained is no failure.
    ///
    /// # Errors
    /// As [`Failure`] says.
    pub async fn resume(&self, key: &str, value: &str, timeout: Duration) -> Result<(), Failure> {
        let drain = drain_key(key, value);
        let operations = [Op::Delete(&drain)];
        self.order(key, &operations, &format!("resume {value}"), timeout)
            .await
            .map(drop)
    }

    async fn order(
        &self,
        key: &str,
        operations: &[Op<'_>],
        doing: &str,
        timeout: Duration,
    ) -> Result<Vec<Entry>, Failure> {
        let part = Part {
            operation: Operation::TransactGroup,
            key,
            doing,
            operations: operations.to_vec(),
        };
        self.transact_alone(part, timeout).await
    }
}

fn plain<'a>(key: &'a str, value: &'a [u8]) -> Write<'a> {
    Write {
        key,
        value,
        flags: 0,
    }
}
