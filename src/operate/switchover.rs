//! Driver: asks a leader to hand over, and waits until it has.

use std::time::Duration;

use tokio::time::Instant;

use super::hands::{Hands, Passed};
use super::look::PATIENCE;
use super::{Error, Operator, refuse};
use crate::config::Group;
use crate::consul::kv::Consistency;
use crate::election::call::FailureKind;
use crate::election::key::KeyState;

/// How long a leader may take: it hears of the request at once, and has its address off in a moment.
const LIMIT: Duration = Duration::from_secs(15);

/// How long a request that is gone may be ahead of the lock that went with it.
const GRACE: Duration = Duration::from_secs(1);

impl Operator<'_> {
    /// Asks, waits, and says who leads then.
    pub(super) async fn switch_over(&self, group: &Group, to: Option<&str>) -> Result<(), Error> {
        let view = self.looker.look(group).await?;
        refuse::switchover(&view, to).map_err(Error::Refused)?;
        let leader = view.leader.clone().unwrap_or_default();
        let client = &self.looker.client;
        let hands = Hands::new(view.session, Duration::ZERO);
        let began = Instant::now();
        let index = match client.ask_for_switchover(group.name(), to, PATIENCE).await {
            Ok(index) => index,
            Err(failure) if failure.kind == FailureKind::Changed => {
                return Err(Error::Refused(format!(
                    "somebody else has just asked for a switchover of {}; wait until it is done",
                    group.name()
                )));
            }
            Err(failure) => return Err(failure.into()),
        };
        let whom = to.unwrap_or("the best candidate");
        self.say(&format!(
            "{}: {leader} is asked to hand over to {whom}",
            group.name()
        ));
        let outcome = tokio::select! {
            outcome = self.until_passed(group, hands, began, index) => outcome,
            () = self.interrupted() => Err(Error::Refused("interrupted".to_owned())),
        };
        // Where it was followed it is gone already, or must not be followed by the next leader.
        let withdrawn = client
            .withdraw_switchover(group.name(), index, PATIENCE)
            .await;
        let passed = outcome.map_err(|error| match withdrawn {
            Ok(()) => error.and("the request was withdrawn"),
            Err(_) => error,
        })?;
        let (name, new) = (group.name(), super::survey::one_line(&passed.to));
        self.say(&format!("{name}: {new} leads now, {}", passed.words()));
        match to {
            Some(to) if passed.to != to => Err(Error::Refused(format!(
                "{new} leads {name}, and not {to}: the handover was refused, see the log of {leader}"
            ))),
            Some(_) | None => Ok(()),
        }
    }

    async fn until_passed(
        &self,
        group: &Group,
        mut hands: Hands,
        began: Instant,
        request: u64,
    ) -> Result<Passed, Error> {
        let passing = self.passed(group, &mut hands, began);
        let gone = self.until_request_is_gone(group, request);
        tokio::select! {
            passed = tokio::time::timeout(LIMIT, passing) => match passed {
                Ok(passed) => passed,
                Err(_) => Err(Error::Refused(format!(
                    "the leader of {} has not handed over within {} s; its log says why",
                    group.name(),
                    LIMIT.as_secs()
                ))),
            },
            refused = gone => Err(refused),
        }
    }

    /// Waits until another session holds the lock, for ever.
    pub(super) async fn passed(
        &self,
        group: &Group,
        hands: &mut Hands,
        began: Instant,
    ) -> Result<Passed, Error> {
        let mut index = 1;
        loop {
            let read = self.watch_key(group, index).await?;
            // An index that has not risen is no reason to ask again at once.
            if read.index == index {
                tokio::time::sleep(super::PACE).await;
            }
            index = read.index;
            let state = KeyState::of(read.entry.as_ref());
            if let Some(passed) = hands.see(began.elapsed(), &state) {
                return Ok(passed);
            }
        }
    }

    /// Returns when the leader has deleted the request and leads on.
    async fn until_request_is_gone(&self, group: &Group, request: u64) -> Error {
        let mut index = 1;
        loop {
            let read = match self.watch_below(group, index).await {
                Ok(read) => read,
                Err(error) => return error,
            };
            let there = read.0.request.is_some_and(|one| one.index == request);
            // A server that is behind has not seen it come yet.
            if !there && read.0.index > request {
                break;
            }
            if read.0.index == index {
                tokio::time::sleep(super::PACE).await;
            }
            index = read.0.index;
        }
        // Who hands over deletes it in the same commit, which the other watch is about to show.
        tokio::time::sleep(GRACE).await;
        let why = match self.looker.look(group).await {
            Ok(view) => view.remarks.join("; "),
            Err(failure) => failure.message,
        };
        Error::Refused(format!(
            "the leader of {} does not follow, its log says why ({why})",
            group.name()
        ))
    }

    async fn watch_key(
        &self,
        group: &Group,
        index: u64,
    ) -> Result<crate::election::call::KeyRead, Error> {
        let wait = Duration::from_secs(5);
        let read = self.looker.client.watch(
            &group.trigger_key,
            index,
            wait,
            Consistency::Default,
            wait + PATIENCE,
        );
        Ok(read.await?)
    }
}
