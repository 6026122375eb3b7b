//! Pure: what the trigger key says about the lock.

use crate::election::call::{Entry, LOCK_FLAG, SessionId};

/// The lock as one read shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// There is no key: a session that died with it, or an operator, deleted it.
    Missing,
    /// A session holds the lock.
    Held {
        /// The holder.
        by: SessionId,
        /// The value as text, for people.
        value: String,
    },
    /// The last leader gave the lock up after its address was off: free at once.
    Released {
        /// To be checked by the acquire.
        index: u64,
    },
    /// A value and no session: nobody said that the last leader's address is off.
    Abandoned {
        /// To be checked by the acquire.
        index: u64,
    },
    /// Not a lock. Somebody keeps something else here, and we leave it alone.
    NotALock {
        /// What stands where [`LOCK_FLAG`] should.
        flags: u64,
    },
}

impl KeyState {
    /// Reads the state from an entry, or from its absence.
    pub fn of(entry: Option<&Entry>) -> Self {
        let Some(entry) = entry else {
            return Self::Missing;
        };
        let index = entry.modify_index;
        match &entry.session {
            // A plain write over a held lock takes the flag off and leaves the session: still held.
            Some(by) => Self::Held {
                by: by.clone(),
                value: String::from_utf8_lossy(entry.value.as_deref().unwrap_or_default())
                    .into_owned(),
            },
            None if entry.flags != LOCK_FLAG => Self::NotALock { flags: entry.flags },
            None if entry.value.as_deref().unwrap_or_default().is_empty() => {
                Self::Released { index }
            }
            None => Self::Abandoned { index },
        }
    }
}
