//! Driver: the open reads of a folder.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep};

use super::tree::Source;
use super::{Folder, POLL_PAUSE};
use crate::consul::binding::WATCH_TIMEOUT;
use crate::consul::client::Client;
use crate::consul::kv::Consistency;
use crate::election::call::{Failure, FailureKind};

/// An open read that returns without news is not made again before this has passed.
const PACE: Duration = Duration::from_millis(200);

/// One that returns with news is made again after this: first what the news asks for.
const GIVES_WAY: Duration = Duration::from_millis(10);

/// How long one with news waits for each KiB of it: Consul writes all of them each time.
const PER_KIB: Duration = Duration::from_micros(80);

/// After a failure.
const PAUSE: Duration = Duration::from_millis(500);

/// An open read of a folder, made again and again until it is aborted.
pub(super) struct Stream {
    pub(super) client: Client,
    pub(super) folder: Arc<Folder>,
    pub(super) source: Source,
    pub(super) open: Arc<Semaphore>,
    pub(super) polls: Arc<Semaphore>,
}

/// Where a read is made: held open, or in its turn.
struct Place {
    room: Option<OwnedSemaphorePermit>,
    turn: Option<OwnedSemaphorePermit>,
}

impl Stream {
    pub(super) async fn run(self) {
        let mut index = 0;
        loop {
            let begun = Instant::now();
            let read = match self.source {
                Source::Any => self.list(&mut index, begun).await,
                Source::Leader => self.compare(&mut index, begun).await,
            };
            let pause = match read {
                Ok(pause) => pause,
                Err(failure) => {
                    let denied = failure.kind == FailureKind::Denied;
                    self.folder.fail(self.source, failure);
                    if denied {
                        self.folder.refused.store(true, Ordering::Relaxed);
                        return;
                    }
                    PAUSE
                }
            };
            sleep(pause).await;
        }
    }

    /// Lists the folder when it is newer than what is known. Returns the pause until the next time.
    async fn list(&self, index: &mut u64, begun: Instant) -> Result<Duration, Failure> {
        let place = self.place().await;
        // What the raft leader has shown is no news.
        let waits_on = place.waits_on((*index).max(self.folder.tree().index()));
        let listing = self
            .client
            .watch_folder(
                &self.folder.name,
                waits_on,
                Consistency::Stale,
                self.folder.room(),
                WATCH_TIMEOUT,
            )
            .await?;
        drop(place.turn);
        let answered = Instant::now();
        *index = listing.index;
        let news = self.folder.take(&listing, Source::Any)?;
        let length = u32::try_from(listing.length() / 1024).unwrap_or(u32::MAX);
        // Never more than a part of the time, ours and Consul's, for what many groups make long.
        let gives_way = GIVES_WAY.max(answered.elapsed() * 2).max(PER_KIB * length);
        Ok(match (place.room, news) {
            (Some(_), true) => gives_way,
            (Some(_), false) => gives_way.max(PACE.saturating_sub(begun.elapsed())),
            (None, _) => POLL_PAUSE,
        })
    }

    /// Has the raft leader say when the folder changes, and list it where nobody else shows that soon. Returns the
    /// pause until the next time.
    async fn compare(&self, index: &mut u64, begun: Instant) -> Result<Duration, Failure> {
        let place = self.place().await;
        let (name, room) = (&self.folder.name, self.folder.room());
        let said = self
            .client
            .watch_names(
                name,
                place.waits_on(*index),
                Consistency::Default,
                room,
                WATCH_TIMEOUT,
            )
            .await?;
        drop(place.turn);
        let fell = said < std::mem::replace(index, said);
        if fell || !self.folder.shows(said).await {
            let listing = self
                .client
                .watch_folder(name, 0, Consistency::Default, room, WATCH_TIMEOUT)
                .await?;
            self.folder.take(&listing, Source::Leader)?;
        }
        Ok(match place.room {
            Some(_) => PACE.saturating_sub(begun.elapsed()).max(GIVES_WAY),
            None => POLL_PAUSE,
        })
    }

    async fn place(&self) -> Place {
        match Arc::clone(&self.open).try_acquire_owned() {
            Ok(room) => Place {
                room: Some(room),
                turn: None,
            },
            Err(_) => Place {
                room: None,
                turn: Arc::clone(&self.polls).acquire_owned().await.ok(),
            },
        }
    }
}

impl Place {
    /// The index to wait on: a read that is not held open waits on none.
    fn waits_on(&self, index: u64) -> u64 {
        match self.room {
            Some(_) => index,
            None => 0,
        }
    }
}
