//! Wires the parts of a running daemon together, and takes them down in order.

mod answers;
mod member;
mod neighbours;
mod reload;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use self::answers::Answers;
use self::member::Member;
use self::neighbours::Neighbours;
use self::reload::Reloading;
pub use self::reload::Reread;
use crate::config::{CheckMode, Config, Group, KernelLease, Session};
use crate::consul::{self, Binding, BuildError, Client, token};
use crate::election::health::Health;
use crate::election::lease::Terms;
use crate::election::machine::Options;
use crate::health;
use crate::hooks;
use crate::logging::{Chain, Logging};
use crate::privileges;
use crate::runtime::RuntimeDirectory;
use crate::runtime::address::AddressFile;
use crate::runtime::lock::{self, GroupLock};
use crate::runtime::session::SessionFile;
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
    /// A task ended that never should.
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
pub fn run(config: &Config, reread: Reread, logging: Logging) -> Result<(), Error> {
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

async fn supervise(config: &Config, reread: Reread, logging: Logging) -> Result<(), Error> {
    let mut signals = Signals::open().map_err(setup("signal handlers"))?;
    let hangup = signal(SignalKind::hangup()).map_err(setup("signal handlers"))?;
    let unlimited = config.manage_vip && config.kernel_lease == KernelLease::Off;
    if unlimited && !marks_addresses() {
        return Err(Error::Unmarked);
    }
    let systemd = Systemd::find(|name| std::env::var_os(name));
    let variable = std::env::var("RUNTIME_DIRECTORY").ok();
    let directory = RuntimeDirectory::of(variable.as_deref());
    let locks = config
        .groups
        .iter()
        .map(|group| lock_group(&directory, group.name()))
        .collect::<Result<Vec<_>, _>>()?;
    let client = Client::new(&config.access)?;
    let hands = match config.manage_vip {
        true => Some(Arc::new(
            Hands::open(config.conduct).map_err(Error::Netlink)?,
        )),
        false => None,
    };
    let mut neighbours = Neighbours::open(config).await;
    let (told, health) = watch::channel(Health::Unknown);
    let (stop, stopping) = watch::channel(false);
    let (hooks, told_to) = watch::channel(config.hooks.clone());
    let mut answers = Answers::new();
    let mut groups = JoinSet::new();
    let mut hooking = JoinSet::new();
    for (group, lock) in config.groups.iter().zip(locks) {
        let netlink = hands.as_ref().map(|hands| &*hands.netlink);
        let (contact, peers) = neighbours.of(group, netlink).await;
        let bound = config.session.check_mode == CheckMode::Session;
        if lock.is_some() {
            answers.open(&directory, group.name());
        }
        let told = answers.of(config, group, terms(config));
        let seen = told.subscribe();
        hooking.spawn(hooks::tell(told_to.clone(), told.subscribe()));
        let member = Member {
            group: group.clone(),
            terms: terms(config),
            options: options(config),
            peers,
            health: health.clone(),
            consul: Binding::new(
                client.clone(),
                consul::Terms {
                    key: group.trigger_key.clone(),
                    value: group.trigger_value.clone(),
                    ttl: config.session.ttl,
                    lock_delay: config.session.lock_delay,
                    check_id: config.session.check_id.clone().filter(|_| bound),
                    priority: config.priority,
                    contact,
                    liveness_ttl: config.liveness_ttl,
                },
            )
            .saying(move || seen.borrow().word()),
            memory: match &lock {
                Some(_) => Some(session_file(config, group, &directory)?),
                None => None,
            },
            address_file: AddressFile::of(&directory, group.name()),
            hands: hands.clone(),
            stopping: stopping.clone(),
            told,
        };
        info!(
            group = group.name(),
            value = group.trigger_value,
            check_id = config.session.check_id,
            ttl = ?config.session.ttl,
            lock_delay = ?config.session.lock_delay,
            manage_vip = config.manage_vip,
            "taking part in the election"
        );
        groups.spawn(async move {
            let _alone = lock;
            member.run().await
        });
    }
    drop(health);
    // Ended with this function, or before.
    let mut beside = JoinSet::new();
    if let Some(delivering) = neighbours.deliver() {
        beside.spawn(delivering);
    }
    let name = match config.groups.as_slice() {
        [group] => group.name().to_owned(),
        _ => "all".to_owned(),
    };
    let (health, sources) = watch::channel(health::Sources::of(config));
    let asked = client.clone();
    beside.spawn(async move { health::run(&name, sources, asked, told).await });
    beside.spawn(token::follow(client.clone()));
    beside.spawn(logging.repeats().clone().run());
    beside.spawn(systemd.clone().show(answers.groups()));
    beside.spawn(systemd.clone().feed(answers.groups()));
    let (listen, listened) = watch::channel(config.listen);
    answers.begin(&mut beside, listened);
    let reloading = Reloading {
        reread,
        in_force: config.clone(),
        client,
        health,
        hooks,
        listen,
        logging,
        systemd: systemd.clone(),
    };
    beside.spawn(reloading.run(hangup));
    systemd.tell(&Word::Ready);
    let mut ended = Ok(());
    let too_long = too_long(stopping.clone());
    tokio::pin!(too_long);
    loop {
        tokio::select! {
            done = groups.join_next() => match done {
                None => break,
                Some(Ok(result)) => {
                    if let Err(error) = result {
                        ended = Err(error);
                    }
                    let _ = stop.send(true);
                }
                Some(Err(_)) => {
                    ended = Err(Error::Crashed("a group".to_owned()));
                    let _ = stop.send(true);
                }
            },
            name = signals.next() => {
                if *stop.borrow() {
                    return Err(Error::LeftAtOnce);
                }
                info!(signal = name, "stopping");
                systemd.tell(&Word::Stopping);
                let _ = stop.send(true);
            }
            () = &mut too_long => return Err(Error::LeftAtOnce),
        }
    }
    // Lock and address are given up. Each hook has its timeout.
    let last_words = async { while hooking.join_next().await.is_some() {} };
    tokio::select! {
        () = last_words => {}
        name = signals.next() => warn!(
            signal = name,
            "told twice to stop, left before the last hook was done; run its command by hand, or set a shorter \
             --hook-timeout"
        ),
    }
    ended
}

/// Refuses to be the second process of a group; where that cannot be known, goes on.
fn lock_group(directory: &RuntimeDirectory, group: &str) -> Result<Option<GroupLock>, Error> {
    match GroupLock::take(directory, group) {
        Ok(lock) => Ok(Some(lock)),
        Err(taken @ lock::Error::Taken { .. }) => Err(Error::AlreadyRunning(taken)),
        Err(error @ lock::Error::Unusable { .. }) => {
            warn!(
                group,
                error = %Chain(&error),
                "nothing can be remembered here: a second process for this group would not be noticed, \
                 and after a crash, the next one waits for the session's end instead of going on with \
                 it; make the directory writable, or set RUNTIME_DIRECTORY"
            );
            Ok(None)
        }
    }
}

/// What a lease is made from.
pub(crate) fn terms(config: &Config) -> Terms {
    let Session {
        lock_delay, ttl, ..
    } = config.session;
    match (config.manage_vip, config.kernel_lease) {
        (false, _) => Terms::companion(lock_delay, ttl),
        (true, KernelLease::Auto) => Terms::managed(lock_delay, ttl),
        (true, KernelLease::Off) => Terms::managed(lock_delay, ttl).without_kernel_lease(),
    }
}

fn options(config: &Config) -> Options {
    Options {
        candidates: true,
        priority: config.priority,
        preempt_after: config.preempt_after,
        liveness_ttl: config.liveness_ttl,
        peer_interval: config.peers.map(|peers| peers.interval),
        health: Health::Unknown,
    }
}

/// A session that was made for something else is not adopted, and an address that went with it is taken
/// off, or ends by itself, while the old lock-delay runs.
fn session_file(
    config: &Config,
    group: &Group,
    directory: &RuntimeDirectory,
) -> Result<SessionFile, Error> {
    let Session {
        ttl,
        lock_delay,
        check_id,
        check_mode,
    } = &config.session;
    let vip = group.vip.as_ref().map(|vip| (vip.address, &vip.interface));
    let terms = format!(
        "ttl={ttl:?} lock-delay={lock_delay:?} check-id={check_id:?} check-mode={} vip={vip:?} \
         kernel-lease={} liveness-ttl={:?}",
        check_mode.name(),
        config.kernel_lease.name(),
        config.liveness_ttl
    );
    SessionFile::of(directory, group.name(), &group.trigger_value, terms)
        .map_err(setup("the record of the session"))
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
