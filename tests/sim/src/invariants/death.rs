//! Pure: what a session died of, and whether the kernel's hand alone was given its time.

use std::time::Duration;

/// What ended a session that held the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its daemon was not heard any more: by its liveness check, its TTL, or by another host.
    Silence {
        /// When the last word that was heard had been sent.
        last_word: Duration,
        /// When the next would have been, at the latest, from a daemon that is well.
        missed: Duration,
    },
    /// Anything else, which has nothing to do with how its daemon is.
    Other,
}

impl Cause {
    /// A silence since `last_word`, of a daemon that says something every so often.
    pub fn silence(last_word: Duration, well: Duration) -> Self {
        Self::Silence {
            last_word,
            missed: last_word + well,
        }
    }
}

/// The end of a session that held the lock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Death {
    pub(super) at: Duration,
    pub(super) cause: Cause,
}

impl Death {
    /// Whether nothing but the end of its daemon, which has been dead or frozen since `gone`, ended the
    /// session: then it must have outlived the daemon by long enough for the kernel. Where the daemon was not
    /// heard before that already, it need not.
    pub(super) fn is_of_the_daemon(&self, gone: Duration) -> bool {
        match self.cause {
            Cause::Silence { last_word, missed } => last_word <= gone && gone <= missed,
            Cause::Other => false,
        }
    }
}
