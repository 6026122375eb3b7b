//! Applier: what an operator can do: to the lock and all that belongs to it, through whichever agent
//! answers, and to a host, through its own.

use crate::cluster::{Agent, Cluster, Error};

impl Cluster {
    /// Deletes the trigger key.
    pub fn delete_key(&mut self) -> Result<(), Error> {
        self.delete(self.key())
    }

    /// Deletes a host's entry among the candidates.
    pub fn delete_candidate(&mut self, host: &str) -> Result<(), Error> {
        self.delete(&format!("{}/candidates/{host}", self.key()))
    }

    /// Asks the leader to hand over to `successor`, as an operator does: by a key beside the trigger key.
    pub fn switch_over(&mut self, successor: &str) -> Result<(), Error> {
        let path = format!("/v1/kv/{}/switchover", self.key());
        self.ask(|agent| agent.put(&path, successor)).map(drop)
    }

    /// Writes over the trigger key, as somebody does who does not know what it is.
    pub fn overwrite_key(&mut self) -> Result<(), Error> {
        let path = format!("/v1/kv/{}", self.key());
        self.ask(|agent| agent.put(&path, "vandal")).map(drop)
    }

    /// Destroys the session that holds the lock, if one does.
    pub fn destroy_session(&mut self) -> Result<(), Error> {
        self.ask(|agent| {
            let holder = agent.key(self.key())?.and_then(|key| key.session);
            holder.map_or(Ok(()), |session| {
                let path = format!("/v1/session/destroy/{session}");
                agent.put(&path, "").map(drop)
            })
        })
    }

    /// Puts the host's node into maintenance.
    pub fn begin_maintenance(&mut self, host: &str) -> Result<(), Error> {
        let agent = self.host(host)?.agent();
        let path = "/v1/agent/maintenance?enable=true&reason=lab";
        agent.put(path, "").map(drop)
    }

    /// Ends the maintenance of the host's node.
    pub fn end_maintenance(&mut self, host: &str) -> Result<(), Error> {
        let agent = self.host(host)?.agent();
        agent
            .put("/v1/agent/maintenance?enable=false", "")
            .map(drop)
    }

    /// Has the host's agent forget the service by which the daemon tells it that it lives, if it knows
    /// one.
    pub fn forget_service(&mut self, host: &str) -> Result<(), Error> {
        let agent = self.host(host)?.agent();
        agent.liveness_service()?.map_or(Ok(()), |id| {
            let path = format!("/v1/agent/service/deregister/{id}");
            agent.put(&path, "").map(drop)
        })
    }

    fn delete(&self, key: &str) -> Result<(), Error> {
        let delete = [serde_json::json!({ "KV": { "Verb": "delete", "Key": key } })];
        let body = serde_json::Value::from(delete.to_vec()).to_string();
        self.ask(|agent| agent.put("/v1/txn", &body)).map(drop)
    }

    /// Returns the first answer that any agent gives, or why the last one gave none.
    pub(super) fn ask<T>(&self, question: impl Fn(&Agent) -> Result<T, Error>) -> Result<T, Error> {
        let mut answer = Err(Error::NoHost("that could be asked".to_owned()));
        for host in self.hosts() {
            answer = question(&host.agent());
            if answer.is_ok() {
                break;
            }
        }
        answer
    }
}
