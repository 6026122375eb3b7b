//! Applier: tells systemd how the service is, by the protocol of sd_notify(3).
//!
//! Started by anything else it says nothing. What is said is bounded in time, because the election
//! waits meanwhile, and may be lost; only a lost word of life has a consequence, and it is said twice as
//! often as it must be.

mod line;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use nix::time::{ClockId, clock_gettime};
use tokio::sync::watch;
use tracing::{debug, warn};

use crate::driver::clock;
use crate::election::time::Timestamp;
use crate::status::board::{Board, Seats};
use crate::status::snapshot::{PULSE, Snapshot};
use crate::status::{GroupReport, Role};

/// What one message may take. The queue of process 1 is emptied in microseconds, or not at all.
const PATIENCE: Duration = Duration::from_millis(50);

/// The line of the status changes no sooner than that.
const STATUS_PAUSE: Duration = Duration::from_secs(1);

/// What systemd can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word<'a> {
    /// The service is up, or has reloaded its configuration.
    Ready,
    /// It reloads its configuration since then (`CLOCK_MONOTONIC`).
    Reloading(Duration),
    /// It is going to end.
    Stopping,
    /// It lives, as far as the watchdog wants to know.
    Alive,
    /// A line for `systemctl status`.
    Status(&'a str),
}

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("READY=1"),
            Self::Reloading(since) => {
                write!(f, "RELOADING=1\nMONOTONIC_USEC={}", since.as_micros())
            }
            Self::Stopping => f.write_str("STOPPING=1"),
            Self::Alive => f.write_str("WATCHDOG=1"),
            // A second line would be another word.
            Self::Status(line) => write!(f, "STATUS={}", line.replace('\n', " ")),
        }
    }
}

/// The way to the service manager; clones share it.
#[derive(Clone, Debug)]
pub struct Systemd {
    socket: Option<Arc<UnixDatagram>>,
    watchdog: Option<Duration>,
}

impl Systemd {
    /// Looks for a service manager in `$NOTIFY_SOCKET`, and for its watchdog in `$WATCHDOG_USEC` and
    /// `$WATCHDOG_PID`, which may speak of another process.
    ///
    /// A socket that cannot be used is worth a warning: systemd will take the service for one that never
    /// came up.
    pub fn find(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let address = variable("NOTIFY_SOCKET").filter(|address| !address.is_empty());
        let socket = address.and_then(|address| {
            connect(&address)
                .inspect_err(|error| {
                    warn!(
                        socket = %address.display(),
                        %error,
                        "systemd cannot be told that this service is up, and will end it; use Type=simple \
                         without WatchdogSec= where its socket is out of reach"
                    );
                })
                .ok()
        });
        let number = |name: &str| variable(name)?.to_str()?.parse::<u64>().ok();
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let interval = number("WATCHDOG_USEC").filter(|interval| ours && *interval > 0);
        Self {
            watchdog: interval
                .map(Duration::from_micros)
                .filter(|_| socket.is_some()),
            socket: socket.map(Arc::new),
        }
    }

    /// Returns whether anybody listens.
    pub fn is_there(&self) -> bool {
        self.socket.is_some()
    }

    /// Says a word, if anybody listens.
    pub fn tell(&self, word: &Word<'_>) {
        let Some(socket) = &self.socket else { return };
        if let Err(error) = socket.send(word.to_string().as_bytes()) {
            debug!(%error, ?word, "systemd could not be told");
        }
    }

    /// Says that a reload begins.
    pub fn reloading(&self) {
        // There is one as long as there is Linux; were it to fail, systemd would overlook the reload.
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
        self.tell(&Word::Reloading(now));
    }

    /// Keeps the line of `systemctl status` up to date. Cancel safe; returns only where nobody listens.
    pub async fn show(self, board: Board) {
        if !self.is_there() {
            return;
        }
        let mut seats = board.groups();
        let mut groups = seats.borrow_and_update().clone();
        let mut shown = String::new();
        loop {
            tokio::select! {
                () = news(&mut groups) => {}
                () = others(&mut seats) => groups = seats.borrow_and_update().clone(),
            }
            let now = clock::now();
            let known = groups.iter_mut();
            let reports: Vec<GroupReport> = known
                .map(|group| group.borrow_and_update().report(now))
                .collect();
            let line = line::line(&reports);
            if line != shown {
                self.tell(&Word::Status(&line));
                shown = line;
            }
            tokio::time::sleep(STATUS_PAUSE).await;
        }
    }

    /// Feeds the watchdog, at half of the interval that it allows, for as long as the loop of each group
    /// turns that has not ended. Cancel safe; returns only where there is no watchdog.
    pub async fn feed(self, board: Board) {
        let Some(interval) = self.watchdog else {
            return;
        };
        let seats = board.groups();
        loop {
            let groups = seats.borrow().clone();
            let before: Vec<Timestamp> = groups.iter().map(turned_at).collect();
            tokio::time::sleep(interval / 2).await;
            let mut since = groups.iter().zip(before);
            if since.all(|(group, before)| turns(group, before, clock::now())) {
                self.tell(&Word::Alive);
            } else {
                warn!(
                    "a group stands still, and systemd is not told that this service lives: it starts another \
                     process when WatchdogSec= is over; should that happen again, look for what keeps this one from \
                     running: processor, memory, disk"
                );
            }
        }
    }
}

/// Waits until something is known of a group that its reader has not seen; for ever, where there is none.
async fn news(groups: &mut [watch::Receiver<Snapshot>]) {
    let waiting = groups.iter_mut().map(|group| async {
        // One that has ended has no more to say.
        if group.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    });
    let mut waiting = waiting.collect::<FuturesUnordered<_>>();
    if waiting.next().await.is_none() {
        std::future::pending().await
    }
}

/// Waits until there are other groups; for ever, where nobody is left to name them.
async fn others(seats: &mut watch::Receiver<Seats>) {
    if seats.changed().await.is_err() {
        std::future::pending().await
    }
}

fn turned_at(group: &watch::Receiver<Snapshot>) -> Timestamp {
    group.borrow().turned_at
}

/// Whether a group's loop has turned since `before`, or its next turn is not due yet. One that takes no part
/// needs no watching.
fn turns(group: &watch::Receiver<Snapshot>, before: Timestamp, now: Timestamp) -> bool {
    if group.has_changed().is_err() {
        return true;
    }
    let seen = group.borrow();
    let last = seen.turned_at;
    seen.role == Role::Stopped || last > before || now < last + 2 * PULSE
}

fn connect(address: &OsStr) -> io::Result<UnixDatagram> {
    let bytes = address.as_bytes();
    let address = match bytes.split_first() {
        Some((b'@', name)) => SocketAddr::from_abstract_name(name)?,
        Some((b'/', _)) => SocketAddr::from_pathname(address)?,
        Some(_) | None => {
            return Err(io::Error::other(
                "it is neither a path nor an abstract name",
            ));
        }
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}
