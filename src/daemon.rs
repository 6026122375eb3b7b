//! Wires the parts of a running daemon together, and takes them down in order.

mod claims;
mod common;
mod descriptors;
mod groups;
mod keeper;
mod member;
mod neighbours;
mod reload;

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use self::claims::Claims;
use self::common::Common;
pub(crate) use self::common::terms;
use self::groups::Groups;
use self::keeper::Failing;
use self::neighbours::Neighbours;
use self::reload::Reloading;
pub use self::reload::Reread;
use crate::config::{Config, KernelLease};
use crate::consul::{BuildError, Client, Hub, token};
use crate::driver::clock::BootClock;
use crate::election::health::Health;
use crate::health;
use crate::logging::{Chain, Logging};
use crate::privileges;
use crate::runtime::RuntimeDirectory;
use crate::runtime::lock;
use crate::status::board::{Board, Seats};
use crate::status::serve;
use crate::systemd::{Systemd, Word};
use crate::vip::hands::Hands;
use crate::vip::kernel::marks_addresses;

/// How long a stop may take before the process leaves without it. The kernel ends the address and
/// Consul the session by themselves then.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the daemon could not start, or ended by itself.
#[derive(Debug, Error)]
pub enum Error {
    /// The client could not be made from the configuration.
    #[error("preparing the connection to consul")]
    Client(#[from] BuildError),
    /// No netlink socket, or no packet socket.
    #[error("opening the connection to the kernel's addresses")]
    Netlink(#[source] vip_netlink::Error),
    /// No timer, no signal handler, no runtime.
    #[error("preparing {what}")]
    Setup {
        /// What could not be prepared.
        what: &'static str,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// A second process for a group.
    #[error(transparent)]
    AlreadyRunning(lock::Error),
    /// Without a mark nobody would know an address without a lifetime as ours.
    #[error(
        "--kernel-lease=off needs Linux 5.18 or later, which marks addresses as vip-elector's own; leave \
         it out, or write auto"
    )]
    Unmarked,
    /// A group's key belongs to somebody else; everything else was given up in order.
    #[error("{0}")]
    NotALock(String),
    /// A task ended that never should, or the kernel cannot be looked at.
    #[error("the election of {0} ended by itself; this is a bug in vip-elector, please report it")]
    Crashed(String),
    /// The stop took too long, or a second signal came.
    #[error(
        "left without giving the lock up; it is free when the session's ttl and lock-delay are over"
    )]
    LeftAtOnce,
}

/// Runs until a signal stops it. Another one, SIGHUP, has it read the configuration again.
///
/// # Errors
///
/// When it cannot start, or ends before it was asked to.
pub fn run(config: Config, reread: Reread, logging: Logging) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_start(renounce)
        .build()
        .map_err(setup("the runtime"))?;
    let repeats = logging.repeats().clone();
    let ended = runtime.block_on(supervise(config, reread, logging));
    repeats.tell_all();
    // A name that is still being resolved is not waited for.
    runtime.shutdown_background();
    ended
}

/// The threads beside the main one resolve names, read files and start health commands; none of that takes a
/// capability.
fn renounce() {
    if let Err(error) = privileges::renounce() {
        error!(
            error = %Chain(&error),
            "a thread keeps capabilities that it does not need, going on; let this process call capset(2)"
        );
    }
}

