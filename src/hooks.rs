//! Applier: runs the commands that are told how this host stands in a group.
//!
//! One task for each group, from when there is any command, which ends when the driver is gone and its last word has been told. One command
//! runs at a time; while it does, whatever happens is remembered only as the newest [`Standing`]. Nothing
//! waits for a command but the next one, and the end of the process. Aborted at any point it leaves no
//! process behind.

mod output;
pub mod standing;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use self::output::Output;
use self::standing::{Follower, Role, Standing};
use crate::command::{Running, judge};
use crate::config::Hooks;
use crate::config::duration::Go;
use crate::status::counters::HookRuns;
use crate::status::snapshot::Snapshot;

/// For how long a fault must have lasted: one request that fails is none.
const FAULT_SETTLES: Duration = Duration::from_secs(2);

/// How long a command that was killed is waited for: one that hangs in the kernel does nothing else either.
const KILLED_WITHIN: Duration = Duration::from_secs(1);

/// What is the same for all commands of a group.
#[derive(Clone, Debug)]
pub struct About {
    /// The trigger key.
    pub group: String,
    /// The virtual IPs that are held here.
    pub addresses: Vec<IpAddr>,
    /// Where what came of them is counted.
    pub runs: Arc<HookRuns>,
}

/// What is told first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// How this host stands as soon as that is known.
    TheBeginning,
    /// What comes after how it stands now.
    NowOn,
}

/// Tells how a group's driver says that this host stands, until it is gone.
pub async fn tell(hooks: watch::Receiver<Hooks>, mut group: watch::Receiver<Snapshot>, from: From) {
    let (sender, standing) = watch::channel(None);
    let about = {
        let about = &group.borrow().about;
        About {
            group: about.group.clone(),
            addresses: about.vips.iter().map(|vip| vip.address).collect(),
            runs: Arc::clone(&about.hooks),
        }
    };
    let mut follower = Follower::default();
    let told = match from {
        From::TheBeginning => None,
        From::NowOn => follower.follow(&group.borrow()),
    };
    let following = async move {
        loop {
            let newest = follower.follow(&group.borrow_and_update());
            sender.send_if_modified(|last| {
                let modified = *last != newest;
                *last = newest;
                modified
            });
            if group.changed().await.is_err() {
                return;
            }
        }
    };
    tokio::join!(following, run(about, hooks, standing, told));
}

/// Tells the newest standing again and again, until there will be no other; first the one after `told`.
///
/// Which commands there are may change meanwhile; a new one is told what comes next.
pub async fn run(
    about: About,
    hooks: watch::Receiver<Hooks>,
    mut standing: watch::Receiver<Option<Standing>>,
    mut told: Option<Standing>,
) {
    let mut failures = 0_u64;
    loop {
        let newest = standing.borrow_and_update().clone();
        let next = newest.and_then(|newest| standing::next(told.as_ref(), newest));
        let Some(next) = next else {
            match standing.changed().await {
                Ok(()) => continue,
                Err(_) => return,
            }
        };
        if next.role == Role::Fault && passes(&mut standing).await {
            continue;
        }
        let (command, limit) = {
            let hooks = hooks.borrow();
            (hooks.of(next.role).map(str::to_owned), hooks.timeout)
        };
        if let Some(command) = command {
            let hook = next.role.hook();
            let started = Instant::now();
            // Boxed: most groups run none, most of the time.
            let ended = Box::pin(run_one(&about, &next, &command, limit)).await;
            about.runs.count(next.role, ended.is_ok());
            match ended {
                Ok(()) => {
                    let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                    info!(
                        group = about.group,
                        hook,
                        term = next.term,
                        took_ms,
                        "hook done"
                    );
                }
                Err(error) => {
                    failures += 1;
                    warn!(
                        group = about.group,
                        hook,
                        command,
                        error,
                        failures,
                        "hook failed, going on without; it is not run again before this host's role changes: mend it, \
                         and run it by hand if it matters now"
                    );
                }
            }
        }
        told = Some(next);
    }
}

/// Whether a fault is over before it counts.
async fn passes(standing: &mut watch::Receiver<Option<Standing>>) -> bool {
    let is_over = |standing: &Option<Standing>| {
        standing
            .as_ref()
            .is_none_or(|standing| standing.role != Role::Fault)
    };
    let over = timeout(FAULT_SETTLES, standing.wait_for(is_over)).await;
    // Nobody is left to say that it is over.
    over.is_ok_and(|over| over.is_ok())
}

async fn run_one(
    about: &About,
    standing: &Standing,
    command: &str,
    limit: Duration,
) -> Result<(), String> {
    let environment = environment(about, standing);
    let (mut running, pipe) = Running::start_with(command, &environment).await?;
    let mut output = Output::new(&about.group, standing.role.hook(), pipe);
    let ended = timeout(limit, async {
        tokio::select! {
            status = running.end() => status,
            // Whoever closes its output may go on for a while.
            never = output.follow() => match never {},
        }
    })
    .await;
    let result = match ended {
        Ok(status) => status.and_then(judge),
        Err(_) => {
            running.kill();
            let _ = timeout(KILLED_WITHIN, running.end()).await;
            Err(format!("did not end within {}, and was killed", Go(limit)))
        }
    };
    output.finish();
    result
}

fn environment(about: &About, standing: &Standing) -> [(&'static str, String); 7] {
    let term = standing.term.map(|term| term.to_string());
    let addresses: Vec<_> = about.addresses.iter().map(IpAddr::to_string).collect();
    [
        ("VIP_ELECTOR_GROUP", about.group.clone()),
        ("VIP_ELECTOR_ROLE", standing.role.name().to_owned()),
        ("VIP_ELECTOR_REASON", standing.reason.clone()),
        ("VIP_ELECTOR_TERM", term.unwrap_or_default()),
        (
            "VIP_ELECTOR_ADDRESS",
            addresses.first().cloned().unwrap_or_default(),
        ),
        ("VIP_ELECTOR_ADDRESSES", addresses.join(" ")),
        (
            "VIP_ELECTOR_LEADER",
            standing.leader.clone().unwrap_or_default(),
        ),
    ]
}
