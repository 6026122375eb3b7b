//! Pure: asking how long Consul keeps others out when a holder's session dies.
//!
//! Stands in no other request's way, and outlives the role that asked: the answer counts however late
//! it comes, because a wait is as long as the longest lock-delay of any holder seen.

use std::time::Duration;

use super::attempt::Attempt;
use super::{CALL_TIMEOUT, Core, DeadlineReason, GIVE_WAY};
use crate::election::backoff::jitter;
use crate::election::call::{Answer, Call, Failure, FailureKind, OpId, SessionId};
use crate::election::time::Timestamp;

/// How soon a question that was not answered is asked again.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Question {
    /// The holder that is being asked about, until there is an answer.
    open: Option<(SessionId, Attempt)>,
    /// The holder of the last answer.
    answered: Option<SessionId>,
}

impl Question {
    /// Takes in who holds the lock, who has just asked for the proof that it needs to take the address.
    pub(super) fn about(&mut self, now: Timestamp, holder: &SessionId) {
        let is_open = self.open.as_ref().is_some_and(|(open, _)| open == holder);
        if !is_open && self.answered.as_ref() != Some(holder) {
            self.open = Some((holder.clone(), Attempt::Due(now + GIVE_WAY)));
        }
    }

    pub(super) fn deadline(&self) -> Option<(Timestamp, DeadlineReason)> {
        let (_, attempt) = self.open.as_ref()?;
        attempt.deadline(DeadlineReason::Retry)
    }
}

impl Core {
    pub(super) fn send_question(&mut self, now: Timestamp) {
        let mut question = std::mem::take(&mut self.question);
        if let Some((holder, attempt)) = &mut question.open {
            attempt.send_if_due(self, now, CALL_TIMEOUT, || {
                Call::SessionLockDelay(holder.clone())
            });
        }
        self.question = question;
    }

    /// Returns whether `op` was the question.
    pub(super) fn question_completed(
        &mut self,
        now: Timestamp,
        op: OpId,
        result: &Result<Answer, Failure>,
    ) -> bool {
        let Some((holder, attempt)) = &mut self.question.open else {
            return false;
        };
        if attempt.answered_by(op).is_none() {
            return false;
        }
        // Without the right to know it, the own lock-delay has to do.
        let known = match result {
            Ok(Answer::LockDelay(lock_delay)) => Some(lock_delay.unwrap_or_default()),
            Err(failure) if failure.kind == FailureKind::Denied => Some(Duration::ZERO),
            Ok(_) | Err(_) => None,
        };
        match known {
            Some(lock_delay) => {
                self.others_lock_delay = self.others_lock_delay.max(lock_delay);
                self.question.answered = Some(holder.clone());
                self.question.open = None;
            }
            None => *attempt = Attempt::Due(now + jitter(PAUSE, &mut self.rng)),
        }
        true
    }
}
