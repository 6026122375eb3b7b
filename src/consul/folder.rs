//! Driver: watches. Groups whose trigger keys lie in one folder share two open reads of that folder.
//!
//! An open read holds a connection, of which an agent takes 200 from one address
//! (<https://developer.hashicorp.com/consul/docs/agent/config/config-files#http_max_conns_per_client>), and
//! all processes of a host share those. So there are [`OPEN`] of them at most: what finds no room is read again
//! and again instead. What a watch says is a hint, and nobody's lease rests on it.

mod stream;
mod tree;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::Either;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

use self::stream::Stream;
use self::tree::{Source, Tree};
use crate::consul::binding::{Binding, WATCH_WAIT};
use crate::consul::client::Client;
use crate::consul::kv::{Consistency, Listing};
use crate::election::call::{Answer, Call, Failure};

/// How many reads are held open at most.
const OPEN: usize = 12;

/// How many that find no room are under way at a time, and how long each then waits until the next.
const POLLS: usize = 2;
const POLL_PAUSE: Duration = Duration::from_secs(1);

/// How often, and after how long each, it is looked whether any server shows what the raft leader has.
const LOOKS: u32 = 10;
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// How many bytes of a listing there may be for each group, beside what any answer may have.
const ROOM: usize = 16 * 1024;

/// What a group watches, newer than at an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watch {
    /// Its trigger key.
    Key(Source, u64),
    /// What stands below it; at 0, as it is now.
    Below(u64),
}

impl Watch {
    /// Returns what is watched, if the call is a watch.
    pub(super) fn of(call: &Call) -> Option<Self> {
        if let Call::Watch { index } = call {
            Some(Self::Key(Source::Any, *index))
        } else if let Call::WatchThroughLeader { index } = call {
            Some(Self::Key(Source::Leader, *index))
        } else if let Call::WatchGroup { index } = call {
            Some(Self::Below(*index))
        } else {
            None
        }
    }

    fn call(self) -> Call {
        match self {
            Self::Key(Source::Any, index) => Call::Watch { index },
            Self::Key(Source::Leader, index) => Call::WatchThroughLeader { index },
            Self::Below(index) => Call::WatchGroup { index },
        }
    }

    fn source(self) -> Source {
        match self {
            Self::Key(source, _) => source,
            Self::Below(_) => Source::Any,
        }
    }
}

/// All watches of a process.
pub(super) struct Folders {
    client: Client,
    folders: Mutex<BTreeMap<String, Arc<Folder>>>,
    open: Arc<Semaphore>,
    polls: Arc<Semaphore>,
}

/// The groups whose trigger keys have everything but their last part in common.
struct Folder {
    /// With the slash at its end.
    name: String,
    tree: Mutex<Tree>,
    /// Rung when a group has news, by its trigger key.
    bells: Mutex<BTreeMap<String, Arc<Notify>>>,
    /// Whether the open reads work: of any server, and of the raft leader.
    failures: [Mutex<Failures>; 2],
    streams: Mutex<Vec<JoinHandle<()>>>,
    /// Consul refuses to list the folder: each group watches alone.
    refused: AtomicBool,
    /// How many have asked for a listing that is not older than their question, and how many of these have it.
    asked: AtomicU64,
    served: tokio::sync::Mutex<u64>,
}

/// How often an open read has failed, and how the last time.
#[derive(Default)]
struct Failures {
    count: u64,
    last: Option<Failure>,
}

