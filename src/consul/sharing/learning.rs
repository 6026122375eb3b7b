//! Pure: what an answer that several groups have asked for shows of the sessions and the services.

use std::time::Duration;

use super::{Bond, Sharing, Ticket};
use crate::election::call::{Answer, Call, Failure, FailureKind};
use crate::election::time::Timestamp;

/// For how long it counts for all groups that a check is missing or critical: each of them tries again once a second.
const REFUSAL_LASTS: Duration = Duration::from_millis(500);

impl Sharing {
    /// Returns why a session was refused just now, if it was.
    pub(super) fn refusal(&self, now: Timestamp, bond: Bond) -> Option<Failure> {
        let (at, failure) = self.refusals.get(&bond)?;
        (now.since(*at) < REFUSAL_LASTS).then(|| failure.clone())
    }

    /// Takes in what came of a call, by the tickets of all who made it.
    pub(super) fn learn(
        &mut self,
        now: Timestamp,
        call: &Call,
        bond: Option<Bond>,
        tickets: &[Ticket],
        result: &Result<Answer, Failure>,
    ) {
        let calls = &self.calls;
        let seats = || {
            tickets
                .iter()
                .filter_map(|ticket| calls.get(ticket).map(|asked| asked.seat))
        };
        let service = bond.and_then(|bond| self.services.get_mut(&bond));
        match (call, result) {
            (Call::CreateSession { liveness, .. }, Ok(Answer::Created(session))) => {
                if let Some(bond) = bond {
                    self.pool.made(session, bond, *liveness, seats());
                }
            }
            (Call::CreateSession { .. }, Err(failure)) => {
                let checks = [FailureKind::CheckMissing, FailureKind::CheckCritical];
                if let Some(bond) = bond
                    && checks.contains(&failure.kind)
                {
                    self.refusals.insert(bond, (now, failure.clone()));
                }
                // It may be ours: the agent was started anew, or took it for dead while there was no session.
                if failure.kind == FailureKind::CheckMissing
                    && let Some(service) = service
                {
                    service.forget();
                }
            }
            (Call::FindSession { .. }, Ok(Answer::Found(Some(session)))) => {
                if let Some(bond) = bond {
                    self.pool.found(session, bond, seats());
                }
            }
            (Call::FindSession { id: Some(id), .. }, Ok(Answer::Found(None))) => {
                for seat in seats() {
                    self.pool.left(seat, id);
                }
            }
            (Call::RenewSession(session), Ok(_)) => self.pool.lives(now, session),
            (Call::RenewSession(session), Err(failure)) => {
                if failure.kind == FailureKind::SessionGone {
                    self.pool.is_gone(session);
                }
            }
            (Call::DestroySession(session) | Call::Depose(session), Ok(_)) => {
                self.pool.ended(session);
            }
            (Call::RegisterService { leads }, result) => {
                if let Some(service) = service {
                    service.told(*leads, result.is_ok());
                }
                // It may have been its check that was missing.
                if let Some(bond) = bond {
                    self.refusals.remove(&bond);
                }
            }
            (Call::Feed, result) => {
                if let Some(service) = service {
                    service.fed(now, result);
                }
            }
            (_, _) => {}
        }
    }
}
