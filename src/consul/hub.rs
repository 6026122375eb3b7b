//! Driver: the one way to Consul of all groups of a process.
//!
//! [`Hub`] carries out what [`Sharing`] makes of the calls of all groups. It has no task of its own: whoever asks
//! for something, or has an answer, sees to it that what is to be sent is sent, in a task that ends with the
//! answer. What is asked for before that task has its first turn travels together: all that is due at one instant.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::Either;
use tokio::sync::oneshot;

use super::folder::{Folders, Watch};
use crate::consul::binding::{Binding, change};
use crate::consul::client::Client;
use crate::consul::error;
use crate::consul::kv::Consistency;
use crate::consul::sharing::{Bond, Errand, Seat, Sharing, Ticket, What};
use crate::consul::txn::Shown;
use crate::driver::{Consul, clock};
use crate::election::call::{Answer, Call, Failure, KeyRead};
use crate::election::note::Before;

type Outcome = Result<Answer, Failure>;

/// What all groups of a process ask, and whom.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

struct Inner {
    client: Client,
    folders: Folders,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    sharing: Sharing,
    seats: BTreeMap<Seat, Arc<Binding>>,
    /// Whose sessions are made by which of them: the first of each kind.
    bonds: Vec<Arc<Binding>>,
    waiting: BTreeMap<Ticket, oneshot::Sender<Outcome>>,
    next_seat: u64,
    /// Those who ask no more. Some may have to leave a session yet.
    departed: Vec<Seat>,
    /// A task is about to look at what is to be sent.
    sending: bool,
}

/// One group's place in it. Dropped, the group asks no more.
pub struct GroupLine {
    hub: Hub,
    seat: Seat,
    binding: Arc<Binding>,
}

impl Hub {
    /// Prepares a hub without groups.
    pub fn new(client: Client) -> Self {
        Self(Arc::new(Inner {
            folders: Folders::new(client.clone()),
            client,
            state: Mutex::default(),
        }))
    }