impl Folders {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            folders: Mutex::default(),
            open: Arc::new(Semaphore::new(OPEN)),
            polls: Arc::new(Semaphore::new(POLLS)),
        }
    }

    /// Takes in a group. With the second one, the folder is shared from then on.
    pub(super) fn enter(&self, key: &str) {
        let Some(name) = folder_of(key) else { return };
        let mut folders = self.folders();
        let folder = folders
            .entry(name.to_owned())
            .or_insert_with(|| Arc::new(Folder::new(name)));
        folder.bells().entry(key.to_owned()).or_default();
        if folder.tree().enter(key) >= 2 && folder.streams().is_empty() {
            for source in [Source::Any, Source::Leader] {
                let stream = Stream {
                    client: self.client.clone(),
                    folder: Arc::clone(folder),
                    source,
                    open: Arc::clone(&self.open),
                    polls: Arc::clone(&self.polls),
                };
                folder.streams().push(tokio::spawn(stream.run()));
            }
        }
    }

    pub(super) fn depart(&self, key: &str) {
        let Some(name) = folder_of(key) else { return };
        let mut folders = self.folders();
        let Some(folder) = folders.get(name) else {
            return;
        };
        folder.bells().remove(key);
        if folder.tree().depart(key) == 0 {
            for stream in folder.streams().drain(..) {
                stream.abort();
            }
            folders.remove(name);
        }
    }

    /// Carries a watch out.
    pub(super) fn watch<'a>(
        &'a self,
        binding: &'a Binding,
        watch: Watch,
        timeout: Duration,
    ) -> impl Future<Output = Result<Answer, Failure>> + Send + 'a {
        let key = binding.key();
        let shared = folder_of(key)
            .and_then(|name| self.folders().get(name).cloned())
            .filter(|folder| folder.is_shared());
        match (shared, watch) {
            (None, _) => Either::Left(self.alone(binding, watch, timeout).boxed()),
            (Some(folder), Watch::Below(0)) => {
                let fresh = async move {
                    folder.fresh(&self.client, timeout).await?;
                    Ok(folder.group(binding, 0))
                };
                Either::Left(fresh.boxed())
            }
            (Some(folder), _) => {
                let until = Instant::now() + timeout.min(WATCH_WAIT);
                Either::Right(async move {
                    folder.wait(key, watch, until).await?;
                    Ok(match watch {
                        Watch::Key(..) => folder.key(key),
                        Watch::Below(index) => folder.group(binding, index),
                    })
                })
            }
        }
    }

    /// A watch of this group alone; read once a second where there are too many.
    async fn alone(
        &self,
        binding: &Binding,
        watch: Watch,
        timeout: Duration,
    ) -> Result<Answer, Failure> {
        if watch == Watch::Below(0) {
            let _turn = self.polls.acquire().await;
            return binding.call(watch.call(), timeout).await;
        }
        if let Ok(_room) = self.open.try_acquire() {
            return binding.call(watch.call(), timeout).await;
        }
        sleep(POLL_PAUSE.min(timeout / 2)).await;
        let _turn = self.polls.acquire().await;
        binding.call(watch.call(), Duration::from_millis(100)).await
    }

    fn folders(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Folder>>> {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Folder {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            tree: Mutex::new(Tree::new(name.to_owned())),
            bells: Mutex::default(),
            failures: Default::default(),
            streams: Mutex::default(),
            refused: AtomicBool::new(false),
            asked: AtomicU64::new(0),
            served: tokio::sync::Mutex::new(0),
        }
    }

    fn is_shared(&self) -> bool {
        !self.streams().is_empty() && !self.refused.load(Ordering::Relaxed)
    }

    /// Returns the trigger key as it is known.
    fn key(&self, key: &str) -> Answer {
        Answer::Key(self.tree().key(key))
    }

    /// Returns what stands below the trigger key, to whoever has seen it at `index`.
    fn group(&self, binding: &Binding, index: u64) -> Answer {
        let mut group = binding.group(self.tree().below(binding.key()));
        group.index = group.index.max(index);
        Answer::Group(group)
    }

    /// Waits until there is news, or until the index falls, or the time is over.
    async fn wait(&self, key: &str, watch: Watch, until: Instant) -> Result<(), Failure> {
        let Some(bell) = self.bells().get(key).cloned() else {
            return Ok(());
        };
        let falls = self.tree().falls();
        let failed = self.failures(watch.source()).count;
        loop {
            let rung = bell.notified();
            tokio::pin!(rung);
            // From here on nothing is missed.
            rung.as_mut().enable();
            {
                let tree = self.tree();
                let news = match watch {
                    Watch::Key(_, index) => tree.key_at(key) > index,
                    Watch::Below(index) => tree.below_at(key) > index,
                };
                if news || tree.falls() != falls {
                    return Ok(());
                }
            }
            if let Some(failure) = self.failed_since(watch.source(), failed) {
                return Err(failure);
            }
            if timeout_at(until, rung).await.is_err() {
                return Ok(());
            }
        }
    }

    /// Has the raft leader list the folder, after this was called.
    async fn fresh(&self, client: &Client, timeout: Duration) -> Result<(), Failure> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let mut served = self.served.lock().await;
        if *served >= asked {
            return Ok(());
        }
        let all = self.asked.load(Ordering::Relaxed);
        let room = self.room();
        let listing = client
            .watch_folder(&self.name, 0, Consistency::Default, room, timeout)
            .await?;
        self.take(&listing, Source::Leader)?;
        *served = all;
        Ok(())
    }

    /// Returns whether it has news.
    fn take(&self, listing: &Listing, source: Source) -> Result<bool, Failure> {
        let entries = listing.entries()?;
        let taken = self.tree().take(listing.index, &entries, source);
        self.ring(&taken.changed);
        match taken.unreadable {
            Some(why) => Err(listing.absurd(&why)),
            None => Ok(!taken.changed.is_empty()),
        }
    }

    fn ring(&self, keys: &[String]) {
        let bells = self.bells();
        for bell in keys.iter().filter_map(|key| bells.get(key)) {
            bell.notify_waiters();
        }
    }

    fn fail(&self, source: Source, failure: Failure) {
        let mut failures = self.failures(source);
        failures.count += 1;
        failures.last = Some(failure);
        drop(failures);
        for bell in self.bells().values() {
            bell.notify_waiters();
        }
    }

    /// Returns the last failure, if it is not one of the first so many.
    fn failed_since(&self, source: Source, count: u64) -> Option<Failure> {
        let failures = self.failures(source);
        failures.last.clone().filter(|_| failures.count != count)
    }

    /// Waits a moment until what is known is as new as this. Returns whether it is.
    async fn shows(&self, index: u64) -> bool {
        for _ in 0..LOOKS {
            if self.tree().index() >= index {
                return true;
            }
            sleep(LOOK_PAUSE).await;
        }
        false
    }

    fn room(&self) -> usize {
        self.tree().groups() * ROOM
    }

    fn tree(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bells(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Notify>>> {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failures(&self, source: Source) -> MutexGuard<'_, Failures> {
        let [any, leader] = &self.failures;
        let failures = match source {
            Source::Any => any,
            Source::Leader => leader,
        };
        failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn streams(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything up to the last slash.
fn folder_of(key: &str) -> Option<&str> {
    key.rfind('/').map(|slash| &key[..=slash])
}
