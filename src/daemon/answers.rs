//! Wires those who answer questions about the daemon. Where one cannot be had, the daemon goes on without.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::warn;

use crate::config::{Config, Group};
use crate::driver::clock;
use crate::election::lease::Terms;
use crate::runtime::RuntimeDirectory;
use crate::status::board::Board;
use crate::status::counters::{Deeds, HookRuns};
use crate::status::serve::{self, Socket};
use crate::status::snapshot::{About, Snapshot};

/// What is known of the groups, and where it is asked for.
pub(super) struct Answers {
    started_at: SystemTime,
    groups: Vec<watch::Receiver<Snapshot>>,
    sockets: Vec<Socket>,
}

impl Answers {
    pub(super) fn new() -> Self {
        Self {
            started_at: SystemTime::now(),
            groups: Vec::new(),
            sockets: Vec::new(),
        }
    }

    /// Returns where its driver says how it is.
    pub(super) fn of(
        &mut self,
        config: &Config,
        group: &Group,
        terms: Terms,
    ) -> watch::Sender<Snapshot> {
        let about = About {
            group: group.name().to_owned(),
            value: group.trigger_value.clone(),
            priority: config.priority,
            terms,
            vip: group.vip.clone(),
            deeds: Arc::new(Deeds::default()),
            hooks: Arc::new(HookRuns::default()),
        };
        let begun = Snapshot::new(about, self.started_at, clock::now());
        let (told, seen) = watch::channel(begun);
        self.groups.push(seen);
        told
    }

    /// Returns what is known of the groups.
    pub(super) fn groups(&self) -> Vec<watch::Receiver<Snapshot>> {
        self.groups.clone()
    }

    /// Opens the socket of a group that this process is the only one of.
    pub(super) fn open(&mut self, directory: &RuntimeDirectory, group: &str) {
        let path = directory.socket(group);
        match Socket::bind(&path) {
            Ok(socket) => self.sockets.push(socket),
            Err(error) => warn!(
                group,
                path = %path.display(),
                %error,
                "nobody on this host can ask how this daemon is; make the directory writable, or set \
                 RUNTIME_DIRECTORY"
            ),
        }
    }

    /// Begins to answer, over TCP at the newest address.
    pub(super) fn begin(
        self,
        tasks: &mut JoinSet<()>,
        listen: watch::Receiver<Option<SocketAddr>>,
    ) {
        let board = Board::new(self.started_at, self.groups);
        for socket in self.sockets {
            tasks.spawn(socket.serve(board.clone()));
        }
        tasks.spawn(serve::serve_tcp(listen, board));
    }
}
