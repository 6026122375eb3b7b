//! Applier: what an operator can do to the lock, through whichever agent answers.

use crate::cluster::{Agent, Cluster, Error};

impl Cluster {
    /// Deletes the trigger key.
    pub fn delete_key(&mut self) -> Result<(), Error> {
        let delete = [serde_json::json!({ "KV": { "Verb": "delete", "Key": self.key() } })];
        let body = serde_json::Value::from(delete.to_vec()).to_string();
        self.ask(|agent| agent.put("/v1/txn", &body)).map(drop)
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
