//! Applier: keeps one group as the newest configuration wants it.
//!
//! One task for each group, spawned by `groups`. What is wanted may change at any time: then the member that runs is told
//! to stop, gives everything up in order, and another one begins; or none, where the group is gone, and the task ends. A
//! member that fails is tried again with a growing pause, and disturbs no other group. Aborted at any point it leaves
//! what a process leaves that is killed: the kernel ends the address, and Consul the session.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tracing::{error, warn};

use super::Error;
use super::claims::Claim;
use super::common::{Common, addresses, terms};
use super::member::Member;
use crate::config::Group;
use crate::driver::clock;
use crate::logging::Chain;
use crate::runtime::lock::GroupLock;
use crate::status::counters::{Deeds, HookRuns};
use crate::status::serve::Socket;
use crate::status::snapshot::{About, Snapshot};

/// The pause after a first failure; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause; and how long a member must have gone on for the next pause to be the first.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What becomes of a group that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failing {
    /// It is tried again.
    IsTriedAgain,
    /// The process ends: it has no other group, and will have none.
    EndsTheProcess,
}

/// One group, for as long as it is wanted.
pub(super) struct Keeper {
    name: String,
    common: Arc<Common>,
    failing: Failing,
    wanted: watch::Receiver<Option<Arc<Group>>>,
    told: watch::Sender<Snapshot>,
    place: Option<Place>,
    /// The first member, made before any begins.
    first: Option<Box<Member>>,
}

/// What makes this process the one for a group on this host, and what says so there.
struct Place {
    lock: Option<GroupLock>,
    /// Whoever answers at the group's socket ends with this.
    _answering: JoinSet<()>,
}

impl Keeper {
    /// Prepares the first member, so that those which begin together begin after all of them are prepared. What cannot
    /// be prepared now is tried again.
    ///
    /// # Errors
    ///
    /// Where a group that fails ends the process.
    pub(super) async fn prepare(
        common: Arc<Common>,
        wanted: watch::Receiver<Option<Arc<Group>>>,
        told: watch::Sender<Snapshot>,
        failing: Failing,
    ) -> Result<Self, Error> {
        let group = wanted.borrow().clone();
        let name = told.borrow().about.group.clone();
        let mut keeper = Self {
            name,
            common,
            failing,
            wanted,
            told,
            place: None,
            first: None,
        };
        if let Some(group) = group
            && let Some(claim) = keeper.common.claims.take(&addresses(&group))
        {
            match keeper.member(&group, claim).await {
                Ok(member) => keeper.first = Some(Box::new(member)),
                Err(error) if failing == Failing::EndsTheProcess => return Err(error),
                // Will fail again, and be logged.
                Err(_) => {}
            }
        }
        Ok(keeper)
    }

    /// What the group is called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Runs until the group is not wanted any more.
    ///
    /// # Errors
    ///
    /// Where a group that fails ends the process.
    pub(super) async fn run(&mut self) -> Result<(), Error> {
        let mut pause = FIRST_PAUSE;
        loop {
            let group = self.wanted.borrow_and_update().clone();
            let Some(group) = group else { return Ok(()) };
            let begun = Instant::now();
            let Err(failure) = self.once(&group).await else {
                pause = FIRST_PAUSE;
                continue;
            };
            if self.failing == Failing::EndsTheProcess {
                return Err(failure);
            }
            if begun.elapsed() > LONGEST_PAUSE {
                pause = FIRST_PAUSE;
            }
            self.log_failure(&failure, pause);
            tokio::select! {
                () = Box::pin(sleep(pause)) => pause = (pause * 2).min(LONGEST_PAUSE),
                // As something else, it begins as if it had never failed.
                _ = self.wanted.changed() => pause = FIRST_PAUSE,
            }
        }
    }

    /// Runs one member until something else is wanted.
    async fn once(&mut self, group: &Arc<Group>) -> Result<(), Error> {
        // Boxed, all of it: a task is as large as all that it ever holds.
        let member = match self.first.take() {
            Some(member) => *member,
            None => {
                let Some(claim) = Box::pin(self.claim(group)).await else {
                    return Ok(());
                };
                self.begin_again(group);
                Box::pin(self.member(group, claim)).await?
            }
        };
        let (stop, stopping) = oneshot::channel();
        let mut running = Box::pin(member.run(stopping));
        tokio::select! {
            ended = &mut running => {
                ended?;
                // Nobody had asked it to.
                Err(Error::Crashed(self.name.clone()))
            }
            _ = self.wanted.changed() => {
                let _ = stop.send(());
                running.await
            }
        }
    }

    async fn member(&mut self, group: &Arc<Group>, claim: Claim) -> Result<Member, Error> {
        if self.place.is_none() {
            self.place = Some(self.take_place()?);
        }
        let Self {
            common,
            place,
            told,
            ..
        } = self;
        let lock = place.as_ref().and_then(|place| place.lock.as_ref());
        common.member(group, claim, lock, told).await
    }

    /// `None` where something else is wanted meanwhile.
    async fn claim(&mut self, group: &Group) -> Option<Claim> {
        let addresses = addresses(group);
        if let Some(claim) = self.common.claims.take(&addresses) {
            return Some(claim);
        }
        self.fail(
            "it waits for an address that another group of this process has to give up first",
        );
        tokio::select! {
            claim = self.common.claims.wait(&addresses) => Some(claim),
            _ = self.wanted.changed() => None,
        }
    }

    fn take_place(&self) -> Result<Place, Error> {
        let lock = self.common.lock(&self.name)?;
        let mut answering = JoinSet::new();
        if lock.is_some()
            && let Some(socket) = self.socket()
        {
            answering.spawn(socket.serve(self.common.board.clone()));
        }
        Ok(Place {
            lock,
            _answering: answering,
        })
    }

    fn socket(&self) -> Option<Socket> {
        let path = self.common.directory.socket(&self.name);
        Socket::bind(&path)
            .inspect_err(|error| {
                warn!(
                    group = self.name,
                    path = %path.display(),
                    %error,
                    "nobody on this host can ask how this daemon is; make the directory writable, or set \
                     RUNTIME_DIRECTORY"
                );
            })
            .ok()
    }

    fn begin_again(&self, group: &Group) {
        let before = self.told.borrow().about.clone();
        let about = About {
            deeds: before.deeds,
            hooks: before.hooks,
            ..about(&self.common, group)
        };
        self.told
            .send_modify(|told| told.begin_again(about, SystemTime::now(), clock::now()));
    }

    fn fail(&self, why: &str) {
        self.told
            .send_modify(|told| told.fail(why.to_owned(), SystemTime::now()));
    }

    fn log_failure(&self, failure: &Error, pause: Duration) {
        let why = Chain(failure).to_string();
        self.fail(&why);
        error!(
            group = self.name,
            again_in_s = pause.as_secs(),
            "this group takes no part any more, and is tried again: {why}"
        );
    }
}

/// What is known of a group before it runs.
pub(super) fn about(common: &Common, group: &Group) -> About {
    About {
        group: group.name().to_owned(),
        value: group.trigger_value.clone(),
        priority: group.priority,
        terms: terms(&common.config, group),
        vips: group.vips.clone(),
        deeds: Arc::new(Deeds::default()),
        hooks: Arc::new(HookRuns::default()),
    }
}
