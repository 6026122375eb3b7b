//! Pure: keeping account of what goes wrong between us and Consul.

use super::Core;
use crate::election::call::{Answer, Failure, FailureKind};
use crate::election::status::{Doing, Trouble};

impl Core {
    /// Keeps account of what goes wrong, by what we were doing.
    pub(super) fn note(&mut self, doing: Doing, result: &Result<Answer, Failure>) {
        let Err(failure) = result else {
            self.troubles.remove(&doing);
            if doing != Doing::Watching {
                // An agent that has carried something out is there. (A watch is answered by any
                // server, even by one that has lost its leader.)
                self.troubles
                    .retain(|_, trouble| trouble.kind != FailureKind::Unavailable);
            }
            return;
        };
        match failure.kind {
            // Answers, not troubles.
            FailureKind::SessionGone
            | FailureKind::Held
            | FailureKind::LockDelayed
            | FailureKind::Changed => {
                self.troubles.remove(&doing);
            }
            // Whether Consul is there is told by what must be answered; a watch is only a hint.
            FailureKind::Unavailable if doing == Doing::Watching => {}
            FailureKind::CheckMissing
            | FailureKind::CheckCritical
            | FailureKind::Denied
            | FailureKind::Unavailable
            | FailureKind::Refused => {
                let Failure { kind, message } = failure.clone();
                self.troubles.insert(
                    doing,
                    Trouble {
                        doing,
                        kind,
                        message,
                    },
                );
            }
        }
    }
}
