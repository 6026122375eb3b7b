//! The letterboxes of the groups that have one secret, and what goes into which.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use crate::election::call::SessionId;
use crate::election::peer::{Datagram, GroupId, Message};
use crate::election::time::Timestamp;
use crate::peers::wire::Key;

/// How many datagrams a letterbox holds. A fuller one loses the oldest, which say least.
pub(super) const ROOM: usize = 64;

/// How many leaders are listened to for the groups of one secret.
const LEADERS: usize = 64;

/// The letterboxes of one secret.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) key: Key,
    /// By groups that hear and say everything together.
    pub(super) shared: bool,
    pub(super) letterboxes: Vec<Weak<Inside>>,
    /// The newest heartbeat of each leader.
    pub(super) beats: Arc<Mutex<BTreeMap<SessionId, Beat>>>,
}

#[derive(Debug)]
pub(super) struct Beat {
    pub(super) came_at: Timestamp,
    pub(super) said: Datagram,
    /// When the groups were last woken for one.
    pub(super) rung_at: Timestamp,
}

/// What is in a letterbox.
#[derive(Debug, Default)]
pub(super) struct Inside {
    /// Of the groups with this secret, where there are several.
    pub(super) group: Option<GroupId>,
    pub(super) queue: Mutex<VecDeque<(Timestamp, Datagram)>>,
    pub(super) bell: Notify,
    /// The leader that the group listens to.
    pub(super) listens_to: Mutex<Option<SessionId>>,
    /// Its own last question, about which leader.
    pub(super) asked: Mutex<Option<(SessionId, u64)>>,
}

impl Slot {
    /// Returns how many had to make room.
    pub(super) fn put(&mut self, now: Timestamp, datagram: Datagram) -> u64 {
        if !self.shared {
            let put = |inside: Arc<Inside>| inside.put(now, datagram.clone());
            return self.open().map(put).sum();
        }
        match datagram.message {
            Message::Heartbeat { .. } => {
                if self.beat(now, datagram) {
                    self.open().for_each(|inside| inside.bell.notify_one());
                }
                0
            }
            Message::Question => {
                let listens = |inside: &Arc<Inside>| {
                    lock(&inside.listens_to).as_ref() == Some(&datagram.leader)
                };
                let put = |inside: Arc<Inside>| inside.put(now, datagram.clone());
                self.open().filter(listens).map(put).sum()
            }
            Message::Given { group } => {
                let one = self.open().find(|inside| inside.group == Some(group));
                one.map_or(0, |inside| inside.put(now, datagram))
            }
            Message::Heard { ago, .. } => self
                .open()
                .map(|inside| inside.answer(now, &datagram, ago))
                .sum(),
        }
    }

    pub(super) fn open(&self) -> impl Iterator<Item = Arc<Inside>> {
        self.letterboxes.iter().filter_map(Weak::upgrade)
    }

    /// Keeps the newest. Returns whether the groups are to be woken for it.
    fn beat(&mut self, now: Timestamp, said: Datagram) -> bool {
        let Message::Heartbeat { patience } = said.message else {
            return false;
        };
        let mut beats = lock(&self.beats);
        let Some(beat) = beats.get_mut(&said.leader) else {
            let long_silent = |beat: &Beat| now.since(beat.came_at) > Duration::from_secs(60);
            beats.retain(|_, beat| !long_silent(beat));
            if beats.len() < LEADERS {
                let beat = Beat {
                    came_at: now,
                    said: said.clone(),
                    rung_at: now,
                };
                beats.insert(said.leader, beat);
            }
            return true;
        };
        if said.sequence <= beat.said.sequence {
            return false;
        }
        beat.came_at = now;
        beat.said = said;
        let wakes = now.since(beat.rung_at) >= patience / 2;
        if wakes {
            beat.rung_at = now;
        }
        wakes
    }
}

impl Inside {
    /// Returns how many had to make room.
    pub(super) fn put(&self, now: Timestamp, datagram: Datagram) -> u64 {
        let mut queue = self.queue();
        let full = queue.len() >= ROOM;
        if full {
            queue.pop_front();
        }
        queue.push_back((now, datagram));
        drop(queue);
        self.bell.notify_one();
        u64::from(full)
    }

    /// Takes in what was answered to a question that may have been another group's, if this one has it too.
    pub(super) fn answer(&self, now: Timestamp, datagram: &Datagram, ago: Duration) -> u64 {
        let asked = lock(&self.asked).clone();
        let Some((_, question)) = asked.filter(|(leader, _)| *leader == datagram.leader) else {
            return 0;
        };
        let message = Message::Heard { question, ago };
        let own = Datagram {
            message,
            ..datagram.clone()
        };
        self.put(now, own)
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, VecDeque<(Timestamp, Datagram)>> {
        lock(&self.queue)
    }
}

pub(super) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