async fn supervise(config: Config, reread: Reread, logging: Logging) -> Result<(), Error> {
    let mut signals = Signals::open().map_err(setup("signal handlers"))?;
    let hangup = signal(SignalKind::hangup()).map_err(setup("signal handlers"))?;
    let unlimited = config.manage_vip && config.kernel_lease == KernelLease::Off;
    if unlimited && !marks_addresses() {
        return Err(Error::Unmarked);
    }
    descriptors::raise();
    let systemd = Systemd::find(|name| std::env::var_os(name));
    let variable = std::env::var("RUNTIME_DIRECTORY").ok();
    let client = Client::new(&config.access)?;
    let (told, health) = watch::channel(Health::Unknown);
    let (hooks, told_to) = watch::channel(config.hooks.clone());
    let (seats, seated) = watch::channel(Seats::default());
    let board = Board::new(SystemTime::now(), seated);
    // Ended with this function, or before.
    let mut beside = JoinSet::new();
    let neighbours = Neighbours::open(&config).await;
    if let Some(delivering) = neighbours.deliver() {
        beside.spawn(delivering);
    }
    let common = Common {
        config: config.clone(),
        directory: RuntimeDirectory::of(variable.as_deref()),
        client: client.clone(),
        hub: Hub::new(client.clone()),
        process: member::random(),
        hands: match config.manage_vip {
            true => Some(Arc::new(
                Hands::open(config.conduct).map_err(Error::Netlink)?,
            )),
            false => None,
        },
        clock: BootClock::open().map_err(setup("a timer"))?,
        neighbours,
        health,
        hooks: told_to,
        claims: Claims::new(),
        board: board.clone(),
    };
    let (name, failing) = match (config.groups.as_slice(), &config.directory) {
        ([group], None) => (group.name().to_owned(), Failing::EndsTheProcess),
        (_, _) => ("all".to_owned(), Failing::IsTriedAgain),
    };
    let mut groups = Groups::new(Arc::new(common), failing, seats);
    groups.take(&config.groups).await?;
    let (health, sources) = watch::channel(health::Sources::of(&config));
    let asked = client.clone();
    beside.spawn(async move { health::run(&name, sources, asked, told).await });
    beside.spawn(token::follow(client.clone()));
    beside.spawn(logging.repeats().clone().run());
    beside.spawn(systemd.clone().show(board.clone()));
    beside.spawn(systemd.clone().feed(board.clone()));
    let (listen, listened) = watch::channel(config.listen);
    beside.spawn(serve::serve_tcp(listened, board));
    let (wanted, mut newest) = watch::channel(config.groups.clone());
    let reloading = Reloading {
        reread,
        in_force: config,
        client,
        groups: wanted,
        health,
        hooks,
        listen,
        logging,
        systemd: systemd.clone(),
    };
    beside.spawn(reloading.run(hangup));
    systemd.tell(&Word::Ready);
    let mut ended = Ok(());
    let (stop, stopping) = watch::channel(false);
    let too_long = too_long(stopping);
    tokio::pin!(too_long);
    loop {
        let is_stopping = *stop.borrow();
        tokio::select! {
            done = groups.ended(), if is_stopping || groups.are_there() => {
                let went_on = match done {
                    Some(Ok(name)) => groups.has_left(&name).await,
                    Some(Err(error)) => Err(error),
                    None => break,
                };
                ended = went_on.and(ended);
            }
            Ok(()) = newest.changed(), if !is_stopping => {
                let wanted = newest.borrow_and_update().clone();
                ended = groups.take(&wanted).await;
            }
            name = signals.next() => {
                if is_stopping {
                    return Err(Error::LeftAtOnce);
                }
                info!(signal = name, "stopping");
                systemd.tell(&Word::Stopping);
                groups.stop();
                stop.send_replace(true);
            }
            () = &mut too_long => return Err(Error::LeftAtOnce),
        }
        if ended.is_err() {
            groups.stop();
            stop.send_replace(true);
        }
    }
    // Lock and address are given up. Each hook has its timeout.
    tokio::select! {
        () = groups.last_words() => {}
        name = signals.next() => warn!(
            signal = name,
            "told twice to stop, left before the last hook was done; run its command by hand, or set a shorter \
             --hook-timeout"
        ),
    }
    ended
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn open() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Returns when a stop has been under way for too long.
async fn too_long(mut stopping: watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stopping| *stopping).await;
    tokio::time::sleep(STOP_TIMEOUT).await;
    error!(
        "stopping takes too long, and is cut short; see above whether consul or the kernel did not answer"
    );
}

fn setup(what: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| Error::Setup { what, source }
}
