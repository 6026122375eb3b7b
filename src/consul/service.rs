//! Services of the agent that is asked, and the checks that tell how they are.

use std::time::Duration;

use serde::Serialize;

use crate::consul::client::{Client, Deadline};
use crate::consul::error;
use crate::consul::request::{Operation, Request};
use crate::election::call::Failure;

/// A service without address or port, with one check, which its owner passes again and again
/// (<https://developer.hashicorp.com/consul/api-docs/agent/service>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewService<'a> {
    /// Unique on its agent.
    pub id: &'a str,
    /// What it is found by.
    pub name: &'a str,
    /// Tells services of one name apart.
    pub tag: &'a str,
    /// The id of its check, unique on its agent.
    pub check: &'a str,
    /// For whoever looks at the check.
    pub notes: &'a str,
    /// How long after it was passed last the check goes critical.
    pub ttl: Duration,
    /// How long after that the service goes; Consul takes a minute or more.
    pub abandoned_after: Duration,
}

impl Client {
    /// Registers a service, or changes its tag. Does not pass its check: a new one passes to begin with,
    /// one that is registered again stays as it is.
    ///
    /// # Errors
    /// As [`Failure`] says.
    pub async fn register_service(
        &self,
        new: NewService<'_>,
        timeout: Duration,
    ) -> Result<(), Failure> {
        let doing = format!("register service '{}'", new.id);
        let body = body(new).map_err(|error| {
            // Strings always serialise.
            error::unavailable(&doing, &format!("the request cannot be written: {error}"))
        })?;
        let request = Request::put(
            Operation::WriteService,
            "agent/service/register",
            Some(body),
            doing,
        );
        self.send(&request, Deadline::within(timeout))
            .await
            .map(drop)
    }

    /// Says that a check with a TTL is good. Always in the same words, so that the agent tells the
    /// servers only of a change.
    ///
    /// # Errors
    /// As [`Failure`] says; `CheckMissing` where the agent has no such check.
    pub async fn pass_check(&self, id: &str, timeout: Duration) -> Result<(), Failure> {
        let request = Request::put(
            Operation::PassCheck,
            "agent/check/pass",
            None,
            format!("pass check '{id}'"),
        )
        .segment(id);
        self.send(&request, Deadline::within(timeout))
            .await
            .map(drop)
    }

    /// Removes a service and its check; that there is none is no failure.
    ///
    /// # Errors
    /// As [`Failure`] says.
    pub async fn deregister_service(&self, id: &str, timeout: Duration) -> Result<(), Failure> {
        let request = Request::put(
            Operation::RemoveService,
            "agent/service/deregister",
            None,
            format!("deregister service '{id}'"),
        )
        .segment(id);
        self.send(&request, Deadline::within(timeout))
            .await
            .map(drop)
    }
}

fn body(new: NewService<'_>) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&WireService {
        id: new.id,
        name: new.name,
        tags: [new.tag],
        check: WireCheck {
            id: new.check,
            name: new.name,
            notes: new.notes,
            ttl: format!("{}ms", new.ttl.as_millis()),
            // Else the servers hear of it as critical first, which ends a session that is bound to it
            // where the agent has forgotten the service and the servers have not (Consul 1.8.7:
            // always; with it, never).
            status: "passing",
            deregister_critical_service_after: format!("{}ms", new.abandoned_after.as_millis()),
        },
    })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct WireService<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    name: &'a str,
    tags: [&'a str; 1],
    check: WireCheck<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct WireCheck<'a> {
    #[serde(rename = "CheckID")]
    id: &'a str,
    name: &'a str,
    notes: &'a str,
    #[serde(rename = "TTL")]
    ttl: String,
    status: &'static str,
    deregister_critical_service_after: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_written_as_consul_reads_it() {
        let new = NewService {
            id: "vip-elector/a/k/host1",
            name: "vip-elector",
            tag: "leader",
            check: "service:vip-elector/a/k/host1",
            notes: "n",
            ttl: Duration::from_millis(2_500),
            abandoned_after: Duration::from_secs(60),
        };
        assert_eq!(
            String::from_utf8(body(new).unwrap()).unwrap(),
            r#"{"ID":"vip-elector/a/k/host1","Name":"vip-elector","Tags":["leader"],"Check":{"CheckID":"service:vip-elector/a/k/host1","Name":"vip-elector","Notes":"n","TTL":"2500ms","Status":"passing","DeregisterCriticalServiceAfter":"60000ms"}}"#
        );
    }
}
