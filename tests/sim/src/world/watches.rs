//! Pure: blocking reads, of the trigger key and of what stands below it.

use std::rc::Rc;
use std::time::Duration;

use vip_elector::election::call::{Answer, Call};

use super::{Event, World};
use crate::group;
use crate::raft::{SERVERS, Watch};
use crate::request::{KEY, Request};
use crate::store::Store;

/// How long a server may hold a blocking read open.
const WATCH_WAIT: Duration = Duration::from_secs(10);

impl World<'_> {
    /// A blocking read, which any server answers from what it knows.
    pub(super) fn watch(&mut self, request: Rc<Request>, index: u64) {
        let node = request.host;
        let near = (node < SERVERS).then_some(node);
        let server = near.or_else(|| {
            let first = self.draw.usize(..SERVERS);
            (first..first + SERVERS)
                .map(|server| server % SERVERS)
                .find(|server| self.nodes[*server].down == 0 && self.network.joined(node, *server))
        });
        let Some(server) = server else {
            self.bound(&request);
            return;
        };
        self.watch_at(server, request, index);
    }

    /// A blocking read of a certain server.
    pub(super) fn watch_at(&mut self, server: usize, request: Rc<Request>, index: u64) {
        let store = &self.cluster.servers[server].store;
        if index_of(store, &request.call) > index {
            let answer = read(store, &request.call);
            self.answer(server, &request, Ok(answer), Duration::ZERO);
            return;
        }
        self.bound(&request);
        let wait = WATCH_WAIT + WATCH_WAIT.mul_f64(self.draw.f64() / 16.0);
        let over = Rc::clone(&request);
        self.cluster.servers[server]
            .watches
            .push(Watch { request, index });
        let event = Event::WatchOver {
            server,
            request: over,
        };
        self.after(wait, event);
    }

    /// A blocking read has waited for its time: it is answered without news.
    pub(super) fn watch_over(&mut self, server: usize, request: &Rc<Request>) {
        if self.nodes[server].down > 0 || self.nodes[server].frozen > 0 {
            return;
        }
        let watches = &mut self.cluster.servers[server].watches;
        let before = watches.len();
        watches.retain(|watch| !Rc::ptr_eq(&watch.request, request));
        if watches.len() < before {
            let answer = read(&self.cluster.servers[server].store, &request.call);
            self.answer(server, request, Ok(answer), Duration::ZERO);
        }
    }

    /// Answers the blocking reads for which there is news; with `all`, the others too.
    pub(super) fn wake_watches(&mut self, server: usize, all: bool) {
        let it = &mut self.cluster.servers[server];
        if it.watches.is_empty() {
            return;
        }
        let (news, waiting): (Vec<Watch>, Vec<Watch>) = std::mem::take(&mut it.watches)
            .into_iter()
            .partition(|watch| all || index_of(&it.store, &watch.request.call) > watch.index);
        it.watches = waiting;
        for watch in news {
            let answer = read(&self.cluster.servers[server].store, &watch.request.call);
            self.answer(server, &watch.request, Ok(answer), Duration::ZERO);
        }
    }
}

fn is_group(call: &Call) -> bool {
    matches!(call, Call::WatchGroup { .. })
}

fn index_of(store: &Store, watch: &Call) -> u64 {
    if is_group(watch) {
        store.index_below(&group::prefix(KEY))
    } else {
        store.index_at(KEY)
    }
}

fn read(store: &Store, watch: &Call) -> Answer {
    if is_group(watch) {
        Answer::Group(group::read(KEY, &store.list(&group::prefix(KEY))))
    } else {
        Answer::Key(store.read(KEY))
    }
}
