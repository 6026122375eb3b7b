//! Wires the parts of a running daemon together, and takes them down in order.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{error, info, warn};
use vip_netlink::Netlink;

use crate::config::{Config, Group};
use crate::consul::{self, Binding, BuildError, Client};
use crate::driver::clock::BootClock;
use crate::driver::{self, journal};
use crate::election::lease::Terms;
use crate::election::machine::Params;
use crate::election::status::Outcome;
use crate::election::target::VipOrder;
use crate::record::RecordFile;
use crate::vip::kernel::LinkKernel;
use crate::vip::task;

/// How long a stop may take before the process leaves without it. The kernel ends the address and
/// Consul the session by themselves then.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the daemon could not start, or ended by itself.
#[derive(Debug, Error)]
pub enum Error {
    /// The client could not be made from the configuration.
    #[error("preparing the connection to consul")]
    Client(#[from] BuildError),
    /// No netlink socket.
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

/// Runs until a signal stops it.
///
/// # Errors
///
/// When it cannot start, or ends before it was asked to.
pub fn run(config: &Config) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(setup("the runtime"))?;
    let ended = runtime.block_on(supervise(config));
    // A name that is still being resolved is not waited for.
    runtime.shutdown_background();
    ended
}

async fn supervise(config: &Config) -> Result<(), Error> {
    let mut signals = Signals::open().map_err(setup("signal handlers"))?;
    let client = Client::new(&config.access)?;
    let netlink = match config.manage_vip {
        true => Some(Arc::new(Netlink::open().map_err(Error::Netlink)?)),
        false => None,
    };
    let (stop, stopping) = watch::channel(false);
    let mut groups = JoinSet::new();
    for group in &config.groups {
        let member = Member {
            group: group.clone(),
            terms: match config.manage_vip {
                true => Terms::managed(config.session.lock_delay, config.session.ttl),
                false => Terms::companion(config.session.lock_delay, config.session.ttl),
            },
            consul: Binding::new(
                client.clone(),
                consul::Terms {
                    key: group.trigger_key.clone(),
                    value: group.trigger_value.clone().into_bytes(),
                    ttl: config.session.ttl,
                    lock_delay: config.session.lock_delay,
                    check_id: config.session.check_id.clone(),
                },
            ),
            netlink: netlink.clone(),
            stopping: stopping.clone(),
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
        groups.spawn(member.run());
    }
    let mut ended = Ok(());
    let too_long = too_long(stopping.clone());
    tokio::pin!(too_long);
    loop {
        tokio::select! {
            done = groups.join_next() => match done {
                None => return ended,
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
                let _ = stop.send(true);
            }
            () = &mut too_long => return Err(Error::LeftAtOnce),
        }
    }
}

/// One group on this host.
struct Member {
    group: Group,
    terms: Terms,
    consul: Binding,
    netlink: Option<Arc<Netlink>>,
    stopping: watch::Receiver<bool>,
}

impl Member {
    async fn run(self) -> Result<(), Error> {
        let Self {
            group,
            terms,
            consul,
            netlink,
            stopping,
        } = self;
        let name = group.name().to_owned();
        let clock = || BootClock::open().map_err(setup("a timer"));
        let mut tasks = JoinSet::new();
        let link = match (netlink, group.vip.clone()) {
            (Some(netlink), Some(vip)) => {
                let (orders, orders_seen) = watch::channel(VipOrder::FIRST);
                let (reports, reports_seen) = watch::channel(None);
                let runtime_directory = std::env::var("RUNTIME_DIRECTORY").ok();
                let record = RecordFile::of(runtime_directory.as_deref(), &name);
                let address = vip.address;
                let kernel = LinkKernel::new(vip, netlink, record);
                let ends = task::Link {
                    orders: orders_seen,
                    reports,
                };
                let (name, clock) = (name.clone(), clock()?);
                tasks.spawn(async move { task::run(&name, address, kernel, clock, ends).await });
                Some(driver::Link {
                    orders,
                    reports: reports_seen,
                })
            }
            (_, _) => None,
        };
        let nonce = RandomState::new().build_hasher().finish();
        let params = Params {
            terms,
            session_name: format!("vip-elector {name} {} {nonce:016x}", group.trigger_value),
            value: group.trigger_value,
        };
        let driver = driver::run(
            &name,
            params,
            nonce,
            Arc::new(consul),
            clock()?,
            link,
            stopping,
        );
        tokio::pin!(driver);
        let outcome = tokio::select! {
            outcome = &mut driver => outcome,
            // Without it nothing would be known of the address: better to start over.
            Some(_) = tasks.join_next() => return Err(Error::Crashed(name.clone())),
        };
        // The driver's end of the order channel is gone, so the VIP task takes the address off, if
        // that is still to be done, and ends.
        while let Some(done) = tasks.join_next().await {
            if done.is_err() {
                return Err(Error::Crashed(name.clone()));
            }
        }
        match outcome {
            Outcome::Stopped => Ok(()),
            Outcome::SessionLeft => {
                warn!(
                    group = name,
                    "consul did not take the session back; it ends with its ttl"
                );
                Ok(())
            }
            Outcome::NotALock { flags } => Err(Error::NotALock(journal::not_a_lock(&name, flags))),
        }
    }
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
    error!("stopping takes too long");
}

fn setup(what: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| Error::Setup { what, source }
}
