//! Applier: has a keeper for each group of the newest configuration, and none for others.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::Error;
use super::common::Common;
use super::descriptors;
use super::keeper::{Failing, Keeper, about};
use crate::config::{Group, Hooks};
use crate::driver::clock;
use crate::hooks::{self, From};
use crate::status::board::Seats;
use crate::status::snapshot::Snapshot;

/// The groups of this process.
pub(super) struct Groups {
    common: Arc<Common>,
    failing: Failing,
    /// In the order of the configuration, and then those that are giving up.
    kept: Vec<Kept>,
    keepers: JoinSet<(String, Result<(), Error>)>,
    hooks: JoinSet<()>,
    seats: watch::Sender<Seats>,
}

/// A group, and what is wanted of it.
struct Kept {
    name: String,
    wanted: watch::Sender<Option<Arc<Group>>>,
    seen: watch::Receiver<Snapshot>,
    /// Whether hooks are told of it.
    is_told: bool,
}

impl Groups {
    /// Begins with none. Who they are is told to `seats`.
    pub(super) fn new(common: Arc<Common>, failing: Failing, seats: watch::Sender<Seats>) -> Self {
        Self {
            common,
            failing,
            kept: Vec::new(),
            keepers: JoinSet::new(),
            hooks: JoinSet::new(),
            seats,
        }
    }

    /// Has these groups, each as it is here, and no others. Those that are as they were are not touched.
    ///
    /// # Errors
    ///
    /// Where a group that fails ends the process.
    pub(super) async fn take(&mut self, groups: &[Arc<Group>]) -> Result<(), Error> {
        descriptors::suffice(groups);
        self.common.neighbours.know(groups);
        let mut before = std::mem::take(&mut self.kept);
        let mut new = Vec::new();
        let mut taken = Ok(());
        for group in groups {
            let known = before.iter().position(|kept| kept.name == group.name());
            let kept = match known {
                Some(number) => {
                    let kept = before.swap_remove(number);
                    kept.wants(group);
                    kept
                }
                None => match self.begin(group).await {
                    Ok((kept, keeper)) => {
                        new.push(keeper);
                        kept
                    }
                    Err(error) => {
                        taken = Err(error);
                        continue;
                    }
                },
            };
            self.kept.push(kept);
        }
        for gone in before {
            gone.wants_none();
            self.kept.push(gone);
        }
        // Those that were there before there was any.
        for kept in &mut self.kept {
            kept.tell(&self.common.hooks, &mut self.hooks, From::NowOn);
        }
        self.publish();
        // Not before all are prepared: groups that begin together have work to share.
        for keeper in new {
            self.spawn(keeper);
        }
        taken
    }

    /// Has no groups any more.
    pub(super) fn stop(&self) {
        for kept in &self.kept {
            kept.wanted.send_replace(None);
        }
    }

    /// Whether there are any.
    pub(super) fn are_there(&self) -> bool {
        !self.keepers.is_empty()
    }

    /// Waits until one of them has ended, and names it. `None` where there is none. Cancel safe.
    ///
    /// # Errors
    ///
    /// Where the process ends with it.
    pub(super) async fn ended(&mut self) -> Option<Result<String, Error>> {
        Some(match self.keepers.join_next().await? {
            Ok((name, result)) => result.map(|()| name),
            // A panic ends the process by itself.
            Err(_) => Err(Error::Crashed("a group".to_owned())),
        })
    }

    /// Takes in that a group has ended, unless it came back while it was leaving.
    ///
    /// # Errors
    ///
    /// Where a group that fails ends the process.
    pub(super) async fn has_left(&mut self, name: &str) -> Result<(), Error> {
        while self.hooks.try_join_next().is_some() {}
        let Some(number) = self.kept.iter().position(|kept| kept.name == name) else {
            return Ok(());
        };
        let wanted = self.kept.remove(number).wanted.borrow().clone();
        if let Some(group) = wanted {
            let (kept, keeper) = self.begin(&group).await?;
            self.kept.push(kept);
            self.spawn(keeper);
        }
        self.publish();
        Ok(())
    }

    /// Waits until the last hook is done.
    pub(super) async fn last_words(&mut self) {
        while self.hooks.join_next().await.is_some() {}
    }

    async fn begin(&mut self, group: &Arc<Group>) -> Result<(Kept, Keeper), Error> {
        let common = Arc::clone(&self.common);
        let begun = Snapshot::new(about(&common, group), SystemTime::now(), clock::now());
        let (told, seen) = watch::channel(begun);
        let (wanted, newest) = watch::channel(Some(Arc::clone(group)));
        let mut kept = Kept {
            name: group.name().to_owned(),
            wanted,
            seen,
            is_told: false,
        };
        kept.tell(&common.hooks, &mut self.hooks, From::TheBeginning);
        let keeper = Keeper::prepare(common, newest, told, self.failing).await?;
        Ok((kept, keeper))
    }

    fn spawn(&mut self, mut keeper: Keeper) {
        self.keepers.spawn(async move {
            let ended = keeper.run().await;
            (keeper.name().to_owned(), ended)
        });
    }

    fn publish(&self) {
        let seats = self.kept.iter().map(|kept| kept.seen.clone());
        self.seats.send_replace(seats.collect());
    }
}

impl Kept {
    /// Has hooks told of it, where there are any, and are not yet.
    fn tell(&mut self, hooks: &watch::Receiver<Hooks>, tasks: &mut JoinSet<()>, from: From) {
        if !self.is_told && hooks.borrow().are_there() {
            tasks.spawn(hooks::tell(hooks.clone(), self.seen.clone(), from));
            self.is_told = true;
        }
    }

    fn wants(&self, group: &Arc<Group>) {
        let before = self.wanted.borrow().clone();
        let changes = before.map(|before| before.starts_over_for(group));
        match changes {
            Some(changes) if changes.is_empty() => return,
            Some(changes) => {
                for change in changes {
                    warn!(group = self.name, "this group starts over: {change}");
                }
            }
            None => info!(group = self.name, "this group is wanted again"),
        }
        self.wanted.send_replace(Some(Arc::clone(group)));
    }

    fn wants_none(&self) {
        if self.wanted.send_replace(None).is_some() {
            info!(
                group = self.name,
                "this group is gone from the configuration, and is given up"
            );
        }
    }
}
