//! Driver: has a host not lead, until it is told that it may again.

use std::time::{Duration, SystemTime};

use tokio::time::{Instant, timeout};

use super::hands::Hands;
use super::look::PATIENCE;
use super::survey::one_line;
use super::view::{GroupView, Note, Role};
use super::{Error, Operator, refuse};
use crate::calendar::rfc3339;
use crate::config::Group;
use crate::consul::below;
use crate::consul::kv::Consistency;
use crate::election::candidate::GroupRead;

/// How long a host that runs may take to hear of it, and to do it, and the next one to lead.
const LIMIT: Duration = Duration::from_secs(15);

impl Operator<'_> {
    /// Writes it, waits until the host neither leads nor would, and says who leads then.
    pub(super) async fn drain(&self, group: &Group, host: &str) -> Result<(), Error> {
        let view = self.looker.look(group).await?;
        refuse::drain(&view, host).map_err(Error::Refused)?;
        let name = group.name();
        let led = view.leader.as_deref() == Some(host);
        let nobody = refuse::leaves_nobody(&view, host);
        if nobody {
            self.say(&format!(
                "{name}: nobody else is fit to lead, so that nobody will"
            ));
        }
        let already = view.host(host).is_some_and(|host| host.drained);
        let mut hands = Hands::new(view.session, Duration::ZERO);
        let began = Instant::now();
        if !already {
            let note = serde_json::to_vec(&self.note()).unwrap_or_default();
            let client = &self.looker.client;
            client.drain(name, host, &note, PATIENCE).await?;
        }
        let been = if already {
            "was drained before"
        } else {
            "is drained"
        };
        self.say(&format!("{name}: {host} {been}"));
        let limit = timeout(LIMIT, self.until_heeded(group, host));
        let next = async {
            // Side by side, so that the moment between two hands is seen.
            if !led || nobody {
                return None;
            }
            let passed = timeout(LIMIT, self.passed(group, &mut hands, began)).await;
            passed.ok().and_then(Result::ok)
        };
        let (heeded, passed) = tokio::select! {
            both = async { tokio::join!(limit, next) } => both,
            () = self.interrupted() => return Err(Error::Refused(stands(name, host))),
        };
        match (heeded, passed) {
            (Ok(Err(error)), _) => Err(error.and(&stands(name, host))),
            (Err(_), _) => Err(Error::Refused(format!(
                "{host} has not followed within {} s: is its vip-elector of this version, and may its token read \
                 below {name}? {}",
                LIMIT.as_secs(),
                stands(name, host)
            ))),
            (Ok(Ok(())), Some(passed)) => {
                let new = one_line(&passed.to);
                self.say(&format!("{name}: {new} leads now, {}", passed.words()));
                Ok(())
            }
            (Ok(Ok(())), None) if led => {
                let view = self.looker.look(group).await?;
                self.say(&format!("{name}: {}", refuse::who_leads(&view)));
                Ok(())
            }
            (Ok(Ok(())), None) => Ok(()),
        }
    }

    /// Deletes it, and waits until the host would lead again, if it can.
    pub(super) async fn resume(&self, group: &Group, host: &str) -> Result<(), Error> {
        let view = self.looker.look(group).await?;
        let name = group.name();
        if view.host(host).is_none_or(|host| !host.drained) {
            refuse::drain(&view, host).map_err(Error::Refused)?;
            self.say(&format!("{name}: {host} is not drained"));
            return Ok(());
        }
        self.looker.client.resume(name, host, PATIENCE).await?;
        if view
            .host(host)
            .is_some_and(|host| host.role == Role::Absent && host.node.is_none())
        {
            self.say(&format!(
                "{name}: {host} is drained no more; it takes no part now"
            ));
            return Ok(());
        }
        let back = tokio::select! {
            back = timeout(LIMIT, self.until_back(group, host)) => back,
            () = self.interrupted() => return Err(Error::Refused("interrupted".to_owned())),
        };
        let what = match back {
            Ok(back) => {
                back?;
                "is drained no more, and would lead".to_owned()
            }
            Err(_) => {
                let view = self.looker.look(group).await?;
                let why = view
                    .host(host)
                    .map_or("it takes no part", |host| &host.health);
                format!("is drained no more, but no candidate: {why}")
            }
        };
        self.say(&format!("{name}: {host} {what}"));
        Ok(())
    }

    /// Returns when the host neither leads nor stands as a candidate.
    async fn until_heeded(&self, group: &Group, host: &str) -> Result<(), Error> {
        self.until_below(group, |below| {
            !below.candidates.iter().any(|one| one.value == host)
        })
        .await?;
        loop {
            let view: GroupView = self.looker.look(group).await?;
            if view.leader.as_deref() != Some(host) {
                return Ok(());
            }
            tokio::time::sleep(super::PACE).await;
        }
    }

    async fn until_back(&self, group: &Group, host: &str) -> Result<(), Error> {
        self.until_below(group, |below| {
            below.candidates.iter().any(|one| one.value == host)
        })
        .await
    }

    async fn until_below(
        &self,
        group: &Group,
        done: impl Fn(&GroupRead) -> bool,
    ) -> Result<(), Error> {
        let mut index = 0;
        loop {
            let (below, _) = self.watch_below(group, index).await?;
            if done(&below) {
                return Ok(());
            }
            if below.index == index {
                tokio::time::sleep(super::PACE).await;
            }
            index = below.index;
        }
    }

    /// Waits for news below the trigger key.
    pub(super) async fn watch_below(
        &self,
        group: &Group,
        index: u64,
    ) -> Result<(GroupRead, Vec<String>), Error> {
        let wait = Duration::from_secs(5);
        let prefix = below::prefix(group.name());
        let read = self.looker.client.watch_prefix(
            &prefix,
            index,
            wait,
            Consistency::Default,
            wait + PATIENCE,
        );
        Ok(below::read(group.name(), read.await?))
    }

    fn note(&self) -> Note {
        Note {
            by: self.who.to_owned(),
            since: rfc3339(SystemTime::now()),
        }
    }
}

fn stands(group: &str, host: &str) -> String {
    format!(
        "it stays drained in Consul ({group}/drain/{host}); to end that: vip-elector resume {host}"
    )
}
