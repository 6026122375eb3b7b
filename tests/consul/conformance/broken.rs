//! Models that are wrong on purpose.

use std::time::Duration;

use vip_elector::election::call::{FailureKind, KeyRead, SessionId};
use vip_sim::store::{Command, Op, Reply, Session, Write};

use super::behaviours::Behaviour;
use super::interface::{Consul, NODE};
use super::model::Model;

/// What is wrong with a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// A death starts no lock-delay.
    NoLockDelay,
    /// A lock-delay is half as long as the session asked for.
    ShortLockDelay,
    /// A release is followed by a lock-delay as a death is.
    DelayAfterRelease,
    /// A key that was deleted is delayed as if its holder had died.
    DelayAfterDelete,
    /// A dead session's keys stay, without a holder.
    KeysOutliveTheirSession,
    /// A session lives on when its check is critical.
    CriticalIsHarmless,
    /// A dead session is renewed.
    DeadIsRenewed,
    /// A session dies before its TTL is over.
    ShortTtl,
    /// A session that nobody renews lives for ever.
    EndlessTtl,
    /// A transaction that fails in the middle leaves what it did until then.
    TornTransaction,
    /// A transaction does not look at who holds a key.
    BlindCheck,
    /// A lock can be given up by who does not hold it.
    UnlockByAnybody,
    /// A plain write takes the lock away.
    WriteUnlocks,
    /// The index of a missing key does not move.
    StillIndex,
}

impl Flaw {
    /// Those that only time brings to light, which random operations do not let pass.
    pub(crate) const SLOW: [Self; 3] = [Self::ShortLockDelay, Self::ShortTtl, Self::EndlessTtl];

    /// Every flaw, and the behaviour that is there to notice it.
    pub(crate) const ALL: [(Self, Behaviour); 14] = [
        (Self::NoLockDelay, Behaviour::every_death_deletes_and_delays),
        (
            Self::ShortLockDelay,
            Behaviour::a_lock_delay_lasts_as_long_as_it_says,
        ),
        (
            Self::DelayAfterRelease,
            Behaviour::a_release_keeps_the_key_and_delays_nobody,
        ),
        (
            Self::DelayAfterDelete,
            Behaviour::a_deleted_key_is_free_at_once,
        ),
        (
            Self::KeysOutliveTheirSession,
            Behaviour::every_death_deletes_and_delays,
        ),
        (
            Self::CriticalIsHarmless,
            Behaviour::every_death_deletes_and_delays,
        ),
        (
            Self::DeadIsRenewed,
            Behaviour::a_dead_session_is_not_renewed,
        ),
        (
            Self::ShortTtl,
            Behaviour::a_session_lives_for_its_ttl_and_no_more_than_twice,
        ),
        (
            Self::EndlessTtl,
            Behaviour::a_session_lives_for_its_ttl_and_no_more_than_twice,
        ),
        (Self::TornTransaction, Behaviour::all_or_nothing),
        (Self::BlindCheck, Behaviour::a_successor_must_be_a_candidate),
        (Self::UnlockByAnybody, Behaviour::the_dead_give_nothing),
        (
            Self::WriteUnlocks,
            Behaviour::a_plain_write_leaves_the_holder,
        ),
        (
            Self::StillIndex,
            Behaviour::a_missing_key_has_the_index_of_all_keys,
        ),
    ];
}

/// The model with one flaw: each does what the sound model would do to other commands.
pub(crate) struct Broken {
    model: Model,
    flaw: Flaw,
}

impl Broken {
    pub(crate) fn new(flaw: Flaw) -> Self {
        Self {
            model: Model::new(),
            flaw,
        }
    }

    /// Starts a lock-delay for a key, without any other trace but its index.
    async fn delay(&mut self, key: &str) {
        let before = self.model.read(key).await.entry;
        let ghost = Session {
            name: "ghost".to_owned(),
            node: NODE.to_owned(),
            ttl: Duration::from_secs(60),
            lock_delay: Duration::from_secs(60),
            checks: Vec::new(),
        };
        let ghost = self.model.create(&ghost).await.unwrap();
        let mut write = Write {
            key: key.to_owned(),
            value: b"ghost".to_vec(),
            flags: 0,
        };
        let lock = Op::Lock(write.clone(), ghost.clone());
        if self.model.write(&Command::Txn(vec![lock])).await.is_err() {
            return;
        }
        let destroy = Command::DestroySession(ghost);
        self.model.write(&destroy).await.unwrap();
        if let Some(entry) = before {
            write.value = entry.value.unwrap_or_default();
            write.flags = entry.flags;
            self.model.write(&Command::Put(write)).await.unwrap();
        }
    }

