//! The list: what the argument for the promise takes for granted of Consul.

mod deaths;
mod handovers;
mod indexes;
mod locks;
mod sessions;
mod transactions;

use std::fmt::Debug;
use std::time::Duration;

use vip_elector::election::call::{Entry, FailureKind, SessionId};
use vip_sim::store::{Command, Op, Reply, Session, Write};

use super::interface::{Consul, NODE};

/// What was expected and did not come.
pub(crate) type Verdict = Result<(), String>;

macro_rules! behaviours {
    ($($file:ident: $($name:ident)+;)+) => {
        /// A behaviour, written once for whoever plays Consul.
        #[expect(non_camel_case_types, reason = "each is named as the function that shows it")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Behaviour { $($($name,)+)+ }

        impl Behaviour {
            pub(crate) const ALL: &'static [Self] = &[$($(Self::$name,)+)+];

            /// Says whether `consul`, on which nothing was done yet, shows it.
            pub(crate) async fn put_to<C: Consul>(self, consul: &mut C) -> Verdict {
                match self { $($(Self::$name => $file::$name(consul).await,)+)+ }
            }
        }
    };
}

behaviours! {
    sessions:
        a_session_lives_for_its_ttl_and_no_more_than_twice
        a_ttl_out_of_range_is_refused
        a_session_needs_its_node_and_its_checks
        a_dead_session_is_not_renewed
        an_unknown_session_is_destroyed_without_complaint;
    deaths:
        every_death_deletes_and_delays
        other_checks_end_nothing
        only_keys_that_were_held_are_delayed
        a_lock_delay_of_zero_is_none
        a_lock_delay_is_the_dead_session_s
        a_lock_delay_lasts_as_long_as_it_says;
    locks:
        a_lock_has_one_holder
        a_release_keeps_the_key_and_delays_nobody
        a_deleted_key_is_free_at_once
        a_plain_write_leaves_the_holder
        an_empty_value_is_none;
    transactions:
        all_or_nothing
        each_operation_sees_those_before_it
        checks_fail_when_they_should
        a_handover_takes_one_commit
        the_most_telling_reason_counts;
    handovers:
        a_handover_is_all_or_nothing
        the_dead_give_nothing
        a_handover_delays_nobody
        a_successor_must_be_a_candidate;
    indexes:
        a_missing_key_has_the_index_of_all_keys
        an_existing_key_has_an_index_of_its_own
        the_same_again_is_no_change
        a_key_put_in_its_own_place_is_changed;
}

/// Long enough for nobody to see its end.
const LONG: Duration = Duration::from_secs(60);

const TTL: Duration = Duration::from_secs(10);

/// What the behaviours do, in their words.
trait Deeds: Consul {
    /// Makes a session of the node that is there from the beginning.
    async fn session(&mut self, lock_delay: Duration) -> SessionId {
        self.create(&bound_to(NODE, &["serfHealth"], lock_delay))
            .await
            .unwrap()
    }

    async fn txn(&mut self, operations: &[Op]) -> Reply {
        self.write(&Command::Txn(operations.to_vec())).await
    }

    async fn lock(&mut self, key: &str, id: &SessionId) -> Result<(), FailureKind> {
        let lock = Op::Lock(write(key, "locked"), id.clone());
        self.txn(&[lock]).await.map(drop)
    }

    async fn unlock(&mut self, key: &str, id: &SessionId) -> Result<(), FailureKind> {
        let unlock = Op::Unlock(write(key, "unlocked"), id.clone());
        self.txn(&[unlock]).await.map(drop)
    }

    async fn put(&mut self, key: &str, value: &str) {
        let done = self.write(&Command::Put(write(key, value))).await;
        assert_eq!(done, Ok(Vec::new()));
    }

    async fn delete(&mut self, key: &str) {
        let done = self.write(&Command::Delete(key.to_owned())).await;
        assert_eq!(done, Ok(Vec::new()));
    }

    async fn destroy(&mut self, id: &SessionId) {
        let done = self.write(&Command::DestroySession(id.clone())).await;
        assert_eq!(done, Ok(Vec::new()));
    }

    async fn entry(&mut self, key: &str) -> Option<Entry> {
        self.read(key).await.entry
    }

    async fn holder(&mut self, key: &str) -> Option<SessionId> {
        self.entry(key).await?.session
    }

    /// Returns the key's value; nothing too where there is no key.
    async fn value(&mut self, key: &str) -> Option<String> {
        let value = self.entry(key).await?.value?;
        Some(String::from_utf8(value).unwrap())
    }

    /// Returns the key's modify index; 0 where there is no key.
    async fn changed(&mut self, key: &str) -> u64 {
        self.entry(key).await.map_or(0, |entry| entry.modify_index)
    }
}

impl<C: Consul> Deeds for C {}

fn bound_to(node: &str, checks: &[&str], lock_delay: Duration) -> Session {
    Session {
        name: "conformance".to_owned(),
        node: node.to_owned(),
        ttl: TTL,
        lock_delay,
        checks: checks.iter().map(|&check| check.to_owned()).collect(),
    }
}

fn write(key: &str, value: &str) -> Write {
    Write {
        key: key.to_owned(),
        value: value.as_bytes().to_vec(),
        flags: 7,
    }
}

fn same<T: Debug + PartialEq>(what: &str, got: T, expected: T) -> Verdict {
    holds(
        got == expected,
        format_args!("{what}: {got:?}, and not {expected:?}"),
    )
}

fn holds(fact: bool, otherwise: impl std::fmt::Display) -> Verdict {
    if fact {
        Ok(())
    } else {
        Err(otherwise.to_string())
    }
}