    /// Takes in a group, with what the process before has left of it. Those that are there at the start are
    /// taken in before any of them asks for anything.
    pub fn enter(&self, mut binding: Binding, before: &Before) -> GroupLine {
        let mut state = self.state();
        state.next_seat += 1;
        let seat = Seat(state.next_seat);
        let same_key = |bond: &&Arc<Binding>| bond.key() == binding.key();
        let earlier = state.bonds.iter().filter(same_key).count();
        let alike = state
            .bonds
            .iter()
            .position(|bond| bond.bonds_with(&binding));
        if alike.is_none() {
            // A session that others go on with may be bound to the service of that name.
            binding.number_service(earlier);
        }
        let binding = Arc::new(binding);
        let bond = match alike {
            Some(bond) => {
                if let Some(first) = state.bonds.get(bond) {
                    first.speak_for(&binding);
                }
                bond
            }
            None => {
                state.bonds.push(Arc::clone(&binding));
                state.bonds.len() - 1
            }
        };
        let bond = Bond(u64::try_from(bond).unwrap_or(u64::MAX));
        state.sharing.enter(seat, bond, before);
        state.seats.insert(seat, Arc::clone(&binding));
        self.0.folders.enter(binding.key());
        drop(state);
        GroupLine {
            hub: self.clone(),
            seat,
            binding,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers those who can be answered, and has sent what is to be sent.
    fn go_on(&self, state: &mut State) {
        for (ticket, answer) in state.sharing.answers() {
            if let Some(waiting) = state.waiting.remove(&ticket) {
                // Whoever does not wait any more needs no answer.
                let _ = waiting.send(answer);
            }
        }
        let State {
            sharing,
            seats,
            departed,
            ..
        } = &mut *state;
        departed.retain(|seat| {
            let leaves = sharing.is_leaving(*seat);
            if !leaves {
                seats.remove(seat);
            }
            leaves
        });
        if !std::mem::replace(&mut state.sending, true) {
            let hub = self.clone();
            tokio::spawn(async move { hub.send() });
        }
    }

    fn send(&self) {
        let mut state = self.state();
        state.sending = false;
        while let Some(errand) = state.sharing.next_errand() {
            let hub = self.clone();
            let work = hub.work(&state, errand);
            tokio::spawn(work);
        }
    }

    /// Returns what carries an errand out, and takes in what came of it.
    fn work(self, state: &State, errand: Errand) -> impl Future<Output = ()> + Send + use<> {
        let binding = |seat: &Seat| state.seats.get(seat).cloned();
        let (count, work) = match errand.what {
            What::Read(seats) => {
                let groups: Option<_> = seats.iter().map(binding).collect();
                (seats.len(), groups.map(Work::Read))
            }
            What::Change(calls) => {
                let count = calls.len();
                let with = |(seat, call)| Some((binding(&seat)?, call));
                let calls: Option<_> = calls.into_iter().map(with).collect();
                (count, calls.map(Work::Change))
            }
            What::One(seat, call) => {
                let group = binding(&seat).map(|own| {
                    let first = state.bonds.iter().find(|bond| bond.bonds_with(&own));
                    // What belongs to the session is that group's whose bond was the first.
                    first.cloned().unwrap_or(own)
                });
                (1, group.map(|group| Work::One(group, call)))
            }
        };
        async move {
            let results = match work {
                Some(work) => work.carry_out(&self.0.client, errand.timeout).await,
                None => {
                    let gone = error::unavailable("ask consul", "the group has ended");
                    vec![Err(gone); count]
                }
            };
            let mut state = self.state();
            state.sharing.done(clock::now(), errand.id, results);
            self.go_on(&mut state);
        }
    }
}

enum Work {
    Read(Vec<Arc<Binding>>),
    Change(Vec<(Arc<Binding>, Call)>),
    One(Arc<Binding>, Call),
}

impl Work {
    async fn carry_out(self, client: &Client, timeout: Duration) -> Vec<Outcome> {
        match self {
            Self::Read(groups) => read(client, &groups, timeout).await,
            Self::Change(calls) => {
                let calls: Vec<(&Binding, &Call)> = calls
                    .iter()
                    .map(|(binding, call)| (&**binding, call))
                    .collect();
                change::carry_out(client, &calls, timeout).await
            }
            Self::One(binding, call) => vec![binding.call(call, timeout).await],
        }
    }
}

/// Reads the trigger keys of these groups, each as if it were alone.
async fn read(client: &Client, groups: &[Arc<Binding>], timeout: Duration) -> Vec<Outcome> {
    let alone = |group: Arc<Binding>| async move {
        let read = client
            .read(group.key(), Consistency::Consistent, timeout)
            .await;
        read.map(Answer::Key)
    };
    if let [group] = groups {
        return vec![alone(Arc::clone(group)).await];
    }
    let keys: Vec<&str> = groups.iter().map(|group| group.key()).collect();
    match client.read_together(&keys, timeout).await {
        Ok(found) => {
            let mut results = Vec::new();
            for (group, shown) in groups.iter().zip(found) {
                results.push(match shown {
                    // As a read of this key alone says it.
                    Shown::Key(entry) => Ok(Answer::Key(KeyRead {
                        index: entry.modify_index,
                        entry: Some(entry),
                    })),
                    // The index is not said. A watch from the first on looks once more than it need.
                    Shown::Missing => Ok(Answer::Key(KeyRead {
                        index: 1,
                        entry: None,
                    })),
                    // Consul says why.
                    Shown::Hidden => alone(Arc::clone(group)).await,
                });
            }
            results
        }
        Err(failure) => groups.iter().map(|_| Err(failure.clone())).collect(),
    }
}

impl Consul for GroupLine {
    fn call(&self, call: Call, timeout: Duration) -> impl Future<Output = Outcome> + Send {
        match Watch::of(&call) {
            // Each group has three of them at any time: no room for anything else.
            Some(watch) => Either::Left(self.hub.0.folders.watch(&self.binding, watch, timeout)),
            None => Either::Right(self.ask(call, timeout).boxed()),
        }
    }
}

impl GroupLine {
    async fn ask(&self, call: Call, timeout: Duration) -> Outcome {
        let what = call.to_string();
        let (answer, answered) = oneshot::channel();
        let ticket = {
            let mut state = self.hub.state();
            let ticket = state.sharing.ask(clock::now(), self.seat, call, timeout);
            state.waiting.insert(ticket, answer);
            self.hub.go_on(&mut state);
            ticket
        };
        let _forgets = Forgets {
            hub: &self.hub,
            ticket,
        };
        let lost = |_| Err(error::unavailable(&what, "the request was given up"));
        answered.await.unwrap_or_else(lost)
    }
}

impl Drop for GroupLine {
    fn drop(&mut self) {
        let mut state = self.hub.state();
        let first = state
            .bonds
            .iter()
            .find(|bond| bond.bonds_with(&self.binding));
        if let Some(first) = first {
            first.speak_no_more_for(&self.binding);
        }
        state.sharing.depart(self.seat);
        state.departed.push(self.seat);
        self.hub.0.folders.depart(self.binding.key());
    }
}

/// Nobody waits for the answer any more, where the one who did is dropped.
struct Forgets<'a> {
    hub: &'a Hub,
    ticket: Ticket,
}

impl Drop for Forgets<'_> {
    fn drop(&mut self) {
        let mut state = self.hub.state();
        if state.waiting.remove(&self.ticket).is_some() {
            state.sharing.forget(self.ticket);
        }
    }
}