    async fn put_back(&mut self, id: &SessionId, command: &Command) -> Reply {
        let held = self.model.store().held_by(id);
        let reply = self.model.write(command).await;
        for key in held {
            let write = Write {
                key,
                value: b"locked".to_vec(),
                flags: 7,
            };
            self.model.write(&Command::Put(write)).await.unwrap();
        }
        reply
    }

    async fn tear(&mut self, operations: &[Op]) -> Reply {
        let (first, second) = operations.split_at(operations.len() / 2);
        let mut entries = self.model.write(&Command::Txn(first.to_vec())).await?;
        entries.extend(self.model.write(&Command::Txn(second.to_vec())).await?);
        Ok(entries)
    }
}

impl Consul for Broken {
    async fn create(&mut self, session: &Session) -> Result<SessionId, FailureKind> {
        let mut session = session.clone();
        match self.flaw {
            Flaw::NoLockDelay => session.lock_delay = Duration::ZERO,
            Flaw::ShortLockDelay => session.lock_delay /= 2,
            Flaw::CriticalIsHarmless => session.checks.clear(),
            Flaw::DelayAfterRelease
            | Flaw::DelayAfterDelete
            | Flaw::KeysOutliveTheirSession
            | Flaw::DeadIsRenewed
            | Flaw::ShortTtl
            | Flaw::EndlessTtl
            | Flaw::TornTransaction
            | Flaw::BlindCheck
            | Flaw::UnlockByAnybody
            | Flaw::WriteUnlocks
            | Flaw::StillIndex => {}
        }
        self.model.create(&session).await
    }

    async fn renew(&mut self, id: &SessionId) -> Result<(), FailureKind> {
        let renewed = self.model.renew(id).await;
        if self.flaw == Flaw::DeadIsRenewed {
            Ok(())
        } else {
            renewed
        }
    }

    async fn alive(&mut self, id: &SessionId) -> bool {
        self.model.alive(id).await
    }

    async fn write(&mut self, command: &Command) -> Reply {
        match (self.flaw, command) {
            (Flaw::DelayAfterRelease, Command::Txn(operations)) => {
                let reply = self.model.write(command).await?;
                for operation in operations {
                    if let Op::Unlock(write, _) = operation {
                        self.delay(&write.key).await;
                    }
                }
                Ok(reply)
            }
            (Flaw::DelayAfterDelete, Command::Delete(key)) => {
                let reply = self.model.write(command).await;
                self.delay(key).await;
                reply
            }
            (Flaw::KeysOutliveTheirSession, Command::DestroySession(id)) => {
                self.put_back(id, command).await
            }
            (Flaw::TornTransaction, Command::Txn(operations)) if operations.len() > 1 => {
                self.tear(operations).await
            }
            (Flaw::BlindCheck, Command::Txn(operations)) => {
                let mut operations = operations.clone();
                operations.retain(|operation| !matches!(operation, Op::CheckSession(..)));
                self.model.write(&Command::Txn(operations)).await
            }
            (Flaw::UnlockByAnybody, Command::Txn(operations)) => {
                let mut operations = operations.clone();
                for operation in &mut operations {
                    let Op::Unlock(write, by) = operation else {
                        continue;
                    };
                    match self.model.read(&write.key).await.entry {
                        None => *operation = Op::Set(write.clone()),
                        Some(entry) => *by = entry.session.unwrap_or_else(|| by.clone()),
                    }
                }
                self.model.write(&Command::Txn(operations)).await
            }
            (Flaw::WriteUnlocks, Command::Put(write)) => {
                let entry = self.model.read(&write.key).await.entry;
                match entry.and_then(|entry| entry.session) {
                    Some(holder) => {
                        let unlock = Op::Unlock(write.clone(), holder);
                        self.model.write(&Command::Txn(vec![unlock])).await
                    }
                    None => self.model.write(command).await,
                }
            }
            (_, command) => self.model.write(command).await,
        }
    }

    async fn read(&mut self, key: &str) -> KeyRead {
        let mut read = self.model.read(key).await;
        if self.flaw == Flaw::StillIndex && read.entry.is_none() {
            read.index = 1;
        }
        read
    }

    fn now(&self) -> Duration {
        self.model.now()
    }

    async fn pass(&mut self, time: Duration) {
        let ids: Vec<SessionId> = self
            .model
            .store()
            .sessions()
            .map(|(id, _)| id.clone())
            .collect();
        for id in ids {
            if self.flaw == Flaw::EndlessTtl {
                self.model.renew(&id).await.unwrap();
            } else if self.flaw == Flaw::ShortTtl {
                let destroy = Command::DestroySession(id);
                self.model.write(&destroy).await.unwrap();
            }
        }
        self.model.pass(time).await;
    }
}
